"""Beat tracking after librosa, in less than half its time (docs/speed.md)."""

import numpy as np
import scipy.fft

from cvae_music.audio.analysis import TINY, band_power, read_only_cache, triangles
from cvae_music.config import AudioConfig

FALLBACK_TEMPO = 120.0  # beats a minute
MAX_INTERVAL_SPREAD = 0.35  # of the mean interval
ONSET_STEP = 512  # samples
ONSET_WINDOW = 2048  # samples
# These and the other numbers below are librosa's.
ONSET_BANDS = 128
ONSET_RANGE_DB = 80.0  # below the loudest level; what is softer is raised to it
MAX_TEMPO = 320.0  # beats a minute
TIGHTNESS = 100.0  # factor of the cost of leaving the tempo


def track_beats(samples: np.ndarray, config: AudioConfig) -> tuple[np.ndarray, bool]:
    """Finds the beat times of a recording, in seconds.

    The beats are those of `librosa.beat.beat_track` with `trim=False` and the envelope
    of `librosa.onset.onset_strength`. (Given samples, librosa's tracker takes medians
    over bands, not means, and may find others.) The tempo is estimated around every
    sixteenth frame, not around all.

    Args:
        samples: Float array, shape `(samples,)`, at `config.sample_rate`.
        config: `AudioConfig`.

    Returns:
        `(beat_times, is_tracked)`: float array of increasing seconds, shape
        `(beats,)`, and `False` where it is a grid of 120 beats a minute. The grid is
        laid if no more than `num_beats` beats were found (a clip needs one more, its
        end), or if the standard deviation of their intervals is over 35 % of the mean.

    Source: Ellis (2007), Beat tracking by dynamic programming, Journal of New Music
        Research 36(1).

    Example:
        >>> beat_times, is_tracked = track_beats(np.zeros(44100), AudioConfig())
        >>> beat_times.tolist(), is_tracked  # silence
        ([0.0, 0.5, 1.0, 1.5, 2.0], False)
    """
    rate = config.sample_rate
    envelope = onset_envelope(samples, rate)
    if envelope.max() > 0:
        frames = beat_path(envelope, beat_period(envelope, rate))
        beats = frames * (ONSET_STEP / rate)
        intervals = np.diff(beats)
        if len(beats) > config.num_beats:
            if intervals.std() <= MAX_INTERVAL_SPREAD * intervals.mean():
                return beats, True
    step = 60.0 / FALLBACK_TEMPO
    return np.arange(0.0, len(samples) / rate + 1e-9, step), False


