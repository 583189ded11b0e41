"""Descriptors of timbre, rhythm and harmony, computed from log-mel clips.

All are independent of loudness, down to a fixed floor.
"""

from __future__ import annotations

from typing import Any

import librosa
import numpy as np
from numpy.typing import ArrayLike

NUM_MFCC = 20
DEPTH_DB = 50.0  # what lies further below the level of the clip is inaudible
NUM_BANDS = 8
# Hz, where mel bands are narrow enough to tell pitch classes apart.
SEMITONE_RANGE = (110.0, 2500.0)


def clip_descriptors(log_mel_db: ArrayLike, config: Any) -> np.ndarray:
    """Describes each clip by about 200 numbers.

    Args:
        log_mel_db: Log-mel clips in dB, shape `(num_clips, num_frames, n_mels)`.
        config: `AudioConfig` of the clips.

    Returns:
        Float32 array of shape `(num_clips, num_descriptors)`: mean, spread and movement
        of the MFCCs, shape of the spectrum, onsets in four registers with their pattern
        in the beat and their autocorrelation, speed of modulation in eight registers,
        and the intervals in the harmony.

    Raises:
        ValueError: If the clips do not have the shape of the config.

    Source: MFCC and spectral descriptors as in librosa; modulation spectra after
    Pampalk (2006), "Computational models of music similarity", section 2.2.4
    (fluctuation patterns).
    """
    log_mel_db = np.asarray(log_mel_db, np.float32)
    if log_mel_db.ndim != 3 or log_mel_db.shape[1:] != config.shape:
        raise ValueError(
            f"got clips of shape {log_mel_db.shape}; expected (num_clips, "
            f"{config.num_frames}, {config.n_mels}). Pass clips made with the same "
            "AudioConfig."
        )
    level = np.percentile(log_mel_db, 95.0, axis=(1, 2), keepdims=True)
    relative = np.maximum(log_mel_db - level, -DEPTH_DB)
    frequencies = librosa.mel_frequencies(
        n_mels=config.n_mels + 2, fmin=config.fmin, fmax=config.fmax, htk=True
    )[1:-1]
    parts = np.array_split(relative, NUM_BANDS, axis=2)
    bands = np.stack([part.mean(axis=2) for part in parts], axis=2)
    groups = (
        _timbre(relative),
        _spectral_shape(relative, frequencies),
        _onsets(bands, config.frames_per_beat),
        _modulation(bands),
        _harmony(relative, frequencies),
    )
    return np.concatenate(groups, axis=1).astype(np.float32)


def mean_and_spread(curves: np.ndarray) -> np.ndarray:
    """Computes mean and standard deviation over time of curves.

    Args:
        curves: Shape `(num_clips, num_frames, num_curves)`.

    Returns:
        Array of shape `(num_clips, 2 * num_curves)`.
    """
    return np.concatenate([curves.mean(axis=1), curves.std(axis=1)], axis=1)


def _timbre(relative):
    # The zeroth coefficient is the level, so it goes.
    mfcc = librosa.feature.mfcc(S=relative.transpose(0, 2, 1), n_mfcc=NUM_MFCC)
    mfcc = mfcc[:, 1:].transpose(0, 2, 1)
    movement = np.abs(np.diff(mfcc, axis=1)).mean(axis=1)
    return np.concatenate([mean_and_spread(mfcc), np.log(movement + 0.1)], axis=1)


def _spectral_shape(relative, frequencies):
    magnitude = librosa.db_to_amplitude(relative, ref=1.0).transpose(0, 2, 1)
    centroid = librosa.feature.spectral_centroid(S=magnitude, freq=frequencies)
    bandwidth = librosa.feature.spectral_bandwidth(
        S=magnitude, freq=frequencies, centroid=centroid
    )
    rolloff = librosa.feature.spectral_rolloff(S=magnitude, freq=frequencies)
    flatness = librosa.feature.spectral_flatness(S=magnitude)
    curves = np.concatenate([centroid, bandwidth, rolloff, flatness], axis=1)
    return mean_and_spread(np.log(curves + 1e-6).transpose(0, 2, 1))


def _onsets(bands, frames_per_beat):
    """Measures rises of level in four registers: strength, pattern, periods."""
    num_clips, num_frames, _ = bands.shape
    registers = bands.reshape(num_clips, num_frames, 4, -1).mean(axis=3)
    # Clips are loops, so the step into the first frame comes from the last.
    rises = np.maximum(registers - np.roll(registers, 1, axis=1), 0.0)
    strength = np.log(mean_and_spread(rises) + 0.01)

    whole_beats = num_frames - num_frames % frames_per_beat
    beats = rises[:, :whole_beats].reshape(num_clips, -1, frames_per_beat, 4)
    steps = max(1, frames_per_beat // 8)
    folded = beats.mean(axis=1)[:, : frames_per_beat - frames_per_beat % steps]
    folded = folded.reshape(num_clips, -1, steps, 4).mean(axis=2)
    pattern = folded / (folded.sum(axis=1, keepdims=True) + 0.1)

    spectrum = np.fft.rfft(rises - rises.mean(axis=1, keepdims=True), axis=1)
    correlation = np.fft.irfft(np.abs(spectrum) ** 2, n=num_frames, axis=1)
    lags = (frames_per_beat * np.array([0.25, 0.5, 0.75, 1, 2, 4])).astype(int)
    lags = lags[(lags > 0) & (lags < num_frames)]
    periodicity = correlation[:, lags] / (correlation[:, :1] + 1.0)
    return np.concatenate(
        [strength, pattern.reshape(num_clips, -1), periodicity.reshape(num_clips, -1)],
        axis=1,
    )


def _modulation(bands):
    """Measures the energy of the level curves in octaves of modulation speed."""
    spectrum = np.abs(np.fft.rfft(bands, axis=1)) / bands.shape[1]
    octaves = []
    for low in (1, 2, 4, 8, 16, 32):
        if 2 * low < spectrum.shape[1]:
            octaves.append(spectrum[:, low : 2 * low + 1].mean(axis=1))
    return np.log(np.concatenate(octaves, axis=1) + 0.02)


def _harmony(relative, frequencies):
    """Measures which intervals sound together, by autocorrelation of pitch classes."""
    low, high = SEMITONE_RANGE
    chosen = (frequencies > low) & (frequencies < high)
    pitch_class = np.round(librosa.hz_to_midi(frequencies[chosen])).astype(int) % 12
    fold = np.eye(12, dtype=np.float32)[pitch_class]
    magnitude = librosa.db_to_amplitude(relative[:, :, chosen], ref=1.0)
    chroma = magnitude @ fold / (fold.sum(axis=0) + 1e-3)
    chroma /= chroma.sum(axis=2, keepdims=True) + 1e-6
    average = chroma.mean(axis=1)
    intervals = []
    for shift in range(7):
        shifted = np.roll(average, shift, axis=1)
        intervals.append((average * shifted).sum(axis=1))
    movement = np.abs(np.diff(chroma, axis=1)).sum(axis=2)
    movement = mean_and_spread(movement[:, :, None])
    described = np.concatenate([np.stack(intervals, axis=1), movement], axis=1)
    return np.log(described + 1e-3)
