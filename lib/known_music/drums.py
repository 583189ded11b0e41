"""Drum one-shots, rendered once for each sample rate."""

from __future__ import annotations

import functools

import numpy as np


def _noise(seed, num_samples, low, high, sample_rate):
    """Noise between two frequencies in Hz, RMS about 1, the same everywhere."""
    white = np.random.Generator(np.random.PCG64(seed)).random(num_samples) * 2.0 - 1.0
    frequency = np.fft.rfftfreq(num_samples, 1.0 / sample_rate)
    above = 1.0 + (low / np.maximum(frequency, 1.0)) ** 6
    below = 1.0 + (frequency / high) ** 6
    band = 1.0 / np.sqrt(above * below)
    shaped = np.fft.irfft(np.fft.rfft(white) * band, num_samples)
    return shaped / np.sqrt(np.mean(shaped**2))


def _held_noise(seed, num_samples, rate, sample_rate):
    """Noise of two values that changes `rate` times a second, as a game console's."""
    rng = np.random.Generator(np.random.PCG64(seed))
    steps = rng.integers(0, 2, num_samples) * 2.0 - 1.0
    index = (np.arange(num_samples) * (rate / sample_rate)).astype(np.int64)
    return steps[index % num_samples]


def _sweep(seconds, start, end, fall):
    """A sine falling from `start` to `end` Hz, time constant `fall` in seconds."""
    cycles = end * seconds + (start - end) * fall * (1.0 - np.exp(-seconds / fall))
    return np.sin(2.0 * np.pi * cycles)


def _metal(seconds, lowest, sample_rate):
    """Inharmonic partials of a cymbal above `lowest` Hz, RMS about 1."""
    ratios = np.array([1.0, 1.342, 1.563, 1.871, 2.107, 2.45, 2.93])
    partials = lowest * ratios[lowest * ratios < 0.45 * sample_rate]
    waves = np.sin(2.0 * np.pi * np.outer(partials, seconds)).sum(axis=0)
    return waves / np.sqrt(0.5 * max(1, len(partials)))


def _kick(t, rate, start, end, decay, click):
    body = _sweep(t, start, end, 0.035) * np.exp(-((t / decay) ** 1.5))
    return body + click * _noise(1, len(t), 800.0, 4000.0, rate) * np.exp(-t / 0.006)


def _snare(t, rate):
    shell = _sweep(t, 260.0, 185.0, 0.02) * np.exp(-t / 0.07)
    wires = _noise(2, len(t), 700.0, 8000.0, rate)
    return 0.7 * shell + 0.45 * wires * np.exp(-t / 0.085)


def _clap(t, rate):
    # Three hands a hundredth of a second apart, then the room.
    bursts = np.zeros(len(t))
    for delay in (0.0, 0.011, 0.022):
        bursts += np.where(t >= delay, np.exp(-(t - delay) / 0.006), 0.0)
    room = np.where(t >= 0.03, np.exp(-(t - 0.03) / 0.07), 0.0)
    return _noise(3, len(t), 900.0, 4500.0, rate) * (0.5 * bursts + 0.6 * room)


def _closed_hat(t, rate):
    return 0.5 * _noise(4, len(t), 6500.0, 12000.0, rate) * np.exp(-t / 0.022)


def _open_hat(t, rate):
    noise = _noise(5, len(t), 6000.0, 12000.0, rate)
    return (0.4 * noise + 0.12 * _metal(t, 4200.0, rate)) * np.exp(-t / 0.11)


def _ride(t, rate):
    tip = _noise(6, len(t), 4500.0, 11000.0, rate) * np.exp(-t / 0.03)
    noise = _noise(7, len(t), 4500.0, 11000.0, rate)
    tail = (0.16 * _metal(t, 3100.0, rate) + 0.1 * noise) * np.exp(-t / 0.25)
    return 0.4 * tip + tail


def _crash(t, rate):
    noise = _noise(8, len(t), 2500.0, 11000.0, rate)
    return (0.4 * noise + 0.15 * _metal(t, 2700.0, rate)) * np.exp(-t / 0.5)


def _rim(t, rate):
    stick = np.sin(2.0 * np.pi * 1650.0 * t) + 0.7 * np.sin(2.0 * np.pi * 740.0 * t)
    click = 0.4 * _noise(9, len(t), 1500.0, 6000.0, rate) * np.exp(-t / 0.008)
    return 0.6 * stick * np.exp(-t / 0.018) + click


def _brush(t, rate):
    swish = np.minimum(t / 0.02, 1.0) * np.exp(-t / 0.06)
    return 0.5 * _noise(10, len(t), 1800.0, 7000.0, rate) * swish


def _bit_kick(t, rate):
    return np.sign(_sweep(t, 320.0, 55.0, 0.025)) * 0.7 * np.exp(-t / 0.05)


def _bit_snare(t, rate):
    return 0.6 * _held_noise(11, len(t), 7000.0, rate) * np.exp(-t / 0.05)


def _bit_hat(t, rate):
    return 0.4 * _held_noise(12, len(t), 16000.0, rate) * np.exp(-t / 0.014)


# Name: length in seconds and recipe.
DRUMS = {
    "house_kick": (0.45, lambda t, rate: _kick(t, rate, 230.0, 50.0, 0.22, 0.12)),
    "rock_kick": (0.3, lambda t, rate: _kick(t, rate, 180.0, 62.0, 0.12, 0.3)),
    "soft_kick": (0.3, lambda t, rate: _kick(t, rate, 120.0, 55.0, 0.13, 0.05)),
    "snare": (0.4, _snare),
    "clap": (0.4, _clap),
    "closed_hat": (0.12, _closed_hat),
    "open_hat": (0.45, _open_hat),
    "ride": (0.9, _ride),
    "crash": (1.6, _crash),
    "rim": (0.12, _rim),
    "brush": (0.3, _brush),
    "bit_kick": (0.25, _bit_kick),
    "bit_snare": (0.25, _bit_snare),
    "bit_hat": (0.08, _bit_hat),
}


@functools.lru_cache(maxsize=64)
def render_drum(name: str, sample_rate: int) -> np.ndarray:
    """Renders one hit of a drum at full velocity.

    Args:
        name: Key of `DRUMS`.
        sample_rate: In Hz.

    Returns:
        Float32 array, shape `(samples,)`, read-only because it is cached.

    Raises:
        ValueError: If the drum is unknown.

    Example:
        >>> render_drum("rim", 8000).shape
        (960,)
    """
    if name not in DRUMS:
        raise ValueError(
            f"render_drum got name={name!r}; expected one of {sorted(DRUMS)}."
        )
    duration, recipe = DRUMS[name]
    seconds = np.arange(round(duration * sample_rate)) / sample_rate
    hit = recipe(seconds, sample_rate)
    fade = max(2, round(0.01 * sample_rate))
    hit[-fade:] *= np.linspace(1.0, 0.0, fade)
    hit = hit.astype(np.float32)
    hit.flags.writeable = False
    return hit
