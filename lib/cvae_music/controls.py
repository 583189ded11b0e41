"""What a listener would say of a clip, in numbers, what a latent does to it, and the sliders of the studio made from that."""

import dataclasses
import hashlib
import io

import librosa
import numpy as np
import pandas as pd

from cvae_music import saving, serialization
from cvae_music.audio.analysis import TINY
from cvae_music.data.cache import read_table
from cvae_music.models.losses import gaussian_kl

# What more and less of each attribute is called.
WORDS = {
    "level_db": ("louder", "softer"),
    "brightness_hz": ("brighter", "darker"),
    "onsets_per_beat": ("busier", "sparser"),
    "bass_db": ("more bass", "less bass"),
    "register_hz": ("higher notes", "lower notes"),
    "flatness_db": ("noisier", "purer"),
    "punch_db": ("punchier", "smoother"),
}
ATTRIBUTES = tuple(WORDS)
# Attributes with a slider, and its name; the tempo needs none, it belongs to the resynthesis.
SLIDERS = {
    "brightness_hz": "brightness",
    "onsets_per_beat": "density",
    "level_db": "level",
    "bass_db": "bass",
}
BASS_HZ, REGISTER_HZ = 160.0, (200.0, 2000.0)
SMALLEST_EFFECT = 0.25  # standard deviations; what does less gets no name
NUM_DIMENSIONS = 6  # with a slider


def log_mel_attributes(log_mel_db, config):
    """The `ATTRIBUTES` of many clips, read from their log-mel: quick, no sound is made.

    Args:
        log_mel_db: Float array, shape `(clips, num_frames, n_mels)`, dB.
        config: `AudioConfig`.

    Returns:
        DataFrame with a row a clip and a column an attribute; levels in dB, frequencies in Hz.

    Raises:
        ValueError: If the clips do not have the shape of the config.
    """
    log_mel_db = np.asarray(log_mel_db, np.float32)
    if log_mel_db.ndim != 3 or log_mel_db.shape[1:] != config.shape:
        expected = f"(clips, {config.num_frames}, {config.n_mels}) in dB. Use AudioConfig.unscale on a model's clips"
        raise ValueError(
            f"log_mel_attributes got shape {log_mel_db.shape}; expected {expected}."
        )
    hertz = librosa.mel_frequencies(
        n_mels=config.n_mels + 2, fmin=config.fmin, fmax=config.fmax, htk=True
    )[1:-1]
    hertz = hertz.astype(np.float32)
    width = np.gradient(hertz)  # a band stands for as many bins as it is wide
    amplitude = np.where(
        log_mel_db > config.floor_db + 0.01,
        np.exp(log_mel_db * np.float32(np.log(10) / 20)),
        0,
    )
    power, magnitude = amplitude**2, amplitude * width
    total = magnitude.sum(axis=2)
    audible = total > 1e-3 * total.max(axis=1, keepdims=True)
    centroid = np.where(audible, (magnitude @ hertz) / np.maximum(total, TINY), 0.0)
    count = np.maximum(audible.sum(axis=1), 1)
    rises = np.maximum(log_mel_db - np.roll(log_mel_db, 1, axis=1), 0.0).mean(axis=2)
    geometric = log_mel_db.mean(axis=2) - 10 * np.log10(power.mean(axis=2) + TINY)
    bass, register = bass_and_register(power.mean(axis=1), hertz)
    return pd.DataFrame(
        {
            "level_db": 10 * np.log10(power.sum(axis=2).mean(axis=1) + TINY),
            "brightness_hz": centroid.sum(axis=1) / count,
            "onsets_per_beat": [_onsets_per_beat(clip, config) for clip in log_mel_db],
            "bass_db": bass,
            "register_hz": register,
            "flatness_db": np.where(audible, geometric, 0.0).sum(axis=1) / count,
            "punch_db": rises.mean(axis=1),
        }
    )


