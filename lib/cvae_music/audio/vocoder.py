"""A small learned vocoder: what music usually does between the mel bands, as a network from bands to frequencies."""

import functools

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from cvae_music import store
from cvae_music.audio.analysis import TINY, bands_as_curve, bands_to_bins, mel_filters
from cvae_music.config import AudioConfig

CONTEXT = 16  # frames to each side that the network sees
QUIETEST = -90.0  # dB; the loss asks for no detail below
LARGEST_ERROR = 2.0  # nats; the uncertainty looks no further
NAME = "vocoder"
MUST_FIT = ("sample_rate", "n_fft", "n_mels", "fmin", "fmax", "floor_db")


@keras.saving.register_keras_serializable(package="cvae_music")
class Vocoder(keras.Model):
    """Log-mel bands to the magnitude of every frequency and how uncertain it is, frame after frame.

    A stack of convolutions over time (depthwise, then two dense layers, as in ConvNeXt) corrects a curve drawn
    through the bands. What the bands say is known, so the loss looks at the magnitudes after rounds of the
    update that makes them agree with the bands (`inversion.mel_to_linear`): the network decides only how the power
    of a band spreads over the frequencies inside it. A second head learns how far from the truth the answer will be;
    it looks at the layers of the first without changing them.

    Args:
        audio_config: `AudioConfig` (or its dict) of the log-mel; saved with the model.
        width: Channels.
        num_blocks: Residual blocks.
        rounds: Rounds of the update that holds the bands.

    Source: the blocks are those of Siuzdak (2024), Vocos, without its phases and its adversary; the loss is the
        spectral convergence and log-magnitude distance of Arik, Jun and Diamos (2019).
    """

    def __init__(self, audio_config=None, width=192, num_blocks=4, rounds=2, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(audio_config, AudioConfig):
            audio_config = AudioConfig.from_dict(audio_config or {})
        self.audio_config = audio_config
        self.width, self.num_blocks, self.rounds = int(width), int(num_blocks), int(rounds)
        self.network = build_network(audio_config.n_mels, audio_config.n_fft // 2 + 1, self.width, self.num_blocks)
        self.to_bands = tf.constant(mel_filters(audio_config).T)
        self.to_bins = tf.constant(bands_to_bins(audio_config).astype(np.float32))
        self.trackers = {name: keras.metrics.Mean(name=name) for name in ("loss", "log_error_db", "convergence", "surprise")}
        self.built = True

    @property
    def metrics(self):
        return list(self.trackers.values())

    def call(self, inputs, training=False):
        """Natural logarithm of the magnitudes and its expected error, both `(batch, frames, bins)`, of `[log_mel_db, curve]`."""
        log_mel_db, curve = inputs
        correction, uncertainty = self.network((log_mel_db + 40.0) / 20.0, training=training)
        return curve + correction, uncertainty

    def train_step(self, data):
        inputs, magnitude = data
        with tf.GradientTape() as tape:
            log_magnitude, uncertainty = self(inputs, training=True)
            power = self.hold(ops.exp(2.0 * ops.minimum(log_magnitude, 3.0)), inputs[0])
            quietest = 10.0 ** (QUIETEST / 20.0)
            found = ops.sqrt(ops.maximum(power, quietest**2))
            error = ops.abs(ops.log(found) - ops.log(ops.maximum(magnitude, quietest)))
            surprise = ops.mean(ops.square(uncertainty - ops.stop_gradient(ops.minimum(error, LARGEST_ERROR))))
            log_error = ops.mean(error)
            size = ops.sqrt(ops.sum(ops.square(magnitude), axis=(1, 2)))
            convergence = ops.mean(ops.sqrt(ops.sum(ops.square(found - magnitude), axis=(1, 2))) / (size + 1e-3))
            loss = log_error + convergence + surprise
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        log_error_db = 20.0 / np.log(10.0) * log_error
        values = {"loss": loss, "log_error_db": log_error_db, "convergence": convergence, "surprise": surprise}
        for name, tracker in self.trackers.items():
            tracker.update_state(values[name])
        return {name: tracker.result() for name, tracker in self.trackers.items()}

    def hold(self, power, log_mel_db):
        """The power spectra with their bands brought to those given, as in `inversion.mel_to_linear`."""
        wanted = ops.power(10.0, 0.1 * log_mel_db)
        for _ in range(self.rounds):
            power = power * ops.matmul(wanted / ops.maximum(ops.matmul(power, self.to_bands), TINY), self.to_bins)
        return power

    @tf.function(reduce_retracing=True, autograph=False, input_signature=[tf.TensorSpec((1, None, None)), tf.TensorSpec((1, None, None))])
    def _graph(self, log_mel_db, curve):
        return self([log_mel_db, curve])

    def spread(self, mel_power):
        """How the power of a loop's bands, shape `(frames, n_mels)`, spreads over frequencies.

        Returns:
            `(power, uncertainty)`, both float32, shape `(frames, n_fft // 2 + 1)`: a first guess for
            `inversion.mel_to_linear`, and the expected error of the logarithm of its magnitude. Of noise it is 0.5: no
            network can foresee how noise fluctuates.
        """
        config = self.audio_config
        around = np.take(mel_power, np.arange(-CONTEXT, len(mel_power) + CONTEXT), axis=0, mode="wrap")
        level = 10.0 * np.log10(np.maximum(around, TINY))
        level = np.clip(level, config.floor_db, config.ceiling_db).astype(np.float32)
        log_magnitude, uncertainty = self._graph(level[None], bands_as_curve(around, config)[None] / 2.0)
        power = np.exp(2.0 * np.minimum(log_magnitude[0, CONTEXT:-CONTEXT], 3.0))
        return power, uncertainty[0, CONTEXT:-CONTEXT].numpy()

    def get_config(self):
        own = {name: getattr(self, name) for name in ("width", "num_blocks", "rounds")}
        return {**super().get_config(), **own, "audio_config": self.audio_config.get_config()}


def build_network(n_mels, num_bins, width, num_blocks):
    """Network from `(batch, frames, n_mels)` to a correction, 0 at first, and its uncertainty: two `(batch, frames, num_bins)`."""
    bands = keras.Input((None, n_mels), name="bands")
    x = layers.Conv1D(width, 7, padding="same", name="bands_in")(bands)
    for number in range(num_blocks):
        h = layers.DepthwiseConv1D(7, padding="same", name=f"block_{number}_time")(x)
        h = layers.LayerNormalization(epsilon=1e-5, name=f"block_{number}_norm")(h)
        h = layers.Dense(3 * width, activation="gelu", name=f"block_{number}_wide")(h)
        h = layers.Dense(width, kernel_initializer="zeros", name=f"block_{number}_out")(h)
        x = layers.Add(name=f"block_{number}_add")([x, h])
    x = layers.LayerNormalization(epsilon=1e-5, name="last_norm")(x)
    correction = layers.Dense(num_bins, kernel_initializer="zeros", name="bins")(x)
    h = layers.Dense(width, activation="gelu", name="uncertainty_wide")(ops.stop_gradient(x))
    uncertainty = layers.Dense(num_bins, activation="softplus", name="uncertainty")(h)
    return keras.Model(bands, [correction, uncertainty], name="network")


def shipped_vocoder(config):
    """The shipped `Vocoder` where it fits the features, else None: it knows one set of bands at one sample rate."""
    if any(getattr(AudioConfig(), key) != getattr(config, key) for key in MUST_FIT):
        return None
    return _from_file(store.WEIGHTS / "vocoder.npz")


_from_file = functools.lru_cache(maxsize=1)(store.load_compact)
