"""Log-mel features of a collection: made once, then read from a cache without loading them all."""

import dataclasses
import json
import os
import re
from pathlib import Path

import joblib
import numpy as np
import pandas as pd

from cvae_music.config import AudioConfig
from cvae_music.data.cache import code_key, make_features, read_table
from cvae_music.data.collection import SPLITS, count_splits


@dataclasses.dataclass(frozen=True)
class FeatureSet:
    """Clips of a collection as log-mel features.

    Args:
        config: `AudioConfig` of the features.
        genres: Genre names in the order of their indices.
        table: One row a clip: `clip_id`, `source_id`, `path`, `genre`, `split`, `group`, `start` and
            `end` (seconds into the source), `tempo` (beats a minute), `grid` (`"known"`,
            `"tracked"`, `"fallback"` or `"seconds"`), and the factors where they are known. Rows
            stand in the order of the splits.
        log_mel: Float16 array, shape `(len(table), num_frames, n_mels)`, dB; read from disk when
            it is used.
        report: What was left out: `path`, `reason`, `detail`.
        path: Folder of the cache.
    """

    config: AudioConfig
    genres: tuple
    table: pd.DataFrame
    log_mel: np.ndarray
    report: pd.DataFrame
    path: Path

    def __len__(self):
        return len(self.table)

    @property
    def genre_index(self):
        """Index of each clip's genre, int32, shape `(len(self),)`."""
        return (
            self.table["genre"]
            .map({genre: i for i, genre in enumerate(self.genres)})
            .to_numpy(np.int32)
        )

    @property
    def num_genres(self):
        """Number of genres."""
        return len(self.genres)

    def subset(self, split):
        """The clips of one split, still on disk.

        Raises:
            ValueError: If there is no such split.
        """
        if split not in SPLITS:
            raise ValueError(
                f"FeatureSet got split={split!r}; expected one of {SPLITS}."
            )
        rows = np.flatnonzero(self.table["split"] == split)
        part = slice(rows[0], rows[-1] + 1) if len(rows) else slice(0, 0)
        table = self.table.iloc[part].reset_index(drop=True)
        return dataclasses.replace(self, table=table, log_mel=self.log_mel[part])

    def arrays(self, split=None):
        """Loads a split (or everything): `(x, genre)`.

        Returns:
            `x`: float32, shape `(clips, num_frames, n_mels)`, scaled to [-1, 1]; `genre`: int32
            indices, shape `(clips,)`.
        """
        part = self if split is None else self.subset(split)
        return self.config.scale(part.log_mel), part.genre_index

    def key(self):
        """Ten hexadecimal digits that change with the clips; of a large set a sample is looked at."""
        sample = np.linspace(0, len(self) - 1, min(len(self), 64)).astype(int)
        found = (
            self.config.key(),
            self.genres,
            self.table.to_csv(),
            np.asarray(self.log_mel[sample]),
        )
        return joblib.hash(found)[:10]

    def counts(self):
        """Clips of each genre in each split, genres as rows."""
        return count_splits(self.table, self.genres)

    def summary(self):
        """A few lines of text: how many clips, and what was left out why."""
        splits = ", ".join(f"{n:,} {split}" for split, n in self.counts().sum().items())
        sources = self.table["source_id"].nunique()
        lines = [
            f"{len(self):,} clips of {len(self.genres)} genres from {sources:,} sources: {splits}."
        ]
        grids = self.table.drop_duplicates("source_id")["grid"].value_counts()
        if "fallback" in grids:
            lines.append(
                f"No steady beat in {grids['fallback']} sources: their clips lie on a fixed grid of 120 BPM."
            )
        if len(self.report):
            reasons = ", ".join(
                f"{n} {reason}"
                for reason, n in self.report["reason"].value_counts().items()
            )
            lines.append(f"Left out or noted: {reasons} (see .report).")
            lost = self.report.loc[
                self.report["reason"] == "genre with too few tracks", "detail"
            ].unique()
            lines += [f"Too few tracks: {detail}." for detail in lost]
        return "\n".join(lines)


def build_features(collection, config, cache_dir, *, num_workers=None, progress=True):
    """Extracts the features of a collection, or finds them in the cache.

    Safe to interrupt: what is done is kept, and the next call goes on from there. Of several processes
    that want the same features one makes them, and the others wait.

    Args:
        collection: `Collection`.
        config: `AudioConfig`.
        cache_dir: Folder of all caches; the features get a folder of their own inside.
        num_workers: Processes to use; `None` for one on each core.
        progress: Show a progress bar and a summary.

    Returns:
        `FeatureSet`.

    Raises:
        ValueError: If nothing usable is left.
        PermissionError: If `cache_dir` cannot be written.
        OSError: If the disk is full; the message says how far it came.
    """
    modules = ["cvae_music.data.cache"] + [
        "known_music.composer"
    ] * collection.is_composed
    key = joblib.hash([collection.key(), config.key(), code_key(*modules)])[:12]
    folder = (
        Path(os.path.expanduser(cache_dir))
        / f"{re.sub(r'[^A-Za-z0-9-]+', '_', collection.name)}-{key}"
    )
    if not (folder / "meta.json").exists():
        make_features(folder, collection, config, num_workers, progress)
    features = load_features(folder, config)
    # The files may have moved since the cache was made.
    paths = features.table["source_id"].map(
        collection.table.set_index("source_id")["path"]
    )
    features = dataclasses.replace(features, table=features.table.assign(path=paths))
    if progress:
        print(features.summary())
    return features


def load_features(path, config=None):
    """Opens features that `build_features` made.

    Args:
        path: Folder of one cache, as in `FeatureSet.path`.
        config: The `AudioConfig` they must have; `None` accepts any.

    Returns:
        `FeatureSet`.

    Raises:
        ValueError: If the folder holds no complete features, damaged ones, or those of another `AudioConfig`.
    """
    path = Path(path)
    if not (path / "meta.json").exists():
        raise ValueError(
            f"{str(path)!r} holds no complete features. Run build_features; it goes on where it stopped."
        )
    try:
        meta = json.loads((path / "meta.json").read_text(encoding="utf-8"))
        found, log_mel = (
            AudioConfig.from_dict(meta["config"]),
            np.load(path / "log_mel.npy", mmap_mode="r"),
        )
        table, report = read_table(path / "table.csv"), read_table(path / "skipped.csv")
        if log_mel.shape != (len(table), *found.shape):
            raise ValueError(
                f"{len(table)} rows beside features of shape {log_mel.shape}"
            )
    except Exception as error:  # NumPy, pandas and json raise a dozen kinds, one of them from Python's own tokenizer
        raise ValueError(
            f"{str(path)!r} holds damaged features ({error}). Delete it and build them again."
        ) from error
    (config or found).check_same(found, where=f"The feature cache {str(path)!r}")
    return FeatureSet(found, tuple(meta["genres"]), table, log_mel, report, path)
