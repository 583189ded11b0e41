"""The cache of features, made shard by shard: a kill costs one shard a process.

`joblib.Memory`, or one file that grows, would lose the work of hours to a kill or a
full disk. Every file is written under a temporary name and renamed when it is complete.
`meta.json` comes last: a folder that has it is complete.
"""

import ast
import contextlib
import errno
import functools
import hashlib
import io
import json
import re
import sys
from pathlib import Path

import filelock
import joblib
import pandas as pd
from tqdm import tqdm

from cvae_music.config import AudioConfig
from cvae_music.data.collection import (
    SKIPPED_COLUMNS,
    SOURCE_COLUMNS,
    SPLITS,
    Collection,
)
from cvae_music.data.extraction import make_shard
from cvae_music.data.shards import has_shard
from cvae_music.serialization import NO_CALL, print_text, write_text

SHARD_SIZE = 32  # sources; 32 clips of FMA, of 30 s, make some 30 MB
# Read as text, whatever they hold: a genre may be called 80 or NA.
TEXT_COLUMNS = ("clip_id", "grid", *SOURCE_COLUMNS, *SKIPPED_COLUMNS)


@functools.cache
def code_key(*modules: str) -> str:
    """Hashes the code of modules and of those they import from this project.

    With the hash in a cache's name, features never outlive the code that made them.
    Comments, docstrings, imports inside functions and the version of Python do not
    count. Messages do, so a change of one makes features anew.

    Args:
        *modules: Names of modules, such as `"cvae_music.data.cache"`.

    Returns:
        Eight hexadecimal digits.
    """
    root = Path(__file__).parents[2]
    seen = {"cvae_music.config": ""}  # its values are in a cache's name already
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        path = (root / name.replace(".", "/")).with_suffix(".py")
        if name in seen or not path.is_file():
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
                node.value = ast.Constant("")  # a docstring
        # Versions of Python differ in whether they print empty fields.
        seen[name] = re.sub(r"\w+=(\[\]|None)|, ", "", ast.dump(tree))
        for node in tree.body:
            if isinstance(node, ast.ImportFrom) and node.module:
                waiting.append(node.module)
                waiting += [f"{node.module}.{alias.name}" for alias in node.names]
    return hashlib.sha256(repr(sorted(seen.items())).encode()).hexdigest()[:8]


