"""Where the music comes from: known-factor pieces or a folder of genres, as one kind of table."""

import dataclasses
import hashlib
import re
from pathlib import Path

import numpy as np
import pandas as pd

SPLITS = ("train", "validation", "test")
AUDIO_ENDINGS = (".wav", ".mp3", ".ogg", ".flac")
MIN_GROUPS = 3  # one for each split
SKIPPED_COLUMNS = ("path", "reason", "detail")


def skipped_table(rows=()):
    """A report of what was left out: columns `path`, `reason`, `detail`."""
    return pd.DataFrame(list(rows), columns=list(SKIPPED_COLUMNS), dtype=object)


@dataclasses.dataclass(frozen=True)
class Collection:
    """Sources of music with their genres and splits; no sound has been read yet.

    Args:
        name: Short name, part of the name of the cache folder.
        table: One row a source: `source_id`, `path` (empty for composed music), `genre`, `split`
            (`"train"`, `"validation"` or `"test"`), `group` (the track or the artist; never in two
            splits), then the factor columns where they are known.
        genres: Genre names in the order of their indices.
        skipped: What was left out and why: `path`, `reason`, `detail`.

    Raises:
        ValueError: If fewer than two genres are left, or a group is in two splits.
    """

    name: str
    table: pd.DataFrame
    genres: tuple
    skipped: pd.DataFrame

    def __post_init__(self):
        if len(self.genres) < 2:
            reasons = ", ".join(f"{n} × {reason}" for reason, n in self.skipped["reason"].value_counts().items())
            raise ValueError(
                f"The collection {self.name!r} has {len(self.genres)} usable genres {tuple(self.genres)}"
                f"{f' (left out: {reasons})' if reasons else ''}; expected at least 2, each with at least "
                f"{MIN_GROUPS} tracks. Add music, or check that the path is right."
            )
        shared = self.table.groupby("group")["split"].nunique()
        if (shared > 1).any():
            raise ValueError(
                f"The collection {self.name!r} has groups in two splits: {list(shared.index[shared > 1])[:5]}; "
                "expected each track or artist in one. Give every row of a group the same split."
            )

    def __len__(self):
        return len(self.table)

    @property
    def is_composed(self):
        """True for known-factor music, which has no files."""
        return bool((self.table["path"] == "").all())

    def counts(self):
        """Sources of each genre in each split, genres as rows."""
        counts = pd.crosstab(self.table["genre"], self.table["split"])
        return counts.reindex(index=list(self.genres), columns=list(SPLITS), fill_value=0)

    def key(self):
        """Ten hexadecimal digits that change when the table, a file or the genres change."""
        # Where the folder stands does not matter: a collection that was moved keeps its cache.
        digest = hashlib.sha256(repr(tuple(self.genres)).encode())
        digest.update(self.table.drop(columns="path").to_csv(index=False).encode())
        for path in self.table["path"]:
            if path:
                status = Path(path).stat()
                digest.update(f"{status.st_size} {status.st_mtime_ns}\n".encode())
        return digest.hexdigest()[:10]


def split_groups(groups, seed=0, shares=(0.8, 0.1, 0.1)):
    """Deals groups to the splits, at least one to validation and one to test.

    Args:
        groups: Distinct group names of one genre, in a fixed order.
        seed: Seed of the deal.
        shares: Shares of train, validation and test.

    Returns:
        Dict from group to split.

    Raises:
        ValueError: If there are fewer than three groups.
    """
    if len(groups) < MIN_GROUPS:
        raise ValueError(
            f"split_groups got {len(groups)} groups; expected at least {MIN_GROUPS}, one for each split. Add tracks."
        )
    order = np.argsort(np.random.default_rng(seed).random(len(groups)), kind="stable")
    num_validation, num_test = (max(1, round(share * len(groups))) for share in shares[1:])
    labels = ["test"] * num_test + ["validation"] * num_validation
    labels += ["train"] * (len(groups) - len(labels))
    return {groups[position]: label for position, label in zip(order, labels, strict=True)}


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
    from cvae_music import music

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
    from cvae_music import fma

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
