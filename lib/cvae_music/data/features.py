"""Log-mel features of a collection: extracted in parallel, cached, and read without loading them all."""

import dataclasses
import json
import re
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
from joblib.externals import loky
from tqdm import tqdm

from cvae_music import store
from cvae_music.audio.analysis import track_beats
from cvae_music.config import AudioConfig
from cvae_music.data import cache as feature_cache
from cvae_music.data.collection import SPLITS
from cvae_music.data.extraction import ExtractionSettings


@dataclasses.dataclass(frozen=True)
class FeatureSet:
    """Clips of a collection as log-mel features.

    Args:
        config: `AudioConfig` of the features.
        genres: Genre names in the order of their indices.
        table: One row a clip: `clip_id`, `source_id`, `path`, `genre`, `split`, `group`, `start` and
            `end` (seconds into the source), `tempo` (beats a minute), `grid` (`"known"`,
            `"tracked"`, `"fallback"` or `"seconds"`), `pitch_shift` (semitones), and the factors
            where they are known. Rows stand in the order of the splits.
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
        return self.table["genre"].map({genre: i for i, genre in enumerate(self.genres)}).to_numpy(np.int32)

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
            raise ValueError(f"FeatureSet got split={split!r}; expected one of {SPLITS}.")
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

    def counts(self):
        """Clips of each genre in each split, genres as rows."""
        counts = pd.crosstab(self.table["genre"], self.table["split"])
        return counts.reindex(index=list(self.genres), columns=list(SPLITS), fill_value=0)

    def summary(self):
        """A few lines of text: how many clips, and what was left out why."""
        splits = ", ".join(f"{n:,} {split}" for split, n in self.counts().sum().items())
        sources = self.table["source_id"].nunique()
        lines = [f"{len(self):,} clips of {len(self.genres)} genres from {sources:,} sources: {splits}."]
        grids = self.table.drop_duplicates("source_id")["grid"].value_counts()
        if "fallback" in grids:
            lines.append(f"No steady beat in {grids['fallback']} sources: their clips lie on a fixed grid of 120 BPM.")
        if len(self.report):
            reasons = ", ".join(f"{n} {reason}" for reason, n in self.report["reason"].value_counts().items())
            lines.append(f"Left out: {reasons} (see .report).")
            lost = self.report.loc[self.report["reason"] == "genre with too few tracks", "detail"].unique()
            lines += [f"Too few tracks: {detail}." for detail in lost]
        return "\n".join(lines)


def build_features(
    collection, config, cache_dir, *, num_workers=None, stride_beats=2, pitch_shifts=(0,), max_seconds=60.0, progress=True
):  # fmt: skip
    """Extracts the features of a collection, or finds them in the cache.

    Safe to interrupt: what is done is kept, and the next call goes on from there. Of several processes
    that want the same features one makes them, and the others wait.

    Args:
        collection: `Collection`.
        config: `AudioConfig`.
        cache_dir: Folder of all caches; the features get a folder of their own inside.
        num_workers: Processes to use; `None` for one on each core.
        stride_beats: Step between the windows of a training file, see `ExtractionSettings`.
        pitch_shifts: Semitones of the copies of each training window of a file.
        max_seconds: How much of a file is read, from its middle.
        progress: Show a progress bar and a summary.

    Returns:
        `FeatureSet`.

    Raises:
        ValueError: If nothing usable is left.
        PermissionError: If `cache_dir` cannot be written.
        OSError: If the disk is full; the message says how far it came.
    """
    settings = ExtractionSettings(stride_beats, tuple(pitch_shifts), max_seconds)
    folder = Path(cache_dir).expanduser() / _cache_name(collection, config, settings)
    if not (folder / "meta.json").exists():
        order = {split: number for number, split in enumerate(SPLITS)}
        table = collection.table.sort_values("split", key=lambda split: split.map(order), kind="stable")
        cache = feature_cache.ShardedCache(folder, table.to_dict("records"), len(settings.pitch_shifts))
        with cache.explain_full_disk():
            feature_cache.open_folder(folder)
            with feature_cache.locked(folder):
                if not (folder / "meta.json").exists():  # another process may have made them meanwhile
                    feature_cache.clear_unfinished(folder)
                    _make_shards(cache, collection, config, settings, num_workers, progress)
                    _finish(cache, collection, config, settings)
    features = load_features(folder, config)
    # The files may have moved since the cache was made.
    paths = features.table["source_id"].map(collection.table.set_index("source_id")["path"])
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
        ValueError: If the folder holds no complete features, or those of another `AudioConfig`.
    """
    path = Path(path)
    if not (path / "meta.json").exists():
        raise ValueError(
            f"load_features got {str(path)!r}, which holds no complete features; expected a folder with meta.json. "
            "Run build_features; it goes on where it was interrupted."
        )
    meta = json.loads((path / "meta.json").read_text(encoding="utf-8"))
    found = AudioConfig.from_dict(meta["config"])
    if config is not None:
        config.check_same(found, where=f"The feature cache {str(path)!r}")
    table = feature_cache.read_table(path / "table.csv")
    report = feature_cache.read_skipped(path / "skipped.csv")
    log_mel = np.load(path / "log_mel.npy", mmap_mode="r")
    return FeatureSet(found, tuple(meta["genres"]), table, log_mel, report, path)


