"""Where the music comes from: known-factor pieces, a folder of genres, or FMA, as one kind of table."""

import os
import re
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd

from cvae_music.audio.files import AUDIO_ENDINGS, READABLE, printable, read_mono
from cvae_music.config import check_number
from cvae_music.data.collection import (
    MIN_GROUPS,
    SOURCE_COLUMNS,
    Collection,
    drop_split_leaks,
    skipped_table,
    split_groups,
)
from cvae_music.data.fma import fma_collection, is_fma, walk

SYSTEM_FOLDERS = {
    "$recycle.bin",
    "system volume information",
    "__macosx",
    "@eadir",
    "#recycle",
    "lost+found",
}
SPLIT_FOLDERS = dict.fromkeys(("train", "training"), "train") | dict.fromkeys(
    ("test", "testing"), "test"
)
SPLIT_FOLDERS |= dict.fromkeys(("validation", "valid", "val", "dev"), "validation")


def known_factor_collection(num_clips=2400, seed=0):
    """Composed pieces whose genre and factors are known; see `known_music`.

    Args:
        num_clips: Number of pieces, spread evenly over the genres.
        seed: Seed of the factors and of the split.

    Returns:
        `Collection`; the table carries every factor as a column.

    Raises:
        ValueError: If a genre gets fewer than three pieces.
    """
    from known_music import GENRES, draw_factors

    (
        check_number("seed", seed),
        check_number("num_clips", num_clips, MIN_GROUPS * len(GENRES)),
    )
    table = draw_factors(num_clips, seed)
    source_id, split = (
        pd.Series([f"known-{seed}-{index:06d}" for index in range(num_clips)]),
        {},
    )
    for number, genre in enumerate(GENRES):
        split |= split_groups(
            list(source_id[table["genre"] == genre]), seed=(seed, number)
        )
    table = table.assign(
        source_id=source_id, path="", split=source_id.map(split), group=source_id
    )
    table = table[[*SOURCE_COLUMNS, *table.columns.drop(list(SOURCE_COLUMNS))]]
    return Collection(f"known-{num_clips}", table, GENRES, skipped_table())


def folder_collection(root, seed=0):
    """A folder with one subfolder a genre, such as `root/jazz/tune.wav`.

    Files named `<track>__00.wav`, `<track>__01.wav` are pieces of one track and stay together, as do files that begin
    with the same samples; any other file is a track of its own. Tracks are dealt 80/10/10 inside each genre. Subfolders
    called `train`, `validation` and `test`, with the genres inside, are splits: what is missing of these is dealt
    from the training tracks. Links are followed.

    Args:
        root: Path of the folder; its files may end in any of `cvae_music.audio.files.AUDIO_ENDINGS`.
        seed: Seed of the deal.

    Returns:
        `Collection`; hidden files, files with other endings, genres of fewer than three tracks and all else that is
        not used is in `skipped`, and which files are the same recording.

    Raises:
        ValueError: If fewer than two genres are left, or they stand in a folder inside this one.
    """
    root, tunes, rows, skipped = Path(os.path.expanduser(root)), [], [], []
    check_number("seed", seed)
    for path in sorted(
        Path(folder, name) for folder, _, names in walk(root, skipped) for name in names
    ):
        place = path.relative_to(root).as_posix()
        name, parts = printable(place), unicodedata.normalize("NFC", place).split("/")
        if any(
            part.startswith(".") or part.casefold() in SYSTEM_FOLDERS for part in parts
        ):
            skipped.append((name, "hidden file", ""))
        elif path.suffix.lower() not in AUDIO_ENDINGS:
            skipped.append(
                (
                    name,
                    "not audio",
                    f"ending {printable(path.suffix)!r}; expected one of {READABLE}",
                )
            )
        elif name != place:
            skipped.append((name, "name is not UTF-8", "rename it, or its folder"))
        elif not path.is_file():
            skipped.append((name, "no file", "such as a link to nowhere"))
        else:
            tunes.append((name, path, parts))
    ready_made = {SPLIT_FOLDERS.get(parts[0].casefold()) for *_, parts in tunes}
    are_splits = {"train", "test"} <= ready_made or None not in ready_made
    for name, path, parts in tunes:
        split = SPLIT_FOLDERS.get(parts.pop(0).casefold()) if are_splits else "train"
        if split is None or len(parts) < 2:
            skipped.append((name, "no genre", "not inside a genre folder"))
        else:
            rows.append(
                (
                    name,
                    str(path),
                    parts[0],
                    split,
                    re.sub(r"__\d+$", "", name.removesuffix(path.suffix)),
                )
            )
    table = pd.DataFrame(rows, columns=list(SOURCE_COLUMNS), dtype=object)
    inner = Path(
        os.path.commonpath([Path(path).parents[1] for path in table["path"]] or [root])
    )
    if table["genre"].nunique() == 1 and not are_splits and not inner.samefile(root):
        found = f"{str(root)!r} holds one folder of music, which has folders of its own"
        raise ValueError(
            f"{found}; expected one subfolder a genre. Pass {str(inner)!r} if the genres are there."
        )
    marks = _group_duplicates(table, skipped)
    _deal(table, set(table["group"][marks.notna()]), seed)
    table = drop_split_leaks(table, skipped, "same recording in another split")
    genres = sorted({parts[0] for *_, parts in tunes if len(parts) > 1})
    return Collection.of_complete_genres(
        root.resolve().name or "folder", table, genres, skipped
    )


