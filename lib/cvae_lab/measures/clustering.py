"""Clustering of clips by genre: k-means, Gaussian mixtures, neighbours, intervals.

Clusters and neighbours are those of training clips, scores those of test clips.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import librosa
import numpy as np
import pandas as pd
import sklearn
from numpy.typing import ArrayLike
from sklearn.cluster import KMeans
from sklearn.metrics import (
    adjusted_rand_score,
    normalized_mutual_info_score,
    silhouette_samples,
)
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from cvae_lab.judges.descriptors import NUM_MFCC, mean_and_spread
from cvae_lab.measures.scores import in_pieces, in_turn, matrix


def mfcc_statistics(log_mel_db: ArrayLike) -> np.ndarray:
    """Computes mean and standard deviation over time of 20 MFCCs.

    Args:
        log_mel_db: Shape `(num_clips, num_frames, n_mels)`, dB.

    Returns:
        Array of shape `(num_clips, 40)`.

    Source: Tzanetakis and Cook (2002), "Musical genre classification of audio signals";
    `librosa.feature.mfcc`.

    Example:
        >>> mfcc_statistics(np.zeros((2, 8, 32))).shape
        (2, 40)
    """
    bands_first = np.asarray(log_mel_db, np.float32).transpose(0, 2, 1)
    mfcc = librosa.feature.mfcc(S=bands_first, n_mfcc=NUM_MFCC)
    return mean_and_spread(mfcc.transpose(0, 2, 1))


def baseline_points(
    train_db: ArrayLike, test_db: ArrayLike, num_components: int = 32
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Computes the raw features that a latent space has to beat.

    Args:
        train_db: Log-mel of training clips, dB, shape `(num_clips, num_frames,
            n_mels)`.
        test_db: The same of test clips.
        num_components: Principal components of the whole spectrogram.

    Returns:
        Dictionary name -> `(train_points, test_points)`: `"log-mel statistics"` and
        `"MFCC statistics"`, standardised on the training clips, and `"PCA"`.

    Example:
        >>> clips = np.random.default_rng(0).standard_normal((6, 8, 32))
        >>> train_points, test_points = baseline_points(clips, clips, 4)["PCA"]
        >>> train_points.shape
        (6, 4)
    """
    points = {}
    statistics = {
        "log-mel statistics": mean_and_spread,
        "MFCC statistics": mfcc_statistics,
    }
    for name, describe in statistics.items():
        train = in_pieces(describe, train_db)
        test = in_pieces(describe, test_db)
        scaler = StandardScaler().fit(train)
        points[name] = (scaler.transform(train), scaler.transform(test))
    project = principal_components(train_db, num_components)
    points["PCA"] = (in_pieces(project, train_db), in_pieces(project, test_db))
    return points


def principal_components(clips: Any, num_components: int) -> Callable:
    """Computes principal components of clips that may be larger than memory.

    Args:
        clips: Array, shape `(num_clips, ...)`, in memory or on disk.
        num_components: At most so many.

    Returns:
        Function from clips to their components, `(num_clips, num_components)`.

    Source: Halko, Martinsson and Tropp (2011), SIAM Review 53(2), algorithm 4.4.
    """
    mean = sum(piece.sum(axis=0) for piece in in_turn(clips)).ravel() / len(clips)

    def centred(piece):
        return np.asarray(piece, np.float32).reshape(len(piece), -1) - mean

    def times_covariance(basis):
        total = 0.0
        for piece in in_turn(clips):
            flat = centred(piece)
            total += flat.T @ (flat @ basis)
        return total

    size = min(num_components, len(clips), len(mean))
    shape = (len(mean), min(size + 10, len(mean)))
    basis = np.random.default_rng(0).standard_normal(shape, np.float32)
    for _ in range(8):  # each reading of the clips brings the subspace closer
        basis = np.linalg.qr(times_covariance(basis))[0]
    _, vectors = np.linalg.eigh(basis.T @ times_covariance(basis))
    basis = basis @ vectors[:, ::-1][:, :size]
    return lambda clips: centred(clips) @ basis


