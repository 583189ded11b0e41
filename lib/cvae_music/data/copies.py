"""Copies of one recording, found by sound: names, formats and levels may differ."""

import functools
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import scipy.fft
import scipy.ndimage
import soxr

from cvae_music.audio.analysis import TINY, band_power
from cvae_music.audio.files import read_mono
from cvae_music.data.collection import SPLITS

RATE = 4000  # Hz; every codec keeps the frequencies below 2 kHz
SECONDS = 8.0  # how much is compared, from the first sound on
SHORTEST = 2.0  # seconds; less sound is not compared
# Quieter samples at the beginning are left out: below SILENCE times the peak, and where
# the peak is low below SILENCE times QUIETEST, or hiss would count as sound.
SILENCE = 0.01
QUIETEST = 0.1  # full scale is 1
WINDOW = 1024  # samples, for the spectrum
SMOOTHING = 17  # bins of the spectrum
# Likeness is the cosine similarity of two spectra; only pairs above MIN_LIKENESS are
# correlated. Copies of 21 recordings in four styles as MP3, Vorbis and Opus had a
# likeness of at least 0.95 and a correlation of at least 0.88. Among 181 different
# recordings one pair had 0.86 and 0.60, the next at most 0.77 and 0.29.
MIN_LIKENESS = 0.85
SAME = 0.7  # lowest correlation of copies
MOST_COMPARED = 5  # files that one file is correlated with
BLOCK = 256  # files whose likeness to all others is computed at once


def find_copies(paths: list[str]) -> np.ndarray:
    """Finds files that begin with the same recording.

    Silence in front, level (by up to 50 dB), format, sample rate and the first three
    seconds may differ. Of each file the average spectrum of its first seconds is kept;
    files with nearly the same are read again and compared by cross-correlation.

    Two kinds are not found. One is an excerpt from the middle of a song: each file
    would have to be decoded to its end, a second for a minute of mp3, each time a
    folder is opened. The other is a copy that is played faster or slower: its spectrum
    is stretched, and its samples drift away from those of the other at once.

    Args:
        paths: Paths of sound files.

    Returns:
        Int array, shape `(len(paths),)`: the index of the first file that begins with
        the same recording, its own index where there is none before it, -1 where less
        than two seconds of sound can be read.

    Example:
        >>> find_copies(["no such file.wav"])
        array([-1])
    """
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(_spectrum, paths))
    readable = [place for place, known in enumerate(found) if known is not None]
    copies = np.full(len(found), -1)
    copies[readable] = readable
    spectra = np.array([found[place] for place in readable], np.float32)
    load = functools.lru_cache(maxsize=256)(_opening)
    for first in range(0, len(readable), BLOCK):
        block = spectra[first : first + BLOCK] @ spectra[: first + BLOCK].T
        for number, likeness in enumerate(block, first):
            near = np.flatnonzero(likeness[:number] > MIN_LIKENESS)
            for other in near[np.argsort(-likeness[near])][:MOST_COMPARED]:
                place = readable[number]
                twin = readable[other]
                if _correlation(load(paths[place]), load(paths[twin])) > SAME:
                    copies[place] = copies[twin]
                    break
    return copies


def drop_copies(
    table: pd.DataFrame, copies: np.ndarray, skipped: list[tuple], reason: str
) -> pd.DataFrame:
    """Keeps copies of one recording only in the last split that has one.

    Otherwise a model could be tested on a recording it was trained on.

    Args:
        table: Columns `source_id`, `split`; the last split is `"test"`.
        copies: Int array, shape `(len(table),)`, as `find_copies` returns it.
        skipped: List that gets `(source_id, reason, detail)` for each row that is
            dropped.
        reason: The reason, for the report.

    Returns:
        The rows that are kept.
    """
    rank = table["split"].map(SPLITS.index)
    is_kept = (copies < 0) | (rank == rank.groupby(copies).transform("max"))
    names = table["source_id"]
    kept = dict(zip(copies[is_kept], names[is_kept], strict=True))
    for name, copy in zip(names[~is_kept], copies[~is_kept], strict=True):
        skipped.append((name, reason, f"the same recording as {kept[copy]}"))
    return table[is_kept].copy()  # the caller changes it


def _opening(path: str) -> np.ndarray:
    """Reads the first seconds of sound after silence, at `RATE`; shape `(samples,)`."""
    for seconds in (SECONDS + 1.0, 60.0):  # more where it begins with silence
        samples, rate = read_mono(path, 0.0, seconds)
        level = np.abs(samples)
        is_sound = level > SILENCE * max(QUIETEST, level.max())
        start = int(is_sound.argmax())
        sound = samples[start : start + int(SECONDS * rate)]
        if is_sound.any() and len(sound) >= SHORTEST * rate:
            break
    sound = (sound - sound.mean()) / (level.max() + TINY)
    return soxr.resample(sound, rate, RATE, quality="LQ")


def _spectrum(path: str) -> np.ndarray | None:
    """Computes the average log spectrum without its smooth part, at unit length.

    Returns:
        Array, shape `(WINDOW // 2 + 1,)`; `None` where the sound is too short or cannot
        be read.
    """
    try:
        sound = _opening(path)
    except Exception:  # reported when the features are computed
        return None
    if len(sound) < SHORTEST * RATE or not sound.any():
        return None
    centres = np.arange(WINDOW // 2, len(sound) - WINDOW // 2, WINDOW // 4)
    single_bins = np.eye(WINDOW // 2 + 1, dtype=np.float32)
    power = band_power(sound, centres, single_bins, WINDOW).mean(axis=0)
    level = np.log(power + 1e-9 * power.max() + TINY)
    fine = level - scipy.ndimage.uniform_filter1d(level, SMOOTHING, mode="nearest")
    return fine / np.linalg.norm(fine)


def _correlation(first: np.ndarray, second: np.ndarray) -> float:
    """Computes the absolute correlation of two sounds at the shift of its maximum."""
    size = scipy.fft.next_fast_len(len(first) + len(second), real=True)
    product = scipy.fft.rfft(first, size) * scipy.fft.rfft(second, size).conj()
    shift = int(np.abs(scipy.fft.irfft(product, size)).argmax())
    shift -= size * (shift > size // 2)
    first = first[max(0, shift) :]
    second = second[max(0, -shift) :]
    length = min(len(first), len(second))
    if length < SHORTEST * RATE:
        return 0.0
    first = first[:length]
    second = second[:length]
    energy = (first @ first) * (second @ second)
    return float(abs(first @ second) / np.sqrt(energy + TINY))
