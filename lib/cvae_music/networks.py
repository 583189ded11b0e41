"""The encoder and the decoder: functional networks with time as their axis and mel bands as channels.

Both work on tokens of a few frames: a quarter beat (4 frames) near the spectrogram, half a beat
(8 frames) further in. Most of the work is then matrix products over 16 or 32 tokens, which suits two cores.
"""

import keras
from keras import layers, ops

FRAMES_PER_SLOT = 16  # one local latent vector to a beat


def _block(x, name, condition=None):
    """Residual block; with `condition` its normalised input is scaled and shifted (FiLM, Perez et al., 2018)."""
    width = x.shape[-1]
    h = layers.LayerNormalization(epsilon=1e-3, name=f"{name}_norm")(x)
    if condition is not None:
        film = layers.Dense(2 * width, kernel_initializer="zeros", name=f"{name}_film")(condition)
        h = Modulate(name=f"{name}_modulate")([h, film])
    h = layers.Conv1D(width, 3, padding="same", activation="gelu", name=f"{name}_conv")(h)
    h = layers.Dense(width, kernel_initializer=keras.initializers.RandomNormal(stddev=0.01), name=f"{name}_out")(h)
    return layers.Add(name=f"{name}_add")([x, h])


@keras.saving.register_keras_serializable(package="cvae_music")
class Modulate(layers.Layer):
    """`h * (1 + scale) + shift`, with one scale and shift a channel for the whole clip.

    Call with `[h, film]`, shapes `(batch, tokens, width)` and `(batch, 2 * width)`.
    """

    def call(self, inputs):
        h, film = inputs
        scale, shift = ops.split(film[:, None, :], 2, axis=-1)
        return h * (1.0 + scale) + shift


def build_encoder(shape, global_dim, local_dim, width=208, depth=3, outputs_per_latent=2):
    """Clip to the parameters of its latent distribution.

    Args:
        shape: `(num_frames, n_mels)`; `num_frames` a multiple of 16.
        global_dim: Latent dimensions that describe the whole clip.
        local_dim: Latent dimensions of each slot of 16 frames (a beat on the beat grid).
        width: Channels of the inner tokens.
        depth: Residual blocks on the inner tokens.
        outputs_per_latent: 2 for mean and log-variance, 1 for a plain autoencoder.

    Returns:
        A `keras.Model` from `(batch, num_frames, n_mels)` to `(batch, outputs_per_latent * latent_dim)`,
        `latent_dim = global_dim + num_slots * local_dim`, all means before all log-variances.

    Raises:
        ValueError: If `num_frames` is not a multiple of 16.
    """
    num_slots = _num_slots(shape)
    clip = keras.Input(shape, name="log_mel")
    x = layers.Conv1D(width - 32, 4, strides=4, name="patch")(clip)
    x = _block(x, "quarter")
    x = layers.Conv1D(width, 2, strides=2, name="half_beat")(x)
    for index in range(depth):
        x = _block(x, f"half_{index}")
    x = layers.LayerNormalization(epsilon=1e-3, name="norm")(x)
    beats = layers.Conv1D(128, 2, strides=2, activation="gelu", name="beat")(x)
    whole = layers.Flatten(name="whole")(layers.Dense(32, name="narrow")(beats))
    whole = layers.Dense(128, activation="gelu", name="summary")(whole)
    parts = []
    for index in range(outputs_per_latent):
        parts.append(layers.Dense(global_dim, name=f"global_{index}")(whole))
        if local_dim:
            local = layers.Dense(local_dim, name=f"local_{index}")(beats)
            parts.append(layers.Reshape((num_slots * local_dim,), name=f"local_{index}_flat")(local))
    return keras.Model(clip, layers.Concatenate(name="parameters")(parts), name="encoder")


