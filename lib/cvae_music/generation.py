"""From a latent to a clip one can hear: draws, genre mixtures, morphs and walks."""

from __future__ import annotations

import dataclasses
import inspect
import numbers
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cvae_music import saving
from cvae_music.audio.analysis import TINY
from cvae_music.audio.inversion import to_audio
from cvae_music.config import check_number
from cvae_music.data.windows import load_first_window

if TYPE_CHECKING:
    from cvae_music.controls import Controls
    from cvae_music.models.base import ClipModel

# A genre's name, a dict of name to weight, or None for the default.
GenreLike = str | Mapping[str, float] | None
# Beats between the windows of a walk; each fades in over so many and out again.
STEP_BEATS = 2


@dataclasses.dataclass(frozen=True)
class Clip:
    """Holds a generated clip: its levels, its sound, its latent and its settings.

    Args:
        log_mel: Float32 array in dB, shape `(num_frames, n_mels)`.
        samples: Float32 array, full scale at 1, shape `(samples,)`.
        genre: Name of the genre, or a mixture in words such as `70% jazz, 30% house`;
            None for a model without a label.
        tempo: Beats a minute.
        seed: Seed of the latent, unless one was given, and of the phases.
        latent: Float32 array, shape `(latent_dim,)`.

    Example:
        >>> import numpy as np
        >>> from cvae_music import Clip
        >>> silence = np.full((128, 128), -80.0), np.zeros(96218)
        >>> Clip(*silence, genre="jazz", tempo=110.0, seed=3, latent=np.zeros(96)).genre
        'jazz'
    """

    log_mel: np.ndarray
    samples: np.ndarray
    genre: str | None
    tempo: float
    seed: int
    latent: np.ndarray


def genre_weights(model: ClipModel, genre: GenreLike) -> np.ndarray | None:
    """Converts a genre, or a mixture of genres, to weights that sum to 1.

    Args:
        model: Any model of the series.
        genre: A name, a dict of name to weight, or None for the first genre.

    Returns:
        Float32 array, shape `(num_genres,)`; None for a model without a label.

    Raises:
        ValueError: If a genre is unknown, a weight is no number of at least 0, or all
            are 0.

    Example:
        >>> from types import SimpleNamespace
        >>> model = SimpleNamespace(genres=("house", "jazz"), num_genres=2)
        >>> genre_weights(model, {"house": 1, "jazz": 3})
        array([0.25, 0.75], dtype=float32)
    """
    if not model.num_genres:
        return None
    if genre is None:
        genre = model.genres[0]
    mixture = genre if isinstance(genre, Mapping) else {str(genre): 1.0}
    mixture = {str(name): weight for name, weight in mixture.items()}
    for name, weight in mixture.items():
        check_number(f"genre weight of {name}", weight, kind=numbers.Real)
    if set(mixture) - set(model.genres) or not any(mixture.values()):
        raise ValueError(
            f"Got genre={genre!r}; expected weights of at least 0, not all 0, of "
            f"{list(model.genres)}, or the name of one."
        )
    weights = np.array([mixture.get(name, 0.0) for name in model.genres], float)
    return (weights / weights.sum()).astype(np.float32)


def mix_label(model: ClipModel, weights: np.ndarray | None) -> str:
    """Describes genre weights in words, as in `70% jazz, 30% house`.

    Args:
        model: Any model of the series.
        weights: Float array, shape `(num_genres,)`, of sum 1; None for a model without
            a label.

    Returns:
        The genres by falling weight, without those below half a percent; empty for
        None.
    """
    if weights is None:
        return ""
    shown = [k for k in np.argsort(-weights, kind="stable") if weights[k] >= 0.005]
    if len(shown) == 1:
        return model.genres[shown[0]]
    return ", ".join(f"{weights[k]:.0%} {model.genres[k]}" for k in shown)


