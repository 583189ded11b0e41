"""More music than one machine likes: Dask clusters, features at a URL, and the arithmetic."""

import json
import os
import signal
import sys

import fma_arithmetic
import fsspec
import joblib
import numpy as np
import pandas as pd
import pytest
from dask.distributed import Client, LocalCluster

from cvae_music.data import cache as feature_cache
from cvae_music.data import shards
from cvae_music.data.batches import make_dataset
from cvae_music.data.features import build_features, load_features
from cvae_music.data.sources import known_factor_collection

QUIET = {"num_workers": 1, "progress": False}


@pytest.fixture(scope="module")
def known(tmp_path_factory, tiny_config):
    """Sixty clips in shards of 7."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feature_cache, "SHARD_SIZE", 7)
        return build_features(
            known_factor_collection(60),
            tiny_config,
            tmp_path_factory.mktemp("cache"),
            **QUIET,
        )


# --- extraction on a cluster and on this machine ------------------------------------


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
    """Runs inside a worker: its call number `count` ends it, as a power cut would."""
    from cvae_music.data import extraction

    extract, done = extraction.extract_source, 0

    def fail(*arguments):
        nonlocal done
        done += 1
        if done == count:
            os.kill(os.getpid(), signal.SIGKILL)
        return extract(*arguments)

    extraction.extract_source = fail


def test_a_cluster_that_loses_a_worker_makes_the_same_features(
    known, cluster, tiny_config, tmp_path, monkeypatch
):
    monkeypatch.setattr(feature_cache, "SHARD_SIZE", 3)  # 20 shards
    victim = next(iter(cluster.scheduler_info()["workers"]))
    before = cluster.run(os.getpid)
    cluster.run(kill_after, 5, workers=[victim])
    with joblib.parallel_config(backend="dask"):
        found = build_features(
            known_factor_collection(60), tiny_config, tmp_path, progress=False
        )
    assert before[victim] not in cluster.run(os.getpid).values()
    pd.testing.assert_frame_equal(found.table, known.table)
    np.testing.assert_array_equal(found.log_mel, known.log_mel)
    assert not list(found.path.glob("*.tmp"))
    assert len(list(found.path.glob("shard-*.npy"))) == 20


def test_the_pool_of_the_process_is_left_as_it_was(tiny_config, tmp_path):
    """Somebody else's work in joblib's workers goes on after an extraction."""
    (before,) = set(joblib.Parallel(n_jobs=2)([joblib.delayed(os.getppid)()] * 2))
    with joblib.Parallel(n_jobs=2) as pool:
        first = set(pool([joblib.delayed(os.getpid)()] * 8))
        build_features(
            known_factor_collection(36),
            tiny_config,
            tmp_path,
            num_workers=2,
            progress=False,
        )
        assert set(pool([joblib.delayed(os.getpid)()] * 8)) & first
    assert before == os.getpid()


# --- features at a URL ----------------------------------------------------------------


@pytest.fixture
def url(known, tmp_path):
    """A copy of a cache folder in fsspec's file system in memory."""
    memory = fsspec.filesystem("memory")
    memory.put(str(known.path), f"/{tmp_path.name}/known", recursive=True)
    yield f"memory://{tmp_path.name}/known"
    memory.store.clear()


def test_features_at_a_url_are_those_on_the_disk(known, url, tiny_config):
    found = load_features(url, tiny_config)
    pd.testing.assert_frame_equal(found.table, known.table)
    assert found.genres == known.genres and found.key() == known.key()
    for split in ("train", "test"):
        for one, other in zip(found.arrays(split), known.arrays(split), strict=True):
            np.testing.assert_array_equal(one, other)


def test_only_the_shards_that_are_used_are_copied(url, monkeypatch):
    copied = []
    download = shards._download
    monkeypatch.setattr(
        shards, "_download", lambda *file: copied.append(file[0]) or download(*file)
    )
    found = load_features(url)
    assert copied == []
    found.log_mel[[8, 9]]
    assert copied == [f"{url}/shard-00001.npy"]


def test_batches_read_from_shards_when_needed_are_those_from_memory(
    known, url, monkeypatch
):
    from cvae_music.data import batches

    expected = list(make_dataset(known, "train", 16, seed=1, augment=True))
    monkeypatch.setattr(batches, "RAM_LIMIT", 0)
    for features in (known, load_features(url)):
        found = make_dataset(features, "train", 16, seed=1, augment=True)
        for (x, genre), (other_x, other_genre) in zip(found, expected, strict=True):
            np.testing.assert_array_equal(x, other_x)
            np.testing.assert_array_equal(genre, other_genre)


def test_a_shard_damaged_at_a_url_is_told_and_read_again_once_mended(known, url):
    path = f"{url.removeprefix('memory:/')}/shard-00001.npy"
    memory = fsspec.filesystem("memory")
    whole = memory.cat_file(path)
    broken = bytearray(whole)
    broken[len(broken) // 2] ^= 1
    memory.pipe_file(path, bytes(broken))
    found = load_features(url)
    with pytest.raises(ValueError, match="shard-00001.npy' is damaged: got SHA-256"):
        found.arrays("train")
    memory.pipe_file(path, whole)
    np.testing.assert_array_equal(found.arrays("train")[0], known.arrays("train")[0])


def test_a_url_without_features_or_without_fsspec_is_a_clear_error(monkeypatch):
    with pytest.raises(ValueError, match="memory://nothing' holds no complete"):
        load_features("memory://nothing")
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(ImportError, match="pip install 'cvae-music.scale.'"):
        load_features("memory://nothing")


# --- the arithmetic of FMA --------------------------------------------------------------

RATES = {
    "machine": "a test",
    "streamed": 1000.0,
    "trained": 100.0,
    "clip_bytes": 32768,
    "tracks": {
        "30": {"seconds": 0.5, "read": 1.0, "train_windows": 20.0, "eval_windows": 5.0},
        "278": {
            "seconds": 2.0,
            "read": 0.5,
            "train_windows": 40.0,
            "eval_windows": 10.0,
        },
    },
}


def test_the_arithmetic_of_fma_full_by_hand():
    cost = fma_arithmetic.plan("fma_full", RATES, cores=100, bytes_a_second=1e8)
    clips = 106_574 * (0.8 * 40 + 0.2 * 10)
    assert cost["tracks"] == 106_574 and cost["shards"] == 3331
    assert cost["clips"] == pytest.approx(clips)
    assert cost["feature_bytes"] == pytest.approx(clips * 32768)
    assert cost["extract_core_hours"] == pytest.approx(106_574 * 2 / 3600)
    assert cost["epoch_core_hours"] == pytest.approx(
        106_574 * 0.8 * 40 * (1 / 100 + 1 / 1000) / 3600
    )
    read_hours = (0.5 * 879 * 2**30 + clips * 32768) / 1e8 / 3600
    assert cost["hours"] == pytest.approx(read_hours)
    assert cost["bottleneck"] == "network"
    quick = fma_arithmetic.plan("fma_full", RATES, cores=2, bytes_a_second=1e9)
    assert quick["bottleneck"] == "cores"
    assert quick["hours"] == pytest.approx(106_574 * 2 / 3600 / 2)


def test_tables_of_the_readme_are_made_of_the_rates_that_were_measured():
    rates = json.loads(fma_arithmetic.RATES.read_text(encoding="utf-8"))
    text = fma_arithmetic.README.read_text(encoding="utf-8")
    assert fma_arithmetic.tables(rates) in text
    assert fma_arithmetic.tables(RATES) not in text
