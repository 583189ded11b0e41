"""Synthesis from log-mel levels: bands to frequencies, then phases, as a loop."""

import numbers
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import scipy.fft
import scipy.ndimage

from cvae_music.audio import phase_retrieval
from cvae_music.audio.analysis import (
    TINY,
    bands_as_curve,
    hann_window,
    mel_filters,
    mel_to_stft_weights,
)
from cvae_music.config import AudioConfig, check_number

# Beats a minute; a slower clip would fill the memory, a faster one is no music.
TEMPI = (10, 1000)
# Longest step from frame to frame, as a share of the window. Where it is exceeded,
# interpolated frames are put in between.
LONGEST_STEP = 0.375


class Method(NamedTuple):
    """Describes a way to find phases: initial phases, then two kinds of iterations.

    Args:
        start: Function of `(magnitude, loop, rng)` that returns phases.
        rounds: Number of iterations of `phase_retrieval.fast_griffin_lim`.
        momentum: Momentum of these iterations.
        band_rounds: Number of iterations of `project_to_mel` afterwards.
        learned: Whether the shipped `vocoder.Vocoder` says how power spreads inside a
            band, and what is noise.
    """

    start: Callable[..., np.ndarray]
    rounds: int = 0
    momentum: float = 0.99
    band_rounds: int = 0
    learned: bool = False


PGHI = phase_retrieval.phase_gradient_integration
METHODS = {
    "zero_phase": Method(phase_retrieval.zero_phases),
    "griffin_lim": Method(phase_retrieval.random_phases, rounds=32, momentum=0.0),
    "fast_griffin_lim": Method(phase_retrieval.random_phases, rounds=32),
    "pghi": Method(PGHI),
    "pghi_bands": Method(PGHI, rounds=8, band_rounds=6),
    "learned_bands": Method(PGHI, rounds=8, band_rounds=6, learned=True),
}


