"""Log-mel features of a collection: made once, then read from a cache on demand."""

import dataclasses
import json
import re
from pathlib import Path

import joblib
import numpy as np
import pandas as pd

from cvae_music.config import AudioConfig, check_number
from cvae_music.data.cache import code_key, make_features, read_table
from cvae_music.data.collection import SPLITS, Collection, check_splits, count_splits
from cvae_music.data.extraction import MAX_WINDOWS
from cvae_music.data.shards import ShardedArray, is_url, read_bytes
from cvae_music.serialization import print_text

UNEQUAL = 3.0  # largest over smallest genre, in clips; above it the summary warns


def spread_rows(num_rows: int, most: int) -> np.ndarray:
    """Chooses at most `most` rows, spread evenly from the first to the last.

    Args:
        num_rows: Number of rows to choose from.
        most: Largest number of rows to choose.

    Returns:
        Int array of row numbers, ascending, shape `(min(num_rows, most),)`.
    """
    return np.linspace(0, num_rows - 1, min(num_rows, most)).astype(int)


@dataclasses.dataclass(frozen=True, repr=False)
class FeatureSet:
    """Holds the clips of a collection as log-mel features in dB.

    Args:
        config: `AudioConfig` of the features.
        genres: Genre names in the order of their indices.
        table: One row a clip, in any order: `clip_id`, `source_id`, `path`, `genre`,
            `split`, `group`, `start` and `end` (seconds into the source), `tempo`
            (beats a minute), `grid` (`"known"`, `"tracked"` or `"fallback"`: composed
            beats, tracked beats, 120 beats a minute where none were found; or
            `"seconds"`), and the factors where they are known. `genre` and `split`
            are enough to train a model.
        log_mel: Float16 array, shape `(len(table), num_frames, n_mels)`, dB; of a cache
            a `ShardedArray`, which is read when indexed.
        report: What was left out: `path`, `reason`, `detail`.
        path: Folder or URL of the cache; `None` where there is none.

    Raises:
        ValueError: If the shape of `log_mel` does not fit table and `AudioConfig`, its
            levels look scaled, a genre or split is unknown, or a group, source or file
            is in two splits.

    Example:
        >>> config = AudioConfig(num_frames=16, n_mels=8)
        >>> table = pd.DataFrame({"genre": ["jazz", "rock"], "split": "train"})
        >>> log_mel = np.zeros((2, 16, 8), np.float16)
        >>> features = FeatureSet(config, ("jazz", "rock"), table, log_mel, table[:0])
        >>> x, genre = features.arrays("train")
        >>> x.shape, genre.tolist()
        ((2, 16, 8), [0, 1])
    """

    config: AudioConfig
    genres: tuple[str, ...]
    table: pd.DataFrame
    log_mel: np.ndarray | ShardedArray
    report: pd.DataFrame
    path: Path | str | None = None

    def __post_init__(self) -> None:
        if np.shape(self.log_mel) != (len(self.table), *self.config.shape):
            raise ValueError(
                f"FeatureSet got {len(self.table)} rows for {len(self.log_mel)} clips "
                f"of shape {np.shape(self.log_mel)[1:]}; expected one row a clip, each "
                f"of shape {self.config.shape}. Select rows of both; time comes first."
            )
        for name, known in (("genre", self.genres), ("split", SPLITS)):
            if unknown := set(self.table[name]) - set(known):
                raise ValueError(
                    f"FeatureSet got {name} {sorted(map(str, unknown))}; expected some "
                    f"of {list(known)}. Name all that are in the table."
                )
        # A table made by hand; `make_dataset` and `summary` need the column.
        if "grid" not in self.table:
            table = self.table.assign(grid="tracked")
            object.__setattr__(self, "table", table)  # the dataclass is frozen
        if isinstance(self.log_mel, np.ndarray):
            self.config.scale(self.log_mel[:1])  # raises on clips that are scaled
        check_splits("FeatureSet", self.table)

    def __len__(self) -> int:
        return len(self.table)

    @property
    def genre_index(self) -> np.ndarray:
        """Index of each clip's genre, int32, shape `(len(self),)`."""
        index = {genre: number for number, genre in enumerate(self.genres)}
        return self.table["genre"].map(index).to_numpy(np.int32)

    @property
    def num_genres(self) -> int:
        """Number of genres."""
        return len(self.genres)

    def subset(self, split: str) -> "FeatureSet":
        """Selects the clips of one split; those of a cache stay on disk.

        Args:
            split: `"train"`, `"validation"` or `"test"`.

        Returns:
            `FeatureSet`, its clips in the order of the table.

        Raises:
            ValueError: If there is no such split.
        """
        if split not in SPLITS:
            raise ValueError(
                f"FeatureSet got split={split!r}; expected one of {SPLITS}."
            )
        rows = np.flatnonzero(self.table["split"] == split)
        clips = self.log_mel
        chosen = clips.select(rows) if isinstance(clips, ShardedArray) else clips[rows]
        table = self.table.iloc[rows].reset_index(drop=True)
        return dataclasses.replace(self, table=table, log_mel=chosen)

    def arrays(self, split: str | None = None) -> tuple[np.ndarray, np.ndarray]:
        """Loads a split as two arrays.

        Args:
            split: As for `subset`; `None` for all clips.

        Returns:
            `(x, genre)`: float32, shape `(clips, num_frames, n_mels)`, scaled to
            [-1, 1]; int32 genre indices, shape `(clips,)`.

        Raises:
            ValueError: If there is no such split.
        """
        part = self if split is None else self.subset(split)
        return self.config.scale(np.asarray(part.log_mel)), part.genre_index

    def key(self) -> str:
        """Hashes constants, genres, table and up to 64 clips to ten hexadecimal digits.

        The paths of their files do not count.
        """
        clips = np.asarray(self.log_mel[spread_rows(len(self), 64)])
        table = self.table.drop(columns="path", errors="ignore")
        text = table.to_csv(lineterminator="\n")
        return joblib.hash((self.config.key(), self.genres, text, clips))[:10]

    def counts(self) -> pd.DataFrame:
        """Counts the clips of each genre (rows) in each split (columns)."""
        return count_splits(self.table, self.genres)

    def summary(self) -> str:
        """Returns a few lines: how many clips there are, what was left out and why."""
        splits = ", ".join(f"{n:,} {split}" for split, n in self.counts().sum().items())
        table = self.table
        if "source_id" not in table:  # as in a table made by hand
            table = table.assign(source_id=table.index)
        sources = table["source_id"].nunique()
        genres = "1 genre" if self.num_genres == 1 else f"{self.num_genres} genres"
        lines = [f"{len(self):,} clips of {genres} from {sources:,} sources: {splits}."]
        counts = table["genre"].value_counts()
        if counts.max() > UNEQUAL * counts.min():
            tracks = table.groupby("genre")["source_id"].nunique()
            each = [
                f"{genre} {n:,} of {tracks[genre]:,}" for genre, n in counts.items()
            ]
            lines.append(f"Unequal genres (clips of sources): {', '.join(each)}.")
        is_loose = table["grid"] == "fallback"
        if num_loose := table.loc[is_loose, "source_id"].nunique():
            lines.append(
                f"No steady beat in {num_loose} sources, or in parts of them: clips "
                "there lie on a fixed grid of 120 BPM."
            )
        if len(self.report):
            details = self.report.set_index("reason")["detail"]
            counts = details.index.value_counts()
            reasons = ", ".join(f"{n} {reason}" for reason, n in counts.items())
            lines.append(f"Left out or noted: {reasons} (see .report).")
            for reason in ("genre with too few tracks", "name nearly the same"):
                for detail in details[details.index == reason].unique():
                    lines.append(f"{reason.capitalize()}: {detail}.")
            long = details[details.index == "long file"]
            seconds = long.str.extract(r"(\d+) of (\d+)")
            if len(seconds):
                used, there = seconds.astype(int).sum()
                lines.append(
                    f"Long files: {used:,} of {there:,} s used; raise max_windows of "
                    "build_features for more."
                )
        return "\n".join(lines)

    __repr__ = summary


