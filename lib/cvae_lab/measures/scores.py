"""The measures of the series: arrays in, plain floats out.

Log-mel clips have the shape `(num_clips, num_frames, n_mels)`.
`scoreboard.evaluate_model` puts the measures of one model into one row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.ndimage import median_filter
from scipy.spatial.distance import cdist, pdist
from scipy.special import logsumexp
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cvae_music.models.losses import gaussian_kl

PIECE = 128  # clips in memory at a time
NUM_DRAWS = 4  # of the latent of each clip in `mutual_information`
MEDIAN_BANDS = 9  # mel bands in the moving median of `sharpness`


def in_turn(clips: Any) -> Iterator[np.ndarray]:
    """Reads clips in pieces of 128: those on disk may be more than memory holds.

    Args:
        clips: Array, shape `(num_clips, ...)`, in memory or on disk.

    Returns:
        Iterator of float32 arrays.
    """
    for start in range(0, len(clips), PIECE):
        yield np.asarray(clips[start : start + PIECE], np.float32)


def in_pieces(describe: Callable, clips: Any) -> np.ndarray:
    """Applies a function to clips piece by piece, and joins the results.

    Args:
        describe: Function from an array of clips to an array with a row for each.
        clips: As for `in_turn`.

    Returns:
        Array with a row for each clip.
    """
    return np.concatenate([describe(piece) for piece in in_turn(clips)])


def matrix(values: ArrayLike, name: str) -> np.ndarray:
    """Converts values to a float64 matrix.

    Args:
        values: Shape `(num_clips, num_dimensions)`.
        name: Name for the message.

    Returns:
        float64 array.

    Raises:
        ValueError: If the values have another number of axes, or are none.
    """
    values = np.asarray(values, np.float64)
    if values.ndim != 2 or not values.size:
        raise ValueError(
            f"{name} has the shape {values.shape}; expected (num_clips, "
            "num_dimensions) with at least one clip."
        )
    return values


def _posterior(mean: ArrayLike, log_var: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    mean = matrix(mean, "mean")
    log_var = matrix(log_var, "log_var")
    if mean.shape != log_var.shape:
        raise ValueError(
            f"mean has the shape {mean.shape}, log_var {log_var.shape}; expected the "
            "same. Pass both from one encode call."
        )
    return mean, log_var


def kl_per_dimension(mean: ArrayLike, log_var: ArrayLike) -> np.ndarray:
    """Computes the KL divergence of each latent dimension from the unit Gaussian.

    Args:
        mean: Posterior means, shape `(num_clips, latent_dim)`.
        log_var: Natural logarithms of the posterior variances, same shape.

    Returns:
        Array of shape `(latent_dim,)` in nats, averaged over clips; its sum is the KL
        of the loss.

    Raises:
        ValueError: If the shapes differ or are not two-dimensional.

    Source: Kingma and Welling (2014), arXiv:1312.6114, appendix B.

    Example:
        >>> kl_per_dimension([[1.0, 0.0], [3.0, 0.0]], np.zeros((2, 2))).tolist()
        [2.5, 0.0]
    """
    return np.mean(np.asarray(gaussian_kl(*_posterior(mean, log_var))), axis=0)


def active_units(mean: ArrayLike) -> int:
    """Counts the latent dimensions whose posterior mean varies over clips.

    Args:
        mean: Posterior means, shape `(num_clips, latent_dim)`.

    Returns:
        Number of active dimensions, those whose mean has a variance above 0.01.

    Raises:
        ValueError: If `mean` is not two-dimensional.

    Source: Burda, Grosse and Salakhutdinov (2016), arXiv:1509.00519, section 5.1.2.

    Example:
        >>> active_units([[0.0, 1.0], [2.0, 1.0]])
        1
    """
    return int(np.sum(np.var(matrix(mean, "mean"), axis=0) > 0.01))


def mutual_information(mean: ArrayLike, log_var: ArrayLike, seed: int = 0) -> float:
    """Estimates the mutual information of clip and latent, in nats.

    Averages log q(z|x) - log q(z) over four draws of z for each clip, with q(z) the
    mixture of the posteriors of the clips passed in. The estimate cannot exceed
    log(num_clips): near that value it says only "at least this much".

    Args:
        mean: Posterior means, shape `(num_clips, latent_dim)`.
        log_var: Natural logarithms of the posterior variances, same shape.
        seed: Seed of the draws.

    Returns:
        Nats, between about 0 and log(num_clips).

    Raises:
        ValueError: If the shapes differ or are not two-dimensional.

    Source: Hoffman and Johnson (2016), "ELBO surgery", NeurIPS workshop; Dieng et al.
    (2019), arXiv:1807.04863, for the estimate.

    Example:
        >>> round(mutual_information([[-50.0], [50.0]], np.zeros((2, 1))), 3)  # log(2)
        0.693
    """
    mean, log_var = _posterior(mean, log_var)
    rng = np.random.default_rng(seed)
    precision = np.exp(-log_var)
    total = 0.0
    # The squared distance of every z to every posterior, as three matrix products.
    offset = np.sum(log_var + mean**2 * precision, axis=1)
    for _ in range(NUM_DRAWS):
        z = mean + np.exp(0.5 * log_var) * rng.standard_normal(mean.shape)
        distance = z**2 @ precision.T - 2.0 * z @ (mean * precision).T + offset
        log_density = -0.5 * distance
        log_mixture = logsumexp(log_density, axis=1) - np.log(len(mean))
        total += np.mean(np.diag(log_density) - log_mixture)
    return float(total / NUM_DRAWS)


def reconstruction_rms_db(real_db: ArrayLike, rebuilt_db: ArrayLike) -> float:
    """Computes the root mean squared error over all cells of all clips, in dB.

    Args:
        real_db: Log-mel clips in dB, shape `(num_clips, num_frames, n_mels)`.
        rebuilt_db: Their reconstructions in dB, same shape.

    Returns:
        Error in dB.

    Raises:
        ValueError: If the shapes differ.

    Example:
        >>> reconstruction_rms_db([[[0.0, 0.0]]], [[[3.0, -3.0]]])
        3.0
    """
    real_db = np.asarray(real_db)
    rebuilt_db = np.asarray(rebuilt_db)
    if real_db.shape != rebuilt_db.shape or not real_db.size:
        raise ValueError(
            f"real_db has the shape {real_db.shape}, rebuilt_db {rebuilt_db.shape}; "
            "expected the same, and not empty."
        )
    return float(np.sqrt(np.mean((real_db - rebuilt_db) ** 2, dtype=np.float64)))


def sharpness(log_mel: ArrayLike) -> float:
    """Measures how strongly harmonic lines and edges stand out, in the input's unit.

    It is the standard deviation along the mel axis after subtracting a moving median
    over nine bands, averaged over frames and clips. The contrast loss and `UnsharpMask`
    fit almost the same quantity, so it is no independent evidence for models trained
    with them.

    Args:
        log_mel: Log-mel, mel bands on the last axis, dB.

    Returns:
        Float, 0 for a spectrum without detail.

    Example:
        >>> sharpness(np.full((1, 2, 16), -20.0))
        0.0
    """
    log_mel = np.asarray(log_mel, np.float32)
    smooth = median_filter(log_mel, MEDIAN_BANDS, mode="nearest", axes=(-1,))
    detail = log_mel - smooth
    return float(np.mean(np.std(detail, axis=-1), dtype=np.float64))


def sharpness_ratio(generated: ArrayLike, real: ArrayLike) -> float:
    """Divides the `sharpness` of generated clips by that of real ones.

    Args:
        generated: Log-mel, mel bands on the last axis, dB.
        real: Log-mel of real clips.

    Returns:
        Ratio; 1 is right, blur is below.

    Raises:
        ValueError: If the real clips have no detail to compare with.

    Example:
        >>> clips = np.eye(16)[None]
        >>> sharpness_ratio(clips, clips)
        1.0
    """
    return over_real_sharpness(sharpness(generated), sharpness(real))


def over_real_sharpness(generated: Any, real: Any) -> float:
    """Computes `sharpness_ratio` of values of `sharpness`, one or several a side."""
    reference = np.mean(real)
    if reference == 0.0:
        raise ValueError(
            "real has sharpness 0 (silent or flat clips); expected clips with sound in "
            "them."
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
    """
    shares = pd.Series(hits).groupby(np.asarray(labels)).mean()
    return float(shares.mean())


