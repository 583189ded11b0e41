"""What a model is worth, in numbers: each measure of the series defined once.

Arrays in, plain floats out. Log-mel clips have the shape `(num_clips, num_frames, n_mels)`.
`scoreboard.evaluate_model` puts the measures of one model into one row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.ndimage import median_filter
from scipy.spatial.distance import pdist
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cvae_music.models.losses import gaussian_kl

PIECE = 128  # clips in memory at a time


def in_turn(clips):
    """Clips in pieces of 128, float32: those on disk may be more than memory holds."""
    return (
        np.asarray(clips[k : k + PIECE], np.float32)
        for k in range(0, len(clips), PIECE)
    )


def in_pieces(describe, clips):
    """What `describe` makes of clips `in_turn`, as one array."""
    return np.concatenate([describe(piece) for piece in in_turn(clips)])


def matrix(values, name):
    """The values as float64; raises ValueError unless they are `(num_clips, num_dimensions)`."""
    values = np.asarray(values, np.float64)
    if values.ndim != 2 or not values.size:
        raise ValueError(
            f"{name} has the shape {values.shape}; expected (num_clips, num_dimensions) with at least one clip."
        )
    return values


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
    return np.mean(np.asarray(gaussian_kl(*_posterior(mean, log_var))), axis=0)


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
        log_density = -0.5 * (
            z**2 @ precision.T - 2.0 * z @ (mean * precision).T + offset
        )
        highest = log_density.max(axis=1, keepdims=True)
        log_mixture = highest[:, 0] + np.log(
            np.mean(np.exp(log_density - highest), axis=1)
        )
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
    return over_real_sharpness(sharpness(generated, width), sharpness(real, width))


def over_real_sharpness(generated, real):
    """`sharpness_ratio` of values of `sharpness`, one or several on each side."""
    reference = np.mean(real)
    if reference == 0.0:
        raise ValueError(
            "real has sharpness 0 (silent or flat clips); expected clips with sound in them."
        )
    return float(np.mean(generated) / reference)


def label_obedience(judge: Any, clips: np.ndarray, labels: ArrayLike) -> float:
    """Measures the share of clips that a judge assigns to the genre asked for.

    Shares are averaged over genres. With real clips and their own labels it is the
    judge's balanced accuracy: the ceiling of the others. Chance is one over the number
    of genres, however many clips of each there are.

    Args:
        judge: Object with `predict(clips) -> int array`.
        clips: Scaled log-mel, shape `(num_clips, num_frames, n_mels)`.
        labels: Genre indices asked for, shape `(num_clips,)`.

    Returns:
        Share between 0 and 1.

    Raises:
        ValueError: If there is not one label for each clip.

    Example:
        >>> class Judge:
        ...     def predict(self, clips):
        ...         return clips[:, 0, 0].astype(int)
        >>> label_obedience(Judge(), np.arange(4).reshape(4, 1, 1), [0, 1, 2, 2])
        0.8333333333333334
    """
    labels = np.asarray(labels)
    if len(clips) != len(labels) or labels.ndim != 1 or not len(labels):
        raise ValueError(
            f"got {len(clips)} clips and labels of shape {labels.shape}; expected one "
            "label a clip."
        )
    return balanced_share(np.asarray(judge.predict(clips)) == labels, labels)


def balanced_share(hits: ArrayLike, labels: ArrayLike) -> float:
    """Averages the share of hits over the genres that occur: balanced accuracy.

    Args:
        hits: Whether each clip was classified as intended, shape `(num_clips,)`.
        labels: Genre index intended for each clip, shape `(num_clips,)`.

    Returns:
        Share between 0 and 1.

    Raises:
        ValueError: If there is not one label for each hit.
    """
    hits, labels = np.asarray(hits), np.asarray(labels)
    if hits.shape != labels.shape or labels.ndim != 1 or not len(labels):
        raise ValueError(
            f"got hits of shape {hits.shape}, labels of {labels.shape}; expected one "
            "label a hit."
        )
    return float(np.mean([np.mean(hits[labels == one]) for one in np.unique(labels)]))


def chance(labels):
    """The best score of a judge that never listens: the share of the most frequent label."""
    labels = np.asarray(labels)
    if not labels.size:
        raise ValueError("labels is empty; expected at least one genre number.")
    return float(np.unique(labels, return_counts=True)[1].max() / labels.size)


def mean_pairwise_distance(points, labels):
    """Mean Euclidean distance between two different clips of one genre, for each genre.

    Returns:
        Dictionary genre number -> distance; genres with fewer than two clips are left out.

    Raises:
        ValueError: If there is not one label for each clip.
    """
    points, labels = np.asarray(points), np.asarray(labels)
    if len(points) != len(labels):
        raise ValueError(
            f"got {len(points)} clips and {len(labels)} labels; expected one label a clip."
        )
    points = points.reshape(len(points), -1)
    genres, counts = np.unique(labels, return_counts=True)
    return {
        int(genre): float(np.mean(pdist(points[labels == genre])))
        for genre in genres[counts > 1]
    }


def diversity_ratio(generated, generated_labels, real, real_labels, embed=None):
    """Spread of generated clips inside a genre over that of real clips, averaged over genres.

    Args:
        generated: Clips, shape `(num_generated, ...)`.
        generated_labels: Genre number of each.
        real: Clips to compare with, shape `(num_real, ...)`.
        real_labels: Genre number of each.
        embed: Optional function clips -> `(num_clips, dimensions)`, such as `judge.embedding`;
            without it distances are taken between the clips as they are.

    Returns:
        Ratio; 1 is right, 0 is a model that plays one clip a genre.

    Raises:
        ValueError: If no genre has two generated and two differing real clips.
    """
    if embed is not None:
        generated, real = embed(generated), embed(real)
    made = mean_pairwise_distance(generated, generated_labels)
    reference = mean_pairwise_distance(real, real_labels)
    shared = [genre for genre in made if reference.get(genre, 0.0) > 0.0]
    if not shared:
        raise ValueError(
            "no genre has two generated clips and two different real clips; pass more clips a genre."
        )
    return float(np.mean([made[genre] / reference[genre] for genre in shared]))


def frechet_distance(first, second):
    """Fréchet distance between two sets of embeddings, each taken as a Gaussian.

    Small sets give too large a value: compare only at equal numbers of clips, and state them.

    Args:
        first: Embeddings, shape `(num_first, dimensions)`.
        second: Embeddings, shape `(num_second, dimensions)`.

    Returns:
        Squared distance, 0 for equal Gaussians.

    Raises:
        ValueError: If the dimensions differ or a set has fewer than two clips.

    Source: Dowson and Landau (1982); Heusel et al. (2017), arXiv:1706.08500.
    """
    first, second = _embedding_pair(first, second)
    covariances = [
        np.atleast_2d(np.cov(points, rowvar=False)) for points in (first, second)
    ]
    # tr sqrt(AB) equals tr sqrt(sqrt(A) B sqrt(A)), which is symmetric: stable where sqrtm is not.
    values, vectors = np.linalg.eigh(covariances[0])
    root = (vectors * np.sqrt(np.clip(values, 0.0, None))) @ vectors.T
    overlap = np.sqrt(
        np.clip(np.linalg.eigvalsh(root @ covariances[1] @ root), 0.0, None)
    ).sum()
    shift = first.mean(axis=0) - second.mean(axis=0)
    return float(
        shift @ shift
        + np.trace(covariances[0])
        + np.trace(covariances[1])
        - 2.0 * overlap
    )


def kernel_distance(first, second):
    """Squared maximum mean discrepancy with the kernel (x·y / dimensions + 1)^3, without bias.

    Arguments and errors as `frechet_distance`. Unlike it, the value does not grow when clips are
    few; for two samples of one distribution it scatters around 0 and may be negative.

    Source: Bińkowski et al. (2018), arXiv:1801.01401.
    """
    first, second = _embedding_pair(first, second)

    def kernel(a, b):
        return (a @ b.T / a.shape[1] + 1.0) ** 3

    def mean_off_diagonal(points):
        values = kernel(points, points)
        return (values.sum() - np.trace(values)) / (len(points) * (len(points) - 1))

    return float(
        mean_off_diagonal(first)
        + mean_off_diagonal(second)
        - 2.0 * kernel(first, second).mean()
    )


def _embedding_pair(first, second):
    first, second = matrix(first, "first"), matrix(second, "second")
    if first.shape[1] != second.shape[1] or min(len(first), len(second)) < 2:
        raise ValueError(
            f"got embeddings of shapes {first.shape} and {second.shape}; expected the same number of "
            "dimensions and at least two clips each. Embed both sets with the same judge."
        )
    return first, second


def probe_accuracy(points, labels, held_points, held_labels, strength=0.1):
    """Accuracy on held-out points of a logistic regression on standardised dimensions.

    Args:
        points: Float array, shape `(num_clips, dimensions)`, to learn from.
        labels: Class of each, shape `(num_clips,)`.
        held_points: Points to be named.
        held_labels: Their classes.
        strength: C of the regression: how freely it may fit.

    Returns:
        Share of right names. Chance is `chance(held_labels)`.

    Raises:
        ValueError: If there is not one label for each point.

    Source: linear probes, Alain and Bengio (2016), arXiv:1610.01644.
    """
    for kind, some, names in (
        ("points", points, labels),
        ("held_points", held_points, held_labels),
    ):
        if len(some) != len(names) or not len(names):
            raise ValueError(
                f"got {len(some)} {kind} and {len(names)} labels; expected one label for each, and some."
            )
    probe = make_pipeline(
        StandardScaler(), LogisticRegression(C=strength, max_iter=500)
    )
    return float(
        probe.fit(np.asarray(points), labels).score(
            np.asarray(held_points), held_labels
        )
    )


def genre_probe(model, features):
    """How much of the genre can be read off the latent: accuracy on test clips of a probe of training clips.

    At chance the latent says nothing of the genre. Above it the genre is there; whether a `ConditionalVAE` uses it
    from there and not from its label is what swap obedience tells.

    Args:
        model: `Autoencoder`, `VAE` or `ConditionalVAE`.
        features: `FeatureSet`.

    Returns:
        Share between 0 and 1.

    Raises:
        ValueError: If the features have another `AudioConfig` or other genres than the model.
    """
    model.audio_config.check_compatible(features, getattr(model, "genres", ()))
    data = []
    for split in ("train", "test"):
        part = features.subset(split)
        data += [
            in_pieces(
                lambda clips: model.encode(features.config.scale(clips))[0],
                part.log_mel,
            ),
            part.genre_index,
        ]
    return probe_accuracy(*data)


def classification_accuracy(generated, asked, real, labels, embed):
    """Accuracy on real clips of a probe that has heard generated clips only.

    It is low if the clips are not of the genre asked for, and also if each genre's clips are all alike.
    Compare it with the same probe trained on as many real clips.

    Args:
        generated: Generated clips, scaled log-mel.
        asked: Genre asked for, for each.
        real: Real clips the probe is tested on.
        labels: Their genres.
        embed: Function clips -> `(num_clips, dimensions)`, such as the descriptors of a judge.

    Returns:
        Share between 0 and 1.

    Source: Ravuri and Vinyals (2019), arXiv:1905.10887, with a linear probe in place of a deep network.
    """
    return probe_accuracy(embed(generated), asked, embed(real), labels)
