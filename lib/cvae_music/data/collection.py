"""Collections: sources of music with their genres and splits, before any extraction."""

import contextlib
import dataclasses
import hashlib

import numpy as np
import pandas as pd

from cvae_music.audio.files import READABLE, sound_span

SPLITS = ("train", "validation", "test")
MIN_GROUPS = 3  # of a genre, one for each split
HELD_OUT = 0.1  # share of a genre's groups for validation, and the share for test
SOURCE_COLUMNS = ("source_id", "path", "genre", "split", "group")
SKIPPED_COLUMNS = ("path", "reason", "detail")
# The key of a collection hashes blocks of a file, or all of a file up to SMALL_FILE.
KEY_BLOCKS = 5
KEY_BLOCK_BYTES = 4096
SMALL_FILE = 2**18  # bytes


def skipped_table(rows: list[tuple] | tuple = ()) -> pd.DataFrame:
    """Builds a report of what was left out, from tuples of `SKIPPED_COLUMNS`."""
    return pd.DataFrame(list(rows), columns=list(SKIPPED_COLUMNS), dtype=object)


def check_splits(where: str, table: pd.DataFrame) -> None:
    """Checks that no group, source or file of a table is in two splits.

    Args:
        where: What has the table, for the message.
        table: Column `split`, and some of `group`, `source_id`, `path`. Empty names
            pass.

    Raises:
        ValueError: If one is; the message names up to five.
    """
    for name in ("group", "source_id", "path"):
        if name not in table:
            continue
        pairs = table[[name, "split"]].drop_duplicates()
        is_named = pairs[name].fillna("") != ""
        shared = pairs.loc[pairs[name].duplicated() & is_named, name]
        if len(shared):
            raise ValueError(
                f"{where} has {name}s in two splits: {list(shared[:5])}; expected each "
                "track or artist in one, or test clips are known from training. Give "
                f"the rows of a {name} one split."
            )


def count_splits(table: pd.DataFrame, genres: list | tuple) -> pd.DataFrame:
    """Counts the rows of a table by genre (rows) and split (columns)."""
    counts = pd.crosstab(table["genre"], table["split"])
    return counts.reindex(index=list(genres), columns=list(SPLITS), fill_value=0)


@dataclasses.dataclass(frozen=True)
class Collection:
    """Lists sources of music with genres and splits; no features are computed yet.

    Args:
        name: Short name, part of the name of the cache folder.
        table: One row a source: `source_id`, `path` (empty for composed music),
            `genre`, `split` (`"train"`, `"validation"` or `"test"`), `group` (the track
            or the artist; never in two splits), then known factors as columns.
        genres: Genre names in the order of their indices.
        skipped: What was left out and why: `path`, `reason`, `detail`.

    Raises:
        ValueError: If no genre is left, or a group is in two splits.

    Example:
        >>> from cvae_music.data.sources import open_collection
        >>> collection = open_collection("known", num_clips=18)
        >>> len(collection), len(collection.genres)
        (18, 6)
    """

    name: str
    table: pd.DataFrame
    genres: tuple
    skipped: pd.DataFrame

    def __post_init__(self) -> None:
        if not self.genres:
            counts = self.skipped["reason"].value_counts()
            reasons = ", ".join(f"{n} × {reason}" for reason, n in counts.items())
            advice = "Add music, replace what cannot be read, or check the path."
            if len(counts):
                is_most = self.skipped["reason"] == counts.index[0]
                path, _, detail = self.skipped[is_most].iloc[0]
                advice += f" Of {path!r}: {detail}"
            raise ValueError(
                f"The collection {self.name!r} has 0 usable genres (left out: "
                f"{reasons or 'nothing'}); expected at least 1, with at least "
                f"{MIN_GROUPS} tracks ending in {READABLE}. {advice}"
            )
        check_splits(f"The collection {self.name!r}", self.table)

    @classmethod
    def of_complete_genres(
        cls,
        name: str,
        table: pd.DataFrame,
        genres: list | tuple,
        skipped: list[tuple],
    ) -> "Collection":
        """Builds a collection of the genres that are in every split.

        Sources of other genres go into the report, because they could not be scored.

        Args:
            name: As for the class.
            table: As for the class, or one row a clip.
            genres: All genre names, in order.
            skipped: Tuples `(path, reason, detail)` of what was left out before.

        Returns:
            `Collection`.

        Raises:
            ValueError: As for the class.
        """
        found = table.groupby("genre")["split"].agg(set)
        kept = []
        lost = []
        for genre in genres:
            empty = [split for split in SPLITS if split not in found.get(genre, ())]
            if not empty:
                kept.append(genre)
                continue
            detail = (
                f"genre {genre!r} has nothing in: {', '.join(empty)}. Add tracks, or "
                "repair those in this report"
            )
            sources = table.loc[table["genre"] == genre, "source_id"].unique()
            for source in sources if len(sources) else [genre]:
                lost.append((source, "genre with too few tracks", detail))
        table = table[table["genre"].isin(kept)].reset_index(drop=True)
        return cls(name, table, tuple(kept), skipped_table([*skipped, *lost]))

    def __len__(self) -> int:
        return len(self.table)

    @property
    def is_composed(self) -> bool:
        """True for known-factor music, which has no files."""
        return bool((self.table["path"] == "").all())

    def counts(self) -> pd.DataFrame:
        """Counts the sources of each genre (rows) in each split (columns)."""
        return count_splits(self.table, self.genres)

    def key(self) -> str:
        """Returns ten hexadecimal digits that change with table, genres or content.

        Of each file the size and some blocks of its sound count. Its path, its date
        and its tags do not, so music that was moved, unpacked, mounted or tagged again
        keeps its cache.
        """
        digest = hashlib.sha256(repr(tuple(self.genres)).encode())
        table = self.table.drop(columns="path")
        digest.update(table.to_csv(index=False, lineterminator="\n").encode())
        for path in self.table["path"]:
            digest.update(_content_sample(path))
        return digest.hexdigest()[:10]