def chance(labels: ArrayLike) -> float:
    """Computes the accuracy of always naming the most frequent label.

    Args:
        labels: Genre indices, shape `(num_clips,)`.

    Returns:
        Share between 0 and 1.

    Raises:
        ValueError: If there is no label.

    Example:
        >>> chance([0, 0, 0, 1])
        0.75
    """
    labels = np.asarray(labels)
    if not labels.size:
        raise ValueError("labels is empty; expected at least one genre number.")
    return float(np.unique(labels, return_counts=True)[1].max() / labels.size)


def mean_pairwise_distance(points: ArrayLike, labels: ArrayLike) -> dict[int, float]:
    """Averages the Euclidean distance of pairs of clips of one genre, for each genre.

    Args:
        points: Clips or embeddings, shape `(num_clips, ...)`.
        labels: Genre indices, shape `(num_clips,)`.

    Returns:
        Dictionary genre index -> distance; genres with fewer than two clips are left
        out.

    Raises:
        ValueError: If there is not one label for each clip.

    Example:
        >>> mean_pairwise_distance([[0.0, 0.0], [3.0, 4.0], [9.0, 9.0]], [0, 0, 1])
        {0: 5.0}
    """
    points = np.asarray(points)
    labels = np.asarray(labels)
    if len(points) != len(labels):
        raise ValueError(
            f"got {len(points)} clips and {len(labels)} labels; expected one label a "
            "clip."
        )
    points = points.reshape(len(points), -1)
    genres, counts = np.unique(labels, return_counts=True)
    distances = {}
    for genre in genres[counts > 1]:
        distances[int(genre)] = float(np.mean(pdist(points[labels == genre])))
    return distances


