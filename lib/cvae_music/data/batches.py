"""Batches for training: from the feature cache to `tf.data`, in an order that a seed fixes."""

import numpy as np

RAM_LIMIT = 2**30  # sets up to this many bytes are kept in memory
MAX_GAIN_DB = 3.0
BEATS_PER_BAR = 4


def batches(features, split, batch_size=32, *, shuffle=None, seed=0, augment=False, drop_remainder=None, epoch=None):
    """A `tf.data.Dataset` of one split.

    The order and the augmentation of an epoch depend on `seed` and on the number of the epoch
    alone, so a training that goes on after a kill can see what it would have seen.

    Args:
        features: `FeatureSet`.
        split: `"train"`, `"validation"` or `"test"`.
        batch_size: Clips in a batch.
        shuffle: New order in every epoch; `None` does so for training only.
        seed: Seed of order and augmentation.
        augment: Vary the gain of each clip by up to 3 dB, and start loops at any bar.
        drop_remainder: Leave out a last, smaller batch; `None` does so for training only.
        epoch: Integer `tf.Variable` that holds the number of the epoch about to be read. `None`
            counts the passes over the dataset from 0.

    Returns:
        Dataset of `(x, genre)`: float32, shape `(batch, num_frames, n_mels)`, scaled to [-1, 1]; int32
        indices, shape `(batch,)`.

    Raises:
        ValueError: If the split holds fewer clips than a batch needs.
    """
    import tensorflow as tf

    shuffle = split == "train" if shuffle is None else shuffle
    drop_remainder = split == "train" if drop_remainder is None else drop_remainder
    part = features.subset(split)
    size = max(batch_size, 1)
    num_batches = len(part) // size if drop_remainder else -(-len(part) // size)
    if batch_size < 1 or num_batches == 0:
        raise ValueError(
            f"batches got batch_size={batch_size} for {len(part)} clips in split {split!r}; expected from 1 to that many. "
            "Use a smaller batch_size, or more music."
        )
    config, log_mel, genre = features.config, part.log_mel, part.genre_index
    # Only composed clips are loops in which any bar can be the first.
    bar = BEATS_PER_BAR * config.frames_per_beat
    num_turns = np.where(part.table["grid"] == "known", max(1, config.num_frames // bar), 1)
    num_turns = tf.constant(num_turns)
    counts_itself = epoch is None
    epoch = tf.Variable(0, dtype=tf.int64, trainable=False) if counts_itself else epoch

    def draw(_):
        """What an epoch is made of: row numbers, gains in dB, first frames. No Python runs between steps."""
        now = epoch.read_value()
        if counts_itself:
            epoch.assign_add(1)
        keys = [tf.stack([tf.cast(seed, tf.int64) * 4 + number, now]) for number in range(3)]
        rows = tf.range(len(part), dtype=tf.int64)
        if shuffle:
            rows = tf.random.experimental.stateless_shuffle(rows, keys[0])
        gain = tf.random.stateless_uniform([len(part)], keys[1], -MAX_GAIN_DB, MAX_GAIN_DB)
        share = tf.random.stateless_uniform([len(part)], keys[2])
        turn = tf.cast(share * tf.cast(tf.gather(num_turns, rows), tf.float32), tf.int64) * bar
        return tf.data.Dataset.from_tensor_slices((rows, gain, turn)).batch(batch_size, drop_remainder=drop_remainder)

    if log_mel.nbytes <= RAM_LIMIT:
        held = tf.constant(np.asarray(log_mel))

        def read(rows):
            return tf.gather(held, rows)
    else:

        def read(rows):
            return tf.numpy_function(lambda rows: np.asarray(log_mel[rows]), [rows], tf.float16)

    genres = tf.constant(genre)

    def make(rows, gain, turn):
        clips = tf.ensure_shape(tf.cast(read(rows), tf.float32), (size, *config.shape))
        if augment:
            clips = augment_clips(clips, gain, turn, config)
        span = config.ceiling_db - config.floor_db
        return (clips - config.floor_db) * (2.0 / span) - 1.0, tf.gather(genres, rows)

    size = batch_size if drop_remainder else None
    dataset = tf.data.Dataset.from_tensors(0).flat_map(draw)
    return dataset.map(make).apply(tf.data.experimental.assert_cardinality(num_batches)).prefetch(2)


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

    louder = tf.clip_by_value(clips + gain[:, None, None], config.floor_db, config.ceiling_db)
    # The floor stands for "nothing heard": more gain does not make it heard.
    louder = tf.where(clips <= config.floor_db, clips, louder)
    frames = (tf.range(config.num_frames, dtype=tf.int64)[None, :] + tf.cast(turn, tf.int64)[:, None]) % config.num_frames
    return tf.gather(louder, frames, batch_dims=1)
