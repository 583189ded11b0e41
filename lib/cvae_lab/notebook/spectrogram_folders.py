"""Folders of spectrograms stored as NumPy arrays: what they hold, and back to sound.

The project that this series began with published its spectrograms as a data set of its
own, whose layout nobody wrote down: `oskaralbers/fma-stft-spectrograms` on Kaggle. Its
notebooks say how they were made: ten seconds at 44,100 Hz, a Hann window of 1024
samples every 512, real and imaginary part as two channels, shape `(2, 513, 862)`. Such
arrays are turned into sound files, which `open_collection` reads like all others.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import librosa
import numpy as np
import pandas as pd

from cvae_music.audio.files import AUDIO_ENDINGS, write_audio
from cvae_music.config import AudioConfig
from cvae_music.data.fma import read_tracks, search_fma
from cvae_music.serialization import check_size

ARRAY_ENDINGS = (".npy", ".npz")
SAMPLE_RATE = 44100  # of the original's spectrograms; no array says its own
# A spectrum has one number more than half its window has samples.
NUM_BINS = tuple(2**power + 1 for power in range(5, 14))
NO_GENRE = ("", "Other")  # the original's word for tracks without a genre
NUM_INSPECTED = 12  # files of arrays that a report opens
PHASE_ROUNDS = 32
# Peaks of sound that keeps its level; other arrays were scaled by somebody.
QUIET = 0.02
LOUD = 2.0
CONVERT = (
    "Expected sound files, or a spectrogram of 2^k + 1 frequencies in each .npy or "
    ".npz, in folders named for their genre. Convert HDF5 and PyTorch files with "
    "np.save('track.npy', array), decibels with 10 ** (array / 20). A picture cannot "
    "become sound: take the recording it was made of."
)


class ArrayError(ValueError):
    """An array file that cannot be used; the text says why."""


# --- arrays -----------------------------------------------------------------------


def read_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """Reads the arrays of a `.npy` or `.npz` file by name, without pickle.

    Args:
        path: Path of the file. The name of the array in a `.npy` is "".

    Raises:
        ArrayError: If the file is damaged, unpacks to more than a gigabyte, or holds
            Python objects in place of numbers.
    """
    path = Path(path)
    try:
        if path.suffix == ".npy":
            # Mapped, so that a header cannot ask for more memory than the file has.
            return {"": np.load(path, mmap_mode="r", allow_pickle=False)}
        check_size(path)
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except Exception as error:  # a cut zip, an object array: each has its own kind
        raise ArrayError(f"{path.name} cannot be read as numbers: {error}") from error


def to_spectrogram(array: np.ndarray) -> np.ndarray:
    """Returns an array as a spectrogram `(bins, frames)`, complex or a magnitude.

    Args:
        array: Complex, or not negative, of shape `(bins, frames)` or `(frames, bins)`;
            or real and imaginary part, of shape `(2, bins, frames)` or
            `(bins, frames, 2)`.

    Returns:
        Complex64 or float32 array.

    Raises:
        ArrayError: If the array is nothing of that.
    """
    found = f"no spectrogram: {array.dtype} of shape {array.shape}"
    if array.dtype.kind not in "fciu":
        raise ArrayError(found)
    if array.ndim == 3 and array.shape[-1] == 2:
        array = np.moveaxis(array, -1, 0)
    if array.ndim == 3 and array.shape[0] == 2:
        array = array[0] + 1j * array[1].astype(np.complex64)
    if array.ndim == 2 and array.shape[0] not in NUM_BINS:
        array = array.T
    if array.ndim != 2 or array.shape[0] not in NUM_BINS:
        raise ArrayError(found)
    if np.iscomplexobj(array):
        return array.astype(np.complex64)
    if array.min() < 0.0:
        raise ArrayError(f"{found}, with negative numbers")
    return array.astype(np.float32)


def spectrogram_to_audio(spectrogram: np.ndarray) -> np.ndarray:
    """Inverts a spectrogram `(bins, frames)`; phases of a magnitude are estimated.

    There are two frames to a window.
    """
    hop = spectrogram.shape[0] - 1
    if np.iscomplexobj(spectrogram):
        return librosa.istft(spectrogram, hop_length=hop)
    return librosa.griffinlim(
        spectrogram, n_iter=PHASE_ROUNDS, hop_length=hop, init=None
    )


# --- a folder ---------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class FolderReport:
    """Holds what `inspect_folder` found.

    Args:
        kind: `"sound"`, `"spectrograms"` or `"unknown"`: what the folder is good for.
        text: A sentence or two: what it is, and what to do with it.

    Example:
        >>> FolderReport("sound", "3 sound files.").kind
        'sound'
    """

    kind: str
    text: str


def inspect_folder(folder: str | Path) -> FolderReport:
    """Says what a folder holds, without reading all of it or executing any of it.

    Args:
        folder: Path of the folder.

    Returns:
        `FolderReport`.

    Raises:
        ValueError: If there is no such folder.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.save(f"{folder}/track.npy", np.ones((513, 40), complex))
        ...     inspect_folder(folder).kind
        'spectrograms'
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise ValueError(
            f"inspect_folder got {str(folder)!r}, which is no folder; expected one. "
            "Check the path."
        )
    paths = _files_in(folder)
    num_sounds = sum(path.suffix.lower() in AUDIO_ENDINGS for path in paths)
    files = [path for path in paths if path.suffix.lower() in ARRAY_ENDINGS]
    if num_sounds >= max(1, len(files)):
        text = f"{num_sounds:,} sound files. Open them with open_collection."
        return FolderReport("sound", text)
    problem = ""
    for path in files[:NUM_INSPECTED]:
        try:
            array = next(iter(read_arrays(path).values()))
            to_spectrogram(array)
        except ArrayError as error:
            problem = f"{error}. "
            continue
        text = (
            f"{len(files):,} files of spectrograms, {array.dtype} of shape "
            f"{array.shape}. spectrograms_to_sound makes sound files of them."
        )
        return FolderReport("spectrograms", text)
    endings = ", ".join(sorted({path.suffix.lower() for path in paths}))
    text = f"{len(paths):,} files ({endings or 'none'}), no sound or spectrograms. "
    return FolderReport("unknown", text + problem + CONVERT)


