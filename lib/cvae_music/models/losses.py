"""The terms of the loss: likelihood, KL divergence, and what takes the genre out of the latent."""

import math

import keras
import numpy as np
from keras import ops


def gaussian_kl(mean, log_var):
    """KL divergence of each diagonal Gaussian posterior from the unit Gaussian, per dimension.

    Args:
        mean: Float tensor, shape `(batch, latent_dim)`.
        log_var: Float tensor, same shape; natural log of the variance.

    Returns:
        Float tensor, shape `(batch, latent_dim)`, in nats. Sum over the last axis for the usual KL.

    Source: Kingma and Welling (2014), arXiv:1312.6114, appendix B. First used in notebook 03.
    """
    return 0.5 * (ops.square(mean) + ops.exp(log_var) - 1.0 - log_var)


def optimal_variance_nll(distortion, cells):
    """Negative log-likelihood under a Gaussian whose one shared variance is the best for this batch.

    Args:
        distortion: Mean squared error of the batch, a scalar, in squared scaled units.
        cells: Number of values in a clip, `num_frames * n_mels`.

    Returns:
        A scalar, in nats: summed over a clip's cells, averaged over the batch.

    Source: Rybkin, Daniilidis and Levine (2021), "Simple and effective VAE training with calibrated
    decoders", arXiv:2006.13202 (sigma-VAE).
    """
    return 0.5 * cells * (ops.log(2.0 * math.pi * (distortion + 1e-6)) + 1.0)


def multiquadric_kernel(first, second, scales=(0.2, 0.5, 1.0, 2.0, 5.0)):
    """Inverse multiquadric kernel, averaged over `scales`.

    Args:
        first: Float tensor, shape `(..., n, dim)`.
        second: Float tensor, shape `(..., m, dim)`.
        scales: Kernel widths in units of `2 * dim`, the expected squared distance of two draws of
            the unit Gaussian.

    Returns:
        Float tensor, shape `(..., n, m)`, in (0, 1].

    Source: Tolstikhin et al. (2018), "Wasserstein auto-encoders", arXiv:1711.01558.
    """
    squares = (
        ops.sum(ops.square(first), -1)[..., :, None]
        + ops.sum(ops.square(second), -1)[..., None, :]
    )
    distance = ops.maximum(
        squares - 2.0 * ops.matmul(first, ops.swapaxes(second, -1, -2)), 0.0
    )
    widths = [2.0 * first.shape[-1] * scale for scale in scales]
    return sum(width / (width + distance) for width in widths) / len(widths)


def genre_discrepancy(latent, genre_weights, noise):
    """Maximum mean discrepancy between each genre's latents and the prior, averaged over genres.

    It is 0 in the mean when every genre's latents look like the prior: then the latent says nothing
    of the genre, and drawing from the prior gives what the decoder has seen.

    Args:
        latent: Float tensor, shape `(slots, batch, dim)`: several latent vectors a clip, each
            compared on its own.
        genre_weights: One-hot rows, shape `(batch, num_genres)`.
        noise: Draws of the unit Gaussian, shape `(slots, m, dim)`.

    Returns:
        A scalar, the unbiased estimate of the squared discrepancy; may be slightly negative.

    Source: Gretton et al. (2012); used on a VAE's latents by Zhao, Song and Ermon (2017), InfoVAE,
    here taken for each genre by itself.
    """
    count, num_noise = ops.sum(genre_weights, axis=0), noise.shape[-2]
    pairs = multiquadric_kernel(latent, latent) * (1.0 - ops.eye(ops.shape(latent)[-2]))
    within = ops.einsum("snm,ng,mg->sg", pairs, genre_weights, genre_weights)
    within = within / ops.maximum(count * (count - 1.0), 1.0)
    across = ops.einsum("snm,ng->sg", multiquadric_kernel(latent, noise), genre_weights)
    across = across / (ops.maximum(count, 1.0) * num_noise)
    prior = ops.sum(
        multiquadric_kernel(noise, noise) * (1.0 - ops.eye(num_noise)), axis=(-2, -1)
    )
    prior = prior[:, None] / (num_noise * (num_noise - 1.0))
    enough = ops.cast(count >= 2.0, within.dtype)
    total = ops.sum(ops.mean(within + prior - 2.0 * across, axis=0) * enough)
    return total / ops.maximum(ops.sum(enough), 1.0)


