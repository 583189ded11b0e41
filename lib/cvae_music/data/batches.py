"""Batches for training: from the feature cache to `tf.data`, in an order that a seed fixes."""

import numpy as np

from cvae_music.config import check_number

RAM_LIMIT = 2**30  # sets up to this many bytes are kept in memory
MAX_GAIN_DB = 3.0
BEATS_PER_BAR = 4


def make_dataset(features, split, batch_size=32, *, seed=0, augment=False, epoch=None):
    """A `tf.data.Dataset` of one split, for `model.fit` and `model.evaluate`.

    Training clips come in a new order in every epoch, in batches of one shape: the few that fill no batch wait for
    another epoch. The clips of other splits come in the order of the table, all of them.

    The order and the augmentation of an epoch depend on `seed` and on the number of the epoch
    alone, so a training that goes on after a kill can see what it would have seen.

    Args:
        features: `FeatureSet`.
        split: `"train"`, `"validation"` or `"test"`.
        batch_size: Clips in a batch.
        seed: Seed of order and augmentation.
        augment: Vary the gain of each clip by up to 3 dB, and start loops at any bar.
        epoch: Integer `tf.Variable` that holds the number of the epoch about to be read. `None`
            counts the passes over the dataset from 0.

    Returns:
        Dataset of `(x, genre)`: float32, shape `(batch, num_frames, n_mels)`, scaled to [-1, 1]; int32
        indices, shape `(batch,)`.

    Raises:
        ValueError: If the split holds fewer clips than a batch needs, or clips to score that hold NaN.
    """
    import tensorflow as tf

    check_number("batch_size", batch_size, 1)
    part, config, is_training = (
        features.subset(split),
        features.config,
        split == "train",
    )
    if len(part) < (batch_size if is_training else 1):
        found = f"batches got batch_size={batch_size} for {len(part)} clips in split {split!r}"
        raise ValueError(
            f"{found}; expected from 1 to that many. Use a smaller batch_size, or more music."
        )
    broken = [
        k
        for k, clip in enumerate(part.log_mel)
        if not (is_training or np.isfinite(clip).all())
    ]
    if broken:  # of a training they would show as a loss, here as a missing number that nobody asks about
        names = [
            row.get("path") or row.get("clip_id")
            for row in part.table.iloc[broken[:5]].to_dict("records")
        ]
        raise ValueError(
            f"{len(broken)} clips of split {split!r} hold NaN; expected dB. Replace or remove {names}."
        )
    num_batches = (
        len(part) // batch_size if is_training else -(-len(part) // batch_size)
    )
    # Only composed clips are loops in which any bar can be the first.
    bar = BEATS_PER_BAR * config.frames_per_beat
    num_turns = tf.constant(
        np.where(part.table["grid"] == "known", max(1, config.num_frames // bar), 1),
        tf.float32,
    )
    genres = tf.constant(part.genre_index)
    held = (
        tf.constant(np.asarray(part.log_mel))
        if part.log_mel.nbytes <= RAM_LIMIT
        else None
    )
    counts_itself, epoch = (
        epoch is None,
        tf.Variable(0, dtype=tf.int64, trainable=False) if epoch is None else epoch,
    )

    def draw(_):
        """What an epoch is made of: row numbers, gains in dB, first frames. No Python runs between steps."""
        now, rows = epoch.read_value(), tf.range(len(part), dtype=tf.int64)
        if counts_itself:
            epoch.assign_add(1)
        keys = [
            tf.stack([tf.cast(seed, tf.int64) * 4 + number, now]) for number in range(3)
        ]
        rows = (
            tf.random.experimental.stateless_shuffle(rows, keys[0])
            if is_training
            else rows
        )
        gain = tf.random.stateless_uniform(
            [len(part)], keys[1], -MAX_GAIN_DB, MAX_GAIN_DB
        )
        share = tf.random.stateless_uniform([len(part)], keys[2])
        turn = tf.cast(share * tf.gather(num_turns, rows), tf.int64) * bar
        return tf.data.Dataset.from_tensor_slices((rows, gain, turn)).batch(
            batch_size, drop_remainder=is_training
        )

    def make(rows, gain, turn):
        read = part.log_mel.__getitem__
        clips = (
            tf.numpy_function(read, [rows], tf.float16)
            if held is None
            else tf.gather(held, rows)
        )
        clips = tf.ensure_shape(
            tf.cast(clips, tf.float32),
            (batch_size if is_training else None, *config.shape),
        )
        clips = augment_clips(clips, gain, turn, config) if augment else clips
        return (clips - config.floor_db) * (1.0 / config.db_per_unit) - 1.0, tf.gather(
            genres, rows
        )

    dataset = tf.data.Dataset.from_tensors(0).flat_map(draw).map(make)
    return dataset.apply(tf.data.experimental.assert_cardinality(num_batches)).prefetch(
        2
    )


def augment_clips(clips, gain, turn, config):
    """Turns each clip up or down, and lets loops begin at another frame.

    Args:
        clips: Float32 tensor, shape `(batch, num_frames, n_mels)`, dB.
        gain: Float32, shape `(batch,)`, dB.
        turn: Whole numbers, shape `(batch,)`: the frame that becomes the first.
        config: `AudioConfig`.

    Returns:
        Float32 tensor of the same shape, dB.
    """
    import tensorflow as tf

    louder = tf.clip_by_value(
        clips + gain[:, None, None], config.floor_db, config.ceiling_db
    )
    # The floor stands for "nothing heard": more gain does not make it heard.
    louder = tf.where(clips <= config.floor_db, clips, louder)
    frames = (
        tf.range(config.num_frames, dtype=tf.int64)[None, :]
        + tf.cast(turn, tf.int64)[:, None]
    )
    frames %= config.num_frames
    return tf.gather(louder, frames, batch_dims=1)
