"""A small learned vocoder: what music usually does between the mel bands, as a network from bands to frequencies."""

import functools

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from cvae_music import saving
from cvae_music.audio.analysis import TINY, bands_as_curve
from cvae_music.config import AudioConfig

CONTEXT = 16  # frames to each side that the network sees
MUST_FIT = ("sample_rate", "n_fft", "n_mels", "fmin", "fmax", "floor_db")


@keras.saving.register_keras_serializable(package="cvae_music")
class Vocoder(keras.Model):
    """Log-mel bands to the magnitude of every frequency and how uncertain it is, frame after frame.

    A stack of convolutions over time (depthwise, then two dense layers, as in ConvNeXt) corrects a curve drawn
    through the bands. What the bands say is known, so the loss (`cvae_lab.presets.train_vocoder`) looks at the magnitudes
    after rounds of the update that makes them agree with the bands (`inversion.mel_to_linear`): the network decides
    only how the power of a band spreads over the frequencies inside it. A second head learns how far from the truth the
    answer will be; it looks at the layers of the first without changing them. All in float32, under any dtype policy.

    Args:
        audio_config: `AudioConfig` (or its dict) of the log-mel; saved with the model.
        width: Channels.
        num_blocks: Residual blocks.

    Source: the blocks are those of Siuzdak (2024), Vocos, without its phases and its adversary.
    """

    def __init__(self, audio_config=None, width=192, num_blocks=4, **kwargs):
        super().__init__(**{"dtype": "float32", **kwargs})
        config = (
            audio_config
            if isinstance(audio_config, AudioConfig)
            else AudioConfig.from_dict(audio_config or {})
        )
        self.audio_config, self.width, self.num_blocks = (
            config,
            int(width),
            int(num_blocks),
        )
        self.network = build_network(
            config.n_mels, config.n_fft // 2 + 1, self.width, self.num_blocks
        )
        self.built = True

    def call(self, inputs, training=False):
        """Natural logarithm of the magnitudes and its expected error, both `(batch, frames, bins)`, of `[log_mel_db, curve]`."""
        log_mel_db, curve = inputs
        correction, uncertainty = self.network(
            (log_mel_db + 40.0) / 20.0, training=training
        )
        return curve + correction, uncertainty

    @tf.function(
        reduce_retracing=True,
        autograph=False,
        input_signature=[tf.TensorSpec((1, None, None))] * 2,
    )
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
        around = np.take(
            mel_power,
            np.arange(-CONTEXT, len(mel_power) + CONTEXT),
            axis=0,
            mode="wrap",
        )
        level = 10.0 * np.log10(np.maximum(around, TINY))
        level = np.clip(level, config.floor_db, config.ceiling_db).astype(np.float32)
        log_magnitude, uncertainty = self._graph(
            level[None], bands_as_curve(around, config)[None] / 2.0
        )
        power = np.exp(2.0 * np.minimum(log_magnitude[0, CONTEXT:-CONTEXT], 3.0))
        return power, uncertainty[0, CONTEXT:-CONTEXT].numpy()

    def get_config(self):
        own = {
            "width": self.width,
            "num_blocks": self.num_blocks,
            "audio_config": self.audio_config.get_config(),
        }
        return {**super().get_config(), **own}


def build_network(n_mels, num_bins, width, num_blocks):
    """Network from `(batch, frames, n_mels)` to a correction, 0 at first, and its uncertainty: two `(batch, frames, num_bins)`."""
    exact = {"dtype": "float32"}
    bands = keras.Input((None, n_mels), name="bands", **exact)
    x = layers.Conv1D(width, 7, padding="same", name="bands_in", **exact)(bands)
    for number in range(num_blocks):
        h = layers.DepthwiseConv1D(
            7, padding="same", name=f"block_{number}_time", **exact
        )(x)
        h = layers.LayerNormalization(
            epsilon=1e-5, name=f"block_{number}_norm", **exact
        )(h)
        h = layers.Dense(
            3 * width, activation="gelu", name=f"block_{number}_wide", **exact
        )(h)
        h = layers.Dense(
            width, kernel_initializer="zeros", name=f"block_{number}_out", **exact
        )(h)
        x = layers.Add(name=f"block_{number}_add", **exact)([x, h])
    x = layers.LayerNormalization(epsilon=1e-5, name="last_norm", **exact)(x)
    correction = layers.Dense(
        num_bins, kernel_initializer="zeros", name="bins", **exact
    )(x)
    h = layers.Dense(width, activation="gelu", name="uncertainty_wide", **exact)(
        ops.stop_gradient(x)
    )
    uncertainty = layers.Dense(
        num_bins, activation="softplus", name="uncertainty", **exact
    )(h)
    return keras.Model(bands, [correction, uncertainty], name="network")


def shipped_vocoder(config):
    """The shipped `Vocoder` where it fits the features, else None: it knows one set of bands at one sample rate."""
    if any(getattr(AudioConfig(), key) != getattr(config, key) for key in MUST_FIT):
        return None
    return _from_file(saving.WEIGHTS / "vocoder.npz")


_from_file = functools.lru_cache(maxsize=1)(saving.load_compact)
