"""Whether single latent dimensions stand for single factors: three measures, for music whose factors are known.

All take latents of shape `(num_clips, latent_dim)` and a table of factors with a row a clip. Whole numbers are
classes; other numbers are cut into bins of equal width where a measure needs classes.
"""

import numpy as np
import pandas as pd
from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
from sklearn.metrics import balanced_accuracy_score

from cvae_lab.measures.scores import matrix

# What a clip on the beat grid can tell. The key goes round, tempo is taken out of the features.
FACTORS = ("mode", "brightness", "density", "register", "level_db")
NUM_BINS = 20  # as in Locatello et al. (2019)


def _checked(latents, factors):
    latents, factors = matrix(latents, "latents"), pd.DataFrame(factors)
    if len(latents) != len(factors) or latents.shape[1] < 2 or not len(factors.columns):
        raise ValueError(
            f"got latents of shape {latents.shape} and factors of shape {factors.shape}; expected a row of factors for "
            "each clip and at least two latent dimensions. Take both from the same rows of the features."
        )
    constant = [name for name in factors if factors[name].nunique() < 2]
    if constant:
        raise ValueError(
            f"the factors {constant} have one value only; leave them out, nothing can be learned of them."
        )
    return latents, factors


def _is_class(values):
    return pd.api.types.is_integer_dtype(values)


def _bins(values, num_bins=NUM_BINS):
    """Bins of equal width, whole numbers from 0."""
    edges = np.linspace(values.min(), values.max(), num_bins + 1)[1:-1]
    return np.digitize(values, edges)


def _classes(values, num_bins):
    if _is_class(values):
        return np.unique(values, return_inverse=True)[1]
    return _bins(values.to_numpy(), num_bins)


def _entropy(shares):
    return -np.sum(
        np.where(shares > 0, shares * np.log(np.maximum(shares, 1e-300)), 0.0), axis=-1
    )


def information_table(latents, factors, num_bins=NUM_BINS):
    """Mutual information of each latent dimension with each factor, over the factor's entropy.

    Args:
        latents: Posterior means, shape `(num_clips, latent_dim)`.
        factors: DataFrame, a row a clip and a column a factor.
        num_bins: Bins of a latent dimension, and of a factor that is no class.

    Returns:
        DataFrame of shares between 0 and 1, a row a dimension, a column a factor.

    Raises:
        ValueError: If the rows do not belong together or a factor never changes.
    """
    latents, factors = _checked(latents, factors)
    codes = np.stack([_bins(column, num_bins) for column in latents.T])
    shares = {}
    for name in factors:
        classes = _classes(factors[name], num_bins)
        num_classes = classes.max() + 1
        # One histogram for all dimensions: each has its own stretch of the counts.
        place = (
            np.arange(len(codes))[:, None] * num_bins + codes
        ) * num_classes + classes
        joint = np.bincount(
            place.ravel(), minlength=len(codes) * num_bins * num_classes
        ) / len(latents)
        joint = joint.reshape(len(codes), num_bins, num_classes)
        own = _entropy(joint.sum(axis=1))
        mutual = (
            _entropy(joint.sum(axis=2)) + own - _entropy(joint.reshape(len(codes), -1))
        )
        shares[name] = np.clip(mutual / own, 0.0, 1.0)
    return pd.DataFrame(shares)


def _gap(table):
    """Largest less second largest value of each column."""
    ordered = np.sort(np.asarray(table), axis=0)
    return ordered[-1] - ordered[-2]


def mutual_information_gap(latents, factors, num_bins=NUM_BINS):
    """MIG: how far the best dimension of a factor is ahead of the second best, averaged over factors.

    1: each factor is wholly in one dimension; 0: every factor is shared by two dimensions or in none.
    Arguments and errors as `information_table`.

    Source: Chen, Li, Grosse and Duvenaud (2018), arXiv:1802.04942, section 4.1; bins after Locatello et al. (2019),
    arXiv:1811.12359.
    """
    return float(_gap(information_table(latents, factors, num_bins)).mean())


def separated_attribute_predictability(latents, factors):
    """SAP: as MIG, with the squared linear correlation of dimension and factor in place of information.

    Whole numbers are taken by their order, so leave out factors without one, such as the key. Arguments and errors
    as `information_table`.

    Returns:
        Share between 0 and 1.

    Source: Kumar, Sattigeri and Balakrishnan (2018), arXiv:1711.00848, section 3. They score classes by thresholds;
    we score all factors by the R² they use for continuous ones.
    """
    latents, factors = _checked(latents, factors)
    centred = latents - latents.mean(axis=0)
    known = factors.to_numpy(float) - factors.to_numpy(float).mean(axis=0)
    spread = np.linalg.norm(centred, axis=0)[:, None] * np.linalg.norm(known, axis=0)
    return float(_gap((centred.T @ known / np.maximum(spread, 1e-12)) ** 2).mean())


