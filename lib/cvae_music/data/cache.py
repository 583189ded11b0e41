"""Features on disk: made in shards that survive a kill at any point, then joined into one array.

Shards by hand, since a cache of one function's results (joblib.Memory) or one array that grows would lose the work of an
hour to a kill or a full disk. Every file is written under another name and renamed when complete; `meta.json` comes
last and says that all is there. While shards are joined, the disk holds the features twice.
"""

import ast
import contextlib
import errno
import functools
import hashlib
import json
import sys
from pathlib import Path

import filelock
import joblib
import numpy as np
import pandas as pd
from joblib.externals import loky
from joblib.parallel import BACKENDS, get_active_backend
from tqdm import tqdm

from cvae_music.data import extraction
from cvae_music.data.collection import (
    SKIPPED_COLUMNS,
    SOURCE_COLUMNS,
    SPLITS,
    Collection,
)
from cvae_music.serialization import write_file, write_text

SHARD_SIZE = 32  # sources
TEXT_COLUMNS = ("clip_id", "grid", *SOURCE_COLUMNS, *SKIPPED_COLUMNS)


@functools.cache
def code_key(*modules):
    """Eight hexadecimal digits of the code of these modules and of those they import from this project, comments left out.

    With it in the name of a cache, features never outlive the code that made them. Imports inside functions do not count.
    """
    root, seen, waiting = Path(__file__).parents[2], {}, list(modules)
    while waiting:
        name = waiting.pop()
        path = (root / name.replace(".", "/")).with_suffix(".py")
        if name not in seen and path.is_file():
            tree = ast.parse(path.read_text(encoding="utf-8"))
            seen[name] = ast.dump(tree)
            found = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
            waiting += [
                f"{node.module}{dot}"
                for node in found
                for dot in ("", *(f".{alias.name}" for alias in node.names))
            ]
    return hashlib.sha256(repr(sorted(seen.items())).encode()).hexdigest()[:8]


def make_features(folder, collection, config, num_workers=None, progress=True):
    """Makes the features of a collection in a folder, or goes on where an earlier call ended.

    Of several processes that want the same features one makes them, and the others wait.

    Args:
        folder: Folder of this cache.
        collection: `Collection`.
        config: `AudioConfig`.
        num_workers: Processes to use; `None` for one on each core, or for what a `joblib.parallel_config` around the
            call says.
        progress: Show a progress bar.

    Raises:
        ValueError: If nothing usable is left.
        PermissionError: If the folder cannot be written.
        OSError: If the disk is full; the message says how far it came.
    """
    in_order = collection.table.sort_values(
        "split", key=lambda split: split.map(SPLITS.index), kind="stable"
    )
    sources = in_order.to_dict("records")
    starts = range(0, len(sources), SHARD_SIZE)
    shards = {
        folder / f"shard-{k // SHARD_SIZE:05d}.npz": sources[k : k + SHARD_SIZE]
        for k in starts
    }
    with _explained(folder, len(shards)):
        folder.mkdir(parents=True, exist_ok=True)
        with _lock(folder):
            if (folder / "meta.json").exists():  # made by another process meanwhile
                return
            for leftover in folder.glob("*.tmp"):  # being written when a run was killed
                leftover.unlink()
            missing = {path: part for path, part in shards.items() if not path.exists()}
            make_shards(
                extraction.make_shard,
                missing,
                config,
                len(sources),
                num_workers,
                progress,
            )
            found = _join(shards, folder / "log_mel.npy", collection, config)
            write_text(
                folder / "table.csv",
                found.table.to_csv(index=False, lineterminator="\n"),
            )
            write_text(
                folder / "skipped.csv",
                found.skipped.to_csv(index=False, lineterminator="\n"),
            )
            write_text(
                folder / "meta.json",
                json.dumps({"config": config.get_config(), "genres": found.genres}),
            )
            for path in (
                *shards,
                *folder.glob("*.tmp"),
            ):  # of a machine that was lost on the way
                path.unlink()


