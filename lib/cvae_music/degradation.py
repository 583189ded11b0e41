"""Copies of clips that lost sharpness, as generated clips do, but not their genre: what judges train on."""

import numpy as np

NUM_PRINCIPAL_CLIPS = 600
MAX_COMPONENTS = 128
BLUR_WIDTHS = (0.0, 0.6, 1.0, 1.6, 2.5, 4.0)  # standard deviations in frames or mel bands


def _blur_bank(size):
    """Row-normalised Gaussian smoothing matrices, shape `(len(BLUR_WIDTHS), size, size)`."""
    distance = np.subtract.outer(np.arange(size), np.arange(size))
    bank = [np.exp(-0.5 * (distance / max(width, 1e-3)) ** 2) for width in BLUR_WIDTHS]
    return np.stack([matrix / matrix.sum(axis=1, keepdims=True) for matrix in bank]).astype(np.float32)


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
        self.banks = _blur_bank(config.num_frames), _blur_bank(config.n_mels)
        chosen = clips[self.rng.permutation(len(clips))[:NUM_PRINCIPAL_CLIPS]]
        flat = chosen.reshape(len(chosen), -1)
        self.mean = flat.mean(axis=0)
        # Few clips of many cells: the small Gram matrix has the same spectrum as the covariance.
        values, vectors = np.linalg.eigh((flat - self.mean) @ (flat - self.mean).T)
        kept = values > 1e-4 * values[-1]
        self.components = ((flat - self.mean).T @ (vectors[:, kept] / np.sqrt(values[kept]))).T[::-1][:MAX_COMPONENTS]

    def __call__(self, clips):
        """Degrades scaled log-mel clips of shape `(num_clips, num_frames, n_mels)`; returns a copy."""
        num_clips, rng, config = len(clips), self.rng, self.config
        kinds = rng.integers(0, 3, num_clips)
        clips = np.array(clips, np.float32)
        rebuilt = kinds == 0
        clips[rebuilt] = self._from_components(clips[rebuilt])

        beats = rng.integers(0, config.num_beats, num_clips)[:, None] * config.frames_per_beat
        bands = rng.integers(-2, 3, num_clips)[:, None]
        frames = (np.arange(config.num_frames) + beats) % config.num_frames
        mels = np.clip(np.arange(config.n_mels) + bands, 0, config.n_mels - 1)
        clips = clips[np.arange(num_clips)[:, None, None], frames[:, :, None], mels[:, None, :]]

        widths = rng.integers(0, len(BLUR_WIDTHS), (2, num_clips)) * ~rebuilt
        clips = self.banks[0][widths[0]] @ clips @ self.banks[1][widths[1]].transpose(0, 2, 1)
        clips += (rng.uniform(-6.0, 6.0, num_clips) / config.db_per_unit).astype(np.float32)[:, None, None]
        noise = (rng.uniform(0.0, 0.1, num_clips) * rng.integers(0, 2, num_clips)).astype(np.float32)
        clips += noise[:, None, None] * rng.standard_normal(clips.shape, dtype=np.float32)
        return np.clip(clips, -1.0, 1.0)

    def _from_components(self, clips):
        weights = (clips.reshape(-1, self.mean.size) - self.mean) @ self.components.T
        counts = np.exp(self.rng.uniform(np.log(8), np.log(MAX_COMPONENTS), len(clips)))
        weights *= np.arange(len(self.components)) < counts[:, None]
        return (weights @ self.components + self.mean).reshape(clips.shape)
