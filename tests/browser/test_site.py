"""The site as a person meets it: built anew, served from this machine, played in a real browser."""

import base64
import gzip
import importlib.util
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import jinja2
import numpy as np
import pytest
import soundfile
import soxr
from bs4 import BeautifulSoup
from conftest import PATIENCE, PYTHON, ROOT, free_port, served
from PIL import Image

from cvae_music import encode_clip
from cvae_music.audio.analysis import log_mel
from cvae_music.saving import WEIGHTS
from known_music import compose, draw_factors

pytestmark = pytest.mark.browser
NODE_MODULES = ROOT / "site" / "node_modules"
RATE = 22050
HEAVIEST = 15e6  # bytes that the front page may load as it opens
HEAVIEST_OF_ALL = 20e6  # with an own clip and another kind of music
SECOND = WEIGHTS / "known_cvaegan.npz"  # offered beside the preset that ships
FARTHEST = 0.1  # dB between a clip of the page and make_clip's; the promise is 1
SOUND = re.compile(r'<audio[^>]* src="data:[^,]+,([^"]+)"')
NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks").glob("[0-9]*.ipynb"))

# Sets controls, as {id or name: value}, and returns the clip that the page then makes.
PUT = """(values) => new Promise((resolve) => {
    const packed = (numbers) => {
        const bytes = new Uint8Array(numbers.buffer), parts = [];
        for (let at = 0; at < bytes.length; at += 8192) parts.push(String.fromCharCode(...bytes.subarray(at, at + 8192)));
        return btoa(parts.join(""));
    };
    const form = document.getElementById("instrument");
    for (const [name, value] of Object.entries(values)) form.elements[name].value = value;
    const wanted = () => JSON.stringify(Object.fromEntries(new FormData(form)));
    const listen = ({detail}) => {
        if (JSON.stringify(detail.values) !== wanted()) return; // a clip that was on its way
        form.removeEventListener("clip", listen);
        resolve([packed(detail.samples), packed(detail.levels)]);
    };
    form.addEventListener("clip", listen);
    form.dispatchEvent(new Event("input"));
})"""
AS_OPENED = {
    "seed": 0,
    "second": 1,
    "guest": "jazz",
    "tempo": 110,
    "genre": "house",
    "drawn": "house",
    "latent": "",
    "blend": 0,
    "share": 0,
    "guidance": 0,
}
SLIDERS = [f"slider-{name}" for name in ("brightness", "density", "level", "bass")]


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """Folder of a site that was built just now, or that CVAE_MUSIC_SITE names."""
    if built := os.environ.get("CVAE_MUSIC_SITE"):
        return Path(built)
    if not NODE_MODULES.is_dir() or not importlib.util.find_spec("tf2onnx"):
        pytest.skip("what the site needs is not installed: make site")
    folder = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        str(ROOT / "tools" / "build_site.py"),
        "--output",
        str(folder),
        "--preset",
        str(SECOND),
    ]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "lib")}
    built = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert built.returncode == 0, built.stdout + built.stderr
    return folder


@pytest.fixture(scope="session")
def address(site, tmp_path_factory):
    port = free_port()
    command = [
        PYTHON,
        "-m",
        "http.server",
        "--bind",
        "127.0.0.1",
        "--directory",
        str(site),
        str(port),
    ]
    with served(command, tmp_path_factory.mktemp("server"), port) as found:
        yield found


