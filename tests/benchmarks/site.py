"""Measures the site as built by `make site`: until the first sound, from a control's change to the sound, and its weight.

    python tests/benchmarks/site.py [--repeats 15] [--openings 5]

Medians over the repeats in milliseconds, on the wall and of the processor (all of the browser's processes; other work
beside it lengthens the wall alone). The first sound counts from the opening of the page in a fresh headless Chromium
with Play pressed at once; it comes from a file, and the first clip of the networks follows. A change counts from the
control's event, a clip of one's own (half a minute, as of a CD) from the choice of its file, all until the samples are
handed to the player. The table goes to `lib/cvae_lab/results/site_timings.csv`.
"""

import argparse
import functools
import http.server
import os
import shutil
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
from playwright.sync_api import sync_playwright

from known_music import compose, draw_factors

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "lib" / "cvae_lab" / "results" / "site_timings.csv"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--autoplay-policy=no-user-gesture-required",
]
TICK = os.sysconf("SC_CLK_TCK")
MARK = "(name) => performance.getEntriesByName(name)[0].startTime"
NEXT_CLIP = """(act) => new Promise((resolve) => {
    document.getElementById("instrument").addEventListener("clip", ({detail}) => resolve(detail.milliseconds), {once: true});
    const [id, value] = act;
    const control = document.getElementById(id) ?? document.querySelector(`[name=${id}][value=${value}]`);
    if (control.type === "radio") control.checked = true; else control.value = value;
    control.dispatchEvent(new Event("input", {bubbles: true}));
})"""
GENRES = ("rock", "jazz", "chiptune", "reggae", "strings", "house")
CHANGES = {
    "seed": lambda k: ("seed", str(100 + k)),
    "genre": lambda k: ("genre", GENRES[k % len(GENRES)]),
    "half and half": lambda k: ("blend", str(0.5 - 0.05 * (k % 2))),
    "brightness": lambda k: ("slider-brightness", str(0.25 * (k % 8) - 1)),
    "tempo": lambda k: ("tempo", str(110 + k)),
    "tempo of 60, twice the frames": lambda k: ("tempo", str(60 + k % 3)),
}


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        pass


def processor_seconds():
    """Processor time of the processes that descend from this one, as a browser's do."""
    parents, times = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # ended meanwhile
        parents[int(folder.name)], times[int(folder.name)] = (
            int(fields[1]),
            (int(fields[11]) + int(fields[12])) / TICK,
        )

    def is_ours(process):
        while process in parents:
            if parents[process] == os.getpid():
                return True
            process = parents[process]
        return False

    return sum(seconds for process, seconds in times.items() if is_ours(process))


def timed(page, act):
    """Milliseconds from an act to its clip: on the wall, and of the processor."""
    before = processor_seconds()
    wall = page.evaluate(NEXT_CLIP, act)
    return wall, 1000 * (processor_seconds() - before)


def opening(playwright, address):
    """Milliseconds to the first sound and to the first clip, and the bytes loaded.

    Both come with those of the processor, which are of the two together.
    """
    before = processor_seconds()
    sizes = []
    browser = playwright.chromium.launch(
        executable_path=shutil.which("chromium"), args=FLAGS
    )
    page = browser.new_page()
    page.on(
        "response",
        lambda response: sizes.append(int(response.headers["content-length"])),
    )
    page.goto(address, wait_until="domcontentloaded")
    page.locator("#play").click()
    page.locator("#status", has_text="Ready:").wait_for()
    sound, clip = (page.evaluate(MARK, name) for name in ("finished", "clip"))
    processor = 1000 * (processor_seconds() - before)
    browser.close()
    return sound, clip, processor, sum(sizes)


def own_clip(page, path):
    """Milliseconds from the choice of a file to its clip: wall, and processor."""
    page.locator("#seed").fill("1")
    page.locator("#status", has_text="Ready: house, seed 1").wait_for()
    before = processor_seconds()
    start = time.perf_counter()
    page.locator("#file").set_input_files([])
    page.locator("#file").set_input_files(path)
    page.locator("#status", has_text=f"Ready: house, {path.name}").wait_for()
    wall = 1000 * (time.perf_counter() - start)
    return wall, 1000 * (processor_seconds() - before)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--openings", type=int, default=5)
    options = parser.parse_args()
    handler = functools.partial(Quiet, directory=ROOT / "outputs" / "site")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/"
    with sync_playwright() as playwright:
        first = np.array(
            [opening(playwright, address) for _ in range(options.openings)]
        )
        sound, clip, processor, weight = np.median(first, axis=0)
        rows = [
            ("first sound, from a file", sound, np.nan, 5000.0),
            ("first clip of the networks", clip, processor, 5000.0),
        ]
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=FLAGS
        )
        page = browser.new_page()
        page.goto(address)
        page.locator("#status", has_text="Ready:").wait_for()
        for k in range(8):  # the browser compiles what it has seen run
            timed(page, ("seed", str(k)))
        for name, change in CHANGES.items():
            found = [timed(page, change(k)) for k in range(2 + options.repeats)][2:]
            rows.append((name, *np.median(found, axis=0), 250.0))
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "own.wav"
            music = compose(draw_factors(6, seed=0).iloc[0].to_dict(), 22050, 64)
            soundfile.write(path, np.repeat(music, 2), 44100)
            timed(page, ("blend", "0"))
            timed(page, ("genre", "house"))
            found = [own_clip(page, path) for _ in range(1 + options.openings)]
        rows.append(("a clip of one's own, first time", *found[0], 3000.0))
        rows.append(("a clip of one's own", *np.median(found[1:], axis=0), 3000.0))
        browser.close()
    server.shutdown()
    table = pd.DataFrame(rows, columns=["what", "wall_ms", "processor_ms", "goal_ms"])
    table.round(1).to_csv(RESULTS, index=False)
    print(table.round(0).to_string(index=False))
    print(f"weight of the front page: {weight / 1e6:.1f} MB (goal: below 15)")


if __name__ == "__main__":
    main()
