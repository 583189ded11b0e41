"""A conditional VAE that is told the genre once and does not listen: what notebook 04 begins with."""

import keras
from keras import layers

from cvae_music.models.conditional import ConditionalVAE
from cvae_music.models.networks import block, build_encoder


def build_concatenating_decoder(shape, global_dim, local_dim, width, depth, num_genres):
    """Latent and genre to clip: the label is appended to the latent at the entrance, and every layer after may forget it.

    Returns:
        A `keras.Model` from `[latent, genre_weights]`, shapes `(batch, latent_dim)` and `(batch, num_genres)`, to scaled
        log-mel `(batch, num_frames, n_mels)`.
    """
    num_slots = shape[0] // 16
    latent = keras.Input((global_dim + num_slots * local_dim,), name="latent")
    genre = keras.Input((num_genres,), name="genre_weights")
    x = layers.Dense(96, activation="gelu", name="entrance")(
        layers.Concatenate()([latent, genre])
    )
    x = layers.Reshape((num_slots * 2, width))(
        layers.Dense(num_slots * 2 * width, name="half_beats")(x)
    )
    for index in range(depth):
        x = block(x, f"half_{index}")
    x = layers.Reshape((num_slots * 4, width - 32))(
        layers.Dense(2 * (width - 32), name="quarter")(x)
    )
    for index in range(2):
        x = block(x, f"quarter_{index}")
    x = layers.Reshape(shape)(layers.Dense(4 * shape[1], name="patch")(x))
    for index in range(2):
        x = block(x, f"frame_{index}")
    return keras.Model(
        [latent, genre],
        layers.Dense(shape[1], dtype="float32", name="log_mel")(x),
        name="decoder",
    )


class ConcatCVAE(ConditionalVAE):
    """Conditional VAE with nothing that makes it listen: the label enters once, and a cheap latent may hold the genre too."""

    def __init__(
        self,
        audio_config=None,
        genres=(),
        kl=0.1,
        discrepancy_weight=0.0,
        swap_weight=0.0,
        **kwargs,
    ):
        super().__init__(
            audio_config, genres, discrepancy_weight, swap_weight, kl=kl, **kwargs
        )

    def build_networks(self, *sizes):
        return build_encoder(*sizes, outputs_per_latent=2), build_concatenating_decoder(
            *sizes, self.num_genres
        )
