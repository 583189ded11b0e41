"""More than one machine: a Dask cluster that loses a worker, shards that stream, the arithmetic."""

import functools
import http.server
import json
import os
import signal
import threading

import fsspec
import joblib
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from cvae_scale import arithmetic
from dask.distributed import Client, LocalCluster
from generated_music import write_genres

from cvae_music.data import cache as feature_cache
from cvae_music.data import extraction
from cvae_music.data import shards as shards_module
from cvae_music.data.batches import augment_clips
from cvae_music.data.features import build_features
from cvae_music.data.shards import (
    extract_shards,
    open_shards,
    stream_batches,
    write_shards,
)
from cvae_music.data.sources import folder_collection, known_factor_collection

QUIET = {"num_workers": 1, "progress": False}


@pytest.fixture(scope="module")
def known(tmp_path_factory, tiny_config):
    return build_features(
        known_factor_collection(60),
        tiny_config,
        tmp_path_factory.mktemp("cache"),
        **QUIET,
    )


@pytest.fixture(scope="module")
def cluster():
    """A client of two worker processes, each of which comes back after a kill."""
    options = {
        "n_workers": 2,
        "threads_per_worker": 1,
        "processes": True,
        "dashboard_address": None,
    }
    with (
        LocalCluster(host="127.0.0.1", **options) as cluster,
        Client(cluster) as client,
    ):
        yield client


def kill_after(count):
    """Runs inside a worker: its call number `count` of an extraction ends the process, as a power cut would."""
    from cvae_music.data import extraction

    extract, done = extraction.extract_source, 0

    def fail(*arguments):
        nonlocal done
        done += 1
        if done == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return extract(*arguments)

    extraction.extract_source = fail
    return os.getpid()


# --- extraction on a cluster ----------------------------------------------------------------------------------------


def test_a_cluster_that_loses_a_worker_makes_the_same_features(
    known, cluster, tiny_config, tmp_path, monkeypatch
):
    monkeypatch.setattr(feature_cache, "SHARD_SIZE", 3)  # 20 shards
    victim, before = (
        next(iter(cluster.scheduler_info()["workers"])),
        cluster.run(os.getpid),
    )
    cluster.run(kill_after, 5, workers=[victim])
    with joblib.parallel_config(backend="dask"):
        found = build_features(
            known_factor_collection(60), tiny_config, tmp_path, progress=False
        )
    assert before[victim] not in cluster.run(os.getpid).values()
    pd.testing.assert_frame_equal(found.table, known.table)
    np.testing.assert_array_equal(found.log_mel, known.log_mel)
    assert sorted(os.listdir(found.path)) == [
        "lock",
        "log_mel.npy",
        "meta.json",
        "skipped.csv",
        "table.csv",
    ]


# --- shards: writing ------------------------------------------------------------------------------------------------


@pytest.fixture
def memory():
    """A folder of fsspec's own in memory, empty before and after."""
    yield "memory://shards"
    fsspec.filesystem("memory").store.clear()


@pytest.fixture(scope="module")
def shards(known, tmp_path_factory):
    return write_shards(
        known, str(tmp_path_factory.mktemp("shards")), clips_per_shard=5
    )


def read(dataset):
    """Clips and genres of a dataset, one array each."""
    pairs = [(x.numpy(), genre.numpy()) for x, genre in dataset]
    return np.concatenate([x for x, _ in pairs]), np.concatenate(
        [genre for _, genre in pairs]
    )


def in_order(clips, genre):
    """The same pairs in an order that depends on the clips alone."""
    order = np.lexsort(clips.reshape(len(clips), -1).T)
    return clips[order], genre[order]


def assert_same_clips(first, second):
    for one, other in zip(in_order(*first), in_order(*second), strict=True):
        np.testing.assert_array_equal(one, other)


def test_shards_hold_the_features_and_nothing_else(known, shards, tiny_config):
    assert (
        shards.genres == known.genres
        and shards.config == tiny_config
        and len(shards.shards) == 10 + 2 + 2
    )
    pd.testing.assert_frame_equal(
        shards.counts(), known.counts(), check_names=False, check_dtype=False
    )
    for split in ("train", "validation", "test"):
        assert_same_clips(shards.arrays(split), known.arrays(split))
    assert len(shards.arrays("train", at_most=7)[0]) == 7
    # A shard is a sample of all genres, not a piece of the table.
    assert (
        min(
            len([n for n in shard["clips"].values() if n])
            for shard in shards.share("train")[0]
        )
        >= 2
    )