def dci(latents, factors, held_latents, held_factors, num_trees=40, seed=0):
    """DCI: how far the weights by which trees predict factors from latents are one to one.

    Args:
        latents: Posterior means the trees learn from, shape `(num_clips, latent_dim)`.
        factors: DataFrame of their factors.
        held_latents: Posterior means of clips the trees do not learn from.
        held_factors: Their factors.
        num_trees: Trees for each factor.
        seed: Seed of the trees.

    Returns:
        Dictionary of three shares, 1 is best. `disentanglement`: each dimension matters for one factor only;
        `completeness`: each factor needs one dimension only; `informativeness`: how well unseen clips are
        predicted, R² or balanced accuracy over chance, 0 where no better than the mean.

    Raises:
        ValueError: As `information_table`.

    Source: Eastwood and Williams (2018), ICLR, "A framework for the quantitative evaluation of disentangled
    representations". They report the error of unseen clips; we report 1 less its share of the error of the mean.
    """
    latents, factors = _checked(latents, factors)
    held_latents, held_factors = _checked(held_latents, held_factors)
    weights, scores = [], []
    for name in factors:
        is_class = _is_class(factors[name])
        kind = ExtraTreesClassifier if is_class else ExtraTreesRegressor
        trees = kind(
            num_trees, max_features=1.0, min_samples_leaf=5, random_state=seed
        ).fit(latents, factors[name])
        weights.append(trees.feature_importances_)
        scores.append(
            _skill(held_factors[name].to_numpy(), trees.predict(held_latents), is_class)
        )
    weights = np.stack(weights, axis=1)  # (latent_dim, num_factors)
    return dci_of_weights(weights) | {"informativeness": float(np.mean(scores))}


def _skill(truth, guess, is_class):
    if is_class:
        return max(0.0, balanced_accuracy_score(truth, guess, adjusted=True))
    return max(0.0, 1.0 - np.mean((truth - guess) ** 2) / np.var(truth))


def dci_of_weights(weights):
    """`disentanglement` and `completeness` of a table of weights, shape `(latent_dim, num_factors)`, none negative."""
    weights = matrix(weights, "weights")
    by_dimension, by_factor = weights.sum(axis=1), weights.sum(axis=0)
    ahead = 1.0 - _entropy(weights / np.maximum(by_dimension, 1e-12)[:, None]) / np.log(
        weights.shape[1]
    )
    alone = 1.0 - _entropy((weights / np.maximum(by_factor, 1e-12)).T) / np.log(
        weights.shape[0]
    )
    total = max(weights.sum(), 1e-12)
    return {
        "disentanglement": float(by_dimension @ ahead / total),
        "completeness": float(by_factor @ alone / total),
    }


def disentanglement_row(model, features, factors=FACTORS, whole_only=True, seed=0):
    """All three measures of one model.

    Args:
        model: `VAE` or `ConditionalVAE`.
        features: `FeatureSet` of known-factor music.
        factors: Names of columns of its table.
        whole_only: Measure the dimensions that describe the whole clip. Those of single beats say the same thing
            once a beat, which MIG and SAP count as entangled whatever they say.
        seed: Seed of the trees.

    Returns:
        Dictionary: `mig`, `sap`, `dci_disentanglement`, `dci_completeness`, `dci_informativeness`.

    Raises:
        ValueError: If the music has no such factors.
    """
    missing = [name for name in factors if name not in features.table]
    if missing:
        raise ValueError(
            f"the features have no factors {missing}; disentanglement needs known-factor music."
        )
    last = model.global_dim if whole_only else model.latent_dim
    found = {}
    for split in ("train", "test"):
        part = features.subset(split)
        latents = model.encode(features.config.scale(part.log_mel))[0][:, :last]
        found[split] = latents, part.table[list(factors)]
    scores = dci(*found["train"], *found["test"], seed=seed)
    return {
        "mig": mutual_information_gap(*found["train"]),
        "sap": separated_attribute_predictability(*found["train"]),
        **{f"dci_{name}": value for name, value in scores.items()},
    }