def _cache_name(collection, config, settings):
    modules = ["cvae_music.data.extraction"] + ["known_music.music"] * collection.is_composed
    parts = [collection.key(), config.key(), feature_cache.code_key(*modules), repr(settings), feature_cache.FORMAT]
    return f"{re.sub(r'[^A-Za-z0-9-]+', '_', collection.name)}-{joblib.hash(parts)[:12]}"


def _make_shards(cache, collection, config, settings, num_workers, progress):
    missing = cache.missing()
    num_workers = min(num_workers or joblib.cpu_count(), max(1, len(missing)))
    total = sum(map(len, cache.shards))
    done = total - sum(len(cache.shards[number]) for number in missing)
    # Plain text works in terminals and in every kind of notebook, and saves no widget state.
    bar = tqdm(
        total=total, initial=done, unit="source", desc="Extracting features", file=sys.stdout,
        disable=not progress or not missing, mininterval=0.5 if sys.stdout.isatty() else 5.0,
    )  # fmt: skip
    with bar:
        if num_workers == 1:
            for number in missing:
                bar.update(feature_cache.make_shard(*cache.task(number), config, settings))
            return
        if not collection.is_composed:
            _compile_beat_tracker(config)
        # One thread of linear algebra in each process: more would only fight over the cores.
        with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
            parallel = joblib.Parallel(n_jobs=num_workers, return_as="generator_unordered")
            make = joblib.delayed(feature_cache.make_shard)
            for count in parallel(make(*cache.task(number), config, settings) for number in missing):
                bar.update(count)
        # Idle processes would hold memory that the training wants, for five minutes.
        loky.get_reusable_executor().shutdown(wait=False)


def _compile_beat_tracker(config):
    """Tracks a few clicks, so that numba's cache holds librosa's machine code before processes look for it.

    Processes that fill one empty cache at the same time can crash each other.
    """
    clicks = np.zeros(10 * config.sample_rate, np.float32)
    clicks[:: config.sample_rate // 2] = 1.0
    track_beats(clicks, config)


def _finish(cache, collection, config, settings):
    table, skipped, genres = cache.join(config)
    report = pd.concat([collection.skipped, skipped], ignore_index=True)
    if len(genres) < 2:
        reasons = ", ".join(f"{n} {reason}" for reason, n in report["reason"].value_counts().items())
        cache.clear_shards()
        raise ValueError(
            f"The collection {collection.name!r} has {len(genres)} genres with usable clips in every split (left out: "
            f"{reasons}); expected at least 2. Add music, or replace the files that cannot be read."
        )
    store.write_text(cache.folder / "table.csv", table.to_csv(index=False))
    store.write_text(cache.folder / "skipped.csv", report.to_csv(index=False))
    meta = {
        "format": feature_cache.FORMAT,
        "config": config.get_config(),
        "genres": [genre for genre in collection.genres if genre in genres],
        "settings": dataclasses.asdict(settings),
        "collection": collection.name,
    }
    store.write_text(cache.folder / "meta.json", json.dumps(meta, indent=1, ensure_ascii=False))
    cache.clear_shards()
