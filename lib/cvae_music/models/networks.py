"""The encoder, the decoder and the listener: functional networks with time as their axis and mel bands as channels.

All work on tokens of a few frames: a quarter beat (4 frames) near the spectrogram, half a beat
(8 frames) further in. Most of the work is then matrix products over 16 or 32 tokens, which suits two cores.
Written in notebooks 02 (encoder, decoder) and 04 (conditional decoder, listener).
"""

import math

import keras
from keras import layers, ops


@ops.custom_gradient
def gelu(x):
    """The value times the share of a Gaussian that lies below it, and its slope, written by hand: half the work.

    Source: Hendrycks and Gimpel (2016), arXiv:1606.08415.
    """
    below = 0.5 + 0.5 * ops.erf(x * math.sqrt(0.5))
    return (
        x * below,
        lambda upstream: (
            upstream * (below + x * ops.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi))
        ),
    )


def block(x, name, condition=None):
    """Residual block of two layers; with a `condition`, its normalised input is scaled and shifted by it.

    Source: FiLM, feature-wise linear modulation, Perez et al. (2018), arXiv:1709.07871.
    """
    width = x.shape[-1]
    h = layers.LayerNormalization(epsilon=1e-3, name=f"{name}_norm")(x)
    if condition is not None:
        film = layers.Dense(2 * width, kernel_initializer="zeros", name=f"{name}_film")(
            condition
        )
        scale, shift = ops.split(
            film[:, None, :], 2, axis=-1
        )  # one of each for a channel, the same at all tokens
        h = h * (1.0 + scale) + shift
    h = layers.Conv1D(width, 3, padding="same", activation=gelu, name=f"{name}_conv")(h)
    h = layers.Dense(
        width,
        kernel_initializer=keras.initializers.RandomNormal(stddev=0.01),
        name=f"{name}_out",
    )(h)
    return x + h


def build_encoder(shape, global_dim, local_dim, width, depth, outputs_per_latent=1):
    """Clip to its latent, or to the parameters of the latent's distribution.

    Args:
        shape: `(num_frames, n_mels)`; `num_frames` a multiple of 16.
        global_dim: Latent dimensions that describe the whole clip.
        local_dim: Latent dimensions of each slot of 16 frames (a beat on the beat grid).
        width: Channels of the inner tokens.
        depth: Residual blocks on the inner tokens.
        outputs_per_latent: 1 for a plain autoencoder, 2 for mean and log-variance.

    Returns:
        A `keras.Model` from `(batch, num_frames, n_mels)` to `(batch, outputs_per_latent * latent_dim)`,
        `latent_dim = global_dim + num_slots * local_dim`, all means before all log-variances.
    """
    clip = keras.Input(shape, name="log_mel")
    x = block(layers.Conv1D(width - 32, 4, strides=4, name="patch")(clip), "quarter")
    x = layers.Conv1D(width, 2, strides=2, name="half_beat")(x)
    for index in range(depth):
        x = block(x, f"half_{index}")
    x = layers.LayerNormalization(epsilon=1e-3, name="norm")(x)
    beats = layers.Conv1D(128, 2, strides=2, activation=gelu, name="beat")(x)
    whole = layers.Flatten(name="whole")(layers.Dense(32, name="narrow")(beats))
    whole = layers.Dense(128, activation=gelu, name="summary")(whole)
    parts = []
    for index in range(outputs_per_latent):
        parts.append(layers.Dense(global_dim, name=f"global_{index}")(whole))
        if local_dim:
            parts.append(
                layers.Flatten()(layers.Dense(local_dim, name=f"local_{index}")(beats))
            )
    return keras.Model(
        clip, layers.Concatenate(name="parameters")(parts), name="encoder"
    )


