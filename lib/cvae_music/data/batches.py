"""Batches of features as a `tf.data.Dataset`, in an order that a seed fixes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from cvae_music.config import AudioConfig, check_number
from cvae_music.data.features import FeatureSet

if TYPE_CHECKING:
    import tensorflow as tf

RAM_LIMIT = 2**30  # bytes of one split; a larger one is read batch by batch
MAX_GAIN_DB = 3.0  # of the augmentation, up and down
BEATS_PER_BAR = 4  # of composed music


def make_dataset(
    features: FeatureSet,
    split: str,
    batch_size: int = 32,
    *,
    seed: int = 0,
    augment: bool = False,
    epoch: Any = None,
) -> tf.data.Dataset:
    """Makes a `tf.data.Dataset` of one split, for `model.fit` and `model.evaluate`.

    Training clips come in a new order in every epoch, in full batches; the clips left
    over, fewer than a batch, are not used in that epoch. The clips of other splits come
    in the order of the table, all of them, the last batch smaller. A split of at most
    `RAM_LIMIT` bytes is held in memory; of a larger one each batch is read when it is
    needed.

    The order and the augmentation of an epoch depend only on `seed` and on the number
    of the epoch, so a training that resumes after a kill gets the same batches.

    Args:
        features: `FeatureSet`.
        split: `"train"`, `"validation"` or `"test"`.
        batch_size: Clips in a batch.
        seed: Seed of order and augmentation.
        augment: Vary the gain of each clip by up to 3 dB, and start composed loops at
            any bar.
        epoch: Integer `tf.Variable` that holds the number of the epoch about to be
            read; `None` counts the passes over the dataset from 0.

    Returns:
        Dataset of `(x, genre)`: float32, shape `(batch, num_frames, n_mels)`, scaled to
        [-1, 1]; int32 genre indices, shape `(batch,)`.

    Raises:
        ValueError: If there is no such split, the training split holds fewer clips than
            a batch, or another split holds no clips or clips with NaN; or if a number
            is out of range.

    Example:
        >>> import pandas as pd
        >>> config = AudioConfig(num_frames=16, n_mels=8)
        >>> table = pd.DataFrame({"genre": ["jazz", "rock"] * 2, "split": "train"})
        >>> table["grid"] = "tracked"
        >>> log_mel = np.zeros((4, 16, 8), np.float16)
        >>> features = FeatureSet(config, ("jazz", "rock"), table, log_mel, table[:0])
        >>> [x.shape for x, genre in make_dataset(features, "train", 2)]
        [TensorShape([2, 16, 8]), TensorShape([2, 16, 8])]
    """
    import tensorflow as tf

    check_number("batch_size", batch_size, 1)
    check_number("seed", seed)
    part = features.subset(split)
    config = features.config
    is_training = split == "train"
    size = len(part)
    least = batch_size if is_training else 1
    if size < least:
        raise ValueError(
            f"make_dataset got batch_size={batch_size} for {size} clips in split "
            f"{split!r}; expected at least {least}. Lower batch_size, or add music."
        )
    if not is_training:
        _check_finite(part, split)
    # Only composed clips are loops in which any bar can be the first.
    bar = BEATS_PER_BAR * config.frames_per_beat
    num_bars = max(1, config.num_frames // bar)
    num_turns = tf.constant(
        np.where(part.table["grid"] == "known", num_bars, 1), tf.float32
    )
    genres = tf.constant(part.genre_index)
    in_memory = None
    if part.log_mel.nbytes <= RAM_LIMIT:
        in_memory = tf.constant(np.asarray(part.log_mel))
    counts_itself = epoch is None
    if counts_itself:
        epoch = tf.Variable(0, dtype=tf.int64, trainable=False)

    def plan_epoch(_: Any) -> tf.data.Dataset:
        """Draws the row, gain in dB and first frame of each clip, all in TensorFlow."""
        now = epoch.read_value()
        if counts_itself:
            epoch.assign_add(1)
        # TensorFlow's stateless random numbers take a key of two integers. With factor
        # 4 no two seeds share one.
        order_key, gain_key, turn_key = (
            tf.stack([tf.cast(seed, tf.int64) * 4 + number, now]) for number in range(3)
        )
        rows = tf.range(size, dtype=tf.int64)
        if is_training:
            rows = tf.random.experimental.stateless_shuffle(rows, order_key)
        gain = tf.random.stateless_uniform([size], gain_key, -MAX_GAIN_DB, MAX_GAIN_DB)
        share = tf.random.stateless_uniform([size], turn_key)
        turn = tf.cast(share * tf.gather(num_turns, rows), tf.int64) * bar
        clips = tf.data.Dataset.from_tensor_slices((rows, gain, turn))
        return clips.batch(batch_size, drop_remainder=is_training)

    def load_batch(rows: tf.Tensor, gain: tf.Tensor, turn: tf.Tensor) -> Any:
        """Reads the clips of a batch, augments and scales them; adds their genres."""
        if in_memory is None:
            read = part.log_mel.__getitem__
            clips = tf.numpy_function(read, [rows], tf.float16)
        else:
            clips = tf.gather(in_memory, rows)
        shape = (batch_size if is_training else None, *config.shape)
        clips = tf.ensure_shape(tf.cast(clips, tf.float32), shape)
        if augment:
            clips = augment_clips(clips, gain, turn, config)
        # As `AudioConfig.scale`, which takes NumPy arrays only.
        scaled = (clips - config.floor_db) * (1.0 / config.db_per_unit) - 1.0
        return scaled, tf.gather(genres, rows)

    num_batches = size // batch_size if is_training else -(-size // batch_size)
    dataset = tf.data.Dataset.from_tensors(0).flat_map(plan_epoch).map(load_batch)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(num_batches))
    return dataset.prefetch(2)


def _check_finite(part: FeatureSet, split: str) -> None:
    """Refuses clips with NaN, which would make a metric NaN and not say where from."""
    rows = part.table.to_dict("records")
    broken = [
        row.get("path") or row.get("clip_id")
        for row, clip in zip(rows, part.log_mel, strict=True)
        if not np.isfinite(clip).all()
    ]
    if broken:
        raise ValueError(
            f"{len(broken)} clips of split {split!r} hold NaN; expected dB. Replace or "
            f"remove {broken[:5]}."
        )


def augment_clips(clips: Any, gain: Any, turn: Any, config: AudioConfig) -> tf.Tensor:
    """Adds a gain in dB to each clip, and rotates it in time by whole frames.

    Args:
        clips: Float32 tensor, shape `(batch, num_frames, n_mels)`, dB.
        gain: Float32 tensor, shape `(batch,)`, dB.
        turn: Integer tensor, shape `(batch,)`: the frame that becomes the first.
        config: `AudioConfig`.

    Returns:
        Float32 tensor of the same shape, dB, between floor and ceiling.
    """
    import tensorflow as tf

    louder = clips + gain[:, None, None]
    louder = tf.clip_by_value(louder, config.floor_db, config.ceiling_db)
    # The floor stands for silence, which no gain makes louder.
    louder = tf.where(clips <= config.floor_db, clips, louder)
    frames = tf.range(config.num_frames, dtype=tf.int64)[None, :]
    frames = (frames + tf.cast(turn, tf.int64)[:, None]) % config.num_frames
    return tf.gather(louder, frames, batch_dims=1)
