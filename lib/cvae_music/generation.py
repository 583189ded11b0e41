"""From a latent to a clip one can hear: draws, mixes, walks, and everything the studio can set as one call."""

import dataclasses
import numbers

import numpy as np

from cvae_music.audio.analysis import TINY
from cvae_music.audio.inversion import to_audio
from cvae_music.config import check_number
from cvae_music.data.windows import load_first_window

STEP_BEATS = (
    2  # between the windows of a walk; each is heard over twice that, fading in and out
)


def decode_mixture(model, latents, weights):
    """Levels of genres that play one idea together: decoded as each genre, powers added by weight.

    A decoder that was trained on whole labels makes of half a label what it likes, at times a third genre; of two
    whole labels it makes two genres on the same beat. A clip of one genre is what the decoder says.

    Args:
        model: `VAE` or `ConditionalVAE`.
        latents: Shape `(clips, latent_dim)`.
        weights: Genre weights that sum to 1, shape `(clips, num_genres)`; None for a model without a label.

    Returns:
        Float32 array, dB, shape `(clips, num_frames, n_mels)`.

    Raises:
        ValueError: If the weights have another shape, one is negative, or all of a clip are 0; and as `model.decode`.
    """
    config = model.audio_config
    if weights is None:
        return config.unscale(model.decode(latents))
    latents, weights = np.asarray(latents, np.float32), np.asarray(weights, np.float32)
    expected = (len(latents), model.num_genres)
    if (
        weights.shape != expected
        or np.any(weights < 0)
        or not np.all(weights.any(axis=1))
    ):
        found = (
            f"weights of shape {weights.shape}, the lowest {weights.min(initial=0):g}"
        )
        raise ValueError(
            f"decode_mixture got {found}; expected {expected}, at least 0, not all 0 for a clip."
        )
    clip, genre = np.nonzero(weights)
    levels = config.unscale(model.decode(latents[clip], genre))
    if len(clip) == len(latents):  # one genre each
        return levels
    power = weights[clip, genre][:, None, None] * 10.0 ** (0.1 * levels)
    power = np.add.reduceat(power, np.flatnonzero(np.diff(clip, prepend=-1)), axis=0)
    level = 10.0 * np.log10(np.maximum(power, TINY))
    return np.clip(level, config.floor_db, config.ceiling_db).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class Clip:
    """A generated clip with what it takes to make it again.

    Args:
        log_mel: dB, shape `(num_frames, n_mels)`.
        samples: Sound, shape `(samples,)`.
        genre: Name of the genre, a mix in words, or None.
        tempo: Beats a minute.
        seed: Seed it was drawn with.
        latent: Shape `(latent_dim,)`.
    """

    log_mel: np.ndarray
    samples: np.ndarray
    genre: str | None
    tempo: float
    seed: int
    latent: np.ndarray


def mix_weights(model, mix):
    """Genre weights that sum to 1, shape `(num_genres,)`, of a name or a dict of name to weight; None without a label.

    Raises:
        ValueError: If a genre is unknown, a weight is negative, or all are 0.
    """
    if not model.num_genres:
        return None
    mix = (
        mix
        if isinstance(mix, dict)
        else {model.genres[0] if mix is None else str(mix): 1.0}
    )
    mix = {str(genre): weight for genre, weight in mix.items()}
    known = all(
        isinstance(weight, numbers.Real) and 0 <= weight < np.inf
        for weight in mix.values()
    )
    if set(mix) - set(model.genres) or not known or not any(mix.values()):
        raise ValueError(
            f"Got the mix {mix}; expected weights of at least 0, not all 0, of {list(model.genres)}."
        )
    weights = np.array([mix.get(genre, 0.0) for genre in model.genres], np.float32)
    return weights / weights.sum()


def mix_label(model, weights):
    """A mix in words, as in `70% jazz, 30% house`; empty without a label."""
    if weights is None:
        return ""
    shown = [k for k in np.argsort(-weights, kind="stable") if weights[k] >= 0.005]
    shares = ", ".join(f"{weights[k]:.0%} {model.genres[k]}" for k in shown)
    return model.genres[shown[0]] if len(shown) == 1 else shares


def draw_latent(model, seed=0, prior_genre=None, temperature=1.0):
    """The latent that a seed stands for, shape `(latent_dim,)`.

    Args:
        model: `VAE` or `ConditionalVAE`.
        seed: A whole number of at least 0.
        prior_genre: Genre in whose region it is drawn, or a mix whose heaviest it is; None for the first.
        temperature: 1 draws as the music varies, less stays near the typical.

    Raises:
        ValueError: If the seed or the genre does not exist, or the model has no prior to draw from.
    """
    if not hasattr(model, "sample_latents"):
        kind = type(model).__name__
        raise ValueError(
            f"{kind} has no prior to draw from; expected a VAE or ConditionalVAE, or a latent as start=."
        )
    (
        check_number("seed", seed),
        check_number("temperature", temperature, 0, 100, numbers.Real),
    )
    genre = int(np.argmax(mix_weights(model, prior_genre))) if model.num_genres else 0
    return model.sample_latents([genre], seed=seed, temperature=temperature)[0]


