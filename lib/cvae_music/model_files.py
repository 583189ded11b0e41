"""Models in files: Keras checkpoints, and small files in half precision that can ship."""

import json
from pathlib import Path

import numpy as np

from cvae_music.feature_cache import write_file


def save_compact(model, path):
    """Writes a model in half precision to one `.npz` file, about a fifth of its training checkpoint.

    Args:
        model: `Autoencoder`, `VAE` or `ConditionalVAE`.
        path: File to write; it appears only when it is complete.
    """
    about = {"class": type(model).__name__, "config": model.get_config()}
    arrays = {f"weight_{number:03d}": np.asarray(value, np.float16) for number, value in enumerate(model.weights)}
    write_file(Path(path), lambda file: np.savez_compressed(file, about=json.dumps(about), **arrays))


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