def _group_duplicates(table, skipped):
    """Gives files that begin with the same samples one group, and says so; returns what they begin with."""
    with ThreadPoolExecutor() as pool:
        marks = pd.Series(
            list(pool.map(_audio_fingerprint, table["path"])), table.index, dtype=object
        )
    first, group = {}, table["group"]
    for row in marks.index[marks.notna()]:
        twin = first.setdefault(marks[row], row)
        if group[row] != group[twin]:
            name, other = table["source_id"][[row, twin]]
            skipped.append((name, "same recording", f"as {other}; kept in one split"))
            group = table["group"] = group.replace(group[row], group[twin])
    return marks


def _audio_fingerprint(path):
    """What the first three seconds of sound in a file are known by; None where less than two of them can be read."""
    try:
        for seconds in (4.0, 10.0):  # more where it begins with silence
            samples, rate = read_mono(path, 0.0, seconds)
            heard = np.trim_zeros(np.round(samples * 2**15).astype(np.int32), "f")[
                : 3 * rate
            ]
            if len(heard) == 3 * rate:
                break
    except Exception:  # whoever needs the features will be told
        return None
    return hash(heard.tobytes()) if len(heard) >= 2 * rate else None


def _deal(table, heard, seed):
    """Deals training tracks to the splits that a genre lacks; tracks that nothing is heard of only where it must."""
    num_groups, homes = table.groupby("genre")["group"].nunique(), {}
    for number, genre in enumerate(num_groups.index[num_groups >= MIN_GROUPS]):
        here = table[table["genre"] == genre]
        groups = set(here.loc[here["split"] == "train", "group"])
        groups = groups & heard if len(groups & heard) >= MIN_GROUPS else groups
        if len(groups) >= MIN_GROUPS:
            dealt = split_groups(sorted(groups), seed=(seed, number))
            homes = {
                group: split
                for group, split in dealt.items()
                if split not in set(here["split"])
            } | homes
    moved = (table["split"] == "train") & table["group"].isin(homes)
    table.loc[moved, "split"] = table.loc[moved, "group"].map(homes)


def open_collection(
    data="known", *, num_clips=2400, seed=0, subset=None, download=False
):
    """Opens any of the three sources by one name.

    Args:
        data: `"known"` for composed music; the path of a folder of genres; the path of FMA; or
            `"fma"`, which is looked for on the mounts of the host.
        num_clips: Pieces to compose (known-factor music only).
        seed: Seed of factors and splits. FMA comes with a split of its own.
        subset: `"small"`, `"medium"`, `"large"`, `"full"`, or `None` for the one that is found (FMA only).
        download: Fetch FMA through kagglehub if no mount has it (several gigabytes).

    Returns:
        `Collection`.

    Raises:
        ValueError: If there is no such source, or fewer than two genres are usable.
    """
    if str(data) == "known":
        return known_factor_collection(num_clips, seed)
    if str(data) == "fma":
        return fma_collection(subset=subset, download=download)
    if not os.path.isdir(os.path.expanduser(data)) or printable(data) != str(data):
        wanted = "'known', 'fma', or the path, in UTF-8, of a folder with one subfolder a genre, such as jazz/tune.wav"
        found = f"open_collection got data={str(data)!r}; expected {wanted}"
        raise ValueError(
            f"{found}. Check the path; the current folder is {str(Path.cwd())!r}."
        )
    return (
        fma_collection(data, subset=subset)
        if is_fma(data)
        else folder_collection(data, seed)
    )
