"""What the sliders of the studio do to a latent, measured on the training split and kept in a small file."""

import dataclasses
import hashlib
import io

import numpy as np
import pandas as pd

from cvae_music import store
from cvae_music.attributes import latent_effects, log_mel_attributes, strongest_latents

# Attributes with a slider, and its name; the tempo needs none, it belongs to the resynthesis.
SLIDERS = {"brightness_hz": "brightness", "onsets_per_beat": "density", "level_db": "level", "bass_db": "bass"}
NUM_DIMENSIONS, NUM_IDEAS = 6, 48  # sliders, and clips on which each is tried


@dataclasses.dataclass(frozen=True)
class Controls:
    """What was measured of a model for the studio.

    Args:
        fingerprint: Of the model's weights, see `fingerprint`.
        directions: Dict of slider name to steps in latent space, shape `(num_genres, latent_dim)`, one row for a
            model without a label: one standard deviation of that attribute within the genre, the other sliders'
            attributes held.
        dimensions: Dict of latent dimension to the name of what it was measured to do.
        spread: Standard deviation of the posterior means over clips, shape `(latent_dim,)`.
        axes: Two orthogonal directions of most variance, shape `(2, latent_dim)`; the map's axes.
        latents: Posterior means of the clips on the map, shape `(points, latent_dim)`.
        table: Their rows of `FeatureSet.table`.
    """

    fingerprint: str
    directions: dict
    dimensions: dict
    spread: np.ndarray
    axes: np.ndarray
    latents: np.ndarray
    table: pd.DataFrame

    @property
    def points(self):
        """Where the clips lie on the map, shape `(points, 2)`."""
        return self.latents @ self.axes.T

    def turn(self, latent, sliders=None, dimensions=None, weights=None):
        """Moves a latent by sliders (standard deviations of the attribute) and single dimensions (of the dimension).

        Args:
            latent: Float array, shape `(latent_dim,)`.
            sliders: Dict of slider name to amount.
            dimensions: Dict of latent dimension to amount.
            weights: Genre weights that sum to 1, shape `(num_genres,)`: what makes strings busier is not what does so
                for drums. None takes the mean over genres.

        Returns:
            Float32 array, shape `(latent_dim,)`.

        Raises:
            ValueError: If a slider or dimension is unknown.
        """
        latent = np.array(latent, np.float32)
        for name, amount in (sliders or {}).items():
            if name not in self.directions:
                raise ValueError(f"turn got the slider {name!r}; expected some of {list(self.directions)}.")
            steps = self.directions[name]
            latent += amount * (steps.mean(axis=0) if weights is None else np.asarray(weights, np.float32) @ steps)
        for dimension, amount in (dimensions or {}).items():
            if not 0 <= dimension < len(latent):
                raise ValueError(f"turn got the dimension {dimension}; expected 0 to {len(latent) - 1}.")
            latent[dimension] += amount * self.spread[dimension]
        return latent

    def move_to(self, latent, at):
        """The same latent at another place of the map: what the map does not show stays."""
        shift = np.asarray(at, np.float32) - latent @ self.axes.T
        return (latent + shift @ self.axes).astype(np.float32)

    def nearest(self, at):
        """Row of the clip nearest to a place of the map."""
        return int(np.square(self.points - np.asarray(at)).sum(axis=1).argmin())

    def save(self, path):
        """Writes everything to one `.npz` file."""
        about = {
            "fingerprint": self.fingerprint,
            "sliders": list(self.directions),
            "dimensions": {str(number): name for number, name in self.dimensions.items()},
            "table": self.table.to_csv(index=False),
        }
        arrays = {name: getattr(self, name).astype(np.float16) for name in ("spread", "axes", "latents")}
        arrays["directions"] = np.array(list(self.directions.values()), np.float16)
        store.save_arrays(path, about, arrays)


def load_controls(path):
    """Reads what `Controls.save` wrote."""
    about, arrays = store.load_arrays(path)
    directions = dict(zip(about["sliders"], arrays.pop("directions"), strict=True))
    dimensions = {int(number): name for number, name in about["dimensions"].items()}
    table = pd.read_csv(io.StringIO(about["table"]), keep_default_na=False)
    return Controls(about["fingerprint"], directions, dimensions, table=table, **arrays)


