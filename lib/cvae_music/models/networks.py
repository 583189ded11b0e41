"""Encoder and decoders: functional networks over time.

Time is the axis of the convolutions, mel bands are channels. Encoder and decoder work
on tokens of a few frames: a quarter of a beat (4 frames) near the spectrogram, half a
beat (8 frames) further in. Most of the work is then matrix products over 16 or 32
tokens. Shapes in comments are those of the default `AudioConfig` and `width=208`.
Notebook 02 writes encoder and decoder, 04 the conditional decoder.
"""

import keras
from keras import layers, ops

SLOT_FRAMES = 16  # frames of one local latent vector: a beat, on the beat grid
# Arguments of every `build_networks`: shape, global_dim, local_dim, width, depth.
Sizes = tuple[tuple[int, int], int, int, int, int]


def block(x, name, condition=None):
    """Adds a residual block of a convolution and a dense layer, modulated if asked.

    Args:
        x: Float tensor, shape `(batch, tokens, channels)`.
        name: Prefix of the names of its layers.
        condition: Float tensor, shape `(batch, size)`, from which a scale and a shift
            of each channel are computed (FiLM); None for a block without
            modulation.

    Returns:
        Float tensor, shape `(batch, tokens, channels)`.

    Source: FiLM, feature-wise linear modulation, Perez et al. (2018), arXiv:1709.07871.

    Example:
        >>> tokens = keras.Input((32, 8))
        >>> block(tokens, "first", condition=keras.Input((4,))).shape
        (None, 32, 8)
    """
    width = x.shape[-1]
    h = layers.LayerNormalization(epsilon=1e-3, name=f"{name}_norm")(x)
    if condition is not None:
        # Zeros: every block begins as one without a condition.
        film = layers.Dense(2 * width, kernel_initializer="zeros", name=f"{name}_film")
        scale, shift = ops.split(film(condition)[:, None, :], 2, axis=-1)
        h = h * (1.0 + scale) + shift  # one scale and shift a channel, for all tokens
    h = layers.Conv1D(width, 3, padding="same", activation="gelu", name=f"{name}_conv")(
        h
    )
    # Small: every block begins close to the identity.
    small = keras.initializers.RandomNormal(stddev=0.01)
    h = layers.Dense(width, kernel_initializer=small, name=f"{name}_out")(h)
    return x + h


def build_encoder(shape, global_dim, local_dim, width, depth, outputs_per_latent=1):
    """Builds the network from a clip to its latent, or to its posterior's parameters.

    Args:
        shape: `(num_frames, n_mels)`; `num_frames` a multiple of 16.
        global_dim: Latent dimensions that describe the whole clip.
        local_dim: Latent dimensions of each slot of 16 frames, a beat on the beat grid.
        width: Channels of the tokens of half a beat, more than 32; those of a quarter
            have 32 fewer.
        depth: Residual blocks on the tokens of half a beat.
        outputs_per_latent: 1 for a plain autoencoder, 2 for mean and log-variance.

    Returns:
        A `keras.Model` from `(batch, num_frames, n_mels)` to
        `(batch, outputs_per_latent * latent_dim)`, all means before all log-variances.
        `latent_dim` is `global_dim + num_frames // 16 * local_dim`; the global
        dimensions come first, then those of each slot in the order of time.

    Example:
        >>> encoder = build_encoder((128, 16), 4, 2, width=40, depth=1)
        >>> encoder.output_shape
        (None, 20)
    """
    clip = keras.Input(shape, name="log_mel")  # (batch, 128, 128)
    x = layers.Conv1D(width - 32, 4, strides=4, name="patch")(clip)  # (batch, 32, 176)
    x = block(x, "quarter")
    x = layers.Conv1D(width, 2, strides=2, name="half_beat")(x)  # (batch, 16, 208)
    for index in range(depth):
        x = block(x, f"half_{index}")
    x = layers.LayerNormalization(epsilon=1e-3, name="norm")(x)
    beats = layers.Conv1D(128, 2, strides=2, activation="gelu", name="beat")(x)
    whole = layers.Dense(32, name="narrow")(beats)  # (batch, 8, 32)
    whole = layers.Flatten(name="whole")(whole)
    whole = layers.Dense(128, activation="gelu", name="summary")(whole)
    parts = []
    for index in range(outputs_per_latent):
        parts.append(layers.Dense(global_dim, name=f"global_{index}")(whole))
        if local_dim:
            local = layers.Dense(local_dim, name=f"local_{index}")(beats)
            parts.append(layers.Flatten()(local))
    return keras.Model(
        clip, layers.Concatenate(name="parameters")(parts), name="encoder"
    )


