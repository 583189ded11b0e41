"""The terms of the loss: likelihood, KL divergence, contrast."""

import math
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops


def gaussian_kl(mean, log_var):
    """Computes each dimension's KL divergence from the unit Gaussian, in nats.

    Args:
        mean: Float tensor, shape `(batch, latent_dim)`.
        log_var: Float tensor, same shape; natural logarithm of the variance.

    Returns:
        Float tensor, shape `(batch, latent_dim)`; its sum over the last axis is the KL
        divergence of a diagonal Gaussian.

    Source: Kingma and Welling (2014), arXiv:1312.6114, appendix B. First used in
    notebook 03.

    Example:
        >>> kl = gaussian_kl(np.array([[0.0, 2.0]]), np.zeros((1, 2)))
        >>> ops.convert_to_numpy(kl).tolist()
        [[0.0, 2.0]]
    """
    return 0.5 * (ops.square(mean) + ops.exp(log_var) - 1.0 - log_var)


class DiagonalGaussian(NamedTuple):
    """A posterior of each clip: independent Gaussians, one for each latent dimension.

    It unpacks as `mean, log_var = posterior`.

    Args:
        mean: Float tensor or array, shape `(batch, latent_dim)`.
        log_var: Float tensor or array, same shape; natural logarithm of the variance.

    Example:
        >>> posterior = DiagonalGaussian(ops.zeros((1, 3)), ops.full((1, 3), -20.0))
        >>> bool(ops.max(ops.abs(posterior.sample(seed=0) - posterior.mode())) < 0.01)
        True
    """

    mean: Any
    log_var: Any

    def sample(self, seed=None):
        """Draws a latent of each clip by the reparameterisation trick.

        Args:
            seed: Whole number or `keras.random.SeedGenerator`.

        Returns:
            Float tensor, shape `(batch, latent_dim)`.
        """
        noise = keras.random.normal(ops.shape(self.mean), seed=seed)
        return self.mean + ops.exp(0.5 * self.log_var) * noise

    def mode(self):
        """Returns the most likely latent of each clip, the mean."""
        return self.mean

    def kl(self):
        """Computes `gaussian_kl` of each dimension, shape `(batch, latent_dim)`."""
        return gaussian_kl(self.mean, self.log_var)


def optimal_variance_nll(distortion, num_values):
    """Computes the Gaussian negative log-likelihood at the best variance, in nats.

    One variance is shared by all values of a batch; the best is the mean squared error.

    Args:
        distortion: Mean squared error of the batch, a scalar, in squared scaled units
            (one scaled unit is `AudioConfig.db_per_unit` dB).
        num_values: Number of values in a clip, `num_frames * n_mels`.

    Returns:
        A scalar: summed over the values of a clip, averaged over the batch.

    Source: sigma-VAE, Rybkin, Daniilidis and Levine (2021), arXiv:2006.13202.

    Example:
        >>> round(float(optimal_variance_nll(1.0, 2)), 3)  # log(2 pi) + 1
        2.838
    """
    return 0.5 * num_values * (ops.log(2.0 * math.pi * (distortion + 1e-6)) + 1.0)


def moving_average_matrix(size, width):
    """Builds the matrix whose product with a signal is its moving average.

    A matrix product is many times faster on a CPU than pooling over one channel.

    Args:
        size: Length of the signal.
        width: Number of values in an average, if it is odd; an even one averages
            `width + 1`, since neighbours up to `width / 2` away count. There are fewer
            at the ends.

    Returns:
        Float32 array, shape `(size, size)`; each row sums to 1.

    Example:
        >>> moving_average_matrix(4, 3) @ np.array([3.0, 0.0, 0.0, 6.0], "float32")
        array([1.5, 1. , 2. , 3. ], dtype=float32)
    """
    position = np.arange(size)
    distance = np.abs(position[:, None] - position[None, :])
    near = (distance <= width / 2).astype(np.float32)
    return near / near.sum(axis=1, keepdims=True)


def mel_highpass(log_mel):
    """Subtracts from each level the mean of the nine mel bands around it.

    Args:
        log_mel: Float tensor, shape `(batch, num_frames, n_mels)`, scaled or in dB.

    Returns:
        Float tensor, same shape and unit. Harmonic lines and edges stay; what changes
        slowly over frequency is gone.

    Example:
        >>> float(ops.max(mel_highpass(ops.ones((1, 2, 16)))))
        0.0
    """
    average = moving_average_matrix(log_mel.shape[-1], 9)
    return log_mel - ops.matmul(log_mel, average.T)


def contrast_loss(target, rebuilt):
    """Compares the strength of fine detail in blocks of 5 frames and 9 bands.

    A squared error is smallest where uncertain detail is faded out. This term asks for
    the right amount of detail (`mel_highpass`) in each block, not for its place.

    Args:
        target: Scaled log-mel, float tensor, shape `(batch, num_frames, n_mels)`.
        rebuilt: Float tensor, same shape.

    Returns:
        A scalar: mean squared difference of the standard deviations, in squared scaled
        units.

    Source: ours, after the global-variance term of Toda and Tokuda (2007) for speech.
    First used in notebook 02.

    Example:
        >>> clip = keras.random.normal((1, 16, 16), seed=0)
        >>> float(contrast_loss(clip, clip))
        0.0
    """
    # An even width averages one value more: 5 frames and 9 bands. The steps of 2 and 4
    # are smaller, so the blocks overlap.
    over_time = moving_average_matrix(target.shape[1], 4)[2::2]
    over_bands = moving_average_matrix(target.shape[2], 8)[4::4].T

    def strength(log_mel):
        energy = ops.square(mel_highpass(log_mel))
        return ops.sqrt(ops.matmul(over_time, ops.matmul(energy, over_bands)) + 1e-5)

    return ops.mean(ops.square(strength(target) - strength(rebuilt)))
