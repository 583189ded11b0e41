"""Trains the models and judges that ship, and makes the table of their scores.

Run it by `python -m cvae_lab.presets.train_models`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import pandas as pd

from cvae_lab.budget.machine import peak_memory
from cvae_lab.measures.audio_obedience import sound_row
from cvae_lab.measures.near_copies import check_near_copies
from cvae_lab.measures.scoreboard import evaluate_model
from cvae_lab.notebook.session import lock_for, output_folder, used_versions
from cvae_lab.notebook.weights import (
    NUM_STEPS,
    SECOND_STEPS,
    WEIGHTS,
    continue_training,
    fit_model,
    music_key,
)
from cvae_lab.studies.sweeps import joined, open_data, read_rows, shipped_folder
from cvae_music import saving, serialization

NUM_CLIPS = 4800  # of the embedded music
KINDS = {  # kind -> steps
    "cvae": NUM_STEPS,
    "cvaegan": SECOND_STEPS,
    "vae": NUM_STEPS,
    "autoencoder": NUM_STEPS,
    "deaf": NUM_STEPS // 2,
}


def weights_path(kind: str, features: Any, data: str, preset: str | None) -> Path:
    """Names the file of the weights of a kind of model.

    Args:
        kind: One of `KINDS`.
        features: `FeatureSet`; its key is in the name.
        data: Data source.
        preset: Start of the name of a preset that ships, such as `"real"`.

    Returns:
        A file in the package that needs it; for music of one's own in its outputs.
    """
    if preset:
        return saving.WEIGHTS / f"{preset}_{kind}.npz"
    if data != "known":
        name = f"{Path(data).name}-{features.key()}_{kind}.npz"
        return output_folder(data) / "models" / name
    folder = WEIGHTS if kind == "deaf" else saving.WEIGHTS
    return folder / f"known_{kind}.npz"


def train_row(
    kind: str,
    seed: int,
    features: Any,
    judges: dict[str, Any],
    data: str,
    num_steps: int,
    preset: str | None,
    guidance: float,
) -> dict[str, Any]:
    """Trains one model, measures it, and keeps its weights if it is the first.

    The weights are those of the epoch that rebuilt the validation clips best. The
    second phase gives up some of that for detail, so it keeps its last weights.

    Args:
        kind: One of `KINDS`.
        seed: Seed of the training.
        features: `FeatureSet`.
        judges: Dictionary name -> judge.
        data: Data source.
        num_steps: Steps of the training.
        preset: As for `weights_path`.
        guidance: What a conditional model then plays with.

    Returns:
        A row of the table; obedience in sound comes before the judges' scores.
    """
    path = weights_path(kind, features, data, preset)
    backup = path.with_name(f"backup_{path.stem}_{seed}")
    settings: dict[str, Any] = {"num_steps": num_steps, "seed": seed, "verbose": 2}
    settings["backup_dir"] = backup
    if kind != "cvaegan":
        settings["callbacks"] = keras.callbacks.EarlyStopping(
            "val_rms_db", mode="min", patience=num_steps, restore_best_weights=True
        )
    started = time.perf_counter()
    if kind == "cvaegan":
        first = saving.load_model(weights_path("cvae", features, data, preset))
        model, _ = continue_training(first, features, kind, **settings)
    else:
        model, _ = fit_model(kind, features, **settings)
    seconds = time.perf_counter() - started
    if guidance:
        model.guidance = guidance
    if preset and kind != "autoencoder":

        def describe(levels, config):
            return judges["cnn"].embedding(config.scale(levels))

        refused = output_folder(data) / "models" / f"refused_{path.name}"
        try:
            copies = check_near_copies(model, features, describe=describe)
        except ValueError as error:
            saving.save_compact(model, refused)
            raise ValueError(f"{error} The trained model is in {refused}.") from error
        print(copies.to_string(index=False), flush=True)
    if seed == 0 or not path.exists():
        saving.save_compact(model, path)
    row = {"kind": kind, "seed": seed, "num_steps": num_steps, "seconds": seconds}
    row |= {"peak_memory_gb": peak_memory() / 1e9, "parameters": model.count_params()}
    if model.num_genres:
        row |= sound_row(model, features)
    row |= evaluate_model(model, features, judges).to_dict()
    command = f"python -m cvae_lab.presets.train_models --kinds {kind} --seeds {seed}"
    command += f" --num-steps {num_steps}"
    if data != "known":
        command += f" --data {Path(data).name}"
        row["music"] = music_key(features)
    if preset:
        command += f" --preset {preset}"
    if guidance:
        command += f" --guidance {guidance:g}"
    return row | {"versions": used_versions(), "command": command}


def add_row(path: Path, row: dict[str, Any]) -> None:
    """Adds a row to the table of scores; other processes wait."""
    with lock_for(path):
        table = joined(path, pd.DataFrame([row])).sort_values(["kind", "seed"])
        table = table.dropna(axis="columns", how="all")
        serialization.write_text(path, table.to_csv(index=False))


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains models over seeds, writes weights and scores; keeps finished rows."""
    parser = argparse.ArgumentParser(
        prog="python -m cvae_lab.presets.train_models", description=main.__doc__
    )
    add = parser.add_argument
    add("--data", default="known", help="known, a folder of genres, or an FMA folder")
    add("--kinds", nargs="+", default=list(KINDS), choices=KINDS)
    add("--seeds", nargs="+", type=int, default=[0, 1, 2])
    add("--num-steps", type=int, help="those of what ships, if left out")
    add("--preset", help="ship the weights as <preset>_<kind>; no near copies may pass")
    add("--guidance", type=float, default=0.0, help="what conditional models play with")
    options = parser.parse_args(arguments)
    data = options.data
    features, judges, folder = open_data(data, NUM_CLIPS)
    if options.preset:
        folder = shipped_folder()
    name = f"foundation_{Path(data).name}"
    for kind in options.kinds:
        num_steps = options.num_steps or KINDS[kind]
        for seed in options.seeds:
            rows = read_rows(name, folder, features)
            if ((rows["kind"] == kind) & (rows["seed"] == seed)).any():
                continue
            print(f"{kind}, seed {seed}", flush=True)
            row = train_row(
                kind,
                seed,
                features,
                judges,
                data,
                num_steps,
                options.preset,
                options.guidance,
            )
            add_row(folder / f"{name}.csv", row)
    measured = read_rows(name, folder, features).drop(columns="seed").set_index("kind")
    measured = measured.select_dtypes("number").groupby("kind").agg(["mean", "std"])
    print(measured.T.round(3).to_string())


if __name__ == "__main__":
    main()
