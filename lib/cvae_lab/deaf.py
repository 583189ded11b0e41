"""A conditional VAE that is told the genre once and does not listen: what notebook 04 begins with."""

import keras
from keras import layers

from cvae_music.models.conditional import ConditionalVAE
from cvae_music.models.networks import build_encoder, decode_layers


def build_concatenating_decoder(shape, global_dim, local_dim, width, depth, num_genres):
    """Latent and genre to clip: the label is appended to the numbers of each beat, and every later layer may forget it.

    Returns:
        A `keras.Model` from `[latent, genre_weights]`, shapes `(batch, latent_dim)` and `(batch, num_genres)`, to scaled
        log-mel `(batch, num_frames, n_mels)`.
    """
    num_slots = shape[0] // 16
    latent = keras.Input((global_dim + num_slots * local_dim,), name="latent")
    genre = keras.Input((num_genres,), name="genre_weights")
    beats = layers.Reshape((num_slots, local_dim))(latent[:, global_dim:])
    beats = layers.Concatenate()([beats, layers.RepeatVector(num_slots)(genre)])
    picture = decode_layers(latent[:, :global_dim], layers.Flatten()(beats), shape, width, depth)
    return keras.Model([latent, genre], picture, name="decoder")


class DeafVAE(ConditionalVAE):
    """Conditional VAE with nothing that makes it listen: the label enters once, no discrepancy, no listeners."""

    def __init__(self, audio_config=None, genres=(), discrepancy_weight=0.0, swap_weight=0.0, **kwargs):
        super().__init__(audio_config, genres, discrepancy_weight, swap_weight, **kwargs)

    def build_networks(self, *sizes):
        return build_encoder(*sizes, outputs_per_latent=2), build_concatenating_decoder(*sizes, self.num_genres)
