"""Keras callbacks of `train`: epoch seeds, a stop at NaN, and a backup that can be resumed."""

import json
import os
import shutil
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from cvae_music.serialization import write_text


class EpochCounter(keras.callbacks.Callback):
    """Tells the data pipeline and every source of noise which epoch it is, also after a resume.

    A backup of Keras holds weights and optimizer but not the state of seed generators: without this a
    resumed training would draw the noise of the first epoch again.
    """

    def __init__(self):
        super().__init__()
        self.epoch = tf.Variable(0, dtype=tf.int64, trainable=False)

    def on_train_begin(self, logs=None):
        layers = self.model._flatten_layers()
        noises = [
            self.model.noise,
            *(
                layer.seed_generator
                for layer in layers
                if hasattr(layer, "seed_generator")
            ),
        ]
        self.states = [(noise.state, np.array(noise.state)) for noise in noises]

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch.assign(epoch)
        for state, first in self.states:
            state.assign(first + np.array([0, epoch * 1_000_000], first.dtype))


class StopOnNaN(keras.callbacks.Callback):
    """Stops at the first loss that is not a number, with the weights of the last good epoch put back.

    Raises:
        FloatingPointError: From `fit`, saying where and what to try.
    """

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch, self.good = epoch, self.model.get_weights()

    def on_batch_end(self, batch, logs=None):
        if not np.isfinite(logs["loss"]):
            self.model.set_weights(self.good)
            where = f"epoch {self.epoch + 1}, batch {batch + 1}. The weights of the last good epoch are back"
            advice = "Try a lower learning_rate, or look for NaN in the features."
            raise FloatingPointError(
                f"The loss became {logs['loss']} in {where}. {advice}"
            )


def backups(folder, model, features, run):
    """Keeps the state of a training after each epoch, and loads that of an earlier one that was killed.

    A state appears when it is whole, with its epoch in its name: Keras' own backup, killed at a bad moment, counts an
    epoch twice or cannot be read. A note beside it says of what it is, so that no training goes on from that of another.

    Args:
        folder: Where to keep it; `None` for nowhere. It is removed at the end.
        model: The compiled model that is about to be trained.
        features: The `FeatureSet` it is trained on.
        run: Dict of what else the training depends on.

    Returns:
        `(epoch, callbacks)`: the number of epochs that are done, and a list with the callback that keeps the state.

    Raises:
        ValueError: If the folder holds the state of another training, or anything else.
    """
    if not folder:
        return 0, []
    folder, partial = Path(folder), "partial.weights.h5"
    about = json.loads(
        json.dumps(
            model.get_config() | run | {"name": "", "music": features.key()},
            default=str,
        )
    )
    note = folder / "made_with.json"
    found = json.loads(note.read_text(encoding="utf-8")) if note.exists() else {}
    others = [
        f"{key}: {found.get(key)} there, {value} here"
        for key, value in about.items()
        if value != found.get(key)
    ]
    if others and folder.is_dir() and set(os.listdir(folder)) - {note.name, partial}:
        raise ValueError(
            f"{str(folder)!r} is of another training ({'; '.join(others)}). Empty it, or pass another."
        )
    write_text(note, json.dumps(about))

    class Backup(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            self.model.save_weights(folder / partial, overwrite=True)
            os.replace(folder / partial, folder / f"{epoch + 1:06d}.weights.h5")
            (folder / f"{epoch:06d}.weights.h5").unlink(missing_ok=True)

        def on_train_end(self, logs=None):
            for state in folder.glob("[0-9]*.weights.h5"):
                state.unlink()
            shutil.rmtree(folder)

    states = sorted(folder.glob("[0-9]*.weights.h5"))
    if states:
        model.load_weights(states[-1])
    return int(states[-1].name[:6]) if states else 0, [Backup()]
