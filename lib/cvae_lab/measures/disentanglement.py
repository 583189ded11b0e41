"""Disentanglement: whether single latent dimensions stand for single known factors.

All measures take latents of shape `(num_clips, latent_dim)` and a table of factors with
a row for each clip. Whole numbers are classes; other numbers are cut into bins of equal
width where a measure needs classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.special import entr
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
from sklearn.metrics import balanced_accuracy_score

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


def _bins(values, num_bins=NUM_BINS):
    """Cuts values into bins of equal width, whole numbers from 0."""
    edges = np.linspace(values.min(), values.max(), num_bins + 1)[1:-1]
    return np.digitize(values, edges)


def _classes(values, num_bins):
    if pd.api.types.is_integer_dtype(values):
        return np.unique(values, return_inverse=True)[1]
    return _bins(values.to_numpy(), num_bins)


def information_table(
    latents: ArrayLike, factors: Any, num_bins: int = NUM_BINS
) -> pd.DataFrame:
    """Computes the mutual information of dimensions and factors, over the entropy.

    Args:
        latents: Posterior means, shape `(num_clips, latent_dim)`.
        factors: DataFrame, a row a clip and a column a factor.
        num_bins: Bins of a latent dimension, and of a factor that is no class.

    Returns:
        DataFrame of shares of the factor's entropy between 0 and 1, a row a dimension,
        a column a factor.

    Raises:
        ValueError: If the rows do not belong together or a factor never changes.

    Example:
        >>> latents = [[0.0, 0.0], [1.0, 0.0]]
        >>> information_table(latents, {"mode": [0, 1]})["mode"].tolist()
        [1.0, 0.0]
    """
    latents, factors = _checked(latents, factors)
    codes = np.stack([_bins(column, num_bins) for column in latents.T])
    num_dimensions = len(codes)
    shares = {}
    for name in factors:
        classes = _classes(factors[name], num_bins)
        num_classes = classes.max() + 1
        # One histogram for all dimensions: each has its own stretch of the counts.
        offsets = np.arange(num_dimensions)[:, None] * num_bins
        index = (offsets + codes) * num_classes + classes
        size = num_dimensions * num_bins * num_classes
        joint = np.bincount(index.ravel(), minlength=size) / len(latents)
        joint = joint.reshape(num_dimensions, num_bins, num_classes)
        own = _entropy(joint.sum(axis=1))
        code_entropy = _entropy(joint.sum(axis=2))
        joint_entropy = _entropy(joint.reshape(num_dimensions, -1))
        mutual = code_entropy + own - joint_entropy
        shares[name] = np.clip(mutual / own, 0.0, 1.0)
    return pd.DataFrame(shares)


def _gap(table):
    """Subtracts the second largest value of each column from the largest."""
    ordered = np.sort(np.asarray(table), axis=0)
    return ordered[-1] - ordered[-2]


def mutual_information_gap(
    latents: ArrayLike, factors: Any, num_bins: int = NUM_BINS
) -> float:
    """Computes MIG: how far the best dimension is ahead of the second best.

    The gap in information is averaged over factors. 1: each factor is wholly in one
    dimension; 0: every factor is shared by two dimensions or in none.

    Args:
        latents: As for `information_table`.
        factors: As for `information_table`.
        num_bins: As for `information_table`.

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
    return float(_gap(information_table(latents, factors, num_bins)).mean())


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
    centred = latents - latents.mean(axis=0)
    known = factors.to_numpy(float) - factors.to_numpy(float).mean(axis=0)
    spread = np.linalg.norm(centred, axis=0)[:, None] * np.linalg.norm(known, axis=0)
    return float(_gap((centred.T @ known / np.maximum(spread, 1e-12)) ** 2).mean())