def wait_for(page, expression):
    """Waits for a condition; the page's policy forbids the text of code that wait_for_function sends."""
    for _ in range(PATIENCE // 100):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"never: {expression}")


def open_page(browser, address, width=1280, height=900, **settings):
    page = browser.new_context(
        viewport={"width": width, "height": height}, **settings
    ).new_page()
    page.set_default_timeout(PATIENCE)
    page.complaints, page.loaded = [], []
    page.on(
        "console",
        lambda message: (
            message.type in ("error", "warning")
            and page.complaints.append(message.text)
        ),
    )
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    page.on("response", lambda response: page.loaded.append(response))
    page.goto(address)
    return page


def wait_ready(page):
    page.locator("#status", has_text="Ready:").wait_for()


@pytest.fixture(scope="module")
def front(browser, address):
    """The front page, its first clip ready; shared by the tests, each sets what it needs."""
    page = open_page(browser, address, accept_downloads=True)
    wait_ready(page)
    yield page
    page.context.close()


def put(page, **values):
    """Sets controls and returns `(samples, levels)` of the clip that the page then makes."""
    values = {name.replace("_", "-"): str(value) for name, value in values.items()}
    return [
        np.frombuffer(base64.b64decode(part), np.float32)
        for part in page.evaluate(PUT, values)
    ]


def start_again(page):
    clip = put(page, **AS_OPENED | dict.fromkeys(SLIDERS, 0))
    wait_ready(page)
    return clip


def picture(page, name, **area):
    """Keeps a picture of the page, where a folder for them is named."""
    folder = os.environ.get("CVAE_MUSIC_SCREENSHOTS")
    if folder:
        shot = Image.open(io.BytesIO(page.screenshot(**area))).convert("RGB")
        small = shot.quantize(
            256, method=Image.Quantize.MEDIANCUT, kmeans=1, dither=Image.Dither.NONE
        )
        small.save(Path(folder) / f"{name}.png", optimize=True)


def test_front_page_is_light_and_loads_from_nowhere_else(browser, address):
    page = open_page(browser, address)
    wait_ready(page)
    assert page.complaints == []
    sizes = {response.url: len(response.body()) for response in page.loaded}
    assert all(url.startswith(address) for url in sizes)
    assert {"decoder.onnx", "vocoder.onnx", "runtime.wasm.gz"} <= {
        url.rpartition("/")[2] for url in sizes
    }
    assert not any("encoder" in url or SECOND.stem in url for url in sizes)
    assert 1e6 < sum(sizes.values()) < HEAVIEST, sizes
    picture(page, "site_front_wide", full_page=True)
    page.context.close()


def test_clip_is_heard_and_has_its_length(front):
    for tempo in (110, 61, 200):
        samples, _ = put(front, tempo=tempo)
        assert len(samples) == round(8 * 60 / tempo * RATE)
        assert np.sqrt(np.mean(np.square(samples))) > 0.01 and np.all(
            np.isfinite(samples)
        )


@pytest.mark.parametrize(
    "first, control, value, argument",
    [
        ({}, "genre", "strings", 'genre={"strings": 1}'),
        ({}, "seed", 12, "seed=12"),
        ({}, "tempo", 90, "tempo=90"),
        ({}, "blend", 0.5, '"house": 0.5, "jazz": 0.5'),
        ({"blend": 0.5}, "guest", "reggae", '"house": 0.5, "reggae": 0.5'),
        ({}, "share", 0.4, "morph_to=1, morph=0.4"),
        ({}, "guidance", 1.5, "guidance=1.5"),
        ({"share": 0.4}, "second", 7, "morph_to=7"),
        *(  # in house the bass is idle
            ({"genre": "jazz"}, f"slider-{name}", 1.5, f'sliders={{"{name}": 1.5}}')
            for name in ("brightness", "density", "level", "bass")
        ),
    ],
)
def test_each_control_changes_the_sound(front, first, control, value, argument):
    before, levels = put(front, **AS_OPENED | dict.fromkeys(SLIDERS, 0) | first)
    after, changed = put(front, **{control: value})
    length = min(len(before), len(after))
    assert np.abs(before[:length] - after[:length]).max() > 0.01
    assert np.abs(levels - changed).max() > 1.0 or control == "tempo"
    assert argument in front.locator("#code").inner_text()
    assert (
        front.locator("#picture")
        .get_attribute("aria-label")
        .startswith("Spectrogram of ")
    )


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"genre": "rock", "drawn": "jazz", "seed": 123456, "tempo": 60, "guidance": 1},
        {
            "genre": "strings",
            "seed": 999_999,
            "blend": 0.35,
            "guest": "chiptune",
            "tempo": 173,
        },
        {
            "genre": "jazz",
            "seed": 4,
            "share": 0.6,
            "second": 31,
            "slider-density": 2,
            "slider-bass": -1.25,
        },
        {
            "genre": "reggae",
            "seed": 5,
            "blend": 1,
            "guest": "house",
            "slider-brightness": 1,
            "slider-level": -3,
        },
    ],
    ids=lambda settings: settings.get("genre", "as opened"),
)
def test_same_settings_give_the_clip_of_make_clip(front, settings):
    samples, levels = put(front, **AS_OPENED | dict.fromkeys(SLIDERS, 0) | settings)
    names = {}
    exec(front.locator("#code").inner_text(), names)  # the lines that the page shows
    clip, config = names["clip"], names["model"].audio_config
    assert len(samples) == len(clip.samples)
    np.testing.assert_allclose(
        levels.reshape(clip.log_mel.shape), clip.log_mel, atol=0.01
    )
    times = np.arange(config.num_frames) * 60 / clip.tempo / config.frames_per_beat
    heard, wanted = (
        log_mel(sound, times, config, wrap=True) for sound in (samples, clip.samples)
    )
    assert np.abs(heard - wanted).mean() < FARTHEST
    print(
        f"{np.abs(heard - wanted).mean():.6f} dB from make_clip, correlation of the samples "
        f"{np.corrcoef(samples, clip.samples)[0, 1]:.7f}"
    )