def decode_mixture(
    model: ClipModel,
    latents: np.ndarray,
    weights: np.ndarray | None,
    guidance: float | None = None,
) -> np.ndarray:
    """Decodes latents once per genre and adds the powers by weight.

    Fractional labels are out of distribution for the decoder: it was trained with
    one-hot labels and may answer half a label with a third genre. A mixture of
    decoded clips plays both genres on the same beat.

    Args:
        model: Any model of the series.
        latents: Float array, shape `(clips, latent_dim)`.
        weights: Genre weights that sum to 1, shape `(clips, num_genres)`; None for a
            model without a label.
        guidance: As of `ConditionalVAE`; None for that of the model.

    Returns:
        Float32 array in dB, shape `(clips, num_frames, n_mels)`.

    Raises:
        ValueError: If the weights have another shape, one is negative, or those of a
            clip do not sum to 1; and as `model.decode`.

    Example:
        >>> import numpy as np
        >>> from cvae_music import ConditionalVAE
        >>> model = ConditionalVAE.from_preset("known_cvae")
        >>> latents = np.zeros((2, model.latent_dim))
        >>> decode_mixture(model, latents, np.eye(model.num_genres)[:2]).shape
        (2, 128, 128)
    """
    config = model.audio_config
    if weights is None:
        return config.unscale(model.decode(latents))
    latents = np.asarray(latents, np.float32)
    weights = np.asarray(weights, np.float32)
    expected = (len(latents), model.num_genres)
    is_valid = (
        weights.shape == expected
        and np.all(weights >= 0)
        and np.allclose(weights.sum(axis=1), 1.0, atol=1e-3)
    )
    if not is_valid:
        raise ValueError(
            f"decode_mixture got weights of shape {weights.shape}, the lowest "
            f"{weights.min(initial=0):g}; expected {expected}, at least 0, that sum to "
            "1 for each clip. Divide them by their sum."
        )
    clip, genre = np.nonzero(weights)
    # The `decode` of a model of one's own need not take a guidance.
    settings = {} if guidance is None else {"guidance": guidance}
    levels = config.unscale(model.decode(latents[clip], genre, **settings))
    if len(clip) == len(latents):  # one genre each
        return levels
    power = weights[clip, genre][:, None, None] * 10.0 ** (0.1 * levels)
    first_rows = np.flatnonzero(np.diff(clip, prepend=-1))
    power = np.add.reduceat(power, first_rows, axis=0)
    level = 10.0 * np.log10(np.maximum(power, TINY))
    return np.clip(level, config.floor_db, config.ceiling_db)


def draw_latent(
    model: ClipModel,
    seed: int = 0,
    prior_genre: GenreLike = None,
    temperature: float = 1.0,
) -> np.ndarray:
    """Draws the latent that belongs to a seed.

    Args:
        model: `VAE`, `ConditionalVAE` or `ConditionalVAEGAN`.
        seed: Whole number of at least 0.
        prior_genre: Genre whose density the latent is drawn from; of a mixture the
            heaviest, None for the first genre.
        temperature: Scale of the draw; 1 varies as the music does, less stays nearer
            to the typical.

    Returns:
        Float32 array, shape `(latent_dim,)`.

    Raises:
        ValueError: If the seed is no whole number of at least 0, the genre is unknown,
            the temperature is no number from 0 to 100, or the model has no prior.

    Example:
        >>> from cvae_music import ConditionalVAE
        >>> model = ConditionalVAE.from_preset("known_cvae")
        >>> draw_latent(model, seed=3, prior_genre="jazz").shape
        (96,)
    """
    if not hasattr(model, "sample_latents"):
        raise ValueError(
            f"{type(model).__name__} has no prior to draw from; expected a VAE or "
            "ConditionalVAE, or a latent of your own as latent=."
        )
    check_number("seed", seed)
    check_number("temperature", temperature, 0, 100, numbers.Real)
    saving.warn_unfinished(model)
    weights = genre_weights(model, prior_genre)
    genre = 0 if weights is None else int(np.argmax(weights))
    return model.sample_latents([genre], seed=seed, temperature=temperature)[0]


