"""The sweep of fine-tuning: trainings from shipped weights and from new ones."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

import pandas as pd

from cvae_lab.measures.scoreboard import evaluate_model
from cvae_lab.notebook.weights import NUM_STEPS, fit_model

PRESET = "known_cvae"
FINE_TUNING_STEPS = (120, 240, 480, NUM_STEPS)
# Column -> 1 where less is better, -1 where more is.
GOALS = {"reconstruction_rms_db": 1, "cnn_swap": -1, "descriptors_swap": -1}


def cells(seeds: Sequence[int] = (0,)) -> list[dict[str, Any]]:
    """Lists, for each seed, a training from new weights, then those from the preset.

    Each is a whole training. Half of a long one is none: its learning rate is high.
    """
    starts = [(None, NUM_STEPS), *((PRESET, steps) for steps in FINE_TUNING_STEPS)]
    return [
        {
            "name": f"{preset or 'new weights'}, {num_steps} steps",
            "kind": "cvae",
            "seed": seed,
            "num_steps": num_steps,
            "preset": preset,
        }
        for seed in seeds
        for preset, num_steps in starts
    ]


def run(cell: dict[str, Any], features: Any, judges: dict[str, Any]) -> dict[str, Any]:
    """Trains a cell; measures the scoreboard of the validation split.

    Args:
        cell: One of `cells`.
        features: `FeatureSet` of the preset's `audio_config`.
        judges: Dictionary name -> judge.

    Returns:
        Dictionary of measures, and `curve_db`: the validation error after each epoch
        in dB, as JSON.
    """
    settings = {name: cell[name] for name in ("num_steps", "seed", "preset")}
    started = time.perf_counter()
    model, history = fit_model(cell["kind"], features, **settings, verbose=0)
    row: dict[str, Any] = {"seconds": time.perf_counter() - started}
    curve = [round(error, 3) for error in history.history["val_rms_db"]]
    row |= {"parameters": model.count_params(), "curve_db": json.dumps(curve)}
    return row | evaluate_model(model, features, judges, split="validation").to_dict()


def steps_until_as_good(rows: pd.DataFrame) -> pd.DataFrame:
    """Finds the shortest fine-tuning that is as good as the training from new weights.

    Args:
        rows: Rows of this sweep, see `cvae_lab.read_rows`.

    Returns:
        DataFrame, a row for each seed and each of `GOALS`: the score from new weights,
        the steps and minutes that it took, the steps and minutes from the preset until
        it is reached (NaN where it never is), and the score after equal steps.

    Example:
        >>> rows = pd.DataFrame(cells())
        >>> rows["seconds"] = rows["num_steps"] / 10.0
        >>> rows[list(GOALS)] = 0.9
        >>> table = steps_until_as_good(rows)
        >>> table[["steps_new", "steps_preset"]].iloc[0].tolist()
        [1440, 120]
    """
    found = []
    for seed, same in rows.sort_values("num_steps").groupby("seed"):
        is_new = same["preset"].isna()
        new = same[is_new].iloc[-1]
        tuned = same[~is_new]
        equal = tuned[tuned["num_steps"] == new["num_steps"]].iloc[-1]
        for name, sign in GOALS.items():
            reached = tuned[sign * tuned[name] <= sign * new[name]]
            row = {"seed": seed, "measure": name, "score": new[name]}
            row["score_after_equal_steps"] = equal[name]
            # The smallest of no value is NaN.
            for start, some in (("new", same[is_new]), ("preset", reached)):
                row[f"steps_{start}"] = some["num_steps"].min()
                row[f"minutes_{start}"] = some["seconds"].min() / 60.0
            found.append(row)
    return pd.DataFrame(found)
