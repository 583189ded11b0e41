"""From settings to a clip: everything the studio can set, as plain functions."""

import numpy as np

from cvae_music.inversion import to_audio
from cvae_music.sampling import Clip, mixed_log_mel
from cvae_music.walks import slerp, walk


def mix_weights(model, mix):
    """Genre weights that sum to 1, shape `(num_genres,)`, of a name or a dict of name to weight; None without a label.

    Raises:
        ValueError: If a genre is unknown, a weight is negative, or all are 0.
    """
    if not model.num_genres:
        return None
    mix = {mix or model.genres[0]: 1.0} if not isinstance(mix, dict) else mix
    weights = np.array([mix.get(genre, 0.0) for genre in model.genres], np.float32)
    if set(mix) - set(model.genres) or weights.min() < 0 or not weights.sum() > 0:
        raise ValueError(f"Got the mix {mix}; expected weights of at least 0, not all 0, of {list(model.genres)}.")
    return weights / weights.sum()


def mix_label(model, weights):
    """A mix in words, as in `70% jazz, 30% house`."""
    if weights is None:
        return ""
    shown = [k for k in np.argsort(-weights, kind="stable") if weights[k] >= 0.005]
    return model.genres[shown[0]] if len(shown) == 1 else ", ".join(f"{weights[k]:.0%} {model.genres[k]}" for k in shown)


def draw_latent(model, seed=0, drawn_as=None, temperature=1.0):
    """The latent that a seed stands for, shape `(latent_dim,)`, drawn where clips of the genre `drawn_as` lie."""
    index = int(np.argmax(mix_weights(model, drawn_as))) if model.num_genres else 0
    return model.sample_latents([index], seed=seed, temperature=temperature)[0]


def locate(
    model, controls=None, *, seed=0, drawn_as=None, temperature=1.0, mix=None, sliders=None, dimensions=None, at=None,
    morph_to=None, share=0.0, start=None,
):  # fmt: skip
    """The latent and the genre weights that settings stand for.

    Args:
        model: `VAE` or `ConditionalVAE`.
        controls: `Controls`; needed for `sliders`, `dimensions` and `at`.
        seed: Which latent is drawn.
        drawn_as: Genre in whose region it is drawn; None for the first.
        temperature: Spread of the draw.
        mix: Genre to play, or dict of genre to weight; None for `drawn_as`.
        sliders: Dict of slider name to standard deviations.
        dimensions: Dict of latent dimension to standard deviations.
        at: Place on the map, `(x, y)`.
        morph_to: Seed of a second latent.
        share: How far along the sphere to it, from 0 to 1.
        start: A latent to use in place of the seed's, such as that of a clip of your own, shape `(latent_dim,)`.

    Returns:
        `(latent, weights)`: shapes `(latent_dim,)` and `(num_genres,)`; weights None for a model without a label.

    Raises:
        ValueError: If an argument is out of range, or `controls` is needed and missing.
    """
    if controls is None and (sliders or dimensions or at is not None):
        raise ValueError("The settings hold sliders or a place, without controls; expected fit_controls(model, features).")
    latent = draw_latent(model, seed, drawn_as, temperature) if start is None else np.asarray(start, np.float32)
    if at is not None:
        latent = controls.move_to(latent, at)
    if morph_to is not None and share:
        latent = slerp(latent, draw_latent(model, morph_to, drawn_as, temperature), share)
    weights = mix_weights(model, mix or drawn_as)
    if controls is not None:
        latent = controls.turn(latent, sliders, dimensions, weights)
    return latent, weights


def make_clip(model, controls=None, *, seed=0, tempo=110.0, **settings):
    """Everything the studio can set, as one call: the same arguments give the same samples.

    Args:
        model: `VAE` or `ConditionalVAE`.
        controls: `Controls`; needed for `sliders`, `dimensions` and `at`.
        seed: Which latent is drawn.
        tempo: Beats a minute, exact.
        **settings: As of `locate`: mix, sliders, dimensions, at, morph_to, share, start, ...

    Returns:
        `Clip`.

    Raises:
        ValueError: As `locate` and `to_audio`.
    """
    latent, weights = locate(model, controls, seed=seed, **settings)
    log_mel = mixed_log_mel(model, latent[None], None if weights is None else weights[None])[0]
    samples = to_audio(log_mel, model.audio_config, tempo, seed=seed)
    return Clip(log_mel, samples, mix_label(model, weights) or None, float(tempo), seed, latent)


def make_morph(model, controls, first, second, *, num_beats=32, tempo=110.0):
    """One long clip that walks from one sound to another along the sphere while the beat goes on.

    Args:
        model: `VAE` or `ConditionalVAE`.
        controls: `Controls`, or None where no setting needs them.
        first: Dict of the settings it begins with, as of `locate`.
        second: Dict of the settings it ends with.
        num_beats: Length in beats.
        tempo: Beats a minute, exact.

    Returns:
        Float32 array, shape `(samples,)`.

    Raises:
        ValueError: As `locate` and `walk`.
    """
    latents, weights = zip(*(locate(model, controls, **end) for end in (first, second)), strict=True)
    return walk(model, np.stack(latents), np.stack(weights) if model.num_genres else None, num_beats, tempo)