def resolve_latent(
    model,
    controls=None,
    *,
    seed=0,
    prior_genre=None,
    temperature=1.0,
    mix=None,
    sliders=None,
    dimensions=None,
    at=None,
    morph_to=None,
    share=0.0,
    start=None,
):
    """The latent and the genre weights that settings stand for, see `make_clip`.

    Returns:
        `(latent, weights)`: shapes `(latent_dim,)` and `(num_genres,)`; weights None for a model without a label.
    """
    if controls is None and (sliders or dimensions or at is not None):
        raise ValueError(
            "Got sliders or a place without controls; expected those of fit_controls(model, features)."
        )
    prior_genre, mix = (
        mix if prior_genre is None else prior_genre,
        prior_genre if mix is None else mix,
    )
    if mix is not None and not model.num_genres:
        raise ValueError(
            f"Got the genre {mix!r} for a model without genres; expected none, or a ConditionalVAE."
        )
    latent = (
        draw_latent(model, seed, prior_genre, temperature)
        if start is None
        else np.asarray(start, np.float32)
    )
    if at is not None:
        latent = controls.move_to(latent, at)
    if morph_to is not None and check_number("share", share, 0, 1, numbers.Real):
        latent = slerp(
            latent, draw_latent(model, morph_to, prior_genre, temperature), share
        )
    weights = mix_weights(model, mix)
    if controls is not None:
        latent = controls.turn(latent, sliders, dimensions, weights)
    return latent, weights


def make_clip(model, controls=None, *, seed=0, tempo=110.0, **settings):
    """Makes a clip: the same arguments give the same samples.

    Args:
        model: `VAE` or `ConditionalVAE`; with `start` an `Autoencoder` too.
        controls: `Controls`; needed for `sliders`, `dimensions` and `at`.
        seed: Which latent is drawn; a whole number of at least 0.
        tempo: Beats a minute, exact.
        **settings: Any of these:
            mix: Genre to play, or dict of genre to weight; None for `prior_genre`, and without that for the first.
            prior_genre: Genre in whose region the latent is drawn; None for the heaviest of the mix.
            temperature: 1 draws as the music varies, less stays near the typical.
            sliders: Dict of slider name to standard deviations.
            dimensions: Dict of latent dimension to standard deviations.
            at: Place on the map, `(x, y)`.
            morph_to: Seed of a second latent.
            share: How far along the sphere to it, from 0 to 1.
            start: A latent to use in place of the seed's, such as that of a clip of your own, shape `(latent_dim,)`.

    Returns:
        `Clip`.

    Raises:
        ValueError: If a genre, slider, seed or tempo does not exist, `controls` is needed and missing, or the model has no
            prior to draw from.

    Example:
        `make_clip(ConditionalVAE.from_preset("known_cvae"), mix="jazz", seed=3)`
    """
    latent, weights = resolve_latent(model, controls, seed=seed, **settings)
    log_mel = decode_mixture(
        model, latent[None], None if weights is None else weights[None]
    )[0]
    samples = to_audio(log_mel, model.audio_config, tempo, seed=seed)
    return Clip(
        log_mel, samples, mix_label(model, weights) or None, float(tempo), seed, latent
    )


def make_morph(model, controls, first, second, *, num_beats=32, tempo=110.0):
    """One long clip that walks from one sound to another along the sphere while the beat goes on.

    Args:
        model: `VAE` or `ConditionalVAE`.
        controls: `Controls`, or None where no setting needs them.
        first: Dict of the settings it begins with, as of `make_clip`.
        second: Dict of the settings it ends with.
        num_beats: Length in beats.
        tempo: Beats a minute, exact.

    Returns:
        Float32 array, shape `(samples,)`.

    Raises:
        ValueError: As `make_clip` and `walk`.
    """
    latents, weights = zip(
        *(resolve_latent(model, controls, **end) for end in (first, second)),
        strict=True,
    )
    return walk(
        model,
        np.stack(latents),
        np.stack(weights) if model.num_genres else None,
        num_beats,
        tempo,
    )


