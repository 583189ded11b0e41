"""The sweeps of notebooks 06 and 07: what beta trades, what the models are worth, what the listeners are taught."""

import json
import time

import numpy as np

from cvae_lab.baselines.pca import PCABaseline
from cvae_lab.measures.clustering import (
    baseline_points,
    check_alignment,
    cluster_scores,
)
from cvae_lab.measures.disentanglement import FACTORS, disentanglement_row
from cvae_lab.measures.scoreboard import evaluate_model
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
BETAS = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
CAPACITIES = (20.0, 60.0, 150.0)
MODELS = {  # of the comparison: name -> kind, changes
    "AE": ("autoencoder", {}),
    "VAE": ("vae", {"kl": 1.0}),
    "CVAE": ("cvae", {"kl": 1.0}),
    "beta-CVAE": ("cvae", {"kl": 10.0}),
}
LISTENERS = {
    "no listener": {"swap_weight": 0.0},
    "two listeners, no sceptic": {"source_weight": 0.0},
    "listener and sceptic (default)": {},
    "the same without discrepancy": {"discrepancy_weight": 0.0},
    "sceptic taught twice as hard": {"source_weight": 1.0},
}


def beta_cells(seeds=(0, 1, 2)):
    """Every beta for each seed, and every capacity for the first."""
    settings = [("constant", beta, {"kl": beta}) for beta in BETAS]
    growth = {"weight": 30.0, "growth_steps": 2 * NUM_STEPS // 3}
    held = [
        ("capacity", c, {"kl": {"name": "capacity", "capacity": c, **growth}})
        for c in CAPACITIES
    ]
    return [
        {
            "name": f"{schedule} {value:g}",
            "schedule": schedule,
            "value": value,
            "kind": "cvae",
            "seed": seed,
            "num_steps": NUM_STEPS,
            "changes": SMALL | changes,
        }
        for seed in seeds
        for schedule, value, changes in settings + (held if seed == seeds[0] else [])
    ]


def beta_real_cells():
    """The betas alone, one seed."""
    return [cell for cell in beta_cells(seeds=(0,)) if cell["schedule"] == "constant"]


def listener_cells(seeds=(0, 1)):
    """What the listeners are taught, compared on the validation split: settings may be chosen by it."""
    own = {"kind": "cvae", "num_steps": NUM_STEPS}
    return [
        {"name": name, "seed": seed, "changes": SMALL | changes, **own}
        for seed in seeds
        for name, changes in LISTENERS.items()
    ]


def comparison_cells(seeds=(0, 1, 2)):
    """Raw features and PCA once, each network for each seed."""
    once = [
        {"name": name, "kind": kind, "seed": 0, "num_steps": 0}
        for name, kind in (("raw features", "raw"), ("PCA", "pca"))
    ]
    return once + [
        {
            "name": name,
            "kind": kind,
            "seed": seed,
            "num_steps": NUM_STEPS,
            "changes": SMALL | changes,
        }
        for seed in seeds
        for name, (kind, changes) in MODELS.items()
    ]


def _fit(cell, features):
    started = time.perf_counter()
    settings = {
        "num_steps": cell["num_steps"],
        "seed": cell["seed"],
        "changes": cell["changes"],
    }
    model, _ = fit_model(cell["kind"], features, **settings, verbose=0)
    return model, {
        "seconds": time.perf_counter() - started,
        "parameters": model.count_params(),
    }


def run_beta(cell, features, judges):
    """Trains a model; the scoreboard and `measure_beta`."""
    model, row = _fit(cell, features)
    return (
        row
        | evaluate_model(model, features, judges).to_dict()
        | measure_beta(model, features, cell["seed"])
    )


def run_listeners(cell, features, judges):
    """Trains a model; the scoreboard of the validation split."""
    model, row = _fit(cell, features)
    return row | evaluate_model(model, features, judges, split="validation").to_dict()


def run_comparison(cell, features, judges):
    """Trains a model; the scoreboard and `measure_comparison`. Raw features and PCA are not trained."""
    if cell["kind"] == "raw":
        return measure_raw(features, judges, cell["seed"])
    if cell["kind"] == "pca":
        return measure_pca(features, judges, cell["seed"])
    model, row = _fit(cell, features)
    row |= evaluate_model(model, features, judges).to_dict()
    return row | measure_comparison(model, features, judges, cell["seed"])


def measure_beta(model, features, seed=0):
    """Rate, distortion, where the nats are, z-leak, and disentanglement where the factors are known.

    Returns:
        Dictionary: `rate` (nats), `distortion_nats` and `distortion_db` of rebuilt draws of the posterior, the KL
        divergence of each dimension largest first as JSON, its sum over the latents of the whole clip, `genre_probe_accuracy`, and
        the measures of `disentanglement_row`.
    """
    clips, genre = features.arrays("test")
    mean, log_var = model.encode(clips)
    kl = kl_per_dimension(mean, log_var)
    noise = np.random.default_rng(seed).standard_normal(mean.shape)
    squared = float(
        np.mean(
            (clips - model.decode(mean + np.exp(0.5 * log_var) * noise, genre)) ** 2
        )
    )
    row = {
        "rate": kl.sum(),
        "distortion_nats": float(
            optimal_variance_nll(squared, int(np.prod(clips.shape[1:])))
        ),
        "distortion_db": np.sqrt(squared) * features.config.db_per_unit,
        "rate_whole": kl[: model.global_dim].sum(),
        "kl_sorted": json.dumps(np.sort(kl)[::-1].round(3).tolist()),
        "genre_probe_accuracy": genre_probe(model, features),
    }
    if all(name in features.table for name in FACTORS):
        row |= disentanglement_row(model, features)
    return row


def _cluster_row(points, features, prefix=""):
    train, test = features.subset("train"), features.subset("test")
    table = cluster_scores(
        points[0],
        train.genre_index,
        points[1],
        test.genre_index,
        groups=test.table["group"],
    )
    names = {"score": "", "low": "_low", "high": "_high"}
    return {
        f"{prefix}{row}{end}": table.loc[row, name]
        for row in table.index
        for name, end in names.items()
    }


def measure_comparison(model, features, judges, seed=0):
    """Clustering of the latents with intervals, z-leak, and the classification accuracy score of generated clips."""

    def encode(clips):
        return model.encode(features.config.scale(clips))[0]

    train, test = features.subset("train"), features.subset("test")
    points = [in_pieces(encode, part.log_mel) for part in (train, test)]
    check_alignment(encode, test.log_mel, points[1])
    row = _cluster_row(points, features) | {
        "genre_probe_accuracy": genre_probe(model, features)
    }
    if model.num_genres:
        asked = np.sort(
            np.random.default_rng(seed).permutation(train.genre_index)[:300]
        )
        made = model.decode(model.sample_latents(asked, seed=seed), asked)
        row["cas"] = classification_accuracy(
            made, asked, *features.arrays("test"), judges["descriptors"].embedding
        )
    return row


def measure_raw(features, judges, seed=0):
    """The same clustering for raw features, and the ceiling of the classification accuracy score."""
    train, row = features.subset("train"), {}
    for name, points in baseline_points(
        train.log_mel, features.subset("test").log_mel
    ).items():
        row |= _cluster_row(points, features, f"{name}: ")
    some = np.random.default_rng(seed).permutation(len(train))[:300]
    clips, embed = (
        features.config.scale(train.log_mel[some]),
        judges["descriptors"].embedding,
    )
    row["cas"] = classification_accuracy(
        clips, train.genre_index[some], *features.arrays("test"), embed
    )
    return row


def measure_pca(features, judges, seed=0):
    """The scoreboard and the comparison of `PCABaseline`; it has no KL divergence."""
    started = time.perf_counter()
    model = PCABaseline(features)
    row = {"seconds": time.perf_counter() - started, "parameters": model.count_params()}
    row |= evaluate_model(model, features, judges).to_dict() | {
        "kl": np.nan,
        "mutual_information": np.nan,
    }
    return row | measure_comparison(model, features, judges, seed)
