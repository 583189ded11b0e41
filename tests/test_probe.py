"""What a run will cost: estimates against what a small run takes, in counts and bytes; choices, with a fed clock."""

import dataclasses
import itertools
import tracemalloc
from types import SimpleNamespace

import joblib
import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from generated_music import write_tune

from cvae_lab.budget import machine, probe
from cvae_lab.budget.curves import StepCSVLogger, reference_range
from cvae_lab.budget.probe import (
    StepConfig,
    estimate_cost,
    probe_files,
    probe_steps,
    probe_workers,
    time_steps,
)
from cvae_lab.budget.sizes import SIZES, TrainConfig, take_tracks
from cvae_music.config import AudioConfig
from cvae_music.data import cache
from cvae_music.data.features import build_features
from cvae_music.data.sources import folder_collection, known_factor_collection
from cvae_music.models.conditional import ConditionalVAE
from cvae_music.models.latent_density import fit_latent_density
from cvae_music.saving import load_model, save_compact
from cvae_music.training import train

FACTOR = 1.5  # what the docstring of estimate_cost promises of counts and bytes
QUIET = {"num_workers": 1, "progress": False}
GENRES = ("jazz", "rock")


@pytest.fixture(scope="module")
def tiny_size(tiny_config):
    return TrainConfig(
        tiny_config,
        {"global_dim": 3, "local_dim": 2, "width": 40, "depth": 1},
        num_steps=8,
        batch_size=8,
    )


@pytest.fixture(scope="module")
def collection(tmp_path_factory):
    """Twenty-four tunes of 3 to 14 seconds at several tempos, and one file that is none."""
    root = tmp_path_factory.mktemp("music")
    for number in range(24):
        seconds, tempo = (
            3.0 + 11.0 * (number * 7 % 24) / 23,
            (90.0, 120.0, 150.0)[number % 3],
        )
        write_tune(
            root / GENRES[number % 2] / f"{number:02d}.wav",
            seconds,
            tempo=tempo,
            pitch=200.0 + 20 * number,
        )
    (root / "jazz" / "broken.wav").write_bytes(b"nothing" * 20_000)
    return folder_collection(root)


