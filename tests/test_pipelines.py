"""Batches: shapes, order, augmentation."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from cvae_music.data import batches as pipelines
from cvae_music.data.batches import augment_clips, make_dataset
from cvae_music.data.features import build_features
from cvae_music.data.sources import known_factor_collection


@pytest.fixture(scope="module")
def features(tmp_path_factory, tiny_config):
    return build_features(
        known_factor_collection(60),
        tiny_config,
        tmp_path_factory.mktemp("cache"),
        num_workers=1,
        progress=False,
    )


def read(dataset):
    pairs = [(x.numpy(), genre.numpy()) for x, genre in dataset]
    return np.concatenate([x for x, _ in pairs]), np.concatenate(
        [genre for _, genre in pairs]
    )


def test_training_batches_have_one_shape(features, tiny_config):
    dataset = make_dataset(features, "train", 16)
    assert dataset.element_spec[0].shape == (16, *tiny_config.shape)
    assert int(dataset.cardinality()) == 3
    shapes = {
        (x.shape, genre.shape, x.dtype.name, genre.dtype.name) for x, genre in dataset
    }
    assert shapes == {((16, *tiny_config.shape), (16,), "float32", "int32")}


def test_evaluation_batches_hold_every_clip_in_order(features):
    dataset = make_dataset(features, "test", 4)
    assert int(dataset.cardinality()) == 2
    x, genre = read(dataset)
    expected_x, expected_genre = features.arrays("test")
    np.testing.assert_array_equal(x, expected_x)
    np.testing.assert_array_equal(genre, expected_genre)


def test_keras_evaluates_a_split_that_fills_no_last_batch(features):
    model = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(6)])
    model.compile(
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        weighted_metrics=["accuracy"],
    )
    x, genre = features.arrays("test")
    whole = model.evaluate(x, genre, batch_size=len(x), verbose=0)
    for batch_size in (1, 4, 5, 32):
        np.testing.assert_allclose(
            model.evaluate(make_dataset(features, "test", batch_size), verbose=0),
            whole,
            rtol=1e-5,
        )


def test_shuffled_clips_keep_their_genre(features):
    x, genre = read(make_dataset(features, "train", 16, seed=1))
    all_x, all_genre = features.arrays("train")
    for clip, label in zip(x, genre, strict=True):
        (row,) = np.flatnonzero((all_x == clip).all(axis=(1, 2)))
        assert all_genre[row] == label


def test_order_depends_on_seed_and_epoch_only(features):
    dataset = make_dataset(features, "train", 16, seed=1, augment=True)
    first, second = read(dataset)[0], read(dataset)[0]
    assert not np.array_equal(first, second)
    again = make_dataset(features, "train", 16, seed=1, augment=True)
    np.testing.assert_array_equal(read(again)[0], first)
    resumed = make_dataset(
        features,
        "train",
        16,
        seed=1,
        augment=True,
        epoch=tf.Variable(1, dtype=tf.int64),
    )
    np.testing.assert_array_equal(read(resumed)[0], second)
    assert not np.array_equal(
        read(make_dataset(features, "train", 16, seed=2, augment=True))[0], first
    )


def test_reading_from_disk_gives_the_same(features, monkeypatch):
    expected = read(make_dataset(features, "train", 16))[0]
    monkeypatch.setattr(pipelines, "RAM_LIMIT", 0)
    np.testing.assert_array_equal(
        read(make_dataset(features, "train", 16))[0], expected
    )


def test_too_large_a_batch_is_a_clear_error(features):
    with pytest.raises(ValueError, match="got batch_size=64 for 48 clips"):
        make_dataset(features, "train", 64)
    with pytest.raises(ValueError, match="Got batch_size=0"):
        make_dataset(features, "test", 0)


def test_augmentation_by_hand(tiny_config):
    clips = np.full((3, *tiny_config.shape), -30.0, np.float32)
    clips[:, :, 0] = tiny_config.floor_db
    clips[:, :, 1] = -1.0
    louder = np.asarray(
        augment_clips(clips, np.float32([3, -2, 0]), [0, 0, 0], tiny_config)
    )
    np.testing.assert_allclose(louder[:, 0, 2], [-27, -32, -30])
    np.testing.assert_array_equal(louder[:, :, 0], tiny_config.floor_db)
    np.testing.assert_allclose(louder[:, 0, 1], [tiny_config.ceiling_db, -3, -1])


def test_a_turned_loop_begins_at_the_frame_asked_for(tiny_config):
    clips = (
        np.random.default_rng(0)
        .uniform(-60, -20, (2, *tiny_config.shape))
        .astype(np.float32)
    )
    turned = np.asarray(
        augment_clips(clips, np.zeros(2, np.float32), [5, 0], tiny_config)
    )
    np.testing.assert_array_equal(
        turned, np.stack([np.roll(clips[0], -5, axis=0), clips[1]])
    )


def test_only_composed_clips_are_turned(features, tiny_config):
    import dataclasses

    real = dataclasses.replace(features, table=features.table.assign(grid="tracked"))
    x, _ = read(make_dataset(real, "train", 16, augment=True))
    plain, _ = read(make_dataset(real, "train", 16))
    change = x - plain
    inside = (plain > -0.9) & (plain < 0.8)
    for clip in range(len(x)):
        assert (
            np.ptp(change[clip][inside[clip]]) < 1e-3
        )  # one gain for the whole clip, no shift in time
