"""Where the music comes from: known-factor pieces, a folder of genres, or FMA, as one kind of table."""

import re
from pathlib import Path

import pandas as pd

from cvae_music.audio.files import AUDIO_ENDINGS, READABLE
from cvae_music.data.collection import MIN_GROUPS, SOURCE_COLUMNS, Collection, skipped_table, split_groups
from cvae_music.data.fma import fma_collection, is_fma


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

    if num_clips < MIN_GROUPS * len(GENRES):
        least = f"{MIN_GROUPS * len(GENRES)}, {MIN_GROUPS} for each of {len(GENRES)} genres"
        raise ValueError(f"known_factor_collection got num_clips={num_clips}; expected at least {least}.")
    table = draw_factors(num_clips, seed)
    source_id, split = pd.Series([f"known-{seed}-{index:06d}" for index in range(num_clips)]), {}
    for number, genre in enumerate(GENRES):
        split |= split_groups(list(source_id[table["genre"] == genre]), seed=(seed, number))
    table = table.assign(source_id=source_id, path="", split=source_id.map(split), group=source_id)
    table = table[[*SOURCE_COLUMNS, *table.columns.drop(list(SOURCE_COLUMNS))]]
    return Collection(f"known-{num_clips}", table, GENRES, skipped_table())


def folder_collection(root, seed=0):
    """A folder with one subfolder a genre, such as `root/jazz/tune.wav`.

    Files named `<track>__00.wav`, `<track>__01.wav` are pieces of one track and stay together; any
    other file is a track of its own. Tracks are dealt 80/10/10 inside each genre.

    Args:
        root: Path of the folder; its files may end in any of `cvae_music.audio.files.AUDIO_ENDINGS`.
        seed: Seed of the deal.

    Returns:
        `Collection`; hidden files, files with other endings and genres of fewer than three
        tracks are in `skipped`.

    Raises:
        ValueError: If fewer than two genres are left.
    """
    root, rows, skipped = Path(root).expanduser(), [], []
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        place = path.relative_to(root)
        if any(part.startswith(".") for part in place.parts):
            skipped.append((place.as_posix(), "hidden file", ""))
        elif path.suffix.lower() not in AUDIO_ENDINGS:
            skipped.append((place.as_posix(), "not audio", f"ending {path.suffix!r}; expected one of {READABLE}"))
        elif len(place.parts) < 2:
            skipped.append((place.as_posix(), "no genre", "not inside a genre folder"))
        else:
            group = re.sub(r"__\d+$", "", place.with_suffix("").as_posix())
            rows.append((place.as_posix(), str(path), place.parts[0], "", group))
    table = pd.DataFrame(rows, columns=list(SOURCE_COLUMNS), dtype=object)
    num_groups = table.groupby("genre")["group"].nunique()
    for number, genre in enumerate(num_groups.index[num_groups >= MIN_GROUPS]):
        groups = table.loc[table["genre"] == genre, "group"]
        table.loc[groups.index, "split"] = groups.map(split_groups(sorted(groups.unique()), seed=(seed, number)))
    return Collection.of_complete_genres(root.resolve().name or "folder", table, num_groups.index, skipped)


def open_collection(data="known", *, num_clips=2400, seed=0, subset="small", download=False):
    """Opens any of the three sources by one name.

    Args:
        data: `"known"` for composed music; the path of a folder of genres; the path of FMA; or
            `"fma"`, which is looked for on the mounts of the host.
        num_clips: Pieces to compose (known-factor music only).
        seed: Seed of factors and splits. FMA comes with a split of its own.
        subset: `"small"`, `"medium"`, `"large"` or `"full"` (FMA only).
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
    if not Path(data).expanduser().is_dir():
        raise ValueError(
            f"open_collection got data={str(data)!r}; expected 'known', 'fma', or the path of a folder with one subfolder "
            f"a genre, such as jazz/tune.wav. Check the path; the current folder is {str(Path.cwd())!r}."
        )
    return fma_collection(data, subset=subset) if is_fma(data) else folder_collection(data, seed)
