"""Sources of music: composed pieces, a folder of genres, or FMA, as collections."""

import os
import re
import unicodedata
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from cvae_music.audio.files import (
    AUDIO_ENDINGS,
    READABLE,
    AudioError,
    open_sound,
    printable,
)
from cvae_music.config import check_number
from cvae_music.data.collection import (
    MIN_GROUPS,
    SOURCE_COLUMNS,
    SPLITS,
    Collection,
    drop_split_leaks,
    skipped_table,
    split_groups,
)
from cvae_music.data.copies import drop_copies, find_copies
from cvae_music.data.fma import fma_collection, is_fma, walk

SYSTEM_FOLDERS = {
    "$recycle.bin",
    "system volume information",
    "__macosx",
    "@eadir",
    "#recycle",
    "lost+found",
}
# Sound that libsndfile does not read, and playlists and archives that may hold sound.
OTHER_ENDINGS = set(
    ".3gp .7z .aac .aax .ac3 .aiffc .amr .ape .asf .asx .avi .bwf .cda .dff .dsf .dts "
    ".f4a .flv .gz .it .m3u .m3u8 .m4a .m4b .m4p .m4r .m4v .mid .midi .mka .mkv .mod "
    ".mov .mp1 .mp2 .mp4 .mpc .mpeg .mpg .mpga .nsf .ofr .ogv .pls .ra .rar .rf64 .rm "
    ".s3m .shn .sid .snd .spc .spx .tak .tar .tgz .torrent .tta .vgm .voc .wave .webm "
    ".wma .wmv .wv .xm .xspf .zip".split()
)
# Reasons of an `AudioError` for files that hold no sound, such as covers and notes.
NO_MUSIC = {
    "empty file",
    "missing",
    "picture or document",
    "unreadable",
    "web page",
}
# A folder with a file that was left out for one of these reasons counts as a genre, so
# that the report names it if nothing else is in it. Other folders without sound do not.
NAMES_A_GENRE = {
    "empty folder",
    "format not read",
    "no file",
    "not downloaded",
    "unreadable folder",
}
# Punctuation, spaces and accents up to U+036F; dashes, quotes and characters of no
# width; brackets and spaces of East Asia.
PUNCTUATION = (
    "[\0-/:-@[-`{-\xbf\u02b0-\u036f\u2000-\u2bff\u3000-\u3004\u3007-\u3020\u30fb]"
)
PARTIAL_ENDINGS = {".crdownload", ".download", ".icloud", ".part", ".partial"}
SPLIT_FOLDERS = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "eval": "test",
    "evaluation": "test",
    "holdout": "test",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
}


def known_factor_collection(num_clips: int = 2400, seed: int = 0) -> Collection:
    """Lists pieces for `known_music` to compose, whose genre and factors are known.

    Args:
        num_clips: Number of pieces, spread evenly over the genres.
        seed: Seed of the factors and of the split.

    Returns:
        `Collection`; the table carries every factor as a column.

    Raises:
        ValueError: If a genre would get fewer than three pieces, or the seed is no
            whole number of at least 0.

    Example:
        >>> known_factor_collection(18).name
        'known-18'
    """
    from known_music import GENRES, draw_factors

    check_number("seed", seed)
    check_number("num_clips", num_clips, MIN_GROUPS * len(GENRES))
    table = draw_factors(num_clips, seed)
    source_id = pd.Series([f"known-{seed}-{index:06d}" for index in range(num_clips)])
    split: dict[str, str] = {}
    for number, genre in enumerate(GENRES):
        pieces = list(source_id[table["genre"] == genre])
        split |= split_groups(pieces, seed=(seed, number))
    table = table.assign(
        source_id=source_id, path="", split=source_id.map(split), group=source_id
    )
    factors = table.columns.drop(list(SOURCE_COLUMNS))
    table = table[[*SOURCE_COLUMNS, *factors]]
    return Collection(f"known-{num_clips}", table, GENRES, skipped_table())


