"""Features in shards: made wherever joblib runs, kept at any fsspec URL, streamed into a training with bounded memory.

A shard holds the clips of some sources of one split, dealt by lot, so that each is a fair sample of all genres. Beside
it stands a small record, written after it: its size, its checksum, its clips. `index.json` comes last and says that all
is there. Nothing is ever joined or held as a whole, neither by the process that writes nor by one that trains.
"""

import concurrent.futures
import contextlib
import dataclasses
import functools
import hashlib
import io
import json
import time

import fsspec
import joblib
import numpy as np
import pandas as pd

from cvae_music.config import AudioConfig
from cvae_music.data.batches import BEATS_PER_BAR, MAX_GAIN_DB, augment_clips
from cvae_music.data.cache import code_key, make_shards
from cvae_music.data.collection import SPLITS, Collection, skipped_table
from cvae_music.data.extraction import extract_shard, save_shard

SHARDS_AT_ONCE = 4  # shuffled together; while the next ones are loaded, up to five times as many are in memory
READS = 4  # tries for one shard
FIRST_WAIT = 0.5  # seconds before the second try, doubled before each other


# --- writing --------------------------------------------------------------------------------------------------------


def extract_shards(
    collection,
    config,
    url,
    *,
    sources_per_shard=32,
    seed=0,
    num_workers=None,
    progress=True,
    **storage,
):
    """Extracts a collection straight into shards; the same call goes on where an earlier one ended.

    Inside `joblib.parallel_config(backend="dask")` the workers of a Dask cluster extract and write: all of them must reach
    the files of the collection under the same paths, and the URL.

    Args:
        collection: `Collection`.
        config: `AudioConfig`.
        url: Where the shards go: a folder, or any URL that fsspec can write.
        sources_per_shard: Sources in a shard; 32 files make some 30 MB.
        seed: Seed of the lots.
        num_workers: As for `build_features`.
        progress: Show a progress bar.
        **storage: For fsspec: keys, endpoints, ...

    Returns:
        `ShardSet`.

    Raises:
        ValueError: If nothing usable is left, or the URL holds shards of other music or settings.
    """
    code = ["cvae_music.data.cache"] + ["known_music.composer"] * collection.is_composed
    key = joblib.hash(
        [collection.key(), config.key(), code_key(*code), sources_per_shard, seed]
    )[:12]
    table = collection.table
    parts = {
        name: table.iloc[rows].to_dict("records")
        for name, rows in _deal(table["split"], sources_per_shard, seed).items()
    }
    missing = _missing(url, parts, key, storage)
    make = functools.partial(_extract_shard, url=url, key=key, storage=storage)
    make_shards(make, missing, config, len(table), num_workers, progress)
    return _write_index(url, list(parts), collection, config, storage)


def write_shards(features, url, *, clips_per_shard=1024, seed=0, **storage):
    """Writes features that are on this machine as shards; the same call goes on where an earlier one ended.

    Args:
        features: `FeatureSet`.
        url: As for `extract_shards`.
        clips_per_shard: Clips in a shard; 1,024 clips of 128 x 128 make 32 MB.
        seed: Seed of the lots.
        **storage: For fsspec.

    Returns:
        `ShardSet`.

    Raises:
        ValueError: If the URL holds shards of other music or settings.
    """
    table = features.table
    # The name of the cache changes with the code that made the features.
    made = [
        features.path and features.path.name,
        table.drop(columns="path").to_csv(),
        features.config.key(),
    ]
    key = joblib.hash([*made, clips_per_shard, seed])[:12]
    parts = _deal(table["split"], clips_per_shard, seed)
    for name, rows in _missing(url, parts, key, storage).items():
        rows = np.sort(
            rows
        )  # from front to back on the disk; they are shuffled when they are read
        _write_shard(
            name,
            (table.iloc[rows].to_dict("records"), features.log_mel[rows], []),
            url,
            key,
            storage,
        )
    collection = Collection("features", table, features.genres, features.report)
    return _write_index(url, list(parts), collection, features.config, storage)


