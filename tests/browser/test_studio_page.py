"""The studio as a person meets it: sliders, keys, sounds and files in a real browser."""

import base64
import hashlib
import io
import json
import os
import re
import subprocess
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
    """Keeps a picture of the studio, where a folder for them is named."""
    folder = os.environ.get("CVAE_MUSIC_SCREENSHOTS")
    if folder:
        path = (
            Path(folder) / f"{name}.png"
            if page.host == "lab"
            else Path(folder) / page.host / f"{name}.png"
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        output = page.locator(".cvae-studio")
        shot = Image.open(io.BytesIO(output.screenshot())).convert("RGB")
        shot.quantize(
            256, method=Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE
        ).save(path, optimize=True)


def unfold(page, *titles):
    """Opens the folds of these titles, or all, and closes the others."""
    page.evaluate(
        """titles => {
            for (const head of document.querySelectorAll("[class*=-Collapse-header]")) {
                const isOpen = head.nextElementSibling.offsetHeight > 0;
                const isWanted = !titles.length || titles.some((title) => head.innerText.includes(title));
                if (isOpen !== isWanted) head.click();
            }
        }""",
        list(titles),
    )


STATUS = ".cvae-studio .widget-html :is([role=status], [role=alert])"


def status(page):
    return page.locator(STATUS).first


def wait_ready(page, text="Ready:"):
    page.wait_for_function(
        f"text => document.querySelector('{STATUS}').innerText.includes(text)",
        arg=text,
    )


def change(page, action, text="Ready:"):
    """Does something and waits until the studio has answered: its message carries a new clip or a new text."""
    page.evaluate(f"document.querySelector('{STATUS}').innerText = 'not yet answered'")
    action()
    wait_ready(page, text)


def player(page, name="the clip"):
    return page.locator(f"audio[aria-label='{name}']")


def listen(page, name="the clip"):
    return player(page, name).evaluate(LISTEN)


def click(page, name, text="Ready:"):
    change(
        page, lambda: page.get_by_role("button", name=name, exact=True).click(), text
    )


def type_number(page, label, value):
    field = page.get_by_label(f"{label}, number", exact=True)
    change(page, lambda: (field.fill(str(value)), field.press("Enter")))


def set_seed(page, value):
    field = page.get_by_label("seed", exact=True)
    change(page, lambda: (field.fill(str(value)), field.press("Enter")))


@pytest.mark.in_voila_too
def test_opens_quiet_and_ready(page):
    state = player(page).evaluate(
        "audio => [audio.paused, audio.autoplay, audio.loop, audio.controls]"
    )
    assert state == [True, False, True, True]  # it repeats, once pressed
    heard = listen(page)
    assert (
        heard["seconds"] == pytest.approx(8 * 60 / 110, abs=0.01)
        and heard["rms"] > 0.01
    )
    unfold(page, "Map of the latents", "The clip as code")
    picture(page, "08_studio")
    unfold(page)


def press_play(page, name="the clip"):
    page.get_by_role("button", name=f"Play {name}", exact=True).click()


def is_playing(page, name="the clip"):
    return page.locator(f".clip.playing audio[aria-label='{name}']").count() == 1


def wait_playing(page, name="the clip"):
    page.locator(f".clip.playing audio[aria-label='{name}']").wait_for(state="attached")


def wait_checked(page, label):
    box = page.get_by_label(label).element_handle()
    page.wait_for_function("box => box.checked", arg=box)


def place(page):
    """Where the head of the sound that plays is, from 0 to 1."""
    return page.locator(".clip.playing .strip").evaluate(
        "strip => new DOMMatrix(strip.querySelector('.strip-head').style.transform).e / strip.clientWidth"
    )


@pytest.mark.in_voila_too
def test_a_change_goes_on_playing_until_paused(page):
    set_seed(page, 1)
    assert not is_playing(page)  # nothing was pressed yet
    press_play(page)
    wait_playing(page)
    page.wait_for_timeout(1500)
    before = place(page)
    assert before > 0.2
    set_seed(page, 2)
    page.wait_for_timeout(300)
    wait_playing(page)
    assert abs(place(page) - before) > 0.01  # the head moves on
    strip = page.locator(".clip.playing .strip")
    box = strip.bounding_box()
    strip.click(position={"x": 0.75 * box["width"], "y": 0.5 * box["height"]})
    # It goes on where it is clicked; a busy machine may be further by now.
    page.locator(".clip.playing .strip[aria-valuenow='75']").wait_for()
    page.get_by_role("button", name="Pause the clip", exact=True).click()
    set_seed(page, 3)
    page.wait_for_timeout(500)
    assert not is_playing(page)
    press_play(page)
    page.get_by_label("stay silent after a change").check()
    set_seed(page, 0)
    page.wait_for_timeout(500)
    assert not is_playing(page)
    page.get_by_label("stay silent after a change").uncheck()
    set_seed(page, 1)
    set_seed(page, 0)


@pytest.mark.in_voila_too
def test_the_real_clip_is_heard_at_the_same_place(page):
    press_play(page)
    click(page, "Compare", "to compare with")
    page.get_by_role("button", name="Play the sound to compare with").wait_for()
    page.wait_for_timeout(1000)
    press_play(page, "the sound to compare with")
    wait_playing(page, "the sound to compare with")
    assert not is_playing(page)
    begin = page.locator(".playing .strip").get_attribute("aria-valuenow")
    assert int(begin) > 0  # at the place of the other, not from the beginning
    page.get_by_role("button", name="Pause the sound to compare with").click()


@pytest.mark.in_voila_too
def test_a_click_on_the_map_plays_there(page):
    where = page.locator("img[alt^='Map of the latents']")
    box = where.bounding_box()

    def click_map(across, down):
        place = {"x": across * box["width"], "y": down * box["height"]}
        change(page, lambda: where.click(position=place))

    assert not is_playing(page)
    page.get_by_label("stay silent after a change").check()
    click_map(0.4, 0.5)
    page.wait_for_timeout(500)
    assert not is_playing(page)
    page.get_by_label("stay silent after a change").uncheck()
    before = listen(page)["samples"]
    click_map(0.6, 0.7)
    wait_checked(page, "play at the cursor")
    wait_playing(page)  # the click is a press of Play
    click_map(0.5, 0.6)
    wait_playing(page)
    page.get_by_role("button", name="Pause the clip", exact=True).click()
    assert "map_position=" in page.get_by_label("as code", exact=True).input_value()
    assert np.abs(np.subtract(listen(page)["samples"], before)).max() > 0.01
    change(page, lambda: page.get_by_label("play at the cursor").uncheck())


@pytest.mark.in_voila_too
def test_nothing_is_fetched_from_another_host(page):
    hosts = page.evaluate(
        """() => performance.getEntriesByType("resource")
            .filter((entry) => entry.name.startsWith("http") && entry.responseStatus)
            .map((entry) => new URL(entry.name).hostname)"""
    )
    assert set(hosts) == {"127.0.0.1"}


# The contrast of all texts that are shown, as WCAG counts it; those of what is switched off do not count.
FAINT = """() => {
    const numbers = (color) => color.match(/[\\d.]+/g).map(Number);
    const over = ([r, g, b, a = 1], below) => [r, g, b].map((value, k) => a * value + (1 - a) * below[k]);
    const light = (color) => {
        const [r, g, b] = color.map((value) => value / 255).map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = (element) => {
        if (!element) return [255, 255, 255];
        const color = numbers(getComputedStyle(element).backgroundColor);
        return color[3] === 0 ? ground(element.parentElement) : over(color, ground(element.parentElement));
    };
    const faint = [];
    let count = 0;
    for (const element of document.querySelectorAll(".cvae-studio *, [data-voila] h1, [data-voila] p")) {
        const isField = element.matches("input, select, textarea");
        const hasText = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
        if (element.matches("script, style, option") || !(isField || hasText)) continue;
        if (!element.checkVisibility({ visibilityProperty: true }) || element.closest(":disabled, [disabled]")) continue;
        const below = ground(element);
        const lights = [light(over(numbers(getComputedStyle(element).color), below)), light(below)];
        const contrast = (Math.max(...lights) + 0.05) / (Math.min(...lights) + 0.05);
        count += 1;
        if (contrast < 4.5) faint.push([contrast, element.outerHTML.slice(0, 200)]);
    }
    return { count, faint, paper: ground(document.querySelector(".cvae-studio")).map(Math.round) };
}"""


def choose_dark(page, is_dark):
    """The wish of the reader in Voila, the theme in JupyterLab."""
    if page.host == "voila":
        page.emulate_media(color_scheme="dark" if is_dark else "light")
        return
    page.get_by_role("menuitem", name="Settings", exact=True).click()
    item = page.locator(".lm-Menu-itemLabel")
    item.filter(has_text=re.compile("^Theme$")).click()
    name = "JupyterLab Dark" if is_dark else "JupyterLab Light"
    item.filter(has_text=re.compile(f"^{name}$")).click()
    page.locator(f"body[data-jp-theme-name='{name}']").wait_for(state="attached")
    page.wait_for_timeout(500)


@pytest.mark.in_voila_too
def test_all_text_stands_out_in_light_and_in_dark(page):
    for is_dark in (True, False):
        choose_dark(page, is_dark)
        for folds in ([], ["Morph", "own", "Rhythm"], ["Map", "What was", "as code"]):
            unfold(page, *(folds or ["nothing"]))
            found = page.evaluate(FAINT)
            assert found["count"] > 20 and found["faint"] == []
        assert (max(found["paper"]) < 60) == is_dark, found["paper"]
        picture(page, f"08_studio_{'dark' if is_dark else 'light'}")
    unfold(page)


@pytest.mark.in_voila_too
def test_two_seeds_differ_and_one_repeats(page):
    zero = listen(page)["samples"]
    set_seed(page, 1)
    one = listen(page)["samples"]
    set_seed(page, 0)
    assert listen(page)["samples"] == zero
    assert np.abs(np.subtract(one, zero)).max() > 0.01


@pytest.mark.in_voila_too
def test_sliders_answer_to_keys_and_numbers(page):
    type_number(page, "tempo (bpm)", 160)
    assert listen(page)["seconds"] == pytest.approx(8 * 60 / 160, abs=0.01)
    row = page.locator(
        ".widget-hbox", has=page.get_by_label("tempo (bpm), number", exact=True)
    ).last
    handle = row.locator("[role=slider], .ui-slider-handle").first
    handle.focus()
    change(page, lambda: page.keyboard.press("ArrowRight"))
    value = float(page.get_by_label("tempo (bpm), number", exact=True).input_value())
    assert value == 161
    before = listen(page)
    type_number(page, "level", -3)
    assert listen(page)["rms"] < before["rms"]
    click(page, "Sliders to 0")
    assert page.get_by_label("level, number", exact=True).input_value() == "0"


def test_every_number_is_labelled_and_reached_by_tab(page):
    fields = page.locator(".jp-OutputArea-output input[type=number]")
    names = [
        re.sub(r"\s+", " ", name)
        for name in fields.evaluate_all(
            "all => all.map(one => one.labels[0]?.innerText ?? '')"
        )
    ]
    assert len(names) > 20 and all(names)
    assert fields.evaluate_all("all => all.every(one => one.tabIndex >= 0)")


@pytest.mark.in_voila_too
def test_folds_open_and_close_by_keys(page):
    unfold(page, "nothing")
    head = page.get_by_role("button", name="Map of the latents", exact=True)
    inside = page.locator("img[alt^='Map of the latents']")
    for key, is_open in (("Enter", True), ("Space", False), ("Space", True)):
        head.focus()
        page.keyboard.press(key)
        inside.wait_for(state="visible" if is_open else "hidden")
        assert head.get_attribute("aria-expanded") == str(is_open).lower()
    unfold(page)


@pytest.mark.in_voila_too
def test_keys_work_as_buttons_do(page):
    """In JupyterLab they are not its own: Enter would edit the cell."""
    page.get_by_role("button", name="jazz", exact=True).focus()
    change(page, lambda: page.keyboard.press("Enter"), "Ready: jazz")
    page.get_by_role("button", name="house", exact=True).focus()
    change(page, lambda: page.keyboard.press("Space"), "Ready: house")


@pytest.mark.in_voila_too
def test_genre_swap_and_mix(page):
    before = listen(page)["samples"]
    click(page, "strings", "Ready: strings")
    assert np.abs(np.subtract(listen(page)["samples"], before)).max() > 0.01
    type_number(page, "jazz", 1)
    assert "50% jazz" in status(page).inner_text()
    picture(page, "08_studio_mix")
    code = page.get_by_label("as code", exact=True).input_value()
    assert "'jazz': 1.0" in code and "'strings': 1.0" in code
    type_number(page, "jazz", 0)
    field = page.get_by_label("strings, number", exact=True)
    change(page, lambda: (field.fill("0"), field.press("Enter")), "raise at least one")
    picture(page, "08_studio_message")
    type_number(page, "house", 1)


def pressed(page):
    """Names of the genres whose buttons are pressed, for screen readers and for eyes."""
    said, shown = page.locator(".cvae-genres").evaluate(
        """genres => ["[aria-pressed=true]", ".mod-primary"].map((marked) =>
            Array.from(genres.querySelectorAll(`button${marked}`), key => key.innerText))"""
    )
    assert said == shown
    return said


@pytest.mark.in_voila_too
def test_the_genre_that_plays_is_marked(page):
    marked = page.locator(".cvae-genres button[aria-pressed=true]")
    for genre in ("jazz", "house"):
        click(page, genre, f"Ready: {genre}")
        marked.filter(has_text=genre).wait_for()
        assert pressed(page) == [genre]
    assert page.locator(".cvae-genres button[aria-pressed=false]").count() == 5
    weight = "key => getComputedStyle(key).fontWeight"
    assert marked.evaluate(weight) == "700"  # not told by colour alone
    type_number(page, "jazz", 0.5)
    marked.nth(1).wait_for()
    assert pressed(page) == ["house", "jazz"]
    type_number(page, "jazz", 0)
    marked.nth(1).wait_for(state="detached")


@pytest.mark.in_voila_only
def test_other_music_is_chosen_while_it_plays(page):
    click(page, "jazz", "Ready: jazz")
    set_seed(page, 5)
    before = listen(page)["samples"]
    press_play(page)
    page.locator(".clip.playing").wait_for()
    page.get_by_label("Music:").select_option(label="Real music, 4 genres")
    page.locator(".cvae-genres button", has_text="folk").wait_for()
    wait_ready(page, "Ready: electronic")
    wait_playing(page)
    page.locator(".cvae-genres button[aria-pressed=true]").wait_for()
    assert pressed(page) == ["electronic"]
    assert page.get_by_label("seed", exact=True).input_value() == "5"
    assert page.locator(".cvae-genres button").count() == 4
    unfold(page, "The clip as code")
    code = page.get_by_label("as code", exact=True).input_value()
    assert "seed=5" in code and "genre={'electronic': 1.0}" in code
    assert "model = cm.VAE.from_preset('real_cvaegan')" in code
    assert np.abs(np.subtract(listen(page)["samples"], before)).max() > 0.01
    click(page, "folk", "Ready: folk")
    page.locator(".clip.playing").wait_for()
    picture(page, "08_studio_real")
    page.get_by_label("Music:").select_option(label="Composed music, 6 genres")
    page.locator(".cvae-genres button", has_text="jazz").wait_for()
    wait_ready(page, "Ready: jazz")
    page.locator(".clip.playing").wait_for()
    assert listen(page)["samples"] == before
    page.get_by_role("button", name="Pause the clip", exact=True).click()
    page.locator(".clip.playing").wait_for(state="detached")
    unfold(page)  # the folds are those of a studio that is shown anew
    set_seed(page, 0)
    click(page, "house", "Ready: house")


def test_map_and_compare(page):
    box = page.get_by_label("play at the cursor")
    before = listen(page)["samples"]
    type_number(page, "map x", 3)
    wait_checked(page, "play at the cursor")
    assert page.get_by_label("map x, number", exact=True).input_value() == "3"
    assert np.abs(np.subtract(listen(page)["samples"], before)).max() > 0.01
    click(page, "Hear the nearest clip", "the nearest clip")
    assert listen(page, "the real clip nearest to the cursor")["rms"] > 0.01
    click(page, "Compare", "to compare with")
    assert listen(page, "the sound to compare with")["rms"] > 0.01
    picture(page, "08_studio_map")
    change(page, lambda: box.uncheck())


def test_morph_over_time(page):
    click(page, "Keep as A", "Kept as A")
    click(page, "reggae", "Ready: reggae")
    click(page, "Keep as B", "Kept as B")
    page.get_by_role("button", name="Morph A to B").click()
    page.wait_for_function(
        f"document.querySelector('{STATUS}').innerText.startsWith('Busy')"
    )
    picture(page, "08_studio_busy")
    wait_ready(page, "Ready: morph")
    tempo = float(page.get_by_label("tempo (bpm), number", exact=True).input_value())
    heard = listen(page, "the morph from A to B")
    assert (
        heard["seconds"] == pytest.approx(32 * 60 / tempo, abs=0.01)
        and heard["rms"] > 0.01
    )
    click(page, "Save the morph", "Ready: saved")
    with page.expect_download() as download:
        page.locator("a[download='morph.wav']").click()
    assert soundfile.info(download.value.path()).duration == pytest.approx(
        heard["seconds"], abs=0.01
    )
    picture(page, "08_studio_morph")


def test_quick_changes_end_at_the_last(page):
    row = page.locator(
        ".widget-hbox", has=page.get_by_label("tempo (bpm), number", exact=True)
    ).last
    row.locator("[role=slider], .ui-slider-handle").first.focus()
    tempo = float(page.get_by_label("tempo (bpm), number", exact=True).input_value())
    for _ in range(6):
        page.keyboard.press("ArrowLeft")
    page.get_by_role("button", name="jazz", exact=True).click()
    page.get_by_role(
        "button", name="strings", exact=True
    ).click()  # both before the first sound is made
    # A press is sent at once, and the last of many moves when the kernel has answered
    # the first: so the tempo can come after the genre.
    text = page.get_by_label("as code", exact=True)
    page.wait_for_function(
        "([area, tempo]) => area.value.includes(\"genre={'strings': 1.0}\") && area.value.includes(tempo)",
        arg=[text.element_handle(), f"tempo={tempo - 6}"],
    )
    wait_ready(page, "Ready: strings")
    assert listen(page)["seconds"] == pytest.approx(8 * 60 / (tempo - 6), abs=0.01)


@pytest.mark.in_voila_too
def test_downloads(page, tmp_path):
    click(page, "Save as WAV and MP3", "Ready: saved")
    picture(page, "08_studio_saved")
    for ending in ("wav", "mp3"):
        with page.expect_download() as download:
            page.locator(f"a[download*='seed'][download$='.{ending}']").click()
        download.value.save_as(tmp_path / f"clip.{ending}")
        samples, rate = soundfile.read(tmp_path / f"clip.{ending}")
        assert rate == RATE and len(samples) / rate == pytest.approx(
            listen(page)["seconds"], abs=0.1
        )
        assert np.sqrt(np.mean(samples**2)) == pytest.approx(
            listen(page)["rms"], rel=0.05
        )


def upload(page, path, text):
    def choose():
        with page.expect_file_chooser() as chooser:
            page.get_by_role("button", name="upload a clip").click()
        chooser.value.set_files(path)

    change(page, choose, text)


def start_from(page, source):
    change(page, lambda: page.get_by_label("start from").select_option(source))


def write_beats(path, seconds=10):
    """A tone with noise on 120 beats a minute; returns the path."""
    beat, count = RATE // 2, 2 * seconds
    hits = (
        np.exp(-np.arange(beat) / 400)
        * np.random.default_rng(0).standard_normal(beat)
        * 0.4
    )
    soundfile.write(
        path,
        np.tile(hits, count)
        + 0.2 * np.sin(2 * np.pi * 220 * np.arange(count * beat) / RATE),
        RATE,
    )
    return path


@pytest.mark.in_voila_too
def test_own_clip_becomes_another_genre(page, tmp_path):
    file = write_beats(tmp_path / "Übung 1.wav")
    upload(page, file, "Ready:")
    assert page.get_by_label("start from").input_value() == "Übung 1.wav"
    assert page.get_by_text(
        re.compile(r"Übung 1.wav, 1(19|20)\.\d beats a minute, beats tracked")
    ).count()
    before = listen(page)
    assert before["rms"] > 0.001
    click(page, "chiptune", "Ready: chiptune")
    assert np.abs(np.subtract(listen(page)["samples"], before["samples"])).max() > 0.01
    assert "encode_clip" in page.get_by_label("as code", exact=True).input_value()
    click(page, "Compare", "to compare with")
    unfold(page, "Map of the latents", "A clip of your own", "The clip as code")
    picture(page, "08_studio_own_clip")
    unfold(page)
    start_from(page, "a seed")
    assert page.get_by_label("start from").input_value() == "a seed"
    upload(page, file, "Ready:")  # the same file once more
    assert page.get_by_label("start from").input_value() == "Übung 1.wav"
    large = write_beats(tmp_path / "large.wav", seconds=300)
    assert (
        large.stat().st_size > 13e6
    )  # a server that does not know better drops messages over 10 MB
    upload(page, large, "Ready:")
    assert page.get_by_text(
        re.compile(r"large.wav, 1(19|20)\.\d beats a minute")
    ).count()


# What a browser tells a page on which a file is dropped.
DROP = """(area, [name, sound]) => {
    const bytes = Uint8Array.from(atob(sound), (letter) => letter.charCodeAt());
    const dataTransfer = new DataTransfer();
    dataTransfer.items.add(new File([bytes], name, { type: "audio/wav" }));
    const tell = (kind) => !area.dispatchEvent(new DragEvent(kind, { dataTransfer, bubbles: true, cancelable: true }));
    return [tell("dragover"), tell("drop")]; // whether it is taken from the browser, which would leave the page
}"""


@pytest.mark.in_voila_too
def test_a_dropped_file_is_an_own_clip(page, tmp_path):
    unfold(page, "A clip of your own")
    area = page.locator(".cvae-drop")
    assert area.get_by_text("or drop the file here").is_visible()
    file = write_beats(tmp_path / "dropped.wav")
    sound = base64.b64encode(file.read_bytes()).decode()
    taken = []
    change(
        page, lambda: taken.extend(area.evaluate(DROP, ["dropped.wav", sound])), "Ready"
    )
    assert taken == [True, True]
    assert page.get_by_label("start from").input_value() == "dropped.wav"
    kept = list(page.folder.glob("output/studio/uploads/dropped*.wav"))
    assert kept[0].read_bytes() == file.read_bytes()
    assert page.get_by_text(f"Its code reads {kept[0]}").count()
    unfold(page)
    start_from(page, "a seed")
    upload(page, file, "Ready:")  # the button asks as before
    start_from(page, "a seed")


@pytest.mark.in_voila_too
def test_bad_uploads_are_answered_in_the_page(page, tmp_path):
    (tmp_path / "notes.wav").write_text("this is no sound")
    (tmp_path / "empty.mp3").write_bytes(b"")
    soundfile.write(tmp_path / "silent.wav", np.zeros(10 * RATE), RATE)
    soundfile.write(tmp_path / "short.wav", 0.1 * np.ones(RATE), RATE)
    upload(page, tmp_path / "notes.wav", "unreadable")
    upload(page, tmp_path / "empty.mp3", "empty.mp3")
    upload(page, tmp_path / "silent.wav", "silent")
    upload(page, tmp_path / "short.wav", "too short")
    upload(page, tmp_path / "short.wav", "too short")  # the same file is answered again
    picture(page, "08_studio_bad_upload")
    (tmp_path / "huge.wav").write_bytes(bytes(41 * 2**20))
    upload(page, tmp_path / "huge.wav", "expected at most 40 MB")
    page.get_by_label("or a path").fill("/no/such/file.wav")
    click(page, "Read the path", "no such file")
    click(page, "Surprise me")


def test_surprise_and_history(page):
    options = page.get_by_label("history").locator("option")
    click(page, "Surprise me")
    surprised = listen(page)["samples"]
    other = (
        "jazz" if "Ready: house" in status(page).inner_text() else "house"
    )  # a surprise may be anything
    click(page, other, f"Ready: {other}")
    page.get_by_label("history").select_option(index=1)
    assert options.count() >= 3
    picture(page, "08_studio_history")
    click(page, "Play again")
    assert listen(page)["samples"] == surprised


# What a terminal does with each text that is pasted: a Python that knows nothing; in one process, for time.
PASTED = """
import hashlib, json, sys
from cvae_music.audio.files import encode_audio

for text in json.load(sys.stdin):
    names = {}
    exec(text, names)
    made = names["samples"] if "samples" in names else names["clip"].samples
    wav = encode_audio(made, names["model"].audio_config)
    print(hashlib.sha256(wav).hexdigest())
"""


def paste_elsewhere(page, texts):
    """Hashes of the sounds that texts of Python make in another process."""
    root = Path(__file__).resolve().parents[2]
    made = subprocess.run(
        [page.python, "-c", PASTED],
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(root / "lib")},
        cwd=page.folder,
    )
    return made.stdout.split()