def folder_collection(root: Path | str, seed: int = 0) -> Collection:
    """Opens a folder with one subfolder a genre, such as `root/jazz/tune.wav`.

    Files without subfolders are one genre with the name of the folder. A model of one
    genre is a `VAE`.

    A folder inside a genre, as in `root/jazz/artist/tune.wav`, is a group: its files
    stay in one split, together with those of a folder of the same name in another
    genre. A genre of fewer than three groups is split track by track instead, and the
    report says so. Files named `<track>__00.wav`, `<track>__01.wav` are pieces of one
    track and stay together, as do files that begin with the same recording. An excerpt
    from the middle of a track is not recognised: give it such a name beside the track.

    Groups are split 80/10/10 inside each genre. Subfolders called `train`,
    `validation` and `test`, with the genres inside, are splits; one that is missing is
    taken from the training tracks. Links are followed.

    Args:
        root: Path of the folder; its files may end in any of
            `cvae_music.audio.files.AUDIO_ENDINGS`.
        seed: Seed of the splits.

    Returns:
        `Collection`. Its `skipped` lists all that is not used, such as hidden files,
        files with other endings and genres of fewer than three tracks. It also says
        which files are the same recording, and which genres have nearly the same name.

    Raises:
        ValueError: If no genre is left, or the folder holds only one folder, which has
            folders of its own.
    """
    root = Path(os.path.expanduser(root))
    check_number("seed", seed)
    skipped: list[tuple] = []
    tunes = _find_tunes(root, skipped)
    places = [parts for *_, parts in tunes]
    are_splits = _are_split_folders(places)
    is_one_genre = max(map(len, places), default=0) == 1 + are_splits
    collection_name = (
        printable(unicodedata.normalize("NFC", root.resolve().name)) or "folder"
    )
    if is_one_genre:
        detail = (
            f"all is one genre, {collection_name!r}; expected a folder of each, inside "
            "'train', 'validation' and 'test' where these are splits"
        )
        skipped.append((collection_name, "no folders of genres", detail))
    genres = set()
    rows = []
    folders = []
    for name, path, parts in tunes:
        split = "train"
        if are_splits:
            split = SPLIT_FOLDERS.get(_plain_name(parts.pop(0)), "")
        if is_one_genre and parts:
            parts.insert(0, collection_name)
        if len(parts) > 1:
            genres.add(parts[0])
        if not split or len(parts) < 2:
            skipped.append((name, "no genre", "not inside a genre folder"))
            continue
        track = re.sub(r"__\d+$", "", name.removesuffix(path.suffix))
        rows.append((name, str(path), parts[0], split, track))
        folders.append(parts[1] if len(parts) > 2 else "")
    for name, reason, _ in skipped:
        parts = name.split("/")[are_splits:]
        is_inside = len(parts) > 1 and not _is_hidden(parts[0])
        if is_inside and reason in NAMES_A_GENRE:
            genres.add(parts[0])  # if it has no other files, the report names it
    table = pd.DataFrame(rows, columns=list(SOURCE_COLUMNS), dtype=object)
    if not are_splits and not is_one_genre:
        _check_is_root_of_genres(root, table)
    _group_artists(table, pd.Series(folders, dtype=object), skipped)
    copies = find_copies(table["path"].tolist())
    readable = set(table["group"][copies >= 0])
    leak = "recording or artist in another split"
    if are_splits:
        table = drop_copies(table, copies, skipped, leak)
        copies = copies[table.index]
    _group_copies(table, copies, skipped)
    _assign_splits(table, readable, seed)
    table = drop_split_leaks(table, skipped, leak)
    skipped += _similar_genres(sorted(genres))
    return Collection.of_complete_genres(
        collection_name, table, sorted(genres), skipped
    )


def _find_tunes(root: Path, skipped: list[tuple]) -> list[tuple[str, Path, list[str]]]:
    """Finds the sound files below a folder, and reports all others.

    Args:
        root: Path of the folder.
        skipped: List that gets `(name, reason, detail)` for each other file.

    Returns:
        `(name, path, parts)` of each sound file: its path below `root` as it can be
        printed, its whole path, and the folders and the file name of the first, with
        accents composed (Unicode NFC).
    """
    tunes = []
    paths = []
    for folder, folders, names in walk(root, skipped):
        paths += [Path(folder, name) for name in names]
        if not folders and not names:
            name = printable(os.path.relpath(folder, root))
            skipped.append((f"{name}/", "empty folder", "nothing is in it"))
    places = [path.relative_to(root).as_posix() for path in paths]
    # Disks differ in how they store accents. Composed, the names of a copy on another
    # disk are the same. Where a name is there in both forms, each keeps its own.
    composed = [unicodedata.normalize("NFC", place) for place in places]
    if len(set(composed)) == len(places):
        places = composed
    for place, path in sorted(zip(places, paths, strict=True)):
        name = printable(place)
        parts = unicodedata.normalize("NFC", place).split("/")
        ending = printable(path.suffix).lower()
        if ending in PARTIAL_ENDINGS:  # iCloud's are hidden files
            why = "not downloaded", "only a part; download it whole"
        elif any(map(_is_hidden, parts)):
            why = "hidden file", ""
        elif ending not in AUDIO_ENDINGS:
            why = _reason_to_skip(path, ending)
        elif name != place:
            why = "name is not UTF-8", "rename it, or its folder"
        elif not os.path.isfile(path):
            why = "no file", "such as a link to nowhere, or no permission"
        else:
            tunes.append((name, path, parts))
            continue
        skipped.append((name, *why))
    return tunes


