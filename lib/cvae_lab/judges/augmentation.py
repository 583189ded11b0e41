"""Copies of clips that lost sharpness, as generated clips do, but not their genre: what judges train on."""

import numpy as np
import tensorflow as tf

NUM_PRINCIPAL_CLIPS = 600
MAX_COMPONENTS = 128
MAX_GAIN_DB = 6.0
MAX_NOISE = 0.1
MAX_BANDS = 2  # how far clips move along mel
BLUR_WIDTHS = (
    0.0,
    0.6,
    1.0,
    1.6,
    2.5,
    4.0,
)  # standard deviations in frames or mel bands
CLIPS_AT_ONCE = 256


def _blur_bank(size):
    """Row-normalised Gaussian smoothing matrices, shape `(len(BLUR_WIDTHS), size, size)`."""
    distance = np.subtract.outer(np.arange(size), np.arange(size))
    bank = [np.exp(-0.5 * (distance / max(width, 1e-3)) ** 2) for width in BLUR_WIDTHS]
    return np.stack(
        [matrix / matrix.sum(axis=1, keepdims=True) for matrix in bank]
    ).astype(np.float32)


def _moved_blur_bank(size):
    """The same after a move by up to `MAX_BANDS`, ready to multiply from the right: `(moves, widths, size, size)`."""
    places = np.clip(
        np.arange(size) + np.arange(-MAX_BANDS, MAX_BANDS + 1)[:, None], 0, size - 1
    )
    moves = np.eye(size, dtype=np.float32)[places].transpose(0, 2, 1)
    return moves[:, None] @ _blur_bank(size).transpose(0, 2, 1)


class Degrader:
    """Makes copies of clips that keep the genre and lose sharpness, level and position.

    Each copy is turned up or down by up to 6 dB, moved by up to two mel bands and by whole beats. A
    third is rebuilt from a few principal components, the blur of an autoencoder; the others are
    smoothed along time and along mel by widths of their own. Half are covered in noise.

    Args:
        config: `AudioConfig` of the clips.
        clips: Scaled training clips, shape `(num_clips, num_frames, n_mels)`, that the components
            are computed from.
        seed: Seed of all draws.
    """

    def __init__(self, config, clips, seed=0):
        self.config, self.rng = config, np.random.default_rng(seed)
        self.banks = _blur_bank(config.num_frames), _moved_blur_bank(config.n_mels)
        chosen = np.asarray(
            clips[self.rng.permutation(len(clips))[:NUM_PRINCIPAL_CLIPS]], np.float32
        )
        flat = chosen.reshape(len(chosen), -1)
        self.mean = flat.mean(axis=0)
        # Few clips of many cells: the small Gram matrix has the same spectrum as the covariance.
        values, vectors = np.linalg.eigh((flat - self.mean) @ (flat - self.mean).T)
        kept = values > 1e-4 * values[-1]
        self.components = (
            (flat - self.mean).T @ (vectors[:, kept] / np.sqrt(values[kept]))
        ).T[::-1][:MAX_COMPONENTS]

    def __call__(self, clips):
        """Degrades scaled log-mel clips of shape `(num_clips, num_frames, n_mels)`; returns a float32 copy."""
        clips = np.asarray(clips, np.float32)
        copies, order = np.empty_like(clips), self.rng.permutation(len(clips))
        for first in range(0, len(clips), CLIPS_AT_ONCE):
            rows = order[first : first + CLIPS_AT_ONCE]
            copies[rows] = self.degrade(
                tf.constant(clips[rows]), self.rng.integers(2**31, size=2)
            )
        return copies

    def degrade(self, clips, key):
        """The same in TensorFlow, without state: the first third is rebuilt, so pass clips in any order but by genre.

        Args:
            clips: Float32 tensor, shape `(num_clips, num_frames, n_mels)`, of known size.
            key: Two whole numbers that fix all draws.

        Returns:
            Float32 tensor of the same shape.
        """
        config, num_clips = self.config, clips.shape[0]
        num_rebuilt = num_clips // 3
        key = tf.cast(key, tf.int64)

        def uniform(number, low, high, count=num_clips, dtype=tf.float32):
            return tf.random.stateless_uniform(
                [count], key + [0, number], low, high, dtype
            )

        def whole(number, low, high, count=num_clips):
            return uniform(number, low, high, count, tf.int32)

        beats = whole(0, 0, config.num_beats) * config.frames_per_beat
        frames = (tf.range(config.num_frames) + beats[:, None]) % config.num_frames
        rebuilt = self._from_components(
            clips[:num_rebuilt],
            uniform(1, np.log(8), np.log(MAX_COMPONENTS), num_rebuilt),
        )
        clips = tf.gather(
            tf.concat([rebuilt, clips[num_rebuilt:]], axis=0), frames, batch_dims=1
        )

        along_time = tf.gather(
            self.banks[0], whole(2, 0, len(BLUR_WIDTHS), num_clips - num_rebuilt)
        )
        clips = tf.concat(
            [clips[:num_rebuilt], along_time @ clips[num_rebuilt:]], axis=0
        )
        widths = tf.where(
            tf.range(num_clips) < num_rebuilt, 0, whole(3, 0, len(BLUR_WIDTHS))
        )
        moves = whole(4, 0, 2 * MAX_BANDS + 1)
        clips = clips @ tf.gather_nd(self.banks[1], tf.stack([moves, widths], axis=1))

        gain = uniform(5, -MAX_GAIN_DB, MAX_GAIN_DB) / config.db_per_unit
        noise = tf.maximum(
            uniform(6, -MAX_NOISE, MAX_NOISE), 0.0
        )  # none for half of the clips
        hiss = noise[:, None, None] * tf.random.stateless_normal(
            tf.shape(clips), key + [0, 7]
        )
        return tf.clip_by_value(clips + gain[:, None, None] + hiss, -1.0, 1.0)

    def _from_components(self, clips, log_counts):
        weights = (
            tf.reshape(clips, (clips.shape[0], self.mean.size)) - self.mean
        ) @ self.components.T
        weights *= tf.cast(
            tf.range(len(self.components))
            < tf.cast(tf.exp(log_counts)[:, None], tf.int32),
            tf.float32,
        )
        return tf.reshape(weights @ self.components + self.mean, clips.shape)
