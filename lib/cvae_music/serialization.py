"""Atomic writes, the .npz container of models and controls, and printing."""

import errno
import json
import os
import re
import sys
import uuid
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

MAX_BYTES = 2**30  # no model or controls need more; a malicious zip unpacks to more
# Errors of calls that some disks do not support, such as locks and fsync.
NO_CALL = {errno.ENOSYS, errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL}
# How files begin whose download failed. Pattern: (what it is, what to do).
NOT_FETCHED = {
    rb"version https://git-lfs": (
        "Git LFS pointer",
        "The content was not fetched. Run: git lfs pull.",
    ),
    rb"\S*annex/objects/": (
        "git-annex pointer",
        "The content was not fetched. Run: git annex get.",
    ),
    rb"(\xef\xbb\xbf|\xff\xfe)?\s*(<\0?[!?a-zA-Z]|[{\[])": (
        "web page",
        "A page or an error message was saved in its place; download it again.",
    ),
    rb"\0{512}": ("only zeros", "Its content never arrived; copy it again."),
}
OLD_FILES = "If an earlier version wrote it, load it with cvae-music 0.2.0."


def write_file(path: str | Path, write: Callable) -> None:
    """Writes a file atomically: whole, or not at all.

    The content goes to a temporary file beside the path, which is renamed once it is
    complete. Missing folders are made. Where the path is a link, its target is written.

    Args:
        path: File to write.
        write: Function that writes the content to an open binary file.

    Raises:
        PermissionError: If the file exists and is read-only.
        OSError: If it cannot be written, as on a full disk.
        ValueError: If the path is a URL.
    """
    if re.match(r"\w{2,}:/", str(path)):  # one letter, as in C:/, is a drive
        raise ValueError(
            f"Got the URL {str(path)!r}; expected a path on this disk. Write the file "
            "there, and copy it."
        )
    path = Path(path).expanduser().resolve()  # else a link would be replaced
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        with open(path, "ab"):  # raises on a read-only file; a rename would replace it
            pass
    # Disks allow names of 255 bytes, and a character may take four.
    temporary = path.with_name(f"{path.name[:48]}.{uuid.uuid4().hex}.tmp")
    try:
        with open(temporary, "wb") as file:
            write(file)
            file.flush()
            try:
                os.fsync(file.fileno())
            except OSError as error:
                if error.errno not in NO_CALL:
                    raise
        os.replace(temporary, path)
    except OSError as error:
        error.filename = error.filename or str(path)  # a full disk names none
        raise
    finally:
        temporary.unlink(missing_ok=True)


def what_it_is(
    start: bytes, kinds: dict[bytes, tuple[str, str]] = NOT_FETCHED
) -> tuple[str, str] | None:
    """Recognises by its first bytes a file that is not what its name says.

    Args:
        start: The first 512 bytes or more.
        kinds: Dict from a regular expression to `(what it is, what to do)`.

    Returns:
        The pair of the first expression that matches; `None` if none does.
    """
    for pattern, found in kinds.items():
        if re.match(pattern, start, re.DOTALL):
            return found
    return None


def write_text(path: str | Path, text: str) -> None:
    """Writes a small text file atomically, in UTF-8."""
    write_file(path, lambda file: file.write(text.encode("utf-8")))


def print_text(text: str) -> None:
    """Prints text; characters that the console cannot show become escapes.

    `print` raises `UnicodeEncodeError` instead, for example on Windows where output
    goes to a file, and would end hours of extraction at an accent in a genre's name.
    """
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding), flush=True)


def save_arrays(
    path: str | Path, about: dict[str, Any], arrays: dict[str, Any]
) -> None:
    """Writes named arrays and a description to one `.npz` file, atomically.

    Args:
        path: `.npz` file to write.
        about: Description, a dict that JSON can hold.
        arrays: Dict from name to array; no name is `"about"`.
    """
    parts = {"about": json.dumps(about), **arrays}
    write_file(path, lambda file: np.savez_compressed(file, **parts))


def check_size(path: str | Path) -> None:
    """Checks that a zip file does not unpack to more than `MAX_BYTES`.

    Args:
        path: Path of a zip file, as `.npz` and `.keras` files are.

    Raises:
        ValueError: If its parts are larger together, or a failed download left a
            pointer or a web page in its place.
        zipfile.BadZipFile: If it is no zip file.
    """
    with open(path, "rb") as start:
        if found := what_it_is(start.read(512)):
            raise ValueError(": ".join(found))
    with zipfile.ZipFile(path) as file:
        size = sum(part.file_size for part in file.infolist())
    if size > MAX_BYTES:
        raise ValueError(
            f"it unpacks to {size / 2**30:.1f} GB, of at most {MAX_BYTES / 2**30:.1f}"
        )


def load_arrays(
    path: str | Path, *entries: str
) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """Reads what `save_arrays` wrote; half precision becomes float32.

    Nothing in the file is executed.

    Args:
        path: `.npz` file.
        *entries: Keys that `about` must have.

    Returns:
        `(about, arrays)`: the description, and a dict from name to array.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If `save_arrays` did not write the file, `about` lacks an entry, or
            it would unpack to more than `MAX_BYTES`.
    """
    try:
        path = Path(path).expanduser()
        check_size(path)
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        about = json.loads(str(arrays.pop("about")))
        if missing := [entry for entry in entries if entry not in about]:
            raise ValueError(f"it lacks {missing}")
    except FileNotFoundError:
        raise
    except Exception as error:  # for text, pickles and cut zips NumPy raises all kinds
        raise ValueError(
            f"{str(path)!r} is no file of this library ({error}). "
            "Make or download it again."
        ) from error
    for name, array in arrays.items():
        if array.dtype == np.float16:
            arrays[name] = array.astype(np.float32)
    return about, arrays


def results_folder() -> Path:
    """Returns the folder of results: `CVAE_MUSIC_OUTPUT` if set, else `outputs`."""
    return Path(os.environ.get("CVAE_MUSIC_OUTPUT") or "outputs")
