"""FMA, the Free Music Archive data set: find it, read its table, keep its official split."""

import os
from pathlib import Path

import pandas as pd

from cvae_music.audio.files import AudioError, audio_duration
from cvae_music.data.collection import Collection, skipped_table

SUBSETS = ("small", "medium", "large", "full")
# A fixed version: kagglehub finds an unversioned handle in its cache only when it is online.
KAGGLE_HANDLE = "imsparsh/fma-free-music-archive-small-medium/versions/1"
MOUNT = "/kaggle/input"
SEARCH_DEPTH = 5
SHORT_CLIPS = frozenset({98565, 98567, 98569})
SILENT_CLIPS = frozenset({99134, 108925, 133297})
SPLIT_NAMES = {"training": "train", "validation": "validation", "test": "test"}


def _is_audio_folder(path):
    """True for `000`, `001`, ...: FMA keeps a thousand clips in each."""
    return len(path) == 3 and path.isdigit()


def search_fma(root):
    """Looks for FMA below a folder, without descending into the audio itself.

    Args:
        root: Folder to search, a few levels deep.

    Returns:
        `(tables, audio_folders)`: paths of every `tracks.csv`, and of every folder that holds
        `000/`, `001/`, ...; shallow ones first.
    """
    root = Path(root).expanduser()
    tables, audio_folders = [], []
    for folder, children, files in os.walk(root):
        here = Path(folder)
        if "tracks.csv" in files:
            tables.append(here / "tracks.csv")
        if any(_is_audio_folder(child) for child in children):
            audio_folders.append(here)
        too_deep = len(here.relative_to(root).parts) >= SEARCH_DEPTH
        children[:] = [] if too_deep else sorted(c for c in children if not _is_audio_folder(c) and c[0] != ".")
    by_depth = lambda path: (len(path.parts), str(path))  # noqa: E731
    return sorted(tables, key=by_depth), sorted(audio_folders, key=by_depth)


def find_fma(root=None, subset="small", metadata=None):
    """The table and the audio folder of one subset.

    `root` may be the folder that holds `fma_small` and `fma_metadata`, `fma_small` itself, or a
    folder further up; a doubled `fma_small/fma_small` is found too. Without `root`, the mounts of
    the host are searched.

    Args:
        root: Where to look.
        subset: Preferred audio folder is `fma_<subset>`.
        metadata: Path of `tracks.csv` or of its folder, if it is somewhere else.

    Returns:
        `(tracks_csv, audio_folder)`; either is `None` if it was not found.
    """
    root = Path(MOUNT if root is None else root).expanduser()
    tables, audio_folders = search_fma(root)
    if not tables and audio_folders:  # root is fma_small itself, or one above a doubled one
        beside = root.resolve().parent
        tables = [path for path in (beside / "fma_metadata" / "tracks.csv", beside / "tracks.csv") if path.is_file()]
    if not audio_folders and tables:  # root is fma_metadata
        audio_folders = search_fma(root.resolve().parent)[1]
    if metadata is not None:
        metadata = Path(metadata).expanduser()
        tables = [metadata if metadata.is_file() else metadata / "tracks.csv"]
    named = [path for path in audio_folders if path.name == f"fma_{subset}"]
    audio = (named or audio_folders or [None])[0]
    return (tables or [None])[0], audio


def is_fma(root):
    """True if a folder holds FMA: a `tracks.csv` and folders of numbered clips."""
    return None not in find_fma(root)


def download_fma(handle=KAGGLE_HANDLE):
    """Fetches FMA with kagglehub (several gigabytes) and returns its folder.

    Raises:
        ImportError: If kagglehub is not installed.
        ValueError: If the handle has no version, or the download fails.
    """
    if "/versions/" not in handle:
        raise ValueError(
            f"download_fma got handle={handle!r}; expected a version, as in 'owner/name/versions/1'. "
            "Only then does a second run find the files offline."
        )
    try:
        import kagglehub
    except ImportError as error:
        raise ImportError("Downloading FMA needs kagglehub. Run: pip install kagglehub") from error
    try:
        return Path(kagglehub.dataset_download(handle))
    except Exception as error:  # kagglehub raises a dozen kinds, from no network to no account
        raise ValueError(
            f"kagglehub could not fetch {handle!r} ({type(error).__name__}: {error}). Check the network and the "
            "Kaggle account, or download FMA by hand and pass its path."
        ) from error


def read_tracks(path):
    """Reads `tracks.csv`, whose header has two rows and a row with the index name.

    Args:
        path: Path of the file.

    Returns:
        DataFrame indexed by track number with columns `genre` (missing stays missing), `split`,
        `subset` (ordered: small < medium < large < full) and `artist` (missing stays missing).

    Raises:
        ValueError: If the file is not FMA's.
    """
    wanted = {"genre": ("track", "genre_top"), "split": ("set", "split"), "subset": ("set", "subset"),
              "artist": ("artist", "id")}  # fmt: skip
    try:
        raw = pd.read_csv(path, index_col=0, header=[0, 1], low_memory=False)
        tracks = pd.DataFrame({name: raw[column] for name, column in wanted.items()})
        tracks.index = tracks.index.astype(int)
    except (KeyError, ValueError) as error:
        raise ValueError(
            f"{path} is not FMA's tracks.csv ({error}); expected three header rows and the columns "
            f"{sorted(wanted.values())}. Take it from fma_metadata.zip."
        ) from error
    tracks["subset"] = pd.Categorical(tracks["subset"], categories=list(SUBSETS), ordered=True)
    tracks["genre"] = tracks["genre"].astype(object).where(tracks["genre"].notna(), None)
    return tracks