def bass_and_register(power, hertz):
    """Share of the bass in dB, and the middle of the notes' range in Hz, of mean spectra `(clips, bins)`."""
    notes = (hertz >= REGISTER_HZ[0]) & (hertz <= REGISTER_HZ[1])
    bass = 10 * np.log10(
        (power[:, hertz < BASS_HZ].sum(axis=1) + TINY) / (power.sum(axis=1) + TINY)
    )
    weight = power[:, notes] + TINY
    return bass, 2.0 ** (
        (weight * np.log2(hertz[notes])).sum(axis=1) / weight.sum(axis=1)
    )


def _onsets_per_beat(log_mel_db, config):
    """Onsets that librosa finds in the log-mel of one clip, as it would in its sound at 120 beats a minute."""
    hop = (
        round(config.sample_rate * 0.5 / config.frames_per_beat)
        if config.grid == "beats"
        else config.hop_length
    )
    # The first frame stands before the clip too: where real music is cut, the leap from its end to its beginning
    # may be the largest rise of all, beside which librosa hears no other.
    before = config.frames_per_beat
    held = np.concatenate([np.repeat(log_mel_db[:1], before, axis=0), log_mel_db])
    envelope = librosa.onset.onset_strength(
        S=held.T, sr=config.sample_rate, hop_length=hop, center=False
    )
    onsets = librosa.onset.onset_detect(
        onset_envelope=envelope, sr=config.sample_rate, hop_length=hop
    )
    return (onsets >= before).sum() * config.frames_per_beat / len(log_mel_db)


def training_clips(model, features, num):
    """Scaled clips, genre indices and rows of `num` training clips, evenly spread; ValueError if they are not the model's."""
    model.audio_config.check_compatible(features, model.genres)
    train = features.subset("train")
    rows = np.unique(np.linspace(0, len(train) - 1, min(num, len(train))).astype(int))
    table = train.table.iloc[rows].reset_index(drop=True)
    return features.config.scale(train.log_mel[rows]), train.genre_index[rows], table


def latent_effects(model, features, dimensions=None, num_ideas=12):
    """What latent dimensions do, measured on decoded clips.

    The latents of some training clips are decoded with one dimension two standard deviations below and above its
    mean and all else as it was; the effect is the mean change of each attribute, in its standard deviations over
    the clips. The name says the largest effect, and the next if it is one.

    Args:
        model: `VAE` or `ConditionalVAE`.
        features: `FeatureSet`.
        dimensions: Which dimensions to turn; None for the six of highest KL divergence that describe the whole clip.
        num_ideas: Clips whose latents are turned.

    Returns:
        DataFrame, a row a dimension, highest KL first: `dimension`, `kl` (nats), `name`, and `does_<attribute>`.
    """
    clips, genre, _ = training_clips(model, features, 500)
    mean, log_var = model.encode(clips)
    kl = np.mean(gaussian_kl(mean, log_var), axis=0)
    spread = (
        log_mel_attributes(features.config.unscale(clips), features.config)
        .std()
        .to_numpy()
        + 1e-9
    )
    ideas = np.linspace(0, len(clips) - 1, min(num_ideas, len(clips))).astype(int)
    rows = []
    for dimension in (
        np.argsort(-kl[: model.global_dim])[:NUM_DIMENSIONS]
        if dimensions is None
        else dimensions
    ):
        ends = []
        for side in (-2.0, 2.0):
            turned = mean[ideas].copy()
            turned[:, dimension] = (
                mean[:, dimension].mean() + side * mean[:, dimension].std()
            )
            ends.append(_decoded_attributes(model, turned, genre[ideas]))
        does = ((ends[1] - ends[0]).mean(axis=0) / spread).to_dict()
        largest = sorted(does, key=lambda name: -abs(does[name]))[:2]
        words = [
            WORDS[name][0 if does[name] > 0 else 1]
            for name in largest
            if abs(does[name]) >= SMALLEST_EFFECT
        ]
        row = {
            "dimension": int(dimension),
            "kl": float(kl[dimension]),
            "name": ", ".join(words) or "fine detail",
        }
        rows.append(row | {f"does_{name}": value for name, value in does.items()})
    return pd.DataFrame(rows).sort_values("kl", ascending=False, ignore_index=True)


