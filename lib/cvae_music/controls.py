"""What a latent does to a clip, and the sliders and the map of the studio."""

import dataclasses
import functools
import hashlib
import numbers
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from cvae_music import saving, serialization
from cvae_music.attributes import ATTRIBUTE_WORDS, log_mel_attributes
from cvae_music.config import check_number
from cvae_music.data.cache import read_table
from cvae_music.data.features import FeatureSet, spread_rows
from cvae_music.models.base import ClipModel
from cvae_music.models.losses import gaussian_kl

# Attributes with a slider, and its name. The tempo is set by the resynthesis.
SLIDERS = {
    "brightness_hz": "brightness",
    "onsets_per_beat": "density",
    "level_db": "level",
    "bass_db": "bass",
}
SMALLEST_EFFECT = 0.25  # standard deviations; a smaller effect does not count
NUM_DIMENSIONS = 6  # latent dimensions with a slider
ARRAYS = ("latent_std", "axes", "latents")  # stored under their names in `Controls`


def training_clips(
    model: ClipModel, features: FeatureSet, num_clips: int
) -> tuple[np.ndarray, np.ndarray, pd.DataFrame]:
    """Loads training clips, evenly spread over the training split.

    Args:
        model: Any model of the series.
        features: `FeatureSet`.
        num_clips: Number of clips at most.

    Returns:
        Scaled clips, shape `(clips, num_frames, n_mels)`, genre indices, shape
        `(clips,)`, and their rows of the table.

    Raises:
        ValueError: If the features have another `AudioConfig` or other genres than the
            model, or fewer than two clips are for training.
    """
    model.audio_config.check_compatible(features, model.genres)
    train = features.subset("train")
    check_number("number of training clips", len(train), 2)
    rows = spread_rows(len(train), num_clips)
    clips = features.config.scale(train.log_mel[rows])
    table = train.table.iloc[rows].reset_index(drop=True)
    return clips, train.genre_index[rows], table


def latent_effects(
    model: ClipModel,
    features: FeatureSet,
    dimensions: Iterable[int] | None = None,
    num_seeds: int = 12,
) -> pd.DataFrame:
    """Measures what latent dimensions do to decoded clips, in standard deviations.

    The latents of some training clips are decoded with one dimension two standard
    deviations below and above its mean and all else unchanged. The effect is the mean
    change of each attribute, in its standard deviations over the clips. A dimension
    is named by its largest effect, and by the next where that is large enough.

    Args:
        model: Any model of the series with a posterior, such as `VAE`.
        features: `FeatureSet`.
        dimensions: Dimensions to measure; None for the six of highest KL divergence
            among those that describe the whole clip.
        num_seeds: Number of clips whose latents are perturbed.

    Returns:
        DataFrame, a row a dimension, highest KL first: `dimension`, `kl` (nats),
        `name`, and `effect_<attribute>`.

    Raises:
        ValueError: As `training_clips`, or if `num_seeds` is no whole number of at
            least 1.

    Example:
        >>> from cvae_music import VAE, AudioConfig, FeatureSet
        >>> config = AudioConfig(n_mels=16)
        >>> table = pd.DataFrame({"genre": "jazz", "split": ["train"] * 3})
        >>> clips = np.random.default_rng(0).normal(-40.0, 9.0, (3, 128, 16))
        >>> features = FeatureSet(config, ("jazz",), table, clips, table[:0])
        >>> model = VAE(config, width=40, depth=1)
        >>> list(latent_effects(model, features, [5]))[:4]
        ['dimension', 'kl', 'name', 'effect_level_db']
    """
    check_number("num_seeds", num_seeds, 1)
    clips, genre, _ = training_clips(model, features, 500)
    mean, log_var = model.encode(clips)
    kl = np.mean(gaussian_kl(mean, log_var), axis=0)
    if dimensions is None:
        dimensions = np.argsort(-kl[: model.global_dim])[:NUM_DIMENSIONS]
    attributes = log_mel_attributes(features.config.unscale(clips), features.config)
    attribute_std = attributes.std() + 1e-9
    seeds = spread_rows(len(clips), num_seeds)
    rows = []
    for dimension in dimensions:
        extremes = []
        for side in (-2.0, 2.0):
            perturbed = mean[seeds].copy()
            value = mean[:, dimension].mean() + side * mean[:, dimension].std()
            perturbed[:, dimension] = value
            extremes.append(_decoded_attributes(model, perturbed, genre[seeds]))
        effect = (extremes[1] - extremes[0]).mean() / attribute_std
        row = {
            "dimension": dimension,
            "kl": kl[dimension],
            "name": _effect_name(effect),
        }
        rows.append(row | effect.add_prefix("effect_").to_dict())
    return pd.DataFrame(rows).sort_values("kl", ascending=False, ignore_index=True)