def test_shards_straight_from_a_collection_are_those_of_its_features(
    known, tiny_config, memory
):
    found = extract_shards(
        known_factor_collection(60), tiny_config, memory, sources_per_shard=7, **QUIET
    )
    for split in ("train", "validation", "test"):
        assert_same_clips(found.arrays(split), known.arrays(split))


def test_shards_of_files_leave_out_what_a_cache_does(tiny_config, tmp_path):
    """A genre that lost a split is in the shards, since only the end knows, but is not read."""
    root = write_genres(tmp_path / "music", ("jazz", "polka", "rock"))
    (root / "polka" / "track1.wav").write_text("text")
    found = extract_shards(
        folder_collection(root),
        tiny_config,
        str(tmp_path / "shards"),
        sources_per_shard=2,
        **QUIET,
    )
    features = build_features(
        folder_collection(root), tiny_config, tmp_path / "cache", **QUIET
    )
    assert found.genres == features.genres == ("jazz", "rock")
    pd.testing.assert_frame_equal(found.report, features.report, check_dtype=False)
    pd.testing.assert_frame_equal(
        found.counts(), features.counts(), check_names=False, check_dtype=False
    )
    assert_same_clips(read(stream_batches(found, "test", 4)), features.arrays("test"))


def test_a_cluster_writes_shards_and_loses_a_worker(
    known, cluster, tiny_config, tmp_path
):
    cluster.run(
        kill_after, 5, workers=[next(iter(cluster.scheduler_info()["workers"]))]
    )
    with joblib.parallel_config(backend="dask"):
        found = extract_shards(
            known_factor_collection(60),
            tiny_config,
            str(tmp_path),
            sources_per_shard=3,
            progress=False,
        )
    assert_same_clips(found.arrays("train"), known.arrays("train"))


