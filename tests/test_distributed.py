"""Training on two devices and in two processes: the curve of one process with the same batch, also after a kill."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import types

import keras
import numpy as np
import pytest
import tensorflow as tf
from cvae_scale import distributed
from cvae_scale.distributed import train_distributed
from cvae_scale.workers import run_workers
from distributed_program import SIZES, TRAINING, new_model

from cvae_music.data.batches import make_dataset
from cvae_music.data.features import build_features
from cvae_music.data.shards import stream_batches, write_shards
from cvae_music.data.sources import known_factor_collection
from cvae_music.models import conditional
from cvae_music.models.autoencoders import VAE
from cvae_music.models.latent_density import fit_latent_density
from cvae_music.training import EpochCounter, compile_model, train

PROGRAM = "distributed_program"


@pytest.fixture(scope="module")
def features(tmp_path_factory, tiny_config):
    """Two genres, so that there is only one other label to decode with."""
    folder = tmp_path_factory.mktemp("features")
    made = build_features(
        known_factor_collection(240), tiny_config, folder, num_workers=1, progress=False
    )
    kept = made.table["genre"].isin(made.genres[:2]).to_numpy()
    table = made.table[kept].reset_index(drop=True)
    return dataclasses.replace(
        made,
        genres=made.genres[:2],
        table=table,
        log_mel=np.asarray(made.log_mel)[kept],
    )


@pytest.fixture
def undisguised(monkeypatch):
    """Puts back what `new_model` takes out of the listeners."""
    monkeypatch.setattr(conditional, "disguise", conditional.augment_for_critics)


def save_features(features, folder):
    """A cache folder that `load_features` opens."""
    folder.mkdir()
    np.save(folder / "log_mel.npy", features.log_mel)
    features.table.to_csv(folder / "table.csv", index=False)
    features.report.to_csv(folder / "skipped.csv", index=False)
    about = {"config": features.config.get_config(), "genres": features.genres}
    (folder / "meta.json").write_text(json.dumps(about), encoding="utf-8")


def run(root, code, seconds=600):
    """Runs Python code that may start processes; none of them outlives it."""
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(root / "lib"), str(root / "tests")])
    }
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        env=environment,
        process_group=0,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        printed, _ = process.communicate(timeout=seconds)
    finally:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    assert process.returncode == 0, printed[-4000:]
    return printed


def results(folder, index=0):
    about = json.loads((folder / f"history-{index}.json").read_text(encoding="utf-8"))
    with np.load(folder / f"weights-{index}.npz") as file:
        return about, [file[name] for name in file.files]


def assert_same_curves(found, expected, rtol=2e-4):
    assert found.keys() == expected.keys()
    for name in expected:
        np.testing.assert_allclose(
            found[name], expected[name], rtol=rtol, atol=2e-5, err_msg=name
        )


def test_rows_of_all_replicas_make_the_batch_of_one_process(features):
    """Two workers with two replicas each: the batches of one process, cut into four, in order."""
    expected = list(make_dataset(features, "train", 16, seed=1, augment=True))
    contexts = [tf.distribute.InputContext(2, worker, 4) for worker in range(2)]
    parts = [
        list(distributed._slice(features, "train", 16, {"seed": 1, "augment": True}, c))
        for c in contexts
    ]
    assert [len(each) for each in parts] == [2 * len(expected)] * 2
    for step, (x, genre) in enumerate(expected):
        taken = [part for each in parts for part in each[2 * step : 2 * step + 2]]
        np.testing.assert_array_equal(np.concatenate([rows for rows, _ in taken]), x)
        np.testing.assert_array_equal(
            np.concatenate([labels for _, labels in taken]), genre
        )


def test_workers_are_all_started_again_when_one_fails(tmp_path, capfd):
    """The first waits, the second fails at its first start: the first is ended, and both come again, with new ports."""
    code = f"""
import json, os, pathlib, sys, time
about, folder = json.loads(os.environ["TF_CONFIG"]), pathlib.Path({str(tmp_path)!r})
index, places = about["task"]["index"], about["cluster"]["worker"]
print("worker", index, len(set(places)), flush=True)
if not (folder / f"{{index}} has started").exists():
    (folder / f"{{index}} has started").touch()
    while index == 0:
        time.sleep(1)
    while not (folder / "0 has started").exists():
        time.sleep(0.1)
    sys.exit(3)
