"""Keras callbacks of `train`: epoch seeds, a stop at NaN, averages, and backups."""

import contextlib
import glob
import json
import re
import zlib
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from cvae_music.serialization import print_text, write_text

STATES = "[0-9]" * 6 + ".weights.h5"  # glob of the files that `Backup` writes


class EpochCounter(keras.callbacks.Callback):
    """Reseeds every source of noise from the epoch number, also after a resume.

    A weights file of Keras does not hold the state of seed generators. Without this a
    resumed training would draw the noise of the first epoch again.

    Attributes:
        epoch: Integer `tf.Variable`, the number of the epoch, for `make_dataset`.
    """

    def __init__(self):
        super().__init__()
        self.epoch = tf.Variable(0, dtype=tf.int64, trainable=False)

    def on_train_begin(self, logs=None):
        self.first_states = [
            (variable, np.array(variable))
            for variable in self.model.variables
            if variable.name == "seed_generator_state"
        ]

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch.assign(epoch)
        # The second number counts draws, of which an epoch makes far fewer.
        for state, first in self.first_states:
            state.assign(first + np.array([0, epoch * 1_000_000], first.dtype))


class StopOnNaN(keras.callbacks.Callback):
    """Stops at the first loss that is NaN or infinite, and restores good weights.

    The good weights are those at the beginning of the last epoch whose first batch had
    a finite loss. Before there is one, they are the weights that `fit` began with.

    Raises:
        FloatingPointError: From `fit`, if the loss of a batch, a weight or the
            validation loss is not finite.
    """

    def on_train_begin(self, logs=None):
        self.good = self.model.get_weights()
        self.good_since = "the training"

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
        self.candidate = self.model.get_weights()

    def on_train_batch_end(self, batch, logs=None):
        if not np.isfinite(logs["loss"]):
            self.stop(f"The loss became {logs['loss']}", f"batch {batch + 1}")
        # The first loss was computed with the weights that the epoch began with.
        if batch == 0:
            self.good = self.candidate
            self.good_since = f"epoch {self.epoch + 1}"

    def on_epoch_end(self, epoch, logs=None):
        values = [*self.model.get_weights(), (logs or {}).get("val_loss", 0.0)]
        if not all(np.isfinite(value).all() for value in values):
            self.stop("A weight or the validation loss is not finite", "at its end")

    def stop(self, what, where):
        """Restores the good weights and raises `FloatingPointError`."""
        self.model.set_weights(self.good)
        raise FloatingPointError(
            f"{what} in epoch {self.epoch + 1}, {where}. "
            f"The weights from the beginning of {self.good_since} are back. "
            "Try a lower learning_rate, or look for NaN in the features."
        )


class AveragedWeights(keras.callbacks.Callback):
    """Validates with the averaged weights, which are those that `fit` ends with.

    Callbacks that come later in the list, such as `ModelCheckpoint`, see them too.
    Needs an optimizer with `use_ema=True`.

    `keras.callbacks.SwapEMAWeights` is no substitute. It swaps weights and averages by
    additions, which round; and a training that another callback stops early ends with
    the weights that are not averaged.
    """

    raw = None

    def show(self):
        """Replaces the weights by their averages, until `hide`."""
        optimizer = self.model.optimizer
        if self.raw is None and optimizer.iterations.numpy():
            variables = self.model.trainable_variables
            self.raw = [(variable, np.array(variable)) for variable in variables]
            optimizer.finalize_variable_values(variables)

    def hide(self):
        """Puts the weights of the last step back."""
        for variable, value in self.raw or ():
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