def diversity_ratio(
    generated: ArrayLike,
    generated_labels: ArrayLike,
    real: ArrayLike,
    real_labels: ArrayLike,
) -> float:
    """Divides the spread of generated clips in a genre by that of real ones.

    The ratio is averaged over genres.

    Args:
        generated: Clips or embeddings, shape `(num_generated, ...)`.
        generated_labels: Genre index of each.
        real: What to compare with, shape `(num_real, ...)`.
        real_labels: Genre index of each.

    Returns:
        Ratio; 1 is right, 0 is a model with one clip a genre. NaN if no genre has two
        generated and two differing real clips.

    Example:
        >>> diversity_ratio([[0.0], [2.0]], [0, 0], [[0.0], [4.0]], [0, 0])
        0.5
    """
    made = mean_pairwise_distance(generated, generated_labels)
    reference = mean_pairwise_distance(real, real_labels)
    shared = [genre for genre in made if reference.get(genre, 0.0) > 0.0]
    if not shared:
        return np.nan
    return float(np.mean([made[genre] / reference[genre] for genre in shared]))


def frechet_distance(first: ArrayLike, second: ArrayLike) -> float:
    """Computes the Fréchet distance of two sets of embeddings, taken as Gaussians.

    Small sets give too large a value: compare only at equal numbers of clips.

    Args:
        first: Embeddings, shape `(num_first, dimensions)`.
        second: Embeddings, shape `(num_second, dimensions)`.

    Returns:
        Squared distance, 0 for equal Gaussians.

    Raises:
        ValueError: If the dimensions differ or a set has fewer than two clips.

    Source: Dowson and Landau (1982); Heusel et al. (2017), arXiv:1706.08500.

    Example:
        >>> frechet_distance([[0.0], [2.0]], [[3.0], [5.0]])
        9.0
    """
    first, second = _embedding_pair(first, second)
    first_cov = np.atleast_2d(np.cov(first, rowvar=False))
    second_cov = np.atleast_2d(np.cov(second, rowvar=False))
    # tr sqrt(AB) equals tr sqrt(sqrt(A) B sqrt(A)), which is symmetric: stable where
    # sqrtm is not.
    values, vectors = np.linalg.eigh(first_cov)
    root = (vectors * np.sqrt(np.clip(values, 0.0, None))) @ vectors.T
    eigenvalues = np.linalg.eigvalsh(root @ second_cov @ root)
    overlap = np.sqrt(np.clip(eigenvalues, 0.0, None)).sum()
    shift = first.mean(axis=0) - second.mean(axis=0)
    traces = np.trace(first_cov) + np.trace(second_cov)
    return float(shift @ shift + traces - 2.0 * overlap)


def kernel_distance(generated: ArrayLike, real: ArrayLike) -> float:
    """Computes the kernel audio distance (KAD) of generated clips from real ones.

    It is 100 times the unbiased estimate of the squared maximum mean discrepancy. The
    kernel is Gaussian; its bandwidth is the median distance between two real clips, so
    the unit of the embedding does not matter. Unlike `frechet_distance`, the value does
    not grow when clips are few; for two samples of one distribution it scatters around
    0 and may be negative.

    Args:
        generated: Embeddings, shape `(num_generated, dimensions)`.
        real: Embeddings of the reference, shape `(num_real, dimensions)`.

    Returns:
        Distance, at most 200.

    Raises:
        ValueError: If the dimensions differ or a set has fewer than two clips.

    Source: Chung et al. (2025), "KAD: No More FAD!", arXiv:2502.15602; Gretton et al.
    (2012), JMLR 13, for the estimate.

    Example:
        >>> round(kernel_distance([[9.0], [9.0]], [[0.0], [1.0]]), 3)  # far away
        160.653
    """
    generated, real = _embedding_pair(generated, real)
    between_real = pdist(real)
    bandwidth = max(np.median(between_real), 1e-100)  # real clips may be all alike

    def similarity(distances):
        return np.mean(np.exp(-0.5 * (distances / bandwidth) ** 2))

    inside = similarity(pdist(generated)) + similarity(between_real)
    across = similarity(cdist(generated, real))
    return 100.0 * float(inside - 2.0 * across)


