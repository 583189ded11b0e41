"""Files that are whole or not there: atomic writes, and the one format of everything this library keeps in `.npz` files."""

import json
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np

MOST_BYTES = 2**30  # no file of this library holds more
WEIGHTS = Path(__file__).parent / "weights"  # what ships with the package


def preset(name):
    """Path of the weights of a model that ships; ValueError if there is none of this name."""
    known = sorted(path.stem for path in WEIGHTS.glob("known_*.npz"))
    if name not in known:
        raise ValueError(f"There is no preset {name!r}; expected one of {known}.")
    return WEIGHTS / f"{name}.npz"


def write_file(path, write):
    """Calls `write(file)` on a temporary file and gives it its name once it is whole; makes the folder if it is missing."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path, text):
    """Writes a small text file whole or not at all."""
    write_file(path, lambda file: file.write(text.encode("utf-8")))


def backups(folder, model, features, run):
    """Keeps the state of a training after each epoch, and loads that of an earlier one that was killed.

    A state appears when it is whole, with its epoch in its name: Keras' own backup, killed at a bad moment, counts an
    epoch twice or cannot be read. A note beside it says of what it is, so that no training goes on from that of another.

    Args:
        folder: Where to keep it; `None` for nowhere. It is removed at the end.
        model: The compiled model that is about to be trained.
        features: The `FeatureSet` it is trained on.
        run: Dict of what else the training depends on.

    Returns:
        `(epoch, callbacks)`: the number of epochs that are done, and a list with the callback that keeps the state.

    Raises:
        ValueError: If the folder holds the state of another training, or anything else.
    """
    import keras

    if not folder:
        return 0, []
    folder, partial = Path(folder), "partial.weights.h5"
    about = json.loads(json.dumps(model.get_config() | run | {"name": "", "music": features.key()}, default=str))
    note = folder / "made_with.json"
    found = json.loads(note.read_text(encoding="utf-8")) if note.exists() else {}
    others = [f"{key}: {found.get(key)} there, {value} here" for key, value in about.items() if value != found.get(key)]
    if others and folder.is_dir() and set(os.listdir(folder)) - {note.name, partial}:
        raise ValueError(f"{str(folder)!r} is of another training ({'; '.join(others)}). Empty it, or pass another.")
    write_text(note, json.dumps(about))

    class Backup(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.save_weights(folder / partial, overwrite=True)
            os.replace(folder / partial, folder / f"{epoch + 1:06d}.weights.h5")
            (folder / f"{epoch:06d}.weights.h5").unlink(missing_ok=True)

        def on_train_end(self, logs=None):
            for state in folder.glob("[0-9]*.weights.h5"):
                state.unlink()
            shutil.rmtree(folder)

    states = sorted(folder.glob("[0-9]*.weights.h5"))
    if states:
        model.load_weights(states[-1])
    return int(states[-1].name[:6]) if states else 0, [Backup()]


def save_arrays(path, about, arrays):
    """Writes named arrays, and a dictionary that JSON can hold, to one `.npz` file."""
    write_file(path, lambda file: np.savez_compressed(file, about=json.dumps(about), **arrays))


def check_size(path):
    """Refuses a zip, such as `.npz` and `.keras` files are, that would unpack to more than `MOST_BYTES`; a ValueError."""
    with zipfile.ZipFile(path) as file:
        size = sum(part.file_size for part in file.infolist())
    if size > MOST_BYTES:
        raise ValueError(f"it unpacks to {size / 2**30:.1f} GB, of at most {MOST_BYTES / 2**30:.1f}")


def load_arrays(path, *entries):
    """Reads what `save_arrays` wrote: `(about, arrays)`; half precision becomes float32. Nothing in a file is ever executed.

    Args:
        path: `.npz` file.
        *entries: What `about` must hold.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is none of this library, lacks an entry, or would unpack to more than `MOST_BYTES`.
    """
    try:
        check_size(path)
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
            arrays |= {name: half.astype(np.float32) for name, half in arrays.items() if half.dtype == np.float16}
            about = json.loads(str(arrays.pop("about")))
        return {entry: about[entry] for entry in entries} | about, arrays
    except FileNotFoundError:
        raise
    except Exception as error:  # text, a pickle, a cut zip: NumPy raises a dozen kinds
        raise ValueError(f"{str(path)!r} is no file of this library ({error}). Make or download it again.") from error


def save_compact(model, path):
    """Writes a Keras model in half precision, about a fifth of its training checkpoint.

    Args:
        model: A model of a class registered with Keras under `cvae_music`: `Autoencoder`, `VAE`, `Vocoder`, ...
        path: `.npz` file to write; it appears only when it is complete.
    """
    import keras

    about = {"class": keras.saving.get_registered_name(type(model)), "config": model.get_config()}
    arrays = {f"weight_{k:03d}": np.asarray(value, np.float16) for k, value in enumerate(model.weights)}
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
        raise ValueError(f"{str(path)!r} holds no model of a class that is known here: {about['class']!r}.")
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
        raise FileNotFoundError(f"load_model got {str(path)!r}, and there is no such file. Check the path.")
    try:
        check_size(path)
        is_compact = path.suffix == ".npz"
        model = load_compact(path) if is_compact else keras.saving.load_model(path, compile=False, safe_mode=True)
        found = model.audio_config
    except Exception as error:  # Keras raises whatever the part that it stumbled on raises
        reason = str(error).strip().partition("\n")[0][:200]
        found = f"load_model got {str(path)!r}, which is no model of this library ({reason})"
        raise ValueError(f"{found}. Expected what model.save or save_compact of this version wrote.") from error
    if config is not None:
        config.check_same(found, where=f"The model {path.name!r}")
    return model


def results_folder():
    """Where a notebook's figures and sounds go: the session's folder if one was started, else `outputs`."""
    return Path(os.environ.get("CVAE_MUSIC_STARTED") or os.environ.get("CVAE_MUSIC_OUTPUT") or "outputs")