@pytest.mark.parametrize("stop_at", [1, 8])
def test_interrupted_writing_goes_on(known, tiny_config, memory, monkeypatch, stop_at):
    """Killed half-way through a shard or its record: what was whole is not made again."""
    filesystem, written, is_first = fsspec.filesystem("memory"), [], True
    pipe = type(filesystem).pipe_file

    def stop(self, path, value, **options):
        written.append(path)
        if is_first and len(written) == stop_at:
            pipe(self, path, value[: len(value) // 2])
            raise KeyboardInterrupt
        pipe(self, path, value, **options)

    monkeypatch.setattr(type(filesystem), "pipe_file", stop)
    arguments = known_factor_collection(60), tiny_config, memory
    with pytest.raises(KeyboardInterrupt):
        extract_shards(*arguments, sources_per_shard=6, **QUIET)
    with pytest.raises(ValueError, match="no whole index.json.*Call it again"):
        open_shards(memory)
    before = set(written[:-2] if stop_at % 2 == 0 else written[:-1])
    written.clear()
    is_first = False
    found = extract_shards(*arguments, sources_per_shard=6, **QUIET)
    assert not before & set(written) and len(written) == 2 * 10 - len(before) + 1
    assert_same_clips(found.arrays("train"), known.arrays("train"))
    monkeypatch.setattr(extraction, "extract_source", None)
    extract_shards(*arguments, sources_per_shard=6, **QUIET)  # all is there


def test_shards_of_other_settings_are_refused(known, tiny_config, memory):
    write_shards(known, memory, clips_per_shard=20)
    with pytest.raises(ValueError, match="other music or other settings.*another url"):
        write_shards(known, memory, clips_per_shard=21)


# --- shards: reading ------------------------------------------------------------------------------------------------


def test_a_stream_holds_every_clip_once_in_an_order_of_seed_and_epoch(
    known, shards, tiny_config
):
    dataset = stream_batches(shards, "train", 4, seed=1)
    assert (
        dataset.element_spec[0].shape == (4, *tiny_config.shape)
        and int(dataset.cardinality()) == 12
    )
    first, second = read(dataset), read(dataset)
    assert_same_clips(first, known.arrays("train"))
    assert_same_clips(second, known.arrays("train"))
    assert not np.array_equal(first[0], second[0])
    resumed = stream_batches(
        shards, "train", 4, seed=1, epoch=tf.Variable(1, dtype=tf.int64)
    )
    np.testing.assert_array_equal(read(resumed)[0], second[0])
    assert not np.array_equal(
        read(stream_batches(shards, "train", 4, seed=2))[0], first[0]
    )


def test_clips_of_several_shards_are_shuffled_together(shards):
    homes = [
        {clip.tobytes() for clip in shards.config.scale(shards.read(shard)[0])}
        for shard in shards.share("train")[0]
    ]
    x, _ = next(iter(stream_batches(shards, "train", 8)))
    assert (
        len(
            {
                k
                for clip in x.numpy()
                for k, home in enumerate(homes)
                if clip.tobytes() in home
            }
        )
        >= 2
    )


def test_held_out_clips_come_in_order_all_of_them(known, shards):
    x, genre = read(stream_batches(shards, "test", 4))
    expected = shards.arrays("test")
    np.testing.assert_array_equal(x, expected[0])
    np.testing.assert_array_equal(genre, expected[1])
    assert int(stream_batches(shards, "test", 4).cardinality()) == 2


def test_streamed_clips_are_varied_as_those_of_a_feature_set(
    known, shards, tiny_config
):
    """Each is some clip of the set, turned by whole bars and with one gain."""
    x, genre = read(stream_batches(shards, "train", 16, augment=True))
    level, index = (
        known.log_mel[known.table["split"] == "train"].astype(np.float32),
        known.arrays("train")[1],
    )
    loop = np.stack(
        [np.roll(level, -turn, axis=1) for turn in (0,)]
    )  # 32 frames hold one bar: no other start
    for clip, label in zip(tiny_config.unscale(x), genre, strict=True):
        inside = (clip > tiny_config.floor_db + 4) & (clip < tiny_config.ceiling_db - 4)
        spread = [
            np.ptp((clip - one)[inside]) for one in loop.reshape(-1, *tiny_config.shape)
        ]
        assert min(spread) < 1e-2 and index[np.argmin(spread) % len(index)] == label
        gain = np.float32([np.median((clip - level[np.argmin(spread)])[inside])])
        again = np.asarray(
            augment_clips(level[[np.argmin(spread)]], gain, [0], tiny_config)
        )
        np.testing.assert_allclose(again[0], clip, atol=1e-2)


def contexts(num_workers, num_replicas):
    return [
        tf.distribute.InputContext(num_workers, number, num_replicas)
        for number in range(num_workers)
    ]


def test_workers_share_the_shards_and_no_clip(known, shards):
    hands = shards.share("train", 3)
    assert sorted(shard["name"] for hand in hands for shard in hand) == [
        s["name"] for s in shards.share("train")[0]
    ]
    assert (
        np.ptp([sum(sum(shard["clips"].values()) for shard in hand) for hand in hands])
        <= 4
    )
    both = [
        stream_batches(shards, "train", 8, context=context, seed=3)
        for context in contexts(2, 4)
    ]
    assert [dataset.element_spec[0].shape[0] for dataset in both] == [
        2,
        2,
    ]  # of one replica
    assert [int(dataset.cardinality()) for dataset in both] == [2 * (24 // 4)] * 2
    clips = [{clip.tobytes() for clip in read(dataset)[0]} for dataset in both]
    assert len(clips[0]) == len(clips[1]) == 24
    assert clips[0] | clips[1] == {clip.tobytes() for clip in known.arrays("train")[0]}
    held = [
        stream_batches(shards, "validation", 4, context=context)
        for context in contexts(2, 2)
    ]
    assert [len(read(dataset)[0]) for dataset in held] == [2, 2] and shards.num_clips(
        "validation", 2
    ) == 6


def test_too_much_asked_of_a_stream_is_a_clear_error(shards):
    with pytest.raises(
        ValueError, match="got batch_size=64 for 1 workers, who can read 48 clips"
    ):
        stream_batches(shards, "train", 64)
    with pytest.raises(ValueError, match="2 shards of split 'test' for 3 workers"):
        stream_batches(shards, "test", 3, context=contexts(3, 3)[0])
    with pytest.raises(ValueError, match="got split='training'"):
        shards.share("training")
    with pytest.raises(ValueError, match="memory://nothing.*no whole index.json"):
        open_shards("memory://nothing")


def test_memory_is_bounded_by_a_few_shards(shards, monkeypatch):
    """However long the stream, reading is never more than three groups of shards ahead of the training."""
    loaded, load = [], shards_module.ShardSet.read
    monkeypatch.setattr(
        shards_module.ShardSet,
        "read",
        lambda self, shard: loaded.append(1) or load(self, shard),
    )
    monkeypatch.setattr(shards_module, "SHARDS_AT_ONCE", 1)
    ahead = [
        5 * len(loaded) - 2 * (k + 1)
        for k, _ in enumerate(stream_batches(shards, "train", 2))
    ]
    assert len(loaded) == 10 and max(ahead) <= 3 * 5 + 2 * 2


@pytest.fixture
def server(shards):
    """A local HTTP server of the shards, and what it was asked; `broken` holds what it fails to send at first."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        asked, broken = [], []

        def do_GET(self):
            self.asked.append(self.path)
            if self.path in self.broken:
                self.broken.remove(self.path)
                self.send_error(503)
            else:
                super().do_GET()

        def log_message(self, *arguments):
            pass

    with http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=shards.url)
    ) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_address[1]}", Handler
        running.shutdown()


def test_a_stream_over_http_survives_broken_reads(shards, server, monkeypatch):
    monkeypatch.setattr(shards_module, "FIRST_WAIT", 0.01)
    url, handler = server
    handler.broken += ["/train-00003.npz", "/train-00003.npz", "/train-00007.npz"]
    remote = open_shards(url)
    np.testing.assert_array_equal(
        read(stream_batches(remote, "train", 4))[0],
        read(stream_batches(shards, "train", 4))[0],
    )
    assert handler.asked.count("/train-00003.npz") == 3 and handler.broken == []
    handler.broken += ["/train-00003.npz"] * 4
    with pytest.raises(
        OSError, match="train-00003 could not be read from .* in 4 tries.*503"
    ):
        remote.read(remote.share("train")[0][3])


def test_a_damaged_shard_is_a_clear_error_and_is_made_again(known, memory, monkeypatch):
    monkeypatch.setattr(shards_module, "FIRST_WAIT", 0.0)
    shards, filesystem = (
        write_shards(known, memory, clips_per_shard=20),
        fsspec.filesystem("memory"),
    )
    data = bytearray(filesystem.cat_file("/shards/train-00001.npz"))
    data[len(data) // 2] ^= 1
    filesystem.pipe_file("/shards/train-00001.npz", bytes(data))
    with pytest.raises(
        ValueError,
        match="train-00001 at 'memory://shards' is damaged: got .* expected .*Delete it",
    ):
        shards.read(shards.share("train")[0][1])
    with pytest.raises(
        tf.errors.OpError, match="train-00001 at 'memory://shards' is damaged"
    ):
        read(stream_batches(shards, "train", 4))
    filesystem.rm("/shards/train-00001.npz")
    again = write_shards(known, memory, clips_per_shard=20)
    assert_same_clips(again.arrays("train"), known.arrays("train"))


# --- the arithmetic -------------------------------------------------------------------------------------------------

RATES = {
    "machine": "a test",
    "streamed": 1000.0,
    "trained": 100.0,
    "clip_bytes": 32768,
    "tracks": {
        "30": {"seconds": 0.5, "read": 1.0, "overlapping": 20.0, "apart": 5.0},
        "278": {"seconds": 2.0, "read": 0.5, "overlapping": 40.0, "apart": 10.0},
    },
}


def test_the_arithmetic_of_fma_full_by_hand():
    cost = arithmetic.plan("fma_full", RATES, cores=100, bytes_a_second=1e8)
    assert cost["tracks"] == 106_574 and cost["shards"] == 3331
    assert cost["clips"] == pytest.approx(106_574 * (0.8 * 40 + 0.2 * 10))
    assert cost["feature_bytes"] == pytest.approx(cost["clips"] * 32768)
    assert cost["extract_core_hours"] == pytest.approx(106_574 * 2 / 3600)
    assert cost["extract_hours"] == pytest.approx(cost["extract_core_hours"] / 100)
    assert cost["read_hours"] == pytest.approx(
        (0.5 * 879 * 2**30 + cost["feature_bytes"]) / 1e8 / 3600
    )
    assert cost["epoch_core_hours"] == pytest.approx(
        106_574 * 0.8 * 40 * (1 / 100 + 1 / 1000) / 3600
    )
    assert cost["bottleneck"] == "network"
    assert (
        arithmetic.plan("fma_full", RATES, cores=2, bytes_a_second=1e9)["bottleneck"]
        == "cores"
    )


def test_tables_of_the_readme_are_made_of_the_rates_that_were_measured():
    text, rates = (
        arithmetic.README.read_text(encoding="utf-8"),
        json.loads(arithmetic.RATES.read_text(encoding="utf-8")),
    )
    assert arithmetic.readme_with(text, arithmetic.tables(rates)) == text
    assert arithmetic.readme_with(text, arithmetic.tables(RATES)) != text