def make_features(
    folder: Path,
    collection: Collection,
    config: AudioConfig,
    max_windows: int,
    num_workers: int | None = None,
    progress: bool = True,
) -> None:
    """Makes the features of a collection in a folder, or resumes an earlier call.

    Of several processes that want the same features one makes them; the others wait.

    Args:
        folder: Folder of this cache.
        collection: `Collection`.
        config: `AudioConfig`.
        max_windows: Largest number of clips of one file.
        num_workers: Processes to use; `None` for one on each core, or for what a
            `joblib.parallel_config` around the call says.
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
    shards = {}
    for first in range(0, len(sources), SHARD_SIZE):
        path = folder / f"shard-{first // SHARD_SIZE:05d}"
        shards[path] = sources[first : first + SHARD_SIZE]
    with _explain_errors(folder, len(shards)):
        folder.mkdir(parents=True, exist_ok=True)
        with _lock(folder):
            if not (folder / "meta.json").exists():  # else made by another meanwhile
                _make_shards(shards, config, max_windows, num_workers, progress)
                _write_tables(folder, list(shards), collection, config)


def _write_tables(
    folder: Path, shards: list[Path], collection: Collection, config: AudioConfig
) -> None:
    """Writes table, report and `meta.json` from the records of the shards."""
    rows: list = []
    skipped = collection.skipped.values.tolist()
    about = []
    for path in shards:
        record = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        rows += record.pop("rows")
        skipped += record.pop("skipped")
        about.append(record)
    # Clips of genres that are not in every split stay in the shards and in this table;
    # `load_features` leaves them out.
    table = pd.DataFrame(rows, columns=None if rows else collection.table.columns)
    found = Collection.of_complete_genres(
        collection.name, table, collection.genres, skipped
    )
    for name, part in {"table.csv": table, "skipped.csv": found.skipped}.items():
        write_text(folder / name, part.to_csv(index=False, lineterminator="\n"))
    # Temporary files that `write_file` left in processes that were killed.
    for leftover in folder.glob(f"*.{'[0-9a-f]' * 32}.tmp"):
        leftover.unlink(missing_ok=True)
    meta = {"config": config.get_config(), "genres": found.genres, "shards": about}
    write_text(folder / "meta.json", json.dumps(meta))


def read_table(text: str) -> pd.DataFrame:
    """Reads a table as it was written; a genre called `NA` stays text.

    An empty cell is NaN in a column of numbers, and "" in a column of text.

    Args:
        text: Comma-separated values, lines ending in `\\n`.

    Returns:
        `pandas.DataFrame`.

    Example:
        >>> read_table("genre,tempo\\nNA,120.5\\njazz,\\n")["tempo"].tolist()
        [120.5, nan]
    """
    table = pd.read_csv(
        io.StringIO(text),
        dtype=dict.fromkeys(TEXT_COLUMNS, str),
        keep_default_na=False,
        na_values=[""],
        float_precision="round_trip",
        lineterminator="\n",
    )
    words = table.select_dtypes(exclude=["number", "bool"]).columns
    return table.fillna(dict.fromkeys(words, ""))


@contextlib.contextmanager
def _explain_errors(folder, num_shards):
    """Rewords the `OSError` of a full disk or of a folder that cannot be written.

    Args:
        folder: Folder of the cache.
        num_shards: Number of shards when it is complete.

    Raises:
        OSError: If the disk is full; says how many shards are made.
        PermissionError: For any other `OSError`.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise PermissionError(
                f"The features cannot be saved in {str(folder)!r} ({error}); expected "
                "a folder to write to. Pass another cache_dir, or set CVAE_MUSIC_CACHE "
                "before the session starts."
            ) from error
        raise OSError(
            error.errno,
            f"The disk of {str(folder)!r} is full, with "
            f"{len(list(folder.glob('shard-*.json')))} of {num_shards} shards of the "
            "features made. Free some space, or pass a cache_dir on another "
            "disk; the same call resumes from there",
        ) from error


def _lock(folder: Path) -> contextlib.AbstractContextManager:
    """Locks a cache's folder; waits while another process has the lock.

    The system releases the lock of a process that is killed.
    """
    lock = filelock.FileLock(folder / "lock")
    try:
        return lock.acquire(timeout=0)
    except filelock.Timeout:
        print_text(f"Another process is building {folder.name}; waiting for it.")
        return lock.acquire()
    except (NotImplementedError, OSError) as error:
        if getattr(error, "errno", errno.ENOSYS) not in NO_CALL:
            raise
        # A disk without locks: at worst two processes do the same work.
        return contextlib.nullcontext()


def _make_shards(
    shards: dict[Path, list[dict]],
    config: AudioConfig,
    max_windows: int,
    num_workers: int | None,
    progress: bool,
) -> None:
    """Makes the missing shards, in the processes that joblib's active backend gives."""
    missing = {path: part for path, part in shards.items() if not has_shard(path)}
    total = sum(map(len, shards.values()))
    wanted = num_workers or joblib.effective_n_jobs()
    if num_workers is None and wanted == 1:  # no `parallel_config` around the call
        wanted = joblib.effective_n_jobs(-1)
    parallel = joblib.Parallel(
        n_jobs=max(1, min(wanted, len(missing))), return_as="generator_unordered"
    )
    # Plain text works in terminals and every kind of notebook, and saves no widgets.
    with tqdm(
        total=total,
        initial=total - sum(map(len, missing.values())),
        desc="Extracting features",
        unit="source",
        file=sys.stdout,
        disable=not progress or not missing,
        mininterval=0.5 if sys.stdout.isatty() else 5.0,
    ) as bar:
        make = joblib.delayed(make_shard)
        calls = (
            make(path, part, config, max_windows) for path, part in missing.items()
        )
        for count in parallel(calls):
            bar.update(count)
