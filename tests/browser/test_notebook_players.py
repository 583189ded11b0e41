"""The players of a notebook without a kernel: in JupyterLab, and in a page that nbconvert makes of it."""

import io

import nbformat
import numpy as np
import pytest
import soundfile
from conftest import PATIENCE, PYTHON, free_port, served
from nbformat.sign import NotebookNotary
from nbformat.v4 import new_code_cell, new_notebook, new_output

from cvae_music import AudioConfig
from cvae_music.players import player

pytestmark = pytest.mark.browser
CONFIG = AudioConfig()
SECONDS = 3.0
# Notes every sound that starts, with the clock of the sound card.
LISTEN = """
window.heard = [];
const {start, stop} = AudioBufferSourceNode.prototype;
AudioBufferSourceNode.prototype.start = function (when, offset) {
    this.number = heard.length;
    heard.push({when, offset, loop: this.loop, length: this.buffer.duration, stop: null});
    return start.apply(this, arguments);
};
AudioBufferSourceNode.prototype.stop = function (when) {
    heard[this.number].stop = when;
    return stop.apply(this, arguments);
};
"""


def tone(hertz):
    time = np.arange(int(SECONDS * CONFIG.sample_rate)) / CONFIG.sample_rate
    return 0.3 * np.sin(2 * np.pi * hertz * time) * (time % 0.5 > 0.25)


def cell(source, html):
    output = new_output("display_data", data={"text/html": html})
    return new_code_cell(source, outputs=[output], execution_count=1)


@pytest.fixture(scope="module")
def notebook():
    """Two players in one output, and one in another that repeats."""
    two = [
        player(tone(f), CONFIG, name, loop=True).data
        for name, f in (("low", 300), ("high", 3000))
    ]
    alone = player(tone(800), CONFIG, "alone", seed=7, loop=True)._repr_html_()
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    cells = [cell("two", "".join(two)), cell("one", alone)]
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


def in_nbconvert(notebook, folder):
    exporters = pytest.importorskip("nbconvert.exporters")
    path = folder / "players.html"
    path.write_text(exporters.HTMLExporter().from_notebook_node(notebook)[0], "utf-8")
    yield path.as_uri()


def in_lab(notebook, folder, is_trusted=True):
    """JupyterLab shows it; as one that somebody trusts, who ran it or said so, or not."""
    nbformat.write(notebook, folder / "players.ipynb")
    settings = folder / "settings" / "@jupyterlab" / "apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text(
        '{"fetchNews": "false", "checkForUpdates": false}'
    )
    (folder / "data").mkdir()
    if is_trusted:
        NotebookNotary(data_dir=str(folder / "data")).sign(notebook)
    port = free_port()
    command = [PYTHON, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += [f"--ServerApp.port={port}", "--IdentityProvider.token="]
    command += [f"--ServerApp.root_dir={folder}"]
    folders = {
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
    }
    with served(command, folder, port, **folders) as address:
        yield f"{address}/doc/tree/players.ipynb"


@pytest.fixture(params=[in_nbconvert, in_lab], ids=["nbconvert", "lab"])
def opened(request, notebook, browser, tmp_path):
    pages = request.param(notebook, tmp_path)
    page = browser.new_page(viewport={"width": 900, "height": 1000})
    page.set_default_timeout(PATIENCE)
    page.route("https://**", lambda route: route.abort())
    page.add_init_script(LISTEN)
    page.goto(next(pages))
    yield page
    page.close()
    pages.close()


def test_players_need_no_kernel(opened):
    page = opened
    page.locator(".clip .length", has_text="3.0 s").nth(2).wait_for()
    assert page.locator(".clip").count() == 3
    assert page.locator("audio:visible").count() == 0
    words = page.locator(".clip .play").all_inner_texts()
    assert words == ["A", "B", "Play"]
    page.get_by_role("button", name="Play low").click()
    page.wait_for_timeout(700)
    page.get_by_role("button", name="Play high").click()
    page.wait_for_function("heard.length === 2")
    first, second = page.evaluate("heard")
    assert first["loop"] and second["when"] <= first["stop"] < second["when"] + 0.05
    at = (first["offset"] + second["when"] - first["when"]) % first["length"]
    assert second["offset"] == pytest.approx(at, abs=0.02)
    strip = page.locator(".playing .strip")
    before = page.locator(".playing .strip-head").get_attribute("style")
    page.wait_for_timeout(200)
    assert page.locator(".playing .strip-head").get_attribute("style") != before
    width = strip.bounding_box()["width"]
    strip.click(position={"x": 0.5 * width, "y": 20})
    page.wait_for_function("heard.length === 3")
    sought = page.evaluate("heard[2]")
    assert sought["offset"] / sought["length"] == pytest.approx(0.5, abs=0.01)
    page.get_by_role("button", name="Play alone, seed 7").click()
    page.wait_for_function("heard.length === 4")
    alone = page.evaluate("heard[3]")
    assert alone["loop"] and alone["offset"] == 0
    assert page.locator(".clip.playing").count() == 1
    with page.expect_download() as download:
        page.get_by_role("link", name="Download high").click()
    assert download.value.suggested_filename == "high.mp3"
    content = io.BytesIO(download.value.path().read_bytes())
    assert soundfile.info(content).duration == pytest.approx(SECONDS, abs=0.1)


def test_an_untrusted_notebook_in_lab_has_the_plain_players(
    notebook, browser, tmp_path
):
    pages = in_lab(notebook, tmp_path, is_trusted=False)
    page = browser.new_page(viewport={"width": 900, "height": 1000})
    page.set_default_timeout(PATIENCE)
    page.goto(next(pages))
    sounds = page.locator(".jp-OutputArea figure")
    # JupyterLab takes the scripts away and the labels too: the captions say what it is.
    for caption in ("low", "high", "alone, seed 7"):
        sound = sounds.filter(has_text=caption).locator("audio[controls]")
        sound.wait_for()
        page.wait_for_function("sound => sound.duration", arg=sound.element_handle())
        about = "sound => [sound.duration, sound.paused, sound.autoplay]"
        length, *state = sound.evaluate(about)
        assert length == pytest.approx(SECONDS, abs=0.1)
        assert state == [True, False]  # silent until pressed
    assert sounds.count() == 3
    assert page.locator(".clip").count() == 0
    assert page.evaluate("window.cvaePlayers") is None
    sound.evaluate("sound => sound.play()")
    page.wait_for_function("sound => sound.currentTime", arg=sound.element_handle())
    page.close()
    pages.close()


def test_where_scripts_are_not_trusted_the_plain_players_stay(
    notebook, browser, tmp_path
):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(next(in_nbconvert(notebook, tmp_path)))
    assert page.locator("audio[controls]:visible").count() == 3
    assert page.locator(".clip").count() == 0
    context.close()