def read_table(path):
    """Reads a table as it was written: genres named `NA` stay text, names may hold line breaks."""
    exact = {
        "keep_default_na": False,
        "float_precision": "round_trip",
        "lineterminator": "\n",
    }
    return pd.read_csv(path, dtype=dict.fromkeys(TEXT_COLUMNS, str), **exact)


@contextlib.contextmanager
def _explained(folder, num_shards):
    """Says how to go on when a folder cannot be written, and how far the run came when the disk is full."""
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            what = f"The features cannot be saved in {str(folder)!r} ({error}); expected a folder to write to. "
            what += "Pass another cache_dir, or set CVAE_MUSIC_CACHE before the session starts."
            raise PermissionError(what) from error
        done = len(list(folder.glob("shard-*.npz")))
        what = f"The disk of {str(folder)!r} is full, with {done} of {num_shards} parts of the features made. "
        what += "Free some space, or pass a cache_dir on another disk; the same call goes on from there"
        raise OSError(error.errno, what) from error


def _lock(folder):
    """Waits until no other process builds the features of this folder. The lock ends with its process, however that ends."""
    lock = filelock.FileLock(folder / "lock")
    try:
        return lock.acquire(timeout=0)
    except filelock.Timeout:
        print(f"Another process is building {folder.name}; waiting for it.", flush=True)
        return lock.acquire()


def make_shards(make, parts, config, num_sources, num_workers=None, progress=True):
    """Calls `make(place, sources, config)` for each part of a collection, in the processes that joblib gives.

    These are one on each core of this machine; inside `joblib.parallel_config(backend="dask")` they are those of a Dask
    cluster, which makes the parts of a lost worker again, or of any other backend.

    Args:
        make: Function that makes one shard and returns the number of its sources.
        parts: Dict from the place of each missing shard to its sources.
        config: `AudioConfig`.
        num_sources: Sources of all shards, for the progress bar.
        num_workers: As for `make_features`.
        progress: Show a progress bar.
    """
    backend, num_jobs = get_active_backend()
    is_local = isinstance(backend, BACKENDS["loky"])
    num_workers = num_workers or num_jobs or joblib.cpu_count()
    num_workers = min(num_workers, max(1, len(parts))) if is_local else num_workers
    # Plain text works in terminals and in every kind of notebook, and saves no widget state.
    bar = tqdm(
        total=num_sources,
        initial=num_sources - sum(map(len, parts.values())),
        desc="Extracting features",
        unit="source",
        file=sys.stdout,
        disable=not progress or not parts,
        mininterval=0.5 if sys.stdout.isatty() else 5.0,
    )
    with bar:
        parallel = joblib.Parallel(n_jobs=num_workers, return_as="generator_unordered")
        for count in parallel(
            joblib.delayed(make)(place, part, config) for place, part in parts.items()
        ):
            bar.update(count)
    if (
        is_local and num_workers > 1
    ):  # idle processes would hold memory that the training wants, for five minutes
        loky.get_reusable_executor().shutdown(wait=False)


def _join(shards, joined, collection, config):
    """Joins all shards into one array, one of them in memory at a time; returns the `Collection` of their clips."""
    records = []
    for path in shards:
        with np.load(path) as shard:
            records.append(json.loads(str(shard["about"])))
    rows = [row for record in records for row in record["rows"]]
    table = pd.DataFrame(rows, columns=None if rows else collection.table.columns)
    skipped = [
        *collection.skipped.values.tolist(),
        *(row for record in records for row in record["skipped"]),
    ]
    found = Collection.of_complete_genres(
        collection.name, table, collection.genres, skipped
    )

    def write(file):
        # Not through open_memmap: on a full disk a memory map ends the process, where a write can be explained.
        shape = (len(found), *config.shape)
        np.lib.format.write_array_header_1_0(
            file, {"descr": "<f2", "fortran_order": False, "shape": shape}
        )
        kept, first = table["genre"].isin(found.genres).to_numpy(), 0
        for path, record in zip(shards, records, strict=True):
            last = first + len(record["rows"])
            with np.load(path) as shard:
                file.write(shard["log_mel"][kept[first:last]].tobytes())
            first = last

    write_file(joined, write)
    return found