def decode_layers(described, local, shape, width, depth):
    """The way from a description of the clip and numbers for each beat to the picture.

    The description scales and shifts every block from the first tokens to the finest frames, so that no stage can do
    without it.

    Args:
        described: Tensor, shape `(batch, anything)`: the global latents, and the label if there is one.
        local: Tensor, shape `(batch, num_slots * local_dim)`.
        shape: `(num_frames, n_mels)`.
        width: Channels of the inner tokens.
        depth: Residual blocks on the inner tokens.

    Returns:
        Tensor, shape `(batch, num_frames, n_mels)`.
    """
    num_slots = shape[0] // 16
    condition = layers.Dense(128, activation=gelu, name="condition_hidden")(described)
    condition = layers.Dense(96, activation=gelu, name="condition")(condition)
    x = layers.Reshape((num_slots, 32))(
        layers.Dense(num_slots * 32, name="from_whole")(described)
    )
    if local.shape[-1]:
        x = layers.Concatenate(name="beats")(
            [x, layers.Reshape((num_slots, local.shape[-1] // num_slots))(local)]
        )
    x = layers.Reshape((num_slots * 2, width))(layers.Dense(2 * width, name="beat")(x))
    for index in range(depth):
        x = block(x, f"half_{index}", condition)
    x = layers.Reshape((num_slots * 4, width - 32))(
        layers.Dense(2 * (width - 32), name="quarter")(x)
    )
    for index in range(2):
        x = block(x, f"quarter_{index}", condition)
    x = layers.Reshape(shape)(layers.Dense(4 * shape[1], name="patch")(x))
    for index in range(2):
        x = block(x, f"frame_{index}", condition)
    return layers.Dense(shape[1], dtype="float32", name="log_mel")(x)


def build_decoder(shape, global_dim, local_dim, width, depth):
    """Latent to clip; arguments as of `build_encoder`.

    Returns:
        A `keras.Model` from `(batch, latent_dim)` to scaled log-mel `(batch, num_frames, n_mels)`.
    """
    latent = keras.Input((global_dim + shape[0] // 16 * local_dim,), name="latent")
    picture = decode_layers(
        latent[:, :global_dim], latent[:, global_dim:], shape, width, depth
    )
    return keras.Model(latent, picture, name="decoder")


def build_conditional_decoder(shape, global_dim, local_dim, width, depth, num_genres):
    """Latent and genre to clip: the label is part of what scales and shifts every block.

    Returns:
        A `keras.Model` from `[latent, genre_weights]`, shapes `(batch, latent_dim)` and `(batch, num_genres)`, to scaled
        log-mel `(batch, num_frames, n_mels)`.
    """
    latent = keras.Input((global_dim + shape[0] // 16 * local_dim,), name="latent")
    genre = keras.Input((num_genres,), name="genre_weights")
    # 64 numbers a genre: twice as many as the global latents, so it is not drowned in them.
    named = layers.Dense(64, use_bias=False, name="genre_embedding")(genre)
    described = layers.Concatenate(name="description")([latent[:, :global_dim], named])
    picture = decode_layers(described, latent[:, global_dim:], shape, width, depth)
    return keras.Model([latent, genre], picture, name="decoder")


def build_classifier(shape, num_genres):
    """Clip to genre logits: small, in one dimension, and deaf to the level of the clip.

    Args:
        shape: `(num_frames, n_mels)`.
        num_genres: Number of genres.

    Returns:
        A `keras.Model` from `(batch, num_frames, n_mels)` to `(batch, num_genres)`.
    """
    clip = keras.Input(shape, name="log_mel")
    x = clip - ops.mean(clip, axis=(1, 2), keepdims=True)
    for width, name in ((64, "onsets"), (96, "quarter_beats"), (96, "half_beats")):
        x = layers.Conv1D(
            width, 4, strides=2, padding="same", activation="relu", name=name
        )(x)
    spread = ops.sqrt(ops.var(x, axis=1) + 1e-3)
    x = layers.Concatenate(name="heard")([ops.mean(x, axis=1), spread])
    x = layers.Dropout(0.3, seed=0, name="dropout")(x)
    return keras.Model(
        clip,
        layers.Dense(num_genres, dtype="float32", name="logits")(x),
        name="listener",
    )