def _reason_to_skip(path: Path, ending: str) -> tuple[str, str]:
    """Returns `(reason, detail)` for a file that has none of `AUDIO_ENDINGS`."""
    detail = f"ending {ending!r}; expected one of {READABLE}"
    advice = "; it holds sound: rename it"
    try:
        open_sound(path).close()
    except AudioError as error:
        if error.reason not in NO_MUSIC:
            return "format not read", f"{error.reason}. {error.detail}"
        if ending not in OTHER_ENDINGS:
            return "not audio", detail
        advice = "; convert it"
    return "format not read", detail + advice


def _is_hidden(part: str) -> bool:
    """Tells whether a file or folder name is hidden or one that systems make."""
    return part.startswith(".") or part.casefold() in SYSTEM_FOLDERS


def _are_split_folders(places: list[list[str]]) -> bool:
    """Tells whether the folders at the top are splits, not genres of such names.

    Folders called train and test are splits if a genre is inside both. If they hold
    nothing but files, or one of them is missing, they are splits only where all folders
    have such names, and one is train or has folders inside.

    Args:
        places: Parts of the path of each sound file, from the top on.
    """
    inside: dict[str | None, set[str]] = {}
    for parts in places:
        if len(parts) > 1:  # else a file at the top
            split = SPLIT_FOLDERS.get(_plain_name(parts[0]))
            genre = map(_plain_name, parts[1:2] if len(parts) > 2 else ())
            inside.setdefault(split, set()).update(genre)
    if {"train", "test"} <= set(inside):
        if inside["train"] or inside["test"]:
            return bool(inside["train"] & inside["test"])
    return None not in inside and ("train" in inside or any(inside.values()))


def _check_is_root_of_genres(root: Path, table: pd.DataFrame) -> None:
    """Refuses a folder whose genres seem to be one or more levels down.

    Raises:
        ValueError: If the only genre of the table has all its files in a deeper folder.
    """
    if table["genre"].nunique() != 1:
        return
    inner = Path(os.path.commonpath([Path(path).parents[1] for path in table["path"]]))
    if not inner.samefile(root):
        raise ValueError(
            f"{str(root)!r} holds one folder of music, which has folders of its own; "
            f"expected one subfolder a genre. Pass {str(inner)!r} if the genres are "
            "there. If they are artists of one genre, move their files into one folder."
        )


def _group_artists(
    table: pd.DataFrame, folders: pd.Series, skipped: list[tuple]
) -> None:
    """Makes a group of each folder inside a genre, where a genre has three or more.

    Music of one artist in training and test raises scores (Flexer 2007, A closer look
    on artist filters).

    Args:
        table: As of `Collection`; its `group`, of tracks so far, is changed in place.
        folders: Series with the name of each row's folder inside the genre, or "".
        skipped: List that gets a line for each genre that is split track by track.
    """
    # The group of a track is a path with a slash, so it never equals an artist's.
    artists = "artist-" + folders.map(_plain_name)
    groups = table["group"].where(folders == "", artists)
    num_groups = groups.groupby(table["genre"]).nunique()
    num_tracks = table.groupby("genre")["group"].nunique()
    too_few = num_groups.index[num_groups < MIN_GROUPS]
    for genre in too_few:
        if num_tracks[genre] > num_groups[genre]:
            detail = (
                f"{num_groups[genre]} folders of artists or albums, and {MIN_GROUPS} "
                "are needed for three splits; so its tracks are split one by one, one "
                "artist can be in two splits, and scores of this genre flatter. Add "
                "folders of other artists"
            )
            skipped.append((genre, "artists not kept apart", detail))
    table["group"] = groups.where(~table["genre"].isin(too_few), table["group"])


def _similar_genres(genres: list[str]) -> list[tuple]:
    """Returns a line for the report for each genre with nearly the name of another.

    Such names differ only in case, accents, spaces or punctuation.
    """
    first: dict[str, str] = {}
    lines = []
    for genre in genres:
        other = first.setdefault(_plain_name(genre), genre)
        if other != genre:
            lines.append(
                (
                    genre,
                    "name nearly the same",
                    f"{genre!a} and {other!a} are two genres here. Give the folders "
                    "one name if they are one",
                )
            )
    return lines


