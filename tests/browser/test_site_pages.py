"""Notebook pages of the site as a reader meets them: folds, lessons, guesses, drawings, players.

They are built from notebooks that are written here, so nothing depends on what the series holds.
"""

import base64
import importlib.util
import io
import json
import re
import sys

import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from bs4 import BeautifulSoup
from conftest import PATIENCE, PYTHON, ROOT, free_port, served
from nbformat.v4 import (
    new_code_cell,
    new_markdown_cell,
    new_notebook,
    new_output,
)
from PIL import Image
from test_site import NODE_MODULES, open_page, picture, wait_for

from cvae_lab import drawing, guess
from cvae_music import AudioConfig
from cvae_music.players import player

pytestmark = pytest.mark.browser
CONFIG = AudioConfig()
SECONDS = 2.0
SETUP = "*No library, says the set-up cell? **On Colab,** drag a zip.*"
GLOSSARY = """# Glossary

- <a id="latent"></a>**latent**: The numbers between encoder and decoder, `z`.
- <a id="clip"></a>**clip**: A piece of music of eight beats.
- <a id="prior"></a>**prior**: What latents are drawn from.
"""
# Notes every sound that starts or stops, with the clock of the sound card.
LISTEN = """
window.heard = [];
window.onsets = [];
const {start, stop} = AudioBufferSourceNode.prototype;
AudioBufferSourceNode.prototype.start = function (when, offset) {
    this.number = heard.length;
    const loud = this.buffer.getChannelData(0).findIndex((value) => Math.abs(value) > 0.05);
    onsets.push(loud / this.buffer.sampleRate);
    heard.push({when, offset, now: this.context.currentTime, loop: this.loop, length: this.buffer.duration, stop: null});
    return start.apply(this, arguments);
};
AudioBufferSourceNode.prototype.stop = function (when) {
    heard[this.number].stop = when;
    return stop.apply(this, arguments);
};
"""


def tone(hertz, seconds=SECONDS):
    """A tone that is heard in the second half only."""
    time = np.arange(int(seconds * CONFIG.sample_rate)) / CONFIG.sample_rate
    return 0.3 * np.sin(2 * np.pi * hertz * time) * (time > seconds / 2)


def players(*sounds, **settings):
    shown = [player(s, CONFIG, label, **settings).data for label, s in sounds]
    return new_output("display_data", data={"text/html": "".join(shown)})


def shown(value):
    bundle = value._repr_mimebundle_()
    data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
    widget = "application/vnd.jupyter.widget-view+json"  # gone once it is published
    data = {kind: content for kind, content in data.items() if kind != widget}
    return new_output("display_data", data=data, metadata=metadata)


def figure():
    fig, ax = plt.subplots(figsize=(9, 3))
    ax.set_xlabel("time (beats)")
    file = io.BytesIO()
    fig.savefig(file, dpi=100)
    plt.close(fig)
    content = base64.b64encode(file.getvalue()).decode()
    alt = {"image/png": {"alt": "An empty axis."}}
    return new_output("display_data", data={"image/png": content}, metadata=alt)


def code(source, *outputs, tags=()):
    return new_code_cell(source, outputs=list(outputs), metadata={"tags": list(tags)})


def text(source, *tags):
    return new_markdown_cell(source, metadata={"tags": list(tags)})


