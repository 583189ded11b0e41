"""What is in a folder? Sound, arrays of spectrograms, pictures of them; and arrays as sound again.

The project that this series began with published its spectrograms as a data set of its own, whose layout nobody wrote
down: `oskaralbers/fma-stft-spectrograms` on Kaggle. Its notebooks say how they were made: ten seconds at 44,100 Hz, a
Hann window of 1024 samples every 512, real and imaginary part as two channels, shape `(2, 513, 862)`. Such arrays are
turned into sound files, and these go the way of all others. Nothing in a file is ever executed.
"""

import collections
import dataclasses
import io
import pickle
import re
import zipfile
from pathlib import Path

import librosa
import numpy as np
import pandas as pd

from cvae_music.audio.files import AUDIO_ENDINGS, write_audio
from cvae_music.data.fma import read_tracks, search_fma

ARRAY_ENDINGS = (".npy", ".npz", ".h5", ".hdf5", ".pt", ".pth")
PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".gif", ".webp")
SAMPLE_RATE = 44100  # of the original's spectrograms; no array says its own
HALF_WINDOWS = tuple(
    2**power for power in range(5, 14)
)  # a spectrum has one more number than half its window
KINDS = ("complex", "real and imaginary", "magnitude", "decibels")
LABEL_NAMES = ("genre", "genres", "label", "labels", "y")
NO_GENRE = ("", "Other")  # the original's word for tracks without a genre
NUM_LOOKED_INTO = 12
PHASE_ROUNDS = 32
QUIET, LOUD = (
    0.02,
    2.0,
)  # peaks of sound that keeps its level; others were scaled by somebody


class ArrayError(ValueError):
    """An array file that cannot be used; the text says why."""


# --- reading --------------------------------------------------------------------------------------------------------


def read_arrays(path):
    """The arrays of a file by name; those of `.npy` and `.h5` stay on disk until they are used.

    Raises:
        ArrayError: If the file is damaged, or holds Python objects in place of numbers.
    """
    path = Path(path)
    try:
        if path.suffix == ".npy":
            return {"": np.load(path, mmap_mode="r", allow_pickle=False)}
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as file:
                return {name: file[name] for name in file.files}
        if path.suffix in (".h5", ".hdf5"):
            import h5py

            found, file = {}, h5py.File(path, "r")
            file.visititems(
                lambda name, item: (
                    found.update({name: item})
                    if isinstance(item, h5py.Dataset)
                    else None
                )
            )
            return found
        return _tensors(path)
    except Exception as error:  # a cut zip, an object array, text under a wrong name: each reader has its own kinds
        raise ArrayError(
            f"{path.name} cannot be read as numbers alone: {type(error).__name__}: {error}"
        ) from error


class _Tensors(pickle.Unpickler):
    """Reads the pickle in a PyTorch file; all that is no plain tensor is refused, so that nothing is executed."""

    STORAGES = {
        "FloatStorage": "<f4",
        "DoubleStorage": "<f8",
        "HalfStorage": "<f2",
        "ComplexFloatStorage": "<c8",
        "ComplexDoubleStorage": "<c16",
        "LongStorage": "<i8",
        "IntStorage": "<i4",
        "ShortStorage": "<i2",
        "ByteStorage": "|u1",
    }

    def __init__(self, archive, name):
        super().__init__(io.BytesIO(archive.read(name)))
        self.archive, self.home = archive, name.removesuffix("data.pkl")

    def find_class(self, module, name):
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return self.rebuild
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if module == "torch" and name in self.STORAGES:
            return name
        raise pickle.UnpicklingError(f"{module}.{name} in place of a tensor")

    def persistent_load(self, place):
        _, storage, key, *_ = place
        return np.frombuffer(
            self.archive.read(f"{self.home}data/{key}"), self.STORAGES[storage]
        )

    @staticmethod
    def rebuild(storage, first, shape, strides, *_):
        last = first + sum(
            (size - 1) * stride for size, stride in zip(shape, strides, strict=True)
        )
        if min((first, *shape, *strides), default=0) < 0 or (
            np.prod(shape) and last >= len(storage)
        ):
            raise pickle.UnpicklingError(
                f"a tensor of shape {tuple(shape)} that reaches beyond its file"
            )
        steps = [stride * storage.itemsize for stride in strides]
        return np.lib.stride_tricks.as_strided(
            storage[first:], shape, steps, writeable=False
        )


def _tensors(path):
    with zipfile.ZipFile(path) as archive:
        name = next(name for name in archive.namelist() if name.endswith("data.pkl"))
        return dict(_leaves(_Tensors(archive, name).load()))