@pytest.fixture
def eager():
    """Functions run as Python: tracing takes longer than the few steps of a test."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def ticking():
    """A clock that is one second later each time that it is read."""
    return itertools.count().__next__


def steps_table(**changes):
    row = {
        "batch_size": 8,
        "chosen": True,
        "parameters": 1000,
        "memory": 1e8,
        "gpu_memory": np.nan,
    }
    row |= {
        "seconds_to_start": 30.0,
        "step_seconds": np.array([0.5, 0.6, 0.4]),
        **changes,
    }
    return pd.DataFrame([row])


def workers_table(**changes):
    return pd.DataFrame([{"workers": 1, "minutes": 2.0, "chosen": True, **changes}])


def is_near(estimate, found):
    return found / FACTOR <= estimate <= found * FACTOR


# --- files ----------------------------------------------------------------------------------------------------------


def test_sources_are_spread_from_small_to_large(collection):
    found = probe.spread_sources(collection, 5)
    sizes = [len(open(source["path"], "rb").read()) for source in found]
    assert sizes == sorted(sizes) and len(set(sizes)) == 5
    assert len(probe.spread_sources(collection, 100)) == len(collection)


def test_files_are_counted_as_they_would_be_used(collection, tiny_config):
    files = probe_files(collection, tiny_config, num_sources=25, clock=ticking())
    assert (files["seconds"] == 1).all() and len(files) == 25
    features = {}
    for split in ("train", "test"):
        table = collection.table.assign(split=split)
        found = [
            probe.extract_source(source, tiny_config)[0]
            for source in table.to_dict("records")
        ]
        features[split] = dict(zip(table["source_id"], map(len, found), strict=True))
    assert (
        dict(zip(files["source_id"], files["train_windows"], strict=True))
        == features["train"]
    )
    assert (
        dict(zip(files["source_id"], files["eval_windows"], strict=True))
        == features["test"]
    )
    assert files.loc[files["reason"] != "", "source_id"].tolist() == ["jazz/broken.wav"]


def test_composed_music_is_counted_too(tiny_config):
    files = probe_files(
        known_factor_collection(36), tiny_config, num_sources=3, clock=ticking()
    )
    assert files[["train_windows", "eval_windows"]].to_numpy().tolist() == [[1, 1]] * 3


def test_estimate_against_what_the_run_takes(
    collection, tiny_size, tmp_path, monkeypatch, eager
):
    """Eight of 25 files are read; clips, features, the most that the disk held, and the model's files then agree."""
    files = probe_files(collection, tiny_size.config, num_sources=8, clock=ticking())
    model = tiny_size.new_model(GENRES)
    steps = steps_table(parameters=model.count_params())
    cost = estimate_cost(
        collection, tiny_size, files, workers_table(), steps, tmp_path
    )["estimate"]

    on_disk = []

    def sum_of_files(folder):
        return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())

    monkeypatch.setattr(
        cache,
        "write_text",
        lambda path, text: (
            on_disk.append(sum_of_files(tmp_path)),
            path.write_text(text),
        ),
    )
    features = build_features(collection, tiny_size.config, tmp_path, **QUIET)
    counts = features.counts().sum()
    assert is_near(cost["clips to train on"], counts["train"])
    assert is_near(cost["clips held out"], counts["validation"] + counts["test"])
    assert is_near(cost["features on disk (MB)"], sum_of_files(features.path) / 1e6)

    backup = tmp_path / "model" / "backup"
    note = keras.callbacks.LambdaCallback(
        on_epoch_begin=lambda epoch, logs: on_disk.append(sum_of_files(backup.parent))
    )
    train(
        model,
        features,
        num_steps=2 * (counts["train"] // 8),
        batch_size=8,
        backup_dir=backup,
        callbacks=[note],
        verbose=0,
    )
    held = on_disk.pop()  # in the second epoch, the backup of the first
    model.save(tmp_path / "model" / "model.keras")
    save_compact(model, tmp_path / "model" / "model.npz")
    held += sum_of_files(tmp_path / "model")
    told = model.count_params() * (2 * probe.BYTES_TRAINED + probe.BYTES_COMPACT)
    assert is_near(told, held)
    assert is_near(cost["disk at most (MB)"] - told / 1e6, max(on_disk[:3]) / 1e6)


def test_memory_of_the_latent_density_is_told(tmp_path, tiny_config):
    """The most that NumPy holds at once while the density is fitted, where a model keeps nothing itself."""
    features = build_features(
        known_factor_collection(360), tiny_config, tmp_path, **QUIET
    )

    class Forgetful:
        audio_config, num_genres, genres = tiny_config, 6, features.genres
        latent_density = SimpleNamespace(fit=lambda *latents, seed: None)

        def encode(self, clips):
            return np.zeros((2, len(clips), 1), np.float32)

    tracemalloc.start()
    fit_latent_density(Forgetful(), features)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert is_near(probe.ARRAYS_AT_ONCE * features.subset("train").log_mel.nbytes, most)


def test_the_range_covers_the_whole_and_shrinks_with_more_files(
    collection, tiny_size, tmp_path
):
    def clips(num_sources):
        files = probe_files(
            collection, tiny_size.config, num_sources=num_sources, clock=ticking()
        )
        return estimate_cost(
            collection, tiny_size, files, workers_table(), steps_table(), tmp_path
        ).loc["clips to train on"]

    few, more, every = clips(4), clips(12), clips(25)
    assert every["low"] == every["estimate"] == every["high"]
    assert few["low"] < few["estimate"] < few["high"]
    assert more["high"] - more["low"] < few["high"] - few["low"]
    assert more["low"] <= every["estimate"] <= more["high"]


def test_minutes_are_those_of_the_chosen_rows(collection, tiny_size, tmp_path):
    files = probe_files(collection, tiny_size.config, num_sources=8, clock=ticking())
    cost = estimate_cost(
        collection, tiny_size, files, workers_table(), steps_table(), tmp_path
    )
    assert cost.loc["minutes to prepare", "estimate"] == pytest.approx(2.0)
    num_steps = (
        int(cost.loc["clips to train on", "estimate"]) // 8
    )  # one pass, since a training is of whole ones
    expected = [(30.0 + num_steps * pace) / 60 for pace in (0.5, 0.4, 0.6)]
    assert cost.loc[
        "minutes to train", ["estimate", "low", "high"]
    ].tolist() == pytest.approx(expected)


def test_what_does_not_fit_is_said(collection, tiny_size, tmp_path, monkeypatch):
    files = probe_files(collection, tiny_size.config, num_sources=8, clock=ticking())
    monkeypatch.setattr(probe, "free_disk", lambda folder: 1e3)
    monkeypatch.setattr(probe, "available_memory", lambda: 1e12)
    fits = estimate_cost(
        collection, tiny_size, files, workers_table(), steps_table(), tmp_path
    )["fits"]
    assert (
        fits["disk at most (MB)"] == "no"
        and fits["memory at most (MB)"] == "yes"
        and fits["minutes to train"] == ""
    )
    monkeypatch.setattr(probe, "available_memory", lambda: 0.0)
    fits = estimate_cost(
        collection, tiny_size, files, workers_table(), steps_table(), tmp_path
    )["fits"]
    assert fits["memory at most (MB)"] == "no"


def test_machine_is_asked(tmp_path):
    assert machine.free_disk(tmp_path / "not" / "yet") > 0
    assert 1e7 < machine.peak_memory() < 1e12
    assert machine.available_memory() > 1e6


# --- workers --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "first, second, chosen",
    [(9.0, 1.0, 1), (2.0, 1.5, 2)],
    ids=["slow start", "quick start"],
)
def test_more_workers_must_earn_their_start(
    collection, tiny_config, first, second, chosen, monkeypatch
):
    """One process makes a file a second. Two make twelve files in `second` seconds, and in `first` while they start."""
    files = pd.DataFrame({"seconds": [0.25] * 12})
    clock = iter([0.0, first, 100.0, 100.0 + second]).__next__
    monkeypatch.setattr(probe, "time", SimpleNamespace(perf_counter=clock))
    monkeypatch.setattr(joblib, "cpu_count", lambda: 2)
    with joblib.parallel_config(backend="threading"):
        table = probe_workers(collection, files, tiny_config)
    assert table["workers"].tolist() == [1, 2]
    assert table["seconds_to_start"].tolist() == [0.0, first - second]
    assert table["files_a_second"].tolist() == pytest.approx([4.0, 12 / second])
    assert table.loc[table["chosen"], "workers"].tolist() == [chosen]