def moving_average_matrix(size, width):
    """Matrix of a moving average over `width` neighbours, shape `(size, size)`; fewer at the ends.

    A matrix product is many times faster on a CPU than pooling over one channel.
    """
    distance = np.abs(np.subtract.outer(np.arange(size), np.arange(size)))
    near = (distance <= width / 2).astype(np.float32)
    return near / near.sum(axis=1, keepdims=True)


def contrast_loss(target, rebuilt, width=9, frames=4, bands=8):
    """How far the strength of the detail is from the target's, block by block.

    Detail is what sticks out along the mel axis: the level minus its moving average over `width` bands. A squared error
    alone is smallest when uncertain detail is faded out. This term asks for the right amount of detail in each block
    of `frames` x `bands`, without asking where inside it.

    Args:
        target: Float tensor, shape `(batch, frames, n_mels)`.
        rebuilt: Float tensor, same shape.
        width: Bands in the moving average, odd.
        frames: Frames of a block.
        bands: Bands of a block.

    Returns:
        A scalar: mean squared difference of the standard deviations, in squared scaled units.

    Source: ours, after the global-variance term of Toda and Tokuda (2007) for speech. First used in notebook 02.
    """
    smooth = moving_average_matrix(target.shape[2], width).T
    over_time = moving_average_matrix(target.shape[1], frames)[
        frames // 2 :: frames // 2
    ]
    over_bands = moving_average_matrix(target.shape[2], bands)[
        bands // 2 :: bands // 2
    ].T

    def strength(scaled):
        energy = ops.square(scaled - ops.matmul(scaled, smooth))
        return ops.sqrt(ops.matmul(over_time, ops.matmul(energy, over_bands)) + 1e-5)

    return ops.mean(ops.square(strength(target) - strength(rebuilt)))


def augment_for_critics(scaled, noise):
    """Copies that keep the genre and lose sharpness, level and some of their cells, so that a listener needs many cues.

    Args:
        scaled: Float tensor, shape `(batch, frames, n_mels)`.
        noise: `keras.random.SeedGenerator`.

    Returns:
        Float tensor, same shape: blended with a blurred copy, up to 6 dB louder or softer, with some noise, one
        stretch of up to 0.3 of the time and one of up to 0.4 of the bands at the clip's mean.

    Source: the masks are those of SpecAugment, Park et al. (2019), arXiv:1904.08779.
    """
    each = (ops.shape(scaled)[0], 1, 1)
    blurred = ops.matmul(
        moving_average_matrix(scaled.shape[1], 3),
        ops.matmul(scaled, moving_average_matrix(scaled.shape[2], 7).T),
    )
    share = keras.random.uniform(each, seed=noise)
    gain = keras.random.uniform(each, -0.17, 0.17, seed=noise)
    heard = (
        scaled
        + share * (blurred - scaled)
        + gain
        + keras.random.uniform(ops.shape(scaled), -0.1, 0.1, seed=noise)
    )
    hidden = False
    for axis, longest in ((1, 0.3), (2, 0.4)):
        place = np.linspace(0.0, 1.0, scaled.shape[axis], dtype=np.float32)
        place = place[:, None] if axis == 1 else place
        start = keras.random.uniform(each, -0.5 * longest, 1.0, seed=noise)
        length = keras.random.uniform(each, 0.0, longest, seed=noise)
        hidden |= (place >= start) & (place < start + length)
    return ops.where(hidden, ops.mean(heard, axis=(1, 2), keepdims=True), heard)
