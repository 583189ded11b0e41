"""The studio as a person meets it: sliders, keys, sounds and files in a real browser."""

import io
import os
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

pytestmark = pytest.mark.browser
RATE = 22050

# What the page would play: decoded by the browser itself.
LISTEN = """async (audio) => {
    if (!audio.src) return {seconds: 0, rms: 0, samples: []};
    const bytes = await (await fetch(audio.src)).arrayBuffer();
    const decoded = await new OfflineAudioContext(1, 22050, 22050).decodeAudioData(bytes);
    const samples = decoded.getChannelData(0);
    let power = 0;
    for (const sample of samples) power += sample * sample;
    return {seconds: samples.length / 22050, rms: Math.sqrt(power / samples.length), samples: Array.from(samples.slice(0, 4000))};
}"""


def picture(page, name):
    """Keeps a picture of the page, where a folder for them is named."""
    folder = os.environ.get("CVAE_MUSIC_SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        output = page.locator(".jp-OutputArea-output .widget-hbox").first
        shot = Image.open(io.BytesIO(output.screenshot())).convert("RGB")
        shot.quantize(256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(
            Path(folder) / f"{name}.png", optimize=True
        )


def status(page):
    return page.locator('.widget-html [role="status"], .widget-html [role="alert"]').first


def wait_ready(page, text="Ready:"):
    page.wait_for_function(
        "text => document.querySelector('.widget-html [role=status], .widget-html [role=alert]').innerText.includes(text)",
        arg=text,
    )


def change(page, action, text="Ready:"):
    """Does something and waits until the studio has answered: its message carries a new clip or a new text."""
    page.evaluate("document.querySelector('.widget-html [role]').innerText = 'not yet answered'")
    action()
    wait_ready(page, text)


def listen(page, number=0):
    return page.locator("audio").nth(number).evaluate(LISTEN)


def type_number(page, label, value):
    field = page.get_by_label(f"{label}, number", exact=True)
    change(page, lambda: (field.fill(str(value)), field.press("Enter")))


def set_seed(page, value):
    field = page.get_by_label("seed", exact=True)
    change(page, lambda: (field.fill(str(value)), field.press("Enter")))


def test_opens_quiet_and_ready(page):
    first = page.locator("audio").first
    state = first.evaluate("audio => [audio.paused, audio.autoplay, audio.loop, audio.controls]")
    assert state == [True, False, False, True]
    heard = listen(page)
    assert heard["seconds"] == pytest.approx(8 * 60 / 110, abs=0.01) and heard["rms"] > 0.01
    picture(page, "08_studio")


def test_plays(page):
    audio = page.locator("audio").first
    audio.evaluate("audio => audio.play()")
    page.wait_for_function("document.querySelector('audio').currentTime > 0.2")
    audio.evaluate("audio => { audio.pause(); audio.currentTime = 0; }")


def test_two_seeds_differ_and_one_repeats(page):
    zero = listen(page)["samples"]
    set_seed(page, 1)
    one = listen(page)["samples"]
    set_seed(page, 0)
    assert listen(page)["samples"] == zero
    assert np.abs(np.subtract(one, zero)).max() > 0.01


def test_sliders_answer_to_keys_and_numbers(page):
    type_number(page, "tempo (bpm)", 160)
    assert listen(page)["seconds"] == pytest.approx(8 * 60 / 160, abs=0.01)
    row = page.locator(".widget-hbox", has=page.get_by_label("tempo (bpm), number", exact=True)).last
    handle = row.locator("[role=slider], .ui-slider-handle").first
    handle.focus()
    change(page, lambda: page.keyboard.press("ArrowRight"))
    value = float(page.get_by_label("tempo (bpm), number", exact=True).input_value())
    assert value == 161
    before = listen(page)
    type_number(page, "level", -3)
    assert listen(page)["rms"] < before["rms"]
    change(page, lambda: page.get_by_role("button", name="Sliders to 0").click())
    assert page.get_by_label("level, number", exact=True).input_value() == "0"


def test_every_number_is_labelled_and_reached_by_tab(page):
    fields = page.locator(".jp-OutputArea-output input[type=number]")
    names = [re.sub(r"\s+", " ", name) for name in fields.evaluate_all("all => all.map(one => one.labels[0]?.innerText ?? '')")]
    assert len(names) > 20 and all(names)
    assert fields.evaluate_all("all => all.every(one => one.tabIndex >= 0)")


def test_genre_swap_and_mix(page):
    before = listen(page)["samples"]
    change(page, lambda: page.get_by_role("button", name="strings", exact=True).click(), "Ready: strings")
    assert np.abs(np.subtract(listen(page)["samples"], before)).max() > 0.01
    type_number(page, "jazz", 1)
    assert "50% jazz" in status(page).inner_text()
    code = page.get_by_label("as code").input_value()
    assert "'jazz': 1.0" in code and "'strings': 1.0" in code
    type_number(page, "jazz", 0)
    field = page.get_by_label("strings, number", exact=True)
    change(page, lambda: (field.fill("0"), field.press("Enter")), "raise at least one")
    picture(page, "08_studio_message")
    type_number(page, "house", 1)


def test_map_and_compare(page):
    box = page.get_by_label("play at the cursor")
    change(page, lambda: box.check())
    before = listen(page)["samples"]
    type_number(page, "map x", 3)
    assert np.abs(np.subtract(listen(page)["samples"], before)).max() > 0.01
    change(page, lambda: page.get_by_role("button", name="Compare", exact=True).click(), "to compare with")
    assert listen(page, 1)["rms"] > 0.01
    picture(page, "08_studio_map")
    change(page, lambda: box.uncheck())


def test_morph_over_time(page):
    change(page, lambda: page.get_by_role("button", name="Keep as A").click(), "Kept as A")
    change(page, lambda: page.get_by_role("button", name="reggae", exact=True).click(), "Ready: reggae")
    change(page, lambda: page.get_by_role("button", name="Keep as B").click(), "Kept as B")
    change(page, lambda: page.get_by_role("button", name="Morph A to B").click(), "Ready: morph")
    tempo = float(page.get_by_label("tempo (bpm), number", exact=True).input_value())
    heard = listen(page, 2)
    assert heard["seconds"] == pytest.approx(32 * 60 / tempo, abs=0.01) and heard["rms"] > 0.01


def test_downloads(page, tmp_path):
    change(page, lambda: page.get_by_role("button", name="Save as WAV and MP3").click(), "Ready: saved")
    for ending in ("wav", "mp3"):
        with page.expect_download() as download:
            page.locator(f"a[download$='.{ending}']").click()
        download.value.save_as(tmp_path / f"clip.{ending}")
        samples, rate = soundfile.read(tmp_path / f"clip.{ending}")
        assert rate == RATE and len(samples) / rate == pytest.approx(listen(page)["seconds"], abs=0.1)
        assert np.sqrt(np.mean(samples**2)) == pytest.approx(listen(page)["rms"], rel=0.05)


def upload(page, path, text):
    def choose():
        with page.expect_file_chooser() as chooser:
            page.get_by_role("button", name="upload a clip").click()
        chooser.value.set_files(path)

    change(page, choose, text)


def test_own_clip_becomes_another_genre(page, tmp_path):
    beat = RATE // 2
    click = np.exp(-np.arange(beat) / 400) * np.random.default_rng(0).standard_normal(beat) * 0.4
    tone = 0.2 * np.sin(2 * np.pi * 220 * np.arange(20 * beat) / RATE)
    soundfile.write(tmp_path / "mine.wav", np.tile(click, 20) + tone, RATE)
    upload(page, tmp_path / "mine.wav", "Ready:")
    assert page.get_by_label("start from").input_value() == "my own clip"
    assert page.get_by_text(re.compile(r"mine.wav: 1(19|20)\.\d beats a minute, beats tracked")).count()
    before = listen(page)
    assert before["rms"] > 0.001
    change(page, lambda: page.get_by_role("button", name="chiptune", exact=True).click(), "Ready: chiptune")
    assert np.abs(np.subtract(listen(page)["samples"], before["samples"])).max() > 0.01
    assert "encode_clip" in page.get_by_label("as code").input_value()
    change(page, lambda: page.get_by_role("button", name="Compare", exact=True).click(), "to compare with")
    picture(page, "08_studio_own_clip")


def test_bad_uploads_are_answered_in_the_page(page, tmp_path):
    (tmp_path / "notes.wav").write_text("this is no sound")
    (tmp_path / "empty.mp3").write_bytes(b"")
    soundfile.write(tmp_path / "silent.wav", np.zeros(10 * RATE), RATE)
    soundfile.write(tmp_path / "short.wav", 0.1 * np.ones(RATE), RATE)
    upload(page, tmp_path / "notes.wav", "unreadable")
    upload(page, tmp_path / "empty.mp3", "empty.mp3")
    upload(page, tmp_path / "silent.wav", "silent")
    upload(page, tmp_path / "short.wav", "too short")
    picture(page, "08_studio_bad_upload")
    change(page, lambda: page.get_by_label("start from").select_option("a seed"))


def test_surprise_and_history(page):
    options = page.get_by_label("history").locator("option")
    change(page, lambda: page.get_by_role("button", name="Surprise me").click())
    surprised = listen(page)["samples"]
    change(page, lambda: page.get_by_role("button", name="house", exact=True).click(), "Ready: house")
    page.get_by_label("history").select_option(index=1)
    assert options.count() > 5
    change(page, lambda: page.get_by_role("button", name="Play again").click())
    assert listen(page)["samples"] == surprised
