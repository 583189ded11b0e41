"""Sizes of a training by name, and smaller collections for a first try."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from cvae_music.config import AudioConfig
from cvae_music.data.collection import HELD_OUT, Collection

if TYPE_CHECKING:
    from cvae_music.models.conditional import ConditionalVAE


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """Holds all settings of a training except the music.

    Args:
        config: `AudioConfig` of the features.
        changes: Arguments of `ConditionalVAE` that are not its defaults.
        num_steps: Steps of `batch_size` clips to train for.
        batch_size: Clips in a step.

    Example:
        >>> TrainConfig(AudioConfig(), {"width": 96}, num_steps=300).num_clips
        9600
    """

    config: AudioConfig
    changes: Mapping[str, Any]
    num_steps: int
    batch_size: int = 32

    @property
    def num_clips(self) -> int:
        """Clips of a whole training, repeats counted; the same for any batch size."""
        return self.num_steps * self.batch_size

    def new_model(
        self, genres: Sequence[str], seed: int = 0, precision: str = "float32"
    ) -> ConditionalVAE:
        """Builds an untrained model of this size.

        Args:
            genres: Names of the genres in order.
            seed: Seed of its weights and of its noise.
            precision: `"float32"`, `"mixed_bfloat16"` or `"mixed_float16"`: what its
                layers compute in. Weights and losses are float32 with each, and so is
                the model that a file of it is read back as.

        Returns:
            `ConditionalVAE`, not compiled.
        """
        import keras

        from cvae_music.models.conditional import ConditionalVAE

        keras.utils.set_random_seed(seed)
        with computing_in(precision):
            return ConditionalVAE(self.config, genres=genres, seed=seed, **self.changes)


@contextlib.contextmanager
def computing_in(precision: str) -> Iterator[None]:
    """Sets the Keras dtype policy for layers that are made inside."""
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def take_tracks(collection: Collection, num_tracks: int, seed: int = 0) -> Collection:
    """Draws a smaller collection with at most `num_tracks` sources of each genre.

    A tenth of them, and at least one, lies in each held-out split.

    Args:
        collection: `Collection`; its splits stay as they are.
        num_tracks: Sources of a genre, at least three.
        seed: Seed of the choice.

    Returns:
        `Collection`.

    Raises:
        ValueError: If there would be no source for one of the splits.

    Example:
        >>> import cvae_music as cm
        >>> len(take_tracks(cm.open_collection("known", num_clips=60), 3))
        18
    """
    held_out = max(1, round(HELD_OUT * num_tracks))
    quota = {
        "train": num_tracks - 2 * held_out,
        "validation": held_out,
        "test": held_out,
    }
    if quota["train"] < 1:
        raise ValueError(
            f"take_tracks got num_tracks={num_tracks}; expected at least 3, "
            "one for each split."
        )
    order = np.random.default_rng(seed).permutation(len(collection))
    table = collection.table.iloc[order]
    number = table.groupby(["genre", "split"]).cumcount()
    kept = table[number < table["split"].map(quota)].sort_index()
    name = f"{collection.name}-{num_tracks}"
    return dataclasses.replace(collection, name=name, table=kept.reset_index(drop=True))


# "quick" is the size of the sweeps of notebooks 04 to 07. "large" is wider and deeper,
# with the latents of the others: in a trial, 128 numbers for the whole clip in place of
# 32 undid the obedience. No table stands behind "large" yet; it needs a GPU.
SIZES = {
    "quick": TrainConfig(
        AudioConfig(), {"width": 96, "depth": 1, "local_dim": 4}, num_steps=300
    ),
    "standard": TrainConfig(AudioConfig(), {}, num_steps=1440),
    "large": TrainConfig(
        AudioConfig(num_frames=256),
        {"width": 384, "depth": 6},
        num_steps=6000,
        batch_size=64,
    ),
}
