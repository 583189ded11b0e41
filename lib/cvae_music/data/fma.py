"""FMA, the Free Music Archive data set: find it, read its table, keep its official split."""

import os
from pathlib import Path

import pandas as pd

from cvae_music.audio.files import printable
from cvae_music.data.collection import SOURCE_COLUMNS, Collection, drop_split_leaks

SUBSETS = ("small", "medium", "large", "full")
# A fixed version: kagglehub finds an unversioned handle in its cache only when it is online.
KAGGLE_HANDLE = "imsparsh/fma-free-music-archive-small-medium/versions/1"
MOUNT = "/kaggle/input"
SEARCH_DEPTH = 5
BAD_CLIPS = {
    98565: "short",
    98567: "short",
    98569: "short",
    99134: "silent",
    108925: "silent",
    133297: "silent",
}
SPLIT_NAMES = {"training": "train", "validation": "validation", "test": "test"}
TRACK_COLUMNS = {
    "genre": ("track", "genre_top"),
    "split": ("set", "split"),
    "subset": ("set", "subset"),
    "artist": ("artist", "id"),
}


def walk(root, skipped):
    """`os.walk` that follows links and enters each folder once, those that are no links first.

    Args:
        root: Path of a folder.
        skipped: List that gets a `(path, reason, detail)` for each folder that is not entered.

    Yields:
        `(folder, folders, files)` as `os.walk`; what is taken out of `folders` is not entered.
    """
    waiting, entered, faults = [root], set(), []
    for start in waiting:
        for folder, folders, files in os.walk(start, onerror=faults.append):
            if os.path.realpath(folder) in entered:
                folders.clear()
                skipped.append(
                    (
                        printable(folder),
                        "folder read already",
                        f"it links to {os.path.realpath(folder)}",
                    )
                )
                continue
            entered.add(os.path.realpath(folder))
            yield folder, folders, files
            waiting += [
                path
                for name in folders
                if os.path.islink(path := os.path.join(folder, name))
            ]
    skipped += [
        (printable(fault.filename), "unreadable folder", fault.strerror)
        for fault in faults
    ]


def search_fma(root):
    """Looks for FMA below a folder, a few levels deep, without descending into the audio itself.

    Args:
        root: Path of the folder.

    Returns:
        `(tables, audio_folders)`: paths of every `tracks.csv`, and of every folder that holds
        `000/`, `001/`, ... with a thousand clips each; shallow ones first.
    """
    tables, audio_folders = [], []
    for folder, children, files in walk(root, []):
        here = Path(folder)
        if "tracks.csv" in files:
            tables.append(here / "tracks.csv")
        others = sorted(
            child for child in children if not (len(child) == 3 and child.isdigit())
        )
        if len(others) < len(children):
            audio_folders.append(here)
        is_deep = len(here.relative_to(root).parts) >= SEARCH_DEPTH
        children[:] = [] if is_deep else [child for child in others if child[0] != "."]
    return tuple(
        sorted(found, key=lambda path: (len(path.parts), str(path)))
        for found in (tables, audio_folders)
    )


def find_fma(root=None, subset=None):
    """The table and the audio folder of one subset.

    Args:
        root: The folder that holds `fma_small` and `fma_metadata`, one of these two, or a folder further up; a
            doubled `fma_small/fma_small` is found too. `None` searches the mounts of the host.
        subset: Preferred audio folder is `fma_<subset>`; `None` is content with any, rather a small one.

    Returns:
        `(tracks_csv, audio_folder)`; either is `None` if it was not found.
    """
    root = Path(os.path.expanduser(MOUNT if root is None else root)).resolve()
    tables, audio_folders = search_fma(root)
    if bool(tables) != bool(
        audio_folders
    ):  # the root is one of the two, and the other stands beside it
        beside = search_fma(root.parent)
        tables, audio_folders = tables or beside[0], audio_folders or beside[1]
    named = [path for path in audio_folders if path.name == f"fma_{subset or 'small'}"]
    return next(iter(tables), None), next(iter(named + audio_folders), None)


def is_fma(root):
    """True if a folder holds FMA: a `tracks.csv` and folders of numbered clips."""
    return None not in find_fma(root)


