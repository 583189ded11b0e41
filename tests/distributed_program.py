"""A small training as one of several processes or on two devices; `test_distributed` compares it with one process.

Called as `python distributed_program.py mirrored|worker FOLDER`: reads the features there, writes `history.json` and
`weights.npz`. The file `kill` in the folder makes the second worker end itself, once, half-way through its second epoch.
"""

import dataclasses
import json
import os
import signal
import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from cvae_scale.distributed import ReplicaNoise, train_distributed
from keras import ops

from cvae_music.data.features import load_features
from cvae_music.data.shards import open_shards
from cvae_music.models import conditional
from cvae_music.models.conditional import ConditionalVAE
from cvae_music.models.schedules import Constant

TRAINING = {"num_steps": 12, "batch_size": 16, "learning_rate": 3e-3}
SIZES = {"global_dim": 3, "local_dim": 2, "width": 40, "depth": 0}


@dataclasses.dataclass
class Crooked(Constant):
    """Linear in nothing: what the mean of two parts' penalties, or of their weights, could not be mistaken for."""

    def next_weight(self, step, last_weight, kl):
        return ops.where(
            ops.equal(step, 0),
            self.weight,
            last_weight * (0.9 + 0.1 * ops.tanh(kl * kl)),
        )

    def penalty(self, kl_per_dimension, weight, step):
        return weight * ops.sum(ops.maximum(kl_per_dimension, 0.1) ** 2)


def new_model(config, genres, seed=0, **options):
    """A ConditionalVAE with all it has, but for what differs between replicas by intent: disguises and dropout."""
    conditional.augment_for_critics = lambda scaled, noise: scaled
    keras.utils.set_random_seed(seed)
    model = ConditionalVAE(
        config, genres=genres, kl=Crooked(), seed=3, **SIZES, **options
    )
    silence(model)
    return model


def silence(model):
    for network in (model.listeners.listener, model.listeners.sceptic):
        network.get_layer("dropout").rate = 0.0


class Silence(keras.callbacks.Callback):
    """Silences the copy of the model that is trained."""

    def on_train_begin(self, logs=None):
        silence(self.model)


class Kill(keras.callbacks.Callback):
    """A power cut in the second worker, in its second epoch; also notes which epochs were begun."""

    def __init__(self, folder, index):
        super().__init__()
        self.marker, self.log, self.index = (
            folder / "kill",
            folder / f"epochs-{index}.txt",
            index,
        )

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
        with open(self.log, "a", encoding="utf-8") as file:
            file.write(f"{epoch}\n")

    def on_train_batch_end(self, batch, logs=None):
        if self.index == 1 and self.epoch == 1 and batch == 1 and self.marker.exists():
            self.marker.unlink()
            os.kill(os.getpid(), signal.SIGKILL)


def two_devices():
    """Two processors made of one, and the strategy that trains on both."""
    (device,) = tf.config.list_physical_devices("CPU")
    tf.config.set_logical_device_configuration(
        device, [tf.config.LogicalDeviceConfiguration()] * 2
    )
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def draws(strategy):
    """What two replicas draw, alike and apart, of a generator with seed 3: a list for each replica."""
    with strategy.scope():
        noise = keras.random.SeedGenerator(3)
    noise.__class__ = ReplicaNoise

    def draw():
        with noise.shared():
            alike = keras.random.normal((), seed=noise)
        return tf.stack(
            [
                alike,
                keras.random.normal((), seed=noise),
                keras.random.normal((), seed=noise),
            ]
        )

    found = strategy.run(tf.function(draw))
    return [
        value.numpy().tolist() for value in strategy.experimental_local_results(found)
    ]


def main(kind, folder):
    tf.config.optimizer.set_experimental_options(
        {"disable_meta_optimizer": True}
    )  # it takes longer than the training
    strategy = (
        two_devices()
        if kind == "mirrored"
        else tf.distribute.MultiWorkerMirroredStrategy()
    )
    index = strategy.cluster_resolver.task_id if kind == "worker" else 0
    features = (
        load_features(folder / "features")
        if kind == "mirrored"
        else open_shards(str(folder / "shards"))
    )
    # Without listeners two processes start in half the time; two devices have them.
    model = new_model(
        features.config,
        features.genres,
        seed=index,
        swap_weight=600.0 if kind == "mirrored" else 0.0,
    )  # the first weights count
    callbacks = [Silence(), Kill(folder, index)]
    own = {
        "backup_dir": folder / "backup",
        "callbacks": callbacks,
        "progress": False,
        "seed": 5,
    }
    history = train_distributed(model, features, strategy, **TRAINING, **own)
    weights = [np.array(weight) for weight in model.get_weights()]
    np.savez(folder / f"weights-{index}.npz", *weights)
    about = {
        "history": history.history,
        "epoch": history.epoch,
        "draws": draws(strategy),
    }
    (folder / f"history-{index}.json").write_text(json.dumps(about), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
