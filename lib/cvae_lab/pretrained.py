"""The models of the series: their settings, their training, and those that ship."""

import argparse
import os
import sys
import time
from pathlib import Path

from cvae_music.models.files import load_compact, load_pretrained, pretrained_folder, save_compact

SETTINGS = {
    "autoencoder": {},
    "vae": {"kl": 1.0},
    "cvae": {"kl": 1.0, "discrepancy_weight": 3000.0},
}
CONTRAST_WEIGHT = 0.6
NUM_STEPS = 1440
CUT_SHORT = {"KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH"}  # set in the environment by smoke runs


def make_model(kind, features, seed=0, **changes):
    """A model with the settings of the series.

    Args:
        kind: `"autoencoder"`, `"vae"` or `"cvae"`.
        features: `FeatureSet` it will be trained on.
        seed: Seed of its weights and of its noise.
        **changes: Arguments of the model to set otherwise.

    Returns:
        An `Autoencoder`, `VAE` or `ConditionalVAE`, not compiled.

    Raises:
        ValueError: If the kind is unknown.
    """
    if kind not in SETTINGS:
        raise ValueError(f"make_model got kind={kind!r}; expected one of {sorted(SETTINGS)}.")
    import keras

    import cvae_music

    classes = {"autoencoder": "Autoencoder", "vae": "VAE", "cvae": "ConditionalVAE"}
    arguments = {"audio_config": features.config, "seed": seed, "contrast_weight": CONTRAST_WEIGHT, **SETTINGS[kind]}
    if kind == "cvae":
        arguments["genres"] = features.genres
    keras.utils.set_random_seed(seed)
    return getattr(cvae_music, classes[kind])(**{**arguments, **changes})


def fit_series_model(kind, features, *, num_steps=NUM_STEPS, seed=0, changes=None, **training):
    """Makes a model, trains it and fits its sampling distribution.

    Args:
        kind: As for `make_model`.
        features: `FeatureSet`.
        num_steps: Steps of 32 clips, rounded to whole epochs.
        seed: Seed of weights, noise, order and augmentation.
        changes: Dict of arguments of the model to set otherwise.
        **training: More arguments of `training.train`, such as `backup_dir`.

    Returns:
        `(model, history)`.
    """
    from cvae_music.models.density import fit_latent_density
    from cvae_music.training import train

    model = make_model(kind, features, seed, **(changes or {}))
    batch_size = min(training.pop("batch_size", 32), len(features.subset("train")))
    epochs = max(1, round(num_steps * batch_size / len(features.subset("train"))))
    history = train(model, features, epochs=epochs, batch_size=batch_size, seed=seed, **training)
    if kind != "autoencoder":
        fit_latent_density(model, features, seed)
    return model, history


def load_pretrained_judges(data="known"):
    """The judges trained on the training split of the embedded music, by name."""
    from cvae_lab.judges import load_judge

    return {name: load_judge(pretrained_folder() / f"{data}_judge_{name}.npz") for name in ("cnn", "descriptors")}


def open_model(kind, features, session, weights="pretrained", *, num_steps=NUM_STEPS):
    """The model of a notebook: the shipped one, that of an earlier notebook of the same session folder, or a new one.

    A model that is trained here is kept in the folder `models` of the session's results. Delete the file to train
    it again.

    Args:
        kind: As for `make_model`.
        features: `FeatureSet`.
        session: What `start_session` returned.
        weights: `"pretrained"`, or `"train"`; music other than `"known"` has no shipped weights and is always trained on.
        num_steps: Steps of a training.

    Returns:
        The model, ready to encode, decode and sample.

    Raises:
        ValueError: If `weights` is neither.
    """
    if is_shipped(session, weights):
        return load_pretrained(f"known_{kind}")
    path = session.output_dir / "models" / f"{kind}-{num_steps}-{session.seed}-{features.path.name}.npz"
    if path.exists():
        print(f"Weights of an earlier notebook: models/{path.name}")
        return load_compact(path)
    model, _ = fit_series_model(kind, features, num_steps=num_steps, seed=session.seed, verbose=2)
    if CUT_SHORT & os.environ.keys():
        return model  # nothing that a full run should find
    path.parent.mkdir(exist_ok=True)
    save_compact(model, path)
    return load_compact(path)  # what the later notebooks will hear, to the last bit


def open_judges(features, session, weights="pretrained", *, num_steps=400):
    """The judges of a notebook by name: shipped, of an earlier notebook of the same session folder, or new ones.

    Args:
        features: `FeatureSet`.
        session: What `start_session` returned.
        weights: As for `open_model`.
        num_steps: Steps of the training of the network.
    """
    if is_shipped(session, weights):
        return load_pretrained_judges("known")
    return keep_judges(session.output_dir / "models", features, session.seed, num_steps=num_steps)


