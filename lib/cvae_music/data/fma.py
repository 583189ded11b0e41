"""FMA, the Free Music Archive data set: finds it, reads its table and its splits."""

import csv
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from cvae_music.audio.files import printable
from cvae_music.data.collection import (
    SOURCE_COLUMNS,
    SPLITS,
    Collection,
    drop_split_leaks,
)
from cvae_music.data.copies import drop_copies, find_copies

SUBSETS = ("small", "medium", "large", "full")
# A fixed version: kagglehub needs the network to look up an unversioned handle.
KAGGLE_HANDLE = "imsparsh/fma-free-music-archive-small-medium/versions/1"
MOUNT = "/kaggle/input"
SEARCH_DEPTH = 5  # levels of folders
# Track numbers whose clips are short or silent in FMA as published.
BAD_CLIPS = {98565, 98567, 98569, 99134, 108925, 133297}
TRACK_COLUMNS = {
    "genre": ("track", "genre_top"),
    "split": ("set", "split"),
    "subset": ("set", "subset"),
    "artist": ("artist", "id"),
}


def walk(
    root: Path | str, skipped: list[tuple]
) -> Iterator[tuple[str, list[str], list[str]]]:
    """Walks folders as `os.walk`, follows links, and enters each folder once.

    Links are followed last, so that a folder keeps its own path where it can.

    Args:
        root: Path of a folder.
        skipped: List that gets `(path, reason, detail)` for each folder not entered.

    Yields:
        `(folder, folders, files)` as `os.walk`: paths as text, names. A name that the
        caller removes from `folders` is not entered.
    """
    waiting = [root]
    entered = set()
    faults: list[OSError] = []
    for start in waiting:
        for folder, folders, files in os.walk(start, onerror=faults.append):
            target = os.path.realpath(folder)
            if target in entered:
                folders.clear()
                skipped.append(
                    (printable(folder), "folder read already", f"it links to {target}")
                )
                continue
            entered.add(target)
            yield folder, folders, files
            paths = [os.path.join(folder, name) for name in folders]
            waiting += filter(os.path.islink, paths)
    for fault in faults:
        name = printable(os.path.relpath(fault.filename, root))
        skipped.append((f"{name}/", "unreadable folder", fault.strerror))


def search_fma(root: Path | str) -> tuple[list[Path], list[Path]]:
    """Searches for FMA below a folder, some levels deep, but not inside its audio.

    Args:
        root: Path of the folder.

    Returns:
        `(tables, audio_folders)`: paths of every `tracks.csv`, those with FMA's header
        first; and of every folder that holds clips such as `000/000002.mp3`. Paths with
        fewer parts come first.
    """
    tables = []
    audio_folders = []
    for folder, children, files in walk(root, []):
        here = Path(folder)
        if "tracks.csv" in files:
            tables.append(here / "tracks.csv")
        clip_folders = [name for name in children if _holds_clips(here / name)]
        if clip_folders:
            audio_folders.append(here)
        is_deep = len(here.relative_to(root).parts) >= SEARCH_DEPTH
        others = sorted(set(children) - set(clip_folders))
        children[:] = [] if is_deep else [name for name in others if name[0] != "."]
    tables.sort(key=lambda path: (not _has_header(path), len(path.parts), str(path)))
    audio_folders.sort(key=lambda path: (len(path.parts), str(path)))
    return tables, audio_folders


def _holds_clips(folder: Path) -> bool:
    """True for a folder such as `000` with clips such as `000002.mp3`."""
    is_number = re.fullmatch("[0-9]{3}", folder.name)
    return bool(is_number and any(folder.glob(f"{folder.name}[0-9][0-9][0-9].mp3")))


def _has_header(path: Path) -> bool:
    """True if a table begins with the two rows of column names that FMA's has."""
    try:
        with open(path, newline="", encoding="utf-8", errors="replace") as file:
            reader = csv.reader(file)
            columns = set(zip(next(reader), next(reader), strict=False))
    except (OSError, StopIteration, csv.Error):
        return False
    return columns.issuperset(TRACK_COLUMNS.values())


def find_fma(
    root: Path | str | None = None, subset: str | None = None
) -> tuple[Path | None, Path | None]:
    """Finds the table and the audio folder of one subset.

    Args:
        root: A folder with `fma_small` and `fma_metadata` somewhere below it, or one
            of these two. `None` searches the mounts of the host.
        subset: Prefers the audio folder `fma_<subset>`; `None` prefers `fma_small`.
            Without it any other is taken.

    Returns:
        `(tracks_csv, audio_folder)`; either is `None` if it was not found.
    """
    root = Path(root or MOUNT).expanduser().resolve()
    tables, audio_folders = search_fma(root)
    is_half = not (tables and audio_folders)
    if is_half and root.name.startswith("fma_"):  # the other half stands beside it
        beside = search_fma(root.parent)
        tables = tables or beside[0]
        audio_folders = audio_folders or beside[1]
    audio_folders.sort(key=lambda path: path.name != f"fma_{subset or 'small'}")
    return next(iter(tables), None), next(iter(audio_folders), None)


def is_fma(root: Path | str) -> bool:
    """Tells whether a folder holds FMA's `tracks.csv` and its numbered clips.

    Args:
        root: As for `find_fma`.
    """
    table, audio = find_fma(root)
    return table is not None and audio is not None and _has_header(table)


