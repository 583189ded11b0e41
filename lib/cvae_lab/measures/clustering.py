"""Whether clips of a genre lie together: k-means, Gaussian mixtures, neighbours, each with an interval.

Clusters and neighbours are those of training clips, scores those of test clips.
"""

import librosa
import numpy as np
import pandas as pd
import sklearn
from sklearn.cluster import KMeans
from sklearn.metrics import (
    adjusted_rand_score,
    normalized_mutual_info_score,
    silhouette_samples,
)
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from cvae_lab.judges.descriptors import NUM_MFCC
from cvae_lab.measures.scores import in_pieces, in_turn, matrix


def log_mel_statistics(log_mel_db):
    """Mean and standard deviation over time of each mel band: `(num_clips, 2 * n_mels)`, dB."""
    log_mel_db = np.asarray(log_mel_db, np.float32)
    return np.concatenate([log_mel_db.mean(axis=1), log_mel_db.std(axis=1)], axis=1)


def mfcc_statistics(log_mel_db):
    """Mean and standard deviation over time of 20 MFCCs: `(num_clips, 40)`.

    Source: Tzanetakis and Cook (2002), "Musical genre classification of audio signals"; `librosa.feature.mfcc`.
    """
    log_mel_db = np.asarray(log_mel_db, np.float32)
    return log_mel_statistics(
        librosa.feature.mfcc(
            S=log_mel_db.transpose(0, 2, 1), n_mfcc=NUM_MFCC
        ).transpose(0, 2, 1)
    )


def baseline_points(train_db, test_db, num_components=32):
    """What models have to beat: raw features of training and test clips.

    Args:
        train_db: Log-mel of training clips, dB, shape `(num_clips, num_frames, n_mels)`.
        test_db: The same of test clips.
        num_components: Principal components of the whole spectrogram.

    Returns:
        Dictionary name -> `(train_points, test_points)`: `"log-mel statistics"` and `"MFCC statistics"`, standardised
        on the training clips, and `"PCA"`.
    """
    points = {}
    for name, describe in (
        ("log-mel statistics", log_mel_statistics),
        ("MFCC statistics", mfcc_statistics),
    ):
        train, test = in_pieces(describe, train_db), in_pieces(describe, test_db)
        scaler = StandardScaler().fit(train)
        points[name] = scaler.transform(train), scaler.transform(test)
    to_points = principal_components(train_db, num_components)
    points["PCA"] = tuple(in_pieces(to_points, clips) for clips in (train_db, test_db))
    return points


def principal_components(clips, num_components, num_rounds=8, seed=0):
    """The function from clips to their principal components, from rounds that read the clips from where they are.

    Args:
        clips: Array, shape `(num_clips, ...)`, in memory or on disk.
        num_components: At most so many.
        num_rounds: Readings of the clips; each brings the subspace closer.
        seed: Seed of the subspace to begin with.

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
    basis = np.random.default_rng(seed).standard_normal(
        (len(mean), min(size + 10, len(mean))), np.float32
    )
    for _ in range(num_rounds):
        basis = np.linalg.qr(times_covariance(basis))[0]
    basis = (
        basis @ np.linalg.eigh(basis.T @ times_covariance(basis))[1][:, ::-1][:, :size]
    )
    return lambda clips: centred(clips) @ basis


def check_alignment(encode, clips, points, num_checked=8, seed=0):
    """Raises ValueError unless `points[k]` is what `encode` makes of `clips[k]`, for some `k` drawn by the seed.

    A score against labels means nothing once rows have been sorted, shuffled or dropped on one side only.
    """
    if len(clips) != len(points):
        raise ValueError(
            f"got {len(clips)} clips and {len(points)} points; expected one point for each clip."
        )
    rows = np.sort(np.random.default_rng(seed).permutation(len(clips))[:num_checked])
    made = np.asarray(encode(np.asarray(clips)[rows]))
    tolerance = 1e-2 * (np.std(points) + 1e-9)
    wrong = rows[np.abs(made - np.asarray(points)[rows]).max(axis=1) > tolerance]
    if len(wrong):
        raise ValueError(
            f"rows {wrong.tolist()} of the points belong to other clips. Encode the clips in their order."
        )


def cluster_scores(
    points,
    labels,
    held_points,
    held_labels,
    *,
    groups=None,
    num_boots=200,
    neighbours=15,
    seed=0,
):
    """Scores of unsupervised clusters, and of neighbours, against the genres of held-out clips.

    There are as many clusters as genres. The interval holds the middle 95 % of scores over resampled test clips; the
    clusters stay as they are.

    Args:
        points: Latents or features of training clips, shape `(num_clips, dimensions)`.
        labels: Their genres; used by the neighbours alone.
        held_points: The same of test clips.
        held_labels: Their genres.
        groups: Track or artist of each test clip: clips of a group are resampled together. None: each its own.
        num_boots: Resamples.
        neighbours: Training clips that vote.
        seed: Seed of clusters and resamples.

    Returns:
        DataFrame with the columns `score`, `low`, `high` and the rows `kmeans_ari`, `kmeans_nmi`, `gmm_ari`,
        `gmm_nmi`, `silhouette` (of the genres) and `knn_accuracy`.

    Raises:
        ValueError: If there is not one label for each point.

    Source: Hubert and Arabie (1985) for ARI, Rousseeuw (1987) for the silhouette, Efron (1979) for the interval; all
    scores by scikit-learn.
    """
    points, held_points = matrix(points, "points"), matrix(held_points, "held_points")
    labels, held_labels = np.asarray(labels), np.asarray(held_labels)
    if (len(points), len(held_points)) != (len(labels), len(held_labels)):
        raise ValueError(
            f"got {len(points)} and {len(held_points)} points, {len(labels)} and {len(held_labels)} labels; expected "
            "one label a point. Take both from the same rows of the features."
        )
    number = len(np.unique(labels))
    # Full covariances of many dimensions would need more clips than there are.
    mixture = GaussianMixture(
        number, covariance_type="diag", reg_covar=1e-3, n_init=5, random_state=seed
    )
    kmeans = KMeans(number, n_init=10, random_state=seed)
    found = {
        name: model.fit(points).predict(held_points)
        for name, model in (("kmeans", kmeans), ("gmm", mixture))
    }
    voters = KNeighborsClassifier(min(neighbours, len(points)))
    right = voters.fit(points, labels).predict(held_points) == held_labels
    with sklearn.config_context(working_memory=64):  # MiB
        silhouette = silhouette_samples(held_points, held_labels)

    def scores(rows):
        made = {}
        for name, clusters in found.items():
            made[f"{name}_ari"] = adjusted_rand_score(held_labels[rows], clusters[rows])
            made[f"{name}_nmi"] = normalized_mutual_info_score(
                held_labels[rows], clusters[rows]
            )
        return made | {
            "silhouette": silhouette[rows].mean(),
            "knn_accuracy": right[rows].mean(),
        }

    names, member = np.unique(
        np.arange(len(held_labels)) if groups is None else np.asarray(groups),
        return_inverse=True,
    )
    members = [np.flatnonzero(member == index) for index in range(len(names))]
    rng = np.random.default_rng(seed)
    draws = (
        np.concatenate([members[i] for i in rng.integers(0, len(names), len(names))])
        for _ in range(num_boots)
    )
    boots = pd.DataFrame([scores(rows) for rows in draws])
    whole = pd.Series(scores(np.arange(len(held_labels))))
    return pd.DataFrame(
        {"score": whole, "low": boots.quantile(0.025), "high": boots.quantile(0.975)}
    )