def played():
    """A notebook with one of everything."""
    return [
        text(
            f"# Can I play it?\n\n{SETUP}\n\n**What you will hear:** two tones, one "
            "latent. See [03](03_next.ipynb) and [this](../README.md)."
        ),
        code("data = ''", tags=["parameters"]),
        code("import os\nimport sys\nprint(os, sys)", tags=["setup"]),
        code("import cvae_music as cm\nimport cvae_lab as lab"),
        text("## Tones\n\nEach [clip](glossary.md#clip) is a tone; a clip is short."),
        code(
            "# @title Players: two tones\nshow_clips(low, high)",
            players(("low", tone(300)), ("high", tone(3000))),
            tags=["fold"],
        ),
        code("show_clips(short)", players(("short", tone(800, 0.5)))),
        code("show_clips(round)", players(("round", tone(500)), loop=True)),
        code(
            "# @title Drawing: the block\nlab.drawing('film_block')",
            shown(drawing("film_block")),
            tags=["fold", "widget"],
        ),
        code("fig", figure(), tags=["fold"]),
        code("taught = 1"),
        text("**What we learned.** A tone of 300 Hz is low.", "lesson"),
        text("## Exercises\n\nNone."),
        text("## Questions"),
        code(
            "# @title Question 1\nlab.guess('How many genres?', 6, 'genres')",
            shown(guess("How many genres?", 6, "genres")),
            tags=["fold"],
        ),
        code(
            "# @title Question 2\nlab.guess('Which tone is low?', ...)",
            shown(guess("Which tone is low?", "300 Hz", choices=["300 Hz", "3 kHz"])),
            tags=["fold"],
        ),
        code(
            "# @title Question 3\nlab.guess('How many zips?', ...)",
            shown(guess("How many zips?", 1234.5)),
            tags=["fold"],
        ),
        text("## The answer\n\nYes.", "lesson"),
    ]


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    """Folder of a site without its front page, and what `write_pages` returned."""
    for name in ("nbconvert", "latex2mathml", "jinja2"):
        if not importlib.util.find_spec(name):
            pytest.skip("what the site needs is not installed: make site")
    sys.path.insert(0, str(ROOT / "tools"))
    from build_site import write_pages

    folder, output = (tmp_path_factory.mktemp(name) for name in ("series", "site"))
    (folder / "solutions").mkdir()
    (folder / "glossary.md").write_text(GLOSSARY, "utf-8")
    notebooks = {
        "00_play": played(),
        "03_next": [text("# What is next?"), code("1 + 1")],
        "12_last": [code("# nothing"), text("# What is last?\n\nThe prior.")],
        "solutions/03_next": [text("# Solutions of 03\n\nThe latent.")],
    }
    for name, cells in notebooks.items():
        nbformat.write(new_notebook(cells=cells), folder / f"{name}.ipynb")
    return output, write_pages(output, folder, "https://music.example/")


@pytest.fixture(scope="module")
def address(pages, tmp_path_factory):
    port = free_port()
    command = [PYTHON, "-m", "http.server", "--bind", "127.0.0.1", "--directory"]
    command += [str(pages[0]), str(port)]
    with served(command, tmp_path_factory.mktemp("server"), port) as found:
        yield f"{found}/notebooks/00_play.html"


@pytest.fixture
def opened(browser, address):
    page = open_page(browser, "about:blank", accept_downloads=True)
    page.add_init_script(LISTEN)
    page.goto(address)
    yield page
    assert page.complaints == []
    page.context.close()


def soup_of(pages, name):
    return BeautifulSoup((pages[0] / name).read_text("utf-8"), "html.parser")


def test_pages_follow_the_files(pages):
    output, found = pages
    assert [(page["number"], page["title"]) for page in found] == [
        ("00", "Can I play it?"),
        ("03", "What is next?"),
        ("12", "What is last?"),
    ]
    middle = soup_of(pages, "notebooks/03_next.html")
    links = [link["href"] for link in middle.select(".pages a")]
    assert links == ["../notebooks/00_play.html", "../notebooks/12_last.html"]
    solution = middle.select_one(".contents a")["href"]
    assert solution == "../notebooks/solutions/03_next.html"
    back = soup_of(pages, "notebooks/solutions/03_next.html")
    assert back.select_one(".contents a")["href"] == "../../notebooks/03_next.html"
    first = soup_of(pages, "notebooks/00_play.html").find("main")
    assert first.find("a", string="03")["href"] == "03_next.html"
    assert not first.find("a", string="this")  # no page of the site
    words = {
        entry["section"] for entry in json.loads((output / "search.json").read_text())
    }
    assert {"Tones", "What is last?", "latent"} <= words


