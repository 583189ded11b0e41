"""Models on disk: shipped presets, half-precision `.npz` files, `.keras` files."""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cvae_music.serialization import (
    OLD_FILES,
    check_size,
    load_arrays,
    save_arrays,
    write_file,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from cvae_music.config import AudioConfig
    from cvae_music.models.base import ClipModel

WEIGHTS = Path(__file__).parent / "weights"
COMPOSED = "known_music: six composed genres, 3,840 training clips of 8 beats"
OPEN = "openly licensed: electronic, folk, metal, orchestral; 149 training recordings"
# Name: class, music, RMS error of reconstruction in dB. More in weights/README.md.
PRESETS = {
    "known_autoencoder": ("Autoencoder", COMPOSED, 4.68),
    "known_vae": ("VAE", COMPOSED, 4.59),
    "known_cvae": ("ConditionalVAE", COMPOSED, 4.56),
    "known_cvaegan": ("ConditionalVAEGAN", COMPOSED, 4.79),
    "real_cvae": ("ConditionalVAE", OPEN, 5.79),
    "real_cvaegan": ("ConditionalVAEGAN", OPEN, 6.44),
}


def presets() -> dict[str, dict[str, Any]]:
    """Lists the models that ship with the package.

    Returns:
        Dict of the name for `from_preset` to a dict: `kind` (the class), `music` (what
        it was trained on), `rms_db` (reconstruction error on test clips, dB RMS).

    Example:
        >>> presets()["known_cvae"]["kind"]
        'ConditionalVAE'
    """
    return {
        name: {"kind": kind, "music": music, "rms_db": rms_db}
        for name, (kind, music, rms_db) in PRESETS.items()
    }


def preset_path(name: str | Path) -> Path:
    """Returns the path of a preset's file.

    Args:
        name: Name of a model that ships, or the path of a file that `save_to_preset`
            wrote.

    Returns:
        Path of an `.npz` file.

    Raises:
        ValueError: If there is no such preset or file.
    """
    if name in PRESETS:
        return WEIGHTS / f"{name}.npz"
    path = Path(str(name)).expanduser()
    if path.suffix == ".npz" and path.is_file():
        return path
    raise ValueError(
        f"There is no preset {str(name)!r}; expected one of {list(PRESETS)}, "
        "or the path of an .npz file of save_to_preset. A .keras file is for "
        "load_model."
    )


def save_whole(
    save: Callable[..., Any], path: Any, overwrite: bool = True, **kwargs: Any
) -> None:
    """Saves a model with a method of Keras, atomically: a whole file or none.

    Keras writes the file itself where it has more to do: with `overwrite=False` it asks
    first, with `max_shard_size` it writes several files, and to a URL it uploads.

    Args:
        save: Bound method `save` or `save_weights` of a `keras.Model`.
        path: Path of the file to write.
        overwrite: As for `save`.
        **kwargs: As for `save`.

    Raises:
        PermissionError: If the file exists and is read-only.
    """
    if not overwrite or "://" in str(path) or kwargs.get("max_shard_size"):
        save(path, overwrite, **kwargs)
        return

    class InMemory(io.BytesIO):  # HDF5 would end the process on a full disk
        def __str__(self) -> str:
            return str(path)  # Keras chooses the format by its ending

    content = InMemory()
    save(content, **kwargs)
    write_file(path, lambda file: file.write(content.getbuffer()))


def save_compact(model: ClipModel, path: str | Path) -> None:
    """Writes a model's weights to an `.npz` file, in half precision.

    Optimizer state is left out, so the file is about an eighth of what `model.save`
    writes after training. An array with a value above 65,504, the largest number of
    half precision, stays in full precision.

    Args:
        model: A model of a class registered with Keras.
        path: `.npz` file to write; it appears only when it is complete.

    Raises:
        ValueError: If the path does not end in `.npz`.
        PermissionError: If the file exists and is read-only.

    Example:
        >>> import tempfile
        >>> from cvae_music import VAE, load_model
        >>> model = VAE.from_preset("known_vae")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     save_compact(model, f"{folder}/mine.npz")
        ...     type(load_model(f"{folder}/mine.npz")).__name__
        'VAE'
    """
    import keras

    if Path(path).suffix != ".npz":
        raise ValueError(f"save_compact got {str(path)!r}; expected a .npz file.")
    warn_unfinished(model)
    about = {
        "class": keras.saving.get_registered_name(type(model)),
        "config": model.get_config(),
    }
    arrays = {
        f"weight_{k:03d}": _as_half(value)
        for k, value in enumerate(model.get_weights())
    }
    save_arrays(path, about, arrays)


def warn_unfinished(model: ClipModel) -> None:
    """Warns if the latent density of a model was never fitted.

    This is so if its training was stopped, or if it was saved during training. Such a
    model can be used, but its seeds give other clips than those of a finished model,
    and its mean shift changes nothing.

    Args:
        model: A model; one without a latent density, such as an `Autoencoder`, passes.
    """
    density = getattr(model, "latent_density", None)
    # Unfitted means are zero, and NaN if they were fitted without training clips.
    if density is not None and not np.nan_to_num(np.array(density.means)).any():
        warnings.warn(
            f"This {type(model).__name__} is not finished: its latent density and mean "
            "shift were never fitted, which train does at its end. Call "
            "fit_posthoc_layers(model, features).",
            stacklevel=4,  # the line that calls `save_to_preset`
        )


def _as_half(array):
    """Converts to float16, unless a finite value would become infinite."""
    with np.errstate(over="ignore"):
        half = array.astype(np.float16)
    overflows = np.isinf(half).sum() > np.isinf(array).sum()
    return array if overflows else half


def load_compact(path: str | Path) -> ClipModel:
    """Reads a model that `save_compact` wrote.

    Args:
        path: `.npz` file.

    Returns:
        The model, of the class that Keras registered under the name in the file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If `save_compact` did not write the file, its class is unknown, or
            its configuration or its arrays do not fit the class.
    """
    import keras

    about, arrays = load_arrays(path, "class", "config")
    kind = keras.saving.get_registered_object(about["class"])
    if kind is None:
        raise ValueError(
            f"{str(path)!r} holds a model of the class {about['class']!r}, which is "
            "not known here. Import the module that defines it, or run the cell that "
            f"does, and load it again. {OLD_FILES}"
        )
    misfit = f"{str(path)!r} does not fit the class {about['class']!r} of this version"
    try:
        model = kind.from_config(about["config"])
    except (TypeError, ValueError) as error:
        raise ValueError(f"{misfit}: {error}. {OLD_FILES}") from error
    values = [arrays[name] for name in sorted(arrays)]
    found = [value.shape for value in values]
    expected = [tuple(variable.shape) for variable in model.weights]
    if found != expected:
        raise ValueError(
            f"{misfit}: {_first_difference(found, expected, model.weights)}. "
            f"{OLD_FILES}"
        )
    model.set_weights(values)
    return model


def _first_difference(found, expected, variables):
    """Says in words how the shapes of a file differ from those of a model."""
    if len(found) != len(expected):
        return f"it holds {len(found)} arrays, expected {len(expected)}"
    k = next(k for k in range(len(found)) if found[k] != expected[k])
    return f"{variables[k].path} has shape {found[k]}, expected {expected[k]}"


def load_model(path: str | Path, config: AudioConfig | None = None) -> ClipModel:
    """Reads a model from a `.keras` or `.npz` file.

    `keras.saving.load_model` reads a `.keras` file too, but knows the classes of this
    library only after `from cvae_music import ConditionalVAE`: `import cvae_music`
    alone loads no class.

    Args:
        path: A `.keras` file of `model.save`, or an `.npz` file of `save_compact`.
        config: The `AudioConfig` it must have; `None` accepts any.

    Returns:
        A model such as `ConditionalVAE`, ready to encode, decode and sample. It is not
        compiled; `train` compiles it.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file holds no model of this library, or one with another
            `AudioConfig`.

    Example:
        >>> from cvae_music import load_model
        >>> load_model(preset_path("known_cvae")).genres[:2]
        ('house', 'rock')
    """
    import keras

    path = Path(str(path)).expanduser()
    if not path.is_file():
        raise FileNotFoundError(
            f"load_model got {str(path)!r}, and there is no such file. Expected a "
            ".keras file of model.save, or an .npz file of save_compact. A model that "
            "ships comes by from_preset."
        )
    try:
        check_size(path)
        if path.suffix == ".npz":
            model = load_compact(path)
        else:
            model = keras.saving.load_model(path, compile=False, safe_mode=True)
        found = model.audio_config
    except Exception as error:  # Keras raises whatever its parts raise
        reason = str(error).strip().partition("\n")[0][:400]
        raise ValueError(
            f"load_model got {str(path)!r}, which is no model of this library "
            f"({reason}{_other_keras(path)}). Expected what model.save or save_compact "
            "of this version wrote; of weights alone, make the model and call its "
            "load_weights. A class of your own, of a notebook or of cvae_lab has to be "
            f"imported or defined first. {OLD_FILES}"
        ) from error
    if config is not None:
        config.check_same(found, where=f"The model {path.name!r}")
    return model


def _other_keras(path):
    """Says that another version of Keras wrote a `.keras` file; else returns ""."""
    import keras

    try:
        with zipfile.ZipFile(path) as file:
            found = json.loads(file.read("metadata.json"))["keras_version"]
    except (OSError, KeyError, ValueError, zipfile.BadZipFile):
        return ""
    if found == keras.__version__:
        return ""
    return f"; Keras {found} wrote it, here is Keras {keras.__version__}"
