"""The site as a person meets it: built anew, served from this machine, played in a real browser."""

import base64
import importlib.util
import io
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
import soundfile
from bs4 import BeautifulSoup
from conftest import PYTHON, ROOT, XLA_MIN_SECONDS, free_port, served
from PIL import Image

from cvae_music.audio.analysis import log_mel

pytestmark = pytest.mark.browser
NODE_MODULES = ROOT / "site" / "node_modules"
RATE = 22050
HEAVIEST = 15e6  # bytes that the front page may load
FARTHEST = 0.1  # dB between a clip of the page and make_clip's; the promise is 1
NOTEBOOKS = sorted(path.stem for path in (ROOT / "notebooks").glob("[0-9]*.ipynb"))

# Sets controls, as {id or name: value}, and returns the clip that the page then makes.
PUT = """(values) => new Promise((resolve) => {
    const packed = (numbers) => {
        const bytes = new Uint8Array(numbers.buffer), parts = [];
        for (let at = 0; at < bytes.length; at += 8192) parts.push(String.fromCharCode(...bytes.subarray(at, at + 8192)));
        return btoa(parts.join(""));
    };
    const form = document.getElementById("instrument");
    const listen = ({detail}) => resolve([packed(detail.samples), packed(detail.levels)]);
    form.addEventListener("clip", listen, {once: true});
    for (const [name, value] of Object.entries(values)) form.elements[name].value = value;
    form.dispatchEvent(new Event("input"));
})"""
AS_OPENED = {
    "seed": 0,
    "second": 1,
    "guest": "jazz",
    "tempo": 110,
    "genre": "house",
    "blend": 0,
    "share": 0,
}
SLIDERS = [f"slider-{name}" for name in ("brightness", "density", "level", "bass")]


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """Folder of a site that was built just now."""
    if not NODE_MODULES.is_dir() or not importlib.util.find_spec("tf2onnx"):
        pytest.skip("what the site needs is not installed: make site")
    folder = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        str(ROOT / "tools" / "build_site.py"),
        "--output",
        str(folder),
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


def open_page(browser, address, width=1280, height=900, **settings):
    page = browser.new_context(
        viewport={"width": width, "height": height}, **settings
    ).new_page()
    page.set_default_timeout(XLA_MIN_SECONDS)
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
        ({"share": 0.4}, "second", 7, "morph_to=7"),
        *(
            ({}, f"slider-{name}", 1.5, f'sliders={{"{name}": 1.5}}')
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
        {"genre": "rock", "seed": 123456, "tempo": 60},
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
    places = [
        front.locator("#head").evaluate("head => head.style.transform")
        for _ in range(2)
        if not front.wait_for_timeout(300)
    ]
    assert places[0] != places[1] and front.locator("#head").is_visible()
    put(front, tempo=140)  # goes on playing
    assert front.locator("#head").is_visible()
    front.get_by_role("button", name="Stop", exact=True).click()
    assert front.locator("#head").is_hidden()


def test_head_rests_where_motion_is_not_wanted(browser, address):
    page = open_page(browser, address, reduced_motion="reduce")
    page.get_by_role(
        "button", name="Play", exact=True
    ).click()  # before the networks are there
    wait_ready(page)
    assert (
        page.get_by_role("button", name="Stop", exact=True).is_visible()
        and page.locator("#head").is_hidden()
    )
    page.context.close()


def test_keys(front):
    start_again(front)
    front.locator("#play").focus()
    front.keyboard.press("2")
    front.locator("#status", has_text="Ready: rock").wait_for()
    front.keyboard.press("p")
    assert front.get_by_role("button", name="Stop", exact=True).is_visible()
    front.keyboard.press("p")
    front.keyboard.press("n")
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
    for _ in range(16):
        front.keyboard.press("Tab")
        reached.add(
            front.evaluate("document.activeElement.id || document.activeElement.name")
        )
    wanted = {
        "another",
        "reset",
        "download",
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


@pytest.mark.parametrize("width", [390, 1280], ids=["phone", "wide"])
@pytest.mark.parametrize(
    "name", ["index", "search", "notebooks/03_vae", "notebooks/08_studio"]
)
def test_axe_finds_no_serious_fault_and_nothing_is_wider_than_the_screen(
    browser, address, name, width
):
    page = open_page(
        browser,
        f"{address}/{name}.html" + ("?q=griffin" if name == "search" else ""),
        width=width,
        bypass_csp=True,
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
    if name == "notebooks/03_vae":
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
        assert (
            len(soup.select("audio[src^='data:audio']"))
            == sum(text.count("<audio") for text in shown)
            > 0
        )
        assert all(audio.get("aria-label") for audio in soup.find_all("audio"))
        pictures = soup.find_all("img")
        assert len(pictures) == sum("image/png" in data for data in outputs) + sum(
            text.count("<img") for text in shown
        )
        assert pictures and all(img["alt"] for img in pictures)
        for code in soup.find_all(["pre", "code", "math"]):
            code.decompose()
        assert not re.search(
            r"\$[^$]*\\|\\(mathbb|frac|sum|text)\b", soup.find("main").get_text()
        )
    soup = BeautifulSoup(
        (site / "notebooks" / "03_vae.html").read_text(encoding="utf-8"), "html.parser"
    )
    assert len(soup.find_all("math")) > 30


def test_a_player_of_a_notebook_plays(browser, address):
    page = open_page(browser, f"{address}/notebooks/03_vae.html")
    audio = page.locator("audio").first
    audio.evaluate("audio => audio.play()")
    for _ in range(
        100
    ):  # the page's policy forbids the text of code that wait_for_function sends
        if audio.evaluate("audio => audio.currentTime > 0.05"):
            break
        page.wait_for_timeout(100)
    assert audio.evaluate("audio => audio.currentTime > 0.05 && audio.duration > 1")
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
    page.route("**/vocoder.onnx", lambda route: route.fulfill(status=404))
    page.goto(address)
    page.locator("#status.error", has_text="vocoder.onnx: 404").wait_for()
    context.close()
