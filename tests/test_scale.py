"""More than one machine: a Dask cluster that loses a worker, shards that stream, the arithmetic."""

import os
import signal

import joblib
import numpy as np
import pandas as pd
import pytest
from dask.distributed import Client, LocalCluster

from cvae_music.data import cache as feature_cache
from cvae_music.data.features import build_features
from cvae_music.data.sources import known_factor_collection

QUIET = {"num_workers": 1, "progress": False}


@pytest.fixture(scope="module")
def known(tmp_path_factory, tiny_config):
    return build_features(known_factor_collection(60), tiny_config, tmp_path_factory.mktemp("cache"), **QUIET)


@pytest.fixture(scope="module")
def cluster():
    """A client of two worker processes, each of which comes back after a kill."""
    options = {"n_workers": 2, "threads_per_worker": 1, "processes": True, "dashboard_address": None}
    with LocalCluster(host="127.0.0.1", **options) as cluster, Client(cluster) as client:
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


def test_a_cluster_that_loses_a_worker_makes_the_same_features(known, cluster, tiny_config, tmp_path, monkeypatch):
    monkeypatch.setattr(feature_cache, "SHARD_SIZE", 3)  # 20 shards
    victim, before = next(iter(cluster.scheduler_info()["workers"])), cluster.run(os.getpid)
    cluster.run(kill_after, 5, workers=[victim])
    with joblib.parallel_config(backend="dask"):
        found = build_features(known_factor_collection(60), tiny_config, tmp_path, progress=False)
    assert before[victim] not in cluster.run(os.getpid).values()
    pd.testing.assert_frame_equal(found.table, known.table)
    np.testing.assert_array_equal(found.log_mel, known.log_mel)
    assert sorted(os.listdir(found.path)) == ["lock", "log_mel.npy", "meta.json", "skipped.csv", "table.csv"]
