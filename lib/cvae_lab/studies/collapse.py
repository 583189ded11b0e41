"""The sweeps of notebook 05: which recipes collapse, measured alike for complex STFT and for log-mel."""

import time

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cvae_lab.baselines.original_vae import (
    LinearAblation,
    OriginalRamp,
    RepairedVAE,
    fit_original_vae,
)
from cvae_lab.measures import scores
from cvae_lab.measures.scoreboard import latent_row, obedience
from cvae_lab.notebook.weights import fit_model
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
# Is it the theory that errs, or the network? `(linear halves, beta, steps)`, on complex STFT.
LINEAR_PARTS = (
    ((), 0.001, NUM_STEPS),
    ((), 0.4, 1200),
    (("encoder",), 0.4, NUM_STEPS),
    (("decoder",), 0.4, NUM_STEPS),
    (("encoder", "decoder"), 0.4, NUM_STEPS),
    (("encoder", "decoder"), 0.4, 1200),
    (("encoder", "decoder"), 2.0, 1200),
)
NUM_LATENTS = 64
COLLAPSE_BETAS = {
    "log_mel": (4, 8, 16, 24, 40, 70, 120, 250, 700),
    "stft": (0.4, 0.8, 1.0, 1.2, 1.4, 2.0),
}
SIZE = {"width": 64, "dropout": 0.2}
SERIES_SIZE = {"width": 96, "depth": 1, "global_dim": 32, "local_dim": 4}
REMEDIES = {
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
CONCATENATED = {
    "label once, cheap latent": {},
    "label once": {"kl": 1.0},
}  # arguments of a `ConcatCVAE`
LABEL_REMEDIES = {
    "plain": {"discrepancy_weight": 0.0, "swap_weight": 0.0},
    "beta 5": {"discrepancy_weight": 0.0, "swap_weight": 0.0, "kl": 5.0},
    "discrepancy": {"swap_weight": 0.0},
    "listener": {"discrepancy_weight": 0.0},
    "discrepancy and listener": {},
}


def beta_cells():
    """The recipe's network at a fixed beta, no label, no dropout: the measured side of the forecast."""
    own = {"kind": "recipe", "changes": {"width": SIZE["width"], "dropout": 0.0}}
    cells = [
        {
            "name": f"{kind}, beta {beta:g}",
            **own,
            "num_steps": NUM_STEPS,
            "seed": seed,
            "features": kind,
            "beta": beta,
        }
        for seed in SEEDS
        for kind, betas in COLLAPSE_BETAS.items()
        for beta in betas
        if seed == 0 or kind == "log_mel"
    ]
    longer = {
        "name": "log_mel, beta 24, longer",
        **own,
        "seed": 0,
        "features": "log_mel",
        "beta": 24,
    }
    cells += [longer | {"num_steps": num_steps} for num_steps in LONGER_STEPS]
    for halves, beta, num_steps in LINEAR_PARTS:
        cell = {
            "name": f"stft, linear: {' and '.join(halves) or 'nothing'}",
            "kind": "halves",
            "seed": 0,
            "features": "stft",
        }
        cells.append(
            cell
            | {
                "beta": beta,
                "num_steps": num_steps,
                "changes": own["changes"] | {"linear": list(halves)},
            }
        )
    return cells


def remedy_cells():
    """The original's recipe and one change at a time, on both kinds of features; then the series' own model."""
    own, cells = {"kind": "recipe", "num_steps": NUM_STEPS}, []
    for seed in SEEDS:
        for kind in ("stft", "log_mel"):
            for name, changes in REMEDIES.items():
                changes = {"kl": "original", **SIZE, **changes}
                cells.append(
                    {
                        "name": name,
                        **own,
                        "seed": seed,
                        "features": kind,
                        "changes": changes,
                    }
                )
        series = {"kind": "cvae", "features": "log_mel", "changes": SERIES_SIZE}
        cells.append({"name": "series default", **own, "seed": seed, **series})
    return cells


def label_cells():
    """A conditional VAE whose latent is healthy: told the genre once, at every stage, and with what makes it listen."""
    own = {"num_steps": NUM_STEPS, "features": "log_mel"}
    return [
        {
            "name": name,
            "kind": kind,
            **own,
            "seed": seed,
            "changes": SERIES_SIZE | changes,
        }
        for seed in SEEDS
        for kind, remedies in (("deaf", CONCATENATED), ("cvae", LABEL_REMEDIES))
        for name, changes in remedies.items()
    ]


class LevelJudge:
    """Logistic regression on the mean and spread of each band, for features the shipped judges do not fit.

    Args:
        levels: Training clips in dB, shape `(clips, frames, bands)`.
        genre: Their genre indices.
    """

    def __init__(self, levels, genre):
        smooth = (
            levels + np.roll(levels, 1, 1) + np.roll(levels, 1, 2)
        ) / 3.0  # blur is not a genre
        inputs = np.concatenate([self._describe(levels), self._describe(smooth)])
        self.model = make_pipeline(
            StandardScaler(), LogisticRegression(C=0.05, max_iter=300)
        )
        self.model.fit(inputs, np.concatenate([genre, genre]))

    @staticmethod
    def _describe(levels):
        return np.concatenate([levels.mean(axis=1), levels.std(axis=1)], axis=1)

    def predict(self, levels):
        """Genre numbers, shape `(clips,)`."""
        return self.model.predict(self._describe(levels))


def run_beta(cell, features, judges):
    """Trains the recipe without a label at a fixed beta; counts what survived beside what theory expects."""
    data = clips_of(features, cell["features"])
    model, seconds = train_original_vae(cell, data)
    x, genre = data["test"]
    mean, log_var = model.encode(x)
    expected = forecast_active_units(
        pca_spectrum(data["train"][0]), cell["beta"], NUM_LATENTS
    )
    row = _latents(mean, log_var) | {
        "forecast": int(expected),
        "explained": _explained(data, model.decode(mean)),
    }
    return row | {"seconds": seconds}


def run_labelled(cell, features, judges):
    """Trains the recipe, or a `ConditionalVAE` of the series, with a label; measures all of the table of remedies."""
    data = clips_of(features, cell["features"])
    if cell["kind"] == "recipe":
        model, seconds = train_original_vae(cell, data, features.genres)
    else:
        started = time.perf_counter()
        settings = {
            "num_steps": cell["num_steps"],
            "seed": cell["seed"],
            "changes": cell["changes"],
        }
        model, _ = fit_model(cell["kind"], features, **settings, verbose=0)
        seconds = time.perf_counter() - started
    return measure_collapse(model, cell["features"], data, features, judges) | {
        "seconds": seconds
    }


def train_original_vae(cell, data, genres=()):
    """The trained `RepairedVAE` of a cell, or `LinearAblation` for the kind `"halves"`, and the seconds it took.

    Args:
        cell: Dictionary with `seed`, `num_steps`, `changes` and, for a fixed KL weight, `beta`.
        data: What `clips_of` returned.
        genres: Names of the genres, for a model with a label.
    """
    import keras

    clips, genre = data["train"]
    num_steps, seed, changes = (
        cell["num_steps"],
        cell["seed"],
        {"kl": cell.get("beta"), **cell["changes"]},
    )
    if changes["kl"] == "original":
        changes["kl"] = OriginalRamp(num_steps=num_steps)
    keras.utils.set_random_seed(seed)
    config = AudioConfig(num_frames=clips.shape[1], n_mels=clips.shape[2])
    own = {"genres": genres, "global_dim": NUM_LATENTS, "seed": seed, **changes}
    if cell["kind"] == "halves":
        model = LinearAblation(config, **own)
    else:
        model = RepairedVAE(config, encoder_steps=num_steps // 2, **own)
    started = time.perf_counter()
    fit_original_vae(model, clips, genre, num_steps, seed, learning_rate=2e-3)
    return model, time.perf_counter() - started


def _latents(mean, log_var):
    # Active units count axes; directions count what the means span, however they are turned.
    directions = int(np.sum(np.linalg.eigvalsh(np.cov(mean.T)) > 0.01))
    return latent_row(mean, log_var) | {"active_directions": directions}


def _explained(data, rebuilt):
    """Share of the test clips' variance about the mean training clip that the reconstruction explains."""
    x, middle = data["test"][0], data["train"][0].mean(axis=0)
    return float(
        1.0
        - np.sum((x - rebuilt) ** 2, dtype=float)
        / np.sum((x - middle) ** 2, dtype=float)
    )


def measure_collapse(model, kind, data, features, judges, seed=0, num_per_genre=40):
    """All measures of one model with a label, alike for log-mel and for the original's complex STFT.

    Latents for new clips are drawn from one Gaussian for each genre, fitted to the training latents. Each real clip is
    also decoded as one other genre. The judge is the shipped network on log-mel, else a `LevelJudge`.

    Args:
        model: `OriginalVAE` with a label, or `ConditionalVAE`.
        kind: `"log_mel"` or `"stft"`.
        data: What `clips_of` returned.
        features: `FeatureSet`.
        judges: Dictionary with the judge `"cnn"`.
        seed: Seed of all draws.
        num_per_genre: Clips to sample for each genre.

    Returns:
        Dictionary of floats.
    """
    (train, train_genre), (x, genre) = data["train"], data["test"]
    rng, num_genres, config = (
        np.random.default_rng(seed),
        features.num_genres,
        features.config,
    )

    def encode(clips, label):
        return (
            model.encode(clips)
            if isinstance(model, ConditionalVAE)
            else model.encode(clips, label)
        )

    mean, log_var = encode(x, genre)
    fitted = encode(train, train_genre)
    drawn = fitted[0] + np.exp(0.5 * fitted[1]) * rng.standard_normal(fitted[0].shape)
    density = LatentDensity(num_genres, mean.shape[1], num_components=1)
    density.fit(drawn, train_genre, mean, genre, seed)
    asked = np.repeat(np.arange(num_genres, dtype=np.int32), num_per_genre)
    other = (genre + 1 + np.arange(len(genre)) % (num_genres - 1)).astype(
        np.int32
    ) % num_genres
    made = model.decode(density.sample(asked, rng), asked)
    rebuilt, swapped = model.decode(mean, genre), model.decode(mean, other)
    row = _latents(mean, log_var) | {"explained": _explained(data, rebuilt)}
    row["rms_db"] = scores.reconstruction_rms_db(
        levels_db(x, kind, config), levels_db(rebuilt, kind, config)
    )
    row["diversity"] = scores.diversity_ratio(made, asked, x, genre)
    heard = {
        "real": (x, genre),
        "rebuilt": (rebuilt, genre),
        "prior": (made, asked),
        "swap": (swapped, other),
    }
    if kind == "log_mel":
        return row | obedience(judges["cnn"], heard)
    judge = LevelJudge(levels_db(train, kind, config), train_genre)
    return row | obedience(
        judge,
        {
            name: (levels_db(clips, kind, config), labels)
            for name, (clips, labels) in heard.items()
        },
    )