def fingerprint(model):
    """Ten hexadecimal digits that change with the model's weights."""
    digest = hashlib.sha256()
    for value in (*model.encoder.weights, *model.decoder.weights):
        digest.update(np.asarray(value, np.float16).tobytes())
    return digest.hexdigest()[:10]


def shipped_controls(model):
    """The controls that ship with a preset.

    Raises:
        ValueError: If none were measured of these weights.
    """
    for path in store.WEIGHTS.glob("controls_*.npz"):
        controls = load_controls(path)
        if controls.fingerprint == fingerprint(model):
            return controls
    raise ValueError("No controls ship with these weights. Measure them: fit_controls(model, features).")


def attribute_directions(model, latents, genre, num_pairs=1500, seed=0):
    """Steps in latent space that raise one attribute by one standard deviation and hold the others.

    Random steps are taken from the latents of training clips, forwards and backwards; a linear regression
    of the change in each attribute on the step gives its slope, and the pseudo-inverse of all slopes
    gives steps that change one attribute at a time. Each genre has its own, for the decoder does not make
    its notes from the same places in the latent.

    Args:
        model: `VAE` or `ConditionalVAE`.
        latents: Where to start from, shape `(clips, latent_dim)`.
        genre: Genre indices, shape `(clips,)`.
        num_pairs: Random steps for each genre.
        seed: Seed of the steps.

    Returns:
        Dict of slider name to float32 array, shape `(num_genres, latent_dim)`; one row for a model without a label.
    """
    rng, config = np.random.default_rng(seed), model.audio_config
    names, per_genre = list(SLIDERS), []
    for label in range(max(1, model.num_genres)):
        own = np.flatnonzero(genre == label) if model.num_genres else np.arange(len(latents))
        starts = latents[rng.choice(own if len(own) else len(latents), num_pairs)]  # any, where a genre has no clip
        steps = rng.standard_normal(starts.shape).astype(np.float32)
        labels = np.full(num_pairs, label)
        ends = [config.unscale(model.decode(starts + side * steps, labels)) for side in (1.0, -1.0)]
        forwards, backwards = (log_mel_attributes(end, config)[names].to_numpy() for end in ends)
        change = (forwards - backwards) / 2.0 / (np.concatenate([forwards, backwards]).std(axis=0) + 1e-9)
        ridge = 0.05 * num_pairs * np.eye(steps.shape[1])
        slopes = np.linalg.solve(steps.T @ steps + ridge, steps.T @ change)
        per_genre.append(slopes @ np.linalg.inv(slopes.T @ slopes + 1e-3 * np.eye(len(names))))
    return {SLIDERS[name]: np.stack(per_genre)[:, :, k].astype(np.float32) for k, name in enumerate(names)}


def fit_controls(model, features, seed=0, num_points=240, num_pairs=1500):
    """Measures what the studio needs, on the training split alone; less than a minute on one core for six genres.

    Args:
        model: `VAE` or `ConditionalVAE`.
        features: `FeatureSet`.
        seed: Seed of the random steps.
        num_points: Clips on the map.
        num_pairs: Random steps for each genre, see `attribute_directions`.

    Returns:
        `Controls`.
    """
    train = features.subset("train")
    rows = np.unique(np.linspace(0, len(train) - 1, min(num_points, len(train))).astype(int))
    clips, genre = features.config.scale(train.log_mel[rows]), train.genre_index[rows]
    latents = model.encode(clips)[0]
    strongest = strongest_latents(model, features, NUM_DIMENSIONS, whole_only=True)
    effects = latent_effects(model, features, strongest, num_ideas=NUM_IDEAS)
    names = {int(k): f"{k}: {name.split(': ')[1]}" for k, name in zip(effects["dimension"], effects["name"], strict=True)}
    axes = np.linalg.svd(latents - latents.mean(axis=0), full_matrices=False)[2][:2]
    directions = attribute_directions(model, latents, genre, num_pairs, seed)
    table = train.table.iloc[rows].reset_index(drop=True)
    directions = {name: _as_stored(step) for name, step in directions.items()}
    arrays = map(_as_stored, (latents.std(axis=0), axes, latents))
    return Controls(fingerprint(model), directions, names, *arrays, table)


def _as_stored(array):
    """In half precision, so that what is saved and loaded makes the same samples."""
    return np.asarray(array, np.float16).astype(np.float32)