def decode_layers(description, local, shape, width, depth):
    """Builds the decoder's trunk, from a clip's description and its beats to log-mel.

    The description scales and shifts every block (FiLM), from the first tokens to the
    finest frames, so that each stage depends on it.

    Args:
        description: Float tensor, shape `(batch, size)`: the global latents, and the
            label's embedding if there is one.
        local: Float tensor, shape `(batch, num_slots * local_dim)`, the local latents;
            `num_slots` is `num_frames // 16`. `local_dim` may be 0.
        shape: `(num_frames, n_mels)`.
        width: Channels of the tokens of half a beat, more than 32; those of a quarter
            have 32 fewer.
        depth: Residual blocks on the tokens of half a beat.

    Returns:
        Float tensor, scaled log-mel, shape `(batch, num_frames, n_mels)`.

    Example:
        >>> latent = keras.Input((20,))
        >>> decode_layers(latent[:, :4], latent[:, 4:], (128, 16), 40, 1).shape
        (None, 128, 16)
    """
    num_slots = shape[0] // SLOT_FRAMES
    condition = layers.Dense(128, activation="gelu", name="condition_hidden")(
        description
    )
    condition = layers.Dense(96, activation="gelu", name="condition")(condition)
    x = layers.Dense(num_slots * 32, name="from_whole")(description)
    x = layers.Reshape((num_slots, 32))(x)  # (batch, 8, 32)
    if local.shape[-1]:
        local = layers.Reshape((num_slots, local.shape[-1] // num_slots))(local)
        x = layers.Concatenate(name="beats")([x, local])  # (batch, 8, 40)
    x = layers.Dense(2 * width, name="beat")(x)
    x = layers.Reshape((num_slots * 2, width))(x)  # half beats: (batch, 16, 208)
    for index in range(depth):
        x = block(x, f"half_{index}", condition)
    x = layers.Dense(2 * (width - 32), name="quarter")(x)
    x = layers.Reshape((num_slots * 4, width - 32))(x)  # (batch, 32, 176)
    for index in range(2):
        x = block(x, f"quarter_{index}", condition)
    x = layers.Dense(4 * shape[1], name="patch")(x)
    x = layers.Reshape(shape)(x)  # frames: (batch, 128, 128)
    for index in range(2):
        x = block(x, f"frame_{index}", condition)
    return layers.Dense(shape[1], dtype="float32", name="log_mel")(x)


def build_decoder(shape, global_dim, local_dim, width, depth):
    """Builds the network from a latent to scaled log-mel.

    Args:
        shape: `(num_frames, n_mels)`; `num_frames` a multiple of 16.
        global_dim: Latent dimensions that describe the whole clip.
        local_dim: Latent dimensions of each slot of 16 frames.
        width: Channels of the tokens of half a beat, more than 32; those of a quarter
            have 32 fewer.
        depth: Residual blocks on the tokens of half a beat.

    Returns:
        A `keras.Model` from `(batch, latent_dim)`, laid out as by `build_encoder`, to
        `(batch, num_frames, n_mels)`.

    Example:
        >>> build_decoder((128, 16), 4, 2, width=40, depth=1).input_shape
        (None, 20)
    """
    latent = keras.Input(
        (global_dim + shape[0] // SLOT_FRAMES * local_dim,), name="latent"
    )
    whole = latent[:, :global_dim]
    log_mel = decode_layers(whole, latent[:, global_dim:], shape, width, depth)
    return keras.Model(latent, log_mel, name="decoder")


def build_conditional_decoder(shape, global_dim, local_dim, width, depth, num_genres):
    """Builds the network from a latent and a genre to scaled log-mel.

    The label's embedding is part of the description that modulates every block.

    Args:
        shape: `(num_frames, n_mels)`; `num_frames` a multiple of 16.
        global_dim: Latent dimensions that describe the whole clip.
        local_dim: Latent dimensions of each slot of 16 frames.
        width: Channels of the tokens of half a beat, more than 32; those of a quarter
            have 32 fewer.
        depth: Residual blocks on the tokens of half a beat.
        num_genres: Number of genres.

    Returns:
        A `keras.Model` from `[latent, genre_weights]`, shapes `(batch, latent_dim)` and
        `(batch, num_genres)`, to `(batch, num_frames, n_mels)`.

    Example:
        >>> decoder = build_conditional_decoder((128, 16), 4, 2, 40, 1, num_genres=3)
        >>> [tensor.shape for tensor in decoder.inputs]
        [(None, 20), (None, 3)]
    """
    latent = keras.Input(
        (global_dim + shape[0] // SLOT_FRAMES * local_dim,), name="latent"
    )
    genre = keras.Input((num_genres,), name="genre_weights")
    # 64 numbers: twice the 32 global latents, so that these do not outweigh the genre.
    embedding = layers.Dense(64, use_bias=False, name="genre_embedding")(genre)
    whole = latent[:, :global_dim]
    description = layers.Concatenate(name="description")([whole, embedding])
    log_mel = decode_layers(description, latent[:, global_dim:], shape, width, depth)
    return keras.Model([latent, genre], log_mel, name="decoder")