def _decoded_attributes(model, latents, genre):
    return log_mel_attributes(
        model.audio_config.unscale(model.decode(latents, genre)), model.audio_config
    )


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
                raise ValueError(
                    f"turn got the slider {name!r}; expected some of {list(self.directions)}."
                )
            steps = self.directions[name]
            latent += amount * (
                steps.mean(axis=0)
                if weights is None
                else np.asarray(weights, np.float32) @ steps
            )
        for dimension, amount in (dimensions or {}).items():
            if not 0 <= dimension < len(latent):
                raise ValueError(
                    f"turn got the dimension {dimension}; expected 0 to {len(latent) - 1}."
                )
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
        about = {name: getattr(self, name) for name in ("fingerprint", "dimensions")}
        about |= {
            "sliders": list(self.directions),
            "table": self.table.to_csv(index=False, lineterminator="\n"),
        }
        arrays = {
            name: getattr(self, name).astype(np.float16)
            for name in ("spread", "axes", "latents")
        }
        serialization.save_arrays(
            path,
            about,
            arrays
            | {"directions": np.array(list(self.directions.values()), np.float16)},
        )


def load_controls(path):
    """Reads what `Controls.save` wrote."""
    about, arrays = serialization.load_arrays(
        path, "fingerprint", "sliders", "dimensions", "table"
    )
    directions = dict(zip(about["sliders"], arrays.pop("directions"), strict=True))
    dimensions = {int(number): name for number, name in about["dimensions"].items()}
    table = read_table(io.StringIO(about["table"]))
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
    for path in saving.WEIGHTS.glob("controls_*.npz"):
        controls = load_controls(path)
        if controls.fingerprint == fingerprint(model):
            return controls
    raise ValueError(
        "No controls ship with these weights. Measure them: fit_controls(model, features)."
    )


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
    rng, names, per_genre = np.random.default_rng(seed), list(SLIDERS), []
    for label in range(max(1, model.num_genres)):
        own = (
            np.flatnonzero(genre == label)
            if model.num_genres
            else np.arange(len(latents))
        )
        starts = latents[
            rng.choice(own if len(own) else len(latents), num_pairs)
        ]  # any, where a genre has no clip
        steps = rng.standard_normal(starts.shape).astype(np.float32)
        ends = [
            _decoded_attributes(model, starts + side * steps, np.full(num_pairs, label))
            for side in (1.0, -1.0)
        ]
        forwards, backwards = (end[names].to_numpy() for end in ends)
        change = (
            (forwards - backwards)
            / 2.0
            / (np.concatenate([forwards, backwards]).std(axis=0) + 1e-9)
        )
        ridge = 0.05 * num_pairs * np.eye(steps.shape[1])
        slopes = np.linalg.solve(steps.T @ steps + ridge, steps.T @ change)
        per_genre.append(
            slopes @ np.linalg.inv(slopes.T @ slopes + 1e-3 * np.eye(len(names)))
        )
    return {
        SLIDERS[name]: np.stack(per_genre)[:, :, k].astype(np.float32)
        for k, name in enumerate(names)
    }


def fit_controls(model, features, seed=0, num_pairs=1500):
    """Measures what the studio needs, on the training split alone; less than a minute on one core for six genres.

    Args:
        model: `VAE` or `ConditionalVAE`.
        features: `FeatureSet`.
        seed: Seed of the random steps.
        num_pairs: Random steps for each genre, see `attribute_directions`.

    Returns:
        `Controls`.
    """
    clips, genre, table = training_clips(model, features, 240)
    latents = model.encode(clips)[0]
    effects = latent_effects(model, features, num_ideas=48)
    names = {
        number: f"{number}: {name}"
        for number, name in zip(effects["dimension"], effects["name"], strict=True)
    }
    axes = np.linalg.svd(latents - latents.mean(axis=0), full_matrices=False)[2][:2]
    directions = attribute_directions(model, latents, genre, num_pairs, seed)
    directions = {name: _as_stored(step) for name, step in directions.items()}
    measured = map(_as_stored, (latents.std(axis=0), axes, latents))
    return Controls(fingerprint(model), directions, names, *measured, table)


def _as_stored(array):
    """In half precision, so that what is saved and loaded makes the same samples."""
    return np.asarray(array, np.float16).astype(np.float32)