def _effect_name(effect):
    """Names the two largest effects, where they are large enough."""
    words = []
    for attribute in effect.abs().sort_values(ascending=False, kind="stable").index[:2]:
        more, less = ATTRIBUTE_WORDS[attribute]
        if abs(effect[attribute]) >= SMALLEST_EFFECT:
            words.append(more if effect[attribute] > 0 else less)
    return ", ".join(words) or "fine detail"


def _decoded_attributes(model, latents, genre):
    log_mel = model.audio_config.unscale(model.decode(latents, genre))
    return log_mel_attributes(log_mel, model.audio_config)


@dataclasses.dataclass(frozen=True)
class Controls:
    """Holds what was measured of a model for the studio.

    Args:
        fingerprint: Of the model's weights, see `fingerprint`.
        attribute_directions: Dict of slider name to steps in latent space, shape
            `(num_genres, latent_dim)`, one row for a model without a label. A step
            raises that attribute by one standard deviation within the genre and holds
            the other sliders' attributes.
        dimensions: Dict of latent dimension to the name of its measured effect.
        latent_std: Standard deviation of the posterior means over clips, shape
            `(latent_dim,)`.
        axes: Two orthogonal directions of most variance, the map's axes, shape
            `(2, latent_dim)`.
        latents: Posterior means of the clips on the map, shape `(points, latent_dim)`.
        table: Their rows of `FeatureSet.table`.
        effects: What each slider does in each genre, see `slider_effects`; None where
            it was not measured.

    Example:
        >>> from cvae_music import ConditionalVAE, shipped_controls
        >>> controls = shipped_controls(ConditionalVAE.from_preset("known_cvae"))
        >>> list(controls.attribute_directions)
        ['brightness', 'density', 'level', 'bass']
    """

    fingerprint: str
    attribute_directions: dict[str, np.ndarray]
    dimensions: dict[int, str]
    latent_std: np.ndarray
    axes: np.ndarray
    latents: np.ndarray
    table: pd.DataFrame
    effects: np.ndarray | None = None

    def check_model(self, model: ClipModel) -> None:
        """Checks that the controls were measured of a model as it is now.

        Args:
            model: Any model of the series.

        Raises:
            ValueError: If they were not: its latents mean something else.
        """
        if self.fingerprint != fingerprint(model):
            raise ValueError(
                "The controls were measured of another model, or before the last "
                "training of this one; expected those of fit_controls(model, features)."
            )

    @property
    def points(self) -> np.ndarray:
        """Positions of the clips on the map, shape `(points, 2)`."""
        return self.latents @ self.axes.T

    def apply(
        self,
        latent: np.ndarray,
        sliders: Mapping[str, float] | None = None,
        dimensions: Mapping[int, float] | None = None,
        weights: np.ndarray | None = None,
    ) -> np.ndarray:
        """Moves a latent by sliders and by single dimensions, in standard deviations.

        Args:
            latent: Float array, shape `(latent_dim,)`.
            sliders: Dict of slider name to standard deviations of the attribute.
            dimensions: Dict of latent dimension to standard deviations of it.
            weights: Genre weights that sum to 1, shape `(num_genres,)`: each genre has
                steps of its own, and they are averaged by weight. None takes the mean
                over genres.

        Returns:
            Float32 array, shape `(latent_dim,)`.

        Raises:
            ValueError: If a slider or dimension is unknown, or an amount is no number
                from -100 to 100.
        """
        latent = np.array(latent, np.float32)
        known = list(self.attribute_directions)
        for name, amount in (sliders or {}).items():
            if name not in known:
                raise ValueError(f"Got the slider {name!r}; expected some of {known}.")
            check_number(f"slider {name}", amount, -100, 100, numbers.Real)
            step = np.average(self.attribute_directions[name], 0, weights)
            latent += amount * step
        for dimension, amount in (dimensions or {}).items():
            check_number("dimension", dimension, 0, len(latent) - 1)
            check_number(f"dimension {dimension}", amount, -100, 100, numbers.Real)
            latent[dimension] += amount * self.latent_std[dimension]
        return latent

    def idle_sliders(self, weights: np.ndarray | None = None) -> dict[str, str]:
        """Finds the sliders that do not do what their name says in a genre.

        A slider works where it raises its own attribute by `SMALLEST_EFFECT` at least,
        and moves no other attribute further.

        Args:
            weights: As for `apply`.

        Returns:
            Dict of slider name to a sentence that says what it does instead.

        Example:
            >>> from cvae_music.saving import WEIGHTS
            >>> controls = load_controls(WEIGHTS / "controls_known_cvae.npz")
            >>> list(controls.idle_sliders(np.eye(6)[0]))  # house
            ['bass']
        """
        found: dict[str, str] = {}
        if self.effects is not None:
            names = list(self.attribute_directions)
            effects = np.average(self.effects, 0, weights)
            for name, effect in pd.DataFrame(effects, names, names).iterrows():
                own = effect.pop(name)
                other = effect.abs().idxmax()
                if own < max(SMALLEST_EFFECT, abs(effect[other])):
                    found[str(name)] = (
                        f"{name} is off in this genre: it would move {name} by "
                        f"{own:+.2f} and {other} by {effect[other]:+.2f}."
                    )
        return found

    def move_to(self, latent: np.ndarray, map_position: np.ndarray) -> np.ndarray:
        """Moves a latent to a position of the map; what the map does not show stays.

        Args:
            latent: Float array, shape `(latent_dim,)`.
            map_position: `(x, y)`.

        Returns:
            Float32 array, shape `(latent_dim,)`.
        """
        shift = np.asarray(map_position, np.float32) - latent @ self.axes.T
        return (latent + shift @ self.axes).astype(np.float32)

    def nearest(self, map_position: Sequence[float]) -> int:
        """Finds the clip nearest to a position `(x, y)` of the map: its row number."""
        distances = np.square(self.points - np.asarray(map_position)).sum(axis=1)
        return int(distances.argmin())

    def save(self, path: str | Path) -> None:
        """Writes everything to one `.npz` file, arrays in half precision.

        Args:
            path: `.npz` file to write, for `load_controls`.
        """
        about = {
            "fingerprint": self.fingerprint,
            "sliders": list(self.attribute_directions),
            "dimensions": self.dimensions,
            "table": self.table.to_csv(index=False, lineterminator="\n"),
        }
        arrays = {name: getattr(self, name) for name in ARRAYS}
        arrays["attribute_directions"] = list(self.attribute_directions.values())
        if self.effects is not None:
            arrays["effects"] = self.effects
        for name, array in arrays.items():
            arrays[name] = np.asarray(array, np.float16)
        serialization.save_arrays(path, about, arrays)