def build_features(
    collection: Collection,
    config: AudioConfig,
    cache_dir: Path | str,
    *,
    max_windows: int = MAX_WINDOWS,
    num_workers: int | None = None,
    progress: bool = True,
) -> FeatureSet:
    """Extracts the features of a collection, or finds them in the cache.

    Clips are cut from the whole of each file. Training clips overlap: a new one begins
    every two beats. Those of the other splits do not.

    Safe to interrupt: what is done is kept, and the next call resumes from there. Of
    several processes that want the same features one makes them; the others wait.

    Args:
        collection: `Collection`.
        config: `AudioConfig`.
        cache_dir: Folder of all caches; the features get a folder of their own inside.
        max_windows: Largest number of clips of one file. Of a file that has more they
            are spread evenly over its length, and the report says how many seconds they
            cover.
        num_workers: Processes to use; `None` for one on each core, or for what a
            `joblib.parallel_config` around the call says, such as a Dask cluster.
        progress: Show a progress bar and a summary.

    Returns:
        `FeatureSet`.

    Raises:
        ValueError: If nothing usable is left, `max_windows` or `num_workers` is no
            whole number above 0, `cache_dir` is a URL, or `collection` no `Collection`.
        PermissionError: If `cache_dir` cannot be written.
        OSError: If the disk is full; the message says how far it came.

    Example:
        >>> import tempfile
        >>> from cvae_music.data.sources import known_factor_collection
        >>> config = AudioConfig(sample_rate=8000, fmax=3500, num_frames=64, n_mels=8)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     features = build_features(
        ...         known_factor_collection(18), config, folder, num_workers=1,
        ...         progress=False,
        ...     )
        ...     features.log_mel.shape
        (18, 64, 8)
    """
    check_number("max_windows", max_windows, 1)
    check_number("num_workers", 1 if num_workers is None else num_workers, 1)
    if not isinstance(collection, Collection):
        raise ValueError(
            f"build_features got the collection {collection!r}; expected what "
            "open_collection returns of a path."
        )
    if is_url(cache_dir):
        raise ValueError(
            f"build_features got cache_dir={cache_dir!r}; expected a folder on this "
            "disk. Copy the finished folder there, and open it with load_features."
        )
    modules = ["cvae_music.data.cache"]
    parts = [collection.key(), config.key()]
    if collection.is_composed:
        modules.append("known_music.composer")
    else:
        parts.append(str(max_windows))
    key = joblib.hash([*parts, code_key(*modules)])[:12]
    name = re.sub(r"[^A-Za-z0-9-]+", "_", collection.name)[:64]
    cache = Path(cache_dir).expanduser()
    # Found by its key alone, because the folder of music may have another name now.
    folder = next(cache.glob(f"*-{key}"), cache / f"{name}-{key}")
    if not (folder / "meta.json").exists():
        make_features(folder, collection, config, max_windows, num_workers, progress)
    features = load_features(folder, config)
    # The files may have moved since the cache was made.
    paths = collection.table.set_index("source_id")["path"]
    table = features.table.assign(path=features.table["source_id"].map(paths))
    # Files beside them may have come or gone: those that were skipped are read anew.
    is_here = features.report["path"].isin([*paths.index, *collection.genres])
    lines = pd.concat([collection.skipped, features.report[is_here]])
    report = lines.drop_duplicates(ignore_index=True)
    features = dataclasses.replace(features, table=table, report=report)
    if progress:
        print_text(features.summary())
    return features


