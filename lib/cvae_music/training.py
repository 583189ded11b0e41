"""Training that survives a kill, notices a NaN, and ends with averaged weights."""

import keras
import numpy as np
import tensorflow as tf

from cvae_music.pipelines import batches


class _EpochCounter(keras.callbacks.Callback):
    """Tells the data pipeline and every source of noise which epoch it is, also after a resume.

    A backup of Keras holds weights and optimizer but not the state of seed generators: without this a
    resumed training would draw the noise of the first epoch again.
    """

    def __init__(self):
        super().__init__()
        self.epoch = tf.Variable(0, dtype=tf.int64, trainable=False)

    def on_train_begin(self, logs=None):
        parts = [layer for part in self.model.layers for layer in getattr(part, "layers", [part])]
        noises = [self.model.noise, *(part.seed_generator for part in parts if hasattr(part, "seed_generator"))]
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

    def on_train_begin(self, logs=None):
        self.epoch, self.good = 0, self.model.get_weights()

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        # Means over the epoch carry a NaN on, so a look every tenth batch misses none.
        if batch % 10 == 0:
            self._check(logs, f"batch {batch}")

    def on_epoch_end(self, epoch, logs=None):
        self._check(logs, "the end")
        self.good = self.model.get_weights()

    def _check(self, logs, where):
        loss = (logs or {}).get("loss", 0.0)
        if not np.isfinite(loss):
            self.model.set_weights(self.good)
            raise FloatingPointError(
                f"The loss became {loss} in epoch {self.epoch + 1} by {where}. The weights of the last good epoch are "
                "back in the model. Try a lower learning_rate, or look for NaN in the features."
            )


def compile_model(model, steps, learning_rate=1e-3, jit_compile="auto"):
    """Compiles with Adam, a warm-up and a cosine decay over `steps`, and an average over the last steps."""
    warmup = max(1, steps // 10)
    rate = keras.optimizers.schedules.CosineDecay(
        0.05 * learning_rate, max(1, steps - warmup), alpha=0.02, warmup_target=learning_rate, warmup_steps=warmup
    )
    # The average reaches over a tenth of the run, so that a short run does not end half-way to its first weights.
    momentum = max(0.0, min(0.995, 1.0 - 10.0 / max(1, steps)))
    optimizer = keras.optimizers.Adam(rate, global_clipnorm=5.0, use_ema=True, ema_momentum=momentum)
    # Built now: a restored backup finds its moments and averages only in an optimizer that has them.
    optimizer.build(model.trainable_variables)
    model.compile(optimizer=optimizer, jit_compile=jit_compile)


def train(
    model, features, *, epochs, batch_size=32, learning_rate=1e-3, seed=0, backup_dir=None, callbacks=(),
    jit_compile="auto", verbose="auto",
):  # fmt: skip
    """Fits a model to the training split and looks at the validation split after each epoch.

    Args:
        model: `Autoencoder`, `VAE` or `ConditionalVAE`.
        features: `FeatureSet`.
        epochs: Passes over the training split.
        batch_size: Clips in a step.
        learning_rate: Highest learning rate of the schedule.
        seed: Seed of order and augmentation; the model has its own.
        backup_dir: Folder for the state after each epoch. When it holds a state, training goes on
            from there with the same result up to rounding; it is emptied at the end.
        callbacks: More Keras callbacks.
        jit_compile: `True` for XLA: worth its compile time on two cores from a few minutes on.
        verbose: As for `keras.Model.fit`.

    Returns:
        The Keras `History`.

    Raises:
        FloatingPointError: If the loss becomes NaN; the last good weights are back in the model.
        ValueError: If the features have another `AudioConfig` than the model.
    """
    model.audio_config.check_same(features.config, where="The features passed to train")
    counter = _EpochCounter()
    training = batches(features, "train", batch_size, seed=seed, augment=True, epoch=counter.epoch)
    compile_model(model, epochs * int(training.cardinality()), learning_rate, jit_compile)
    held = features.subset("validation")
    validation = batches(features, "validation", min(batch_size, len(held)), drop_remainder=True) if len(held) else None
    guards = [counter, StopOnNaN()]
    if backup_dir is not None:
        guards.append(keras.callbacks.BackupAndRestore(str(backup_dir)))
    return model.fit(
        training, validation_data=validation, epochs=epochs, callbacks=[*guards, *callbacks], verbose=verbose,
        shuffle=False,
    )  # fmt: skip