def download_fma():
    """Fetches FMA with kagglehub (several gigabytes) and returns its folder.

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
    except (
        Exception
    ) as error:  # kagglehub raises a dozen kinds, from no network to no account
        advice = "Check the network and the Kaggle account, or download FMA by hand and pass its path."
        raise ValueError(
            f"kagglehub could not fetch {KAGGLE_HANDLE!r} ({error!r}). {advice}"
        ) from error


def read_tracks(path):
    """Reads `tracks.csv`, whose header has two rows and a row with the index name.

    Args:
        path: Path of the file.

    Returns:
        DataFrame indexed by track number with columns `genre` and `artist` (missing stays missing), `split`,
        and `subset` (ordered: small < medium < large < full).

    Raises:
        ValueError: If the file is not FMA's.
    """
    try:
        raw = pd.read_csv(path, index_col=0, header=[0, 1], low_memory=False)
        tracks = pd.DataFrame(
            {name: raw[column] for name, column in TRACK_COLUMNS.items()}
        )
        tracks.index, tracks["artist"] = (
            tracks.index.astype(int),
            tracks["artist"].astype("Int64"),
        )
    except (KeyError, ValueError) as error:
        wanted = f"three header rows and the columns {sorted(TRACK_COLUMNS.values())}. Take it from fma_metadata.zip"
        raise ValueError(
            f"{path} is not FMA's tracks.csv ({error}); expected {wanted}."
        ) from error
    tracks["subset"] = pd.Categorical(
        tracks["subset"], categories=list(SUBSETS), ordered=True
    )
    return tracks


def fma_collection(root=None, *, subset=None, download=False):
    """FMA as a `Collection`, with its official split.

    A subset contains the smaller ones. A clip without a genre is skipped: a missing label is not
    a genre of its own.

    Args:
        root: Where to look, see `find_fma`; `None` searches the mounts of the host.
        subset: `"small"`, `"medium"`, `"large"` or `"full"`; `None` takes the smallest that holds every clip of the audio
            folder found.
        download: Fetch it through kagglehub if no mount has it.

    Returns:
        `Collection`; `group` is the artist, or the track where no artist is named.

    Raises:
        ValueError: If FMA is not found, or fewer than two genres are usable.

    Source: Defferrard et al. (2017), arXiv:1612.01840.
    """
    if subset not in (None, *SUBSETS):
        raise ValueError(
            f"fma_collection got subset={subset!r}; expected one of {SUBSETS}, or None."
        )
    table_path, audio = find_fma(root, subset)
    if root is None and download and None in (table_path, audio):
        table_path, audio = find_fma(download_fma(), subset)
    if None in (table_path, audio):
        missing = (
            "audio folder such as fma_small/000"
            if audio is None
            else "fma_metadata/tracks.csv"
        )
        found = f"FMA was not found in {str(root or MOUNT)!r}: no {missing}; expected both fma_metadata/tracks.csv and fma_small/"
        advice = "Pass the folder that holds them, attach the data set on Kaggle, or fetch it (gigabytes) with download=True."
        raise ValueError(f"{found}. {advice}")
    tracks = read_tracks(table_path)
    files = {
        int(path.stem): path
        for path in sorted(audio.glob("[0-9]" * 3 + "/*.mp3"))
        if path.stem.isdecimal()
    }
    subset = subset or max(
        tracks["subset"][tracks.index.isin(files)].dropna(),
        default=SUBSETS[0],
        key=SUBSETS.index,
    )
    skipped = [
        (_place(number), "no row", "not in tracks.csv")
        for number in sorted(set(files) - set(tracks.index))
    ]
    rows = []
    for number, track in tracks[tracks["subset"] <= subset].sort_index().iterrows():
        if number not in files:
            skipped.append(
                (_place(number), "missing file", "in tracks.csv, but there is no mp3")
            )
        elif pd.isna(track["genre"]):
            skipped.append((_place(number), "no genre", "genre_top is empty"))
        elif track["split"] not in SPLIT_NAMES:
            skipped.append(
                (_place(number), "no split", f"set/split is {track['split']!r}")
            )
        elif number in BAD_CLIPS:
            skipped.append(
                (
                    _place(number),
                    "known bad clip",
                    f"{BAD_CLIPS[number]} in FMA as published",
                )
            )
        else:
            artist = (
                f"artist-{track['artist']}"
                if pd.notna(track["artist"])
                else f"track-{number}"
            )
            rows.append(
                (
                    _place(number),
                    str(files[number]),
                    track["genre"],
                    SPLIT_NAMES[track["split"]],
                    artist,
                )
            )
    table = pd.DataFrame(rows, columns=list(SOURCE_COLUMNS), dtype=object)
    genres = sorted(set(table["genre"]))
    table = drop_split_leaks(table, skipped, "artist in another split")
    return Collection.of_complete_genres(f"fma-{subset}", table, genres, skipped)


def _place(number):
    return f"{number:06d}"[:3] + f"/{number:06d}.mp3"
