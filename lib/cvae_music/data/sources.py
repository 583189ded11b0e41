"""Where the music comes from: known-factor pieces, a folder of genres, or FMA, as one kind of table."""

import re
from pathlib import Path

import pandas as pd

from cvae_music.data.collection import MIN_GROUPS, Collection, skipped_table, split_groups

AUDIO_ENDINGS = (".wav", ".mp3", ".ogg", ".flac")


def known_factor_collection(num_clips=2400, seed=0):
    """Composed pieces whose genre and factors are known; see `music`.

    Args:
        num_clips: Number of pieces, spread evenly over the genres.
        seed: Seed of the factors and of the split.

    Returns:
        `Collection`; the table carries every factor as a column.

    Raises:
        ValueError: If a genre gets fewer than three pieces.
    """
    from known_music import music

    if num_clips < MIN_GROUPS * len(music.GENRES):
        raise ValueError(
            f"known_factor_collection got num_clips={num_clips}; expected at least "
            f"{MIN_GROUPS * len(music.GENRES)}, {MIN_GROUPS} for each of {len(music.GENRES)} genres."
        )
    factors = music.draw_factors(num_clips, seed).reset_index(drop=True)
    source_id = pd.Series([f"known-{seed}-{index:06d}" for index in range(len(factors))])
    split = {}
    for number, genre in enumerate(music.GENRES):
        split |= split_groups(list(source_id[factors["genre"] == genre]), seed=(seed, number))
    table = pd.DataFrame({"source_id": source_id, "path": "", "genre": factors["genre"]})
    table["split"], table["group"] = source_id.map(split), source_id
    table = pd.concat([table, factors.drop(columns="genre")], axis=1)
    return Collection(f"known-{num_clips}", table, tuple(music.GENRES), skipped_table())


def folder_collection(root, seed=0):
    """A folder with one subfolder a genre, `root/<genre>/*.wav|mp3|ogg|flac`.

    Files named `<track>__00.wav`, `<track>__01.wav` are pieces of one track and stay together; any
    other file is a track of its own. Tracks are dealt 80/10/10 inside each genre.

    Args:
        root: Path of the folder.
        seed: Seed of the deal.

    Returns:
        `Collection`; hidden files, files with other endings and genres of fewer than three
        tracks are in `skipped`.

    Raises:
        ValueError: If `root` is no folder, or fewer than two genres are left.
    """
    root = Path(root).expanduser()
    if not root.is_dir():
        raise ValueError(
            f"folder_collection got {str(root)!r}, which is no folder; expected a folder with one subfolder a genre, "
            f"such as jazz/tune.wav. Check the path; the current folder is {str(Path.cwd())!r}."
        )
    rows, skipped = [], []
    for path in sorted(path for path in root.rglob("*") if path.is_file()):
        place = path.relative_to(root)
        if any(part.startswith(".") for part in place.parts):
            skipped.append((place.as_posix(), "hidden file", ""))
        elif path.suffix.lower() not in AUDIO_ENDINGS:
            skipped.append((place.as_posix(), "not audio", f"ending {path.suffix!r}"))
        elif len(place.parts) < 2:
            skipped.append((place.as_posix(), "no genre", "not inside a genre folder"))
        else:
            group = re.sub(r"__\d+$", "", place.with_suffix("").as_posix())
            rows.append((place.as_posix(), str(path), place.parts[0], "", group))
    table = pd.DataFrame(rows, columns=["source_id", "path", "genre", "split", "group"], dtype=object)
    genres = []
    for genre, clips in table.groupby("genre", sort=True):
        groups = sorted(clips["group"].unique())
        if len(groups) < MIN_GROUPS:
            # Too few to train, validate and test on different tracks: scores would be meaningless.
            detail = f"genre {genre!r} has {len(groups)}; {MIN_GROUPS} are needed to split it"
            skipped += [(place, "genre with too few tracks", detail) for place in clips["source_id"]]
            continue
        split = split_groups(groups, seed=(seed, len(genres)))
        table.loc[clips.index, "split"] = clips["group"].map(split)
        genres.append(genre)
    table = table[table["split"] != ""].reset_index(drop=True)
    return Collection(root.resolve().name or "folder", table, tuple(genres), skipped_table(skipped))


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
    from cvae_music.data import fma

    if str(data) == "known":
        return known_factor_collection(num_clips, seed)
    if str(data) == "fma":
        return fma.fma_collection(None, subset=subset, download=download)
    if not Path(data).expanduser().is_dir():
        raise ValueError(
            f"open_collection got data={str(data)!r}; expected 'known', 'fma', or the path of an existing folder. "
            f"Check the path; the current folder is {str(Path.cwd())!r}."
        )
    if fma.is_fma(data):
        return fma.fma_collection(data, subset=subset)
    return folder_collection(data, seed)
