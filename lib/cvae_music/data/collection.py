"""A collection: which music there is, of which genre, in which split."""

import dataclasses
import hashlib
import os

import numpy as np
import pandas as pd

from cvae_music.audio.files import READABLE

SPLITS = ("train", "validation", "test")
MIN_GROUPS = 3  # one for each split
HELD_OUT = 0.1  # share of a genre's groups that validate, and the share that test
SOURCE_COLUMNS = ("source_id", "path", "genre", "split", "group")
SKIPPED_COLUMNS = ("path", "reason", "detail")


def skipped_table(rows=()):
    """A report of what was left out: columns `path`, `reason`, `detail`."""
    return pd.DataFrame(list(rows), columns=list(SKIPPED_COLUMNS), dtype=object)


def count_splits(table, genres):
    """Rows of each genre in each split, genres as rows."""
    return pd.crosstab(table["genre"], table["split"]).reindex(
        index=list(genres), columns=list(SPLITS), fill_value=0
    )


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
            reasons = ", ".join(
                f"{n} × {reason}"
                for reason, n in self.skipped["reason"].value_counts().items()
            )
            found = f"The collection {self.name!r} has {len(self.genres)} usable genres {tuple(self.genres)}"
            found += f" (left out: {reasons})" if reasons else ""
            wanted = f"at least 2, each with at least {MIN_GROUPS} tracks ending in {READABLE}"
            raise ValueError(
                f"{found}; expected {wanted}. Add music, replace what cannot be read, or check the path."
            )
        shared = self.table.groupby("group")["split"].nunique()
        if (shared > 1).any():
            found = f"The collection {self.name!r} has groups in two splits: {list(shared.index[shared > 1])[:5]}"
            raise ValueError(
                f"{found}; expected each track or artist in one. Give the rows of a group one split."
            )

    @classmethod
    def of_complete_genres(cls, name, table, genres, skipped):
        """The genres that are in every split; the others could not be scored, and go into the report.

        Args:
            name: As for the class.
            table: As for the class, or one row a clip.
            genres: Genre names in order.
            skipped: List of `(path, reason, detail)` so far.
        """
        found, kept, lost = table.groupby("genre")["split"].agg(set), [], []
        for genre in genres:
            empty = [split for split in SPLITS if split not in found.get(genre, ())]
            if not empty:
                kept.append(genre)
                continue
            detail = f"genre {genre!r} has nothing in: {', '.join(empty)}. Add tracks, or repair those in this report"
            sources = table.loc[table["genre"] == genre, "source_id"].unique()
            lost += [
                (source, "genre with too few tracks", detail)
                for source in (sources if len(sources) else [genre])
            ]
        table = table[table["genre"].isin(kept)].reset_index(drop=True)
        return cls(name, table, tuple(kept), skipped_table([*skipped, *lost]))

    def __len__(self):
        return len(self.table)

    @property
    def is_composed(self):
        """True for known-factor music, which has no files."""
        return bool((self.table["path"] == "").all())

    def counts(self):
        """Sources of each genre in each split, genres as rows."""
        return count_splits(self.table, self.genres)

    def key(self):
        """Ten hexadecimal digits that change when the table, a file or the genres change."""
        # Where the folder stands does not matter: a collection that was moved keeps its cache.
        digest = hashlib.sha256(repr(tuple(self.genres)).encode())
        digest.update(self.table.drop(columns="path").to_csv(index=False).encode())
        for path in filter(
            os.path.exists, self.table["path"]
        ):  # composed music has none, others may be gone
            status = os.stat(path)
            digest.update(f"{status.st_size} {status.st_mtime_ns}\n".encode())
        return digest.hexdigest()[:10]


def split_groups(groups, seed=0):
    """Deals the groups of one genre 80/10/10 to the splits, at least one to validation and one to test.

    Args:
        groups: At least three distinct names, in a fixed order.
        seed: Seed of the deal.

    Returns:
        Dict from group to split.
    """
    order = np.argsort(np.random.default_rng(seed).random(len(groups)), kind="stable")
    held = max(1, round(HELD_OUT * len(groups)))
    labels = (
        ["test"] * held + ["validation"] * held + ["train"] * (len(groups) - 2 * held)
    )
    return {
        groups[position]: label for position, label in zip(order, labels, strict=True)
    }


def drop_split_leaks(table, skipped, reason):
    """The rows of groups in the split that holds most of them; the others would let a model know its test tracks."""
    home = table.groupby("group")["split"].agg(lambda found: found.mode()[0])
    is_home = table["split"] == table["group"].map(home)
    skipped += [(place, reason, "") for place in table["source_id"][~is_home]]
    return table[is_home]
