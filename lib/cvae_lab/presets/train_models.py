"""Trains the models and judges that ship, and makes the table of their scores: `python -m cvae_lab.presets.train_models`."""

import argparse
import time
from pathlib import Path

import pandas as pd

from cvae_lab.budget.machine import peak_memory
from cvae_lab.measures.audio_obedience import sound_row
from cvae_lab.measures.scoreboard import evaluate_model
from cvae_lab.notebook.session import cache_folder, output_folder, used_versions
from cvae_lab.notebook.weights import (
    NUM_STEPS,
    SECOND_STEPS,
    WEIGHTS,
    fit_model,
    continue_training,
    load_or_train_judges,
)
from cvae_lab.studies.sweeps import shipped_folder
from cvae_music import saving, serialization
from cvae_music.config import AudioConfig
from cvae_music.data.features import build_features
from cvae_music.data.sources import open_collection

KINDS = {
    "cvae": NUM_STEPS,
    "cvaegan": SECOND_STEPS,
    "vae": NUM_STEPS,
    "autoencoder": NUM_STEPS,
    "deaf": NUM_STEPS // 2,
}  # kind -> steps


def weights_path(kind, data="known"):
    """Where the weights of a kind of model are kept: in the package that needs them; those of other music in its outputs."""
    if data != "known":
        return output_folder(data) / "models" / f"{Path(data).name}_{kind}.npz"
    return (WEIGHTS if kind == "deaf" else saving.WEIGHTS) / f"known_{kind}.npz"


def train_row(kind, seed, features, judges, data="known", num_steps=NUM_STEPS):
    """Trains one model, keeps its weights if it is the first of its kind, and measures it: a row of the table."""
    path = weights_path(kind, data)
    started = time.perf_counter()
    backup = output_folder(data) / "models" / f"backup_{kind}_{seed}"
    settings = {
        "num_steps": num_steps,
        "seed": seed,
        "verbose": 2,
        "backup_dir": backup,
    }
    if kind == "cvaegan":
        model, _ = continue_training(
            saving.load_compact(weights_path("cvae", data)), features, kind, **settings
        )
    else:
        model, _ = fit_model(kind, features, **settings)
    seconds = time.perf_counter() - started
    if seed == 0 or not path.exists():
        saving.save_compact(model, path)
    row = {"kind": kind, "seed": seed, "num_steps": num_steps, "seconds": seconds}
    row |= {"peak_memory_gb": peak_memory() / 1e9, "parameters": model.count_params()}
    row |= evaluate_model(model, features, judges).to_dict() | (
        sound_row(model, features) if model.num_genres else {}
    )
    command = f"python -m cvae_lab.presets.train_models --kinds {kind} --seeds {seed} --num-steps {num_steps}"
    command += "" if data == "known" else f" --data {Path(data).name}"
    return row | {"versions": used_versions(), "command": command}


def main(arguments=None):
    """Trains models over seeds, writes what ships and the table of scores; finished rows are kept when run again."""
    parser = argparse.ArgumentParser(
        prog="python -m cvae_lab.presets.train_models", description=main.__doc__
    )
    parser.add_argument(
        "--data", default="known", help="known, a folder of genres, or an FMA folder"
    )
    parser.add_argument("--kinds", nargs="+", default=list(KINDS), choices=KINDS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument(
        "--num-clips", type=int, default=4800, help="clips of the embedded music"
    )
    parser.add_argument(
        "--num-steps", type=int, default=None, help="those of what ships, if left out"
    )
    options = parser.parse_args(arguments)
    data, is_known = options.data, options.data == "known"
    extra = {"num_clips": options.num_clips} if is_known else {}
    features = build_features(
        open_collection(data, **extra), AudioConfig(), cache_folder()
    )
    judges = load_or_train_judges(
        WEIGHTS if is_known else output_folder(data) / "models",
        features,
        name=Path(data).name,
    )
    path = (
        shipped_folder() if is_known else output_folder(data) / "results"
    ) / f"foundation_{Path(data).name}.csv"
    table = (
        pd.read_csv(path) if path.exists() else pd.DataFrame({"kind": [], "seed": []})
    )
    for kind in options.kinds:
        for seed in options.seeds:
            if ((table["kind"] == kind) & (table["seed"] == seed)).any():
                continue
            print(f"{kind}, seed {seed}", flush=True)
            row = train_row(
                kind, seed, features, judges, data, options.num_steps or KINDS[kind]
            )
            table = pd.concat(
                [table, pd.DataFrame([row])], ignore_index=True
            ).sort_values(["kind", "seed"])
            serialization.write_text(path, table.to_csv(index=False))
    measured = (
        table.set_index("kind")
        .drop(columns="seed")
        .select_dtypes("number")
        .groupby("kind")
    )
    print(measured.agg(["mean", "std"]).T.round(3).to_string())


if __name__ == "__main__":
    main()
