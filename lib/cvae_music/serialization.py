"""Atomic writes, and the .npz container of models and controls."""

import json
import os
import zipfile
from pathlib import Path

import numpy as np

MOST_BYTES = 2**30  # no file of this library holds more


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


def save_arrays(path, about, arrays):
    """Writes named arrays, and a dictionary that JSON can hold, to one `.npz` file."""
    write_file(
        path, lambda file: np.savez_compressed(file, about=json.dumps(about), **arrays)
    )


def check_size(path):
    """Refuses a zip, such as `.npz` and `.keras` files are, that would unpack to more than `MOST_BYTES`; a ValueError."""
    with zipfile.ZipFile(path) as file:
        size = sum(part.file_size for part in file.infolist())
    if size > MOST_BYTES:
        raise ValueError(
            f"it unpacks to {size / 2**30:.1f} GB, of at most {MOST_BYTES / 2**30:.1f}"
        )


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
            arrays |= {
                name: half.astype(np.float32)
                for name, half in arrays.items()
                if half.dtype == np.float16
            }
            about = json.loads(str(arrays.pop("about")))
        return {entry: about[entry] for entry in entries} | about, arrays
    except FileNotFoundError:
        raise
    except Exception as error:  # text, a pickle, a cut zip: NumPy raises a dozen kinds
        raise ValueError(
            f"{str(path)!r} is no file of this library ({error}). Make or download it again."
        ) from error


def results_folder():
    """Where a notebook's figures and sounds go: the session's folder if one was started, else `outputs`."""
    return Path(
        os.environ.get("CVAE_MUSIC_STARTED")
        or os.environ.get("CVAE_MUSIC_OUTPUT")
        or "outputs"
    )