class LoopSTFT:
    """Computes the short-time Fourier transform of a loop, and its inverse.

    The frames may stand at any samples; the loop has no beginning and no end.

    Args:
        centres: Int array, shape `(frames,)`: samples at the centres of the frames,
            increasing.
        length: Samples in the loop.
        n_fft: Length of the Hann window, in samples.

    Example:
        >>> loop = LoopSTFT(np.arange(0, 64, 8), length=64, n_fft=16)
        >>> samples = np.sin(np.arange(64.0) * np.pi / 4)
        >>> np.allclose(loop.inverse(loop.forward(samples)), samples, atol=1e-6)
        True
    """

    def __init__(self, centres: np.ndarray, length: int, n_fft: int) -> None:
        self.centres = np.asarray(centres, np.int64)
        self.length = int(length)
        self.n_fft = n_fft
        self.window = hann_window(n_fft)
        # The samples of the loop, with half a window more at both ends.
        self._around = (np.arange(self.length + n_fft) - n_fft // 2) % self.length
        squares = np.broadcast_to(self.window**2, (len(self.centres), n_fft))
        weight = self._overlap_add(squares)  # 0 where no frame reaches
        self._weight = 1.0 / np.maximum(weight, 1e-3 * weight.max())

    def forward(self, samples: np.ndarray) -> np.ndarray:
        """Computes the spectra of a loop.

        Args:
            samples: Float array, shape `(length,)`.

        Returns:
            Complex array, shape `(frames, n_fft // 2 + 1)`.
        """
        around = samples[self._around]
        windows = np.lib.stride_tricks.sliding_window_view(around, self.n_fft)
        return scipy.fft.rfft(windows[self.centres] * self.window, axis=1)

    def inverse(self, spectra: np.ndarray) -> np.ndarray:
        """Computes the loop whose spectra are nearest, in the least-squares sense.

        Args:
            spectra: Complex array, shape `(frames, n_fft // 2 + 1)`.

        Returns:
            Float32 array, shape `(length,)`.
        """
        frames = scipy.fft.irfft(spectra, self.n_fft, axis=1)
        frames *= self.window
        return self._overlap_add(frames) * self._weight

    def with_phases(self, magnitude: np.ndarray, phase: np.ndarray) -> np.ndarray:
        """Builds spectra from magnitudes and phases.

        Args:
            magnitude: Float array, shape `(frames, n_fft // 2 + 1)`.
            phase: Float array, same shape: radians at the centres of the frames.

        Returns:
            Complex64 array, same shape.
        """
        spectra = magnitude * (np.cos(phase) + 1j * np.sin(phase))
        # The transform counts phases from the start of the window. From there to the
        # centre bin k makes k half turns.
        spectra[:, 1::2] *= -1
        return spectra.astype(np.complex64)

    def _overlap_add(self, frames: np.ndarray) -> np.ndarray:
        """Adds frames up at their places around the loop; shape `(length,)`."""
        num_turns = -(-(self.length + self.n_fft) // self.length)
        unrolled = np.zeros(num_turns * self.length, np.float32)
        for start, frame in zip(self.centres.tolist(), frames, strict=True):
            unrolled[start : start + self.n_fft] += frame
        added = unrolled.reshape(-1, self.length).sum(axis=0)
        return np.roll(added, -(self.n_fft // 2))


def mel_to_linear(
    mel_power: np.ndarray,
    config: AudioConfig,
    num_rounds: int | None = None,
    start: np.ndarray | None = None,
) -> np.ndarray:
    """Estimates a power spectrum from the power of its mel bands.

    Each round multiplies every frequency by the ratio of the power wanted to the power
    found in its bands. The start decides how power spreads inside a band. By default
    it is a curve over frequency with sharpened peaks, since most energy of music is
    in narrow lines; `vocoder.Vocoder.spread` returns a start learned from music.

    Args:
        mel_power: Float array, shape `(frames, n_mels)`, power relative to full scale.
        config: `AudioConfig`.
        num_rounds: Number of updates; `None` for 16, or 4 from a given start.
        start: Float array, shape `(frames, n_fft // 2 + 1)`, power relative to full
            scale; `None` for the curve.

    Returns:
        Float32 array, shape `(frames, n_fft // 2 + 1)`, power relative to full scale;
        0 at frequencies that no band reaches.

    Source: multiplicative updates for the Kullback-Leibler divergence, Lee and Seung
        (2001).

    Example:
        >>> mel_to_linear(np.ones((4, 128)), AudioConfig()).shape
        (4, 1025)
    """
    filters = mel_filters(config)
    to_bins = mel_to_stft_weights(config)
    mel_power = np.asarray(mel_power, np.float32)
    if num_rounds is None:
        num_rounds = 16 if start is None else 4
    if start is None:
        curve = bands_as_curve(mel_power, config)
        # Nine bins are about twice the main lobe of a Hann window, which has four.
        curve += 1.5 * (curve - scipy.ndimage.uniform_filter1d(curve, 9, axis=1))
        start = np.exp(curve)
    linear = start * (filters.sum(axis=0) > 0)
    for _ in range(num_rounds):
        linear *= (mel_power / np.maximum(linear @ filters.T, TINY)) @ to_bins
    return linear.astype(np.float32)


def to_audio(
    log_mel_db: np.ndarray,
    config: AudioConfig,
    tempo: float = 110.0,
    seed: int = 0,
    method: str | None = None,
) -> np.ndarray:
    """Synthesises the samples of a loop from its log-mel levels in dB.

    Frames stand where the analysis would read them at this tempo, so any tempo is
    exact to a sample. The end of the loop joins its beginning.

    Args:
        log_mel_db: Float array, shape `(frames, n_mels)`, in dB, as of `log_mel`; any
            number of frames. What a model returns is scaled: pass
            `config.unscale(...)` of it.
        config: `AudioConfig`.
        tempo: Beats a minute, from 10 to 1000 (beat grid only).
        seed: Seed of the phases that the levels do not determine.
        method: A name in `METHODS`; `None` for `"learned_bands"` where the shipped
            vocoder fits the configuration, and `"pghi_bands"` elsewhere.

    Returns:
        Float32 array, shape `(samples,)`; on the beat grid
        `round(frames / frames_per_beat * 60 / tempo * sample_rate)` long, on the grid
        in seconds `frames * hop_length`.

    Raises:
        ValueError: If the shape does not fit the configuration; if the levels are not
            finite or are clearly no decibels; if tempo, seed or method are unknown; or
            if the method needs a vocoder and none fits the configuration.

    Example:
        >>> config = AudioConfig()
        >>> silence = np.full((16, 128), config.floor_db)  # a beat
        >>> to_audio(silence, config, tempo=120.0, method="pghi").shape
        (11025,)
    """
    log_mel_db = config.check_clip(log_mel_db, "to_audio")
    check_number("tempo", tempo, *TEMPI, kind=numbers.Real)
    check_number("seed", seed)
    chosen, vocoder = _find_method(method, config)
    loop, mel_power = frame_grid(log_mel_db, config, tempo)
    rng = np.random.default_rng(seed)
    noise = None
    if vocoder is None:
        magnitude = np.sqrt(mel_to_linear(mel_power, config))
    else:
        power, uncertainty = vocoder.spread(mel_power)
        magnitude = np.sqrt(mel_to_linear(mel_power, config, start=power))
        magnitude, noise = phase_retrieval.noise_substitution(
            magnitude, uncertainty, loop, rng
        )
    magnitude *= stft_scale(config)
    start = loop.with_phases(magnitude, chosen.start(magnitude, loop, rng))
    if noise is not None:
        start = np.where(noise == 0.0, start, magnitude * noise)
    samples = phase_retrieval.fast_griffin_lim(
        magnitude, start, loop, chosen.rounds, chosen.momentum
    )
    # Interpolated frames are a guess, so only the given ones are projected to.
    given = mel_power[:: len(mel_power) // len(log_mel_db)]
    return project_to_mel(samples, given, loop, config, chosen.band_rounds)


def _find_method(name, config):
    """Returns the `Method` of a name, and the vocoder that it needs or `None`."""
    if name is not None and name not in METHODS:
        raise ValueError(
            f"to_audio got method={name!r}; expected one of {list(METHODS)}, or None "
            "for the best."
        )
    if name is not None and not METHODS[name].learned:
        return METHODS[name], None
    from cvae_music.audio.vocoder import shipped_vocoder

    vocoder = shipped_vocoder(config)
    if vocoder is not None:
        return METHODS["learned_bands"], vocoder
    if name is not None:
        raise ValueError(
            f"to_audio got method={name!r}, and no shipped vocoder fits this "
            "AudioConfig; expected its defaults for sample_rate, n_fft, n_mels, fmin, "
            "fmax and floor_db. Leave method out for the best that fits."
        )
    return METHODS["pghi_bands"], None


def frame_grid(
    log_mel_db: np.ndarray, config: AudioConfig, tempo: float
) -> tuple[LoopSTFT, np.ndarray]:
    """Computes where the frames of a loop stand, in samples, and their power.

    Where the steps are long, interpolated frames are put in between. A level at the
    floor becomes a power of 0.

    Args:
        log_mel_db: Float32 array, shape `(frames, n_mels)`, in dB.
        config: `AudioConfig`.
        tempo: Beats a minute (beat grid only).

    Returns:
        `(loop, mel_power)`: `LoopSTFT`, and a float32 array of power relative to full
        scale, shape `(frames * k, n_mels)`; every k-th frame is one of those given.

    Example:
        >>> config = AudioConfig()
        >>> level = np.full((16, 128), -20.0, np.float32)
        >>> loop, mel_power = frame_grid(level, config, tempo=110.0)
        >>> loop.length, mel_power.shape
        (12027, (16, 128))
    """
    step: float = config.hop_length
    if config.grid == "beats":
        step = 60.0 / tempo / config.frames_per_beat * config.sample_rate
    finer = int(np.ceil(step / (LONGEST_STEP * config.n_fft)))
    num_frames = len(log_mel_db) * finer
    centres = np.round(np.arange(num_frames) * (step / finer)).astype(np.int64)
    level = np.repeat(log_mel_db, finer, axis=0)
    share = (np.arange(num_frames) % finer / finer).astype(np.float32)[:, None]
    level += share * (np.roll(level, -finer, axis=0) - level)
    # The floor means "no sound" and must not come back as a hiss of 128 bands.
    is_silent = level <= config.floor_db + 0.01
    power = np.where(is_silent, np.float32(0.0), 10.0 ** (level / 10.0))
    return LoopSTFT(centres, round(len(log_mel_db) * step), config.n_fft), power


def project_to_mel(
    samples: np.ndarray,
    mel_power: np.ndarray,
    loop: LoopSTFT,
    config: AudioConfig,
    rounds: int,
) -> np.ndarray:
    """Moves the mel bands of a loop closer to a given power.

    Each round scales the magnitude of a frequency by the ratio wanted to found in its
    bands, and keeps phases and the shape of the spectrum inside a band. Griffin-Lim
    imposes a magnitude on every frequency, which is an estimate; the bands are known.

    Args:
        samples: Float32 array, shape `(loop.length,)`.
        mel_power: Float32 array, shape `(frames, n_mels)`, power relative to full
            scale, of all frames of the loop or of every k-th.
        loop: `LoopSTFT`.
        config: `AudioConfig`.
        rounds: Number of rounds.

    Returns:
        Float32 array, shape `(loop.length,)`.

    Example:
        >>> config = AudioConfig()
        >>> level = np.full((4, 128), -20.0, np.float32)
        >>> loop, mel_power = frame_grid(level, config, tempo=110.0)
        >>> quiet = np.full(loop.length, 1e-3, np.float32)
        >>> project_to_mel(quiet, mel_power, loop, config, rounds=1).shape
        (3007,)
    """
    wanted = mel_power * stft_scale(config) ** 2
    for _ in range(rounds):
        spectra = loop.forward(samples)
        held = spectra[:: len(spectra) // len(wanted)]
        found = (held.real**2 + held.imag**2) @ mel_filters(config).T
        held *= np.sqrt(
            np.clip(wanted / np.maximum(found, TINY), 1e-4, 1e4)
            @ mel_to_stft_weights(config)
        )
        samples = loop.inverse(spectra)
    return samples


def stft_scale(config: AudioConfig) -> np.float32:
    """Returns the magnitude that `LoopSTFT.forward` gives a sine of amplitude 1.

    Args:
        config: `AudioConfig`.

    Returns:
        Half the sum of the window, a float32 scalar.

    Example:
        >>> stft_scale(AudioConfig())
        np.float32(512.0)
    """
    return np.float32(hann_window(config.n_fft).sum() / 2.0)