# --- steps ----------------------------------------------------------------------------------------------------------


def fake_times(monkeypatch, table):
    """Makes settings take what a function of them says: seconds until the start, seconds a step."""
    tried = []

    def times(size, genres, setting, num_steps):
        tried.append(setting)
        start, step = table(setting)
        return {
            "seconds_to_start": start,
            "step_seconds": np.full(num_steps, step),
            "parameters": 1000,
            "memory": 1e8,
        }

    monkeypatch.setattr(probe, "time_steps", times)
    return tried


def test_the_faster_of_each_pair_is_kept(monkeypatch):
    """Half precision helps, XLA does not, 64 clips take less than twice the time of 32, 128 leave too few updates."""
    tried = fake_times(
        monkeypatch,
        lambda s: (
            10.0,
            {"float32": 0.2, "mixed_bfloat16": 0.1}[s.precision]
            * (3 if s.jit_compile else 1)
            * (s.batch_size / 32) ** 0.5,
        ),
    )
    table, setting = probe_steps(SIZES["standard"], GENRES)
    assert setting == StepConfig(64, "mixed_bfloat16", False)
    assert tried == [
        StepConfig(),
        StepConfig(32, "mixed_bfloat16"),
        StepConfig(32, "mixed_bfloat16", True),
        setting,
    ]
    assert table.loc[table["chosen"], "batch_size"].tolist() == [64]
    assert table["steps_a_second"].tolist() == pytest.approx(
        [5.0, 10.0, 10 / 3, 10 / 2**0.5]
    )
    assert table["minutes"][0] == pytest.approx((10.0 + 1440 * 0.2) / 60)


