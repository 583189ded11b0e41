"""Clips longer than a window: a walk through latent space, decoded in overlapping windows, sounded in one go."""

import numpy as np

from cvae_music.inversion import to_audio
from cvae_music.sampling import mixed_log_mel

STEP_BEATS = 2  # between windows; each is heard over twice that, fading in and out


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
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    far = [np.maximum(np.linalg.norm(latent, axis=-1, keepdims=True), 1e-12) for latent in (first, second)]
    angle = np.arccos(np.clip(np.sum(first * second, axis=-1, keepdims=True) / (far[0] * far[1]), -1.0, 1.0))
    if np.any(angle > np.pi - 1e-6):
        raise ValueError("slerp got two latents in opposite directions; expected one shortest arc. Move one a little.")
    share = np.asarray(share, np.float64)
    shares = 1.0 - share, share
    sine = np.maximum(np.sin(angle), 1e-12)
    weights = [np.where(angle < 1e-6, part, np.sin(part * angle) / sine) for part in shares]
    distance = shares[0] * far[0] + shares[1] * far[1]
    return (distance * (weights[0] * first / far[0] + weights[1] * second / far[1])).astype(np.float32)


def walk_log_mel(model, latents, genre_weights, num_beats):
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
        raise ValueError(f"walk got latents of shape {latents.shape}; expected (stops, {model.latent_dim}), at least one.")
    if config.grid != "beats" or not isinstance(num_beats, (int, np.integer)) or num_beats < 1:
        raise ValueError(
            f"walk got num_beats={num_beats!r} on a grid in {config.grid}; expected a whole number of at least 1 and a "
            'model of features on the grid "beats".'
        )
    starts = np.arange(0, num_beats + STEP_BEATS, STEP_BEATS)
    place = np.minimum(starts / num_beats, 1.0) * (len(latents) - 1)
    low = np.minimum(place.astype(int), max(len(latents) - 2, 0))
    high, share = np.minimum(low + 1, len(latents) - 1), (place - low)[:, None]
    weights = None
    if genre_weights is not None:
        stops = np.broadcast_to(np.asarray(genre_weights, np.float32), (len(latents), model.num_genres))
        weights = (1.0 - share) * stops[low] + share * stops[high]
    windows = mixed_log_mel(model, slerp(latents[low], latents[high], share), weights)
    frame = np.arange(num_beats * config.frames_per_beat)
    beat, inside = np.divmod(frame / config.frames_per_beat, STEP_BEATS)
    beat, fade, inside = beat.astype(int), (inside / STEP_BEATS)[:, None].astype(np.float32), frame % config.num_frames
    return (1.0 - fade) * windows[beat, inside] + fade * windows[beat + 1, inside]


def walk(model, latents, genre_weights, num_beats, tempo, seed=0):
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
        ValueError: As `walk_log_mel` and `to_audio`.
    """
    return to_audio(walk_log_mel(model, latents, genre_weights, num_beats), model.audio_config, tempo, seed=seed)