def copied(page, label):
    """What the button *Copy* beside a field of code puts on the clipboard."""
    box = page.locator(".cvae-code", has=page.get_by_label(label, exact=True))
    box.get_by_role("button", name="Copy").click()
    box.get_by_text("Copied: these lines make this sound again.").wait_for()
    box.locator("[role=status]").evaluate("said => { said.textContent = '' }")
    text = page.evaluate("navigator.clipboard.readText()")
    assert text == page.get_by_label(label, exact=True).input_value()
    return text


@pytest.mark.in_voila_too
def test_copied_code_makes_the_same_sounds_in_another_process(page, tmp_path):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    texts, heard = [], []

    def note(label="as code", name="the clip"):
        texts.append(copied(page, label))
        sound = player(page, name).get_attribute("src").split(",")[1]
        heard.append(hashlib.sha256(base64.b64decode(sound)).hexdigest())

    unfold(page)
    click(page, "house", "Ready: house")
    set_seed(page, 12)
    note()
    type_number(page, "jazz", 0.5)
    note()
    type_number(page, "morph", 0.3)
    type_number(page, "density", 1)
    note()
    type_number(page, "map y", -1.5)
    note()
    click(page, "Keep as A", "Kept as A")
    upload(page, write_beats(tmp_path / "mine.wav"), "Ready:")
    note()
    click(page, "Keep as B", "Kept as B")
    click(page, "Morph A to B", "Ready: morph")
    note("morph code", "the morph from A to B")
    style = page.get_by_label("style of", exact=True)
    change(page, lambda: style.select_option("the second seed"))
    note()
    page.get_by_label("history").select_option(index=1)  # the own clip, once more
    click(page, "Play again")
    assert copied(page, "as code") == texts[4]
    assert paste_elsewhere(page, texts) == heard
    assert len(set(heard)) == len(heard) == 7
    start_from(page, "a seed")
    click(page, "Sliders to 0")
