"""From log-mel back to sound: bands to frequencies, frequencies to phases, everything around a loop."""

import numbers
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
from cvae_music.config import check_number

TEMPI = (
    10,
    1000,
)  # beats a minute; beyond, a clip would fill the memory or be no sound
LONGEST_STEP = 0.375  # of the window; longer steps between frames get frames in between


class Method(NamedTuple):
    """A way to find phases: where they start, then rounds that make them agree.

    Args:
        start: Function of `(magnitude, loop, rng)` that returns phases.
        rounds: Rounds of `phase_retrieval.fast_griffin_lim`.
        momentum: Of these rounds.
        band_rounds: Rounds afterwards that hold the mel bands only and leave the frequencies inside them free.
        learned: Whether the shipped `vocoder.Vocoder` says how power spreads inside a band, and what is noise.
    """

    start: object
    rounds: int = 0
    momentum: float = 0.99
    band_rounds: int = 0
    learned: bool = False


METHODS = {
    "zero_phase": Method(phase_retrieval.zero_phases),
    "griffin_lim": Method(phase_retrieval.random_phases, rounds=32, momentum=0.0),
    "fast_griffin_lim": Method(phase_retrieval.random_phases, rounds=32),
    "pghi": Method(phase_retrieval.phase_gradient_integration),
    "pghi_bands": Method(
        phase_retrieval.phase_gradient_integration, rounds=8, band_rounds=6
    ),
    "learned_bands": Method(
        phase_retrieval.phase_gradient_integration,
        rounds=8,
        band_rounds=6,
        learned=True,
    ),
}


