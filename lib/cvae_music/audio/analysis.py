"""From samples to log-mel levels on any time grid, and where the beats are."""

import functools

import numpy as np
import scipy.fft

FALLBACK_TEMPO = 120.0
MAX_INTERVAL_SPREAD = 0.35
TINY = 1e-10
ONSET_STEP, ONSET_WINDOW = 512, 2048  # samples
FRAMES_AT_ONCE = 128  # what a core keeps near it


def track_beats(samples, config):
    """Beat times of a recording.

    These are the beats of `librosa.beat.beat_track`, found some ten times faster: librosa compiles its tracker in
    each process anew, and looks for the tempo around every frame.

    Args:
        samples: Float array, shape `(samples,)`, at `config.sample_rate`.
        config: `AudioConfig`.

    Returns:
        `(beat_times, is_tracked)`: seconds, increasing; `False` where a grid of 120 beats a minute was laid,
        because fewer beats than a clip holds were found or their distances vary by more than 35 %.

    Source: Ellis (2007), "Beat tracking by dynamic programming", Journal of New Music Research 36(1).
    """
    rate = config.sample_rate
    envelope = onset_envelope(samples, rate)
    if envelope.max() > 0:
        beats = beat_path(envelope, beat_period(envelope, rate)) * (ONSET_STEP / rate)
        intervals = np.diff(beats)
        if (
            len(beats) > config.num_beats
            and intervals.std() <= MAX_INTERVAL_SPREAD * intervals.mean()
        ):
            return beats, True
    return np.arange(0.0, len(samples) / rate + 1e-9, 60.0 / FALLBACK_TEMPO), False