def test_code_that_teaches_nothing_is_folded_under_its_title(pages):
    soup = soup_of(pages, "notebooks/00_play.html").find("main")
    assert [
        fold.get_text() for fold in soup.select(".code_cell > details > summary")
    ] == [
        "Parameters of this notebook",
        "Imports",
        "Players: two tones",
        "Drawing: the block",
        "Code, 1 line",
        "Question 1",
        "Question 2",
        "Question 3",
    ]
    assert not any(fold.has_attr("open") for fold in soup.find_all("details"))
    assert "@title" not in soup.get_text() and "On Colab" not in soup.get_text()
    for output in soup.select("audio, img, .guess"):
        assert output.find_parent("details") is None
    open_code = [block.get_text().strip() for block in soup.select("div.input")]
    assert open_code == ["show_clips(short)", "show_clips(round)", "taught = 1"]


def test_a_fold_opens(opened):
    fold = opened.locator("details", has_text="Players: two tones")
    assert fold.locator("pre").is_hidden()
    fold.locator("summary").click()
    fold.locator("pre").wait_for()
    assert fold.locator("pre").inner_text().strip() == "show_clips(low, high)"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_lessons_have_a_frame(browser, address, scheme):
    page = open_page(browser, address, color_scheme=scheme)
    assert page.locator(".celltag_lesson").count() == 2
    look = "cell => [getComputedStyle(cell).borderLeftWidth, getComputedStyle(cell).backgroundColor]"
    width, shade = page.locator(".celltag_lesson").first.evaluate(look)
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert width == "4px" and shade != paper
    page.context.close()


def ask(page, number):
    return page.locator(".guess").nth(number)


def wait_reply(guess, words):
    """Waits until a guess is answered with these words, and no others."""
    whole = re.compile(rf"^\s*{re.escape(words)}\s*$")
    guess.locator(".guess-reply", has_text=whole).wait_for()


def test_guesses_answer_without_a_kernel(opened):
    number, choice, large = (ask(opened, k) for k in range(3))
    number.get_by_role("button").click()
    wait_reply(number, "Type a number first.")
    number.locator("input").fill("7.25")
    number.get_by_role("button").click()
    wait_reply(
        number,
        "Close: off by 1.25. The answer is 6 genres. Your score on this page: 1 of 1.",
    )
    number.locator("button[disabled]").wait_for()
    choice.get_by_role("button").click()
    wait_reply(choice, "Choose one first.")
    choice.locator("select").select_option("3 kHz")
    choice.get_by_role("button").click()
    wait_reply(
        choice, "Not this time. The answer is 300 Hz. Your score on this page: 1 of 2."
    )
    large.locator("input").fill("-2000")
    large.locator("input").press("Enter")
    wait_reply(
        large, "Off by 3,235. The answer is 1,234. Your score on this page: 1 of 3."
    )
    picture(opened, "site_guesses")


@pytest.mark.parametrize(
    "given, answer, is_right, words",
    [
        (4.5, 6, True, "Close: off by 1.5"),
        (7.51, 6, False, "Off by 1.51"),
        (6, 6, True, "Right"),
        (-8, -10, True, "Close: off by 2"),
        (0.1, 0, False, "Off by 0.1"),
        ("a", "a", True, "Right"),
        ("a", "b", False, "Not this time"),
    ],
)
def test_a_quarter_of_the_answer_away_is_near(opened, given, answer, is_right, words):
    compare = "async (pair) => (await import('../scripts/guesses.js')).compare(...pair)"
    assert opened.evaluate(compare, [given, answer]) == [is_right, words]


def test_who_looks_at_the_answer_does_not_guess(opened):
    number = ask(opened, 0)
    number.locator("summary").click()
    number.get_by_text("6 genres").first.wait_for()
    opened.locator(".guess button[disabled]").wait_for()
    number.locator("input[disabled]").wait_for()


def test_without_scripts_answers_unfold_and_plain_players_stay(browser, address):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(address)
    assert page.locator("audio[controls]:visible").count() == 5
    assert page.locator(".guess-field:visible").count() == 0
    ask(page, 0).locator("summary").click()
    ask(page, 0).get_by_text("6 genres").first.wait_for()
    context.close()


