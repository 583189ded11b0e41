"""A Jupyter server with the studio on one page, and Chromium to play it.

`CVAE_MUSIC_BROWSER_PYTHON` names another Python for the server, as one with the versions of Colab;
`CVAE_MUSIC_SCREENSHOTS` a folder for the pictures.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 540_000  # milliseconds, on a machine that does other things as well
CELL = "from cvae_music.studio import pretrained_studio\npretrained_studio()"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
]  # fmt: skip


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    """Address of a JupyterLab server whose folder holds `studio.ipynb`."""
    folder = tmp_path_factory.mktemp("server")
    (folder / "files").mkdir()
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    nbformat.write(notebook, folder / "files" / "studio.ipynb")
    settings = folder / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text('{"fetchNews": "false", "checkForUpdates": false}')
    port = free_port()
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT / "lib"), "CVAE_MUSIC_OUTPUT": str(folder / "files" / "output"),
        "CVAE_MUSIC_CACHE": str(folder / "cache"), "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"), "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
    }  # fmt: skip
    python = os.environ.get("CVAE_MUSIC_BROWSER_PYTHON", sys.executable)
    command = [
        python, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--ServerApp.port={port}", "--ServerApp.port_retries=0",
        "--IdentityProvider.token=", "--ServerApp.token=", f"--ServerApp.root_dir={folder / 'files'}",
    ]  # fmt: skip
    with open(folder / "log.txt", "w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            address = f"http://127.0.0.1:{port}"
            for _ in range(240):
                try:
                    urllib.request.urlopen(f"{address}/api", timeout=5)
                    break
                except OSError:
                    assert process.poll() is None, (folder / "log.txt").read_text()
                    time.sleep(0.5)
            yield address
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()


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
def page(server, browser):
    """JupyterLab with the studio's cell executed, ready to play."""
    context = browser.new_context(viewport={"width": 1680, "height": 1400}, accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(f"{server}/doc/tree/studio.ipynb")
    page.locator(".jp-Notebook .jp-Cell").first.wait_for()
    run_first_cell(page)
    page.get_by_text("Ready:").first.wait_for()
    yield page
    context.close()