def _content_sample(path: str) -> bytes:
    """Returns the size of a file without its tags, and blocks spread over its sound."""
    sample = b""
    # Composed music has no file. The extraction reports a file that cannot be read.
    with contextlib.suppress(OSError), open(path, "rb") as file:
        first, last = sound_span(file)
        size = last - first
        sample = b"%d" % size
        file.seek(first)
        if size <= SMALL_FILE:
            return sample + file.read(size)
        for block in range(KEY_BLOCKS):
            step = (size - KEY_BLOCK_BYTES) * block // (KEY_BLOCKS - 1)
            file.seek(first + step)
            sample += file.read(KEY_BLOCK_BYTES)
    return sample


def split_groups(groups: list[str], seed: int | tuple[int, ...] = 0) -> dict:
    """Assigns the groups of one genre to splits at random, 80/10/10.

    Validation and test get at least one each.

    Args:
        groups: At least three different names, in the same order at each call.
        seed: Seed of the assignment, as `numpy.random.default_rng` takes it.

    Returns:
        Dict from group to split.

    Example:
        >>> sorted(split_groups(["a", "b", "c"]).values())
        ['test', 'train', 'validation']
    """
    order = np.argsort(np.random.default_rng(seed).random(len(groups)), kind="stable")
    held = max(1, round(HELD_OUT * len(groups)))
    splits = ["test"] * held + ["validation"] * held
    splits += ["train"] * (len(groups) - 2 * held)
    return {groups[index]: split for index, split in zip(order, splits, strict=True)}


def drop_split_leaks(
    table: pd.DataFrame, skipped: list[tuple], reason: str
) -> pd.DataFrame:
    """Keeps each group in its most frequent split, and drops its other rows.

    Otherwise a model could be tested on a track or an artist it was trained on.

    Args:
        table: Columns `source_id`, `group`, `split`.
        skipped: List that gets `(source_id, reason, "")` for each row that is dropped.
        reason: The reason, for the report.

    Returns:
        The rows that are kept.
    """
    home = table.groupby("group")["split"].agg(lambda splits: splits.mode()[0])
    is_home = table["split"] == table["group"].map(home)
    skipped += [(source, reason, "") for source in table["source_id"][~is_home]]
    return table[is_home]
