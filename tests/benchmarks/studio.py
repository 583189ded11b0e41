"""Measures how quickly the studio answers: from a control's change to the sound, and to the whole page.

    python tests/benchmarks/studio.py [--repeats 15]

Medians over the repeats in milliseconds, on the wall and of the processor (which other work beside it does not
lengthen), and how many times faster than the sound itself. The table goes to `data/results/studio_timings.csv`.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd

from cvae_music.playing import draw_latent, make_clip, mix_weights
from cvae_music.studio import pretrained_studio
from cvae_music.walks import walk

RESULTS = Path(__file__).resolve().parents[2] / "data" / "results" / "studio_timings.csv"
GOALS = {"eight beats": 150.0, "10 s": 400.0}


def medians(action, repeats, warm_up=2):
    """Median milliseconds of `action(k)`: on the wall, and of the processor."""
    found = []
    for k in range(warm_up + repeats):
        wall, processor = time.perf_counter(), time.process_time()
        action(k)
        found.append((time.perf_counter() - wall, time.process_time() - processor))
    return np.median(found[warm_up:], axis=0) * 1000


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=15)
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory() as folder:
        studio = pretrained_studio(folder=folder)
        model, controls = studio.model, studio.controls
        genres, rows = model.genres, []

        def row(what, sound, action):
            wall, processor = medians(action, repeats)
            seconds = 10.0 if sound == "10 s" else model.audio_config.seconds(110)
            rows.append({"what": what, "sound": sound, "wall_ms": wall, "processor_ms": processor,
                         "times_real_time": 1000 * seconds / processor, "goal_ms": GOALS[sound]})  # fmt: skip

        def clip(**settings):
            make_clip(model, controls, tempo=110, **settings)

        row("seed", "eight beats", lambda k: clip(seed=k))
        row("genre", "eight beats", lambda k: clip(mix=genres[k % len(genres)]))
        row("brightness", "eight beats", lambda k: clip(sliders={"brightness": 0.2 * k - 1}))
        row("map", "eight beats", lambda k: clip(at=(0.2 * k, -0.1 * k)))
        row("genre, whole page", "eight beats", lambda k: studio.swap(genres[k % len(genres)]))
        ends = np.stack([draw_latent(model, 1), draw_latent(model, 2)])
        weights = mix_weights(model, None)
        row("morph", "10 s", lambda k: walk(model, ends, weights, 20, 120.0, seed=k))
    table = pd.DataFrame(rows).round(1)
    table.to_csv(RESULTS, index=False)
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
