"""How far apart clips are: inside a genre, and one set of clips from another.

`evaluation` offers these measures beside the others.
"""

import numpy as np
from scipy.spatial.distance import pdist


def matrix(values, name):
    """The values as float64; raises ValueError unless they are `(num_clips, num_dimensions)`."""
    values = np.asarray(values, np.float64)
    if values.ndim != 2 or not values.size:
        raise ValueError(
            f"{name} has the shape {values.shape}; expected (num_clips, num_dimensions) with at least one clip."
        )
    return values


def mean_pairwise_distance(points, labels):
    """Mean Euclidean distance between two different clips of one genre, for each genre.

    Returns:
        Dictionary genre number -> distance; genres with fewer than two clips are left out.

    Raises:
        ValueError: If there is not one label for each clip.
    """
    points, labels = np.asarray(points), np.asarray(labels)
    if len(points) != len(labels):
        raise ValueError(f"got {len(points)} clips and {len(labels)} labels; expected one label a clip.")
    points = points.reshape(len(points), -1)
    genres, counts = np.unique(labels, return_counts=True)
    return {int(genre): float(np.mean(pdist(points[labels == genre]))) for genre in genres[counts > 1]}


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
        raise ValueError("no genre has two generated clips and two different real clips; pass more clips a genre.")
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
    covariances = [np.atleast_2d(np.cov(points, rowvar=False)) for points in (first, second)]
    # tr sqrt(AB) equals tr sqrt(sqrt(A) B sqrt(A)), which is symmetric: stable where sqrtm is not.
    values, vectors = np.linalg.eigh(covariances[0])
    root = (vectors * np.sqrt(np.clip(values, 0.0, None))) @ vectors.T
    overlap = np.sqrt(np.clip(np.linalg.eigvalsh(root @ covariances[1] @ root), 0.0, None)).sum()
    shift = first.mean(axis=0) - second.mean(axis=0)
    return float(shift @ shift + np.trace(covariances[0]) + np.trace(covariances[1]) - 2.0 * overlap)


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

    return float(mean_off_diagonal(first) + mean_off_diagonal(second) - 2.0 * kernel(first, second).mean())


def _embedding_pair(first, second):
    first, second = matrix(first, "first"), matrix(second, "second")
    if first.shape[1] != second.shape[1] or min(len(first), len(second)) < 2:
        raise ValueError(
            f"got embeddings of shapes {first.shape} and {second.shape}; expected the same number of "
            "dimensions and at least two clips each. Embed both sets with the same judge."
        )
    return first, second