def _plain_name(name: str) -> str:
    """Returns a name without case, accents, spaces and punctuation; "and" is "n"."""
    letters = unicodedata.normalize("NFKD", name).casefold()
    letters = re.sub(r"&|\band\b", "n", letters)
    # Accents are removed, but not the marks of other scripts, such as vowels in Hindi.
    return re.sub(PUNCTUATION, "", letters) or name


def _group_copies(
    table: pd.DataFrame, copies: np.ndarray, skipped: list[tuple]
) -> None:
    """Gives copies of a recording one group, and reports them.

    Args:
        table: As of `Collection`; its `group` is changed in place.
        copies: Int array, shape `(len(table),)`, as `find_copies` returns it for these
            rows or for more.
        skipped: List that gets a line for each file that repeats another.
    """
    first: dict[int, int] = {}
    group = table["group"]
    for row, copy in zip(table.index, copies, strict=True):
        twin = row if copy < 0 else first.setdefault(copy, row)
        if twin == row:
            continue
        name, other = table["source_id"][[row, twin]]
        skipped.append((name, "same recording", f"as {other}; kept in one split"))
        group = group.replace(group[row], group[twin])
    table["group"] = group


def _assign_splits(table: pd.DataFrame, readable: set[str], seed: int) -> None:
    """Moves training groups to the splits that a genre lacks.

    Args:
        table: As of `Collection`; its `split` is changed in place.
        readable: Groups with a file that can be read; others only move where a genre
            has fewer than three of these.
        seed: Seed of the splits.
    """
    num_groups = table.groupby("genre")["group"].nunique()
    homes: dict[str, str] = {}
    for number, genre in enumerate(num_groups.index[num_groups >= MIN_GROUPS]):
        here = table[table["genre"] == genre]
        groups = set(here.loc[here["split"] == "train", "group"])
        if len(groups & readable) >= MIN_GROUPS:
            groups &= readable
        if len(groups) < MIN_GROUPS:
            continue
        # A group that is in an earlier genre too has its split from there.
        placed = {homes[group] for group in groups if group in homes}
        free = groups.difference(homes)
        if placed and not placed >= set(SPLITS) and len(free) >= MIN_GROUPS:
            groups = free
        ready_made = set(here["split"])
        for group, split in split_groups(sorted(groups), (seed, number)).items():
            if split not in ready_made:
                homes.setdefault(group, split)
    is_moved = (table["split"] == "train") & table["group"].isin(homes)
    table.loc[is_moved, "split"] = table.loc[is_moved, "group"].map(homes)


def open_collection(
    data: Path | str = "known",
    *,
    num_clips: int = 2400,
    seed: int = 0,
    subset: str | None = None,
    download: bool = False,
) -> Collection:
    """Opens composed music, a folder of genres, or FMA as a collection.

    Args:
        data: `"known"` for composed music; the path of a folder of genres; the path of
            FMA; or `"fma"`, which is looked for on the mounts of the host. A folder of
            your own called known or fma is `"./known"`.
        num_clips: Number of pieces (composed music only).
        seed: Seed of factors and splits; FMA comes with a split of its own.
        subset: `"small"`, `"medium"`, `"large"`, `"full"`, or `None` for the smallest
            that holds every clip found (FMA only).
        download: Fetch FMA through kagglehub if no mount has it (several gigabytes).

    Returns:
        `Collection`.

    Raises:
        ValueError: If there is no such source, no genre is usable, or a number is out
            of range.
        ImportError: If FMA has to be downloaded and kagglehub is not installed.

    Example:
        >>> open_collection("known", num_clips=18).counts().to_numpy()[0].tolist()
        [1, 1, 1]
    """
    if data in ("known", "fma"):
        if os.path.isdir(data):
            warnings.warn(
                f"data={data!r} is a name of this library, so the folder {data!r} here "
                f"is not opened. Pass './{data}' to open it.",
                stacklevel=2,
            )
        if data == "known":
            return known_factor_collection(num_clips, seed)
        return fma_collection(subset=subset, download=download)
    path = os.path.expanduser(str(data))
    if not os.path.isdir(path) or printable(path) != path:
        raise ValueError(
            f"open_collection got data={data!r}; expected 'known', 'fma', or the "
            "path, in UTF-8, of a folder with one subfolder a genre, such as "
            f"jazz/tune.wav. Check the path; the current folder is {str(Path.cwd())!r}."
        )
    if is_fma(path):
        return fma_collection(path, subset=subset)
    return folder_collection(path, seed)
