"""Keras callbacks of `train`: epoch seeds, a stop at NaN, averages, and backups."""

from __future__ import annotations

import io
import json
import zlib
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from cvae_music.serialization import print_text, write_file, write_text


class EpochCounter(keras.callbacks.Callback):
    """Reseeds every source of noise from the epoch number, also after a resume.

    A backup of Keras holds weights and optimizer but not the state of seed generators.
    Without this a resumed training would draw the noise of the first epoch again.
    """

    def __init__(self):
        super().__init__()
        self.epoch = tf.Variable(0, dtype=tf.int64, trainable=False)

    def on_train_begin(self, logs=None):
        self.first_states = []
        for generator in [self.model.noise, *dropout_seeds(self.model)]:
            self.first_states.append((generator.state, np.array(generator.state)))

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch.assign(epoch)
        for state, first in self.first_states:
            state.assign(first + np.array([0, epoch * 1_000_000], first.dtype))


def dropout_seeds(model):
    """Lists the seed generators of all layers of a model."""
    found = []
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            found += dropout_seeds(layer)
        elif hasattr(layer, "seed_generator"):
            found.append(layer.seed_generator)
    return found


class StopOnNaN(keras.callbacks.Callback):
    """Stops at the first loss that is not a number and restores weights that are good.

    Good are the weights at the beginning of the last epoch whose first batch had a
    finite loss, at first those that `fit` began with.

    Raises:
        FloatingPointError: From `fit`; says where and what to try.
    """

    def on_train_begin(self, logs=None):
        self.good = self.model.get_weights()
        self.good_epoch = None

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
        self.candidate = self.model.get_weights()

    def on_train_batch_end(self, batch, logs=None):
        if not np.isfinite(logs["loss"]):
            self.stop(f"The loss became {logs['loss']}", f"batch {batch + 1}")
        # The first loss was computed with the weights that the epoch began with.
        if batch == 0:
            self.good = self.candidate
            self.good_epoch = self.epoch

    def on_epoch_end(self, epoch, logs=None):
        finite = all(np.isfinite(weight).all() for weight in self.model.get_weights())
        losses = [
            value for name, value in (logs or {}).items() if name.endswith("loss")
        ]
        if not finite or not np.isfinite(losses).all():
            self.stop("The weights or the validation loss became NaN", "its end")

    def stop(self, what, where):
        """Restores the good weights and raises."""
        self.model.set_weights(self.good)
        begin = "the training"
        if self.good_epoch is not None:
            begin = f"epoch {self.good_epoch + 1}"
        raise FloatingPointError(
            f"{what} in epoch {self.epoch + 1}, {where}. "
            f"The weights from the beginning of {begin} are back. "
            "Try a lower learning_rate, or look for NaN in the features."
        )


class AveragedWeights(keras.callbacks.Callback):
    """Validates with the averaged weights, which are those that `fit` ends with.

    Callbacks that come later in the list, such as `ModelCheckpoint`, see them too.
    Needs an optimizer with `use_ema=True`.
    """

    raw = None

    def show(self):
        """Puts the averages in the place of the weights."""
        optimizer = self.model.optimizer
        if self.raw is None and optimizer.iterations.numpy():
            variables = self.model.trainable_variables
            self.raw = [np.array(variable) for variable in variables]
            optimizer.finalize_variable_values(variables)

    def hide(self):
        """Puts the weights back."""
        if self.raw is not None:
            for variable, value in zip(
                self.model.trainable_variables, self.raw, strict=True
            ):
                variable.assign(value)
            self.raw = None

    def on_epoch_begin(self, epoch, logs=None):
        self.hide()

    def on_test_begin(self, logs=None):
        self.show()

    def on_test_end(self, logs=None):
        self.hide()

    def on_epoch_end(self, epoch, logs=None):
        self.show()


class FileInMemory(io.BytesIO):
    """A file for `save_weights`: on a full disk HDF5 ends the process."""

    def __str__(self):
        return "state.weights.h5"  # Keras asks for this ending