def test_a_double_click_on_the_file_shows_pictures_and_plain_players(browser, pages):
    page = browser.new_context().new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(f"file://{pages[0]}/notebooks/00_play.html")
    assert page.locator("audio[controls]:visible").count() == 5
    drawn = page.locator("img.drawing")
    drawn.scroll_into_view_if_needed()
    drawn.evaluate("picture => picture.decode()")
    sound = page.locator("audio").first
    sound.evaluate(
        "sound => new Promise(read => (sound.onloadedmetadata = read, sound.preload = 'auto', sound.load()))"
    )
    assert sound.evaluate("sound => sound.duration") == pytest.approx(SECONDS, abs=0.1)
    page.context.close()


@pytest.mark.parametrize("scheme, paper", [("light", "ffffff"), ("dark", "161b22")])
def test_drawings_fit_phones_in_light_and_dark(browser, address, scheme, paper):
    page = open_page(browser, address, 390, 844, color_scheme=scheme)
    drawn = page.locator("img.drawing")
    drawn.scroll_into_view_if_needed()
    drawn.evaluate("picture => picture.decode()")
    assert drawn.get_attribute("alt").startswith("The residual block with FiLM. ")
    box = drawn.bounding_box()
    assert box["x"] >= 0 and 300 < box["width"] <= 390 - box["x"]
    assert box["height"] / box["width"] == pytest.approx(539 / 560, abs=0.01)
    shot = Image.open(io.BytesIO(drawn.screenshot())).convert("RGB")
    colours = sorted(shot.getcolors(shot.width * shot.height), reverse=True)
    assert "{:02x}{:02x}{:02x}".format(*colours[0][1]) == paper
    assert len(colours) > 20  # and something is drawn on it
    page.context.close()


def test_figures_stay_readable_on_phones_and_scroll_in_their_frame(browser, address):
    page = open_page(browser, address, 390, 844)
    drawn = page.locator(".figure img")
    box = drawn.bounding_box()  # letters of 14 pixels are 10 there
    assert box["width"] == pytest.approx(0.7 * 900, abs=1)
    assert box["height"] == pytest.approx(0.7 * 300, abs=1)
    frame = drawn.locator("..")
    assert frame.evaluate("frame => frame.scrollWidth > frame.clientWidth")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.set_viewport_size({"width": 1280, "height": 900})
    assert frame.evaluate("frame => frame.scrollWidth <= frame.clientWidth")
    page.context.close()


def test_contents_are_folded_on_phones(browser, address):
    page = open_page(browser, address, 390, 844)
    assert page.locator(".contents").is_hidden()
    assert page.locator("h1").bounding_box()["y"] < 250
    page.locator(".contents-small summary").click()
    page.locator(".contents-small a", has_text="Questions").click()
    page.wait_for_url("**#Questions")
    page.set_viewport_size({"width": 1280, "height": 900})
    page.locator(".contents").wait_for()
    page.locator(".contents-small").wait_for(state="hidden")
    page.context.close()


def test_terms_are_explained_once_and_where_the_text_links_them(pages):
    soup = soup_of(pages, "notebooks/00_play.html").find("main")
    terms = {term.get_text(): term for term in soup.select("a.term")}
    assert list(terms) == ["latent", "clip"]
    assert terms["latent"]["title"] == "The numbers between encoder and decoder, z."
    assert terms["clip"]["href"] == "glossary.html#clip"  # the text's own link
    solution = soup_of(pages, "notebooks/solutions/03_next.html").select_one("a.term")
    assert solution["href"] == "../../notebooks/glossary.html#latent"
    glossary = soup_of(pages, "notebooks/glossary.html")
    assert [term["id"] for term in glossary.find_all("dt")] == [
        "latent",
        "clip",
        "prior",
    ]


def test_every_page_has_a_preview(pages):
    wanted = {
        "notebooks/00_play.html": "What you will hear: two tones, one latent.",
        "notebooks/12_last.html": "A notebook with its code",
        "notebooks/glossary.html": "The terms of the notebooks",
        "search.html": "A conditional variational autoencoder that plays",
    }
    for name, words in wanted.items():
        soup = soup_of(pages, name)
        tags = {
            tag.get("property"): tag.get("content") for tag in soup.find_all("meta")
        }
        assert tags["og:description"].startswith(words)
        assert tags["og:title"] and tags["og:title"] == soup.title.string
        assert tags["og:image"] == "https://music.example/preview.jpg"
    assert "and 3 notebooks that build it" in tags["og:description"]