"""
    assert run_workers([sys.executable, "-c", code], 2, max_restarts=1) == 1
    printed = capfd.readouterr().out
    assert (
        printed.count("worker 0 2") == printed.count("worker 1 2") == 2
        and "exit codes [None, 3]" in printed
    )
    assert (
        run_workers([sys.executable, "-c", code], ["first:1", "second:1"], mine=[1])
        == 0
    )
    assert capfd.readouterr().out == "worker 1 2\n"
    with pytest.raises(
        RuntimeError, match="2 times, and each time a worker failed.*exit codes .*7"
    ):
        run_workers([sys.executable, "-c", "raise SystemExit(7)"], 1, max_restarts=1)


def test_what_cannot_be_trained_is_a_clear_error(features):
    strategy, model = (
        types.SimpleNamespace(num_replicas_in_sync=2),
        VAE(features.config, **SIZES),
    )
    with pytest.raises(
        ValueError, match="got batch_size=15 for 2 replicas; expected a multiple"
    ):
        train_distributed(model, features, strategy, batch_size=15)
    with pytest.raises(ValueError, match="n_mels: 24 there, 16 here"):
        other = dataclasses.replace(
            features, config=dataclasses.replace(features.config, n_mels=24)
        )
        train_distributed(model, other, strategy)


def test_two_devices_learn_what_one_does(features, root, tmp_path, undisguised):
    """Every term of the loss, the schedule, the clipping, the averaged weights; and what replicas draw alike and apart."""
    features = dataclasses.replace(
        features, table=features.table.replace({"split": {"validation": "test"}})
    )
    save_features(features, tmp_path / "features")
    run(
        root,
        f"import {PROGRAM}, pathlib; {PROGRAM}.main('mirrored', pathlib.Path({str(tmp_path)!r}))",
    )
    about, weights = results(tmp_path)
    model = new_model(features.config, features.genres)
    history = train(
        model, features, **TRAINING, seed=5, jit_compile=False, verbose=0
    ).history
    assert_same_curves(about["history"], history)
    for found, expected in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-4)
    noise = keras.random.SeedGenerator(3)
    alone = [float(keras.random.normal((), seed=noise)) for _ in range(3)]
    np.testing.assert_allclose(about["draws"][0], alone, rtol=1e-6)
    assert about["draws"][1][0] == about["draws"][0][0] and not set(
        about["draws"][1][1:]
    ) & set(about["draws"][0])


def one_process(shards):
    """The training of two workers by `fit` in one process: batches made of what each worker would read."""
    model, counter = (
        new_model(shards.config, shards.genres, swap_weight=0.0),
        EpochCounter(),
    )

    def joined(split, size, **options):
        contexts = [tf.distribute.InputContext(2, worker, 2) for worker in range(2)]
        streams = [
            stream_batches(shards, split, size, context=context, **options)
            for context in contexts
        ]
        both = tf.data.Dataset.zip(*streams)
        return both.map(
            lambda first, second: tuple(
                tf.concat(pair, 0) for pair in zip(first, second, strict=True)
            )
        )

    training = joined(
        "train", TRAINING["batch_size"], seed=5, augment=True, epoch=counter.epoch
    )
    steps = int(training.cardinality())
    epochs = round(TRAINING["num_steps"] / steps)
    compile_model(model, epochs * steps, TRAINING["learning_rate"], jit_compile=False)
    own = {
        "validation_data": joined("validation", 8),
        "epochs": epochs,
        "callbacks": [counter],
    }
    history = model.fit(training, **own, verbose=0, shuffle=False)
    fit_latent_density(model, shards, 5)
    return model, history.history


def test_two_processes_go_on_when_one_is_killed(features, root, tmp_path, undisguised):
    """Each reads shards of its own; the second is killed in the second epoch, and both are started again."""
    shards = write_shards(features, str(tmp_path / "shards"), clips_per_shard=4)
    (tmp_path / "kill").touch()
    code = "import sys; from cvae_scale.workers import run_workers; "
    code += f"command = [sys.executable, {str(root / 'tests' / PROGRAM)!r} + '.py', 'worker', {str(tmp_path)!r}]; "
    printed = run(
        root, code + "print('restarts:', run_workers(command, 2, max_restarts=1))"
    )
    assert "restarts: 1" in printed and not (tmp_path / "kill").exists()
    (about, weights), (other, same) = results(tmp_path), results(tmp_path, 1)
    epochs = len(about["epoch"])
    assert (
        about["epoch"] == list(range(epochs))
        and other["history"]["loss"] == about["history"]["loss"][1:]
    )
    begun = [
        (tmp_path / f"epochs-{index}.txt").read_text(encoding="utf-8").split()
        for index in range(2)
    ]
    assert (
        begun[0] == begun[1] == ["0", "1", *map(str, range(1, epochs))]
    )  # nothing was done again but the lost epoch
    model, history = one_process(shards)
    assert_same_curves(about["history"], history)
    for found, twin, expected in zip(weights, same, model.get_weights(), strict=True):
        np.testing.assert_array_equal(found, twin)
        np.testing.assert_allclose(found, expected, rtol=2e-3, atol=2e-4)