class Backup(keras.callbacks.Callback):
    """Keeps the state of a training after each epoch, to go on from after a kill.

    A state appears when it is whole, with its epoch in its name, and the one before it
    is kept too: Keras' own backup, killed at a bad moment, counts an epoch twice or
    cannot be read. A note beside the states says of which training they are, what the
    metrics were, and the checksums of the states. A state that cannot be written, as on
    a full disk, is told, and the training goes on.

    Args:
        folder: Where to keep them. Other files in it are left alone.
        about: Dict of all that the training depends on, ready for JSON.

    Raises:
        ValueError: If the folder holds states of another training, or no note says of
            which they are.
    """

    def __init__(self, folder, about):
        super().__init__()
        self.folder = Path(folder).expanduser()
        self.note = self.folder / "made_with.json"
        self.about = self.check(json.loads(json.dumps(about, default=str)))

    def states(self):
        """Lists the files of states, oldest first."""
        return sorted(self.folder.glob("[0-9]" * 6 + ".weights.h5"))

    def check(self, about):
        """Compares the note with this training, writes it anew, and returns it."""
        found: dict = {"history": {}, "checksums": {}}
        if self.states():
            try:
                found |= json.loads(self.note.read_text(encoding="utf-8"))
            except (OSError, ValueError, TypeError) as error:
                raise ValueError(
                    f"{str(self.note)!r}, which says of which training the states "
                    f"beside it are, cannot be read ({error}). Empty the folder, or "
                    "pass another."
                ) from error
            others = [
                f"{name}: {str(found.get(name))[:80]} there, {str(value)[:80]} here"
                for name, value in about.items()
                if value != found.get(name)
            ]
            if others:
                what = f"{str(self.folder)!r} holds another training"
                raise ValueError(
                    f"{what} ({'; '.join(others)}). Empty it, or pass another."
                )
        found |= about
        write_text(self.note, json.dumps(found))
        return found

    def restore(self, model):
        """Loads the newest state that can be read into a compiled model.

        Args:
            model: The compiled model that is about to be trained.

        Returns:
            Number of epochs that are done.

        Raises:
            ValueError: If there are states and none can be read.
        """
        states = self.states()
        for state in reversed(states):
            try:
                # Keras takes what is damaged for what was never saved.
                found = zlib.crc32(state.read_bytes())
                if self.about["checksums"].get(state.name, found) != found:
                    raise OSError("its content has changed")
                model.load_weights(state)
            except Exception as error:  # HDF5 and Keras raise a dozen kinds
                reason = f"cannot be read ({str(error)[:200]}) and is passed over"
                print_text(f"The backup {str(state)!r} {reason}.")
                continue
            return int(state.name[:6])
        if states:
            what = f"No state in {str(self.folder)!r} can be read"
            raise ValueError(f"{what}. Remove {[state.name for state in states]}.")
        return 0

    def on_epoch_end(self, epoch, logs=None):
        path = self.folder / f"{epoch + 1:06d}.weights.h5"
        state = FileInMemory()
        self.model.save_weights(state)
        content = state.getvalue()
        self.about["checksums"][path.name] = zlib.crc32(content)
        for name, value in (logs or {}).items():
            values = self.about["history"].get(name, [])
            self.about["history"][name] = [*values[:epoch], float(value)]
        try:
            write_text(self.note, json.dumps(self.about))
            write_file(path, lambda file: file.write(content))
        except OSError as error:
            reason = f"has no backup ({error}), and the training goes on"
            print_text(f"Epoch {epoch + 1} {reason}.")
        for old in self.states()[:-2]:
            old.unlink()

    def complete(self, history, num_before):
        """Puts the metrics of before a resume in front of those in a `History`."""
        before = self.about["history"]
        unknown = [np.nan] * num_before
        for name in before | history.history:
            first = before.get(name, unknown)[:num_before]
            history.history[name] = [*first, *history.history.get(name, [])]
        history.epoch = [*range(num_before), *history.epoch]

    def remove(self):
        """Removes what was written, and the folder if nothing else is in it."""
        unfinished = self.folder.glob(f"*.{'[0-9a-f]' * 32}.tmp")  # of `write_file`
        for path in (*self.states(), self.note, *unfinished):
            path.unlink(missing_ok=True)
        if not any(self.folder.iterdir()):
            self.folder.rmdir()
