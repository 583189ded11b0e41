"""The sweeps of notebook 07."""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np

from cvae_lab.baselines.pca import PCABaseline
from cvae_lab.measures.clustering import (
    baseline_points,
    check_alignment,
    cluster_scores,
)
from cvae_lab.measures.disentanglement import FACTORS, disentanglement_row
from cvae_lab.measures.scoreboard import decode_clips, evaluate_model
from cvae_lab.measures.scores import (
    classification_accuracy,
    genre_probe,
    in_pieces,
    kl_per_dimension,
)
from cvae_lab.notebook.weights import fit_model
from cvae_music.models.losses import optimal_variance_nll

SMALL = {"width": 96, "depth": 1}
NUM_STEPS = 360
SEEDS = (0, 1, 2)
BETAS = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
CAPACITIES = (20.0, 60.0, 150.0)
MODELS: dict[
    str, tuple[str, dict[str, float]]
] = {  # of the comparison: name -> kind, changes
    "AE": ("autoencoder", {}),
    "VAE": ("vae", {"kl": 1.0}),
    "CVAE": ("cvae", {"kl": 1.0}),
    "beta-CVAE": ("cvae", {"kl": 10.0}),
}


def _beta_cell(schedule, value, kl, seed):
    return {
        "name": f"{schedule} {value:g}",
        "schedule": schedule,
        "value": value,
        "kind": "cvae",
        "seed": seed,
        "num_steps": NUM_STEPS,
        "changes": SMALL | {"kl": kl},
    }


