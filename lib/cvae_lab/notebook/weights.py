"""Models and judges of a notebook: shipped, of an earlier notebook, or new."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import keras

from cvae_lab.judges.classifiers import load_judge, train_judges
from cvae_lab.measures.scoreboard import check_judges
from cvae_lab.notebook.session import lock_for
from cvae_music.saving import load_model, save_compact

NUM_STEPS = 1440
LABELLED = ("cvae", "cvaegan", "deaf")
SECOND_STEPS = 480  # of the second phase, against a discriminator
SECOND_LEARNING_RATE = 5e-4
# Ships with this package: the judges, and the model that ignores its label.
WEIGHTS = Path(__file__).parents[1] / "weights"
# Set in the environment by smoke runs, whose models are not kept.
SMOKE_VARIABLES = {"KERAS_MAX_EPOCHS", "KERAS_MAX_STEPS_PER_EPOCH"}


def music_key(features: Any) -> str | None:
    """Identifies the music of features by a hash that no change of code changes.

    Args:
        features: `FeatureSet`, or None for the embedded music.

    Returns:
        Ten hexadecimal digits; None for the embedded music, whose rows and weights ship
        without a key.
    """
    if features is None:
        return None
    if "grid" in features.table and (features.table["grid"] == "known").all():
        return None
    return features.key()


def model_class(kind: str) -> Any:
    """Finds the class of a kind of model.

    Args:
        kind: `"autoencoder"`, `"vae"`, `"cvae"`, `"cvaegan"` or `"deaf"`, which is the
            `ConcatCVAE`.

    Returns:
        A subclass of `keras.Model`.

    Raises:
        ValueError: If the kind is unknown.
    """
    from cvae_lab.baselines.concat_cvae import ConcatCVAE
    from cvae_music.models.adversarial import ConditionalVAEGAN
    from cvae_music.models.autoencoders import VAE, Autoencoder
    from cvae_music.models.conditional import ConditionalVAE

    classes = {
        "autoencoder": Autoencoder,
        "vae": VAE,
        "cvae": ConditionalVAE,
        "cvaegan": ConditionalVAEGAN,
        "deaf": ConcatCVAE,
    }
    if kind not in classes:
        raise ValueError(f"got kind={kind!r}; expected one of {list(classes)}.")
    return classes[kind]


def new_model(kind: str, features: Any, seed: int = 0, **changes: Any) -> keras.Model:
    """Makes an untrained model with the settings of the series.

    Args:
        kind: As for `model_class`.
        features: `FeatureSet` it will be trained on.
        seed: Seed of its weights and of its noise.
        **changes: Arguments of the model to set otherwise.

    Returns:
        The model, not compiled.

    Raises:
        ValueError: If the kind is unknown.

    Example:
        >>> from types import SimpleNamespace
        >>> from cvae_music.config import AudioConfig
        >>> features = SimpleNamespace(config=AudioConfig(), genres=("jazz", "rock"))
        >>> new_model("cvae", features, width=48, depth=1).genres
        ('jazz', 'rock')
    """
    kwargs = {"audio_config": features.config, "seed": seed}
    if kind in LABELLED:
        kwargs["genres"] = features.genres
    keras.utils.set_random_seed(seed)
    return model_class(kind)(**{**kwargs, **changes})


def fit_model(
    kind: str,
    features: Any,
    *,
    num_steps: int = NUM_STEPS,
    seed: int = 0,
    changes: dict[str, Any] | None = None,
    preset: str | Path | None = None,
    **training: Any,
) -> tuple[keras.Model, Any]:
    """Makes a model, or takes a trained one, and trains it.

    Args:
        kind: As for `new_model`.
        features: `FeatureSet`.
        num_steps: Steps of 32 clips, rounded to whole epochs.
        seed: Seed of weights, noise, order and augmentation.
        changes: Arguments of a new model to set otherwise.
        preset: What to begin from, as for `from_preset`; None makes a new model.
        **training: More arguments of `cvae_music.train`, such as `backup_dir`.

    Returns:
        `(model, history)`.

    Raises:
        ValueError: If the kind is unknown, or the preset does not fit the features.

    Example:
        >>> features = ...  # what `cvae_music.build_features` returns
        >>> fit_model("vae", features, num_steps=100)  # doctest: +SKIP
    """
    from cvae_music.training import train

    if preset is None:
        model = new_model(kind, features, seed, **(changes or {}))
    else:
        keras.utils.set_random_seed(seed)
        genres = features.genres if kind in LABELLED else None
        model = model_class(kind).from_preset(preset, genres)
    return model, train(model, features, num_steps, seed=seed, **training)


def continue_training(
    model: keras.Model,
    features: Any,
    kind: str,
    num_steps: int,
    seed: int = 0,
    changes: dict[str, Any] | None = None,
    **training: Any,
) -> tuple[keras.Model, Any]:
    """Trains a trained `ConditionalVAE` for more steps.

    Args:
        model: `ConditionalVAE`.
        features: `FeatureSet`.
        kind: `"cvae"` to train as before, `"cvaegan"` with a discriminator.
        num_steps: Steps of 32 clips; 0 returns the model as it is.
        seed: Seed of noise, order, augmentation and discriminator.
        changes: Arguments of the `ConditionalVAEGAN` to set otherwise.
        **training: More arguments of `cvae_music.train`.

    Returns:
        `(model, history)`; the history is None without a step.
    """
    from cvae_music.training import train

    keras.utils.set_random_seed(seed)
    if kind == "cvaegan":
        kwargs = changes or {}
        model = model_class(kind).from_cvae(model, features, seed=seed, **kwargs)
    if not num_steps:
        return model, None
    training = {"learning_rate": SECOND_LEARNING_RATE, "seed": seed, **training}
    return model, train(model, features, num_steps, **training)


def uses_shipped_weights(session: Any, weights: str) -> bool:
    """Tells whether a notebook with these parameters loads what ships.

    Args:
        session: What `start_session` returned.
        weights: `"pretrained"`, `"finetune"` or `"train"`.

    Returns:
        True on the embedded music, unless the weights are to be trained.

    Raises:
        ValueError: If `weights` is none of the three.

    Example:
        >>> from types import SimpleNamespace
        >>> uses_shipped_weights(SimpleNamespace(data="known"), "pretrained")
        True
    """
    if weights not in ("pretrained", "finetune", "train"):
        raise ValueError(
            f"Got weights={weights!r}; expected 'pretrained', 'finetune' or 'train'. "
            "Change it in the parameters cell."
        )
    return session.data == "known" and weights != "train"


def open_model(
    kind: str,
    features: Any,
    session: Any,
    weights: str = "pretrained",
    *,
    num_steps: int = NUM_STEPS,
) -> keras.Model:
    """Opens the model of a notebook: shipped, of an earlier notebook, or new.

    A model that is trained here is kept in the folder `models` of the session's
    results. Delete the file to train it again.

    Args:
        kind: As for `new_model`.
        features: `FeatureSet`.
        session: What `start_session` returned.
        weights: `"pretrained"`; `"train"`, to begin anew; or `"finetune"`, to begin
            from shipped weights: `real_cvae` for a `"cvae"`, else those of composed
            music. Music other than `"known"` has no weights of its own, so
            `"pretrained"` begins anew there too.
        num_steps: Steps of a training that begins anew. From shipped weights it has a
            third, as has the second phase of a `"cvaegan"`.

    Returns:
        The model, ready to encode, decode and sample.

    Raises:
        ValueError: If the kind or `weights` is unknown, or the shipped weights are of
            another `AudioConfig` than the features.

    Example:
        >>> from types import SimpleNamespace
        >>> session = SimpleNamespace(data="known")
        >>> type(open_model("vae", None, session)).__name__
        'VAE'
    """
    own = model_class(kind)
    preset = WEIGHTS / "known_deaf.npz" if kind == "deaf" else f"known_{kind}"
    if uses_shipped_weights(session, weights):
        return own.from_preset(preset)
    start = "finetuned-" if weights == "finetune" else ""
    name = f"{start}{kind}-{num_steps}-{session.seed}-{features.key()}.npz"
    path = session.output_dir / "models" / name
    with lock_for(path):  # two notebooks of one run train it once
        if path.exists():
            print(f"Weights of an earlier notebook: models/{name}")
            return load_model(path, features.config)
        model = _train_kind(kind, features, session, weights, num_steps, preset)
        if SMOKE_VARIABLES & os.environ.keys():
            return model  # nothing that a full run should find
        save_compact(model, path)
    return load_model(path)  # what later notebooks load, to the last bit


def _train_kind(kind, features, session, weights, num_steps, preset):
    """Trains what `open_model` did not find."""
    settings = {"seed": session.seed, "verbose": 2}
    fewer_steps = max(1, num_steps // 3)
    if kind == "cvaegan":
        first = open_model("cvae", features, session, weights, num_steps=num_steps)
        model, _ = continue_training(first, features, kind, fewer_steps, **settings)
        return model
    if weights == "finetune":  # of recordings, where such a model ships
        settings["preset"] = "real_cvae" if kind == "cvae" else preset
        num_steps = fewer_steps
    model, _ = fit_model(kind, features, num_steps=num_steps, **settings)
    return model


def open_judges(
    features: Any, session: Any, weights: str = "pretrained", *, num_steps: int = 400
) -> dict[str, Any]:
    """Opens the judges of a notebook: shipped, of an earlier notebook, or new.

    Args:
        features: `FeatureSet`.
        session: What `start_session` returned.
        weights: As for `open_model`.
        num_steps: Steps of the training of the network.

    Returns:
        `{"cnn": CNNJudge, "descriptors": DescriptorJudge}`.

    Raises:
        ValueError: If `weights` is unknown, or the judges do not fit the features.

    Example:
        >>> judges = open_judges(features, session)  # doctest: +SKIP
        >>> judges["cnn"].predict(clips)  # doctest: +SKIP
    """
    if uses_shipped_weights(session, weights):
        return load_or_train_judges(WEIGHTS, features, name="known")
    folder = session.output_dir / "models"
    return load_or_train_judges(folder, features, session.seed, num_steps=num_steps)


def load_or_train_judges(
    folder: str | Path,
    features: Any,
    seed: int = 0,
    *,
    num_steps: int = 400,
    name: str | None = None,
) -> dict[str, Any]:
    """Loads the judges of a folder, or trains them and keeps them there.

    Args:
        folder: Folder of the files `<name>_judge_<kind>.npz`.
        features: `FeatureSet`.
        seed: Seed of the training.
        num_steps: Steps of the training of the network.
        name: Start of the files' names; by default from features, seed and steps.

    Returns:
        `{"cnn": CNNJudge, "descriptors": DescriptorJudge}`.

    Raises:
        ValueError: If the judges in the folder do not fit the features.
    """
    name = name or f"{features.key()}-{seed}-{num_steps}"
    paths = {
        kind: Path(folder) / f"{name}_judge_{kind}.npz"
        for kind in ("cnn", "descriptors")
    }
    with lock_for(paths["cnn"]):
        if not all(path.exists() for path in paths.values()):
            judges = train_judges(features, seed, num_steps=num_steps)
            if SMOKE_VARIABLES & os.environ.keys():
                return judges
            for kind, judge in judges.items():
                judge.save(paths[kind])
    judges = {kind: load_judge(path) for kind, path in paths.items()}
    check_judges(judges, features)
    return judges