def join_style(model: ClipModel, style: Any, latent: Any) -> np.ndarray:
    """Gives a latent the style of another and keeps its changes from beat to beat.

    The style is the global part and the mean of the beats' parts: timbre, brightness,
    bass, level, and the rhythm inside a beat where all beats share it. What stays is
    how each beat differs from their mean: most of all the changes of chord. The global
    part alone carries only a part of the style: see exercise 4 of notebook 08.

    Args:
        model: Any model of the series.
        style: Latent that gives the style, shape `(latent_dim,)`.
        latent: Latent that gives the changes, same shape.

    Returns:
        Float32 array, shape `(latent_dim,)`.

    Raises:
        ValueError: If a latent has another shape, or is not finite.

    Example:
        >>> from types import SimpleNamespace
        >>> model = SimpleNamespace(latent_dim=3, global_dim=1, num_slots=2)
        >>> join_style(model, [5.0, 1.0, 1.0], [0.0, 2.0, 4.0])
        array([5., 0., 2.], dtype=float32)
    """
    style = as_array("style_from", style, model.latent_dim)
    latent = as_array("latent", latent, model.latent_dim)
    step = style - latent
    of_beats = step[model.global_dim :].reshape(model.num_slots, -1)
    of_beats[:] = of_beats.mean(axis=0)  # in place: a view of `step`
    return latent + step


def as_array(name: str, values: Any, size: int) -> np.ndarray:
    """Converts an argument to an array of finite numbers.

    Args:
        name: Name of the argument, for the message.
        values: The numbers.
        size: How many are expected.

    Returns:
        Float32 array, shape `(size,)`.

    Raises:
        ValueError: If they are no such numbers.
    """
    array = np.asarray(values, np.float32)
    if array.shape != (size,) or not np.isfinite(array).all():
        raise ValueError(
            f"Got {name}={str(values)[:80]}, shape {array.shape}; expected "
            f"({size},), finite numbers."
        )
    return array