def onset_envelope(samples: np.ndarray, rate: int) -> np.ndarray:
    """Computes the mean rise of 128 mel bands from frame to frame, in dB.

    Args:
        samples: Float array, shape `(samples,)`.
        rate: Sample rate, in Hz.

    Returns:
        Float32 array, shape `(frames,)`, a frame every `ONSET_STEP` samples.
    """
    centres = np.arange(len(samples) // ONSET_STEP + 1) * ONSET_STEP
    power = band_power(samples, centres, _onset_filters(rate), ONSET_WINDOW)
    level = 10.0 * np.log10(np.maximum(power, TINY))
    rise = np.diff(np.maximum(level, level.max() - ONSET_RANGE_DB), axis=0)
    # A frame's window reaches an onset half a window before its centre does, so the
    # rises are moved later by that.
    delay = 1 + ONSET_WINDOW // (2 * ONSET_STEP)
    return np.pad(np.maximum(rise, 0.0).mean(axis=1), (delay, 0))[: len(centres)]


@read_only_cache
def _onset_filters(rate: int) -> np.ndarray:
    """Builds `librosa.filters.mel(sr=rate, n_fft=2048)`: Slaney's scale and norm."""
    # Linear up to 1 kHz (mel 15), then logarithmic; all bands have the same area.
    log_step = np.log(6.4) / 27.0
    highest = 15.0 + np.log(rate / 2000.0) / log_step
    mels = np.linspace(0.0, highest, ONSET_BANDS + 2)
    linear = mels * (200.0 / 3.0)
    logarithmic = 1000.0 * np.exp((mels - 15.0) * log_step)
    edges = np.where(mels < 15.0, linear, logarithmic)[:, None]
    bins = np.fft.rfftfreq(ONSET_WINDOW, 1.0 / rate)
    filters = triangles(edges, bins) * (2.0 / (edges[2:] - edges[:-2]))
    return filters.astype(np.float32)


def beat_period(envelope: np.ndarray, rate: int) -> int:
    """Estimates the number of frames from beat to beat.

    It is the lag of the largest mean autocorrelation over 8 seconds, weighted by a
    log-normal prior around 120 beats a minute.

    Args:
        envelope: Float32 array, shape `(frames,)`, of `onset_envelope`.
        rate: Sample rate, in Hz.

    Returns:
        Frames in a beat, at least 1.
    """
    width = 8 * rate // ONSET_STEP
    padded = np.pad(envelope.astype(np.float64), width // 2, mode="linear_ramp")
    excerpts = np.lib.stride_tricks.sliding_window_view(padded, width)
    excerpts = excerpts[: len(envelope) : 16] * np.hanning(width + 1)[:-1]
    size = scipy.fft.next_fast_len(2 * width - 1, real=True)
    energy = np.maximum((excerpts**2).sum(axis=1), TINY)
    power = np.abs(scipy.fft.rfft(excerpts, size)) ** 2 / energy[:, None]
    autocorrelation = scipy.fft.irfft(power.mean(axis=0), size)[1:width]
    periods = np.arange(1, width)
    tempo = 60.0 * rate / (ONSET_STEP * periods)
    penalty = 0.5 * np.log2(tempo / 120.0) ** 2  # minus the logarithm of the prior
    score = np.log1p(1e6 * autocorrelation) - penalty
    return int(periods[np.where(tempo < MAX_TEMPO, score, -np.inf).argmax()])


def beat_path(envelope: np.ndarray, period: int) -> np.ndarray:
    """Finds the frames on the beat by dynamic programming.

    The path maximises the onset strength on its beats, less a cost of each distance
    between two that is not the period.

    Args:
        envelope: Float32 array, shape `(frames,)`, of `onset_envelope`.
        period: Frames in a beat, of `beat_period`.

    Returns:
        Int array, shape `(beats,)`, increasing.
    """
    # A Gaussian of a standard deviation of 1/32 of a beat.
    pulse = np.exp(-0.5 * (np.arange(-period, period + 1) * (32.0 / period)) ** 2)
    smoothed = np.convolve(envelope / envelope.std(ddof=1), pulse)
    strength = smoothed[period : period + len(envelope)]
    # A beat follows half a period to two periods after the one before, so the frames of
    # half a period do not depend on each other and are computed together.
    block = max(1, round(period / 2))
    longest = 2 * period
    steps = np.arange(block, longest + 1)
    cost = TIGHTNESS * np.log(steps / period) ** 2
    score = np.append(np.full(longest, -np.inf), strength)
    previous = np.full(len(strength), -1)
    for start in range(block, len(strength), block):
        frames = np.arange(start, min(start + block, len(strength)))
        candidates = score[longest + frames[:, None] - steps] - cost
        best = candidates.argmax(axis=1)
        previous[frames] = frames - steps[best]
        score[longest + frames] += candidates[frames - start, best]
    # Frames before the first onset have no beat before them, so paths begin there.
    previous[: np.argmax(strength >= 0.01 * strength.max())] = -1
    # The last beat is the last peak of the score that is at least half their median.
    score = score[longest:]
    is_rising = np.diff(score, prepend=np.inf) > 0
    is_peak = is_rising & (np.diff(score, append=-np.inf) <= 0)
    peaks = np.flatnonzero(is_peak)
    high = peaks[score[peaks] >= 0.5 * np.median(score[peaks])]
    beat = max(high, default=len(score) - 1)
    beats = []
    while beat >= 0:
        beats.append(beat)
        beat = previous[beat]
    onsets = np.flatnonzero(strength > 0)  # no beats in the silence around them
    return np.array([beat for beat in beats[::-1] if onsets[0] <= beat <= onsets[-1]])
