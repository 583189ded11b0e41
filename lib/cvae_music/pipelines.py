"""Batches for training: from the feature cache to `tf.data`, in an order that a seed fixes."""

import itertools

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
        epoch: Function without arguments that returns the number of the epoch about to be read.
            `None` counts the passes over the dataset from 0.

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
    smallest = batch_size if drop_remainder else 1
    if batch_size < 1 or len(part) < smallest:
        raise ValueError(
            f"batches got batch_size={batch_size} for {len(part)} clips in split {split!r}; expected from 1 to that many. "
            "Use a smaller batch_size, or more music."
        )
    num_batches = len(part) // batch_size if drop_remainder else -(-len(part) // batch_size)
    log_mel, genre = part.log_mel, part.genre_index
    if log_mel.nbytes <= RAM_LIMIT:
        log_mel = np.array(log_mel)
    # Only composed clips are loops in which any bar can be the first.
    loops = (part.table["grid"] == "known").to_numpy()
    epoch = itertools.count().__next__ if epoch is None else epoch

    def generate():
        rng = np.random.default_rng((seed, int(epoch())))
        order = rng.permutation(len(part)) if shuffle else np.arange(len(part))
        for first in range(0, num_batches * batch_size, batch_size):
            rows = np.sort(order[first : first + batch_size])  # rising positions are quicker to read from disk
            clips = np.asarray(log_mel[rows], np.float32)
            if augment:
                clips = augment_clips(clips, loops[rows], features.config, rng)
            yield features.config.scale(clips), genre[rows]

    size = batch_size if drop_remainder else None
    signature = (
        tf.TensorSpec((size, *features.config.shape), tf.float32),
        tf.TensorSpec((size,), tf.int32),
    )
    dataset = tf.data.Dataset.from_generator(generate, output_signature=signature)
    return dataset.apply(tf.data.experimental.assert_cardinality(num_batches)).prefetch(2)


def augment_clips(clips, loops, config, rng):
    """Varies the gain of each clip and the first bar of each loop.

    Args:
        clips: Float32 array, shape `(batch, num_frames, n_mels)`, dB.
        loops: Boolean array, shape `(batch,)`, the clips that may be turned.
        config: `AudioConfig`.
        rng: NumPy generator.

    Returns:
        Float32 array of the same shape, dB.
    """
    gain = rng.uniform(-MAX_GAIN_DB, MAX_GAIN_DB, (len(clips), 1, 1)).astype(np.float32)
    louder = np.clip(clips + gain, config.floor_db, config.ceiling_db)
    # The floor stands for "nothing heard": more gain does not make it heard.
    louder = np.where(clips <= config.floor_db, clips, louder)
    bar = BEATS_PER_BAR * config.frames_per_beat
    turns = rng.integers(0, max(1, config.num_frames // bar), len(clips)) * loops
    for row in np.flatnonzero(turns):
        louder[row] = np.roll(louder[row], turns[row] * bar, axis=0)
    return louder