def test_numbers_drawn_in_the_page_are_numpys(front):
    draw = """async (seed) => {
        const {Generator} = await import("/scripts/random.js");
        const some = new Generator(seed);
        const take = (count, draw) => Array.from({length: count}, draw);
        return [take(3, () => some.random()), take(20000, () => some.normal()), take(20001, () => some.normal32()),
                take(3, () => some.random32())];
    }"""
    for seed in (0, 1, 2**32 - 1, 2**32 + 5):
        rng = np.random.default_rng(seed)
        wanted = [
            rng.random(3),
            rng.standard_normal(20000),
            rng.standard_normal(20001, np.float32),
            rng.random(3, np.float32),
        ]
        for found, expected in zip(front.evaluate(draw, seed), wanted, strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


def test_quick_changes_end_at_the_last(front):
    start_again(front)
    front.evaluate("""for (let seed = 20; seed < 30; seed++) {
        document.getElementById("seed").value = seed;
        document.getElementById("seed").dispatchEvent(new Event("input", {bubbles: true}));
    }""")
    front.locator("#status", has_text="Ready: house, seed 29,").wait_for()
    assert "seed=29" in front.locator("#code").inner_text()


def test_plays_with_a_moving_head_and_stops(front):
    start_again(front)
    front.get_by_role("button", name="Play", exact=True).click()
    head = front.locator("#head")
    head.wait_for()
    before = head.evaluate("head => head.style.transform")
    wait_for(front, f"document.getElementById('head').style.transform !== '{before}'")
    put(front, tempo=140)  # goes on playing
    head.wait_for()
    front.get_by_role("button", name="Stop", exact=True).click()
    head.wait_for(state="hidden")


def test_head_rests_where_motion_is_not_wanted(browser, address):
    page = open_page(browser, address, reduced_motion="reduce")
    page.get_by_role(
        "button", name="Play", exact=True
    ).click()  # before the networks are there
    wait_ready(page)
    page.get_by_role("button", name="Stop", exact=True).wait_for()
    assert page.locator("#head").is_hidden()
    page.context.close()


def test_keys(front):
    start_again(front)
    front.evaluate("document.activeElement.blur(), scrollTo(0, 0)")
    front.keyboard.press("2")
    front.locator("#status", has_text="Ready: rock").wait_for()
    for key in (" ", "P"):
        front.keyboard.press(key)
        front.get_by_role("button", name="Stop", exact=True).wait_for()
        front.keyboard.press("p")
        front.get_by_role("button", name="Play", exact=True).wait_for()
    assert front.evaluate("scrollY") == 0
    front.keyboard.press("N")
    front.locator("#status", has_text=re.compile(r"Ready: rock, seed [1-9]")).wait_for()
    front.locator("#slider-bass").focus()
    front.keyboard.press("ArrowRight")
    front.locator("#status", has_text="bass +0.25").wait_for()
    front.locator("#seed").focus()
    front.keyboard.press("End")
    front.keyboard.press("1")  # a digit of the seed, not a genre
    assert front.locator("[name=genre]:checked").get_attribute("value") == "rock"
    reached = set()
    front.locator("#play").focus()
    for _ in range(32):
        front.keyboard.press("Tab")
        reached.add(
            front.evaluate("document.activeElement.id || document.activeElement.name")
        )
    wanted = {
        "another",
        "copy-link",
        "reset",
        "download",
        "file",
        "drawn",
        "genre",
        "seed",
        "second",
        "share",
        "guest",
        "blend",
        "tempo",
        "slider-bass",
    }
    assert wanted <= reached


def test_space_presses_a_button_that_the_keyboard_reached(front):
    start_again(front)
    front.locator("#play").focus()
    front.keyboard.press("Tab")
    front.keyboard.press(" ")
    front.locator("#status", has_text=re.compile("Ready: house, seed [1-9]")).wait_for()
    front.locator("#another").click()
    front.keyboard.press(" ")  # after a click it plays, as everywhere else
    front.get_by_role("button", name="Stop", exact=True).click()


def test_another_genre_keeps_the_idea_and_new_idea_draws_another(front):
    start_again(front)
    put(front, genre="jazz")
    code = front.locator("#code").inner_text()
    assert 'seed=0, tempo=110, genre={"jazz": 1}, prior_genre="house"' in code
    front.locator("#another").click()
    front.locator("#status", has_text=re.compile("Ready: jazz, seed [1-9]")).wait_for()
    assert 'prior_genre="jazz"' in front.locator("#code").inner_text()


def test_second_genre_is_never_the_first(front):
    start_again(front)
    put(front, genre="jazz")  # jazz was the second one
    assert front.locator("#guest").input_value() == "house"
    assert front.locator("#guest option:disabled").all_inner_texts() == ["jazz"]
    _, alone = put(front, blend=0)
    _, mixed = put(front, blend=1)
    assert np.abs(alone - mixed).max() > 1.0
    assert 'genre={"house": 1}' in front.locator("#code").inner_text()


def test_what_is_asked_for_is_heard_where_a_mix_or_a_morph_was_whole(front):
    start_again(front)
    put(front, blend=1, guest="jazz")
    front.locator("#genres label", has_text="rock").click()
    front.locator("#status", has_text="Ready: rock").wait_for()
    assert front.locator("#blend").input_value() == "0"
    put(front, blend=1, guest="jazz")
    front.locator("body").press("5")
    front.locator("#status", has_text="Ready: reggae").wait_for()
    put(front, second=5, share=1)
    front.locator("#another").click()
    seed = front.locator("#seed")
    front.locator(
        "#status", has_text=re.compile("Ready: reggae, seed [1-9]")
    ).wait_for()
    assert f"seed={seed.input_value()}," in front.locator("#code").inner_text()
    assert front.locator("#share").input_value() == "0"


def test_the_lines_of_code_can_be_copied(front):
    start_again(front)
    code = front.locator("#code").inner_text()
    front.context.grant_permissions(["clipboard-read", "clipboard-write"])
    front.locator("#copy-code").click()
    front.locator("#status", has_text="Copied: these lines").wait_for()
    assert front.evaluate("navigator.clipboard.readText()") == code
    front.evaluate("void (navigator.clipboard.writeText = () => Promise.reject())")
    front.locator("#copy-code").click()  # where the browser lets nobody copy
    front.locator("#status", has_text="selected: copy them").wait_for()
    assert front.evaluate("getSelection().toString().trim()") == code.strip()
    front.evaluate("delete navigator.clipboard.writeText")


def test_the_site_plays_in_a_subfolder(browser, site, tmp_path):
    port = free_port()
    command = [PYTHON, "-m", "http.server", "--bind", "127.0.0.1"]
    command += ["--directory", str(site.parent), str(port)]
    with served(command, tmp_path, port) as found:
        page = open_page(browser, f"{found}/{site.name}/")
        wait_ready(page)
        page.locator("#notebooks a").first.click()
        page.locator("main.notebook, main h1").first.wait_for()
        assert page.complaints == []
        page.context.close()


def test_morph_to_the_same_seed_is_answered(front):
    start_again(front)
    put(front, share=0.5)
    front.locator("#second").fill("0")
    front.locator("#status.error", has_text="expected another seed").wait_for()
    front.locator("#second").fill("2")
    front.locator("#status", has_text="50% towards seed 2").wait_for()


def test_wrong_seed_is_answered(front):
    start_again(front)
    for text in ("-1", "1.5", ""):
        front.locator("#seed").fill(text)
        front.locator(
            "#status.error", has_text="expected a whole number from 0 to 1000000"
        ).wait_for()
    front.locator("#seed").fill("3")
    front.locator("#status", has_text="Ready: house, seed 3").wait_for()
    assert front.locator("#status.error").count() == 0


def test_download_is_the_clip(front, tmp_path):
    start_again(front)
    clip, _ = put(front, seed=8)
    with front.expect_download() as download:
        front.get_by_role("button", name="Download WAV").click()
    assert download.value.suggested_filename == "house_seed8_110bpm.wav"
    download.value.save_as(tmp_path / "clip.wav")
    samples, rate = soundfile.read(tmp_path / "clip.wav")
    assert rate == RATE
    np.testing.assert_allclose(samples, clip / max(1.0, np.abs(clip).max()), atol=1e-4)


@pytest.mark.parametrize(
    "width, scheme",
    [(390, "light"), (1280, "light"), (1280, "dark")],
    ids=["phone", "wide", "dark"],
)
@pytest.mark.parametrize(
    "name", ["index", "search", "notebooks/03_vae", "notebooks/08_studio"]
)
def test_axe_finds_no_serious_fault_and_nothing_is_wider_than_the_screen(
    browser, address, name, width, scheme
):
    page = open_page(
        browser,
        f"{address}/{name}.html" + ("?q=griffin" if name == "search" else ""),
        width=width,
        bypass_csp=True,
        color_scheme=scheme,
    )
    if name == "index":
        wait_ready(page)
    if name == "search":
        page.locator("#results li").first.wait_for()
    page.add_script_tag(path=NODE_MODULES / "axe-core" / "axe.min.js")
    faults = page.evaluate("axe.run()")["violations"]
    serious = [fault for fault in faults if fault["impact"] in ("serious", "critical")]
    assert [
        (fault["id"], [node["target"] for node in fault["nodes"]][:3])
        for fault in serious
    ] == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if name == "index" and width == 390:
        picture(page, "site_front_phone", full_page=True)
    if name == "index" and scheme == "dark":
        picture(page, "site_front_dark")
    if name == "notebooks/03_vae" and scheme == "light":
        page.evaluate(
            "document.querySelector('.notebook audio').scrollIntoView({block: 'end', behavior: 'instant'})"
        )
        page.wait_for_timeout(300)
        picture(page, {390: "site_notebook_phone", 1280: "site_notebook_wide"}[width])
    page.context.close()


def test_axe_would_find_a_fault(browser, address):
    page = open_page(browser, f"{address}/search.html", bypass_csp=True)
    page.evaluate(
        "document.querySelector('label[for=find]').remove(), document.getElementById('find').placeholder = ''"
    )
    page.add_script_tag(path=NODE_MODULES / "axe-core" / "axe.min.js")
    assert "label" in {
        fault["id"] for fault in page.evaluate("axe.run()")["violations"]
    }
    page.context.close()


def pages(site):
    return {
        path: BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
        for path in sorted(site.rglob("*.html"))
    }


def test_no_link_is_dead(site):
    found = pages(site)
    dead, check_number = [], 0
    for path, soup in found.items():
        addresses = [
            tag.get("href") or tag.get("src") or tag.get("action")
            for tag in soup.find_all(["a", "link", "script", "img", "audio", "form"])
        ]
        for target in filter(None, addresses):
            if re.match(r"(https?|data|mailto):", target):
                continue
            parts, check_number = urlsplit(target), check_number + 1
            to = (path.parent / parts.path).resolve() if parts.path else path
            anchor = [parts.fragment, unquote(parts.fragment)]  # browsers try both
            if not to.is_file() or (
                parts.fragment
                and to.suffix == ".html"
                and not found[to].find(id=anchor)
            ):
                dead.append(f"{path.relative_to(site)}: {target}")
    assert dead == [] and check_number > 300


def test_nothing_on_any_page_would_load_from_elsewhere(site):
    for path, soup in pages(site).items():
        for tag in soup.find_all(
            ["link", "script", "img", "audio", "source", "iframe"]
        ):
            target = tag.get("href") or tag.get("src") or ""
            assert not re.match(r"(https?:)?//", target), f"{path.name}: {target}"
        assert (
            "default-src 'none'"
            in soup.find("meta", attrs={"http-equiv": "Content-Security-Policy"})[
                "content"
            ]
        )


def test_notebooks_keep_their_sounds_pictures_and_formulas(site):
    for name in NOTEBOOKS:
        soup = BeautifulSoup(
            (site / "notebooks" / f"{name}.html").read_text(encoding="utf-8"),
            "html.parser",
        )
        notebook = json.loads(
            (ROOT / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8")
        )
        outputs = [
            output.get("data", {})
            for cell in notebook["cells"]
            for output in cell.get("outputs", [])
        ]
        shown = ["".join(data.get("text/html", "")) for data in outputs]
        sounds = [audio["src"] for audio in soup.select(".output_html audio[src]")]
        assert len(sounds) == sum(text.count("<audio") for text in shown)
        stored = [(site / "notebooks" / sound).read_bytes() for sound in sounds]
        for sound, given in zip(stored, SOUND.findall("".join(shown)), strict=True):
            assert sound == base64.b64decode(given)
        assert all(audio.get("aria-label") for audio in soup.find_all("audio"))
        pictures = soup.find_all("img")
        assert len(pictures) == sum(
            "image/png" in data or "image/svg+xml" in data for data in outputs
        ) + sum(text.count("<img") for text in shown)
        assert all(img["alt"] for img in pictures)
        for code in soup.find_all(["pre", "code", "math"]):
            code.decompose()
        assert not re.search(
            r"\$[^$]*\\|\\(mathbb|frac|sum|text)\b", soup.find("main").get_text()
        )
    soup = BeautifulSoup(
        (site / "notebooks" / "03_vae.html").read_text(encoding="utf-8"), "html.parser"
    )
    assert len(soup.find_all("math")) > 30


def test_notebook_pages_begin_with_sound_without_set_up_and_explain_terms(site):
    glossary = BeautifulSoup(
        (site / "notebooks" / "glossary.html").read_text("utf-8"), "html.parser"
    )
    for name in NOTEBOOKS:
        page = (site / "notebooks" / f"{name}.html").read_text("utf-8")
        soup = BeautifulSoup(page, "html.parser").find("main")
        assert "No library, says the set-up cell" not in soup.get_text()
        assert "@title" not in soup.get_text()
        for tag in ("setup", "parameters"):
            assert not soup.select(f".celltag_{tag} > div.input")
        hear = soup.select_one(".hear")
        if soup.select(".output_html audio"):
            assert 1 <= len(hear.find_all("audio")) <= 3
            assert hear.find_previous_sibling().name == "h1"
            assert soup.find(id=hear.find("a")["href"][1:]).find("audio")
        for term in soup.select("a.term"):
            anchor = term["href"].partition("#")[2]
            meaning = glossary.find(id=anchor).find_next("dd").get_text()
            assert meaning == term["title"]
        assert soup.select("a.term")


def test_a_player_of_a_notebook_plays(browser, address):
    page = open_page(browser, f"{address}/notebooks/03_vae.html")
    page.locator(".clip .play").first.click()
    head = page.locator(".clip.playing .strip-head")
    head.wait_for()
    before = head.evaluate("head => head.style.transform")
    found = "document.querySelector('.clip.playing .strip-head')"
    wait_for(page, f"{found}.style.transform !== '{before}'")
    assert page.complaints == []
    page.context.close()


def test_next_leads_through_all_notebooks_and_previous_back(browser, address):
    page = open_page(browser, address)

    def follow(link):
        link.click()
        page.wait_for_load_state()  # the links stand at the end of a long page
        return page.url

    seen = [follow(page.locator("#notebooks a").first)]
    while page.locator(".pages a", has_text="Next").count():
        seen.append(follow(page.locator(".pages a", has_text="Next")))
    assert [url.rpartition("/")[2] for url in seen] == [
        f"{name}.html" for name in NOTEBOOKS
    ]
    for expected in seen[-2::-1]:
        assert follow(page.locator(".pages a", has_text="Previous")) == expected
    page.context.close()


def test_search_finds_sections_and_says_when_there_is_none(browser, address):
    page = open_page(browser, f"{address}/notebooks/01_prepare_audio.html")
    page.get_by_label("Search the notebooks").fill("heap phases")
    page.keyboard.press("Enter")
    page.locator("#found", has_text=re.compile(r"^[1-9]\d* sections? with")).wait_for()
    first = page.locator("#results a").first
    assert first.get_attribute("href").startswith("notebooks/11_back_to_sound.html#")
    first.click()
    page.wait_for_load_state()  # the section stands far down
    assert page.evaluate(
        "document.getElementById(decodeURIComponent(location.hash.slice(1))) !== null"
    )
    page.goto(f"{address}/search.html?q=zzyzx+heap")
    page.locator("#found", has_text="0 sections with").wait_for()
    page.goto(f"{address}/search.html?q=%3Cimg+src%3Dx+onerror%3Dalert(1)%3E(")
    page.locator("#found", has_text="0 sections with").wait_for()
    assert page.locator("main img").count() == 0 and page.complaints == []
    page.context.close()


def test_missing_network_is_said(browser, address):
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.route("**/vocoder.onnx", lambda route: route.fulfill(status=404))
    page.goto(address)
    page.locator("#status.error", has_text="vocoder.onnx: 404").wait_for()
    context.close()


def sent_as(content_type):
    """Answers as a server does that sends every file as of one type."""

    def answer(route):
        response = route.fetch()
        headers = response.headers | {"content-type": content_type}
        route.fulfill(response=response, headers=headers)

    return answer


@pytest.mark.parametrize("name", ["index", "search"])
@pytest.mark.parametrize("cause", ["double click", "text", "unknown", "no scripts"])
def test_a_page_whose_scripts_do_not_run_says_why(browser, site, address, name, cause):
    context = browser.new_context(java_script_enabled=cause != "no scripts")
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    kinds = {"text": "text/plain", "unknown": "application/octet-stream"}
    if cause in kinds:
        page.route("**/*.js", sent_as(kinds[cause]))
    start = f"file://{site}" if cause == "double click" else address
    page.goto(f"{start}/{name}.html")
    page.locator("#blocked").wait_for(timeout=PATIENCE)
    assert "text/javascript" in page.locator("#blocked").inner_text()
    assert "Loading" not in page.locator("main").inner_text()
    context.close()


def test_a_page_whose_scripts_run_says_nothing_of_them(browser, address, site):
    page = open_page(browser, address)
    wait_ready(page)
    assert page.locator("#blocked").count() == 0
    page.goto(f"{address}/search.html")
    page.locator("#found", has_text="Type words").wait_for()
    assert page.locator("#blocked").count() == 0 and page.complaints == []
    assert not list(site.rglob("*.mjs"))
    page.context.close()


@pytest.mark.parametrize("first", ["the script", "the finished clips"])
def test_a_module_that_is_not_sent_as_one_is_the_servers_fault(browser, address, first):
    page = browser.new_context().new_page()
    page.set_default_timeout(PATIENCE)
    late = "**/finished/*" if first == "the script" else "**/vendor/*"
    held = []

    def hold(route):
        held.append(route)

    page.route("**/vendor/*", sent_as("application/octet-stream"))
    page.route(late, hold)
    page.goto(address)
    fault = page.locator("#status.error", has_text="server has to send .js files")
    if first == "the script":
        fault.wait_for()
    else:
        page.locator("#status", has_text="From a file").wait_for()
    page.unroute(late, hold)
    for route in held:
        route.fallback()
    wait_for(page, "performance.getEntriesByName('finished').length")
    fault.wait_for()
    page.context.close()
    page.context.close()


def test_a_page_in_the_place_of_a_network_is_named(browser, address):
    page = browser.new_context().new_page()
    page.set_default_timeout(PATIENCE)
    page.route("**/vocoder.onnx", sent_as("text/html; charset=utf-8"))
    page.goto(address)
    page.locator("#status.error", has_text="vocoder.onnx: the server sent a").wait_for()
    page.context.close()


def test_a_server_that_has_the_browser_unpack_gz_is_understood(browser, address, site):
    packed = (site / "instrument" / "runtime.wasm.gz").read_bytes()
    page = browser.new_context().new_page()
    page.set_default_timeout(PATIENCE)
    page.route(
        "**/runtime.wasm.gz", lambda route: route.fulfill(body=gzip.decompress(packed))
    )
    page.goto(address)
    wait_ready(page)
    page.context.close()


@pytest.mark.parametrize(
    "name, genre, drawn, has_controls",
    [("real_cvaegan", "folk", "metal", True), (SECOND.stem, "strings", "jazz", False)],
)
def test_another_kind_of_music_is_loaded_when_it_is_chosen(
    browser, address, name, genre, drawn, has_controls
):
    page = open_page(browser, address)
    wait_ready(page)
    put(page, tempo=90, genre="rock")
    page.locator(f"[name=music][value={name}]").check()
    page.locator("#code", has_text=name).wait_for()
    state = "visible" if has_controls else "hidden"
    page.locator("#slider-bass").wait_for(state=state)
    _, levels = put(page, genre=genre, seed=3, drawn=drawn)
    names = {}
    exec(page.locator("#code").inner_text(), names)
    assert names["clip"].tempo == 90
    np.testing.assert_allclose(levels, names["clip"].log_mel.ravel(), atol=0.01)
    sizes = {response.url: len(response.body()) for response in page.loaded}
    assert sum(sizes.values()) < HEAVIEST_OF_ALL - 2e6  # an encoder more
    page.locator("[name=music][value=known_cvae]").check()
    page.locator("#code", has_text='"known_cvae"').wait_for()
    page.locator("#slider-bass").wait_for()
    assert page.complaints == []
    page.context.close()


def test_one_kind_of_music_is_no_choice(site):
    page = BeautifulSoup((site / "index.html").read_text("utf-8"), "html.parser")
    data = json.loads(page.find(id="presets").string)
    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ROOT / "site" / "templates")
    )
    data["presets"] = data["presets"][:1]
    alone = templates.get_template("index.html").render(project={}, **data)
    for soup, is_hidden in ((page, False), (BeautifulSoup(alone, "html.parser"), True)):
        choice = soup.find("input", attrs={"name": "music"}).find_parent("fieldset")
        assert choice.has_attr("hidden") == is_hidden