def _files_in(folder):
    """All files below a folder in order, hidden ones left out."""
    paths = sorted(folder.rglob("*"))
    return [path for path in paths if path.is_file() and path.name[0] != "."]


def spectrograms_to_sound(
    folder: str | Path,
    target: str | Path,
    config: AudioConfig,
    *,
    sample_rate: int = SAMPLE_RATE,
) -> pd.DataFrame:
    """Writes the arrays of a folder as sound files, one folder for each genre.

    The files are `<target>/<genre>/<artist or track>__<number>.wav`. A genre stands in
    a table in the folder, found by the number in the file's name: FMA's `tracks.csv`,
    or a table with the columns `track_id` and `genre_top`; else it is the folder that
    the file lies in. FMA's artists stay together, so that none will be in two splits.
    Existing files are not made again.

    Args:
        folder: Path of the folder of arrays.
        target: Folder to write to.
        config: `AudioConfig`, for the sample rate of the files.
        sample_rate: Samples a second of the sound that the arrays were made of. There
            are two frames to a window.

    Returns:
        DataFrame, one row an array: `file`, `genre`, `path` of the sound, or `problem`.

    Raises:
        ValueError: If no sound could be made.

    Source: the layout is that of the notebooks of the project TIF360ProjectD,
    "Clustering and Music Generation with CVAEs".
    """
    folder = Path(folder).expanduser()
    target = Path(target).expanduser()
    genres, artists = _read_tables(folder)
    rows = []
    gain = None
    for path in _files_in(folder):
        if path.suffix.lower() not in ARRAY_ENDINGS:
            continue
        digits = re.fullmatch(r"\D*(\d+)\D*", path.stem)
        track = int(digits[1]) if digits else 0
        file = path.relative_to(folder)
        genre = genres.get(track, _folder_genre(file))
        row = {"file": file.as_posix(), "genre": genre}
        try:
            arrays = read_arrays(path)
            spectrograms = {name: to_spectrogram(arrays[name]) for name in arrays}
            if genre in NO_GENRE:
                raise ArrayError("no genre")
        except ArrayError as error:
            rows.append(row | {"problem": str(error)})
            continue
        for name, spectrogram in spectrograms.items():
            group = artists.get(track, f"{path.stem}-{name}".strip("-"))
            sound = target / re.sub(r"[^\w .&-]+", "_", genre)
            sound = sound / f"{group}__{track:06d}.wav"
            rows.append(row | {"path": str(sound)})
            # The first spectrogram gives the gain of all, so that their levels compare,
            # also in a second run.
            if gain is None or not sound.exists():
                samples = spectrogram_to_audio(spectrogram)
                gain = gain or _gain(samples)
                samples = librosa.resample(
                    gain * samples, orig_sr=sample_rate, target_sr=config.sample_rate
                )
                write_audio(sound, samples, config)
    columns = ["file", "genre", "path", "problem"]
    report = pd.DataFrame(rows, columns=columns).fillna({"problem": "", "path": ""})
    if not (report["path"] != "").any():
        problems = "; ".join(report["problem"].value_counts().index[:3])
        raise ValueError(
            f"spectrograms_to_sound made no sound of {str(folder)!r} "
            f"({problems or 'no array files'}). {CONVERT} Genres may stand in a table "
            "in that folder (tracks.csv, labelconversion.csv)."
        )
    return report


def _gain(samples):
    """1 for sound that keeps its level, else what brings its peak to one half."""
    peak = float(np.abs(samples).max(initial=0.0))
    if peak == 0.0 or QUIET < peak < LOUD:
        return 1.0
    return 0.5 / peak


def _folder_genre(file):
    """The nearest folder that is none of FMA's thousands (000, 001) or a split."""
    splits = ("train", "test", "val", "validation")
    for part in reversed(file.parts[:-1]):
        if not part.isdigit() and part.lower() not in splits:
            return part
    return ""


def _read_tables(folder):
    """`{track: genre}`, `{track: artist}` of FMA's table, or genres of a simple one."""
    found, _ = search_fma(folder)
    if found:
        tracks = read_tracks(found[0])
        artists = "artist-" + tracks["artist"].dropna().astype(int).astype(str)
        return tracks["genre"].fillna("").to_dict(), artists.to_dict()
    columns = ["track_id", "genre_top"]
    for path in sorted(folder.rglob("*.csv")):
        if set(columns) <= set(pd.read_csv(path, nrows=0).columns):
            table = pd.read_csv(path, usecols=columns, dtype={"genre_top": str})
            table = table.dropna().astype({"track_id": int})
            return table.set_index("track_id")["genre_top"].to_dict(), {}
    return {}, {}
