"""The models and judges of a notebook: those that ship, those of an earlier notebook of the session, or new ones."""

import os
from pathlib import Path

from cvae_lab.judges.classifiers import load_judge, train_judges
from cvae_lab.measures.scoreboard import check_judges
from cvae_music.saving import load_model, save_compact

NUM_STEPS = 1440
SECOND_STEPS, SECOND_RATE = 480, 5e-4  # of the second phase, against a discriminator
WEIGHTS = (
    Path(__file__).parents[1] / "weights"
)  # what ships with this package: the judges, and the model that does not listen
CUT_SHORT = {
    "KERAS_MAX_EPOCHS",
    "KERAS_MAX_STEPS_PER_EPOCH",
}  # set in the environment by smoke runs


def model_class(kind):
    """The class of a kind of model: `"autoencoder"`, `"vae"`, `"cvae"`, `"cvaegan"` or `"deaf"`.

    Raises:
        ValueError: If the kind is unknown.
    """
    import cvae_music as cm
    from cvae_lab.baselines.concat_cvae import ConcatCVAE

    classes = {
        "autoencoder": cm.Autoencoder,
        "vae": cm.VAE,
        "cvae": cm.ConditionalVAE,
        "deaf": ConcatCVAE,
    }
    classes["cvaegan"] = cm.ConditionalVAEGAN
    if kind not in classes:
        raise ValueError(f"got kind={kind!r}; expected one of {list(classes)}.")
    return classes[kind]


def new_model(kind, features, seed=0, **changes):
    """An untrained model with the settings of the series, which are those of its class.

    Args:
        kind: `"autoencoder"`, `"vae"`, `"cvae"`, or `"deaf"` for the `ConcatCVAE`.
        features: `FeatureSet` it will be trained on.
        seed: Seed of its weights and of its noise.
        **changes: Arguments of the model to set otherwise.

    Returns:
        An `Autoencoder`, `VAE`, `ConditionalVAE` or `ConcatCVAE`, not compiled.

    Raises:
        ValueError: If the kind is unknown.
    """
    import keras

    label = {"genres": features.genres} if kind in ("cvae", "deaf") else {}
    keras.utils.set_random_seed(seed)
    return model_class(kind)(
        **{"audio_config": features.config, "seed": seed, **label, **changes}
    )


def fit_model(kind, features, *, num_steps=NUM_STEPS, seed=0, changes=None, **training):
    """Makes a model and trains it.

    Args:
        kind: As for `new_model`.
        features: `FeatureSet`.
        num_steps: Steps of 32 clips, rounded to whole epochs.
        seed: Seed of weights, noise, order and augmentation.
        changes: Dict of arguments of the model to set otherwise.
        **training: More arguments of `cvae_music.train`, such as `backup_dir`.

    Returns:
        `(model, history)`.
    """
    from cvae_music.training import train

    model = new_model(kind, features, seed, **(changes or {}))
    return model, train(model, features, num_steps, seed=seed, **training)


def go_on(model, features, kind, num_steps, seed=0, changes=None, **training):
    """Trains a trained `ConditionalVAE` for more steps.

    Args:
        model: `ConditionalVAE`.
        features: `FeatureSet`.
        kind: `"cvae"` to go on as before, `"cvaegan"` with a discriminator.
        num_steps: Steps of 32 clips; 0 returns the model as it is.
        seed: Seed of noise, order, augmentation and discriminator.
        changes: Arguments of the `ConditionalVAEGAN` to set otherwise.
        **training: More arguments of `cvae_music.train`.

    Returns:
        `(model, history)`; the history is None without a step.
    """
    import keras

    from cvae_music.models import adversarial
    from cvae_music.training import train

    keras.utils.set_random_seed(seed)
    if kind == "cvaegan":
        model = adversarial.go_on(model, features, seed=seed, **(changes or {}))
    return model, train(
        model, features, num_steps, learning_rate=SECOND_RATE, seed=seed, **training
    ) if num_steps else None


def is_shipped(session, weights):
    """Whether a notebook with these parameters loads what ships.

    Raises:
        ValueError: If `weights` is neither `"pretrained"` nor `"train"`.
    """
    if weights not in ("pretrained", "train"):
        raise ValueError(
            f"Got weights={weights!r}; expected 'pretrained' or 'train'. Change it in the parameters cell."
        )
    return session.data == "known" and weights == "pretrained"


def open_model(kind, features, session, weights="pretrained", *, num_steps=NUM_STEPS):
    """The model of a notebook: the shipped one, that of an earlier notebook of the same session folder, or a new one.

    A model that is trained here is kept in the folder `models` of the session's results. Delete the file to train
    it again.

    Args:
        kind: As for `new_model`.
        features: `FeatureSet`.
        session: What `start_session` returned.
        weights: `"pretrained"`, or `"train"`; music other than `"known"` has no shipped weights and is always trained on.
        num_steps: Steps of a training; the second phase of a `"cvaegan"` has a third of those of its first.

    Returns:
        The model, ready to encode, decode and sample.

    Raises:
        ValueError: If the kind is unknown, or `weights` is neither.
    """
    own = model_class(kind)
    if is_shipped(session, weights):
        return (
            load_model(WEIGHTS / "known_deaf.npz")
            if kind == "deaf"
            else own.from_preset(f"known_{kind}")
        )
    path = (
        session.output_dir
        / "models"
        / f"{kind}-{num_steps}-{session.seed}-{features.path.name}.npz"
    )
    if path.exists():
        print(f"Weights of an earlier notebook: models/{path.name}")
        return load_model(path)
    if kind == "cvaegan":
        first = open_model("cvae", features, session, weights, num_steps=num_steps)
        model, _ = go_on(
            first, features, kind, max(1, num_steps // 3), session.seed, verbose=2
        )
    else:
        model, _ = fit_model(
            kind, features, num_steps=num_steps, seed=session.seed, verbose=2
        )
    if CUT_SHORT & os.environ.keys():
        return model  # nothing that a full run should find
    save_compact(model, path)
    return load_model(path)  # what the later notebooks will hear, to the last bit


def open_judges(features, session, weights="pretrained", *, num_steps=400):
    """The judges of a notebook by name: shipped, of an earlier notebook of the same session folder, or new ones.

    Args:
        features: `FeatureSet`.
        session: What `start_session` returned.
        weights: As for `open_model`.
        num_steps: Steps of the training of the network.

    Returns:
        `{"cnn": CNNJudge, "descriptors": DescriptorJudge}`.
    """
    if is_shipped(session, weights):
        return keep_judges(WEIGHTS, features, name="known")
    return keep_judges(
        session.output_dir / "models", features, session.seed, num_steps=num_steps
    )


def keep_judges(folder, features, seed=0, *, num_steps=400, name=None):
    """The judges kept in a folder, trained and kept there if they are not.

    Args:
        folder: Folder of the files `<name>_judge_<kind>.npz`.
        features: `FeatureSet`.
        seed: Seed of the training.
        num_steps: Steps of the training of the network.
        name: Start of the files' names; by default one for these features, seed and steps.
    """
    name = name or f"{features.path.name}-{seed}-{num_steps}"
    paths = {
        kind: Path(folder) / f"{name}_judge_{kind}.npz"
        for kind in ("cnn", "descriptors")
    }
    if not all(path.exists() for path in paths.values()):
        judges = train_judges(features, seed, num_steps=num_steps)
        if CUT_SHORT & os.environ.keys():
            return judges
        for kind, judge in judges.items():
            judge.save(paths[kind])
    judges = {kind: load_judge(path) for kind, path in paths.items()}
    check_judges(judges, features)
    return judges