def slerp(first, second, share):
    """A latent on the way from one to another, along the arc, so that it stays as far out as they are.

    A straight line would pass nearer to the origin than almost any clip lies.

    Args:
        first: Array, shape `(..., latent_dim)`.
        second: Array, same shape.
        share: 0 gives `first`, 1 gives `second`: a number, or an array of shape `(..., 1)`.

    Returns:
        Float32 array, the broadcast shape.

    Raises:
        ValueError: If the two point in opposite directions.

    Source: Shoemake (1985); for latents White (2016), arXiv:1609.04468.
    """
    first, second, share = (
        np.asarray(value, np.float64) for value in (first, second, share)
    )
    far = [
        np.maximum(np.linalg.norm(latent, axis=-1, keepdims=True), 1e-12)
        for latent in (first, second)
    ]
    angle = np.arccos(
        np.clip(
            np.sum(first * second, axis=-1, keepdims=True) / (far[0] * far[1]),
            -1.0,
            1.0,
        )
    )
    if np.any(angle > np.pi - 1e-6):
        raise ValueError(
            "slerp got two latents in opposite directions; expected one shortest arc. Move one a little."
        )
    shares, sine = (1.0 - share, share), np.maximum(np.sin(angle), 1e-12)
    weights = [
        np.where(angle < 1e-6, part, np.sin(part * angle) / sine) for part in shares
    ]
    distance = shares[0] * far[0] + shares[1] * far[1]
    return (
        distance * (weights[0] * first / far[0] + weights[1] * second / far[1])
    ).astype(np.float32)


def latent_walk_log_mel(model, latents, genre_weights, num_beats):
    """Levels along a walk of any length, see `walk`.

    Every two beats a window is decoded where the walk then stands, and lies on the beats it was
    learned for: beat 10 of the walk is beat 2 of a window of eight. Between windows the levels fade.

    Args:
        model: `VAE` or `ConditionalVAE` on the beat grid.
        latents: The stops, equally far apart in time, shape `(stops, latent_dim)`.
        genre_weights: Shape `(num_genres,)`, or `(stops, num_genres)` to change on the way; `None`
            for a model without a label.
        num_beats: Length of the walk in beats.

    Returns:
        Float32 array, dB, shape `(num_beats * frames_per_beat, n_mels)`.

    Raises:
        ValueError: If the shapes do not fit the model, the walk is empty, or the grid is in seconds.
    """
    config, latents = model.audio_config, np.asarray(latents, np.float32)
    if latents.ndim != 2 or latents.shape[1] != model.latent_dim or len(latents) == 0:
        raise ValueError(
            f"walk got latents of shape {latents.shape}; expected (stops, {model.latent_dim}), not empty."
        )
    if (
        config.grid != "beats"
        or not isinstance(num_beats, (int, np.integer))
        or num_beats < 1
    ):
        expected = (
            "a whole number of at least 1, and a model of features on the beat grid"
        )
        raise ValueError(
            f"walk got num_beats={num_beats!r} on a grid in {config.grid}; expected {expected}."
        )
    starts = np.arange(0, num_beats + STEP_BEATS, STEP_BEATS)
    place = np.minimum(starts / num_beats, 1.0) * (len(latents) - 1)
    low = np.minimum(place.astype(int), max(len(latents) - 2, 0))
    high, share = np.minimum(low + 1, len(latents) - 1), (place - low)[:, None]
    weights = None
    if genre_weights is not None:
        stops = np.broadcast_to(
            np.asarray(genre_weights, np.float32), (len(latents), model.num_genres)
        )
        weights = (1.0 - share) * stops[low] + share * stops[high]
    windows = decode_mixture(model, slerp(latents[low], latents[high], share), weights)
    frame = np.arange(num_beats * config.frames_per_beat)
    beat, inside = np.divmod(frame / config.frames_per_beat, STEP_BEATS)
    beat, fade, inside = (
        beat.astype(int),
        (inside / STEP_BEATS)[:, None].astype(np.float32),
        frame % config.num_frames,
    )
    return (1.0 - fade) * windows[beat, inside] + fade * windows[beat + 1, inside]


def walk(model, latents, genre_weights, num_beats, tempo=110.0, seed=0):
    """Sound of a walk from latent to latent: tempo exact, no seam between windows.

    The windows are joined as levels, before there are phases, and one inversion makes sound of them all.
    The end joins the beginning without a click; end on the first latent and it is a loop to the ear too.

    Args:
        model: `VAE` or `ConditionalVAE` on the beat grid.
        latents: The stops, shape `(stops, latent_dim)`.
        genre_weights: Shape `(num_genres,)` or `(stops, num_genres)`; `None` for a model without a label.
        num_beats: Length in beats; at 120 beats a minute 20 are 10 s.
        tempo: Beats a minute.
        seed: Seed of the phases.

    Returns:
        Float32 array, `round(num_beats * 60 / tempo * sample_rate)` samples.

    Raises:
        ValueError: As `latent_walk_log_mel` and `to_audio`.
    """
    return to_audio(
        latent_walk_log_mel(model, latents, genre_weights, num_beats),
        model.audio_config,
        tempo,
        seed=seed,
    )


def encode_clip(model, path, start=0.0):
    """The latent of a file's first clip after `start` seconds, shape `(latent_dim,)`; raises as `load_first_window`."""
    clip = load_first_window(path, model.audio_config, start)
    return model.encode(model.audio_config.scale(clip.log_mel[None]))[0][0]