def _embedding_pair(
    first: ArrayLike, second: ArrayLike
) -> tuple[np.ndarray, np.ndarray]:
    first = matrix(first, "first")
    second = matrix(second, "second")
    if first.shape[1] != second.shape[1] or min(len(first), len(second)) < 2:
        raise ValueError(
            f"got embeddings of shapes {first.shape} and {second.shape}; expected the "
            "same number of dimensions and at least two clips each. Embed both sets "
            "with the same judge."
        )
    return first, second


def probe_accuracy(
    points: ArrayLike,
    labels: ArrayLike,
    held_points: ArrayLike,
    held_labels: ArrayLike,
) -> float:
    """Measures the accuracy of a logistic regression on held-out points.

    Args:
        points: Float array, shape `(num_clips, dimensions)`, to fit; standardised here.
        labels: Class of each, shape `(num_clips,)`.
        held_points: Points to be classified.
        held_labels: Their classes.

    Returns:
        Accuracy. Chance is `chance(held_labels)`.

    Raises:
        ValueError: If there is not one label for each point.

    Source: linear probes, Alain and Bengio (2016), arXiv:1610.01644.

    Example:
        >>> points = [[0.0], [0.1], [0.9], [1.0]]
        >>> probe_accuracy(points, [0, 0, 1, 1], [[0.8], [0.2]], [1, 0])
        1.0
    """
    regression = LogisticRegression(C=0.1, max_iter=500)
    probe = make_pipeline(StandardScaler(), regression).fit(points, labels)
    return float(probe.score(held_points, held_labels))


def genre_probe(model: Any, features: Any) -> float:
    """Measures how well a linear probe reads the genre off the latent of test clips.

    The probe is fitted to training clips. At chance the latent holds nothing of the
    genre. Above it the genre is there; swap obedience tells whether a `ConditionalVAE`
    uses it from there and not from its label.

    Args:
        model: `Autoencoder`, `VAE` or `ConditionalVAE`.
        features: `FeatureSet`.

    Returns:
        Accuracy.

    Raises:
        ValueError: If the features have another `AudioConfig` or other genres than the
            model.

    Example:
        >>> import pandas as pd
        >>> from cvae_music import VAE, AudioConfig, FeatureSet
        >>> config = AudioConfig(n_mels=16)
        >>> table = pd.DataFrame({"genre": ["jazz", "rock"] * 2})
        >>> table["split"] = ["train", "train", "test", "test"]
        >>> clips = np.array([-70.0, -20.0] * 2)[:, None, None] + np.zeros((128, 16))
        >>> features = FeatureSet(config, ("jazz", "rock"), table, clips, table[:0])
        >>> genre_probe(VAE(config, width=40, depth=1), features)
        1.0
    """
    model.audio_config.check_compatible(features, getattr(model, "genres", ()))

    def encode(clips):
        return model.encode(features.config.scale(clips))[0]

    train = features.subset("train")
    test = features.subset("test")
    points = in_pieces(encode, train.log_mel)
    held_points = in_pieces(encode, test.log_mel)
    return probe_accuracy(points, train.genre_index, held_points, test.genre_index)


def classification_accuracy(
    generated: np.ndarray,
    asked: ArrayLike,
    real: np.ndarray,
    labels: ArrayLike,
    embed: Callable,
) -> float:
    """Measures the accuracy on real clips of a probe fitted to generated clips only.

    It is low if the clips are not of the genre asked for, and also if each genre's
    clips are all alike. Compare it with the same probe fitted to as many real clips.

    Args:
        generated: Generated clips, scaled log-mel.
        asked: Genre asked for, for each.
        real: Real clips the probe is tested on.
        labels: Their genres.
        embed: Function clips -> `(num_clips, dimensions)`, such as `judge.embedding`.

    Returns:
        Accuracy.

    Raises:
        ValueError: If there is not one label for each clip.

    Source: Ravuri and Vinyals (2019), arXiv:1905.10887, with a linear probe in place of
    a deep network.

    Example:
        >>> points = np.array([[0.0], [1.0]])
        >>> classification_accuracy(points, [0, 1], points, [0, 1], lambda x: x)
        1.0
    """
    return probe_accuracy(embed(generated), asked, embed(real), labels)