def test_what_compiles_for_long_must_save_more(monkeypatch):
    """XLA halves a step and compiles for 80 s: that pays in 1,440 steps, not in 300, and for 200 nobody tries."""
    tried = fake_times(
        monkeypatch, lambda s: (80.0, 0.25) if s.jit_compile else (5.0, 0.5)
    )
    assert probe_steps(SIZES["standard"], GENRES)[1].jit_compile
    assert not probe_steps(SIZES["quick"], GENRES)[1].jit_compile
    assert sum(setting.jit_compile for setting in tried) > 0
    tried.clear()
    assert not probe_steps(dataclasses.replace(SIZES["quick"], num_steps=200), GENRES)[
        1
    ].jit_compile
    assert not any(
        setting.jit_compile for setting in tried
    )  # 105 s in all: not worth a trial


def test_a_gain_within_the_noise_changes_nothing(monkeypatch):
    fake_times(
        monkeypatch,
        lambda s: (0.0, 0.1 * s.batch_size / 32 * (1.0 if s == StepConfig() else 0.97)),
    )
    assert probe_steps(SIZES["standard"], GENRES)[1] == StepConfig()


def test_batches_stop_growing_where_clips_or_memory_end(monkeypatch):
    def table(setting):
        if setting.batch_size > 128:
            raise tf.errors.ResourceExhaustedError(None, None, "no memory")
        return 0.0, 0.1

    fake_times(monkeypatch, table)
    found, setting = probe_steps(SIZES["large"], GENRES)
    assert setting.batch_size == 128 and found["batch_size"].tolist() == [
        64,
        64,
        64,
        128,
        256,
    ]
    assert found["note"].tolist()[-1] == "ResourceExhaustedError" and np.isinf(
        found["minutes"].iloc[-1]
    )
    assert probe_steps(SIZES["large"], GENRES, num_clips=100)[1].batch_size == 64


def test_batches_shrink_until_they_fit(monkeypatch):
    def table(most):
        def times(setting):
            if setting.batch_size > most:
                raise tf.errors.ResourceExhaustedError(None, None, "no memory")
            return 0.0, 0.1

        return times

    fake_times(monkeypatch, table(20))
    found, setting = probe_steps(SIZES["large"], GENRES)
    assert setting.batch_size == 16 and found["batch_size"].tolist() == [
        64,
        32,
        16,
        16,
        16,
        32,
    ]
    fake_times(monkeypatch, table(0))
    with pytest.raises(
        ValueError,
        match="not even one clip a step.*ResourceExhaustedError.*smaller one of SIZES",
    ):
        probe_steps(SIZES["large"], GENRES)


def test_what_was_found_is_kept_for_this_device(monkeypatch, tmp_path):
    tried = fake_times(
        monkeypatch, lambda s: (1.0, 0.1 if s.precision == "float32" else 0.05)
    )
    path = tmp_path / "probe" / "settings.json"
    table, setting = probe_steps(SIZES["quick"], GENRES, path=path)
    count = len(tried)
    again, same = probe_steps(SIZES["quick"], GENRES, path=path)
    assert len(tried) == count and same == setting == StepConfig(32, "mixed_bfloat16")
    pd.testing.assert_series_equal(again["minutes"], table["minutes"])
    assert np.median(again["step_seconds"][0]) == 0.1


@pytest.mark.parametrize("other", ["size", "genres", "device"])
def test_what_was_kept_for_another_run_is_timed_anew(monkeypatch, tmp_path, other):
    tried = fake_times(monkeypatch, lambda s: (1.0, 0.1))
    path = tmp_path / "settings.json"
    probe_steps(SIZES["quick"], GENRES, path=path)
    count = len(tried)
    if other == "device":
        monkeypatch.setattr(probe, "device_name", lambda: "another")
    size = SIZES["standard"] if other == "size" else SIZES["quick"]
    genres = ("jazz", "rock", "folk") if other == "genres" else GENRES
    probe_steps(size, genres, path=path)
    assert len(tried) > count
    count = len(tried)
    probe_steps(size, genres, path=path)
    assert len(tried) == count


def test_steps_come_in_whole_passes():
    """As `train` rounds them: 300 steps of 32 over 5,000 clips, 156 to a pass, are two passes; over 100, a hundred."""
    assert StepConfig(32).num_steps(SIZES["quick"], 5000) == 312
    assert StepConfig(32).num_steps(SIZES["quick"], 100) == 300
    assert StepConfig(32).num_steps(SIZES["quick"], 1e6) == 31250
    assert StepConfig(32).num_steps(SIZES["quick"], 5) == 300


