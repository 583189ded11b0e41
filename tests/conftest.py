"""What all tests share: quiet libraries, few threads, a configuration small enough for milliseconds."""

import os
import sys
from pathlib import Path

# Set before TensorFlow or a BLAS is loaded, and handed on to the kernels and workers that tests start.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault(
    "TF_NUM_INTRAOP_THREADS", "1"
)  # `make test` has a worker for each core
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["MPLBACKEND"] = "agg"
for name in ("CVAE_MUSIC_CACHE", "CVAE_MUSIC_OUTPUT", "CVAE_MUSIC_FIGURES"):
    os.environ.pop(name, None)

ROOT = Path(__file__).resolve().parents[1]
if "PYTEST_XDIST_WORKER" in os.environ:
    # Two workers that fill one empty cache of machine code at once have crashed inside librosa.
    os.environ["NUMBA_CACHE_DIR"] = str(
        ROOT / ".pytest_cache" / "numba" / os.environ["PYTEST_XDIST_WORKER"]
    )

import pytest

sys.path.insert(0, str(ROOT / "lib"))  # also where the package is not installed
sys.path.insert(0, str(ROOT / "tools"))


def pytest_collection_modifyitems(items):
    """With workers, a module's tests run in one of them, since they share fixtures; notebooks are dealt one by one."""
    for item in items:
        single = (
            item.nodeid if item.get_closest_marker("shared_out") else item.path.stem
        )
        item.add_marker(pytest.mark.xdist_group(single))


@pytest.fixture(scope="session")
def root():
    """The project's folder."""
    return ROOT


@pytest.fixture(scope="session")
def tiny_config():
    """Four beats of 16 mel bands at 8 kHz."""
    from cvae_music.config import AudioConfig

    return AudioConfig(
        sample_rate=8000,
        n_fft=256,
        hop_length=64,
        n_mels=16,
        fmin=30.0,
        fmax=3500.0,
        num_frames=32,
        frames_per_beat=8,
    )


@pytest.fixture(scope="session")
def two_levels(tiny_config):
    """Forty clips of noise at the level of their genre, loud or soft; 32 are for training."""
    import numpy as np
    import pandas as pd

    from cvae_music.data.features import FeatureSet

    genres = ("loud", "soft")
    genre = np.arange(40) % 2
    level = np.where(genre, -40.0, -10.0)[:, None, None]
    noise = np.random.default_rng(0).normal(0.0, 3.0, (40, *tiny_config.shape))
    split = ["train"] * 32 + ["validation"] * 8
    columns = {"genre": np.array(genres)[genre], "split": split, "grid": "known"}
    table = pd.DataFrame(columns)
    clips = (level + noise).clip(-70.0, 0.0).astype(np.float16)
    return FeatureSet(tiny_config, genres, table, clips, table[:0], None)


@pytest.fixture(scope="module")
def run_eagerly():
    """Functions run as Python: tracing takes longer than a few steps."""
    import tensorflow as tf

    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture
def session_folders(tmp_path, monkeypatch):
    """Sends caches, results and figures of a test to a folder of its own."""
    monkeypatch.setenv("CVAE_MUSIC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("CVAE_MUSIC_OUTPUT", str(tmp_path / "output"))
    return tmp_path