def check_alignment(
    encode: Callable,
    clips: Any,
    points: ArrayLike,
) -> None:
    """Checks for eight rows that `points[k]` is what `encode` returns for `clips[k]`.

    A score against labels means nothing once rows have been sorted, shuffled or dropped
    on one side only.

    Args:
        encode: Function from clips to points.
        clips: Array with a row for each clip.
        points: Array with a row for each clip.

    Raises:
        ValueError: If the numbers of rows differ, or a point belongs to another clip.

    Example:
        >>> clips = np.arange(4.0)[:, None]
        >>> check_alignment(lambda x: 2 * x, clips, 2 * clips)
    """
    points = np.asarray(points)
    if len(clips) != len(points):
        raise ValueError(
            f"got {len(clips)} clips and {len(points)} points; expected one point for "
            "each clip."
        )
    rows = np.sort(np.random.default_rng(0).permutation(len(clips))[:8])
    made = np.asarray(encode(np.asarray(clips)[rows]))
    tolerance = 1e-2 * (np.std(points) + 1e-9)
    wrong = rows[np.abs(made - points[rows]).max(axis=1) > tolerance]
    if len(wrong):
        raise ValueError(
            f"rows {wrong.tolist()} of the points belong to other clips. Encode the "
            "clips in their order."
        )


def cluster_scores(
    points: ArrayLike,
    labels: ArrayLike,
    held_points: ArrayLike,
    held_labels: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    num_boots: int = 200,
) -> pd.DataFrame:
    """Scores clusters and neighbours against the genres of held-out clips.

    There are as many clusters as genres, and 15 neighbours vote. The interval holds the
    middle 95 % of scores over resampled test clips; the clusters stay as they are.

    Args:
        points: Latents or features of training clips, shape `(num_clips, dimensions)`.
        labels: Their genres; used by the neighbours alone.
        held_points: The same of test clips.
        held_labels: Their genres.
        groups: Track or artist of each test clip: clips of a group are resampled
            together. None: each is its own group.
        num_boots: Resamples.

    Returns:
        DataFrame with the columns `score`, `low`, `high` and the rows `kmeans_ari`,
        `kmeans_nmi`, `gmm_ari`, `gmm_nmi`, `silhouette` (of the genres; NaN where each
        has one test clip, or there is one genre) and `knn_accuracy`.

    Raises:
        ValueError: If there is not one label for each point.

    Source: Hubert and Arabie (1985) for ARI, Rousseeuw (1987) for the silhouette, Efron
    (1979) for the interval; all scores by scikit-learn.

    Example:
        >>> points, labels = [[0.0], [0.1], [9.0], [9.1]], [0, 0, 1, 1]
        >>> table = cluster_scores(points, labels, points, labels)
        >>> float(table.loc["kmeans_ari", "score"])
        1.0
    """
    points = matrix(points, "points")
    held_points = matrix(held_points, "held_points")
    labels = np.asarray(labels)
    held_labels = np.asarray(held_labels)
    if (len(points), len(held_points)) != (len(labels), len(held_labels)):
        raise ValueError(
            f"got {len(points)} and {len(held_points)} points, {len(labels)} and "
            f"{len(held_labels)} labels; expected one label a point. Take both from "
            "the same rows of the features."
        )
    number = len(np.unique(labels))
    # Full covariances of many dimensions would need more clips than there are.
    mixture = GaussianMixture(
        number, covariance_type="diag", reg_covar=1e-3, n_init=5, random_state=0
    )
    kmeans = KMeans(number, n_init=10, random_state=0)
    clusters = {
        "kmeans": kmeans.fit(points).predict(held_points),
        "gmm": mixture.fit(points).predict(held_points),
    }
    voters = KNeighborsClassifier(min(15, len(points))).fit(points, labels)
    right = voters.predict(held_points) == held_labels
    silhouette = np.full(len(held_labels), np.nan)
    if 2 <= len(np.unique(held_labels)) < len(held_labels):
        with sklearn.config_context(working_memory=64):  # MiB
            silhouette = silhouette_samples(held_points, held_labels)

    def scores_of(rows):
        genres = held_labels[rows]
        found = {}
        for name, indices in clusters.items():
            found[f"{name}_ari"] = adjusted_rand_score(genres, indices[rows])
            found[f"{name}_nmi"] = normalized_mutual_info_score(genres, indices[rows])
        found["silhouette"] = silhouette[rows].mean()
        found["knn_accuracy"] = right[rows].mean()
        return found

    clips = np.arange(len(held_labels))
    if groups is None:
        groups = clips
    names, member = np.unique(np.asarray(groups), return_inverse=True)
    members = [np.flatnonzero(member == index) for index in range(len(names))]
    rng = np.random.default_rng(0)
    resampled = []
    for _ in range(num_boots):
        chosen = rng.integers(0, len(names), len(names))
        rows = np.concatenate([members[index] for index in chosen])
        resampled.append(scores_of(rows))
    boots = pd.DataFrame(resampled)
    return pd.DataFrame(
        {
            "score": pd.Series(scores_of(clips)),
            "low": boots.quantile(0.025),
            "high": boots.quantile(0.975),
        }
    )
