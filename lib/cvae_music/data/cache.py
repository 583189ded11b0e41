"""Features on disk: written in shards that survive a kill at any point, then joined into one array.

A shard is `shard-00012.npy` and then `shard-00012.json`; the second file says that the first is whole.
Every file is written under another name and renamed when complete, so no file is ever half there.
"""

import ast
import contextlib
import errno
import functools
import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pandas as pd

from cvae_music.data import extraction
from cvae_music.data.collection import SKIPPED_COLUMNS, SPLITS, skipped_table
from cvae_music.store import write_file, write_text

FORMAT = 1
SHARD_SIZE = 32  # sources
TEXT_COLUMNS = ("clip_id", "source_id", "path", "genre", "split", "group", "grid")


@functools.cache
def code_key(*modules):
    """Eight hexadecimal digits of the code of these modules and of those they import from this project, comments left out.

    With it in the name of a cache, features never outlive the code that made them. Imports inside functions do not count.
    """
    root, seen, waiting = Path(__file__).parents[2], {}, list(modules)
    while waiting:
        name = waiting.pop()
        path = (root / name.replace(".", "/")).with_suffix(".py")
        if name in seen or not path.is_file():
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        seen[name] = ast.dump(tree)
        for node in tree.body:
            if isinstance(node, ast.ImportFrom) and node.module:
                waiting += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return hashlib.sha256(repr(sorted(seen.items())).encode()).hexdigest()[:8]


def open_folder(folder):
    """Makes a cache folder and finds out whether it can be written.

    Raises:
        PermissionError: If it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f"probe-{os.getpid()}.tmp"
        probe.write_text("")
        probe.unlink()
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise PermissionError(
            f"The features cannot be saved in {str(folder)!r} ({error.strerror}); expected a folder that may be "
            "written to. Pass another cache_dir, or set CVAE_MUSIC_CACHE before the session starts."
        ) from error


@contextlib.contextmanager
def locked(folder):
    """Waits until no other process builds the features of this folder, then keeps others waiting.

    The lock ends with its process, however that ends. Where the system has none (Windows, some network
    drives) nothing is locked.
    """
    try:
        import fcntl

        handle = os.open(folder, os.O_RDONLY)
    except (ImportError, OSError):
        yield
        return
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"Another process is building {folder.name}; waiting for it.", flush=True)
            fcntl.flock(handle, fcntl.LOCK_EX)
        except OSError:  # a file system without locks
            pass
        yield
    finally:
        os.close(handle)


def clear_unfinished(folder):
    """Deletes files that were being written when a run ended."""
    for leftover in folder.glob("*.tmp"):
        leftover.unlink(missing_ok=True)


def write_array(file, array):
    """What `np.save` does, except that a full disk is reported as one: NumPy loses the error's number."""
    np.lib.format.write_array_header_2_0(file, np.lib.format.header_data_from_array_1_0(array))
    file.write(array.tobytes())


def make_shard(data_path, rows_path, sources, config, settings):
    """Extracts and saves some sources; returns their number. Runs in a process of its own."""
    rows, clips, skipped = [], [], []
    for source in sources:
        found = extraction.extract_source(source, config, settings)
        rows += found[0]
        clips.append(found[1])
        skipped += found[2]
    write_file(data_path, lambda file: write_array(file, np.concatenate(clips)))
    write_text(rows_path, json.dumps({"rows": rows, "skipped": skipped}, default=_plain))
    return len(sources)