def load_controls(path: str | Path) -> Controls:
    """Reads controls that `Controls.save` wrote.

    Args:
        path: `.npz` file.

    Returns:
        `Controls`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file holds no controls of this version.

    Example:
        >>> from cvae_music.saving import WEIGHTS
        >>> load_controls(WEIGHTS / "controls_known_cvae.npz").axes.shape
        (2, 96)
    """
    about, arrays = serialization.load_arrays(
        path, "fingerprint", "sliders", "dimensions", "table"
    )
    missing = {"attribute_directions", *ARRAYS} - set(arrays)
    if missing:
        raise ValueError(
            f"{str(path)!r} lacks {sorted(missing)}; expected controls that this "
            f"version saved. {serialization.OLD_FILES}"
        )
    steps = arrays["attribute_directions"]
    return Controls(
        about["fingerprint"],
        dict(zip(about["sliders"], steps, strict=True)),
        {int(number): name for number, name in about["dimensions"].items()},
        table=read_table(about["table"]),
        effects=arrays.get("effects"),
        **{name: arrays[name] for name in ARRAYS},
    )


def fingerprint(model: ClipModel) -> str:
    """Computes ten hexadecimal digits that change with the model's weights."""
    # To hash all weights takes milliseconds, and every clip asks. A training step
    # changes the last ones too, so only these are compared each time.
    last = [*model.encoder.weights[-1:], *model.decoder.weights[-1:]]
    return _hash_weights(model, *(np.asarray(weight).tobytes() for weight in last))