class Backup(keras.callbacks.Callback):
    """Saves the state of a training after each epoch, so that it can be resumed.

    A state is a file of weights and optimizer, written atomically, with the number of
    epochs in its name. The last two are kept. (`keras.callbacks.BackupAndRestore`,
    killed at a bad moment, counts an epoch twice or leaves a file that cannot be read.)
    The note `made_with.json` beside them holds what the training depends on, the
    metrics of each epoch, and the checksums of the states. If a state cannot be
    written, as on a full disk, a line says so and the training goes on.

    Args:
        folder: Folder for states and note. Other files in it are left alone.
        about: Dict of all that the training depends on, ready for JSON.

    Raises:
        ValueError: If the folder holds states of another training, or its note cannot
            be read.
    """

    is_finished = False  # True once `restore` loads what `finish` wrote

    def __init__(self, folder, about):
        super().__init__()
        self.folder = Path(folder).expanduser()
        self.note = self.folder / "made_with.json"
        self.about: dict = {"epochs": [], "checksums": {}}
        self.check(json.loads(json.dumps(about, default=str)))

    def states(self):
        """Lists the files of states that the note names, oldest first."""
        names = self.about["checksums"]  # missing in a note that is not of this class
        return [path for path in sorted(self.folder.glob(STATES)) if path.name in names]

    def check(self, about):
        """Compares the note in the folder with this training, and writes it anew.

        Args:
            about: As for the class.

        Raises:
            ValueError: If the note cannot be read, or is of another training.
        """
        if self.note.exists() or any(self.folder.glob(STATES)):
            new = self.about
            try:
                self.about = json.loads(self.note.read_text(encoding="utf-8"))
                if not self.states() or not self.about["epochs"]:
                    self.about = new
            except (OSError, ValueError, TypeError, KeyError) as error:
                raise ValueError(
                    f"{str(self.note)!r}, which says of which training the states "
                    f"beside it are, cannot be read ({error!r}). Empty the folder, or "
                    "pass another backup_dir."
                ) from error
            found = self.about
            others = [
                f"{name}: {str(found.get(name))[:80]} there, {str(value)[:80]} here"
                for name, value in about.items()
                if value != found.get(name)
            ]
            if others and self.states():
                raise ValueError(
                    f"{str(self.folder)!r} holds another training "
                    f"({'; '.join(others)}). Empty it, or pass another backup_dir."
                )
        self.about.setdefault("made_folder", not self.folder.exists())
        self.about |= about
        write_text(self.note, json.dumps(self.about))

    def restore(self, model):
        """Loads the newest state that can be read into a compiled model.

        Args:
            model: The compiled model that is about to be trained.

        Returns:
            Number of epochs that are done; 0 if there is no state.

        Raises:
            ValueError: If there are states and none can be read.
        """
        states = self.states()
        num_epochs = self.about.get("finished", np.inf)
        for state in reversed(states):
            try:
                # Keras loads some damaged files without an error.
                found = zlib.crc32(state.read_bytes())
                if self.about["checksums"][state.name] != found:
                    raise OSError("its content has changed")
                model.load_weights(state)
            except Exception as error:  # HDF5 and Keras raise a dozen kinds
                print_text(
                    f"The backup {str(state)!r} cannot be read ({str(error)[:200]}) "
                    "and is passed over."
                )
                continue
            number = int(state.name[:6])
            self.is_finished = number > num_epochs
            return min(number, num_epochs)
        if states:
            raise ValueError(
                f"No state in {str(self.folder)!r} can be read. Remove "
                f"{[state.name for state in states]}."
            )
        return 0

    def prepare(self, callbacks):
        """Tells Keras' callbacks of the epochs before a resume.

        Args:
            callbacks: List of Keras callbacks, changed in place.
        """
        before = self.about["epochs"]
        for each in callbacks:
            if isinstance(each, keras.callbacks.CSVLogger):
                each.append = True
            if isinstance(each, keras.callbacks.EarlyStopping):
                print_text("EarlyStopping knows no epoch before this resume.")
            if not isinstance(each, keras.callbacks.ModelCheckpoint):
                continue
            # A name such as {epoch}.keras stands for several files.
            if glob.glob(re.sub("{.*?}", "*", glob.escape(each.filepath))):
                values = [logs[each.monitor] for logs in before if each.monitor in logs]
                better = max if each.mode == "max" else min
                each.best = better(values, default=each.best)

    def on_epoch_end(self, epoch, logs=None):
        # No copy, because callbacks that come later may add to this dict.
        self.about["epochs"][epoch:] = [logs]
        self.save(epoch + 1)

    def finish(self, num_epochs):
        """Saves what `fit` ended with, such as the best weights of `EarlyStopping`.

        Args:
            num_epochs: Number of epochs that were trained, before a resume too.
        """
        self.about["finished"] = num_epochs
        self.save(num_epochs + 1)

    def save(self, number):
        """Writes a state and the note, and removes all but the last two states.

        Args:
            number: Number of epochs done, for the file's name.
        """
        path = self.folder / f"{number:06d}.weights.h5"
        try:
            self.model.save_weights(path)
            self.about["checksums"][path.name] = zlib.crc32(path.read_bytes())
            write_text(
                self.note,
                json.dumps(
                    self.about, default=lambda value: np.asarray(value, float).tolist()
                ),
            )
        except (OSError, TypeError) as error:  # TypeError: a metric that is no number
            print_text(
                f"Epoch {number} has no backup ({error}), and the training goes on."
            )
        with contextlib.suppress(OSError):  # one in use on Windows is removed later
            for old in self.states()[:-2]:
                old.unlink()

    def complete(self, history, num_before):
        """Puts the metrics of the epochs before a resume into a `History`.

        Args:
            history: `keras.callbacks.History` of the epochs since, changed in place.
            num_before: Number of epochs before the resume.
        """
        before = self.about["epochs"][:num_before]
        for name in {*history.history}.union(*before):
            values = [logs.get(name, np.nan) for logs in before]
            history.history[name] = values + history.history.get(name, [])
        history.epoch = [*range(num_before), *history.epoch]

    def remove(self):
        """Removes what was written, and the folder if it was made and is empty."""
        try:
            unfinished = [  # temporary files of `write_file`, left by a kill
                *self.folder.glob(f"{STATES}.{'[0-9a-f]' * 32}.tmp"),
                *self.folder.glob(f"{self.note.name}.{'[0-9a-f]' * 32}.tmp"),
            ]
            for path in (*self.states(), *unfinished, self.note):
                path.unlink()
            if self.about["made_folder"] and not any(self.folder.iterdir()):
                self.folder.rmdir()
        except OSError as error:
            print_text(f"The training is complete, its backup is left ({error}).")
