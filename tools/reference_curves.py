"""Trains the runs that notebooks compare theirs with: curves of "Is my run normal?", half precision beside single.

Without arguments, the live model of notebook 05 with another seed. With `--rehearsal`, what notebook 10 trains when its
folder is composed, with three other seeds. With `--data`, the sizes of notebook 10 on real
music, each with several seeds and precisions; a run that is in the tables is not made again.
"""

import argparse
import dataclasses
import itertools
import re
import tempfile
from pathlib import Path

import pandas as pd

import known_music
from cvae_lab.budget.curves import StepCSVLogger
from cvae_lab.budget.probe import probe_steps
from cvae_lab.budget.sizes import SIZES, take_tracks
from cvae_lab.measures.scoreboard import evaluate_model
from cvae_lab.notebook.session import cache_folder, output_folder, used_versions
from cvae_lab.notebook.weights import fit_model, load_or_train_judges
from cvae_lab.studies.collapse import SERIES_SIZE
from cvae_lab.studies.sweeps import read_rows, shipped_folder
from cvae_music.audio.files import write_audio
from cvae_music.config import AudioConfig
from cvae_music.data.features import build_features
from cvae_music.data.sources import open_collection
from cvae_music.serialization import write_text
from cvae_music.training import train

ROOT = Path(__file__).resolve().parents[1]
LIVE = {"05_make_it_listen": ("cvae", SERIES_SIZE)}  # kind, and what is not its default
SEED = 1  # of the weights and the noise; the clips are those of the notebooks
EVERY = 10  # steps between two points of a curve
METRICS = ["step", "loss", "reconstruction", "rms_db", "kl"]


def parameter(notebook, name):
    """Whole number that a notebook's parameters cell gives to `name`."""
    text = (ROOT / "notebooks" / f"{notebook}.py").read_text(encoding="utf-8")
    return int(re.search(rf"^{name} = (\d+)", text, re.MULTILINE).group(1))


def write_live_curves():
    for notebook, (kind, changes) in LIVE.items():
        collection = open_collection(
            "known", num_clips=parameter(notebook, "num_clips"), seed=0
        )
        features = build_features(collection, AudioConfig(), cache_folder())
        settings = {
            "num_steps": parameter(notebook, "num_steps"),
            "seed": SEED,
            "changes": changes,
        }
        _, history = fit_model(kind, features, **settings, verbose=2)
        path = shipped_folder() / f"reference_{kind}.csv"
        pd.DataFrame(history.history).round(4).to_csv(path, index=False)
        print(f"wrote {path.name}")


def write_rehearsal(seeds=(1, 2, 3)):
    """The run of notebook 10 on its own composed folder, with other pieces and weights."""
    notebook = "10_your_own_music"
    num_tracks = parameter(notebook, "num_tracks")
    num_steps = parameter(notebook, "num_steps")
    size = dataclasses.replace(SIZES["quick"], num_steps=num_steps)
    curves = []
    for seed in seeds:
        with tempfile.TemporaryDirectory() as folder:
            count = num_tracks * len(known_music.GENRES)
            for row in known_music.draw_factors(count, seed).to_dict("records"):
                samples = known_music.compose(row, size.config.sample_rate, 32)
                path = Path(folder) / "music" / row["genre"] / f"{row['seed']}.wav"
                write_audio(path, samples, size.config)
            collection = open_collection(Path(folder) / "music", seed=seed)
            collection = take_tracks(collection, num_tracks, seed)
            features = build_features(
                collection, size.config, Path(folder) / "cache", progress=False
            )
            log = StepCSVLogger(Path(folder) / "curve.csv", EVERY)
            model = size.new_model(features.genres, seed)
            train(model, features, num_steps, seed=seed, callbacks=[log], verbose=0)
            curve = pd.read_csv(Path(folder) / "curve.csv")[METRICS]
        curves.append(curve.assign(size="quick", run=f"rehearsal, seed {seed}"))
    table = pd.concat(curves).assign(
        command="python tools/reference_curves.py --rehearsal"
    )
    write_text(
        shipped_folder() / "normal_rehearsal.csv", table.round(4).to_csv(index=False)
    )


