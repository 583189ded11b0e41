"""Disentanglement: whether single latent dimensions stand for single known factors.

All measures take latents of shape `(num_clips, latent_dim)` and a table of factors with
a row for each clip. Whole numbers are classes; other numbers are cut into bins of equal
width where a measure needs classes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import entr
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
from sklearn.metrics import balanced_accuracy_score, mutual_info_score, r2_score
from sklearn.preprocessing import StandardScaler

from cvae_lab.measures.scores import matrix

# What a clip on the beat grid can show: the key is circular, tempo is taken out.
FACTORS = ("mode", "brightness", "density", "register", "level_db")
NUM_BINS = 20  # as in Locatello et al. (2019)


def _checked(latents: ArrayLike, factors: Any) -> tuple[np.ndarray, pd.DataFrame]:
    latents = matrix(latents, "latents")
    factors = pd.DataFrame(factors)
    if len(latents) != len(factors) or latents.shape[1] < 2 or not len(factors.columns):
        raise ValueError(
            f"got latents of shape {latents.shape} and factors of shape "
            f"{factors.shape}; expected a row of factors for each clip and at least "
            "two latent dimensions. Take both from the same rows of the features."
        )
    constant = [name for name in factors if factors[name].nunique() < 2]
    if constant:
        raise ValueError(
            f"the factors {constant} have one value only; leave them out, nothing can "
            "be learned of them."
        )
    return latents, factors


def _bins(values):
    """Cuts values into 20 bins of equal width, whole numbers from 0."""
    edges = np.linspace(values.min(), values.max(), NUM_BINS + 1)[1:-1]
    return np.digitize(values, edges)


def information_table(latents: ArrayLike, factors: Any) -> pd.DataFrame:
    """Computes the mutual information of dimensions and factors, over the entropy.

    Dimensions, and factors that are no classes, are cut into 20 bins.

    Args:
        latents: Posterior means, shape `(num_clips, latent_dim)`.
        factors: DataFrame, a row a clip and a column a factor.

    Returns:
        DataFrame of shares of the factor's entropy between 0 and 1, a row a dimension,
        a column a factor.

    Raises:
        ValueError: If the rows do not belong together or a factor never changes.

    Source: `sklearn.metrics.mutual_info_score`.

    Example:
        >>> latents = [[0.0, 0.0], [1.0, 0.0]]
        >>> information_table(latents, {"mode": [0, 1]})["mode"].tolist()
        [1.0, 0.0]
    """
    latents, factors = _checked(latents, factors)
    codes = [_bins(column) for column in latents.T]
    shares = {}
    for name in factors:
        classes = factors[name].to_numpy()
        if not np.issubdtype(classes.dtype, np.integer):
            classes = _bins(classes)
        entropy = mutual_info_score(classes, classes)
        mutual = np.array([mutual_info_score(classes, code) for code in codes])
        shares[name] = np.clip(mutual / entropy, 0.0, 1.0)
    return pd.DataFrame(shares)


def _gap(table):
    """Subtracts the second largest value of each column from the largest."""
    ordered = np.sort(np.asarray(table), axis=0)
    return ordered[-1] - ordered[-2]


def mutual_information_gap(latents: ArrayLike, factors: Any) -> float:
    """Computes MIG: how far the best dimension is ahead of the second best.

    The gap in information is averaged over factors. 1: each factor is wholly in one
    dimension; 0: every factor is shared by two dimensions or in none.

    Args:
        latents: As for `information_table`.
        factors: As for `information_table`.

    Returns:
        Share between 0 and 1.

    Raises:
        ValueError: As `information_table`.

    Source: Chen, Li, Grosse and Duvenaud (2018), arXiv:1802.04942, section 4.1; bins
    after Locatello et al. (2019), arXiv:1811.12359.

    Example:
        >>> mutual_information_gap([[0.0, 0.0], [1.0, 0.0]], {"mode": [0, 1]})
        1.0
    """
    return float(_gap(information_table(latents, factors)).mean())


def separated_attribute_predictability(latents: ArrayLike, factors: Any) -> float:
    """Computes SAP: the gap as in MIG, of squared linear correlations.

    Whole numbers are taken by their order, so leave out factors without one, such as
    the key.

    Args:
        latents: As for `information_table`.
        factors: As for `information_table`.

    Returns:
        Share between 0 and 1.

    Raises:
        ValueError: As `information_table`.

    Source: Kumar, Sattigeri and Balakrishnan (2018), arXiv:1711.00848, section 3. They
    score classes by thresholds; we score all factors by the R² they use for continuous
    ones.

    Example:
        >>> latents = [[0.0, 0.0], [1.0, 0.0]]
        >>> round(separated_attribute_predictability(latents, {"mode": [0, 1]}), 3)
        1.0
    """
    latents, factors = _checked(latents, factors)
    points = StandardScaler().fit_transform(latents)
    known = StandardScaler().fit_transform(factors.to_numpy(float))
    correlations = points.T @ known / len(points)
    return float(_gap(correlations**2).mean())


def dci(
    latents: ArrayLike,
    factors: Any,
    held_latents: ArrayLike,
    held_factors: Any,
) -> dict[str, float]:
    """Computes DCI: how far 40 trees a factor need one dimension for one factor.

    Args:
        latents: Posterior means to fit trees to, shape `(num_clips, latent_dim)`.
        factors: DataFrame of their factors.
        held_latents: Posterior means of other clips.
        held_factors: Their factors.

    Returns:
        Dictionary of three shares, 1 is best. `disentanglement`: each dimension matters
        for one factor only; `completeness`: each factor needs one dimension only;
        `informativeness`: how well unseen clips are predicted, R² or balanced accuracy
        over chance, 0 where no better than the mean.

    Raises:
        ValueError: As `information_table`.

    Source: Eastwood and Williams (2018), ICLR, "A framework for the quantitative
    evaluation of disentangled representations". They report the error of unseen clips;
    we report 1 less its share of the error of the mean.

    Example:
        >>> latents = np.random.default_rng(0).standard_normal((90, 2))
        >>> factors = {"level": latents[:, 0], "tilt": latents[:, 1]}
        >>> scores = dci(latents, factors, latents, factors)
        >>> sorted(scores)
        ['completeness', 'disentanglement', 'informativeness']
    """
    latents, factors = _checked(latents, factors)
    held_latents, held_factors = _checked(held_latents, held_factors)
    settings = {"max_features": 1.0, "min_samples_leaf": 5, "random_state": 0}
    importances = []
    skills = []
    for name in factors:
        is_class = pd.api.types.is_integer_dtype(factors[name])
        kind = ExtraTreesClassifier if is_class else ExtraTreesRegressor
        trees = kind(40, **settings).fit(latents, factors[name])
        importances.append(trees.feature_importances_)
        truth = held_factors[name].to_numpy()
        skills.append(_skill(truth, trees.predict(held_latents), is_class))
    weights = np.stack(importances, axis=1)  # (latent_dim, num_factors)
    return dci_of_weights(weights) | {"informativeness": float(np.mean(skills))}


def _skill(truth, guess, is_class):
    if is_class:
        return max(0.0, balanced_accuracy_score(truth, guess, adjusted=True))
    return max(0.0, r2_score(truth, guess))


def dci_of_weights(weights: ArrayLike) -> dict[str, float]:
    """Computes disentanglement and completeness of a table of weights.

    Args:
        weights: None negative, shape `(latent_dim, num_factors)`.

    Returns:
        Dictionary: `disentanglement` and `completeness`.
    """
    weights = matrix(weights, "weights")
    by_dimension = weights.sum(axis=1)
    by_factor = weights.sum(axis=0)
    shares = weights / np.maximum(by_dimension, 1e-12)[:, None]
    ahead = 1.0 - _entropy(shares) / np.log(weights.shape[1])
    shares = (weights / np.maximum(by_factor, 1e-12)).T
    alone = 1.0 - _entropy(shares) / np.log(weights.shape[0])
    total = max(weights.sum(), 1e-12)
    return {
        "disentanglement": float(by_dimension @ ahead / total),
        "completeness": float(by_factor @ alone / total),
    }


def _entropy(shares):
    return entr(shares).sum(axis=-1)


def disentanglement_row(model: Any, features: Any) -> dict[str, float]:
    """Computes MIG, SAP and DCI of one model over `FACTORS`.

    Only the dimensions that describe the whole clip are measured. Those of single beats
    repeat the same factor once a beat, which MIG and SAP count as entangled in any
    case.

    Args:
        model: `VAE` or `ConditionalVAE`.
        features: `FeatureSet` of known-factor music.

    Returns:
        Dictionary: `mig`, `sap`, `dci_disentanglement`, `dci_completeness`,
        `dci_informativeness`.

    Raises:
        ValueError: If the music has no such factors.

    Example:
        >>> from cvae_music import VAE, AudioConfig, FeatureSet
        >>> config = AudioConfig(n_mels=16)
        >>> table = pd.DataFrame({"genre": "jazz", "split": ["train", "test"] * 6})
        >>> for name in FACTORS:
        ...     table[name] = np.arange(12) // 2 % 2
        >>> clips = np.random.default_rng(0).normal(-40.0, 9.0, (12, 128, 16))
        >>> features = FeatureSet(config, ("jazz",), table, clips, table[:0])
        >>> model = VAE(config, width=40, depth=1)
        >>> list(disentanglement_row(model, features))[:3]
        ['mig', 'sap', 'dci_disentanglement']
    """
    missing = [name for name in FACTORS if name not in features.table]
    if missing:
        raise ValueError(
            f"the features have no factors {missing}; disentanglement needs "
            "known-factor music."
        )
    latents = {}
    known = {}
    for split in ("train", "test"):
        part = features.subset(split)
        means = model.encode(features.config.scale(part.log_mel))[0]
        latents[split] = means[:, : model.global_dim]
        known[split] = part.table[list(FACTORS)]
    row = {
        "mig": mutual_information_gap(latents["train"], known["train"]),
        "sap": separated_attribute_predictability(latents["train"], known["train"]),
    }
    shares = dci(latents["train"], known["train"], latents["test"], known["test"])
    for name, value in shares.items():
        row[f"dci_{name}"] = value
    return row
