"""Log-mel spectrograms of samples, with frames at any moments."""

import functools
import warnings
from collections.abc import Callable

import numpy as np
import scipy.fft

from cvae_music.config import AudioConfig

TINY = 1e-10  # a power, -100 dB: keeps logarithms and quotients finite
LOUDEST = 1000.0  # larger samples are integers, no floats with full scale at 1
FRAMES_AT_ONCE = 128  # their spectra fit the cache of a core
BANDS_AT_ONCE = 16  # multiplied with the few bins that they share


def read_only_cache(function: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
    """Caches the arrays of a function, and makes them read-only.

    Every caller gets the same array. If one could change it, it would silently change
    the features of all later callers.

    Args:
        function: Function of hashable arguments that returns an array.

    Returns:
        The function, with a cache of 16 results.

    Example:
        >>> mel_filters(AudioConfig()).flags.writeable
        False
    """

    @functools.lru_cache(maxsize=16)
    @functools.wraps(function)
    def cached(*args):
        array = function(*args)
        array.flags.writeable = False
        return array

    return cached


@read_only_cache
def mel_filters(config: AudioConfig) -> np.ndarray:
    """Builds triangular mel filters with peak 1, on the HTK scale.

    Equal to `librosa.filters.mel(htk=True, norm=None)`, whose import takes a second.
    Warns of bands so narrow that no frequency of the transform falls into them.

    Args:
        config: `AudioConfig`.

    Returns:
        Float32 array, shape `(n_mels, n_fft // 2 + 1)`; read-only, since it is cached.

    Source: Young et al., The HTK Book, section 5.4 (filterbank analysis).

    Example:
        >>> mel_filters(AudioConfig()).shape
        (128, 1025)
    """
    bins = np.fft.rfftfreq(config.n_fft, 1.0 / config.sample_rate)
    hertz = np.array([config.fmin, config.fmax])
    lowest, highest = 2595.0 * np.log10(1.0 + hertz / 700.0)
    mels = np.linspace(lowest, highest, config.n_mels + 2)
    edges = 700.0 * (10.0 ** (mels / 2595.0) - 1.0)[:, None]
    filters = triangles(edges, bins).astype(np.float32)
    empty = np.flatnonzero(~filters.any(axis=1)).tolist()
    if empty:
        warnings.warn(
            f"Empty mel filters: no frequency falls into bands {empty}, which will "
            f"always read {config.floor_db} dB. Raise n_fft or fmin, or lower n_mels.",
            stacklevel=3,
        )
    return filters


def triangles(edges: np.ndarray, bins: np.ndarray) -> np.ndarray:
    """Builds triangular filters with peak 1.

    Args:
        edges: Float array, shape `(bands + 2, 1)`, in Hz, increasing: each band begins
            at one, has its peak at the next and ends at the one after.
        bins: Float array, shape `(bins,)`: frequencies of the transform, in Hz.

    Returns:
        Float array, shape `(bands, bins)`.
    """
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return np.maximum(0.0, np.minimum(rising, falling))


@read_only_cache
def mel_to_stft_weights(config: AudioConfig) -> np.ndarray:
    """Builds the weights that spread values of mel bands over frequencies.

    Args:
        config: `AudioConfig`.

    Returns:
        Float32 array, shape `(n_mels, n_fft // 2 + 1)`; each column sums to 1, or to 0
        where no band reaches. Read-only, since it is cached.

    Example:
        >>> weights = mel_to_stft_weights(AudioConfig())
        >>> float(weights[:, 500].sum().round(3))
        1.0
    """
    filters = mel_filters(config)
    return filters / np.maximum(filters.sum(axis=0), TINY)


def bands_as_curve(mel_power: np.ndarray, config: AudioConfig) -> np.ndarray:
    """Interpolates the power of mel bands over frequency, in nats.

    A band's power is shared evenly among its bins, then logarithms are interpolated
    from the centre of a band to the next.

    Args:
        mel_power: Float array, shape `(frames, n_mels)`, power relative to full scale;
            what is below `floor_db` is raised to it.
        config: `AudioConfig`.

    Returns:
        Float32 array, shape `(frames, n_fft // 2 + 1)`: natural logarithm of the power
        of each frequency.
    """
    widths = np.maximum(mel_filters(config).sum(axis=1), TINY)
    density = np.maximum(mel_power, 10.0 ** (config.floor_db / 10.0)) / widths
    return (np.log(density) @ mel_to_stft_weights(config)).astype(np.float32)


@read_only_cache
def hann_window(n_fft: int) -> np.ndarray:
    """Builds a periodic Hann window: float32, shape `(n_fft,)`, read-only."""
    return np.hanning(n_fft + 1)[:-1].astype(np.float32)


def log_mel(
    samples: np.ndarray | list[float],
    frame_times: np.ndarray | list[float],
    config: AudioConfig,
    wrap: bool = False,
) -> np.ndarray:
    """Computes log-mel levels at given moments, in dB.

    Args:
        samples: Float array, shape `(samples,)`, at `config.sample_rate`.
        frame_times: Float array, shape `(frames,)`, seconds from the first sample;
            each window is centred on its moment.
        config: `AudioConfig`.
        wrap: Read beyond the ends as a loop (silence otherwise).

    Returns:
        Float32 array, shape `(frames, n_mels)`, in dB, within
        `[floor_db, ceiling_db]`. 0 dB is the power of a sine wave of amplitude 1 in
        its bin; its band reads that to within 1.7 dB, before the ceiling.

    Raises:
        ValueError: If `samples` is not one-dimensional, is empty, or holds NaN or
            values beyond 1,000, such as those of 16-bit integers.

    Example:
        >>> log_mel(np.zeros(22050), [0.1, 0.2], AudioConfig()).max()
        np.float32(-70.0)
    """
    mono = np.asarray(samples, np.float32)
    if mono.ndim != 1 or len(mono) == 0 or not np.abs(mono).max() <= LOUDEST:
        raise ValueError(
            f"log_mel got samples of shape {mono.shape}, the largest "
            f"{np.abs(mono).max(initial=0.0):g}; expected finite mono, (samples,), "
            "full scale at 1. Average the channels; divide 16-bit integers by 32768."
        )
    positions = np.asarray(frame_times, np.float64) * config.sample_rate
    centres = np.round(positions).astype(np.int64)
    power = band_power(mono, centres, mel_filters(config), config.n_fft, wrap)
    full_scale = (2.0 / hann_window(config.n_fft).sum()) ** 2
    level = 10.0 * np.log10(np.maximum(power * full_scale, TINY))
    return np.clip(level, config.floor_db, config.ceiling_db)


def band_power(
    samples: np.ndarray,
    centres: np.ndarray,
    filters: np.ndarray,
    n_fft: int,
    wrap: bool = False,
) -> np.ndarray:
    """Computes the power of frequency bands in Hann windows around some samples.

    Args:
        samples: Float32 array, shape `(samples,)`.
        centres: Int array, shape `(frames,)`: the samples at the middle of the windows.
        filters: Float32 array, shape `(bands, n_fft // 2 + 1)`.
        n_fft: Length of the window, in samples.
        wrap: Read beyond the ends as a loop (silence otherwise).

    Returns:
        Float32 array, shape `(frames, bands)`: squared magnitudes of the transform,
        not normalised by the window, weighted by the filters and summed.
    """
    if wrap:
        centres = centres % len(samples)
    else:  # further out is silence too, and outside the padding
        centres = np.clip(centres, -n_fft, len(samples) + n_fft)
    padded = np.pad(samples, 2 * n_fft, mode="wrap" if wrap else "constant")
    windows = np.lib.stride_tricks.sliding_window_view(padded, n_fft)
    window = hann_window(n_fft)
    starts = centres + 2 * n_fft - n_fft // 2
    power = np.empty((len(centres), len(filters)), np.float32)
    # A band has few bins: blocks of bands, each with the bins of its own alone, take an
    # eighth of the multiplications of one product of all.
    blocks = []
    for first in range(0, len(filters), BANDS_AT_ONCE):
        bands = slice(first, first + BANDS_AT_ONCE)
        used = filters[bands].max(axis=0) > 0
        bins = slice(used.argmax(), len(used) - used[::-1].argmax())
        blocks.append((bands, bins))
    for first in range(0, len(starts), FRAMES_AT_ONCE):
        frames = slice(first, first + FRAMES_AT_ONCE)
        spectra = scipy.fft.rfft(windows[starts[frames]] * window, axis=1)
        density = spectra.real**2 + spectra.imag**2
        for bands, bins in blocks:
            power[frames, bands] = density[:, bins] @ filters[bands, bins].T
    return power


def beat_frame_times(
    beat_times: np.ndarray | list[float], config: AudioConfig
) -> np.ndarray:
    """Computes the times of `frames_per_beat` frames in each beat, in seconds.

    Args:
        beat_times: Float array, shape `(num_beats + 1,)`, seconds; the last one closes
            the clip.
        config: `AudioConfig`.

    Returns:
        Float array, shape `(num_frames,)`, seconds. The first frame stands on the
        first beat.

    Raises:
        ValueError: If the number of beats is wrong or they do not increase.

    Example:
        >>> beats = np.arange(9) * 0.5  # 120 beats a minute
        >>> beat_frame_times(beats, AudioConfig())[[0, 8, 16]].tolist()
        [0.0, 0.25, 0.5]
    """
    beat_times = np.asarray(beat_times, np.float64)
    num_times = config.num_beats + 1
    if beat_times.shape != (num_times,) or np.any(np.diff(beat_times) <= 0):
        raise ValueError(
            f"beat_frame_times got {str(beat_times)[:80]}, shape {beat_times.shape}; "
            f"expected {num_times} increasing times in seconds: one for each beat and "
            "one that closes the clip."
        )
    position = np.arange(config.num_frames) / config.frames_per_beat
    return np.interp(position, np.arange(num_times), beat_times)


def seconds_frame_times(start: float, config: AudioConfig) -> np.ndarray:
    """Computes the times of a clip's frames in steps of `hop_length`, in seconds.

    Args:
        start: Moment of the first frame, in seconds.
        config: `AudioConfig`.

    Returns:
        Float array, shape `(num_frames,)`, seconds.

    Example:
        >>> config = AudioConfig(sample_rate=22050, hop_length=441, grid="seconds")
        >>> seconds_frame_times(1.0, config)[:3].tolist()
        [1.0, 1.02, 1.04]
    """
    return start + np.arange(config.num_frames) * config.hop_length / config.sample_rate