@functools.lru_cache(maxsize=4)
def _hash_weights(model, *last):
    """Hashes all weights of encoder and decoder; anew once the last ones differ."""
    digest = hashlib.sha256()
    for value in (*model.encoder.weights, *model.decoder.weights):
        digest.update(np.asarray(value, np.float16).tobytes())
    return digest.hexdigest()[:10]


def shipped_controls(model: ClipModel) -> Controls:
    """Loads the controls that ship with a preset.

    Args:
        model: Model made by `from_preset`.

    Returns:
        `Controls`.

    Raises:
        ValueError: If none were measured of these weights.

    Example:
        >>> from cvae_music import ConditionalVAE
        >>> model = ConditionalVAE.from_preset("known_cvae")
        >>> shipped_controls(model).points.shape
        (240, 2)
    """
    for path in saving.WEIGHTS.glob("controls_*.npz"):
        controls = load_controls(path)
        if controls.fingerprint == fingerprint(model):
            return controls
    raise ValueError(
        f"No controls ship with the weights of this {type(model).__name__}; expected "
        "an unchanged preset. Measure its controls: fit_controls(model, features)."
    )


def attribute_directions(
    model: ClipModel,
    latents: np.ndarray,
    genre: np.ndarray,
    num_pairs: int = 1500,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Fits steps in latent space that raise one attribute and hold the others.

    Random steps are taken from the latents of training clips, forwards and backwards.
    A ridge regression of the change in each attribute on the step gives its slope, and
    the pseudo-inverse of all slopes gives steps that change one attribute at a time, by
    one standard deviation. Each genre has steps of its own, because the decoder makes
    the notes of each genre from other dimensions of the latent.

    Args:
        model: Any model of the series.
        latents: Latents to start from, shape `(clips, latent_dim)`.
        genre: Genre indices, shape `(clips,)`.
        num_pairs: Random steps for each genre.
        seed: Seed of the steps.

    Returns:
        Dict of slider name to float32 array, shape `(num_genres, latent_dim)`; one row
        for a model without a label.

    Raises:
        ValueError: As `model.decode`.

    Source: linear directions as in InterFaceGAN (Shen et al., 2020), arXiv:1907.10786.

    Example:
        >>> import numpy as np
        >>> from cvae_music import VAE
        >>> model = VAE.from_preset("known_vae")
        >>> latents = model.sample_latents([0, 0])
        >>> steps = attribute_directions(model, latents, np.zeros(2), num_pairs=2)
        >>> steps["brightness"].shape
        (1, 96)
    """
    rng = np.random.default_rng(seed)
    names = list(SLIDERS)
    per_genre = []
    for label in range(max(1, model.num_genres)):
        own = np.arange(len(latents))
        if model.num_genres and np.any(genre == label):
            own = np.flatnonzero(genre == label)
        starts = latents[rng.choice(own, num_pairs)]
        steps = rng.standard_normal(starts.shape).astype(np.float32)
        labels = np.full(num_pairs, label)
        forwards = _decoded_attributes(model, starts + steps, labels)[names].to_numpy()
        backwards = _decoded_attributes(model, starts - steps, labels)[names].to_numpy()
        attribute_std = np.concatenate([forwards, backwards]).std(axis=0) + 1e-9
        change = (forwards - backwards) / 2.0 / attribute_std
        ridge = 0.05 * num_pairs * np.eye(steps.shape[1])
        slopes = np.linalg.solve(steps.T @ steps + ridge, steps.T @ change)
        gram = slopes.T @ slopes + 1e-3 * np.eye(len(names))
        per_genre.append(slopes @ np.linalg.inv(gram))
    by_slider = np.stack(per_genre).astype(np.float32)
    return {SLIDERS[name]: by_slider[:, :, k] for k, name in enumerate(names)}


def slider_effects(
    model: ClipModel,
    directions: Mapping[str, np.ndarray],
    num_clips: int = 48,
    seed: int = 0,
) -> np.ndarray:
    """Measures what sliders do to new clips of each genre, in standard deviations.

    Latents are drawn anew, so no clip is one that the directions were fitted on. The
    unit is the standard deviation of an attribute over clips of all genres. That of one
    genre is no unit: where its clips are alike in an attribute, a change of many such
    deviations may be inaudible.

    Args:
        model: `VAE` or `ConditionalVAE`.
        directions: As `attribute_directions` returns them.
        num_clips: Clips drawn for each genre.
        seed: Seed of the draws.

    Returns:
        Float array, shape `(num_genres, len(directions), len(SLIDERS))`: the mean
        change of each attribute of `SLIDERS` (last axis) from -1 to 1 of each slider.
        One row for a model without a label.

    Example:
        >>> from cvae_music import VAE
        >>> model = VAE.from_preset("known_vae")
        >>> steps = {"level": np.zeros((1, 96), np.float32)}
        >>> slider_effects(model, steps, num_clips=2).round(1)
        array([[[0., 0., 0., 0.]]])
    """
    genre = np.repeat(np.arange(max(1, model.num_genres)), num_clips)
    latents = model.sample_latents(genre, seed)
    names = list(SLIDERS)
    attribute_std = _decoded_attributes(model, latents, genre)[names].std() + 1e-9
    effects = []
    for steps in directions.values():
        up = _decoded_attributes(model, latents + steps[genre], genre)
        down = _decoded_attributes(model, latents - steps[genre], genre)
        effects.append((up - down)[names].groupby(genre).mean() / attribute_std)
    return np.stack(effects, axis=1)


def fit_controls(
    model: ClipModel, features: FeatureSet, seed: int = 0, num_pairs: int = 1500
) -> Controls:
    """Measures the studio's sliders and map of a model, on the training split alone.

    Takes less than a minute on one core for six genres.

    Args:
        model: `VAE` or `ConditionalVAE`.
        features: `FeatureSet`.
        seed: Seed of the random steps.
        num_pairs: Random steps for each genre, see `attribute_directions`.

    Returns:
        `Controls`.

    Raises:
        ValueError: As `training_clips`, or if `seed` or `num_pairs` is no whole number
            or too small.

    Example:
        >>> controls = fit_controls(model, features)  # doctest: +SKIP
        >>> controls.save("controls.npz")  # doctest: +SKIP
    """
    check_number("seed", seed)
    check_number("num_pairs", num_pairs, 1)
    saving.warn_unfinished(model)
    clips, genre, table = training_clips(model, features, 240)
    latents = model.encode(clips)[0]
    effects = latent_effects(model, features, num_seeds=48)
    names = {
        number: f"{number}: {name}"
        for number, name in zip(effects["dimension"], effects["name"], strict=True)
    }
    axes = np.linalg.svd(latents - latents.mean(axis=0), full_matrices=False)[2][:2]
    directions = attribute_directions(model, latents, genre, num_pairs, seed)
    return Controls(
        fingerprint=fingerprint(model),
        attribute_directions={
            name: _as_stored(step) for name, step in directions.items()
        },
        dimensions=names,
        latent_std=_as_stored(latents.std(axis=0)),
        axes=_as_stored(axes),
        latents=_as_stored(latents),
        table=table,
        effects=_as_stored(slider_effects(model, directions, seed=seed)),
    )


def _as_stored(array):
    """Rounds to half precision, so that loaded controls make the same samples."""
    return np.asarray(array, np.float16).astype(np.float32)
