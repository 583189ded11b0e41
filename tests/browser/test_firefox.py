"""The front page and the players in Firefox, where Debian's and PulseAudio are installed."""

import base64

import firefox
import numpy as np
import pytest
from conftest import PATIENCE
from test_notebook_players import LISTEN, in_nbconvert, notebook  # noqa: F401
from test_site import AS_OPENED, PUT, SLIDERS, address, site  # noqa: F401

pytestmark = pytest.mark.browser
HEAD = """new DOMMatrix(document.querySelector(
    ".clip.playing .strip-head, #head:not([hidden])").style.transform).e"""


@pytest.fixture(scope="module")
def fox(tmp_path_factory):
    if firefox.FIREFOX is None or firefox.SOUND is None:
        pytest.skip("not on the path: apt-get install firefox-esr pulseaudio")
    pytest.importorskip("websockets")
    with firefox.opened(tmp_path_factory.mktemp("firefox"), PATIENCE / 1000) as page:
        yield page


def status_says(words):
    return f"document.getElementById('status').innerText.includes('{words}')"


def test_the_front_page_plays_and_its_clips_are_those_of_make_clip(fox, address):  # noqa: F811
    fox.open(address, LISTEN)
    fox.wait_for(status_says("Ready: house"))
    fox.click("#play")
    fox.wait_for("heard.length === 1")
    fox.wait_for("!document.getElementById('head').hidden")
    before = fox.evaluate(HEAD)
    fox.wait_for(f"{HEAD} !== {before}")
    fox.press("3")
    fox.wait_for(status_says("Ready: jazz"))
    fox.wait_for("heard.length === 2")  # goes on playing
    first, second = fox.evaluate("heard")
    assert second["when"] <= first["stop"] < second["when"] + 0.05
    fox.press("p")
    fox.wait_for("document.getElementById('head').hidden")
    settings = AS_OPENED | dict.fromkeys(SLIDERS, 0) | {"seed": 7, "genre": "rock"}
    values = {name: str(value) for name, value in settings.items()}
    _, levels = fox.evaluate(f"({PUT})({values})")
    names = {}
    exec(fox.evaluate("document.getElementById('code').innerText"), names)
    found = np.frombuffer(base64.b64decode(levels), np.float32)
    np.testing.assert_allclose(found, names["clip"].log_mel.ravel(), atol=0.01)
    fox.click("[name=music][value=real_cvaegan] + span")
    fox.wait_for(status_says("Ready: electronic"))
    assert fox.complaints == []


def test_the_front_page_fits_a_phone(fox, address):  # noqa: F811
    fox.resize(390, 844)
    fox.open(address)
    fox.wait_for(status_says("Ready: house"))
    assert fox.evaluate("document.documentElement.scrollWidth <= innerWidth")
    fox.resize(1280, 900)
    assert fox.complaints == []


def test_players_of_a_notebook(fox, notebook, tmp_path):  # noqa: F811
    fox.open(next(in_nbconvert(notebook, tmp_path)), LISTEN)
    fox.wait_for("document.querySelectorAll('.clip').length === 3")
    assert fox.evaluate("[...document.querySelectorAll('audio')].every(a => a.hidden)")
    fox.wait_for("document.querySelectorAll('.clip .length')[1].innerText === '3.0 s'")
    fox.click("[aria-label='Play low']")
    fox.wait_for(f"{HEAD} > 5")
    fox.click("[aria-label='Play high']")
    fox.wait_for("heard.length === 2")
    first, second = fox.evaluate("heard")
    assert first["loop"] and second["when"] <= first["stop"] < second["when"] + 0.05
    at = (first["offset"] + second["when"] - first["when"]) % first["length"]
    assert second["offset"] == pytest.approx(at, abs=0.02)
    fox.click(".clip.playing .strip", across=0.5)
    fox.wait_for("heard.length === 3")
    sought = fox.evaluate("heard[2]")
    assert sought["offset"] / sought["length"] == pytest.approx(0.5, abs=0.01)
    fox.click("[aria-label='Pause high']")
    fox.wait_for("heard[2].stop !== null")
    assert fox.evaluate("document.querySelectorAll('.clip.playing').length") == 0
