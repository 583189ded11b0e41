"""Augmentation for judges: copies of clips without sharpness, level and position."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

NUM_PRINCIPAL_CLIPS = 600
MAX_COMPONENTS = 128
MAX_GAIN_DB = 6.0
MAX_NOISE = 0.1  # scaled units
MAX_BANDS = 2  # how far clips move along mel
BLUR_WIDTHS = (0.0, 0.6, 1.0, 1.6, 2.5, 4.0)  # standard deviations, frames or bands
CLIPS_AT_ONCE = 256


def _blur_bank(size):
    """Makes Gaussian smoothing matrices, `(len(BLUR_WIDTHS), size, size)`."""
    distance = np.subtract.outer(np.arange(size), np.arange(size))
    bank = []
    for width in BLUR_WIDTHS:
        matrix = np.exp(-0.5 * (distance / max(width, 1e-3)) ** 2)
        bank.append(matrix / matrix.sum(axis=1, keepdims=True))
    return np.stack(bank).astype(np.float32)


def _moved_blur_bank(size):
    """Makes matrices that move by up to `MAX_BANDS` and smooth, for the right side.

    Returns:
        Array of shape `(moves, widths, size, size)`.
    """
    moves = np.arange(-MAX_BANDS, MAX_BANDS + 1)
    index = np.clip(np.arange(size) + moves[:, None], 0, size - 1)
    moved = np.eye(size, dtype=np.float32)[index].transpose(0, 2, 1)
    return moved[:, None] @ _blur_bank(size).transpose(0, 2, 1)


class Degrader:
    """Makes copies of clips that keep the genre and lose sharpness, level and position.

    Each copy is turned up or down by up to 6 dB, moved by up to two mel bands and by
    whole beats. A third is rebuilt from a few principal components, the blur of an
    autoencoder; the others are smoothed along time and along mel. Half get noise.

    Args:
        config: `AudioConfig` of the clips.
        clips: Scaled training clips, shape `(num_clips, num_frames, n_mels)`, that the
            components are computed from.
        seed: Seed of all draws.

    Example:
        >>> from cvae_music.config import AudioConfig
        >>> config = AudioConfig(n_mels=16)
        >>> clips = np.random.default_rng(0).uniform(-1, 1, (6, 128, 16))
        >>> Degrader(config, clips)(clips).shape
        (6, 128, 16)
    """

    def __init__(self, config: Any, clips: np.ndarray, seed: int = 0):
        self.config = config
        self.rng = np.random.default_rng(seed)
        self.time_blur = _blur_bank(config.num_frames)
        self.band_blur = _moved_blur_bank(config.n_mels)
        rows = self.rng.permutation(len(clips))[:NUM_PRINCIPAL_CLIPS]
        flat = np.asarray(clips[rows], np.float32).reshape(len(rows), -1)
        self.mean = flat.mean(axis=0)
        centred = flat - self.mean
        # Few clips of many cells: the small Gram matrix has the spectrum of the
        # covariance.
        values, vectors = np.linalg.eigh(centred @ centred.T)
        kept = values > 1e-4 * values[-1]
        components = centred.T @ (vectors[:, kept] / np.sqrt(values[kept]))
        self.components = components.T[::-1][:MAX_COMPONENTS]

    def __call__(self, clips: np.ndarray) -> np.ndarray:
        """Degrades scaled log-mel clips.

        Args:
            clips: Shape `(num_clips, num_frames, n_mels)`.

        Returns:
            A float32 copy.
        """
        clips = np.asarray(clips, np.float32)
        copies = np.empty_like(clips)
        order = self.rng.permutation(len(clips))
        for first in range(0, len(clips), CLIPS_AT_ONCE):
            rows = order[first : first + CLIPS_AT_ONCE]
            key = self.rng.integers(2**31, size=2)
            copies[rows] = self.degrade(tf.constant(clips[rows]), key)
        return copies

    def degrade(self, clips: Any, key: Any) -> Any:
        """Degrades a batch in TensorFlow, without state.

        The first third is rebuilt from components: clips must not be sorted by genre.

        Args:
            clips: Float32 tensor, shape `(num_clips, num_frames, n_mels)`, of known
            size. key: Two whole numbers that fix all draws.

        Returns:
            Float32 tensor of the same shape.
        """
        config = self.config
        num_clips = clips.shape[0]
        num_rebuilt = num_clips // 3
        key = tf.cast(key, tf.int64)

        def key_of(draw):
            # A sum of key and draw would repeat the draws of the neighbouring step.
            return tf.random.experimental.stateless_fold_in(
                key, tf.cast(draw, tf.int64)
            )

        def uniform(draw, low, high, count=num_clips, dtype=tf.float32):
            return tf.random.stateless_uniform([count], key_of(draw), low, high, dtype)

        def whole(draw, low, high, count=num_clips):
            return uniform(draw, low, high, count, tf.int32)

        log_counts = uniform(1, np.log(8), np.log(MAX_COMPONENTS), num_rebuilt)
        rebuilt = self._from_components(clips[:num_rebuilt], log_counts)
        clips = tf.concat([rebuilt, clips[num_rebuilt:]], axis=0)
        beats = whole(0, 0, config.num_beats) * config.frames_per_beat
        frames = (tf.range(config.num_frames) + beats[:, None]) % config.num_frames
        clips = tf.gather(clips, frames, batch_dims=1)

        widths = whole(2, 0, len(BLUR_WIDTHS), num_clips - num_rebuilt)
        smoothed = tf.gather(self.time_blur, widths) @ clips[num_rebuilt:]
        clips = tf.concat([clips[:num_rebuilt], smoothed], axis=0)
        widths = whole(3, 0, len(BLUR_WIDTHS))
        widths = tf.where(tf.range(num_clips) < num_rebuilt, 0, widths)
        moves = whole(4, 0, 2 * MAX_BANDS + 1)
        index = tf.stack([moves, widths], axis=1)
        clips = clips @ tf.gather_nd(self.band_blur, index)

        gain = uniform(5, -MAX_GAIN_DB, MAX_GAIN_DB) / config.db_per_unit
        # No noise for half of the clips.
        strength = tf.maximum(uniform(6, -MAX_NOISE, MAX_NOISE), 0.0)
        noise = tf.random.stateless_normal(tf.shape(clips), key_of(7))
        clips += gain[:, None, None] + strength[:, None, None] * noise
        return tf.clip_by_value(clips, -1.0, 1.0)

    def _from_components(self, clips, log_counts):
        """Rebuilds each clip from its first components, `exp(log_counts)` of them."""
        flat = tf.reshape(clips, (clips.shape[0], self.mean.size))
        weights = (flat - self.mean) @ self.components.T
        counts = tf.cast(tf.exp(log_counts)[:, None], tf.int32)
        kept = tf.range(len(self.components)) < counts
        weights *= tf.cast(kept, tf.float32)
        return tf.reshape(weights @ self.components + self.mean, clips.shape)
