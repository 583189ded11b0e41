"""The format of features on disk: shards that are written whole and read lazily.

A shard is an array file `shard-00000.npy` (float16, dB, one entry a clip) and a record
`shard-00000.json`, written after it: size, checksum, the clips' rows of the table, and
what was left out. A cache folder holds shards, `table.csv`, `skipped.csv` and, written
last, `meta.json`. Shards are never joined. A folder may be copied to any place that
fsspec can read, such as an object store.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from cvae_music.serialization import write_file, write_text

CLIPS_AT_ONCE = 256  # read together in an iteration over single clips


def write_shard(path: Path, log_mel: np.ndarray, rows: list, skipped: list) -> None:
    """Writes one shard: the array, then the record that says it is complete.

    Args:
        path: Path of the shard, without suffix.
        log_mel: Float16 array, shape `(clips, num_frames, n_mels)`, dB.
        rows: A dict for each clip, its row of the table; JSON must hold it.
        skipped: Tuples `(source_id, reason, detail)` of what was left out.
    """
    array = path.with_suffix(".npy")
    write_file(array, lambda file: np.save(file, log_mel))  # no copy in memory
    with open(array, "rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    record = {
        "name": path.name,
        "clips": len(rows),
        "bytes": array.stat().st_size,
        "sha256": digest.hexdigest(),
        "rows": rows,
        "skipped": skipped,
    }
    write_text(path.with_suffix(".json"), json.dumps(record))


def has_shard(path: Path) -> bool:
    """Tells whether a shard is complete, by the size of its array file.

    Args:
        path: As for `write_shard`.
    """
    try:
        record = json.loads(path.with_suffix(".json").read_bytes())
        ShardedArray(path.parent, [record], ()).check_sizes()
    except (OSError, ValueError):  # missing, or cut short: it is made again
        return False
    return True


def is_url(folder: Path | str) -> bool:
    """Tells whether a folder is a URL, such as `s3://bucket/features`."""
    return "://" in str(folder)


def _fsspec() -> Any:
    """Imports fsspec, or says how to install it."""
    try:
        import fsspec
    except ImportError as error:
        raise ImportError(
            "Features at a URL need fsspec; run: pip install 'cvae-music[scale]'"
        ) from error
    return fsspec


def read_bytes(folder: Path | str, name: str) -> bytes:
    """Reads one file of a folder on this disk or at a URL.

    Args:
        folder: Path or URL.
        name: Name of the file in the folder.

    Raises:
        OSError: If it cannot be read.
        ImportError: If the folder is a URL and fsspec is not installed.
    """
    if not is_url(folder):
        return (Path(folder) / name).read_bytes()
    filesystem, root = _fsspec().core.url_to_fs(str(folder))
    return filesystem.cat_file(f"{root}/{name}")


@cache
def _download(url: str, sha256: str) -> str:
    """Copies a file to this disk, once in a process; returns the path of the copy.

    Raises:
        ValueError: If its SHA-256 is not the one of the record.
    """
    cached = url if "::" in url else f"simplecache::{url}"
    path = _fsspec().open_local(cached)
    found = hashlib.sha256(Path(path).read_bytes()).hexdigest()
    if found != sha256:
        os.unlink(path)
        raise ValueError(
            f"{url!r} is damaged: got SHA-256 {found}, expected {sha256}. "
            "Upload the shard again from the folder it was made in."
        )
    return path


class ShardedArray:
    """Clips in shards as one array that is read when indexed, as an h5py dataset is.

    Indexing gives NumPy arrays; `select` gives another `ShardedArray`, without reading.
    A shard at a URL is copied to a temporary folder when the first of its clips is
    read; the copy is removed when the process ends.

    Args:
        folder: Path or URL of the folder that holds the shards.
        shards: A dict for each shard: `name`, `clips` (a number), `bytes`, `sha256`.
        clip_shape: `(num_frames, n_mels)`.
        rows: Integer array, the clips to show, numbered through all shards in order;
            `None` for all.
    """

    dtype = np.dtype(np.float16)

    def __init__(
        self,
        folder: Path | str,
        shards: Sequence[dict],
        clip_shape: tuple[int, ...],
        rows: np.ndarray | None = None,
    ) -> None:
        self.folder = folder
        self.shards = shards
        self.clip_shape = tuple(clip_shape)
        self.ends = np.cumsum([shard["clips"] for shard in shards], dtype=np.int64)
        total = int(self.ends[-1]) if len(shards) else 0
        self.rows = np.arange(total) if rows is None else rows

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape as of an array, `(clips, num_frames, n_mels)`."""
        return (len(self), *self.clip_shape)

    @property
    def nbytes(self) -> int:
        """Bytes that all clips would take in memory."""
        return int(np.prod(self.shape)) * self.dtype.itemsize

    def select(self, rows: np.ndarray) -> "ShardedArray":
        """Returns some of the clips, still unread.

        Args:
            rows: Integer array, the indices of these clips in this array, in any order.
        """
        return ShardedArray(self.folder, self.shards, self.clip_shape, self.rows[rows])

    def check_sizes(self) -> None:
        """Checks that array files on this disk have the size they were written with.

        Raises:
            ValueError: If one has another size.
            OSError: If one is missing.
        """
        for shard in [] if is_url(self.folder) else self.shards:
            size = (Path(self.folder) / f"{shard['name']}.npy").stat().st_size
            if size != shard["bytes"]:
                raise ValueError(
                    f"{shard['name']}.npy has {size} bytes, expected {shard['bytes']}"
                )

    def __getitem__(self, key: Any) -> np.ndarray:
        """Reads clips; the key is an integer, a slice, an array of rows or a mask."""
        rows = np.asarray(self.rows[key])
        clips = np.empty((rows.size, *self.clip_shape), self.dtype)
        shard_of_clip = np.searchsorted(self.ends, rows.ravel(), side="right")
        for number in np.unique(shard_of_clip):
            inside = shard_of_clip == number
            first = self.ends[number] - self.shards[number]["clips"]
            clips[inside] = self._read(number, rows.ravel()[inside] - first)
        return clips.reshape(*rows.shape, *self.clip_shape)

    def __iter__(self) -> Iterator[np.ndarray]:
        for first in range(0, len(self), CLIPS_AT_ONCE):
            yield from self[first : first + CLIPS_AT_ONCE]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.asarray(self[:], dtype)

    def _read(self, number: int, rows: np.ndarray) -> np.ndarray:
        """Reads clips of one shard, without a memory map.

        Some disks do not support memory maps, and a file that is cut off while it is
        mapped ends the process.

        Args:
            number: Index of the shard.
            rows: Integer array, indices of clips inside the shard.

        Returns:
            Float16 array, shape `(len(rows), *clip_shape)`.

        Raises:
            ValueError: If the file is not what was written.
        """
        shard = self.shards[number]
        name = f"{shard['name']}.npy"
        path = str(Path(self.folder) / name)
        if is_url(self.folder):
            path = _download(f"{self.folder}/{name}", shard["sha256"])
        clips = np.empty((len(rows), *self.clip_shape), self.dtype)
        try:
            with open(path, "rb", buffering=0) as file:
                np.lib.format.read_magic(file)
                found = np.lib.format.read_array_header_1_0(file)
                if found != ((shard["clips"], *self.clip_shape), False, self.dtype):
                    raise ValueError(f"an array of shape {found[0]}, {found[2]}")
                start = file.tell()
                for clip, row in zip(clips, rows, strict=True):
                    file.seek(start + int(row) * clip.nbytes)
                    if file.readinto(clip) < clip.nbytes:
                        raise ValueError(f"it ends before clip {row}")
        except Exception as error:  # NumPy raises a dozen kinds for a broken header
            raise ValueError(
                f"The shard {path!r} is damaged ({error}). Delete it and the meta.json "
                "beside it, and build the features again: only this shard is remade."
            ) from error
        return clips