def _deal(splits, size, seed):
    """Dict from the name of each shard to its row numbers, dealt by lot inside each split."""
    parts, rng = {}, np.random.default_rng(seed)
    for split in SPLITS:
        rows = rng.permutation(np.flatnonzero(splits == split))
        even = np.array_split(rows, max(1, -(-len(rows) // size)))
        parts |= {
            f"{split}-{number:05d}": part
            for number, part in enumerate(even)
            if len(part)
        }
    return parts


def _missing(url, parts, key, storage):
    """The parts whose shard or record is not there, whole."""
    filesystem, root = fsspec.core.url_to_fs(url, **storage)
    filesystem.makedirs(root, exist_ok=True)
    filesystem.invalidate_cache()
    sizes = {
        path["name"].rpartition("/")[2]: path["size"]
        for path in filesystem.ls(root, detail=True)
    }
    records = _read_records(
        filesystem, root, [name for name in parts if f"{name}.json" in sizes]
    )
    if any(record["key"] != key for record in records.values()):
        raise ValueError(
            f"{url!r} holds shards of other music or other settings; expected those of this call or none. "
            "Pass another url, or empty this one."
        )
    whole = {
        name
        for name, record in records.items()
        if sizes.get(f"{name}.npz") == record["bytes"]
    }
    return {name: part for name, part in parts.items() if name not in whole}


def _read_records(filesystem, root, names):
    """The records of these shards, all at once; without those that were cut off when their writer was killed."""
    found = filesystem.cat([f"{root}/{name}.json" for name in names]) if names else {}
    records = {}
    for path, data in found.items():
        with contextlib.suppress(json.JSONDecodeError):
            records[path.rpartition("/")[2].removesuffix(".json")] = json.loads(data)
    return records


def _extract_shard(name, sources, config, url, key, storage):
    """Extracts and writes one shard; returns the number of its sources. Runs in a process of its own."""
    filesystem, root = fsspec.core.url_to_fs(url, **storage)
    try:  # a worker may have been lost after it wrote, before it could say so
        record = json.loads(filesystem.cat_file(f"{root}/{name}.json"))
        is_whole = filesystem.size(f"{root}/{name}.npz") == record["bytes"]
    except (OSError, ValueError):
        is_whole = False
    if not is_whole:
        _write_shard(name, extract_shard(sources, config), url, key, storage)
    return len(sources)


def _write_shard(name, shard, url, key, storage):
    file = io.BytesIO()
    save_shard(file, *shard)
    filesystem, root = fsspec.core.url_to_fs(url, **storage)
    filesystem.pipe_file(f"{root}/{name}.npz", file.getvalue())
    clips = (
        pd.DataFrame(shard[0], columns=["source_id", "genre"])
        .groupby(["source_id", "genre"])
        .size()
    )
    record = {"key": key, **_checksum(file.getvalue()), "skipped": shard[2]}
    record["sources"] = [
        [source, genre, int(count)] for (source, genre), count in clips.items()
    ]
    filesystem.pipe_file(f"{root}/{name}.json", json.dumps(record).encode())


def _checksum(data):
    return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def _write_index(url, names, collection, config, storage):
    """Writes which shards there are, and which genres are in every split; returns the `ShardSet`."""
    filesystem, root = fsspec.core.url_to_fs(url, **storage)
    records = _read_records(filesystem, root, names)
    rows = [(*source, name) for name in names for source in records[name]["sources"]]
    table = pd.DataFrame(rows, columns=["source_id", "genre", "clips", "shard"])
    table = table.assign(
        split=table["shard"].str.partition("-")[0], group=table["source_id"]
    )
    skipped = [
        *collection.skipped.values.tolist(),
        *(row for record in records.values() for row in record["skipped"]),
    ]
    found = Collection.of_complete_genres(
        collection.name, table, collection.genres, skipped
    )
    clips = found.table.groupby(["shard", "genre"])["clips"].sum().unstack(fill_value=0)
    shards = [
        {
            "name": name,
            "bytes": records[name]["bytes"],
            "sha256": records[name]["sha256"],
            "clips": counts.to_dict(),
        }
        for name, counts in clips.iterrows()
    ]
    about = {"config": config.get_config(), "genres": found.genres, "shards": shards}
    about["skipped"] = found.skipped.values.tolist()
    filesystem.pipe_file(f"{root}/index.json", json.dumps(about).encode())
    return open_shards(url, **storage)


# --- reading --------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class ShardSet:
    """Features in shards at a URL. Stands where a `FeatureSet` does, in `train_distributed` and `fit_latent_density`.

    Args:
        url: Where they are.
        config: `AudioConfig` of the features.
        genres: Genre names in the order of their indices.
        shards: A dict for each shard: `name`, `bytes`, `sha256`, and `clips`, the number of each genre.
        report: What was left out: `path`, `reason`, `detail`.
        storage: Options for fsspec.
    """

    url: str
    config: AudioConfig
    genres: tuple
    shards: list
    report: pd.DataFrame
    storage: dict

    def key(self):
        """Ten hexadecimal digits that change with the clips."""
        return joblib.hash([self.config.key(), self.genres, self.shards])[:10]

    def counts(self):
        """Clips of each genre in each split, genres as rows."""
        clips = pd.DataFrame([shard["clips"] for shard in self.shards]).groupby(
            [shard["name"].partition("-")[0] for shard in self.shards]
        )
        return clips.sum().T.reindex(
            index=list(self.genres), columns=list(SPLITS), fill_value=0
        )

    def share(self, split, num_workers=1):
        """The shards of a split dealt to workers, largest first, so that all get about as many clips.

        Raises:
            ValueError: If there is no such split, or it has fewer shards than there are workers.
        """
        if split not in SPLITS:
            raise ValueError(f"ShardSet got split={split!r}; expected one of {SPLITS}.")
        shards = [
            shard for shard in self.shards if shard["name"].startswith(f"{split}-")
        ]
        if len(shards) < num_workers:
            raise ValueError(
                f"{self.url!r} has {len(shards)} shards of split {split!r} for {num_workers} workers; expected at least one "
                "for each. Use fewer workers, or write smaller shards."
            )
        hands = [[] for _ in range(num_workers)]
        for shard in sorted(shards, key=_size, reverse=True):
            min(hands, key=lambda hand: sum(map(_size, hand))).append(shard)
        return [sorted(hand, key=lambda shard: shard["name"]) for hand in hands]

    def num_clips(self, split, num_workers=1):
        """Clips of a split that workers can read evenly: as many for each as the one with the fewest has."""
        return num_workers * min(
            sum(map(_size, hand)) for hand in self.share(split, num_workers)
        )

    def read(self, shard):
        """Loads one shard, again where a read breaks: `(log_mel, genre, is_loop)`.

        Returns:
            Float16, shape `(clips, num_frames, n_mels)`, dB; int32 genre indices; and whether any bar of the clip may come
            first.

        Raises:
            OSError: If it could not be read.
            ValueError: If what came is not what was written.
        """
        filesystem, root = fsspec.core.url_to_fs(self.url, **self.storage)
        path, wanted = (
            f"{root}/{shard['name']}.npz",
            {name: shard[name] for name in ("bytes", "sha256")},
        )
        for attempt in range(READS):
            time.sleep(FIRST_WAIT * 2 ** (attempt - 1) if attempt else 0)
            try:
                data = filesystem.cat_file(path)
            except Exception as error:  # each store has a dozen kinds of its own
                failure = OSError(
                    f"{shard['name']} could not be read from {self.url!r} in {READS} tries: {error!r}"
                )
                failure.__cause__ = error
                continue
            found = _checksum(data)
            if found == wanted:
                return self._unpack(data)
            failure = ValueError(
                f"The shard {shard['name']} at {self.url!r} is damaged: got {found}, expected {wanted}. "
                "Delete it there; the call that wrote the shards makes it again and leaves the others."
            )
        raise failure

    def _unpack(self, data):
        with np.load(io.BytesIO(data)) as file:
            rows = json.loads(str(file["about"]))["rows"]
            index = {genre: number for number, genre in enumerate(self.genres)}
            genre = np.array([index.get(row["genre"], -1) for row in rows], np.int32)
            is_loop = np.array([row["grid"] == "known" for row in rows])
            kept = genre >= 0  # the other genres are not in every split
            return file["log_mel"][kept], genre[kept], is_loop[kept]

    def arrays(self, split, at_most=10_000):
        """Loads the first clips of a split, as `FeatureSet.arrays` does: enough to fit a latent density to."""
        clips, genres, left = (
            [np.zeros((0, *self.config.shape))],
            [np.zeros(0, np.int32)],
            at_most,
        )
        for shard in self.share(split)[0] if left else ():
            log_mel, genre, _ = self.read(shard)
            clips, genres = (
                [*clips, self.config.scale(log_mel[:left])],
                [*genres, genre[:left]],
            )
            left -= len(genre[:left])
            if not left:
                break
        return np.concatenate(clips).astype(np.float32), np.concatenate(genres)


def _size(shard):
    return sum(shard["clips"].values())


def open_shards(url, **storage):
    """Opens shards that `extract_shards` or `write_shards` made.

    Args:
        url: A folder, or any URL that fsspec can read: `s3://...`, `https://...`, `simplecache::https://...` to keep what
            was read on this disk.
        **storage: For fsspec.

    Returns:
        `ShardSet`.

    Raises:
        ValueError: If there is no complete set of shards.
    """
    filesystem, root = fsspec.core.url_to_fs(url, **storage)
    try:
        about = json.loads(filesystem.cat_file(f"{root}/index.json"))
    except (OSError, ValueError) as error:
        raise ValueError(
            f"open_shards got {url!r}, which has no whole index.json ({error!r}); expected the url that extract_shards or "
            "write_shards finished. Call it again: it goes on where it stopped."
        ) from error
    config, report = (
        AudioConfig.from_dict(about["config"]),
        skipped_table(about["skipped"]),
    )
    return ShardSet(
        str(url), config, tuple(about["genres"]), about["shards"], report, storage
    )


def stream_batches(
    shards, split, batch_size=32, *, seed=0, augment=False, epoch=None, context=None
):
    """A `tf.data.Dataset` of one split, read shard by shard: what `cvae_music.batches` is for a `FeatureSet`.

    In training the shards come in a new order in every epoch, and the clips of four of them are shuffled together.
    Order and augmentation depend on `seed` and on the number of the epoch alone. Each worker of a distributed training
    reads shards of its own, the same in every epoch, and all see as many batches as the one with the fewest clips fills.

    Args:
        shards: `ShardSet`.
        split: `"train"`, `"validation"` or `"test"`.
        batch_size: Clips in a batch: of all replicas together where a `context` is given.
        seed: As for `make_dataset`.
        augment: As for `make_dataset`.
        epoch: As for `make_dataset`.
        context: `tf.distribute.InputContext` of a worker; its batches are those of single replicas then.

    Returns:
        Dataset of `(x, genre)`, as `make_dataset` returns.

    Raises:
        ValueError: If the split has fewer clips than a batch needs, or fewer shards than there are workers.
    """
    import tensorflow as tf

    num_workers, worker = (
        (context.num_input_pipelines, context.input_pipeline_id) if context else (1, 0)
    )
    num_clips, is_training = shards.num_clips(split, num_workers), split == "train"
    whole = is_training or context is not None  # batches of one size
    if batch_size < 1 or num_clips < (batch_size if whole else 1):
        raise ValueError(
            f"stream_batches got batch_size={batch_size} for {num_workers} workers, who can read {num_clips} clips of split "
            f"{split!r} evenly; expected from 1 to that many. Use a smaller batch_size, more music or fewer workers."
        )
    each = context.get_per_replica_batch_size(batch_size) if context else batch_size
    num_batches = (
        num_clips // batch_size * (batch_size // each // num_workers)
        if whole
        else -(-num_clips // batch_size)
    )
    mine, config = shards.share(split, num_workers)[worker], shards.config
    bar = BEATS_PER_BAR * config.frames_per_beat
    counts_itself, epoch = (
        epoch is None,
        tf.Variable(0, dtype=tf.int64, trainable=False) if epoch is None else epoch,
    )

    def rng(*numbers):
        return np.random.default_rng([seed, worker, *map(int, numbers)])

    def plan(now):
        order = rng(now).permutation(len(mine)) if is_training else np.arange(len(mine))
        groups = np.pad(
            order, (0, -len(mine) % SHARDS_AT_ONCE), constant_values=-1
        ).reshape(-1, SHARDS_AT_ONCE)
        ends = np.cumsum(
            [sum(_size(mine[k]) for k in group if k >= 0) for group in groups]
        )
        # Not one group more than the batches need: no read is under way when the last of them is taken.
        return groups[: np.searchsorted(ends, num_batches * each) + 1].astype(np.int64)

    def load(number, group, now):
        group = [mine[k] for k in group if k >= 0]
        with concurrent.futures.ThreadPoolExecutor(SHARDS_AT_ONCE) as pool:
            log_mel, genre, is_loop = map(
                np.concatenate, zip(*pool.map(shards.read, group), strict=True)
            )
        draws, size = rng(now, number), len(genre)
        rows = draws.permutation(size) if is_training else np.arange(size)
        gain = draws.uniform(-MAX_GAIN_DB, MAX_GAIN_DB, size).astype(np.float32)
        turn = (
            draws.random(size)
            * np.where(is_loop[rows], max(1, config.num_frames // bar), 1)
        ).astype(np.int64) * bar
        return log_mel[rows], genre[rows], gain, turn

    def groups(_):
        now = epoch.read_value()
        if counts_itself:
            epoch.assign_add(1)
        planned = tf.data.Dataset.from_tensor_slices(
            tf.numpy_function(plan, [now], tf.int64)
        )
        return planned.enumerate().map(lambda number, group: (number, group, now))

    def clips_of(*group):
        clips = tf.numpy_function(
            load, group, (tf.float16, tf.int32, tf.float32, tf.int64)
        )
        shapes = (None, *config.shape), (None,), (None,), (None,)
        return tuple(
            tf.ensure_shape(part, shape)
            for part, shape in zip(clips, shapes, strict=True)
        )

    def make(clips, genre, gain, turn):
        clips = tf.cast(clips, tf.float32)
        clips = augment_clips(clips, gain, turn, config) if augment else clips
        return (clips - config.floor_db) * (1.0 / config.db_per_unit) - 1.0, genre

    dataset = tf.data.Dataset.from_tensors(0).flat_map(groups).map(clips_of).prefetch(1)
    dataset = dataset.flat_map(lambda *clips: tf.data.Dataset.from_tensor_slices(clips))
    dataset = dataset.batch(each, drop_remainder=whole).take(num_batches).map(make)
    return dataset.apply(tf.data.experimental.assert_cardinality(num_batches)).prefetch(
        2
    )
