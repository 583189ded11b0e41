"""The models of the series: their settings, their training, and the small files in which they ship."""

import argparse
import json
import time
from pathlib import Path

import numpy as np

from cvae_music.session import project_folder

SETTINGS = {
    "autoencoder": {},
    "vae": {"kl": 1.0},
    "cvae": {"kl": 1.0, "discrepancy_weight": 3000.0},
}
CONTRAST_WEIGHT = 0.6
NUM_STEPS = 1440
PRETRAINED = ("known_autoencoder", "known_vae", "known_cvae")


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
    from cvae_music.sampling import fit_latent_density
    from cvae_music.training import train

    model = make_model(kind, features, seed, **(changes or {}))
    batch_size = min(training.pop("batch_size", 32), len(features.subset("train")))
    epochs = max(1, round(num_steps * batch_size / len(features.subset("train"))))
    history = train(model, features, epochs=epochs, batch_size=batch_size, seed=seed, **training)
    if kind != "autoencoder":
        fit_latent_density(model, features, seed)
    return model, history


def save_compact(model, path):
    """Writes a model in half precision to one `.npz` file, about a fifth of its training checkpoint.

    Args:
        model: `Autoencoder`, `VAE` or `ConditionalVAE`.
        path: File to write; it appears only when it is complete.
    """
    about = {"class": type(model).__name__, "config": model.get_config()}
    arrays = {f"weight_{number:03d}": np.asarray(value, np.float16) for number, value in enumerate(model.weights)}
    path = Path(path)
    partial = path.with_suffix(".partial")
    with open(partial, "wb") as file:
        np.savez_compressed(file, about=json.dumps(about), **arrays)
    partial.replace(path)


def load_compact(path):
    """Reads a model that `save_compact` wrote.

    Raises:
        ValueError: If the file is no such model.
    """
    import cvae_music

    try:
        with np.load(path, allow_pickle=False) as file:
            about = json.loads(str(file["about"]))
            arrays = [file[name].astype(np.float32) for name in sorted(file.files) if name != "about"]
        model = getattr(cvae_music, about["class"]).from_config(about["config"])
    except (KeyError, OSError, AttributeError, ValueError) as error:  # ValueError: text, or a pickle
        raise ValueError(
            f"load_compact got {str(path)!r}, which is no model of this library ({error}). Use a file of save_compact, "
            "or load_model for a .keras file."
        ) from error
    for variable, value in zip(model.weights, arrays, strict=True):
        variable.assign(value)
    return model


def load_model(path, config=None):
    """Reads a model from a file, whichever way it was saved.

    Args:
        path: A `.keras` file of `model.save`, or an `.npz` file of `save_compact`.
        config: The `AudioConfig` it must have; `None` accepts any.

    Returns:
        `Autoencoder`, `VAE` or `ConditionalVAE`, ready to encode, decode and sample; `train` compiles it anew.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is no model of this library, or one of another `AudioConfig`.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"load_model got {str(path)!r}, and there is no such file. Check the path.")
    if path.suffix == ".npz":
        model = load_compact(path)
    else:
        import keras

        # Keras finds a class by its name once the module that registers it has been imported.
        from cvae_music import conditional, models  # noqa: F401

        try:
            model = keras.saving.load_model(path, compile=False)
        except Exception as error:  # Keras raises whatever the part that it stumbled on raises
            reason = str(error).strip().partition("\n")[0][:200]
            raise ValueError(
                f"load_model got {str(path)!r}, which Keras cannot read ({reason}). Expected a .keras file of "
                "model.save or an .npz file of save_compact, written by this version of the library."
            ) from error
        if not isinstance(model, models.Autoencoder):
            raise ValueError(
                f"load_model got {str(path)!r}, which holds a {type(model).__name__}; expected an Autoencoder, a VAE or "
                "a ConditionalVAE of this library. Load other models with keras.saving.load_model."
            )
    if config is not None:
        config.check_same(model.audio_config, where=f"The model {path.name!r}")
    return model


def pretrained_folder():
    """Where the shipped models are.

    Raises:
        FileNotFoundError: If the package was installed without the project's data.
    """
    project = project_folder()
    if project is None:
        raise FileNotFoundError(
            "The shipped models are in the project's folder data/pretrained, which is not here: the package was "
            "installed without it. Put the project's lib on sys.path, or train with fit_series_model."
        )
    return project / "data" / "pretrained"


def load_pretrained(name):
    """One of the shipped models.

    Args:
        name: One of `PRETRAINED`.

    Returns:
        The model, ready to encode, decode and sample.

    Raises:
        ValueError: If the name is unknown.
        FileNotFoundError: If the file is not there.
    """
    if name not in PRETRAINED:
        raise ValueError(f"load_pretrained got name={name!r}; expected one of {list(PRETRAINED)}.")
    path = pretrained_folder() / f"{name}.npz"
    if not path.exists():
        raise FileNotFoundError(f"data/pretrained/{path.name} is missing. Make it with: make weights")
    return load_compact(path)


def load_pretrained_judges(data="known"):
    """The judges trained on the training split of the embedded music, by name."""
    from cvae_music.judges import load_judge

    return {name: load_judge(pretrained_folder() / f"{data}_judge_{name}.npz") for name in ("cnn", "descriptors")}


def peak_memory_gb():
    """Most memory this process has held, in GB; NaN where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return float("nan")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


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

    from cvae_music import AudioConfig, build_features, open_collection
    from cvae_music.judges import load_judge, train_judges
    from cvae_music.scoreboard import evaluate_model
    from cvae_music.session import cache_folder

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
    judges = {kind: weights / f"{name}_judge_{kind}.npz" for kind in ("cnn", "descriptors")}
    if not all(path.exists() for path in judges.values()):
        for kind, judge in train_judges(features).items():
            judge.save(judges[kind])
    judges = {kind: load_judge(path) for kind, path in judges.items()}

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
            table = pd.concat([finished(), pd.DataFrame([row])], ignore_index=True).sort_values(["kind", "seed"])
            table.to_csv(scores.with_suffix(".partial"), index=False)
            scores.with_suffix(".partial").replace(scores)
    measured = finished().drop(columns="seed").groupby("kind")
    print(measured.agg(["mean", "std"]).T.round(3).to_string())


if __name__ == "__main__":
    main()
