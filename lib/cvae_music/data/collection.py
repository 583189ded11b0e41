"""A collection: which music there is, of which genre, in which split."""

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
import pandas as pd

SPLITS = ("train", "validation", "test")
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
