"""What a model is worth, in numbers: each measure of the series defined once.

Arrays in, plain floats out. Log-mel clips have the shape `(num_clips, num_frames, n_mels)`.
`scoreboard.evaluate_model` puts the measures of one model into one row.
"""

import numpy as np
from scipy.ndimage import median_filter

from cvae_lab.distances import diversity_ratio, frechet_distance, kernel_distance, matrix, mean_pairwise_distance

__all__ = [
    "active_units",
    "chance",
    "diversity_ratio",
    "frechet_distance",
    "kernel_distance",
    "kl_per_dimension",
    "label_obedience",
    "mean_pairwise_distance",
    "mutual_information",
    "reconstruction_mean_abs_db",
    "reconstruction_rms_db",
    "sharpness",
    "sharpness_ratio",
]


def _posterior(mean, log_var):
    mean, log_var = matrix(mean, "mean"), matrix(log_var, "log_var")
    if mean.shape != log_var.shape:
        raise ValueError(
            f"mean has the shape {mean.shape}, log_var {log_var.shape}; expected the same. Pass both from one encode call."
        )
    return mean, log_var


def _same_clips(first, second, names):
    first, second = np.asarray(first), np.asarray(second)
    if first.shape != second.shape or not first.size:
        raise ValueError(
            f"{names[0]} has the shape {first.shape}, {names[1]} {second.shape}; expected the same, and not empty."
        )
    return first, second


def kl_per_dimension(mean, log_var):
    """KL divergence of the posterior from the unit Gaussian, for each latent dimension.

    Args:
        mean: Posterior means, shape `(num_clips, latent_dim)`.
        log_var: Natural logarithms of the posterior variances, same shape.

    Returns:
        Array of shape `(latent_dim,)` in nats, averaged over clips; its sum is the KL of the loss.

    Raises:
        ValueError: If the shapes differ or are not two-dimensional.

    Source: Kingma and Welling (2014), arXiv:1312.6114, appendix B.
    """
    mean, log_var = _posterior(mean, log_var)
    return 0.5 * np.mean(mean**2 + np.exp(log_var) - 1.0 - log_var, axis=0)


def active_units(mean, threshold=0.01):
    """Counts the latent dimensions whose posterior mean moves from clip to clip.

    Args:
        mean: Posterior means, shape `(num_clips, latent_dim)`.
        threshold: A dimension is active if the variance of its mean over clips exceeds this.

    Returns:
        Number of active dimensions, an int.

    Raises:
        ValueError: If `mean` is not two-dimensional.

    Source: Burda, Grosse and Salakhutdinov (2016), arXiv:1509.00519, section 5.1.2.
    """
    return int(np.sum(np.var(matrix(mean, "mean"), axis=0) > threshold))


def mutual_information(mean, log_var, num_samples=4, seed=0):
    """Estimates how many nats about the clip the latent carries.

    Averages log q(z|x) - log q(z) over draws of z, with q(z) the mixture of the posteriors of the
    clips passed in. The estimate cannot exceed log(num_clips): near that value it says only "at
    least this much".

    Args:
        mean: Posterior means, shape `(num_clips, latent_dim)`.
        log_var: Natural logarithms of the posterior variances, same shape.
        num_samples: Draws of z for each clip.
        seed: Seed of the draws.

    Returns:
        Nats, between about 0 and log(num_clips).

    Raises:
        ValueError: If the shapes differ or are not two-dimensional.

    Source: Hoffman and Johnson (2016), "ELBO surgery", NeurIPS workshop; Dieng et al. (2019),
    arXiv:1807.04863, for the estimate.
    """
    mean, log_var = _posterior(mean, log_var)
    rng, precision, total = np.random.default_rng(seed), np.exp(-log_var), 0.0
    # The squared distance of every z to every posterior, expanded so that it is three matrix products.
    offset = np.sum(log_var + mean**2 * precision, axis=1)
    for _ in range(num_samples):
        z = mean + np.exp(0.5 * log_var) * rng.standard_normal(mean.shape)
        log_density = -0.5 * (z**2 @ precision.T - 2.0 * z @ (mean * precision).T + offset)
        highest = log_density.max(axis=1, keepdims=True)
        log_mixture = highest[:, 0] + np.log(np.mean(np.exp(log_density - highest), axis=1))
        total += np.mean(np.diag(log_density) - log_mixture)
    return float(total / num_samples)


def reconstruction_rms_db(real_db, rebuilt_db):
    """Root of the mean squared error over all cells of all clips, in dB.

    Args:
        real_db: Log-mel clips in dB, shape `(num_clips, num_frames, n_mels)`.
        rebuilt_db: Their reconstructions in dB, same shape.

    Returns:
        Error in dB.

    Raises:
        ValueError: If the shapes differ.
    """
    real_db, rebuilt_db = _same_clips(real_db, rebuilt_db, ("real_db", "rebuilt_db"))
    return float(np.sqrt(np.mean((real_db - rebuilt_db) ** 2, dtype=np.float64)))


def reconstruction_mean_abs_db(real_db, rebuilt_db):
    """Mean absolute error over all cells of all clips, in dB; arguments as `reconstruction_rms_db`."""
    real_db, rebuilt_db = _same_clips(real_db, rebuilt_db, ("real_db", "rebuilt_db"))
    return float(np.mean(np.abs(real_db - rebuilt_db), dtype=np.float64))


def sharpness(log_mel, width=9):
    """How strongly harmonic lines and edges stand out of their surroundings.

    Standard deviation along the mel axis after subtracting a moving median over `width` bands,
    averaged over frames and clips. Same unit as the input (dB for dB).

    Args:
        log_mel: Log-mel, mel bands on the last axis.
        width: Bands in the moving median, odd.

    Returns:
        Float, 0 for a spectrum without detail.
    """
    log_mel = np.asarray(log_mel, np.float32)
    window = (1,) * (log_mel.ndim - 1) + (width,)
    detail = log_mel - median_filter(log_mel, size=window, mode="nearest")
    return float(np.mean(np.std(detail, axis=-1), dtype=np.float64))


def sharpness_ratio(generated, real, width=9):
    """`sharpness` of generated clips over that of real ones; 1 is right, blur is below.

    Raises:
        ValueError: If the real clips have no detail to compare with.
    """
    reference = sharpness(real, width)
    if reference == 0.0:
        raise ValueError("real has sharpness 0 (silent or flat clips); expected clips with sound in them.")
    return sharpness(generated, width) / reference


def label_obedience(judge, clips, labels):
    """Share of clips that a judge assigns to the genre they were asked to be.

    With real clips and their own labels it is the judge's accuracy: the ceiling of the others.

    Args:
        judge: Object with `predict(clips) -> int array`.
        clips: Scaled log-mel, shape `(num_clips, num_frames, n_mels)`.
        labels: Genre numbers asked for, shape `(num_clips,)`.

    Returns:
        Share between 0 and 1.

    Raises:
        ValueError: If there is not one label for each clip.
    """
    labels = np.asarray(labels)
    if len(clips) != len(labels) or labels.ndim != 1 or not len(labels):
        raise ValueError(f"got {len(clips)} clips and labels of shape {labels.shape}; expected one label a clip.")
    return float(np.mean(np.asarray(judge.predict(clips)) == labels))


def chance(labels):
    """The best score of a judge that never listens: the share of the most frequent label."""
    labels = np.asarray(labels)
    if not labels.size:
        raise ValueError("labels is empty; expected at least one genre number.")
    return float(np.unique(labels, return_counts=True)[1].max() / labels.size)
