"""Measures how quickly the studio answers: from a control's change to the sound, and to the whole page.

    python tests/benchmarks/studio.py [--repeats 15] [--openings 5]

Medians over the repeats in milliseconds, on the wall and of the processor (which other work beside it does not
lengthen), and how many times faster than the sound itself. An opening lasts from the command of `make studio`, with
the start of a headless Chromium, until the page says that its first clip is ready. The table goes to
`lib/cvae_lab/results/studio_timings.csv`.
"""

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from cvae_music import Studio, make_clip, make_morph

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "lib" / "cvae_lab" / "results" / "studio_timings.csv"
GOALS = {"eight beats": 150.0, "10 s": 400.0}


def medians(action, repeats, warm_up=2):
    """Median milliseconds of `action(k)`: on the wall, and of the processor."""
    found = []
    for k in range(warm_up + repeats):
        wall, processor = time.perf_counter(), time.process_time()
        action(k)
        found.append((time.perf_counter() - wall, time.process_time() - processor))
    return np.median(found[warm_up:], axis=0) * 1000


def opening(port=8897):
    """Seconds until the page of `make studio` is ready to play."""
    from playwright.sync_api import sync_playwright

    command = [
        sys.executable,
        str(ROOT / "tools" / "open_studio.py"),
        "--no-browser",
        f"--port={port}",
    ]
    start = time.perf_counter()
    with tempfile.TemporaryFile() as log:
        server = subprocess.Popen(
            command, stdout=log, stderr=log, start_new_session=True
        )
        try:
            while server.poll() is None:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.1)
            with sync_playwright() as playwright:
                browser = playwright.chromium.launch(
                    executable_path=shutil.which("chromium"), args=["--no-sandbox"]
                )
                page = browser.new_page()
                page.set_default_timeout(120_000)
                page.goto(f"http://127.0.0.1:{port}")
                page.get_by_text("Ready:").first.wait_for()
                seconds = time.perf_counter() - start
                browser.close()
        finally:
            os.killpg(server.pid, signal.SIGTERM)  # the kernel ends with the server
            server.wait()
    return seconds


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--openings", type=int, default=5)
    options = parser.parse_args()
    repeats = options.repeats
    seconds = [opening() for _ in range(options.openings)]
    print("make studio, seconds until ready:", np.round(seconds, 1))
    with tempfile.TemporaryDirectory() as folder:
        studio = Studio.from_preset("known_cvae", folder)
        model, controls = studio.model, studio.controls
        genres = model.genres
        rows = [
            {
                "what": "`make studio`",
                "sound": "first clip",
                "wall_ms": 1000 * np.median(seconds),
                "goal_ms": 20_000.0,
            }
        ]

        def row(what, sound, action):
            wall, processor = medians(action, repeats)
            seconds = 10.0 if sound == "10 s" else model.audio_config.seconds(110)
            rows.append(
                {
                    "what": what,
                    "sound": sound,
                    "wall_ms": wall,
                    "processor_ms": processor,
                    "times_real_time": 1000 * seconds / processor,
                    "goal_ms": GOALS[sound],
                }
            )

        def clip(**settings):
            make_clip(model, controls, tempo=110, **settings)

        row("seed", "eight beats", lambda k: clip(seed=k))
        row("genre", "eight beats", lambda k: clip(genre=genres[k % len(genres)]))
        row(
            "half and half",
            "eight beats",
            lambda k: clip(
                genre={genres[k % len(genres)]: 1.0, genres[k % len(genres) - 1]: 1.0}
            ),
        )
        row(
            "brightness",
            "eight beats",
            lambda k: clip(sliders={"brightness": 0.2 * k - 1}),
        )
        row("map", "eight beats", lambda k: clip(map_position=(0.2 * k, -0.1 * k)))
        row(
            "genre, whole page",
            "eight beats",
            lambda k: studio.swap(genres[k % len(genres)]),
        )
        ends = {"seed": 1}, {"seed": 2}
        row(
            "morph",
            "10 s",
            lambda k: make_morph(model, controls, *ends, num_beats=20, tempo=120.0),
        )
    table = pd.DataFrame(rows).round(1)
    table.to_csv(RESULTS, index=False)
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