class ShardedCache:
    """The unfinished features of one collection.

    Args:
        folder: Folder of the cache.
        sources: List of dicts, the rows of the collection in their final order.
        num_copies: Copies of each window; more of them make smaller shards, so that memory stays bounded.
    """

    def __init__(self, folder, sources, num_copies=1):
        self.folder = folder
        shard_size = max(1, SHARD_SIZE // num_copies)
        self.shards = [sources[first : first + shard_size] for first in range(0, len(sources), shard_size)]
        self.joined = folder / "log_mel.npy"
        self.joining = folder / "log_mel.npy.part"

    def data_path(self, number):
        """Features of a shard."""
        return self.folder / f"shard-{number:05d}.npy"

    def rows_path(self, number):
        """Table and report of a shard; it exists only when the shard is complete."""
        return self.folder / f"shard-{number:05d}.json"

    def missing(self):
        """Numbers of the shards still to be made."""
        # Joining deletes the features of a shard once they stand in the joined file.
        is_joining = self.joining.exists() or self.joined.exists()
        numbers = range(len(self.shards))
        return [n for n in numbers if not (self.rows_path(n).exists() and (is_joining or self.data_path(n).exists()))]

    def task(self, number):
        """First arguments of `make_shard`."""
        return self.data_path(number), self.rows_path(number), self.shards[number]

    @contextlib.contextmanager
    def explain_full_disk(self):
        """Says how far the run came and how to go on when the disk is full."""
        try:
            yield
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            clear_unfinished(self.folder)
            done = len(self.shards) - len(self.missing())
            raise OSError(
                error.errno,
                f"The disk of {str(self.folder)!r} is full, with {done} of {len(self.shards)} parts of the features made. "
                "Free some space, or pass a cache_dir on another disk; the same call goes on from there",
            ) from error

    def join(self, config):
        """Joins all shards into `log_mel.npy`, one shard in memory at a time.

        Genres that kept no clip in some split are left out.

        Returns:
            `(table, skipped, genres)`: tables of the clips and of what was left out, and the set
            of genres that remain.
        """
        records = [json.loads(self.rows_path(n).read_text(encoding="utf-8")) for n in range(len(self.shards))]
        table = pd.DataFrame([row | {"shard": n} for n, record in enumerate(records) for row in record["rows"]])
        skipped = [row for record in records for row in record["skipped"]]
        if len(table) == 0:
            return table, skipped_table(skipped), set()
        splits = table.groupby("genre")["split"].agg(set)
        genres = {genre for genre, found in splits.items() if found == set(SPLITS)}
        kept = table["genre"].isin(genres)
        for genre in sorted({source["genre"] for shard in self.shards for source in shard} - genres):
            empty = ", ".join(split for split in SPLITS if split not in splits.get(genre, ()))
            detail = f"genre {genre!r} kept no clip in: {empty}. Add tracks, or repair those listed in this report"
            sources = table.loc[table["genre"] == genre, "source_id"].unique()
            skipped += [(source, "genre with too few tracks", detail) for source in (sources if len(sources) else [genre])]
        if kept.any() and not self.joined.exists():
            self._join_data(kept.to_numpy(), table["shard"].to_numpy(), config)
        return table[kept].drop(columns="shard").reset_index(drop=True), skipped_table(skipped), genres

    def _join_data(self, kept, shard, config):
        shape = (int(kept.sum()), *config.shape)
        row_bytes = int(np.prod(config.shape)) * 2
        with open(self.joining, "r+b" if self.joining.exists() else "w+b") as file:
            header = {"descr": np.dtype(np.float16).str, "fortran_order": False, "shape": shape}
            np.lib.format.write_array_header_2_0(file, header)
            begin = file.tell()
            for number in range(len(self.shards)):
                if not self.data_path(number).exists():
                    continue  # joined before an interruption
                rows = np.load(self.data_path(number))[kept[shard == number]]
                # The place follows from the tables alone, so writing a shard twice does no harm.
                file.seek(begin + int(kept[shard < number].sum()) * row_bytes)
                file.write(rows.tobytes())
                file.flush()
                os.fsync(file.fileno())
                self.data_path(number).unlink()
        os.replace(self.joining, self.joined)

    def clear_shards(self):
        """Deletes the shards; the joined files replace them."""
        for path in self.folder.glob("shard-*"):
            path.unlink()


def read_table(path):
    """Reads the table of the clips as it was written: genres named `NA` stay text."""
    return pd.read_csv(
        path, dtype=dict.fromkeys(TEXT_COLUMNS, str), keep_default_na=False, float_precision="round_trip"
    )


def read_skipped(path):
    """Reads the report of what was left out."""
    return pd.read_csv(path, dtype=dict.fromkeys(SKIPPED_COLUMNS, str), keep_default_na=False)


def _plain(value):
    """NumPy numbers as Python's, for JSON."""
    return value.item()
