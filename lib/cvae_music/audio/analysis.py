"""From samples to log-mel levels on any time grid, and where the beats are."""

import functools

import librosa
import numpy as np

FALLBACK_TEMPO = 120.0
MAX_INTERVAL_SPREAD = 0.35
TINY = 1e-10


def track_beats(samples, config):
    """Beat times of a recording.

    Args:
        samples: Float array, shape `(samples,)`, at `config.sample_rate`.
        config: `AudioConfig`.

    Returns:
        `(beat_times, is_tracked)`: seconds, increasing; `False` where a grid of 120 beats a minute was laid,
        because fewer beats than a clip holds were found or their distances vary by more than 35 %.

    Source: Ellis (2007), "Beat tracking by dynamic programming", through librosa.
    """
    rate, step = config.sample_rate, 512
    envelope = librosa.onset.onset_strength(y=samples, sr=rate, hop_length=step)
    if len(envelope) and envelope.max() > 0:
        beats = librosa.beat.beat_track(onset_envelope=envelope, sr=rate, hop_length=step, trim=False, units="time")[1]
        intervals = np.diff(beats)
        if len(beats) > config.num_beats and intervals.std() <= MAX_INTERVAL_SPREAD * intervals.mean():
            return np.asarray(beats, np.float64), True
    return np.arange(0.0, len(samples) / rate + 1e-9, 60.0 / FALLBACK_TEMPO), False


@functools.lru_cache(maxsize=16)
def mel_filters(config):
    """Triangular mel filters on the HTK scale, shape `(n_mels, n_fft // 2 + 1)`, float32, peak 1."""
    # The same as librosa.filters.mel(htk=True, norm=None), whose import (scipy.signal) takes a second that the first
    # sound would wait for.
    bins = np.fft.rfftfreq(config.n_fft, 1.0 / config.sample_rate)
    lowest, highest = 2595.0 * np.log10(1.0 + np.array([config.fmin, config.fmax]) / 700.0)
    edges = 700.0 * (10.0 ** (np.linspace(lowest, highest, config.n_mels + 2) / 2595.0) - 1.0)[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)


@functools.lru_cache(maxsize=16)
def bands_to_bins(config):
    """Spreads values of bands over frequencies, shape `(n_mels, bins)`; the columns sum to 1 where any band is."""
    filters = mel_filters(config)
    return filters / np.maximum(filters.sum(axis=0), TINY)


def bands_as_curve(mel_power, config):
    """Natural logarithm of the power at every frequency, drawn through the bands; float32 `(frames, n_fft // 2 + 1)`."""
    density = np.maximum(mel_power, 10.0 ** (config.floor_db / 10.0)) / np.maximum(
        mel_filters(config).sum(axis=1), TINY
    )
    return (np.log(density) @ bands_to_bins(config)).astype(np.float32)


@functools.lru_cache(maxsize=16)
def hann_window(n_fft):
    """Periodic Hann window, float32, shape `(n_fft,)`."""
    return np.hanning(n_fft + 1)[:-1].astype(np.float32)


def log_mel(samples, frame_times, config, wrap=False):
    """Log-mel level at the given moments.

    Args:
        samples: Float array, shape `(samples,)`, at `config.sample_rate`.
        frame_times: Float array, shape `(frames,)`, seconds from the first sample; each window is
            centred on its moment.
        config: `AudioConfig`.
        wrap: Read beyond the ends as a loop (silence otherwise).

    Returns:
        Float32 array, shape `(frames, n_mels)`, dB relative to a full-scale sine, within
        `[floor_db, ceiling_db]`.

    Raises:
        ValueError: If `samples` is not one-dimensional or is empty.
    """
    samples = np.asarray(samples, np.float32)
    if samples.ndim != 1 or len(samples) == 0:
        raise ValueError(f"log_mel got samples of shape {samples.shape}; expected mono, (samples,). Mix or reshape it.")
    window, half = hann_window(config.n_fft), config.n_fft // 2
    centres = np.round(np.asarray(frame_times, np.float64) * config.sample_rate).astype(np.int64)
    index = centres[:, None] + np.arange(-half, config.n_fft - half)
    frames = np.take(samples, index, mode="wrap" if wrap else "clip")
    if not wrap:
        frames *= (index >= 0) & (index < len(samples))
    spectrum = np.fft.rfft(frames * window, axis=1)
    power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32) * (2.0 / window.sum()) ** 2
    level = 10.0 * np.log10(np.maximum(power @ mel_filters(config).T, TINY))
    return np.clip(level, config.floor_db, config.ceiling_db).astype(np.float32)


def beat_frame_times(beat_times, config):
    """Moments of the frames between beats, `frames_per_beat` to each beat.

    Args:
        beat_times: Float array, shape `(num_beats + 1,)`, seconds; the last one closes the clip.
        config: `AudioConfig`.

    Returns:
        Float array, shape `(num_frames,)`, seconds. The first frame stands on the first beat.

    Raises:
        ValueError: If the number of beats is wrong or they do not increase.
    """
    beat_times = np.asarray(beat_times, np.float64)
    if beat_times.shape != (config.num_beats + 1,) or np.any(np.diff(beat_times) <= 0):
        wanted = f"{config.num_beats + 1} increasing times: one for each beat and one that closes the clip"
        raise ValueError(f"beat_frame_times got beats of shape {beat_times.shape}; expected {wanted}.")
    position = np.arange(config.num_frames) / config.frames_per_beat
    return np.interp(position, np.arange(config.num_beats + 1), beat_times)


def seconds_frame_times(start, config):
    """Moments of the frames on the fixed grid, shape `(num_frames,)`, from `start` seconds."""
    return start + np.arange(config.num_frames) * config.hop_length / config.sample_rate