def download_fma() -> str:
    """Downloads FMA with kagglehub (several gigabytes).

    Returns:
        Path of the folder that it was downloaded to.

    Raises:
        ImportError: If kagglehub is not installed.
        ValueError: If the download fails.
    """
    try:
        import kagglehub
    except ImportError as error:
        raise ImportError(
            "Downloading FMA needs kagglehub. Run: pip install kagglehub"
        ) from error
    try:
        return kagglehub.dataset_download(KAGGLE_HANDLE)
    except Exception as error:  # a dozen kinds, from no network to no account
        raise ValueError(
            f"kagglehub could not fetch {KAGGLE_HANDLE!r} ({error!r}). Check the "
            "network and the Kaggle account, or download FMA by hand and pass its path."
        ) from error


def read_tracks(path: Path | str) -> pd.DataFrame:
    """Reads FMA's `tracks.csv`.

    Its header has two rows of column names, and a third with the name of the index.

    Args:
        path: Path of the file.

    Returns:
        `pandas.DataFrame` with the track number as index and columns `genre` and
        `artist` (missing stays missing), `split` (`"training"` becomes `"train"`), and
        `subset` (ordered: small < medium < large < full).

    Raises:
        ValueError: If a header row or column of FMA's table is missing.
    """
    try:
        raw = pd.read_csv(path, index_col=0, header=[0, 1], low_memory=False)
        tracks = pd.DataFrame({name: raw[key] for name, key in TRACK_COLUMNS.items()})
        tracks.index = tracks.index.astype(int)
        tracks["artist"] = tracks["artist"].astype("Int64")
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"{path} is not FMA's tracks.csv ({error}); expected three header rows and "
            f"the columns {sorted(TRACK_COLUMNS.values())}. Take it from "
            "fma_metadata.zip."
        ) from error
    tracks["split"] = tracks["split"].replace("training", "train")
    tracks["subset"] = pd.Categorical(tracks["subset"], list(SUBSETS), ordered=True)
    return tracks


def fma_collection(
    root: Path | str | None = None, *, subset: str | None = None, download: bool = False
) -> Collection:
    """Opens FMA as a collection with its official split.

    A subset contains the smaller ones. A clip without a genre is skipped, because a
    missing label is not a genre of its own.

    Args:
        root: Where to look, see `find_fma`; `None` searches the mounts of the host.
        subset: `"small"`, `"medium"`, `"large"` or `"full"`; `None` takes the smallest
            that holds every clip of the audio folder found.
        download: Fetch FMA through kagglehub (several gigabytes) if no mount has it.

    Returns:
        `Collection`; `group` is the artist, or the track where no artist is named.

    Raises:
        ValueError: If the subset is unknown, FMA is not found or cannot be downloaded,
            or no genre is usable.
        ImportError: If it has to be downloaded and kagglehub is not installed.

    Source: Defferrard et al. (2017), arXiv:1612.01840.
    """
    if subset not in (None, *SUBSETS):
        raise ValueError(
            f"fma_collection got subset={subset!r}; expected one of {SUBSETS}, or None."
        )
    found = find_fma(root, subset)
    if root is None and download and None in found:
        found = find_fma(download_fma(), subset)
    table_path, audio = found
    if table_path is None or audio is None:
        missing = "fma_metadata/tracks.csv" if audio else "audio folder fma_small/000"
        raise ValueError(
            f"FMA was not found in {str(root or MOUNT)!r}: no {missing}; expected both "
            "fma_metadata/tracks.csv and fma_small/. Pass the folder that holds them, "
            "attach the data set on Kaggle, or fetch it (gigabytes) with download=True."
        )
    tracks = read_tracks(table_path)
    files = {
        int(path.stem): path
        for path in sorted(audio.glob("[0-9]" * 3 + "/*.mp3"))
        if path.stem.isdecimal()
    }
    if subset is None:
        held = tracks["subset"][tracks.index.isin(files)].dropna()
        subset = max(held, default=SUBSETS[0], key=SUBSETS.index)
    skipped = [
        (_clip_name(number), "no row", "not in tracks.csv")
        for number in sorted(set(files) - set(tracks.index))
    ]
    rows = []
    for number, track in tracks[tracks["subset"] <= subset].sort_index().iterrows():
        if reason := _reason_to_skip(number, track, files):
            skipped.append((_clip_name(number), *reason))
            continue
        group = f"track-{number}"
        if pd.notna(track["artist"]):
            group = f"artist-{track['artist']}"
        rows.append(
            (
                _clip_name(number),
                str(files[number]),
                track["genre"],
                track["split"],
                group,
            )
        )
    table = pd.DataFrame(rows, columns=list(SOURCE_COLUMNS), dtype=object)
    genres = sorted(set(table["genre"]))
    table = drop_split_leaks(table, skipped, "artist in another split")
    copies = find_copies(table["path"].tolist())
    table = drop_copies(table, copies, skipped, "recording in another split")
    return Collection.of_complete_genres(f"fma-{subset}", table, genres, skipped)


def _reason_to_skip(
    number: int, track: pd.Series, files: dict[int, Path]
) -> tuple[str, str] | None:
    """Returns `(reason, detail)` for a track that cannot be used, else `None`."""
    if number not in files:
        return "missing file", "in tracks.csv, but there is no mp3"
    if pd.isna(track["genre"]):
        return "no genre", "genre_top is empty"
    if track["split"] not in SPLITS:
        return "no split", f"set/split is {track['split']!r}"
    if number in BAD_CLIPS:
        return "known bad clip", "short or silent in FMA as published"
    return None


def _clip_name(number: int) -> str:
    """Returns the name of a clip inside the audio folder, such as 000/000002.mp3."""
    return f"{number // 1000:03d}/{number:06d}.mp3"