class LoopSTFT:
    """Short-time Fourier transform of a loop at given moments, and its least-squares inverse.

    Args:
        centres: Samples at the centres of the frames, increasing, shape `(frames,)`.
        length: Samples in the loop.
        n_fft: Length of the Hann window.
    """

    def __init__(self, centres, length, n_fft):
        self.centres, self.length, self.n_fft = (
            np.asarray(centres, np.int64),
            int(length),
            n_fft,
        )
        self.window = hann_window(n_fft)
        self._around = (np.arange(self.length + n_fft) - n_fft // 2) % self.length
        weight = self._overlap_add(
            np.broadcast_to(self.window**2, (len(self.centres), n_fft))
        )
        self._weight = 1.0 / np.maximum(weight, 1e-3 * weight.max())

    def forward(self, samples):
        """Complex spectra of a loop, shape `(frames, n_fft // 2 + 1)`."""
        around = np.lib.stride_tricks.sliding_window_view(
            samples[self._around], self.n_fft
        )
        return scipy.fft.rfft(around[self.centres] * self.window, axis=1)

    def inverse(self, spectra):
        """The loop whose spectra are nearest: the inverse of `forward`, float32, shape `(length,)`."""
        frames = scipy.fft.irfft(spectra, self.n_fft, axis=1)
        frames *= self.window
        return self._overlap_add(frames) * self._weight

    def with_phases(self, magnitude, phase):
        """Complex spectra with these phases at the centres of the frames."""
        spectra = magnitude * (np.cos(phase) + 1j * np.sin(phase))
        spectra[
            :, 1::2
        ] *= -1  # a transform counts from the beginning of the window, half a turn a bin earlier
        return spectra.astype(np.complex64)

    def _overlap_add(self, frames):
        unrolled = np.zeros(
            -(-(self.length + self.n_fft) // self.length) * self.length, np.float32
        )
        for start, frame in zip(self.centres.tolist(), frames, strict=True):
            unrolled[start : start + self.n_fft] += frame
        return np.roll(
            unrolled.reshape(-1, self.length).sum(axis=0), -(self.n_fft // 2)
        )


def mel_to_linear(mel_power, config, num_rounds=None, start=None):
    """Non-negative power spectrum whose mel bands are those given.

    Each round multiplies every frequency by how far its bands fall short. The start decides how power is spread
    inside a band: by default a curve over frequency with sharpened peaks, since most of music's energy stands in
    lines. The power that `vocoder.Vocoder.spread` returns is a start that was learned from music.

    Args:
        mel_power: Float array, shape `(frames, n_mels)`, power.
        config: `AudioConfig`.
        num_rounds: Rounds of the update; `None` for 16, or 4 from a given start.
        start: Float array to begin with, shape `(frames, n_fft // 2 + 1)`, power.

    Returns:
        Float32 array, shape `(frames, n_fft // 2 + 1)`, power.

    Source: multiplicative updates for the Kullback-Leibler divergence, Lee and Seung (2001).
    """
    filters, to_bins = mel_filters(config), mel_to_stft_weights(config)
    mel_power = np.asarray(mel_power, np.float32)
    if num_rounds is None:
        num_rounds = 16 if start is None else 4
    if start is None:
        curve = bands_as_curve(mel_power, config)
        curve += 1.5 * (
            curve - scipy.ndimage.uniform_filter1d(curve, 9, axis=1)
        )  # twice the main lobe of the window
        start = np.exp(curve)
    linear = start * (filters.sum(axis=0) > 0)
    for _ in range(num_rounds):
        linear *= (mel_power / np.maximum(linear @ filters.T, TINY)) @ to_bins
    return linear.astype(np.float32)


def to_audio(log_mel_db, config, tempo=110.0, seed=0, method=None):
    """Sound with the given log-mel level, as a loop: its end joins its beginning like any other moment.

    Frames stand where the analysis would read them at this tempo, so any tempo is exact to a sample.

    Args:
        log_mel_db: Float array, shape `(frames, n_mels)`, dB relative to full scale; any number of frames.
        config: `AudioConfig`.
        tempo: Beats a minute (beat grid only).
        seed: Seed of the phases that the levels do not determine.
        method: A name in `METHODS`; `None` for `"learned_bands"` where the shipped vocoder fits the
            configuration, and `"pghi_bands"` elsewhere.

    Returns:
        Float32 array, shape `(samples,)`; on the beat grid exactly
        `round(frames / frames_per_beat * 60 / tempo * sample_rate)` long.

    Raises:
        ValueError: If the shape does not fit the configuration, a level is not finite, the tempo is no number from 10
            to 1000, the seed no whole number of at least 0, the method is unknown, or it needs a vocoder and none fits the
            configuration.
    """
    log_mel_db = np.asarray(log_mel_db, np.float32)
    if (
        log_mel_db.ndim != 2
        or log_mel_db.shape[1] != config.n_mels
        or len(log_mel_db) == 0
    ):
        raise ValueError(
            f"to_audio got shape {log_mel_db.shape}; expected (frames, {config.n_mels}), one clip in dB. "
            "Pass one clip at a time, and use AudioConfig.unscale on what a model returns."
        )
    if not np.all(np.isfinite(log_mel_db)):
        raise ValueError(
            "to_audio got NaN or infinite levels; expected dB. Look for a division by zero before it."
        )
    check_number("tempo", tempo, *TEMPI, kind=numbers.Real)
    check_number("seed", seed)
    chosen, vocoder = _method(method, config)
    loop, mel_power = frame_grid(log_mel_db, config, tempo)
    rng, noise = np.random.default_rng(seed), None
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
    given = mel_power[
        :: len(mel_power) // len(log_mel_db)
    ]  # frames in between are a guess
    return project_to_mel(samples, given, loop, config, chosen.band_rounds)


def _method(name, config):
    """`(Method, Vocoder or None)` of a name."""
    if name is not None and name not in METHODS:
        raise ValueError(
            f"to_audio got method={name!r}; expected one of {list(METHODS)}, or None for the best."
        )
    if name is not None and not METHODS[name].learned:
        return METHODS[name], None
    from cvae_music.audio.vocoder import shipped_vocoder

    vocoder = shipped_vocoder(config)
    if vocoder is None and name is not None:
        raise ValueError(
            f"to_audio got method={name!r}, and no shipped vocoder fits this AudioConfig; expected its defaults for "
            "sample_rate, n_fft, n_mels, fmin, fmax and floor_db. Leave method out for the best that fits."
        )
    return METHODS["pghi_bands" if vocoder is None else "learned_bands"], vocoder


def frame_grid(log_mel_db, config, tempo):
    """The frames to make sound from, close enough to each other to overlap.

    Returns:
        `(loop, mel_power)`: `LoopSTFT`, and float32 power, shape `(frames, n_mels)`.
    """
    step = config.hop_length
    if config.grid == "beats":
        step = 60.0 / tempo / config.frames_per_beat * config.sample_rate
    finer = int(np.ceil(step / (LONGEST_STEP * config.n_fft)))
    num_frames = len(log_mel_db) * finer
    centres = np.round(np.arange(num_frames) * (step / finer)).astype(np.int64)
    level = np.repeat(log_mel_db, finer, axis=0)
    share = (np.arange(num_frames) % finer / finer).astype(np.float32)[:, None]
    level += share * (np.roll(level, -finer, axis=0) - level)
    # The floor means "no sound" and must not come back as a hiss of 128 bands.
    power = np.where(level <= config.floor_db + 0.01, 0.0, 10.0 ** (level / 10.0))
    return LoopSTFT(centres, round(len(log_mel_db) * step), config.n_fft), power.astype(
        np.float32
    )


def project_to_mel(samples, mel_power, loop, config, rounds):
    """Brings the mel bands of a loop closer to those wanted; phases and lines inside the bands stay free.

    What Griffin-Lim asks of every frequency is a guess, what the bands say is known: so each round
    scales a frequency only by what its bands lack.

    Args:
        samples: Float32 array, shape `(loop.length,)`.
        mel_power: Float32 array, shape `(frames, n_mels)`, power relative to full scale, of all frames of the
            loop or of every second, third and so on; the others follow.
        loop: `LoopSTFT`.
        config: `AudioConfig`.
        rounds: Number of rounds.

    Returns:
        Float32 array, shape `(loop.length,)`.
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


def stft_scale(config):
    """Magnitude that `LoopSTFT.forward` gives a sine wave of amplitude 1."""
    return np.float32(hann_window(config.n_fft).sum() / 2.0)