def fma_collection(root=None, *, subset="small", metadata=None, download=False):
    """FMA as a `Collection`, with its official split.

    A subset contains the smaller ones. A clip without a genre is skipped: a missing label is not
    a genre of its own.

    Args:
        root: Where to look, see `find_fma`; `None` searches the mounts of the host.
        subset: `"small"`, `"medium"`, `"large"` or `"full"`.
        metadata: Path of `tracks.csv` or of its folder, if it is not near the audio.
        download: Fetch it through kagglehub if no mount has it.

    Returns:
        `Collection`; `group` is the artist, or the track where no artist is named.

    Raises:
        ValueError: If FMA is not found, or fewer than two genres are usable.

    Source: Defferrard et al. (2017), arXiv:1612.01840.
    """
    if subset not in SUBSETS:
        raise ValueError(f"fma_collection got subset={subset!r}; expected one of {SUBSETS}.")
    table_path, audio = find_fma(root, subset, metadata)
    if root is None and download and (table_path is None or audio is None):
        table_path, audio = find_fma(download_fma(), subset, metadata)
    if table_path is None or audio is None or not Path(table_path).is_file():
        missing = "audio folder such as fma_small/000" if audio is None else "fma_metadata/tracks.csv"
        raise ValueError(
            f"FMA was not found in {str(MOUNT if root is None else root)!r}: no {missing}; expected both fma_metadata/"
            "tracks.csv and fma_small/. Pass the folder that holds them, attach the data set on Kaggle, or ask for "
            "the download (several gigabytes) with download=True."
        )
    tracks = read_tracks(table_path)
    files = {int(path.stem): path for path in sorted(audio.glob("[0-9]" * 3 + "/*.mp3")) if path.stem.isdigit()}
    skipped = [(_place(number), "no row", "not in tracks.csv") for number in sorted(set(files) - set(tracks.index))]
    rows = []
    for number, track in tracks[tracks["subset"] <= subset].sort_index().iterrows():
        reason = _reason_to_skip(number, track, files)
        if reason:
            skipped.append((_place(number), *reason))
            continue
        artist = f"artist-{int(track['artist'])}" if pd.notna(track["artist"]) else f"track-{number}"
        rows.append((_place(number), str(files[number]), track["genre"], SPLIT_NAMES[track["split"]], artist))
    table = pd.DataFrame(rows, columns=["source_id", "path", "genre", "split", "group"], dtype=object)
    table, crossing = _keep_groups_apart(table)
    table, incomplete = _keep_complete_genres(table)
    genres = tuple(sorted(table["genre"].unique()))
    return Collection(f"fma-{subset}", table, genres, skipped_table(skipped + crossing + incomplete))


def _place(number):
    return f"{number:06d}"[:3] + f"/{number:06d}.mp3"


def _reason_to_skip(number, track, files):
    """`(reason, detail)`, or `None` for a clip that looks usable."""
    if number not in files:
        return "missing file", "in tracks.csv, but there is no mp3"
    if not track["genre"]:
        return "no genre", "genre_top is empty"
    if track["split"] not in SPLIT_NAMES:
        return "no split", f"set/split is {track['split']!r}"
    if number in SHORT_CLIPS | SILENT_CLIPS:
        fault = "too short" if number in SHORT_CLIPS else "without audio"
        return "known bad clip", f"{fault} in FMA as published; this file: {_look_at(files[number])}"
    return None


def _look_at(path):
    try:
        return f"{audio_duration(path):.1f} s long by its header, {os.path.getsize(path):,} bytes"
    except AudioError as error:
        return error.reason


def _keep_groups_apart(table):
    """Drops the clips of an artist outside the split that holds most of them."""
    counts = table.groupby(["group", "split"]).size().rename("count").reset_index()
    home = counts.sort_values("count", ascending=False, kind="stable").drop_duplicates("group")
    at_home = table["split"] == table["group"].map(home.set_index("group")["split"])
    crossing = [(place, "artist in another split", "") for place in table["source_id"][~at_home]]
    return table[at_home].reset_index(drop=True), crossing


def _keep_complete_genres(table):
    """Drops genres that lack clips in a split."""
    splits = table.groupby("genre")["split"].agg(set)
    incomplete = [genre for genre, found in splits.items() if found != set(SPLIT_NAMES.values())]
    dropped = table["genre"].isin(incomplete)
    detail = "genre {!r} has no clip in at least one split"
    rows = [
        (place, "genre with too few tracks", detail.format(genre))
        for place, genre in table.loc[dropped, ["source_id", "genre"]].itertuples(index=False)
    ]
    return table[~dropped].reset_index(drop=True), rows