def onset_envelope(samples, rate):
    """How far 128 mel bands rise on average, in dB, every `ONSET_STEP` samples; float32, shape `(frames,)`."""
    centres = np.arange(len(samples) // ONSET_STEP + 1) * ONSET_STEP
    level = 10.0 * np.log10(
        np.maximum(
            band_power(samples, centres, _onset_filters(rate), ONSET_WINDOW), TINY
        )
    )
    rise = np.diff(np.maximum(level, level.max() - 80.0), axis=0)
    # A frame rises as soon as its window reaches the onset.
    return np.pad(
        np.maximum(rise, 0.0).mean(axis=1), (1 + ONSET_WINDOW // (2 * ONSET_STEP), 0)
    )[: len(centres)]


@functools.lru_cache(maxsize=16)
def _onset_filters(rate):
    """`librosa.filters.mel(sr=rate, n_fft=2048)`: Slaney's scale, linear up to 1 kHz, and bands of one area."""
    step = np.log(6.4) / 27.0
    mels = np.linspace(0.0, 15.0 + np.log(rate / 2000.0) / step, 130)
    edges = np.where(
        mels < 15.0, mels * (200.0 / 3.0), 1000.0 * np.exp((mels - 15.0) * step)
    )[:, None]
    bins = np.fft.rfftfreq(ONSET_WINDOW, 1.0 / rate)
    rising, falling = (
        (bins - edges[:-2]) / np.diff(edges[:-1], axis=0),
        (edges[2:] - bins) / np.diff(edges[1:], axis=0),
    )
    return (
        np.maximum(0.0, np.minimum(rising, falling)) * (2.0 / (edges[2:] - edges[:-2]))
    ).astype(np.float32)


def beat_period(envelope, rate):
    """Frames from beat to beat: where the mean autocorrelation over 8 s is largest, tempos near 120 preferred."""
    width = 8 * rate // ONSET_STEP
    padded = np.pad(envelope.astype(np.float64), width // 2, mode="linear_ramp")
    around = (
        np.lib.stride_tricks.sliding_window_view(padded, width)[: len(envelope) : 16]
        * np.hanning(width + 1)[:-1]
    )
    size = scipy.fft.next_fast_len(2 * width - 1, real=True)
    power = (
        np.abs(scipy.fft.rfft(around, size)) ** 2
        / np.maximum((around**2).sum(axis=1), TINY)[:, None]
    )
    periods = np.arange(1, width)
    tempo = 60.0 * rate / (ONSET_STEP * periods)
    likely = (
        np.log1p(1e6 * scipy.fft.irfft(power.mean(axis=0), size)[1:width])
        - 0.5 * np.log2(tempo / 120.0) ** 2
    )
    return int(periods[np.where(tempo < 320.0, likely, -np.inf).argmax()])


def beat_path(envelope, period):
    """The frames on the beat: the path that meets the strongest onsets at distances closest to the period."""
    pulse = np.exp(-0.5 * (np.arange(-period, period + 1) * (32.0 / period)) ** 2)
    strength = np.convolve(envelope / envelope.std(ddof=1), pulse)[
        period : period + len(envelope)
    ]
    # A beat follows half a period to two periods after the last one, so frames of half a period are looked at together.
    block, longest = max(1, round(period / 2)), 2 * period
    steps = np.arange(block, longest + 1)
    cost = 100.0 * np.log(steps / period) ** 2
    score, before = (
        np.append(np.full(longest, -np.inf), strength),
        np.full(len(strength), -1),
    )
    for start in range(block, len(strength), block):
        frames = np.arange(start, min(start + block, len(strength)))
        found = score[longest + frames[:, None] - steps] - cost
        best = found.argmax(axis=1)
        before[frames] = frames - steps[best]
        score[longest + frames] += found[frames - start, best]
    before[: np.argmax(strength >= 0.01 * strength.max())] = -1
    score = score[longest:]
    peaks = np.flatnonzero(
        (np.diff(score, prepend=np.inf) > 0) & (np.diff(score, append=-np.inf) <= 0)
    )
    beat, beats = (
        max(
            peaks[score[peaks] >= 0.5 * np.median(score[peaks])], default=len(score) - 1
        ),
        [],
    )
    while beat >= 0:
        beats.append(beat)
        beat = before[beat]
    heard = np.flatnonzero(strength > 0)
    return np.array([beat for beat in beats[::-1] if heard[0] <= beat <= heard[-1]])


@functools.lru_cache(maxsize=16)
def mel_filters(config):
    """Triangular mel filters on the HTK scale, shape `(n_mels, n_fft // 2 + 1)`, float32, peak 1."""
    # The same as librosa.filters.mel(htk=True, norm=None), whose import (scipy.signal) takes a second that the first
    # sound would wait for.
    bins = np.fft.rfftfreq(config.n_fft, 1.0 / config.sample_rate)
    lowest, highest = 2595.0 * np.log10(
        1.0 + np.array([config.fmin, config.fmax]) / 700.0
    )
    edges = (
        700.0
        * (10.0 ** (np.linspace(lowest, highest, config.n_mels + 2) / 2595.0) - 1.0)[
            :, None
        ]
    )
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)


@functools.lru_cache(maxsize=16)
def mel_to_stft_weights(config):
    """Spreads values of bands over frequencies, shape `(n_mels, bins)`; the columns sum to 1 where any band is."""
    filters = mel_filters(config)
    return filters / np.maximum(filters.sum(axis=0), TINY)


def bands_as_curve(mel_power, config):
    """Natural logarithm of the power at every frequency, drawn through the bands; float32 `(frames, n_fft // 2 + 1)`."""
    density = np.maximum(mel_power, 10.0 ** (config.floor_db / 10.0)) / np.maximum(
        mel_filters(config).sum(axis=1), TINY
    )
    return (np.log(density) @ mel_to_stft_weights(config)).astype(np.float32)


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
        raise ValueError(
            f"log_mel got samples of shape {samples.shape}; expected mono, (samples,). Mix or reshape it."
        )
    centres = np.round(np.asarray(frame_times, np.float64) * config.sample_rate).astype(
        np.int64
    )
    power = band_power(samples, centres, mel_filters(config), config.n_fft, wrap)
    level = 10.0 * np.log10(
        np.maximum(power * (2.0 / hann_window(config.n_fft).sum()) ** 2, TINY)
    )
    return np.clip(level, config.floor_db, config.ceiling_db).astype(np.float32)


def band_power(samples, centres, filters, n_fft, wrap=False):
    """Power in bands of the windows around some samples, float32 `(frames, bands)`, as the transform scales it.

    Beyond the ends there is silence, or with `wrap` the other end.
    """
    centres = (
        centres % len(samples)
        if wrap
        else np.clip(centres, -n_fft, len(samples) + n_fft)
    )
    padded = np.pad(samples, 2 * n_fft, mode="wrap" if wrap else "constant")
    windows, window = (
        np.lib.stride_tricks.sliding_window_view(padded, n_fft),
        hann_window(n_fft),
    )
    firsts, power = (
        centres + 2 * n_fft - n_fft // 2,
        np.empty((len(centres), len(filters)), np.float32),
    )
    narrow = [
        (k, _reach(filters[k : k + 16].any(axis=0))) for k in range(0, len(filters), 16)
    ]
    for first in range(0, len(firsts), FRAMES_AT_ONCE):
        spectra = scipy.fft.rfft(
            windows[firsts[first : first + FRAMES_AT_ONCE]] * window, axis=1
        )
        density = spectra.real**2 + spectra.imag**2
        for k, bins in narrow:  # an eighth of the products
            power[first : first + FRAMES_AT_ONCE, k : k + 16] = (
                density[:, bins] @ filters[k : k + 16, bins].T
            )
    return power


def _reach(used):
    return slice(used.argmax(), len(used) - used[::-1].argmax())


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
        raise ValueError(
            f"beat_frame_times got beats of shape {beat_times.shape}; expected {wanted}."
        )
    position = np.arange(config.num_frames) / config.frames_per_beat
    return np.interp(position, np.arange(config.num_beats + 1), beat_times)


def seconds_frame_times(start, config):
    """Moments of the frames on the fixed grid, shape `(num_frames,)`, from `start` seconds."""
    return start + np.arange(config.num_frames) * config.hop_length / config.sample_rate