def clip(page, label):
    return page.locator(".output_html .clip", has_text=label)


def read(page, label):
    """A clip of the page, once its sound was read."""
    found = clip(page, label)
    found.scroll_into_view_if_needed()
    found.locator(".length", has_text=re.compile(r"\d s$")).wait_for()
    return found


def started(page, count):
    """What `count` starts of sounds noted."""
    wait_for(page, f"heard.length >= {count}")
    heard = page.evaluate("heard")
    assert len(heard) == count
    return heard


def place_at(sound, moment):
    """Where in its sound a source is at a moment, from 0 to 1."""
    return (sound["offset"] + moment - sound["when"]) / sound["length"]


def test_the_sound_of_a_page_comes_first(opened):
    assert opened.locator(".hear .clip").count() == 1  # the last before the exercises
    assert opened.locator(".hear").bounding_box()["y"] < 300
    assert opened.locator("audio:visible").count() == 0
    href = opened.locator(".hear a").first.get_attribute("href")
    assert opened.locator(href).locator(".clip").count() == 1


@pytest.mark.parametrize("label, hertz", [("low", 300), ("high", 3000)])
def test_the_picture_of_a_player_is_the_spectrogram_of_its_sound(opened, label, hertz):
    strip = read(opened, label).locator(".strip canvas")
    pixels = strip.evaluate("""canvas => {
        const {width, height} = canvas;
        return [width, height, ...canvas.getContext("2d").getImageData(0, 0, width, height).data];
    }""")
    width, height, *pixels = pixels
    light = np.reshape(pixels, (height, width, 4))[..., :3].sum(-1)
    row = light[:, width * 3 // 4].argmax()

    def mel(f):
        return 2595 * np.log10(1 + f / 700)

    band = (mel(hertz) - mel(30)) / (mel(10000) - mel(30)) * 65 - 1
    assert abs((height - 1 - row) - band) <= 1
    assert light[row, width * 3 // 4] > 500 > 100 > light[row, width // 4]


def test_a_player_plays_pauses_and_goes_on(opened):
    found = read(opened, "round")
    found.locator(".play").click()
    (sound,) = started(opened, 1)
    assert sound["offset"] == 0 and sound["loop"] is True
    assert sound["length"] == pytest.approx(SECONDS, abs=1e-3)  # nothing is added
    (onset,) = opened.evaluate("onsets")  # nor shifted: a loop has no seam
    assert onset == pytest.approx(SECONDS / 2, abs=2e-3)
    assert found.locator(".play").get_attribute("aria-label") == "Pause round"
    move = "head => new DOMMatrix(head.style.transform).e"
    head = found.locator(".strip-head")
    first = head.evaluate(move)
    wait_for(
        opened,
        f"({move})(document.querySelectorAll('.clip.playing .strip-head')[0]) !== {first}",
    )
    found.locator(".play").click()
    wait_for(opened, "heard[0].stop !== null")
    head.wait_for()  # where it will go on
    rest = head.evaluate(move) / found.locator(".strip").bounding_box()["width"]
    found.locator(".play").click()
    second = started(opened, 2)[1]
    assert second["offset"] / second["length"] == pytest.approx(rest, abs=1e-3)


def test_a_press_on_the_picture_plays_from_there(opened):
    found = read(opened, "low")
    width = found.locator(".strip").bounding_box()["width"]
    found.locator(".strip").click(position={"x": 0.75 * width, "y": 20})
    (sound,) = started(opened, 1)
    assert sound["offset"] / sound["length"] == pytest.approx(0.75, abs=0.01)


def test_another_of_one_output_goes_on_at_the_same_place_without_a_gap(opened):
    low, high = read(opened, "low"), read(opened, "high")
    assert [c.locator(".play").inner_text() for c in (low, high)] == ["A", "B"]
    low.locator(".play").click()
    started(opened, 1)
    high.locator(".play").click()
    first, second = started(opened, 2)
    assert second["when"] <= first["stop"] < second["when"] + 0.05
    place = second["offset"] / second["length"]
    assert place > 0
    assert place == pytest.approx(place_at(first, second["when"]), abs=0.01)
    assert opened.locator(".clip.playing").count() == 1
    picture(opened, "site_players")


def test_one_sound_plays_at_a_time(opened):
    read(opened, "round").locator(".play").click()
    started(opened, 1)
    read(opened, "low").locator(".play").click()
    first, second = started(opened, 2)
    assert first["stop"] is not None and second["stop"] is None
    assert second["offset"] == 0  # another output begins at its own place
    assert (
        opened.locator(".clip.playing .play").get_attribute("aria-label") == "Pause low"
    )


def test_a_sound_ends_unless_it_is_looped(opened):
    found = read(opened, "short")
    found.locator(".play").click()
    assert started(opened, 1)[0]["loop"] is False
    wait_for(opened, "document.querySelectorAll('.playing').length === 0")
    assert found.locator(".strip").get_attribute("aria-valuenow") == "0"
    found.get_by_role("button", name="Loop").click()
    found.locator(".repeat[aria-pressed=true]").wait_for()
    found.locator(".play").click()
    assert started(opened, 2)[1]["loop"] is True
    opened.wait_for_timeout(1000)
    assert opened.locator(".clip.playing").count() == 1
    found.get_by_role("button", name="Loop").click()  # goes on, to the end
    assert started(opened, 3)[2]["loop"] is False
    wait_for(opened, "document.querySelectorAll('.playing').length === 0")


def test_keys_seek(opened):
    found = read(opened, "low")
    found.locator(".strip").focus()
    for key in ("End", "ArrowLeft", "ArrowLeft", "Home", "ArrowRight"):
        opened.keyboard.press(key)
    strip = found.locator(".strip")
    assert strip.get_attribute("aria-valuenow") == "6"
    assert strip.get_attribute("aria-valuetext") == "0.1 s of 2.0 s"
    opened.keyboard.press(" ")
    (sound,) = started(opened, 1)
    assert sound["offset"] / sound["length"] == pytest.approx(1 / 16, abs=1e-6)


def test_a_download_is_the_file(opened, pages):
    found = read(opened, "high")
    with opened.expect_download() as download:
        found.get_by_role("link", name="Download high").click()
    assert download.value.suggested_filename == "high.mp3"
    soup = soup_of(pages, "notebooks/00_play.html")
    stored = soup.find("audio", attrs={"aria-label": "high"})["src"]
    content = (pages[0] / "notebooks" / stored).read_bytes()
    assert download.value.path().read_bytes() == content


def test_a_sound_that_cannot_be_read_keeps_the_plain_player(browser, address, pages):
    soup = soup_of(pages, "notebooks/00_play.html")
    stored = soup.find("audio", attrs={"aria-label": "high"})["src"]
    page = open_page(browser, "about:blank")
    page.route(
        f"**/{stored.rpartition('/')[2]}", lambda route: route.fulfill(status=404)
    )
    page.goto(address)
    page.locator("audio[aria-label=high]").locator("..").scroll_into_view_if_needed()
    page.locator("audio[aria-label=high]:visible").wait_for()
    page.locator(".clip", has_text="low").locator(".play").wait_for()
    assert page.locator("audio:visible").count() == 1
    page.context.close()


@pytest.mark.parametrize(
    "width, scheme",
    [(390, "light"), (1280, "light"), (1280, "dark")],
    ids=["phone", "wide", "dark"],
)
@pytest.mark.parametrize("name", ["00_play", "glossary"])
def test_axe_finds_no_serious_fault(browser, address, name, width, scheme):
    if not NODE_MODULES.is_dir():
        pytest.skip("what the site needs is not installed: make site")
    address = address.replace("00_play", name)
    page = open_page(browser, address, width, bypass_csp=True, color_scheme=scheme)
    if name == "00_play":
        read(page, "low").locator(".play").click()
        ask(page, 0).locator("input").fill("6")
        ask(page, 0).get_by_role("button").click()
    page.add_script_tag(path=NODE_MODULES / "axe-core" / "axe.min.js")
    faults = page.evaluate("axe.run()")["violations"]
    serious = [fault for fault in faults if fault["impact"] in ("serious", "critical")]
    assert [(f["id"], [n["target"] for n in f["nodes"]][:3]) for f in serious] == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.context.close()