def load_features(path: Path | str, config: AudioConfig | None = None) -> FeatureSet:
    """Opens features that `build_features` made.

    Args:
        path: Folder of one cache, as in `FeatureSet.path`, or the URL of a copy of it,
            such as `s3://bucket/known-1234`, that fsspec can read.
        config: The `AudioConfig` they must have; `None` accepts any.

    Returns:
        `FeatureSet`. Clips at a URL are copied to this disk, shard by shard, when they
        are first used.

    Raises:
        ValueError: If the folder holds no complete features, damaged ones, those of
            another version of this library, or those of another `AudioConfig`.
        ImportError: If the path is a URL and fsspec is not installed.

    Example:
        >>> load_features("no/such/folder")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ValueError: 'no/such/folder' holds no complete features. Run build_features...
    """
    shown = repr(str(path))
    folder = str(path).rstrip("/") if is_url(path) else Path(path).expanduser()
    try:
        meta = json.loads(read_bytes(folder, "meta.json"))
        is_current = "shards" in meta
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ValueError(
            f"{shown} holds no complete features. Run build_features; it resumes where "
            "it stopped. What it returns names the folder as .path."
        ) from error
    except (OSError, TypeError, ValueError) as error:
        raise _damaged(shown, error) from error
    if not is_current:
        raise ValueError(
            f"{shown} holds features of another version of this library. Run "
            "build_features to make them again."
        )
    try:
        found = AudioConfig.from_dict(meta["config"])
        table = read_table(read_bytes(folder, "table.csv").decode())
        report = read_table(read_bytes(folder, "skipped.csv").decode())
        log_mel = ShardedArray(folder, meta["shards"], found.shape)
        log_mel.check_sizes()
        # Shards and table.csv hold clips of genres that are not in every split too.
        kept = table["genre"].isin(meta["genres"]).to_numpy()
        if len(kept) != len(log_mel):
            raise ValueError(f"{len(kept)} rows beside {len(log_mel)} clips")
        features = FeatureSet(
            found,
            tuple(meta["genres"]),
            table[kept].reset_index(drop=True),
            log_mel.select(np.flatnonzero(kept)),
            report,
            folder,
        )
    except Exception as error:  # NumPy, pandas and json raise a dozen kinds
        raise _damaged(shown, error) from error
    (config or found).check_same(found, where=f"The feature cache {shown}")
    return features


def _damaged(shown: str, error: Exception) -> ValueError:
    """Makes the error for a cache that cannot be read."""
    return ValueError(
        f"{shown} holds damaged features ({error}). Delete its meta.json and build "
        "them again: only damaged shards are remade."
    )
