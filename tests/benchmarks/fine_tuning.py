"""What the weights of a preset are worth on other music: trainings from them and from new weights.

    OMP_NUM_THREADS=2 python tests/benchmarks/fine_tuning.py --data FOLDER [--preset real_cvae] [--seeds 0]

trains a `ConditionalVAE` on FOLDER from new weights, and from the preset for as many steps and for fewer, each a whole
training with its own schedule. It listens to each as `ablations.py` does, on validation clips, and writes a row into
`lib/cvae_lab/results/fine_tuning.csv`. Rows that are there are not made again. At the end it prints how long the
shortest training from the preset is that is as good as the one from new weights.
"""

import argparse
import gc
import json
import time
from pathlib import Path

import ablations
import keras
import pandas as pd

from cvae_lab.notebook.session import cache_folder
from cvae_lab.notebook.weights import fit_model
from cvae_music.config import AudioConfig
from cvae_music.data.features import build_features
from cvae_music.data.sources import open_collection

RESULTS = ablations.RESULTS.with_name("fine_tuning.csv")
STEPS = 1440
FRACTIONS = (6, 3, 1)  # of those steps, from the preset
# Column -> 1 where less is better, -1 where more is. Obedience is that of swaps.
GOALS = {"rms_db": 1} | {f"swap_{name}": -1 for name in ablations.LISTENERS}


def cells(options):
    """Dictionaries of the rows to make, without their measures."""
    starts = [("new weights", STEPS)]
    starts += [(options.preset, STEPS // part) for part in FRACTIONS]
    music = Path(options.data).name
    return [
        {"music": music, "start": start, "num_steps": steps, "seed": seed}
        for seed in options.seeds
        for start, steps in starts
    ]


def trained(cell, features):
    """`(model, row)`: a model trained as the cell says, and what its training took."""
    keras.backend.clear_session()
    gc.collect()
    preset = None if cell["start"] == "new weights" else cell["start"]
    settings = {name: cell[name] for name in ("num_steps", "seed")}
    started = time.perf_counter()
    model, history = fit_model("cvae", features, **settings, preset=preset, verbose=0)
    row = {"seconds": time.perf_counter() - started}
    curve = [round(error, 3) for error in history.history["val_rms_db"]]
    return model, row | {"validation_curve_db": json.dumps(curve)}


def as_good(table):
    """The shortest training from the preset that reaches the score of new weights, for each goal."""
    found = []
    for (music, seed), rows in table.groupby(["music", "seed"]):
        is_new = rows["start"] == "new weights"
        new, tuned = rows[is_new].iloc[0], rows[~is_new].sort_values("num_steps")
        for goal, sign in GOALS.items():
            reached = tuned[sign * tuned[goal] <= sign * new[goal]]
            first = reached.iloc[0] if len(reached) else {}
            found.append(
                {
                    "music": music,
                    "seed": seed,
                    "measure": goal,
                    "new weights": new[goal],
                    "preset, as many steps": tuned[goal].iloc[-1],
                    "steps of the preset": first.get("num_steps"),
                    "share of the time": first.get("seconds", float("nan"))
                    / new["seconds"],
                }
            )
    return pd.DataFrame(found)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder of genres")
    parser.add_argument("--preset", default="real_cvae")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    options = parser.parse_args()
    features = build_features(
        open_collection(options.data), AudioConfig(), cache_folder()
    )
    panel = ablations.Panel(features, split="validation")
    table = pd.read_csv(RESULTS) if RESULTS.exists() else pd.DataFrame()
    for cell in cells(options):
        if len(table) and (table[list(cell)] == pd.Series(cell)).all(axis=1).any():
            continue
        model, row = trained(cell, features)
        row = cell | row | panel.measure(model)
        table = pd.concat([table, pd.DataFrame([row])], ignore_index=True)
        table.round(4).to_csv(RESULTS, index=False)
        print(pd.Series(row).to_string(), flush=True)
    print(as_good(table).round(3).to_string(index=False))


if __name__ == "__main__":
    main()
