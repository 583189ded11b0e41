"""Models on disk: the presets that ship, half-precision files, and Keras' own."""

from pathlib import Path

import numpy as np

from cvae_music.serialization import check_size, load_arrays, save_arrays

WEIGHTS = Path(__file__).parent / "weights"  # the presets that ship


def preset(name):
    """Path of the weights of a model that ships; ValueError if there is none of this name."""
    known = sorted(path.stem for path in WEIGHTS.glob("known_*.npz"))
    if name not in known:
        raise ValueError(f"There is no preset {name!r}; expected one of {known}.")
    return WEIGHTS / f"{name}.npz"


def save_compact(model, path):
    """Writes a Keras model in half precision, about a fifth of its training checkpoint.

    Args:
        model: A model of a class registered with Keras under `cvae_music`: `Autoencoder`, `VAE`, `Vocoder`, ...
        path: `.npz` file to write; it appears only when it is complete.
    """
    import keras

    about = {
        "class": keras.saving.get_registered_name(type(model)),
        "config": model.get_config(),
    }
    arrays = {
        f"weight_{k:03d}": np.asarray(value, np.float16)
        for k, value in enumerate(model.weights)
    }
    save_arrays(path, about, arrays)


def load_compact(path):
    """Reads a model that `save_compact` wrote; Keras' registry knows its class.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is no such model.
    """
    import keras

    about, arrays = load_arrays(path, "class", "config")
    kind = keras.saving.get_registered_object(about["class"])
    if kind is None:
        raise ValueError(
            f"{str(path)!r} holds no model of a class that is known here: {about['class']!r}."
        )
    model = kind.from_config(about["config"])
    for variable, name in zip(model.weights, sorted(arrays), strict=True):
        variable.assign(arrays[name])
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
    import keras

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(
            f"load_model got {str(path)!r}, and there is no such file. Check the path."
        )
    try:
        check_size(path)
        is_compact = path.suffix == ".npz"
        model = (
            load_compact(path)
            if is_compact
            else keras.saving.load_model(path, compile=False, safe_mode=True)
        )
        found = model.audio_config
    except (
        Exception
    ) as error:  # Keras raises whatever the part that it stumbled on raises
        reason = str(error).strip().partition("\n")[0][:200]
        found = f"load_model got {str(path)!r}, which is no model of this library ({reason})"
        raise ValueError(
            f"{found}. Expected what model.save or save_compact of this version wrote."
        ) from error
    if config is not None:
        config.check_same(found, where=f"The model {path.name!r}")
    return model
