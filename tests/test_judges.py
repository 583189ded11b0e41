"""Judges learn what a genre sounds like, whether sharp or blurred, loud or soft, and keep it on disk."""

from unittest import mock

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from cvae_lab.judges import classifiers
from cvae_lab.judges.augmentation import Degrader
from cvae_lab.judges.descriptors import clip_descriptors
from cvae_music.data.features import FeatureSet

GENRES = ("slow", "fast", "held")


def pulses(config, labels, rng):
    """Clips in dB: a pulse every beat, every half beat, or a held tone, at any pitch and level."""
    frames, bands = np.arange(config.num_frames)[:, None], np.arange(config.n_mels)
    clips = []
    for label in labels:
        period = (config.frames_per_beat, config.frames_per_beat // 2, 1)[label]
        pulse = (frames + rng.integers(0, 8)) % period < max(1, period // 3)
        tone = np.exp(-0.5 * ((bands - rng.uniform(3, config.n_mels - 3)) / 1.5) ** 2)
        clips.append(
            -55.0
            + 40.0 * pulse * tone
            + rng.uniform(-6, 6)
            + rng.normal(0, 2, config.shape)
        )
    return np.clip(clips, config.floor_db, config.ceiling_db)


@pytest.fixture(scope="module")
def features(tiny_config):
    rng = np.random.default_rng(0)
    splits = np.repeat(["train", "validation", "test"], (150, 60, 60))
    labels = np.arange(len(splits)) % len(GENRES)
    table = pd.DataFrame({"genre": np.array(GENRES)[labels], "split": splits})
    return FeatureSet(
        tiny_config,
        GENRES,
        table,
        pulses(tiny_config, labels, rng),
        pd.DataFrame(),
        None,
    )


TRAINERS = {
    "cnn": lambda features, seed=0: classifiers.train_cnn_judge(
        features, seed, num_steps=250, batch_size=32
    ),
    "descriptors": classifiers.train_descriptor_judge,
}


@pytest.fixture(scope="module")
def trained(features):
    return {name: train(features) for name, train in TRAINERS.items()}


@pytest.mark.parametrize("name", TRAINERS)
def test_judge_names_genres_of_clean_and_degraded_clips(name, trained, features):
    judge, (clips, labels) = trained[name], features.arrays("test")
    degraded = Degrader(features.config, features.arrays("train")[0], seed=7)(clips)
    quieter = clips - 5.0 / features.config.db_per_unit
    assert np.mean(judge.predict(clips) == labels) >= 0.95
    assert np.mean(judge.predict(degraded) == labels) >= 0.8
    assert np.mean(judge.predict(np.maximum(quieter, -1.0)) == labels) >= 0.9


@pytest.mark.parametrize("name", TRAINERS)
def test_probabilities_and_embedding(name, trained, features):
    judge, (clips, _) = trained[name], features.arrays("test")
    probabilities, embedding = judge.predict_proba(clips), judge.embedding(clips)
    assert (
        probabilities.shape == (60, 3)
        and embedding.shape[0] == 60
        and embedding.ndim == 2
    )
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0, atol=1e-5)
    assert np.array_equal(judge.predict(clips), probabilities.argmax(axis=1))
    one_by_one = np.concatenate([judge.embedding(clips[i : i + 1]) for i in range(3)])
    np.testing.assert_allclose(
        one_by_one, embedding[:3], atol=1e-3
    )  # no clip sees its neighbours


@pytest.mark.parametrize("name", TRAINERS)
def test_save_and_load(name, trained, features, tmp_path):
    judge, (clips, _) = trained[name], features.arrays("test")
    judge.save(tmp_path / "judge.npz")
    loaded = classifiers.load_judge(tmp_path / "judge.npz")
    assert (
        type(loaded) is type(judge)
        and loaded.genres == GENRES
        and loaded.config == features.config
    )
    np.testing.assert_allclose(
        loaded.predict_proba(clips), judge.predict_proba(clips), atol=1e-6
    )
    np.testing.assert_allclose(
        loaded.embedding(clips), judge.embedding(clips), atol=1e-5
    )


def test_same_seed_same_judge(features):
    two = two_genres(features)
    clips, labels = two.arrays("test")
    first, second = (
        classifiers.train_cnn_judge(two, 1, num_steps=3, batch_size=8) for _ in range(2)
    )
    assert first.predict_proba(clips).shape == (len(clips), 2)
    np.testing.assert_allclose(
        first.predict_proba(clips), second.predict_proba(clips), atol=1e-5
    )
    first, second = (classifiers.train_descriptor_judge(two, 1) for _ in range(2))
    assert np.array_equal(first.weights_, second.weights_)
    assert first.predict_proba(clips).shape == (len(clips), 2)
    assert np.mean(first.predict(clips) == labels) >= 0.85


def test_other_seed_other_network(tiny_config):
    weights = [
        classifiers.build_judge_network(tiny_config.shape, 3, seed).get_weights()[0]
        for seed in (1, 1, 2)
    ]
    assert np.array_equal(weights[0], weights[1]) and not np.allclose(
        weights[0], weights[2]
    )


def two_genres(features):
    """The same clips under two names, without a validation split."""
    table = features.table.assign(
        split=features.table["split"].replace("validation", "test")
    )
    table["genre"] = table["genre"].replace("held", "fast")
    return FeatureSet(
        features.config,
        ("slow", "fast"),
        table,
        features.log_mel,
        features.report,
        None,
    )


def test_a_genre_without_training_clips_is_never_named(features):
    more = FeatureSet(
        features.config,
        ("unheard", *GENRES),
        features.table,
        features.log_mel,
        features.report,
        None,
    )
    judge = classifiers.train_descriptor_judge(more)
    clips, labels = more.arrays("test")
    assert np.mean(judge.predict(clips) == labels) >= 0.95
    assert np.all(judge.predict_proba(clips)[:, 0] == 0.0)


def test_one_genre_is_refused(features):
    only = features.table.assign(genre="slow")
    with pytest.raises(ValueError, match="needs at least two"):
        classifiers.train_cnn_judge(
            FeatureSet(
                features.config, GENRES, only, features.log_mel, features.report, None
            )
        )


def test_clips_of_another_shape_are_refused(trained):
    for judge in trained.values():
        with pytest.raises(ValueError, match="AudioConfig of the judge"):
            judge.predict(np.zeros((2, 5, 5)))


def test_degraded_copies_leave_the_originals_alone(features):
    clips, _ = features.arrays("train")
    before = clips.copy()
    degrade = Degrader(features.config, clips, seed=3)
    copies = degrade(clips)
    assert np.array_equal(clips, before)
    assert copies.shape == clips.shape and copies.dtype == np.float32
    assert copies.min() >= -1.0 and copies.max() <= 1.0
    assert np.abs(copies - clips).mean() > 0.01
    assert np.array_equal(copies, Degrader(features.config, clips, seed=3)(clips))
    for count in range(4):  # of so few clips often none is drawn for a kind of blur
        assert degrade(clips[:count]).shape == clips[:count].shape


def test_no_draw_of_a_step_is_that_of_the_next(features):
    """The noise of one step was the gain of another: keys were sums of step and draw."""
    config = features.config
    degrader = Degrader(config, features.arrays("train")[0])
    flat = tf.zeros((90, *config.shape))
    for key in ([7, 3], [7, 4]):
        assert not np.allclose(
            degrader.degrade(flat, key), degrader.degrade(flat, [8, 3])
        )
    seen = []

    def uniform(shape, seed, *limits, **settings):
        seen.append(tuple(np.asarray(seed)))
        return draw(shape, seed, *limits, **settings)

    draw = tf.random.stateless_uniform
    with mock.patch.object(tf.random, "stateless_uniform", uniform):
        for step in range(9):
            degrader.degrade(flat, [7, step])
    assert len(set(seen)) == len(seen) == 9 * 7


def test_embedding_is_as_wide_as_its_docstring_says(tiny_config):
    judge = classifiers.CNNJudge(tiny_config, GENRES)
    width = judge.embedding(np.zeros((1, *tiny_config.shape))).shape[1]
    assert width == 192 and "192" in judge.embedding.__doc__


def test_all_components_rebuild_the_clips_they_came_from(features):
    clips = features.arrays("train")[0][:40]
    degrade = Degrader(features.config, clips)
    flat = clips.reshape(40, -1)
    weights = (flat - degrade.mean) @ degrade.components.T
    np.testing.assert_allclose(
        weights @ degrade.components + degrade.mean, flat, atol=1e-3
    )


def test_descriptors_do_not_hear_loudness(features):
    config, log_mel = features.config, np.maximum(features.log_mel[:20], -50.0)
    described, louder = (
        clip_descriptors(log_mel, config),
        clip_descriptors(log_mel + 9.0, config),
    )
    assert described.shape == (20, louder.shape[1]) and np.all(np.isfinite(described))
    np.testing.assert_allclose(described, louder, atol=1e-3)


@pytest.mark.parametrize("level", [-70.0, 0.0])
def test_descriptors_of_silence_and_of_full_scale_are_finite(tiny_config, level):
    assert np.all(
        np.isfinite(
            clip_descriptors(np.full((2, *tiny_config.shape), level), tiny_config)
        )
    )


def test_descriptors_check_the_shape(tiny_config):
    with pytest.raises(ValueError, match="same AudioConfig"):
        clip_descriptors(np.zeros((2, 3, 4)), tiny_config)
