"""The sweeps of notebooks 04 to 06: which recipes collapse, on STFT and log-mel."""

from __future__ import annotations

import time
from typing import Any

import keras
import numpy as np
from numpy.typing import ArrayLike
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from cvae_lab.baselines.original_vae import (
    LinearAblation,
    OriginalRamp,
    RepairedVAE,
    fit_original_vae,
)
from cvae_lab.judges.descriptors import mean_and_spread
from cvae_lab.measures import scores
from cvae_lab.measures.scoreboard import balanced_genres, latent_row, obedience
from cvae_lab.studies.comparison import fit_cell
from cvae_lab.studies.linear_vae import (
    clips_of,
    forecast_active_units,
    levels_db,
    pca_spectrum,
)
from cvae_music.config import AudioConfig
from cvae_music.models.conditional import ConditionalVAE
from cvae_music.models.latent_density import LatentDensity

SEEDS = (0, 1, 2)
NUM_STEPS = 300
LONGER_STEPS = (1200, 2400)  # does time close the gap to the forecast?
# Does the theory fail, or do the networks depart from it? `(linear networks, beta,
# steps)`, on complex STFT.
LINEAR_ABLATIONS = (
    ((), 0.001, NUM_STEPS),
    ((), 0.4, 1200),
    (("encoder",), 0.4, NUM_STEPS),
    (("decoder",), 0.4, NUM_STEPS),
    (("encoder", "decoder"), 0.4, NUM_STEPS),
    (("encoder", "decoder"), 0.4, 1200),
    (("encoder", "decoder"), 2.0, 1200),
)
NUM_LATENTS = 64
NUM_PER_GENRE = 40  # clips that are sampled
COLLAPSE_BETAS = {
    "log_mel": (4, 8, 16, 24, 40, 70, 120, 250, 700),
    "stft": (0.4, 0.8, 1.0, 1.2, 1.4, 2.0),
}
SIZE = {"width": 64, "dropout": 0.2}
SERIES_SIZE = {"width": 96, "depth": 1, "global_dim": 32, "local_dim": 4}
REMEDIES: dict[str, dict[str, Any]] = {
    "original recipe": {},
    "optimal variance": {"likelihood": "optimal", "kl": 1.0},
    "linear warm-up": {
        "kl": {"name": "linear", "weight": 2.0, "warmup_steps": NUM_STEPS // 2}
    },
    "cyclical": {
        "kl": {"name": "cyclical", "weight": 2.0, "cycle_steps": NUM_STEPS // 4}
    },
    "free bits": {"kl": {"name": "free_bits", "weight": 2.0, "bits": 0.5}},
    "capacity": {
        "kl": {
            "name": "capacity",
            "weight": 10.0,
            "capacity": 25.0,
            "growth_steps": NUM_STEPS // 2,
        }
    },
    "target KL": {"kl": {"name": "target_kl", "target": 50.0, "rate": 0.05}},
    "mean batch norm": {"mean_norm": 0.5},
    "aggressive encoder": {"encoder_turns": 3},
    "latent at every stage": {"every_stage": True},
    "optimal variance, latent at every stage": {
        "likelihood": "optimal",
        "kl": 1.0,
        "every_stage": True,
    },
}
# Arguments of a `ConcatCVAE`. Names of cells do not change: their rows belong to them.
CONCATENATED: dict[str, dict[str, Any]] = {
    "label once, cheap latent": {},
    "label once": {"kl": 1.0},
    "label once, mean shift": {"kl": 1.0, "fit_mean_shift": True},
}
AT_EVERY_STAGE: dict[str, dict[str, Any]] = {
    "plain": {"fit_mean_shift": False},
    "beta 5": {"fit_mean_shift": False, "kl": 5.0},
    "mean shift": {},
}


def _cell(name, kind, features, seed, changes, **others):
    cell = {"name": name, "kind": kind, "features": features, "seed": seed}
    return cell | {"num_steps": NUM_STEPS, "changes": changes} | others


def beta_cells() -> list[dict[str, Any]]:
    """Lists trainings of the original's network at a fixed beta, without a label.

    They are the measured side of the forecast.
    """
    own = {"width": SIZE["width"], "dropout": 0.0}
    cells = []
    for seed in SEEDS:
        for kind, betas in COLLAPSE_BETAS.items():
            if seed and kind != "log_mel":
                continue
            for beta in betas:
                name = f"{kind}, beta {beta:g}"
                cells.append(_cell(name, "recipe", kind, seed, own, beta=beta))
    for num_steps in LONGER_STEPS:
        cell = _cell("log_mel, beta 24, longer", "recipe", "log_mel", 0, own, beta=24)
        cells.append(cell | {"num_steps": num_steps})
    for linear, beta, num_steps in LINEAR_ABLATIONS:
        name = f"stft, linear: {' and '.join(linear) or 'nothing'}"
        changes = own | {"linear": list(linear)}
        cell = _cell(name, "halves", "stft", 0, changes, beta=beta)
        cells.append(cell | {"num_steps": num_steps})
    return cells


def remedy_cells() -> list[dict[str, Any]]:
    """Lists the original's recipe with one change at a time, and the series' own model.

    The recipe is trained on both kinds of features.
    """
    recipe = {"kl": "original", **SIZE}
    cells = []
    for seed in SEEDS:
        for kind in ("stft", "log_mel"):
            for name, changes in REMEDIES.items():
                cells.append(_cell(name, "recipe", kind, seed, recipe | changes))
        cells.append(_cell("series default", "cvae", "log_mel", seed, SERIES_SIZE))
    return cells


def label_cells() -> list[dict[str, Any]]:
    """Lists conditional VAEs with an active latent that get their label differently.

    They are given the genre once or at every stage, without and with the mean shift.
    """
    cells = []
    for seed in SEEDS:
        for kind, variants in (("deaf", CONCATENATED), ("cvae", AT_EVERY_STAGE)):
            for name, changes in variants.items():
                sizes = SERIES_SIZE | changes
                cells.append(_cell(name, kind, "log_mel", seed, sizes))
    return cells


def fit_level_judge(levels: np.ndarray, genre: ArrayLike) -> Pipeline:
    """Fits a logistic regression to the mean and spread of each band over time.

    It judges features that the shipped judges do not fit.

    Args:
        levels: Training clips in dB, shape `(clips, frames, bands)`; smoothed copies of
            them are added.
        genre: Their genre indices, shape `(clips,)`.

    Returns:
        A scikit-learn pipeline with `predict(levels)`.

    Example:
        >>> levels = np.random.default_rng(0).standard_normal((8, 4, 3))
        >>> levels[::2] += 9.0
        >>> fit_level_judge(levels, [0, 1] * 4).predict(levels).tolist()
        [0, 1, 0, 1, 0, 1, 0, 1]
    """
    # Blur is not a genre.
    smooth = (levels + np.roll(levels, 1, 1) + np.roll(levels, 1, 2)) / 3.0
    judge = make_pipeline(
        FunctionTransformer(mean_and_spread),
        StandardScaler(),
        LogisticRegression(C=0.05, max_iter=300),
    )
    return judge.fit(np.concatenate([levels, smooth]), np.concatenate([genre, genre]))


def run_beta(
    cell: dict[str, Any], features: Any, judges: dict[str, Any]
) -> dict[str, Any]:
    """Trains the recipe without a label at a fixed beta; counts active units.

    Args:
        cell: One of `beta_cells`.
        features: `FeatureSet`.
        judges: Not used.

    Returns:
        Dictionary: the measures of the latents, beside `forecast`, the number of active
        units that the theory of linear VAEs expects.
    """
    data = clips_of(features, cell["features"])
    model, seconds = train_original_vae(cell, data)
    mean, log_var = model.encode(data["test"][0])
    spectrum = pca_spectrum(data["train"][0])
    row = _latent_measures(mean, log_var)
    row["forecast"] = int(forecast_active_units(spectrum, cell["beta"], NUM_LATENTS))
    row["explained"] = _explained(data, model.decode(mean))
    return row | {"seconds": seconds}


def run_labelled(
    cell: dict[str, Any], features: Any, judges: dict[str, Any]
) -> dict[str, Any]:
    """Trains the recipe or a model of the series with a label; measures it.

    Args:
        cell: One of `remedy_cells` or `label_cells`.
        features: `FeatureSet`.
        judges: Dictionary with the judge `"cnn"`.

    Returns:
        Dictionary: what `measure_collapse` returns, and `seconds`.
    """
    data = clips_of(features, cell["features"])
    if cell["kind"] == "recipe":
        model, seconds = train_original_vae(cell, data, features.genres)
    else:
        model, trained = fit_cell(cell, features)
        seconds = trained["seconds"]
    row = measure_collapse(model, cell["features"], data, features, judges)
    return row | {"seconds": seconds}


def train_original_vae(
    cell: dict[str, Any], data: dict[str, Any], genres: tuple[str, ...] = ()
) -> tuple[keras.Model, float]:
    """Trains the `RepairedVAE` of a cell, or `LinearAblation` for the kind `"halves"`.

    Args:
        cell: Dictionary with `seed`, `num_steps`, `changes` and, for a fixed KL weight,
            `beta`.
        data: What `clips_of` returned.
        genres: Names of the genres, for a model with a label.

    Returns:
        `(model, seconds)`.

    Example:
        >>> cell = beta_cells()[0]
        >>> data = clips_of(features, cell["features"])  # doctest: +SKIP
        >>> model, seconds = train_original_vae(cell, data)  # doctest: +SKIP
    """
    clips, genre = data["train"]
    seed = cell["seed"]
    num_steps = cell["num_steps"]
    kwargs = {"genres": genres, "global_dim": NUM_LATENTS, "seed": seed}
    kwargs |= {"kl": cell.get("beta"), **cell["changes"]}
    if kwargs["kl"] == "original":
        kwargs["kl"] = OriginalRamp(num_steps=num_steps)
    keras.utils.set_random_seed(seed)
    config = AudioConfig(num_frames=clips.shape[1], n_mels=clips.shape[2])
    if cell["kind"] == "halves":
        model = LinearAblation(config, **kwargs)
    else:
        model = RepairedVAE(config, encoder_steps=num_steps // 2, **kwargs)
    started = time.perf_counter()
    fit_original_vae(model, clips, genre, num_steps, seed, learning_rate=2e-3)
    return model, time.perf_counter() - started


def _latent_measures(mean, log_var):
    # Active units count axes; directions count what the means span, in any rotation.
    directions = int(np.sum(np.linalg.eigvalsh(np.cov(mean.T)) > 0.01))
    return latent_row(mean, log_var) | {"active_directions": directions}


def _explained(data, rebuilt):
    """Returns the explained share of the variance about the mean training clip."""
    x = data["test"][0]
    middle = data["train"][0].mean(axis=0)
    error = np.sum((x - rebuilt) ** 2, dtype=float)
    return float(1.0 - error / np.sum((x - middle) ** 2, dtype=float))


def measure_collapse(
    model: Any,
    kind: str,
    data: dict[str, Any],
    features: Any,
    judges: dict[str, Any],
) -> dict[str, Any]:
    """Measures one model with a label, alike for log-mel and complex STFT.

    Latents for new clips are drawn from one Gaussian for each genre, fitted to the
    training latents: `class_conditional` clips from that of the genre asked for,
    `fresh` ones from those of all genres equally often. Each real clip is also decoded
    as one other genre. The judge is the shipped network on log-mel, else that of
    `fit_level_judge`; its shares are averaged over genres. Log-mel clips are clipped to
    [-1, 1] before they are compared or judged.

    Args:
        model: `OriginalVAE` with a label, or `ConditionalVAE`.
        kind: `"log_mel"` or `"stft"`.
        data: What `clips_of` returned.
        features: `FeatureSet`.
        judges: Dictionary with the judge `"cnn"`.

    Returns:
        Dictionary of floats.

    Example:
        >>> data = clips_of(features, "log_mel")  # doctest: +SKIP
        >>> measure_collapse(model, "log_mel", data, features, judges)  # doctest: +SKIP
    """
    train, train_genre = data["train"]
    x, genre = data["test"]
    config = features.config
    num_genres = features.num_genres
    rng = np.random.default_rng(0)
    if isinstance(model, ConditionalVAE):
        mean, log_var = model.encode(x)
        train_mean, train_log_var = model.encode(train)
    else:
        mean, log_var = model.encode(x, genre)
        train_mean, train_log_var = model.encode(train, train_genre)
    noise = rng.standard_normal(train_mean.shape)
    drawn = train_mean + np.exp(0.5 * train_log_var) * noise
    density = LatentDensity(num_genres, mean.shape[1], num_components=1)
    density.fit(drawn, train_genre, mean, genre)
    asked, sources = balanced_genres(num_genres, NUM_PER_GENRE)
    steps = 1 + np.arange(len(genre)) % (num_genres - 1)
    other = ((genre + steps) % num_genres).astype(np.int32)
    made = model.decode(density.sample(asked, rng), asked)
    rebuilt = model.decode(mean, genre)
    swapped = model.decode(mean, other)
    fresh = model.decode(density.sample(sources, rng), asked)

    row = _latent_measures(mean, log_var)
    row["explained"] = _explained(data, rebuilt)
    row["rms_db"] = scores.reconstruction_rms_db(
        levels_db(x, kind, config), levels_db(rebuilt, kind, config)
    )
    sets = {
        "real": (x, genre),
        "rebuilt": (rebuilt, genre),
        "fresh": (fresh, asked),
        "class_conditional": (made, asked),
        "swap": (swapped, other),
    }
    if kind == "log_mel":
        for name, (clips, labels) in sets.items():
            sets[name] = (np.clip(clips, -1.0, 1.0), labels)
    row["diversity"] = scores.diversity_ratio(*sets["class_conditional"], *sets["real"])
    if kind == "log_mel":
        return row | obedience(judges["cnn"], sets)
    judge = fit_level_judge(levels_db(train, kind, config), train_genre)
    for name, (clips, labels) in sets.items():
        sets[name] = (levels_db(clips, kind, config), labels)
    return row | obedience(judge, sets)
