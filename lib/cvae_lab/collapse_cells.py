"""The sweeps of notebook 04: which recipes collapse, measured alike for complex STFT and for log-mel."""

import time

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cvae_lab import evaluation
from cvae_lab.collapse import forecast_active_units, pca_spectrum, stft_clips
from cvae_lab.session import cache_folder
from cvae_music.store import write_file

SEEDS = (0, 1, 2)
STFT_FORMAT = 1  # to be raised when what `stft_clips` returns changes
NUM_STEPS = 300
LONGER = (1200, 2400)  # does time close the gap to the forecast?
NUM_LATENTS = 64
BETAS = {"log_mel": (4, 8, 16, 24, 40, 70, 120, 250, 700), "stft": (0.4, 0.8, 1.0, 1.2, 1.4, 2.0)}
SIZE = {"width": 64, "dropout": 0.2}
SERIES_SIZE = {"width": 96, "depth": 1, "global_dim": 32, "local_dim": 4}
REMEDIES = {
    "original recipe": {},
    "optimal variance": {"likelihood": "optimal", "kl": 1.0},
    "linear warm-up": {"kl": {"name": "linear", "weight": 2.0, "warmup_steps": NUM_STEPS // 2}},
    "cyclical": {"kl": {"name": "cyclical", "weight": 2.0, "cycle_steps": NUM_STEPS // 4}},
    "free bits": {"kl": {"name": "free_bits", "weight": 2.0, "bits": 0.5}},
    "capacity": {"kl": {"name": "capacity", "weight": 10.0, "capacity": 25.0, "growth_steps": NUM_STEPS // 2}},
    "target KL": {"kl": {"name": "target_kl", "target": 50.0, "rate": 0.05}},
    "mean batch norm": {"mean_norm": 0.5},
    "aggressive encoder": {"encoder_turns": 3},
    "latent at every stage": {"every_stage": True},
    "optimal variance, latent at every stage": {"likelihood": "optimal", "kl": 1.0, "every_stage": True},
}
LABEL_REMEDIES = {
    "plain": {"discrepancy_weight": 0.0, "swap_weight": 0.0},
    "beta 5": {"discrepancy_weight": 0.0, "swap_weight": 0.0, "kl": 5.0},
    "discrepancy": {"swap_weight": 0.0},
    "listener": {"discrepancy_weight": 0.0},
    "discrepancy and listener": {},
}


def beta_cells():
    """The recipe's network at a fixed beta, no label, no dropout: the measured side of the forecast."""
    own = {"kind": "collapse_cells:measure_beta", "changes": {"width": SIZE["width"], "dropout": 0.0}}
    cells = [
        {"name": f"{kind}, beta {beta:g}", **own, "num_steps": NUM_STEPS, "seed": seed, "features": kind, "beta": beta}
        for seed in SEEDS
        for kind, betas in BETAS.items()
        for beta in betas
        if seed == 0 or kind == "log_mel"
    ]
    longer = {"name": "log_mel, beta 24, longer", **own, "seed": 0, "features": "log_mel", "beta": 24}
    return cells + [longer | {"num_steps": num_steps} for num_steps in LONGER]


def remedy_cells():
    """The original's recipe and one change at a time, on both kinds of features; then the series' own model."""
    own, cells = {"kind": "collapse_cells:measure_recipe", "num_steps": NUM_STEPS}, []
    for seed in SEEDS:
        for kind in ("stft", "log_mel"):
            for name, changes in REMEDIES.items():
                changes = {"kl": "original", **SIZE, **changes}
                cells.append({"name": name, **own, "seed": seed, "features": kind, "changes": changes})
        series = {"kind": "collapse_cells:measure_series", "features": "log_mel", "changes": SERIES_SIZE}
        cells.append({"name": "series default", **own, "seed": seed, **series})
    return cells


def label_cells():
    """A ConditionalVAE whose latent is healthy, without and with what makes it listen to its label."""
    own = {"kind": "collapse_cells:measure_series", "num_steps": NUM_STEPS, "features": "log_mel"}
    return [
        {"name": name, **own, "seed": seed, "changes": SERIES_SIZE | changes}
        for seed in SEEDS
        for name, changes in LABEL_REMEDIES.items()
    ]


def clips_of(features, kind):
    """Training and test clips as `"log_mel"` or `"stft"`; the STFT is made once and kept beside the features.

    Returns:
        Dictionary split -> `(x, genre)`; for the STFT also `"scale"`, see `stft_clips`.
    """
    if kind == "log_mel":
        return {split: features.arrays(split) for split in ("train", "test")}
    path = cache_folder() / f"stft-{STFT_FORMAT}-{features.path.name}.npz"
    if not path.exists():
        made = stft_clips(features)
        parts = {f"{split}_{k}": made[split][k] for split in ("train", "test") for k in range(2)}
        parts = {name: part.astype(np.float16) if part.ndim == 3 else part for name, part in parts.items()}
        write_file(path, lambda file: np.savez(file, scale=made["scale"], **parts))
    with np.load(path) as file:
        found = {k: (file[f"{k}_0"].astype(np.float32), file[f"{k}_1"].astype(np.int32)) for k in ("train", "test")}
        return found | {"scale": file["scale"]}


def levels_db(x, kind, config):
    """Clips as levels in dB, `(clips, 128, 128)`: what both kinds of features can be compared by."""
    if kind == "log_mel":
        return config.unscale(x)
    half = x.shape[2] // 2
    power = 256.0 * (x[..., :half] ** 2 + x[..., half:] ** 2)  # a typical cell reads 3 dB
    return 10.0 * np.log10(np.maximum(power, 1e-5))


class LevelJudge:
    """Logistic regression on the mean and spread of each band, for features the shipped judges do not fit.

    Args:
        levels: Training clips in dB, shape `(clips, frames, bands)`.
        genre: Their genre indices.
    """

    def __init__(self, levels, genre):
        smooth = (levels + np.roll(levels, 1, 1) + np.roll(levels, 1, 2)) / 3.0  # blur is not a genre
        inputs = np.concatenate([self._describe(levels), self._describe(smooth)])
        self.model = make_pipeline(StandardScaler(), LogisticRegression(C=0.05, max_iter=300))
        self.model.fit(inputs, np.concatenate([genre, genre]))

    @staticmethod
    def _describe(levels):
        return np.concatenate([levels.mean(axis=1), levels.std(axis=1)], axis=1)

    def predict(self, levels):
        """Genre numbers, shape `(clips,)`."""
        return self.model.predict(self._describe(levels))


def measure_beta(cell, features, judges):
    """Trains without a label at a fixed beta; counts what survived beside what theory expects."""
    data = clips_of(features, cell["features"])
    model, seconds = train_recipe(cell, data, kl=float(cell["beta"]))
    x, genre = data["test"]
    mean, log_var = model.encode(x, genre)
    expected = forecast_active_units(pca_spectrum(data["train"][0]), cell["beta"], NUM_LATENTS)
    found = _latent_measures(mean, log_var)
    return found | {"forecast": int(expected), "explained": _explained(data, model.decode(mean, genre)), "seconds": seconds}


def measure_recipe(cell, features, judges):
    """Trains a `RecipeVAE` with a label and measures everything of the ablation table."""
    data = clips_of(features, cell["features"])
    model, seconds = train_recipe(cell, data, num_genres=features.num_genres)
    return score(model, cell["features"], data, features, judges) | {"seconds": seconds}


def measure_series(cell, features, judges):
    """Trains a `ConditionalVAE` of the series and measures it in the same way."""
    from cvae_lab.pretrained import fit_series_model

    started = time.perf_counter()
    settings = {"num_steps": cell["num_steps"], "seed": cell["seed"], "changes": cell["changes"]}
    model, _ = fit_series_model("cvae", features, **settings, verbose=0)
    seconds = time.perf_counter() - started
    return score(model, "log_mel", clips_of(features, "log_mel"), features, judges) | {"seconds": seconds}


def train_recipe(cell, data, **extra):
    """The trained `RecipeVAE` of a cell, and the seconds it took.

    Args:
        cell: Dictionary with `seed`, `num_steps` and `changes`.
        data: What `clips_of` returned.
        **extra: More arguments of `RecipeVAE`.
    """
    import keras

    from cvae_lab.recipe import RecipeVAE, fit_recipe

    keras.utils.set_random_seed(cell["seed"])
    own = {"latent_dim": NUM_LATENTS, "num_steps": cell["num_steps"], "seed": cell["seed"]}
    model = RecipeVAE(data["train"][0].shape[1:], **own, **extra, **cell["changes"])
    started = time.perf_counter()
    fit_recipe(model, *data["train"], cell["num_steps"], cell["seed"], learning_rate=2e-3)
    return model, time.perf_counter() - started


def _encode(model, x, genre):
    return model.encode(x, genre) if hasattr(model, "likelihood") else model.encode(x)


def _latent_measures(mean, log_var):
    # Active units count axes; directions count what the means span, however they are turned.
    spread = np.linalg.eigvalsh(np.cov(mean.T))
    return {
        "active_units": evaluation.active_units(mean),
        "active_directions": int(np.sum(spread > 0.01)),
        "kl": float(evaluation.kl_per_dimension(mean, log_var).sum()),
        "mutual_information": evaluation.mutual_information(mean, log_var),
    }


def _explained(data, rebuilt):
    """Share of the test clips' variance about the mean training clip that the reconstruction explains."""
    x, middle = data["test"][0], data["train"][0].mean(axis=0)
    return float(1.0 - np.sum((x - rebuilt) ** 2, dtype=float) / np.sum((x - middle) ** 2, dtype=float))


def score(model, kind, data, features, judges, seed=0, num_per_genre=40):
    """All measures of one model with a label.

    Latents for new clips are drawn from one Gaussian for each genre, fitted to the training latents. Each real clip is
    also decoded as one other genre. The judge is the shipped network on log-mel, else a `LevelJudge`.

    Args:
        model: `RecipeVAE` with a label, or `ConditionalVAE`.
        kind: `"log_mel"` or `"stft"`.
        data: What `clips_of` returned.
        features: `FeatureSet`.
        judges: Dictionary with the judge `"cnn"`.
        seed: Seed of all draws.
        num_per_genre: Clips to sample for each genre.

    Returns:
        Dictionary of floats.
    """
    from cvae_music.models.density import LatentDensity

    (train, train_genre), (x, genre) = data["train"], data["test"]
    rng, num_genres, config = np.random.default_rng(seed), features.num_genres, features.config
    mean, log_var = _encode(model, x, genre)
    fitted = _encode(model, train, train_genre)
    drawn = fitted[0] + np.exp(0.5 * fitted[1]) * rng.standard_normal(fitted[0].shape)
    density = LatentDensity(num_genres, mean.shape[1], num_components=1)
    density.fit(drawn, train_genre, mean, genre, seed)
    asked = np.repeat(np.arange(num_genres, dtype=np.int32), num_per_genre)
    other = (genre + 1 + np.arange(len(genre)) % (num_genres - 1)).astype(np.int32) % num_genres
    made = model.decode(density.sample(asked, rng), asked)
    rebuilt, swapped = model.decode(mean, genre), model.decode(mean, other)
    if kind == "log_mel":
        judge, hear = judges["cnn"], np.asarray
    else:
        judge, hear = LevelJudge(levels_db(train, kind, config), train_genre), lambda x: levels_db(x, kind, config)
    row = _latent_measures(mean, log_var) | {"explained": _explained(data, rebuilt), "parameters": model.count_params()}
    row["rms_db"] = evaluation.reconstruction_rms_db(levels_db(x, kind, config), levels_db(rebuilt, kind, config))
    row["diversity"] = evaluation.diversity_ratio(made, asked, x, genre)
    heard = {"real": (x, genre), "rebuilt": (rebuilt, genre), "prior": (made, asked), "swap": (swapped, other)}
    return row | {name: evaluation.label_obedience(judge, hear(clips), labels) for name, (clips, labels) in heard.items()}