def add_rows(name, rows):
    """Adds rows to a table that ships."""
    table = pd.concat([read_rows(name), rows], ignore_index=True).dropna(
        axis="columns", how="all"
    )
    write_text(shipped_folder() / f"{name}.csv", table.round(4).to_csv(index=False))


def write_real_run(data, size_name, precision, seed):
    """One training: its curve goes to `normal_real`, its scores to `half_precision`."""
    size, done = SIZES[size_name], read_rows("half_precision")
    about = {"size": size_name, "precision": precision, "seed": seed}
    if len(done) and (done[list(about)] == pd.Series(about)).all(axis=1).any():
        return
    print(about, flush=True)
    features = build_features(
        open_collection(data), size.config, cache_folder(), progress=False
    )
    judges = load_or_train_judges(output_folder(data) / "models", features)
    model = size.new_model(features.genres, seed, precision)
    with tempfile.TemporaryDirectory() as folder:
        log = StepCSVLogger(Path(folder) / "curve.csv", EVERY)
        train(
            model,
            features,
            size.num_steps,
            batch_size=size.batch_size,
            seed=seed,
            callbacks=[log],
            verbose=0,
        )
        curve = pd.read_csv(Path(folder) / "curve.csv")[METRICS]
    names = {"size": size_name, "run": f"{size_name}, {precision}, seed {seed}"}
    add_rows("normal_real", curve.assign(**names))
    scores = evaluate_model(model, features, judges).to_dict()
    end = {
        "num_steps": curve["step"].max(),
        "versions": used_versions(),
        "command": "python tools/reference_curves.py --data FOLDER",
    }
    add_rows("half_precision", pd.DataFrame([about | scores | end]))
    print(
        pd.Series(scores)[["reconstruction_rms_db", "sharpness_sampled", "cnn_swap"]]
        .round(3)
        .to_dict(),
        flush=True,
    )


def write_settings(sizes):
    """What the probe of notebook 10 finds on this machine."""
    found = []
    for name in sizes:
        steps, _ = probe_steps(SIZES[name], [f"genre {number}" for number in range(6)])
        found.append(
            steps.drop(columns=["step_seconds", "memory", "gpu_memory"]).assign(
                size=name
            )
        )
    table = pd.concat(found).assign(
        versions=used_versions(), command="python tools/reference_curves.py --settings"
    )
    write_text(
        shipped_folder() / "settings_tried.csv", table.round(4).to_csv(index=False)
    )
    print(table.to_string())


def add_history(path):
    """A Keras history of the standard size, `<name>_<steps>_<seed>.csv`, as a curve: means over passes, at their middles."""
    _, num_steps, seed = path.stem.rsplit("_", 2)
    run = f"standard, seed {seed}, {num_steps} steps"
    if (read_rows("normal_real").get("run", pd.Series(dtype=str)) == run).any():
        return
    history = pd.read_csv(path)
    steps = (history.index + 0.5) * int(num_steps) / len(history)
    curve = history.assign(step=steps.astype(int))[METRICS]
    add_rows("normal_real", curve.assign(size="standard", run=run))


def main(arguments=None):
    """Makes the runs that the arguments name."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="known", help="a folder of real music")
    parser.add_argument("--sizes", nargs="+", default=["quick"], choices=SIZES)
    precisions = ["float32", "mixed_bfloat16"]
    parser.add_argument("--precisions", nargs="+", default=precisions)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    text = "Keras histories of the standard size on real music"
    parser.add_argument("--histories", nargs="+", type=Path, help=text)
    text = "sizes to try all settings for; standard if none"
    parser.add_argument("--settings", nargs="*", choices=SIZES, help=text)
    text = "the run of notebook 10 on composed files, three times"
    parser.add_argument("--rehearsal", action="store_true", help=text)
    options = parser.parse_args(arguments)
    if options.rehearsal:
        write_rehearsal()
    elif options.settings is not None:
        write_settings(options.settings or ["standard"])
    elif options.histories:
        for path in options.histories:
            add_history(path)
    elif options.data == "known":
        write_live_curves()
    else:
        runs = itertools.product(options.seeds, options.sizes, options.precisions)
        for seed, size, precision in runs:
            write_real_run(options.data, size, precision, seed)


if __name__ == "__main__":
    main()