def is_shipped(session, weights):
    """Whether a notebook with these parameters loads what ships.

    Raises:
        ValueError: If `weights` is neither `"pretrained"` nor `"train"`.
    """
    if weights not in ("pretrained", "train"):
        raise ValueError(f"Got weights={weights!r}; expected 'pretrained' or 'train'. Change it in the parameters cell.")
    return session.data == "known" and weights == "pretrained"


def keep_judges(folder, features, seed=0, *, num_steps=400, name=None):
    """The judges kept in a folder, trained and kept there if they are not.

    Args:
        folder: Folder of the files `<name>_judge_<kind>.npz`.
        features: `FeatureSet`.
        seed: Seed of the training.
        num_steps: Steps of the training of the network.
        name: Start of the files' names; by default one for these features, seed and steps.
    """
    from cvae_lab.judges import load_judge, train_judges

    name = name or f"{features.path.name}-{seed}-{num_steps}"
    paths = {kind: Path(folder) / f"{name}_judge_{kind}.npz" for kind in ("cnn", "descriptors")}
    if not all(path.exists() for path in paths.values()):
        judges = train_judges(features, seed, num_steps=num_steps)
        if CUT_SHORT & os.environ.keys():
            return judges
        Path(folder).mkdir(parents=True, exist_ok=True)
        for kind, judge in judges.items():
            judge.save(paths[kind])
    return {kind: load_judge(path) for kind, path in paths.items()}


def peak_memory_gb():
    """Most memory this process has held, in GB; NaN where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return float("nan")
    unit = 1e9 if sys.platform == "darwin" else 1e6  # macOS counts bytes, Linux kilobytes
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def main(arguments=None):
    """Trains models over seeds, writes what ships and the scoreboard; finished rows are kept when run again."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--data", default="known", help="known, a folder of genres, or an FMA folder")
    parser.add_argument("--kinds", nargs="+", default=["cvae", "vae", "autoencoder"], choices=sorted(SETTINGS))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--num-clips", type=int, default=4800, help="clips of the embedded music")
    parser.add_argument("--num-steps", type=int, default=NUM_STEPS)
    parser.add_argument("--name", default=None, help="name of the results; the last folder of --data if left out")
    parser.add_argument("--output", default=None, help="folder for weights and scores; left out: scores to data/results, "
                        "weights of the embedded music to data/pretrained, of other music to outputs/")  # fmt: skip
    options = parser.parse_args(arguments)
    train_all(options)


def train_all(options):
    """What `main` does with its options."""
    import pandas as pd

    from cvae_lab.scoreboard import evaluate_model
    from cvae_lab.session import cache_folder, used_versions
    from cvae_music.config import AudioConfig
    from cvae_music.data.features import build_features
    from cvae_music.data.sources import open_collection

    name = options.name or ("known" if options.data == "known" else Path(options.data).name)
    home = Path(options.output) if options.output else pretrained_folder().parent
    scores = home / "results" / f"foundation_{name}.csv"
    weights = home / "pretrained"
    if options.data != "known" and not options.output:
        weights = home.parent / "outputs" / name / "pretrained"
    weights.mkdir(parents=True, exist_ok=True)
    scores.parent.mkdir(parents=True, exist_ok=True)
    extra = {"num_clips": options.num_clips} if options.data == "known" else {}
    features = build_features(open_collection(options.data, **extra), AudioConfig(), cache_folder())
    judges = keep_judges(weights, features, name=name)

    def finished():
        return pd.read_csv(scores) if scores.exists() else pd.DataFrame({"kind": [], "seed": []})

    for kind in options.kinds:
        for seed in options.seeds:
            table = finished()
            if ((table["kind"] == kind) & (table["seed"] == seed)).any():
                continue
            print(f"{kind}, seed {seed}", flush=True)
            started = time.perf_counter()
            model, _ = fit_series_model(
                kind, features, num_steps=options.num_steps, seed=seed, verbose=2,
                backup_dir=weights / f"backup_{name}_{kind}_{seed}",
            )  # fmt: skip
            seconds = time.perf_counter() - started
            shipped = weights / f"{name}_{kind}.npz"
            if seed == 0 or not shipped.exists():
                save_compact(model, shipped)
            row = {"kind": kind, "seed": seed, "num_steps": options.num_steps, "seconds": seconds}
            row |= {"peak_memory_gb": peak_memory_gb(), "parameters": model.count_params()}
            row |= evaluate_model(model, features, judges).to_dict()
            command = f"python -m cvae_music.pretrained --kinds {kind} --seeds {seed} --num-steps {options.num_steps}"
            command += "" if options.data == "known" else f" --data {Path(options.data).name}"
            row |= {"versions": used_versions(), "command": command}
            table = pd.concat([finished(), pd.DataFrame([row])], ignore_index=True).sort_values(["kind", "seed"])
            table.to_csv(scores.with_suffix(".partial"), index=False)
            scores.with_suffix(".partial").replace(scores)
    measured = finished().set_index("kind").drop(columns="seed").select_dtypes("number").groupby("kind")
    print(measured.agg(["mean", "std"]).T.round(3).to_string())


if __name__ == "__main__":
    main()
