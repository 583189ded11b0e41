"""A conditional VAE that is given the genre once and ignores it."""

from __future__ import annotations

import keras
from keras import layers

from cvae_music.models.conditional import ConditionalVAE
from cvae_music.models.networks import Sizes, block, build_encoder


def build_concatenating_decoder(
    shape: tuple[int, int],
    global_dim: int,
    local_dim: int,
    width: int,
    depth: int,
    num_genres: int,
) -> keras.Model:
    """Builds a decoder whose first layer alone gets the label.

    The label is appended to the latent. Every later layer may lose it.

    Args:
        shape: `(num_frames, n_mels)`; frames a multiple of 16.
        global_dim: Latent dimensions of the whole clip.
        local_dim: Latent dimensions of each slot of 16 frames.
        width: Channels of the networks, more than 32.
        depth: Residual blocks on the inner tokens.
        num_genres: Number of genres.

    Returns:
        A `keras.Model` from `[latent, genre_weights]`, shapes `(batch, latent_dim)` and
        `(batch, num_genres)`, to scaled log-mel `(batch, num_frames, n_mels)`.

    Example:
        >>> build_concatenating_decoder((32, 16), 4, 2, 40, 1, 3).output_shape
        (None, 32, 16)
    """
    num_slots = shape[0] // 16
    latent = keras.Input((global_dim + num_slots * local_dim,), name="latent")
    genre = keras.Input((num_genres,), name="genre_weights")
    x = layers.Concatenate()([latent, genre])
    x = layers.Dense(96, activation="gelu", name="entrance")(x)
    x = layers.Dense(num_slots * 2 * width, name="half_beats")(x)
    x = layers.Reshape((num_slots * 2, width))(x)
    for index in range(depth):
        x = block(x, f"half_{index}")
    x = layers.Dense(2 * (width - 32), name="quarter")(x)
    x = layers.Reshape((num_slots * 4, width - 32))(x)
    for index in range(2):
        x = block(x, f"quarter_{index}")
    x = layers.Dense(4 * shape[1], name="patch")(x)
    x = layers.Reshape(shape)(x)
    for index in range(2):
        x = block(x, f"frame_{index}")
    x = layers.Dense(shape[1], dtype="float32", name="log_mel")(x)
    return keras.Model([latent, genre], x, name="decoder")


class ConcatCVAE(ConditionalVAE):
    """Conditional VAE that is given its label once.

    The label enters once. The latent is cheap, so it may hold the genre as well.

    Args:
        audio_config: As for `ConditionalVAE`.
        genres: As for `ConditionalVAE`.
        kl: As for `ConditionalVAE`.
        fit_mean_shift: As for `ConditionalVAE`.
        **kwargs: As for `ConditionalVAE`.

    Example:
        >>> from cvae_music.config import AudioConfig
        >>> model = ConcatCVAE(AudioConfig(n_mels=16), ("a", "b"), width=40, depth=1)
        >>> model.fit_mean_shift
        False
    """

    def __init__(
        self,
        audio_config=None,
        genres=(),
        kl=0.1,
        fit_mean_shift=False,
        **kwargs,
    ):
        super().__init__(audio_config, genres, fit_mean_shift, kl=kl, **kwargs)

    def build_networks(self, *sizes: *Sizes):
        """Builds encoder and decoder; `sizes` are the arguments of `build_encoder`."""
        encoder = build_encoder(*sizes[:5], outputs_per_latent=2)
        return encoder, build_concatenating_decoder(*sizes, self.num_genres)
