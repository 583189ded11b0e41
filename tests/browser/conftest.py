"""The studio in JupyterLab and in Voila, and Chromium to play it.

Tests run in JupyterLab; those marked `in_voila_too` once more on the page that `make studio` opens.
`CVAE_MUSIC_BROWSER_PYTHON` names another Python for the servers, as one with the versions of Colab (which has
no Voila: those tests are skipped); `CVAE_MUSIC_SCREENSHOTS` a folder for the pictures,
`CVAE_MUSIC_BROWSER_PATIENCE` the milliseconds to wait for anything.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHON = os.environ.get("CVAE_MUSIC_BROWSER_PYTHON", sys.executable)
PATIENCE = int(os.environ.get("CVAE_MUSIC_BROWSER_PATIENCE", 60_000))
CELL = "from cvae_music import Studio\nStudio.from_preset('known_cvae')"
CHROMIUM = (
    shutil.which("chromium")
    or shutil.which("chromium-browser")
    or shutil.which("google-chrome")
)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]


def pytest_configure(config):
    config.addinivalue_line(
        "markers",
        "in_voila_too: runs on the page of `make studio` as well as in JupyterLab",
    )
    config.addinivalue_line(
        "markers", "in_voila_only: runs on the page of `make studio`, not in JupyterLab"
    )


def pytest_generate_tests(metafunc):
    if "page" in metafunc.fixturenames:
        hosts = ["lab"]
        if metafunc.definition.get_closest_marker("in_voila_too"):
            hosts = ["lab", "voila"]
        if metafunc.definition.get_closest_marker("in_voila_only"):
            hosts = ["voila"]
        metafunc.parametrize("page", hosts, indirect=True, scope="session")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def served(command, folder, port, **environment):
    """Address of a server while it runs; its kernel works in `folder`, with nothing of the user's settings."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT / "lib"),
        "CVAE_MUSIC_OUTPUT": str(folder / "output"),
        "CVAE_MUSIC_CACHE": str(folder / "cache"),
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
        "TF_CPP_MIN_LOG_LEVEL": "2",
        **environment,
    }
    with open(folder / "log.txt", "w") as log:
        process = subprocess.Popen(
            command, env=environment, stdout=log, stderr=log, start_new_session=True
        )
        try:
            for _ in range(240):
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=5).close()
                    break
                except OSError:
                    assert process.poll() is None, (folder / "log.txt").read_text()
                    time.sleep(0.5)
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(
                process.pid, signal.SIGTERM
            )  # the tool and the server it started; kernels end with the server
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


@contextlib.contextmanager
def lab(folder):
    """Address of a notebook in JupyterLab whose only cell opens the studio."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    notebook.metadata["kernelspec"] = {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    }
    nbformat.write(notebook, folder / "studio.ipynb")
    settings = folder / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text(
        '{"fetchNews": "false", "checkForUpdates": false}'
    )
    port = free_port()
    command = [
        PYTHON,
        "-m",
        "jupyterlab",
        "--no-browser",
        "--allow-root",
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        "--IdentityProvider.token=",
        "--ServerApp.token=",
        f"--ServerApp.root_dir={folder}",
        "--ServerApp.tornado_settings={'websocket_max_message_size': 200_000_000}",  # as in `make lab`
    ]
    with served(
        command, folder, port, JUPYTERLAB_SETTINGS_DIR=str(folder / "settings")
    ) as address:
        yield f"{address}/doc/tree/studio.ipynb"


@contextlib.contextmanager
def voila(folder):
    """Address of the page that `make studio` opens."""
    if subprocess.run([PYTHON, "-c", "import voila"], capture_output=True).returncode:
        pytest.skip("no Voila in the environment of the server")
    port = free_port()
    command = [
        PYTHON,
        str(ROOT / "tools" / "open_studio.py"),
        "--no-browser",
        f"--port={port}",
    ]
    with served(command, folder, port) as address:
        yield address


@pytest.fixture(scope="session")
def browser():
    """Headless Chromium of the system."""
    api = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no Chromium on the path: apt-get install chromium")
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


def run_first_cell(page):
    """Presses Shift+Enter until the cell is executed: keys before the kernel is connected go nowhere."""
    page.locator(".jp-Notebook .jp-Cell").first.wait_for()
    prompt = page.locator(".jp-Notebook .jp-Cell .jp-InputPrompt").first
    for _ in range(60):
        page.locator(".jp-Notebook .jp-Cell .cm-content").first.click()
        page.keyboard.press("Shift+Enter")
        for _ in range(20):
            page.wait_for_timeout(500)
            if prompt.inner_text().strip() not in ("", "[ ]:"):
                return
    raise AssertionError("The notebook's cell was never executed.")


@pytest.fixture(scope="session")
def page(request, browser, tmp_path_factory):
    """The studio, ready to play; `page.host` is "lab" or "voila"; its kernel runs `page.python` and writes to `page.folder`."""
    folder = tmp_path_factory.mktemp(request.param)
    with {"lab": lab, "voila": voila}[request.param](folder) as address:
        context = browser.new_context(
            viewport={"width": 1280, "height": 1400}, accept_downloads=True
        )
        page = context.new_page()
        page.host, page.folder, page.python = request.param, folder, PYTHON
        page.set_default_timeout(PATIENCE)
        page.goto(address)
        if request.param == "lab":
            run_first_cell(page)
        page.get_by_text("Ready:").first.wait_for()
        # Folds open, so that a test finds what is in them.
        page.evaluate(
            "document.querySelectorAll('[class*=-Collapse-header]').forEach(head => head.click())"
        )
        yield page
        context.close()