def dci(
    latents: ArrayLike,
    factors: Any,
    held_latents: ArrayLike,
    held_factors: Any,
    num_trees: int = 40,
    seed: int = 0,
) -> dict[str, float]:
    """Computes DCI: how far trees need one dimension for one factor.

    Args:
        latents: Posterior means to fit trees to, shape `(num_clips, latent_dim)`.
        factors: DataFrame of their factors.
        held_latents: Posterior means of other clips.
        held_factors: Their factors.
        num_trees: Trees for each factor.
        seed: Seed of the trees.

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
        >>> scores = dci(latents, factors, latents, factors, num_trees=5)
        >>> sorted(scores)
        ['completeness', 'disentanglement', 'informativeness']
    """
    latents, factors = _checked(latents, factors)
    held_latents, held_factors = _checked(held_latents, held_factors)
    settings = {"max_features": 1.0, "min_samples_leaf": 5, "random_state": seed}
    importances = []
    skills = []
    for name in factors:
        is_class = pd.api.types.is_integer_dtype(factors[name])
        kind = ExtraTreesClassifier if is_class else ExtraTreesRegressor
        trees = kind(num_trees, **settings).fit(latents, factors[name])
        importances.append(trees.feature_importances_)
        truth = held_factors[name].to_numpy()
        skills.append(_skill(truth, trees.predict(held_latents), is_class))
    weights = np.stack(importances, axis=1)  # (latent_dim, num_factors)
    return dci_of_weights(weights) | {"informativeness": float(np.mean(skills))}


def _skill(truth, guess, is_class):
    if is_class:
        return max(0.0, balanced_accuracy_score(truth, guess, adjusted=True))
    return max(0.0, 1.0 - np.mean((truth - guess) ** 2) / np.var(truth))


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


def disentanglement_row(
    model: Any,
    features: Any,
    factors: Sequence[str] = FACTORS,
    whole_only: bool = True,
    seed: int = 0,
) -> dict[str, float]:
    """Computes MIG, SAP and DCI of one model.

    Args:
        model: `VAE` or `ConditionalVAE`.
        features: `FeatureSet` of known-factor music.
        factors: Names of columns of its table.
        whole_only: Measure the dimensions that describe the whole clip. Those of single
            beats repeat the same factor once a beat, which MIG and SAP count as
            entangled in any case.
        seed: Seed of the trees.

    Returns:
        Dictionary: `mig`, `sap`, `dci_disentanglement`, `dci_completeness`,
        `dci_informativeness`.

    Raises:
        ValueError: If the music has no such factors.

    Example:
        >>> from cvae_music import VAE, AudioConfig, FeatureSet
        >>> config = AudioConfig(n_mels=16)
        >>> table = pd.DataFrame({"genre": "jazz", "split": ["train", "test"] * 6})
        >>> table["mode"] = np.arange(12) // 2 % 2
        >>> table["register"] = np.arange(12) // 4
        >>> clips = np.random.default_rng(0).normal(-40.0, 9.0, (12, 128, 16))
        >>> features = FeatureSet(config, ("jazz",), table, clips, table[:0])
        >>> model = VAE(config, width=40, depth=1)
        >>> list(disentanglement_row(model, features, ["mode", "register"]))[:3]
        ['mig', 'sap', 'dci_disentanglement']
    """
    missing = [name for name in factors if name not in features.table]
    if missing:
        raise ValueError(
            f"the features have no factors {missing}; disentanglement needs "
            "known-factor music."
        )
    last = model.global_dim if whole_only else model.latent_dim
    latents = {}
    known = {}
    for split in ("train", "test"):
        part = features.subset(split)
        means = model.encode(features.config.scale(part.log_mel))[0]
        latents[split] = means[:, :last]
        known[split] = part.table[list(factors)]
    row = {
        "mig": mutual_information_gap(latents["train"], known["train"]),
        "sap": separated_attribute_predictability(latents["train"], known["train"]),
    }
    shares = dci(
        latents["train"], known["train"], latents["test"], known["test"], seed=seed
    )
    for name, value in shares.items():
        row[f"dci_{name}"] = value
    return row