def test_the_clips_heard_are_those_of_the_size():
    assert [StepConfig(batch).num_steps(SIZES["standard"]) for batch in (32, 64)] == [
        1440,
        720,
    ]


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16", "mixed_float16"])
def test_each_precision_trains(tiny_size, precision, eager):
    """With a clock that ticks when it is read, each step takes one second, whatever the machine."""
    found = time_steps(tiny_size, GENRES, StepConfig(4, precision), 2, ticking())
    assert found["step_seconds"].tolist() == [1, 1]
    assert found["seconds_to_start"] == 1 + probe.LOSS_SCALE_WARMUP.get(precision, 0)
    assert (
        found["parameters"] == tiny_size.new_model(GENRES).count_params()
        and found["memory"] > 1e7
    )


@pytest.mark.slow
def test_xla_trains(tiny_size):
    """Compiles for half a minute."""
    assert time_steps(tiny_size, GENRES, StepConfig(4, jit_compile=True), 2, ticking())[
        "step_seconds"
    ].tolist() == [1, 1]


# --- sizes ----------------------------------------------------------------------------------------------------------


def half_precisions():
    """The half precisions in which this machine's strided convolution is right.

    oneDNN's bfloat16 with AMX tiles has been seen to be wrong by 3.6 where 0.01 is
    rounding (TensorFlow 2.21; right with ONEDNN_MAX_CPU_ISA=AVX512_CORE_BF16).
    """
    rng = np.random.default_rng(0)
    clip = rng.normal(size=(4, 32, 16)).astype("float32")
    kernel = rng.normal(size=(4, 16, 8)).astype("float32") / 8.0
    expected = tf.nn.conv1d(clip, kernel, 4, "VALID")
    right = []
    for name in ("bfloat16", "float16"):
        found = tf.nn.conv1d(tf.cast(clip, name), tf.cast(kernel, name), 4, "VALID")
        if np.abs(tf.cast(found, "float32") - expected).max() < 0.1:
            right.append(f"mixed_{name}")
    return tuple(right)


def test_half_precision_is_of_the_training_and_not_of_the_file(
    tiny_size, tmp_path, eager
):
    """Losses are those of single precision up to rounding; what is read back computes in single precision."""
    clips = (
        np.random.default_rng(0)
        .uniform(-1, 1, (8, *tiny_size.config.shape))
        .astype(np.float32)
    )
    labels, terms = np.arange(8) % 2, {}
    halves = half_precisions()
    for precision in ("float32", *halves):
        model = tiny_size.new_model(GENRES, precision=precision)
        assert model.encoder.layers[-1].compute_dtype == precision.removeprefix(
            "mixed_"
        )
        assert {weight.dtype for weight in model.trainable_weights} == {"float32"}
        terms[precision] = {
            name: float(value)
            for name, value in model.compute_losses(clips, labels)[0].items()
        }
        model.save(tmp_path / "model.keras")
        again = load_model(tmp_path / "model.keras")
        assert again.encoder.layers[-1].compute_dtype == "float32"
        latents = model.encode(clips)[0]
        np.testing.assert_allclose(again.encode(clips)[0], latents, atol=0.05)
        np.testing.assert_allclose(
            again.decode(latents, labels), model.decode(latents, labels), atol=0.05
        )
    for precision in halves:
        for name in ("reconstruction", "kl"):
            assert terms[precision][name] == pytest.approx(
                terms["float32"][name], rel=0.02, abs=0.01
            ), name
    assert keras.config.dtype_policy().name == "float32"


def test_half_precision_resumes_with_the_same_result(
    tiny_size, tmp_path, monkeypatch, eager
):
    """Also in float16, whose losses are scaled: from a scale that fits, so that no step is lost in finding it."""
    monkeypatch.setattr(
        keras.optimizers.LossScaleOptimizer.__init__,
        "__defaults__",
        (2.0**4, 2000, None),
    )
    features = build_features(
        known_factor_collection(36), tiny_size.config, tmp_path, **QUIET
    )
    settings = {"num_steps": 4, "batch_size": 14, "verbose": 0}

    def stop(epoch, logs):
        if epoch == 1:
            raise KeyboardInterrupt

    whole, stopped, resumed = (
        tiny_size.new_model(features.genres, precision="mixed_float16")
        for _ in range(3)
    )
    train(whole, features, **settings)
    with pytest.raises(KeyboardInterrupt):
        stopping = keras.callbacks.LambdaCallback(on_epoch_begin=stop)
        train(
            stopped,
            features,
            **settings,
            backup_dir=tmp_path / "backup",
            callbacks=[stopping],
        )
    history = train(resumed, features, **settings, backup_dir=tmp_path / "backup")
    assert history.epoch[0] == 0 and int(resumed.optimizer.iterations) == 4
    for first, second in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_allclose(first, second, atol=1e-4)