def _leaves(item, name=""):
    """Pairs of name and array inside nested dictionaries, lists and tuples; a bare number or text becomes an array."""
    if isinstance(item, (dict, list, tuple)):
        for key, value in item.items() if isinstance(item, dict) else enumerate(item):
            yield from _leaves(value, f"{name}/{key}".strip("/"))
    else:
        yield name, np.asarray(item)


# --- understanding --------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where things stand in an array of spectrograms.

    Args:
        kind: One of `KINDS`.
        frequency: Axis of the frequencies.
        time: Axis of the frames.
        channel: Axis of real and imaginary part, or None.
        many: Axis of the clips, or None for a single one.
    """

    kind: str
    frequency: int
    time: int
    channel: int | None
    many: int | None


def find_layout(array):
    """The `Layout` of an array, or None if it is no spectrogram that can be told from its shape and its values.

    The axis of the frequencies has one more than a power of two numbers; the frames stand beside it, after it if they
    can.
    """
    shape = array.shape
    frequency = next(
        (axis for axis, size in enumerate(shape) if size - 1 in HALF_WINDOWS), None
    )
    if frequency is None or not 2 <= len(shape) <= 4 or array.dtype.kind not in "fciu":
        return None
    some = np.asarray(
        array[:2]
    )  # for the values: enough to tell levels from magnitudes
    channel = (
        next((axis for axis, size in enumerate(shape) if size == 2), None)
        if len(shape) > 2
        else None
    )
    if array.dtype.kind == "c" or some.min() >= 0:
        channel, kind = None, "complex" if array.dtype.kind == "c" else "magnitude"
    elif channel is not None:
        kind = "real and imaginary"
    elif -200.0 <= some.min() < -20.0 and some.max() <= 60.0:
        kind = "decibels"
    else:
        return None
    rest = [axis for axis in range(len(shape)) if axis not in (frequency, channel)]
    time = min(rest, key=lambda axis: (axis < frequency, abs(axis - frequency)))
    many = [axis for axis in rest if axis != time]
    return (
        Layout(kind, frequency, time, channel, many[0] if many else None)
        if len(many) < 2
        else None
    )


def split_clips(array, layout):
    """Each clip of an array as a spectrogram, complex or a magnitude, shape `(bins, frames)`; one of them in memory."""
    count = 1 if layout.many is None else array.shape[layout.many]
    for number in range(count):
        axes = [axis for axis in range(len(array.shape)) if axis != layout.many]
        place = tuple(
            number if axis == layout.many else slice(None)
            for axis in range(len(array.shape))
        )
        clip = np.moveaxis(
            np.asarray(array[place]),
            [axes.index(layout.frequency), axes.index(layout.time)],
            [-2, -1],
        )
        if layout.kind == "real and imaginary":
            clip = clip[0] + 1j * clip[1].astype(np.complex64)
        elif layout.kind == "decibels":
            clip = 10.0 ** (clip.astype(np.float32) / 20.0)
        yield clip.astype(np.complex64 if np.iscomplexobj(clip) else np.float32)


def spectrogram_to_sound(spectrogram, hop_length):
    """Samples of a spectrogram `(bins, frames)`: exact if it is complex; of a magnitude, with phases guessed for it."""
    if np.iscomplexobj(spectrogram):
        return librosa.istft(spectrogram, hop_length=hop_length)
    return librosa.griffinlim(
        spectrogram, n_iter=PHASE_ROUNDS, hop_length=hop_length, init=None
    )


# --- a folder -------------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class FolderReport:
    """What `inspect_folder` found.

    Args:
        kind: `"sound"`, `"spectrograms"`, `"pictures"` or `"unknown"`: what the folder is good for.
        text: A sentence or two: what it is, and what to do with it.
        files: DataFrame, one row an ending: `files`, `MB`.
        arrays: DataFrame of some of the arrays: `file`, `array`, `shape`, `type`, `holds`.
    """

    kind: str
    text: str
    files: pd.DataFrame
    arrays: pd.DataFrame


def inspect_folder(folder):
    """Says what a folder holds, without reading all of it and without executing any of it.

    Args:
        folder: Path of the folder.

    Returns:
        `FolderReport`.

    Raises:
        ValueError: If there is no such folder.
    """
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise ValueError(
            f"inspect_folder got {str(folder)!r}, which is no folder; expected one. Check the path."
        )
    paths = _files_in(folder)
    table = pd.DataFrame(
        [(path.suffix.lower(), path.stat().st_size / 1e6) for path in paths],
        columns=["ending", "MB"],
    )
    files = (
        table.groupby("ending")["MB"]
        .agg(files="size", MB="sum")
        .sort_values("files", ascending=False)
    )
    arrays = pd.DataFrame(
        _about(paths), columns=["file", "array", "shape", "type", "holds"]
    )
    sounds, pictures = (
        _count(paths, endings) for endings in (AUDIO_ENDINGS, PICTURE_ENDINGS)
    )
    num_arrays, known = (
        _count(paths, ARRAY_ENDINGS),
        arrays[arrays["holds"].isin(KINDS)],
    )
    if sounds >= max(1, num_arrays):
        kind, text = "sound", f"{sounds:,} sound files. Open them with open_collection."
    elif len(known):
        kind, what = (
            "spectrograms",
            f"{known['holds'].iloc[0]} spectrograms of shape {known['shape'].iloc[0]}",
        )
        text = f"{num_arrays:,} files of arrays, {what}. spectrograms_to_sound makes sound files of them."
    elif num_arrays:
        kind, text = (
            "unknown",
            f"{num_arrays:,} files of arrays, none of which is known: see the table of arrays. ",
        )
        text += "Expected spectrograms of 2^k + 1 frequencies that can be read without executing what is in the file."
    elif pictures:
        kind, text = (
            "pictures",
            f"{pictures:,} pictures. If they are of spectrograms, they hold 256 levels in unknown ",
        )
        text += "colours and no phase: the sound cannot be had back. Use the recordings that they were made of."
    else:
        kind, text = "unknown", f"{len(paths):,} files, neither sound nor arrays. "
        text += "Expected sound files in folders named for their genre."
    return FolderReport(kind, text, files, arrays)


def _files_in(folder):
    return sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    )


def _count(paths, endings):
    return sum(path.suffix.lower() in endings for path in paths)


def _about(paths):
    """Rows about the arrays in some of the array files, spread over them."""
    found = [path for path in paths if path.suffix.lower() in ARRAY_ENDINGS]
    for place in np.unique(
        np.linspace(0, len(found) - 1, min(NUM_LOOKED_INTO, len(found))).astype(int)
    ):
        try:
            for name, array in read_arrays(found[place]).items():
                layout = find_layout(array)
                holds = (
                    layout.kind
                    if layout
                    else "labels"
                    if _is_label(name)
                    else "no spectrogram"
                )
                yield (
                    found[place].name,
                    name,
                    str(tuple(array.shape)),
                    str(array.dtype),
                    holds,
                )
        except ArrayError as error:
            yield found[place].name, "", "", "", str(error)


def _is_label(name):
    return name.rpartition("/")[2].lower() in LABEL_NAMES


def _labels(arrays, layouts):
    """Labels in a file of spectrograms: under a name for such, else the only other thing beside them."""
    others = [name for name in arrays if name not in layouts]
    named = [name for name in others if _is_label(name)] or (
        others if len(others) == 1 else []
    )
    labels = np.asarray(arrays[named[0]]) if named else np.empty(0)
    return (
        labels.reshape(-1)
        if labels.ndim < 2 and labels.dtype.kind in "iuUSO"
        else np.empty(0)
    )


def spectrograms_to_sound(
    folder, target, config, *, sample_rate=SAMPLE_RATE, hop_length=None, tables=None
):
    """Writes the arrays of a folder as sound files, `<target>/<genre>/<artist or track>__<number>.wav`.

    A genre is the name of the folder that an array lies in; or stands beside it in its file under a name such as
    `label`; or in a table, found by the number in the file's name: FMA's `tracks.csv`, or a table with the columns
    `track_id` and `genre_top`. "Other", the original's word for tracks without a genre, is none. FMA's artists stay
    together, so that none will be in two splits. Files that are there are not made again.

    Args:
        folder: Path of the folder of arrays.
        target: Folder to write to.
        config: `AudioConfig`, for the sample rate of the files.
        sample_rate: Samples a second of the sound that the spectrograms were made of.
        hop_length: Samples from frame to frame; None for half a window.
        tables: Folder in which to look for tables; None for `folder`.

    Returns:
        DataFrame, one row a clip or file: `file`, `clip`, `genre`, `path` of the sound, or `problem`.

    Raises:
        ValueError: If no sound could be made.

    Source: the layout is that of the notebooks of the project TIF360ProjectD, "Clustering and Music Generation with
    CVAEs".
    """
    folder, target = Path(folder).expanduser(), Path(target).expanduser()
    tables, rows, gain = _read_tables(Path(tables or folder).expanduser()), [], None
    for path in (
        path for path in _files_in(folder) if path.suffix.lower() in ARRAY_ENDINGS
    ):
        about = {"file": path.relative_to(folder).as_posix()}
        try:
            clips = _clips_of(path, Path(about["file"]), *tables)
            for number, (genre, place, spectrogram) in enumerate(clips):
                row = about | {"clip": number, "genre": genre}
                if genre in NO_GENRE:
                    rows.append(row | {"problem": "no genre"})
                    continue
                sound = target / re.sub(r"[^\w .&-]+", "_", genre) / f"{place}.wav"
                if gain is None or not sound.exists():
                    samples = spectrogram_to_sound(
                        spectrogram, hop_length or spectrogram.shape[0] - 1
                    )
                    peak = float(np.abs(samples).max(initial=0.0))
                    # One gain for all, that of the first: the levels of clips still compare, also after a kill.
                    gain = gain or (
                        1.0 if QUIET < peak < LOUD or peak == 0.0 else 0.5 / peak
                    )
                    samples = librosa.resample(
                        gain * samples,
                        orig_sr=sample_rate,
                        target_sr=config.sample_rate,
                    )
                    write_audio(sound, samples, config)
                rows.append(row | {"path": str(sound)})
        except ArrayError as error:
            rows.append(about | {"problem": str(error)})
    report = pd.DataFrame(
        rows, columns=["file", "clip", "genre", "path", "problem"]
    ).fillna({"problem": "", "path": ""})
    if not (report["path"] != "").any():
        reasons = (
            "; ".join(report["problem"].value_counts().index[:3]) or "no array files"
        )
        raise ValueError(
            f"spectrograms_to_sound made no sound of {str(folder)!r} ({reasons}); expected spectrograms in folders "
            "named for their genre, or a table of genres (tracks.csv, labelconversion.csv) in `tables`."
        )
    return report


def _clips_of(path, place, genres, artists):
    """`(genre, name of its sound, spectrogram)` of each clip in a file; `place` is its path inside the folder."""
    arrays = read_arrays(path)
    layouts = {
        name: layout for name, array in arrays.items() if (layout := find_layout(array))
    }
    if not layouts:
        found = ", ".join(
            f"{name} {tuple(array.shape)}".strip() for name, array in arrays.items()
        )
        raise ArrayError(f"no spectrogram: {found}")
    labels, track = _labels(arrays, layouts), _track_number(path)
    for name, layout in layouts.items():
        group = artists.get(track, f"{path.stem}-{name}".strip("-").replace("/", "-"))
        for number, spectrogram in enumerate(split_clips(arrays[name], layout)):
            genre = _genre(
                place,
                labels[number] if number < len(labels) else None,
                genres.get(track),
            )
            # Of a file of many clips nobody says which are of one track: each is one.
            one = (
                f"{group}__{track or 0:06d}"
                if layout.many is None
                else f"{group}-{number:06d}"
            )
            yield genre, one, spectrogram


def _track_number(path):
    found = re.fullmatch(r"\D*(\d+)\D*", path.stem)
    return int(found[1]) if found else None


def _genre(place, label, listed):
    """The genre of a clip from its table, its label or its folder; "" if none says."""
    if listed is not None:
        return listed
    if label is not None:
        text = label.decode() if isinstance(label, bytes) else str(label)
        return f"genre {text}" if text.lstrip("-").isdigit() else text
    # FMA's folders of a thousand tracks, 000, 001, ..., are no genres, and neither are the names of the splits.
    named = [
        part
        for part in place.parts[:-1]
        if not part.isdigit()
        and part.lower() not in ("train", "test", "val", "validation")
    ]
    return named[-1] if named else ""


def _read_tables(folder):
    """`{track: genre}` and `{track: artist}` of FMA's table, or of one with columns `track_id` and `genre_top`."""
    found, _ = search_fma(folder)
    if found:
        tracks = read_tracks(found[0])
        artists = tracks["artist"].dropna().astype(int)
        return tracks["genre"].fillna("").to_dict(), {
            track: f"artist-{artist}" for track, artist in artists.items()
        }
    for path in sorted(folder.rglob("*.csv")):
        columns = pd.read_csv(path, nrows=0).columns
        if {"track_id", "genre_top"} <= set(columns):
            table = pd.read_csv(
                path, usecols=["track_id", "genre_top"], dtype={"genre_top": str}
            ).dropna()
            return dict(
                zip(table["track_id"].astype(int), table["genre_top"], strict=True)
            ), {}
    return {}, {}