def beta_cells() -> list[dict[str, Any]]:
    """Lists every beta for each seed, and every capacity for the first."""
    growth = {"name": "capacity", "weight": 30.0, "growth_steps": 2 * NUM_STEPS // 3}
    cells = []
    for seed in SEEDS:
        cells += [_beta_cell("constant", beta, beta, seed) for beta in BETAS]
        if seed == 0:
            for nats in CAPACITIES:
                kl = growth | {"capacity": nats}
                cells.append(_beta_cell("capacity", nats, kl, seed))
    return cells


def beta_real_cells() -> list[dict[str, Any]]:
    """Lists the betas alone, for one seed."""
    cells = [cell for cell in beta_cells() if cell["schedule"] == "constant"]
    return [cell for cell in cells if cell["seed"] == 0]


def comparison_cells() -> list[dict[str, Any]]:
    """Lists raw features and PCA once, and each network for each seed."""
    cells: list[dict[str, Any]] = [
        {"name": "raw features", "kind": "raw", "seed": 0, "num_steps": 0},
        {"name": "PCA", "kind": "pca", "seed": 0, "num_steps": 0},
    ]
    for seed in SEEDS:
        for name, (kind, changes) in MODELS.items():
            cell: dict[str, Any] = {"name": name, "kind": kind, "seed": seed}
            cell["num_steps"] = NUM_STEPS
            cells.append(cell | {"changes": SMALL | changes})
    return cells


def fit_cell(cell: dict[str, Any], features: Any) -> tuple[Any, dict[str, Any]]:
    """Trains the model of a cell; returns it with its `seconds` and `parameters`."""
    started = time.perf_counter()
    settings = {name: cell[name] for name in ("num_steps", "seed", "changes")}
    model, _ = fit_model(cell["kind"], features, **settings, verbose=0)
    seconds = time.perf_counter() - started
    return model, {"seconds": seconds, "parameters": model.count_params()}


def run_beta(
    cell: dict[str, Any], features: Any, judges: dict[str, Any]
) -> dict[str, Any]:
    """Trains a model; measures the scoreboard and `measure_beta`."""
    model, row = fit_cell(cell, features)
    row |= evaluate_model(model, features, judges).to_dict()
    return row | measure_beta(model, features, cell["seed"])


def run_comparison(
    cell: dict[str, Any], features: Any, judges: dict[str, Any]
) -> dict[str, Any]:
    """Trains a model; measures the scoreboard and `measure_comparison`.

    Raw features and PCA are not trained.
    """
    if cell["kind"] == "raw":
        return measure_raw(features, judges, cell["seed"])
    if cell["kind"] == "pca":
        return measure_pca(features, judges, cell["seed"])
    model, row = fit_cell(cell, features)
    row |= evaluate_model(model, features, judges).to_dict()
    return row | measure_comparison(model, features, judges, cell["seed"])


def measure_beta(model: Any, features: Any, seed: int = 0) -> dict[str, Any]:
    """Measures rate, distortion and what latents hold of genre and factors.

    Args:
        model: `VAE` or `ConditionalVAE`.
        features: `FeatureSet`.
        seed: Seed of the draws of the posterior.

    Returns:
        Dictionary: `rate` in nats; `distortion_nats` and `distortion_db` of clips
        rebuilt from draws of the posterior; `kl_sorted`, the KL divergence of each
        dimension, largest first, as JSON; `rate_whole`, its sum over the latents of the
        whole clip; `genre_probe_accuracy`; and, where the factors are known, the
        measures of `disentanglement_row`.

    Example:
        >>> import pandas as pd
        >>> from cvae_music import VAE, AudioConfig, FeatureSet
        >>> config = AudioConfig(n_mels=16)
        >>> table = pd.DataFrame({"genre": ["jazz", "rock"] * 2})
        >>> table["split"] = ["train", "train", "test", "test"]
        >>> clips = np.random.default_rng(0).normal(-40.0, 9.0, (4, 128, 16))
        >>> features = FeatureSet(config, ("jazz", "rock"), table, clips, table[:0])
        >>> list(measure_beta(VAE(config, width=40, depth=1), features))[:3]
        ['rate', 'distortion_nats', 'distortion_db']
    """
    clips, genre = features.arrays("test")
    mean, log_var = model.encode(clips)
    kl = kl_per_dimension(mean, log_var)
    noise = np.random.default_rng(seed).standard_normal(mean.shape)
    rebuilt = model.decode(mean + np.exp(0.5 * log_var) * noise, genre)
    squared = float(np.mean((clips - rebuilt) ** 2))
    num_values = int(np.prod(clips.shape[1:]))
    row = {
        "rate": kl.sum(),
        "distortion_nats": float(optimal_variance_nll(squared, num_values)),
        "distortion_db": np.sqrt(squared) * features.config.db_per_unit,
        "rate_whole": kl[: model.global_dim].sum(),
        "kl_sorted": json.dumps(np.sort(kl)[::-1].round(3).tolist()),
        "genre_probe_accuracy": genre_probe(model, features),
    }
    if all(name in features.table for name in FACTORS):
        row |= disentanglement_row(model, features)
    return row


def _cluster_row(points, features, prefix=""):
    train = features.subset("train")
    test = features.subset("test")
    table = cluster_scores(
        points[0],
        train.genre_index,
        points[1],
        test.genre_index,
        groups=test.table["group"],
    )
    row = {}
    for name in table.index:
        for column, ending in (("score", ""), ("low", "_low"), ("high", "_high")):
            row[f"{prefix}{name}{ending}"] = table.loc[name, column]
    return row


def measure_comparison(
    model: Any, features: Any, judges: dict[str, Any], seed: int = 0
) -> dict[str, Any]:
    """Measures clusters of the latents, their genre, and the use of generated clips.

    Args:
        model: Has `encode`, and with a label `decode` and `sample_latents`.
        features: `FeatureSet`.
        judges: Dictionary with the judge `"descriptors"`.
        seed: Seed of the generated clips.

    Returns:
        Dictionary: `cluster_scores` with intervals, `genre_probe_accuracy` and, for a
        model with a label, `cas`, the `classification_accuracy` of 300 generated clips.

    Example:
        >>> measure_comparison(model, features, judges)["cas"]  # doctest: +SKIP
        0.93
    """

    def encode(clips):
        return model.encode(features.config.scale(clips))[0]

    train = features.subset("train")
    test = features.subset("test")
    points = [in_pieces(encode, part.log_mel) for part in (train, test)]
    check_alignment(encode, test.log_mel, points[1])
    row = _cluster_row(points, features)
    row["genre_probe_accuracy"] = genre_probe(model, features)
    if model.num_genres:
        shuffled = np.random.default_rng(seed).permutation(train.genre_index)
        asked = np.sort(shuffled[:300])
        made = decode_clips(model, model.sample_latents(asked, seed=seed), asked)
        embed = judges["descriptors"].embedding
        real, labels = features.arrays("test")
        row["cas"] = classification_accuracy(made, asked, real, labels, embed)
    return row


def measure_raw(features: Any, judges: dict[str, Any], seed: int = 0) -> dict[str, Any]:
    """Measures the clusters of raw features, and the ceiling of `cas`.

    Args:
        features: `FeatureSet`.
        judges: Dictionary with the judge `"descriptors"`.
        seed: Seed of the choice of 300 training clips.

    Returns:
        Dictionary as of `measure_comparison`, clusters for each of `baseline_points`.

    Example:
        >>> measure_raw(features, judges)["cas"]  # doctest: +SKIP
        0.98
    """
    train = features.subset("train")
    test = features.subset("test")
    row: dict[str, Any] = {}
    for name, points in baseline_points(train.log_mel, test.log_mel).items():
        row |= _cluster_row(points, features, f"{name}: ")
    rows = np.random.default_rng(seed).permutation(len(train))[:300]
    clips = features.config.scale(train.log_mel[rows])
    embed = judges["descriptors"].embedding
    real, labels = features.arrays("test")
    row["cas"] = classification_accuracy(
        clips, train.genre_index[rows], real, labels, embed
    )
    return row


def measure_pca(features: Any, judges: dict[str, Any], seed: int = 0) -> dict[str, Any]:
    """Measures the scoreboard and the comparison of `PCABaseline`.

    Args:
        features: `FeatureSet`.
        judges: Dictionary name -> judge.
        seed: Seed of the generated clips.

    Returns:
        Dictionary of measures; the KL divergence is NaN.

    Example:
        >>> measure_pca(features, judges)["cnn_swap"]  # doctest: +SKIP
        0.0
    """
    started = time.perf_counter()
    model = PCABaseline().fit(features)
    row = {"seconds": time.perf_counter() - started, "parameters": model.count_params()}
    row |= evaluate_model(model, features, judges).to_dict()
    row |= {"kl": np.nan, "mutual_information": np.nan}
    return row | measure_comparison(model, features, judges, seed)