def build_decoder(shape, global_dim, local_dim, width=208, depth=3, num_genres=0):
    """Latent vector, and genre if there is one, to a clip.

    The genre and the global part of the latent scale and shift every block from the first tokens to
    the finest frames, so that no stage can do without them.

    Args:
        shape: `(num_frames, n_mels)`.
        global_dim: As in `build_encoder`.
        local_dim: As in `build_encoder`.
        width: Channels of the inner tokens.
        depth: Residual blocks on the inner tokens.
        num_genres: 0 for a model without a label.

    Returns:
        A `keras.Model` from `(batch, latent_dim)`, or from that and genre weights
        `(batch, num_genres)`, to scaled log-mel `(batch, num_frames, n_mels)`.

    Raises:
        ValueError: If `num_frames` is not a multiple of 16.
    """
    num_slots = _num_slots(shape)
    num_frames, n_mels = shape
    latent = keras.Input((global_dim + num_slots * local_dim,), name="latent")
    inputs, described = [latent], latent[:, :global_dim]
    if num_genres:
        genre = keras.Input((num_genres,), name="genre_weights")
        inputs.append(genre)
        # One row a genre: as many numbers as the rest of the condition, so it is not drowned in them.
        named = layers.Dense(64, use_bias=False, name="genre_embedding")(genre)
        described = layers.Concatenate(name="description")([described, named])
    condition = layers.Dense(128, activation="gelu", name="condition_hidden")(described)
    condition = layers.Dense(96, activation="gelu", name="condition")(condition)

    x = layers.Dense(num_slots * 32, name="from_whole")(described)
    x = layers.Reshape((num_slots, 32), name="whole_beats")(x)
    if local_dim:
        local = layers.Reshape((num_slots, local_dim), name="local")(latent[:, global_dim:])
        x = layers.Concatenate(name="beats")([x, local])
    x = layers.Dense(2 * width, name="beat")(x)
    x = layers.Reshape((num_slots * 2, width), name="half_beats")(x)
    for index in range(depth):
        x = _block(x, f"half_{index}", condition)
    x = layers.Dense(2 * (width - 32), name="quarter")(x)
    x = layers.Reshape((num_slots * 4, width - 32), name="quarter_beats")(x)
    for index in range(2):
        x = _block(x, f"quarter_{index}", condition)
    x = layers.Dense(4 * n_mels, name="patch")(x)
    x = layers.Reshape((num_frames, n_mels), name="frames")(x)
    x = _block(x, "frame_0", condition)
    x = _block(x, "frame_1", condition)
    x = layers.Dense(n_mels, dtype="float32", name="log_mel")(x)
    return keras.Model(inputs, x, name="decoder")


def build_listener(shape, num_genres):
    """Clip to genre logits: small, in one dimension, and deaf to the level of the clip.

    Two of them train beside a `ConditionalVAE` and tell it whether a clip with a changed label sounds like the
    new genre. They are never the judges, which are of another make and see real music only.

    Args:
        shape: `(num_frames, n_mels)`.
        num_genres: Number of genres.

    Returns:
        A `keras.Model` from `(batch, num_frames, n_mels)` to `(batch, num_genres)`.
    """
    clip = keras.Input(shape, name="log_mel")
    x = clip - ops.mean(clip, axis=(1, 2), keepdims=True)
    x = layers.Conv1D(64, 4, strides=2, padding="same", activation="relu", name="onsets")(x)
    x = layers.Conv1D(96, 4, strides=2, padding="same", activation="relu", name="quarter_beats")(x)
    x = layers.Conv1D(96, 4, strides=2, padding="same", activation="relu", name="half_beats")(x)
    spread = ops.sqrt(ops.var(x, axis=1) + 1e-3)
    x = layers.Concatenate(name="heard")([ops.mean(x, axis=1), spread])
    x = layers.Dropout(0.3, seed=0, name="dropout")(x)
    return keras.Model(clip, layers.Dense(num_genres, dtype="float32", name="logits")(x), name="listener")


def _num_slots(shape):
    if shape[0] % FRAMES_PER_SLOT:
        raise ValueError(
            f"The networks got {shape[0]} frames; expected a multiple of {FRAMES_PER_SLOT}. Change num_frames."
        )
    return shape[0] // FRAMES_PER_SLOT