def test_the_large_size_trains_on_sixteen_beats(tmp_path, eager):
    """A few steps on small data: what runs for hours on a GPU is the same code."""
    size = SIZES["large"]
    assert size.config.num_beats == 16 and size.config == AudioConfig(num_frames=256)
    features = build_features(
        known_factor_collection(36), size.config, tmp_path, **QUIET
    )
    model = size.new_model(features.genres)
    assert (
        isinstance(model, ConditionalVAE)
        and model.count_params()
        > 3 * SIZES["standard"].new_model(features.genres).count_params()
    )
    history = train(model, features, num_steps=2, batch_size=8, verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert model.decode(model.sample_latents([0, 1]), [0, 1]).shape == (
        2,
        *size.config.shape,
    )


def test_fewer_tracks_for_a_first_try(collection):
    few = take_tracks(collection, 5)
    assert few.counts().to_numpy().tolist() == [[3, 1, 1]] * 2
    splits = collection.table.set_index("source_id")["split"]
    assert (
        few.table["split"].to_numpy() == splits[few.table["source_id"]].to_numpy()
    ).all()
    assert (
        few.table.equals(take_tracks(collection, 5).table)
        and few.key() != collection.key()
    )
    assert len(take_tracks(collection, 100)) == len(collection)
    with pytest.raises(ValueError, match="num_tracks=2; expected at least 3"):
        take_tracks(collection, 2)


# --- curves ---------------------------------------------------------------------------------------------------------


def test_curves_by_step_are_means_since_the_last_row_and_survive_a_stop(tmp_path):
    """A model whose loss is the number of its step: two epochs of five, then a stop, and the second again."""

    class Counting(keras.Model):
        def __init__(self):
            super().__init__()
            self.tracker = keras.metrics.Mean(name="loss")
            self.dense = keras.layers.Dense(1)

        @property
        def metrics(self):
            return [self.tracker]

        def train_step(self, data):
            self.optimizer.iterations.assign_add(1)
            self.tracker.update_state(self.optimizer.iterations)
            return {"loss": self.tracker.result()}

    def fit(epochs):
        data = tf.data.Dataset.from_tensors(np.zeros((1, 1), np.float32)).repeat(5)
        model.fit(
            data,
            epochs=epochs,
            callbacks=[StepCSVLogger(tmp_path / "curve.csv", every=2)],
            verbose=0,
        )

    model = Counting()
    model.compile(optimizer="adam", run_eagerly=True)
    fit(2)
    table = pd.read_csv(tmp_path / "curve.csv")
    assert table["step"].tolist() == [
        2,
        4,
        5,
        6,
        8,
        10,
    ]  # whole multiples, and the end of an epoch
    assert table["loss"].tolist() == [1.5, 3.5, 5.0, 6.0, 7.5, 9.5]
    model.optimizer.iterations.assign(5)  # as a backup of the first epoch leaves it
    fit(1)
    assert pd.read_csv(tmp_path / "curve.csv")["step"].tolist() == [2, 4, 5, 6, 8, 10]
    model.optimizer.iterations.assign(0)
    fit(1)
    assert pd.read_csv(tmp_path / "curve.csv")["step"].tolist() == [2, 4, 5]


def test_band_is_the_range_of_the_runs():

    runs = pd.DataFrame(
        {
            "run": ["a", "a", "b", "b"],
            "step": [0, 10, 0, 20],
            "kl": [0.0, 10.0, 4.0, 4.0],
            "loss": np.nan,
        }
    )
    low, high = reference_range(runs, "kl", [0, 5, 10, 15, 30])
    np.testing.assert_allclose(low, [0.0, 4.0, 4.0, 4.0, np.nan])
    np.testing.assert_allclose(high, [4.0, 5.0, 10.0, 4.0, np.nan])
