"""Copies of one recording, told by how it sounds: names, formats, levels may differ."""

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

RATE = 4000  # Hz: what every codec keeps
SECONDS = 8.0  # of sound that are compared, from the first one on
SHORTEST = 2.0  # seconds
SILENCE = 0.01  # of the peak; less is left out at the beginning
QUIETEST = 0.1  # full scale at 1: of a peak below it, SILENCE of this is left out
WINDOW = 1024  # samples, for the spectrum
SMOOTHING = 17  # frequencies
# Of 21 recordings in four styles, copies as MP3, Vorbis and Opus had a likeness of at
# least 0.95 and a correlation of at least 0.88; of 181, one pair of others had 0.86 and
# 0.60, the next at most 0.77 and 0.29.
MIN_LIKENESS = 0.85  # of spectra; others are not compared further
SAME = 0.7  # correlation
MOST_COMPARED = 5
BLOCK = 256  # files


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
        Int array, shape `(len(paths),)`: the place of the first file that begins with
        the same recording, its own place where there is none before it, -1 where less
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
    """Drops copies of test music from training and validation.

    Args:
        table: Columns `source_id`, `split`.
        copies: Of its rows, as of `find_copies`.
        skipped: List that gets a line for each row that is dropped.
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
    return table[is_kept].copy()


def _opening(path: str) -> np.ndarray:
    """Reads the first seconds of sound, silence left out, at `RATE`."""
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
    """Computes the fine structure of the average spectrum, a vector of length 1."""
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
    """Computes the correlation of two sounds at the shift where it is largest."""
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