@pytest.fixture(scope="module")
def own_clip(tmp_path_factory):
    """A WAV file as of a CD: half a second of hiss, then a minute of house, in stereo."""
    row = draw_factors(6, seed=5).iloc[0].to_dict()
    music = compose(row, RATE, 96).astype(np.float32)
    rng = np.random.default_rng(0)
    music = np.concatenate([rng.normal(0, 0.003, RATE // 2), music])
    music = soxr.resample(music, RATE, 2 * RATE)
    music += rng.normal(0, 0.01, len(music))  # to 22 kHz
    path = tmp_path_factory.mktemp("own") / "mine.wav"
    soundfile.write(path, np.stack([music, 0.5 * music], axis=1), 2 * RATE)
    return path


def latent_of(page):
    """The latent that the address carries."""
    found = parse_qs(urlsplit(page.url).fragment)["latent"][0]
    return np.frombuffer(base64.urlsafe_b64decode(found + "=="), "<f4")


def run_code(page, folder):
    """What the lines of Python that the page shows leave, run beside the file."""
    names = {}
    code = page.locator("#code").inner_text()
    exec(code.replace('"mine.wav"', repr(str(folder / "mine.wav"))), names)
    return names


def test_own_clip_has_the_latent_of_encode_clip(browser, address, own_clip):
    page = open_page(browser, address)
    wait_ready(page)
    before = len(page.loaded)
    page.locator("#file").set_input_files(own_clip)
    page.locator("#status", has_text="Ready: house, mine.wav").wait_for()
    names = run_code(page, own_clip.parent)
    expected = encode_clip(names["model"], own_clip)
    np.testing.assert_allclose(latent_of(page), expected, atol=1e-3)
    assert page.locator("#tempo").input_value() == f"{names['clip'].tempo:.0f}"
    assert "beats found" in page.locator("#about-own").inner_text()
    loaded = [response.url.rpartition("/")[2] for response in page.loaded[before:]]
    assert set(loaded) - {"favicon.svg"} == {"encoder.onnx"}  # and nothing was sent
    samples, levels = put(page, genre="strings")  # as another style
    names = run_code(page, own_clip.parent)
    np.testing.assert_allclose(levels, names["clip"].log_mel.ravel(), atol=0.05)
    assert len(samples) == len(names["clip"].samples)
    picture(page, "site_own_wide", full_page=True)
    page.locator("#from").fill("7.5")  # another region
    page.locator("#from").dispatch_event("change")
    page.locator("#code", has_text='"mine.wav", 7.5').wait_for()
    expected = encode_clip(names["model"], own_clip, 7.5)
    np.testing.assert_allclose(latent_of(page), expected, atol=1e-3)
    page.locator("#beats").fill("100")  # a tempo that was typed
    page.locator("#beats").blur()
    page.locator("#code", has_text="* 60 / 100").wait_for()
    assert page.locator("#tempo").input_value() == "100"
    expected = run_code(page, own_clip.parent)["latent"]
    np.testing.assert_allclose(latent_of(page), expected, atol=1e-3)
    assert page.complaints == []
    page.context.close()


def test_own_clip_is_compared_left_and_sent(browser, address, own_clip):
    page = open_page(browser, address)
    wait_ready(page)
    page.locator("#file").set_input_files(own_clip)
    page.locator("#status", has_text="Ready: house, mine.wav").wait_for()
    page.locator("#play").click()
    page.locator("#hear-own").click()
    page.locator("#hear-own[aria-pressed=true]").wait_for()
    page.locator("#head").wait_for()
    page.keyboard.press("o")
    page.locator("#hear-made[aria-pressed=true]").wait_for()
    sent = open_page(browser, page.url)  # without the file
    wait_ready(sent)
    assert "somebody’s own clip" in sent.locator("#status").inner_text()
    names = {}
    exec(sent.locator("#code").inner_text(), names)
    np.testing.assert_array_equal(names["latent"], latent_of(page))
    sent.context.close()
    page.locator("#leave-own").click()
    page.locator("#status", has_text="Ready: house, seed 0").wait_for()
    assert "latent" not in page.url
    page.context.close()


def test_files_that_cannot_be_heard_are_answered(front, tmp_path):
    start_again(front)
    (tmp_path / "notes.txt").write_text("no sound")
    soundfile.write(tmp_path / "silent.wav", np.zeros(RATE), RATE)
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, RATE)
    soundfile.write(tmp_path / "short.wav", noise, RATE)
    for name, answer in (
        ("notes.txt", "is no sound that this browser reads"),
        ("silent.wav", "There is no sound here"),
        ("short.wav", "expected at least 8"),
    ):
        front.locator("#file").set_input_files(tmp_path / name)
        front.locator("#status.error", has_text=answer).wait_for()


def test_clips_sound_before_the_networks_are_there(browser, address):
    page = browser.new_context().new_page()
    page.set_default_timeout(PATIENCE)
    held = []
    page.route("**/decoder.onnx", lambda route: held.append(route))
    page.goto(address)
    page.locator("#status", has_text="From a file").wait_for()
    page.locator(
        "#megabytes", has_text=re.compile(r"[1-9]\.\d of \d+\.\d MB")
    ).wait_for()
    page.locator("#play").click()
    page.locator("#head").wait_for()
    page.keyboard.press("3")
    page.locator(
        "#status", has_text="From a file, until the networks are there: jazz"
    ).wait_for()
    assert 'genre={"jazz": 1}' in page.locator("#code").inner_text()
    for route in held:
        route.continue_()
    page.locator("#status", has_text="Ready: jazz, seed 0").wait_for()
    page.locator("#loading").wait_for(state="hidden")
    page.locator("#head").wait_for()
    page.context.close()


def test_finished_clips_are_those_of_the_networks(front, site):
    start_again(front)
    folder = site / "instrument" / "known_cvae" / "finished"
    pictures = np.fromfile(folder / "levels.bin", np.uint8).reshape(6, -1)
    for number in (0, 3):
        genre = ("house", "rock", "jazz", "chiptune")[number]
        samples, levels = put(front, genre=genre)
        np.testing.assert_allclose(pictures[number] / 255 * 70 - 70, levels, atol=0.2)
        sound, _ = soundfile.read(folder / f"{number}.mp3")
        spectrum = np.fft.rfft(sound, 2**18), np.fft.rfft(samples, 2**18)
        match = np.fft.irfft(spectrum[0] * np.conj(spectrum[1]))
        assert match.max() > 0.97 * np.sum(samples**2)


def test_address_brings_a_clip_back(browser, address):
    page = open_page(browser, address)
    wait_ready(page)
    assert urlsplit(page.url).fragment == ""
    page.keyboard.press("3")
    page.locator("#status", has_text="Ready: jazz").wait_for()
    assert urlsplit(page.url).fragment == "genre=jazz"
    page.locator("#slider-bass").focus()
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    page.locator("#status", has_text="bass -0.75").wait_for()
    page.locator("#seed").fill("12")
    page.locator("#status", has_text="seed 12").wait_for()
    assert urlsplit(page.url).fragment == "genre=jazz&seed=12&bass=-0.75"
    code = page.locator("#code").inner_text()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("#copy-link").click()
    page.locator("#status", has_text="Copied").wait_for()
    link = page.evaluate("navigator.clipboard.readText()")
    assert page.locator("#last button").count() == 5  # each press of the arrow is one
    page.locator("#back").click()
    page.locator("#status", has_text="seed 0").wait_for()
    page.locator("#last button").last.click()
    page.locator("#status", has_text="Ready: house, seed 0, 110").wait_for()
    page.locator("#last [aria-current=true]").wait_for()  # one, or this fails
    picture(page, "site_front_after")
    sent = open_page(browser, link)
    wait_ready(sent)
    assert sent.locator("#code").inner_text() == code
    sent.locator("#back[disabled]").wait_for(state="attached")
    sent.context.close()
    page.context.close()


@pytest.mark.parametrize(
    "fragment, words",
    [
        ("genre=nonsense&seed=abc&tempo=&latent=AAAA", "house, seed 0, 110 bpm"),
        ("genre=jazz&guest=jazz&blend=0.5", "50% jazz, 50% house, seed 0, 110"),
        ("music=nothing&genre=rock", "rock, seed 0"),
        ("notebooks", "house, seed 0"),
    ],
)
def test_wrong_addresses_open_the_page(browser, address, fragment, words):
    page = open_page(browser, f"{address}/#{fragment}")
    page.locator("#status", has_text=f"Ready: {words}").wait_for()
    assert page.complaints == []
    page.context.close()


def test_a_touch_on_the_picture_plays_from_there(front):
    start_again(front)
    width = front.locator("#screen").bounding_box()["width"]
    front.locator("#screen").click(position={"x": 0.75 * width, "y": 20})
    head = front.locator("#head")
    head.wait_for()
    place = head.evaluate("""head => head.getBoundingClientRect().x
        - document.getElementById("screen").getBoundingClientRect().x""")
    assert 0.7 * width < place
    front.get_by_role("button", name="Stop", exact=True).click()


def test_transport_stays_in_reach_on_a_phone(browser, address):
    page = open_page(browser, address, 390, 844, has_touch=True, is_mobile=True)
    wait_ready(page)
    for control in ("#slider-density", "#seed", "#picture"):
        page.locator(control).scroll_into_view_if_needed()
        box = page.locator("#play").bounding_box()
        assert 0 < box["y"] < 844 - box["height"]
    picture(page, "site_front_phone_reach")
    page.locator("#play").tap()
    page.locator("#slider-density").scroll_into_view_if_needed()
    touch = page.context.new_cdp_session(page)
    box = page.locator("#slider-density").bounding_box()
    middle = box["y"] + box["height"] / 2
    for share in (0.5, 0.6, 0.7, 0.8):  # a finger that stays down
        point = {"x": box["x"] + share * box["width"], "y": middle}
        kind = "touchStart" if share == 0.5 else "touchMove"
        touch.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [point]})
        stop = page.locator("#play").bounding_box()
        assert 0 < stop["y"] < 844 - stop["height"]
    touch.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    assert float(page.locator("#slider-density").input_value()) > 0
    page.locator("#status", has_text="density +").wait_for()
    page.locator("#head").wait_for()  # it went on playing
    page.locator("#play").tap()
    page.locator("#head").wait_for(state="hidden")
    page.context.close()


def test_links_say_what_they_lead_to(site):
    page = BeautifulSoup((site / "index.html").read_text("utf-8"), "html.parser")
    tags = {tag.get("property", tag.get("name")): tag for tag in page.find_all("meta")}
    for name in ("description", "og:title", "og:description", "og:image"):
        assert tags[name]["content"]
    preview = Image.open(site / tags["og:image"]["content"])
    assert preview.size == (1200, 630) and len(set(preview.getdata())) > 1000
    foot = page.find("footer").get_text()
    assert "MIT" in foot and "CC BY" in foot and "cvae-music" in foot
