"""A small neural vocoder: how power spreads over frequencies inside mel bands."""

import functools
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from cvae_music import saving
from cvae_music.audio.analysis import TINY, bands_as_curve
from cvae_music.config import AudioConfig

CONTEXT = 16  # frames to each side that the network sees
MUST_FIT = ("sample_rate", "n_fft", "n_mels", "fmin", "fmax", "floor_db")
LOUDEST = 3.0  # nats; bound of log-magnitudes, relative to full scale


@keras.saving.register_keras_serializable(package="cvae_music")
class Vocoder(keras.Model):
    """Predicts log-magnitudes, and their errors, from log-mel frames, in nats.

    A network corrects a curve over frequency that is interpolated from the bands. Its
    blocks are convolutions over time and two dense layers, as in ConvNeXt. The bands
    themselves are known, so the loss (`cvae_lab.presets.train_vocoder`) compares
    magnitudes after some rounds of `inversion.mel_to_linear`, which restore the bands:
    only the spread of power inside each band is learned. A second head predicts the
    error of the first, and passes no gradients back. All is computed in float32, under
    any dtype policy.

    Inputs are `[log_mel_db, curve]`, shapes `(batch, frames, n_mels)` in dB and
    `(batch, frames, n_fft // 2 + 1)` in nats of magnitude. Outputs are
    `(log_magnitude, uncertainty)`, each of the shape of `curve`.

    Args:
        audio_config: `AudioConfig` (or its dict) of the log-mel; saved with the model.
        width: Channels.
        num_blocks: Residual blocks.
        **kwargs: As for `keras.Model`: `name`, `dtype`, `trainable`.

    Source: the blocks are those of Siuzdak (2024), Vocos, arXiv:2306.00814, without
        its phases and its adversary.
    """

    def __init__(
        self,
        audio_config: AudioConfig | dict[str, Any] | None = None,
        width: int = 192,
        num_blocks: int = 4,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{"dtype": "float32", **kwargs})
        if not isinstance(audio_config, AudioConfig):
            audio_config = AudioConfig.from_dict(audio_config or {})
        self.audio_config = audio_config
        self.width = int(width)
        self.num_blocks = int(num_blocks)
        num_bins = audio_config.n_fft // 2 + 1
        self.network = build_network(
            audio_config.n_mels, num_bins, self.width, self.num_blocks
        )
        self.built = True  # its network is; nothing is left for a first call

    def call(self, inputs: Any, training: bool = False) -> tuple[Any, Any]:
        """Returns `(log_magnitude, uncertainty)` of `[log_mel_db, curve]`."""
        log_mel_db, curve = inputs
        # Scaled to about -1.5 to 2, at the default floor and ceiling.
        correction, uncertainty = self.network(
            (log_mel_db + 40.0) / 20.0, training=training
        )
        return curve + correction, uncertainty

    @tf.function(
        reduce_retracing=True,
        autograph=False,
        input_signature=[tf.TensorSpec((1, None, None))] * 2,
    )
    def _graph(self, log_mel_db: Any, curve: Any) -> tuple[Any, Any]:
        return self([log_mel_db, curve])

    def spread(self, mel_power: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Predicts how the power of a loop's bands spreads over frequencies.

        Args:
            mel_power: Float array, shape `(frames, n_mels)`, power. The frames are a
                loop: the last one is followed by the first.

        Returns:
            `(power, uncertainty)`, both float32, shape `(frames, n_fft // 2 + 1)`: a
            start for `inversion.mel_to_linear`, and the expected error of its
            log-magnitude in nats. The error is about 0.5 for noise, whose magnitudes
            cannot be predicted.
        """
        config = self.audio_config
        frames = np.arange(-CONTEXT, len(mel_power) + CONTEXT)
        around = np.take(mel_power, frames, axis=0, mode="wrap")
        level = 10.0 * np.log10(np.maximum(around, TINY))
        level = np.clip(level, config.floor_db, config.ceiling_db).astype(np.float32)
        curve = bands_as_curve(around, config) / 2.0  # the root of power
        log_magnitude, uncertainty = self._graph(level[None], curve[None])
        inner = slice(CONTEXT, -CONTEXT)
        power = np.exp(2.0 * np.minimum(log_magnitude[0, inner], LOUDEST))
        return power, uncertainty[0, inner].numpy()

    def get_config(self) -> dict[str, Any]:
        """Returns the arguments of the constructor."""
        return {
            **super().get_config(),
            "width": self.width,
            "num_blocks": self.num_blocks,
            "audio_config": self.audio_config.get_config(),
        }


def build_network(
    n_mels: int, num_bins: int, width: int, num_blocks: int
) -> keras.Model:
    """Builds the network of `Vocoder`, whose correction is 0 before training.

    Args:
        n_mels: Number of mel bands.
        num_bins: Number of frequencies.
        width: Channels.
        num_blocks: Residual blocks.

    Returns:
        Model from `(batch, frames, n_mels)` to `[correction, uncertainty]`, each
        `(batch, frames, num_bins)`.
    """
    # Layers take their dtype from the global policy unless they are told.
    dense = functools.partial(layers.Dense, dtype="float32")
    norm = functools.partial(layers.LayerNormalization, epsilon=1e-5, dtype="float32")
    bands = keras.Input((None, n_mels), name="bands", dtype="float32")
    x = layers.Conv1D(width, 7, padding="same", dtype="float32")(bands)
    for _ in range(num_blocks):
        h = layers.DepthwiseConv1D(7, padding="same", dtype="float32")(x)
        h = norm()(h)
        h = dense(3 * width, activation="gelu")(h)
        h = dense(width, kernel_initializer="zeros")(h)
        x = layers.Add(dtype="float32")([x, h])
    x = norm()(x)
    correction = dense(num_bins, kernel_initializer="zeros", name="bins")(x)
    h = ops.stop_gradient(x)
    h = dense(width, activation="gelu")(h)
    uncertainty = dense(num_bins, activation="softplus", name="uncertainty")(h)
    return keras.Model(bands, [correction, uncertainty], name="network")


def shipped_vocoder(config: AudioConfig) -> Vocoder | None:
    """Loads the shipped `Vocoder`, if it fits a configuration.

    Args:
        config: `AudioConfig`.

    Returns:
        `Vocoder`; `None` if the sample rate, the window, the bands or the floor are
        not those it was trained on.

    Example:
        >>> shipped_vocoder(AudioConfig(n_mels=64)) is None
        True
    """
    default = AudioConfig()
    if any(getattr(default, name) != getattr(config, name) for name in MUST_FIT):
        return None
    return _from_file(saving.WEIGHTS / "vocoder.npz")


_from_file = functools.lru_cache(maxsize=1)(saving.load_compact)