def resolve_latent(
    model: ClipModel,
    controls: Controls | None = None,
    *,
    genre: GenreLike = None,
    seed: int = 0,
    prior_genre: GenreLike = None,
    temperature: float = 1.0,
    latent: np.ndarray | None = None,
    style_from: int | np.ndarray | None = None,
    map_position: Sequence[float] | None = None,
    morph_to: int | None = None,
    morph: float = 0.0,
    sliders: Mapping[str, float] | None = None,
    dimensions: Mapping[int, float] | None = None,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Computes the latent and the genre weights of a clip's settings.

    Args:
        model: As of `make_clip`; so are all other arguments.

    Returns:
        `(latent, weights)`, shapes `(latent_dim,)` and `(num_genres,)`; weights are
        None for a model without a label.

    Raises:
        ValueError: As `make_clip`.
    """
    check = getattr(controls, "check_model", None)
    if check:
        check(model)
    elif controls or sliders or dimensions or map_position is not None:
        raise ValueError(
            f"Got controls={controls!r}; expected those of fit_controls(model, "
            "features), which sliders, dimensions and map_position need. Pass a genre "
            "by its name: genre='jazz'."
        )
    if prior_genre is None:
        prior_genre = genre
    elif genre is None:
        genre = prior_genre
    if genre is not None and not model.num_genres:
        raise ValueError(
            f"Got genre={genre!r} for a model without genres; expected None. Leave "
            "genre and prior_genre out, or use a ConditionalVAE."
        )
    if latent is None:
        latent = draw_latent(model, seed, prior_genre, temperature)
    elif model.num_genres:  # its mean shift moves this latent too
        saving.warn_unfinished(model)
    latent = as_array("latent", latent, model.latent_dim)
    if style_from is not None:
        if np.ndim(style_from) == 0:
            style_from = draw_latent(
                model, check_number("style_from", style_from), prior_genre, temperature
            )
        latent = join_style(model, style_from, latent)
    if controls is not None and map_position is not None:
        latent = controls.move_to(latent, as_array("map_position", map_position, 2))
    check_number("morph", morph, 0, 1, numbers.Real)
    if morph > 0:
        end = draw_latent(
            model, check_number("morph_to", morph_to), prior_genre, temperature
        )
        latent = slerp(latent, end, morph)
    weights = genre_weights(model, genre)
    if controls is not None:
        latent = controls.apply(latent, sliders, dimensions, weights)
    return latent, weights


def make_clip(
    model: ClipModel,
    controls: Controls | None = None,
    *,
    genre: GenreLike = None,
    seed: int = 0,
    tempo: float = 110.0,
    prior_genre: GenreLike = None,
    temperature: float = 1.0,
    latent: np.ndarray | None = None,
    style_from: int | np.ndarray | None = None,
    map_position: Sequence[float] | None = None,
    morph_to: int | None = None,
    morph: float = 0.0,
    sliders: Mapping[str, float] | None = None,
    dimensions: Mapping[int, float] | None = None,
    guidance: float | None = None,
) -> Clip:
    """Generates a clip; the same arguments give the same samples.

    Args:
        model: `VAE`, `ConditionalVAE` or `ConditionalVAEGAN`; with `latent` an
            `Autoencoder` too.
        controls: `Controls`; needed for `sliders`, `dimensions` and `map_position`.
        genre: Genre to play, or a dict of genre to weight; None for `prior_genre`, and
            without that for the first genre.
        seed: Seed of the latent, a whole number of at least 0.
        tempo: Beats a minute, exact.
        prior_genre: Genre whose density the latent is drawn from; None for the
            heaviest of `genre`.
        temperature: Scale of the draw; 1 varies as the music does, less stays nearer
            to the typical.
        latent: A latent in place of the seed's, shape `(latent_dim,)`, such as that of
            a clip of your own, see `encode_clip`.
        style_from: A second latent, or its seed, whose style replaces that of the
            first, see `join_style`.
        map_position: Position on the map of the latents, `(x, y)`.
        morph_to: Seed of a second latent.
        morph: How far along the arc to the second latent, from 0 to 1.
        sliders: Dict of slider name to amount in standard deviations.
        dimensions: Dict of latent dimension to amount in standard deviations.
        guidance: How far the genre is exaggerated, from 0 to 10: 0 keeps most of the
            latent's idea, 1 sounds more like the genre; None for that of the model,
            see `ConditionalVAE`.

    Returns:
        `Clip`.

    Raises:
        ValueError: If a genre, slider or dimension is unknown, a number is out of range
            or no number, a latent has another shape, `controls` or `morph_to` is needed
            and missing, the controls are those of another model, or the model has no
            prior to draw from.

    Example:
        >>> from cvae_music import ConditionalVAE, make_clip
        >>> model = ConditionalVAE.from_preset("known_cvae")
        >>> clip = make_clip(model, genre="jazz", seed=3, tempo=120.0)
        >>> clip.genre, clip.samples.shape  # eight beats at 22,050 Hz
        ('jazz', (88200,))
    """
    latent, weights = resolve_latent(
        model,
        controls,
        genre=genre,
        seed=seed,
        prior_genre=prior_genre,
        temperature=temperature,
        latent=latent,
        style_from=style_from,
        map_position=map_position,
        morph_to=morph_to,
        morph=morph,
        sliders=sliders,
        dimensions=dimensions,
    )
    one_row = None if weights is None else weights[None]
    log_mel = decode_mixture(model, latent[None], one_row, guidance)[0]
    samples = to_audio(log_mel, model.audio_config, tempo, seed=seed)
    label = mix_label(model, weights) or None
    return Clip(log_mel, samples, label, float(tempo), seed, latent)


def make_morph(
    model: ClipModel,
    controls: Controls | None,
    first: Mapping[str, Any],
    second: Mapping[str, Any],
    *,
    num_beats: int = 32,
    tempo: float = 110.0,
    guidance: float | None = None,
) -> np.ndarray:
    """Generates one long clip that moves from one sound to another.

    The latent follows the arc between the two; the beat goes on unbroken.

    Args:
        model: `VAE`, `ConditionalVAE` or `ConditionalVAEGAN`.
        controls: `Controls`, or None where no setting needs them.
        first: Dict of the settings it begins with: arguments of `make_clip`, without
            `tempo` and `guidance`.
        second: Dict of the settings it ends with.
        num_beats: Length in beats.
        tempo: Beats a minute, exact.
        guidance: As of `make_clip`, for the whole clip.

    Returns:
        Float32 array, shape `(samples,)`.

    Raises:
        ValueError: If a setting is unknown; and as `make_clip` and `latent_walk`.

    Example:
        >>> from cvae_music import ConditionalVAE
        >>> model = ConditionalVAE.from_preset("known_cvae")
        >>> ends = {"genre": "jazz"}, {"genre": "house", "seed": 1}
        >>> make_morph(model, None, *ends, num_beats=2, tempo=120.0).shape
        (22050,)
    """
    known = list(inspect.signature(resolve_latent).parameters)[2:]
    latents = []
    mixtures = []
    for name, settings in {"first": first, "second": second}.items():
        unknown = sorted(set(settings) - set(known))
        if unknown:
            raise ValueError(
                f"make_morph got {unknown} in {name}; expected some of {known}. "
                "Pass tempo and guidance to make_morph itself."
            )
        latent, mixture = resolve_latent(model, controls, **settings)
        latents.append(latent)
        if mixture is not None:
            mixtures.append(mixture)
    return latent_walk(
        model, latents, mixtures or None, num_beats, tempo, guidance=guidance
    )


def slerp(
    first: np.ndarray, second: np.ndarray, share: float | np.ndarray
) -> np.ndarray:
    """Interpolates between two latents along the arc, not the straight line.

    A straight line would pass nearer to the origin than almost any clip lies. The norm
    changes linearly from one to the other.

    Args:
        first: Float array, shape `(..., latent_dim)`.
        second: Float array, same shape.
        share: 0 gives `first`, 1 gives `second`: a number, or an array of shape
            `(..., 1)`.

    Returns:
        Float32 array, the broadcast shape.

    Raises:
        ValueError: If the two point in opposite directions.

    Source: Shoemake (1985); for latents White (2016), arXiv:1609.04468.

    Example:
        >>> slerp([1.0, 0.0], [0.0, 1.0], 0.5).round(3)
        array([0.707, 0.707], dtype=float32)
    """
    first = np.asarray(first, np.float64)
    second = np.asarray(second, np.float64)
    share = np.asarray(share, np.float64)
    first_norm, second_norm = (
        np.maximum(np.linalg.norm(end, axis=-1, keepdims=True), 1e-12)
        for end in (first, second)
    )
    cosine = np.sum(first * second, axis=-1, keepdims=True)
    cosine = cosine / (first_norm * second_norm)
    # Equal directions have the angle 0, whose sines would give 0 / 0.
    angle = np.maximum(np.arccos(np.clip(cosine, -1.0, 1.0)), 1e-6)
    if np.any(angle > np.pi - 1e-6):
        raise ValueError(
            "slerp got two latents in opposite directions; expected one shortest arc. "
            "Move one a little."
        )
    sine = np.sin(angle)
    rest = 1.0 - share
    first_weight = np.sin(rest * angle) / sine
    second_weight = np.sin(share * angle) / sine
    norm = rest * first_norm + share * second_norm
    direction = first_weight * first / first_norm + second_weight * second / second_norm
    return (norm * direction).astype(np.float32)


def latent_walk_log_mel(
    model: ClipModel,
    latents: np.ndarray | list,
    weights: np.ndarray | list | None,
    num_beats: int,
    guidance: float | None = None,
) -> np.ndarray:
    """Decodes the levels along a walk of any length, in dB.

    Every two beats a window is decoded where the walk then stands. It lies on the
    beats it was trained for: beat 10 of the walk is beat 2 of a window of eight.
    Between windows the levels fade.

    Args:
        model: Any model of the series, of features on the beat grid.
        latents: The stops, equally far apart in time, shape `(stops, latent_dim)`.
        weights: Genre weights that sum to 1, shape `(num_genres,)`, or
            `(stops, num_genres)` to change on the way; None for a model without a
            label.
        num_beats: Length of the walk in beats, a whole number.
        guidance: As of `make_clip`.

    Returns:
        Float32 array in dB, shape `(num_beats * frames_per_beat, n_mels)`.

    Raises:
        ValueError: If the shapes do not fit the model, the walk is empty, or the grid
            is in seconds.
    """
    config = model.audio_config
    latents = np.asarray(latents, np.float32)
    if latents.shape[1:] != (model.latent_dim,) or len(latents) == 0:
        raise ValueError(
            f"latent_walk got latents of shape {latents.shape}; "
            f"expected (stops, {model.latent_dim}), not empty."
        )
    check_number("num_beats", num_beats, 1)
    if config.grid != "beats":
        raise ValueError(
            f"latent_walk got a model of features on a grid in {config.grid}; expected "
            "one of features on the beat grid."
        )
    window_beats = np.arange(0, num_beats + STEP_BEATS, STEP_BEATS)
    position = np.minimum(window_beats / num_beats, 1.0) * (len(latents) - 1)
    low = np.minimum(position.astype(int), max(len(latents) - 2, 0))
    high = np.minimum(low + 1, len(latents) - 1)
    share = (position - low)[:, None]
    mixtures = None
    if weights is not None:
        stops = np.broadcast_to(weights, (len(latents), model.num_genres))
        mixtures = (1.0 - share) * stops[low] + share * stops[high]
    on_the_way = slerp(latents[low], latents[high], share)
    windows = decode_mixture(model, on_the_way, mixtures, guidance)
    frame = np.arange(num_beats * config.frames_per_beat)
    window, beat = np.divmod(frame / config.frames_per_beat, STEP_BEATS)
    window = window.astype(int)
    fade = (beat / STEP_BEATS)[:, None].astype(np.float32)
    inside = frame % config.num_frames
    return (1.0 - fade) * windows[window, inside] + fade * windows[window + 1, inside]


def latent_walk(
    model: ClipModel,
    latents: np.ndarray | list,
    weights: np.ndarray | list | None,
    num_beats: int,
    tempo: float = 110.0,
    seed: int = 0,
    guidance: float | None = None,
) -> np.ndarray:
    """Generates the sound of a walk from latent to latent, without seams.

    Windows are joined as levels, before there are phases, and one inversion makes the
    sound of them all. The end joins the beginning without a click; end on the first
    latent, and the walk is a loop to the ear too.

    Args:
        model: Any model of the series, of features on the beat grid.
        latents: The stops, shape `(stops, latent_dim)`.
        weights: Genre weights, shape `(num_genres,)` or `(stops, num_genres)`; None
            for a model without a label.
        num_beats: Length in beats; at 120 beats a minute 20 are 10 s.
        tempo: Beats a minute.
        seed: Seed of the phases.
        guidance: As of `make_clip`.

    Returns:
        Float32 array of `round(num_beats * 60 / tempo * sample_rate)` samples.

    Raises:
        ValueError: As `latent_walk_log_mel` and `to_audio`.

    Example:
        >>> from cvae_music import ConditionalVAE
        >>> model = ConditionalVAE.from_preset("known_cvae")
        >>> stops = model.sample_latents([0, 1], seed=2)
        >>> jazz = genre_weights(model, "jazz")
        >>> latent_walk(model, stops, jazz, num_beats=2, tempo=120.0).shape
        (22050,)
    """
    log_mel = latent_walk_log_mel(model, latents, weights, num_beats, guidance)
    return to_audio(log_mel, model.audio_config, tempo, seed=seed)


def encode_clip(model: ClipModel, path: str | Path, start: float = 0.0) -> np.ndarray:
    """Encodes the first clip of a sound file to its latent.

    Args:
        model: Any model of the series.
        path: A sound file.
        start: Seconds of the file to skip.

    Returns:
        Float32 array, shape `(latent_dim,)`: the mean of the posterior.

    Raises:
        AudioError: As `load_first_window`.

    Example:
        >>> import numpy as np, tempfile
        >>> from cvae_music import VAE, write_audio
        >>> model = VAE.from_preset("known_vae")
        >>> clicks = np.random.default_rng(0).uniform(-0.5, 0.5, 110250)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     write_audio(f"{folder}/mine.wav", clicks, model.audio_config)
        ...     encode_clip(model, f"{folder}/mine.wav").shape
        (96,)
    """
    clip = load_first_window(path, model.audio_config, start)
    return model.encode(model.audio_config.scale(clip.log_mel[None])).mean[0]
