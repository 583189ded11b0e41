"""ConditionalVAEGAN: discriminator, the duel, two optimisers, and files."""

import dataclasses

import keras
import numpy as np
import pandas as pd
import pytest
from keras import ops

import cvae_music as cm
from cvae_lab.measures.audio_obedience import obedience_in_sound, swap_labels
from cvae_music.models.losses import DiagonalGaussian
from cvae_music.training import fit_posthoc_layers

GENRES = ("dub", "jazz", "house")


@pytest.fixture(scope="module")
def features(tiny_config):
    """Noise at a level of each genre's own; a clip may lie above or below."""
    rng, genre = np.random.default_rng(0), np.arange(60) % 3
    levels = np.array([-50.0, -30.0, -15.0])[genre] + rng.normal(0.0, 3.0, 60)
    clips = (
        levels[:, None, None] + rng.normal(0.0, 4.0, (60, *tiny_config.shape))
    ).clip(-70.0, 0.0)
    split = ["train"] * 36 + ["validation"] * 9 + ["test"] * 15
    table = pd.DataFrame(
        {"genre": np.array(GENRES)[genre], "split": split, "grid": "known"}
    )
    return cm.FeatureSet(
        tiny_config, GENRES, table, clips.astype(np.float16), table[:0], None
    )


@pytest.fixture(scope="module")
def first(features):
    keras.utils.set_random_seed(0)
    model = cm.ConditionalVAE(
        features.config, features.genres, width=48, depth=1, global_dim=8, local_dim=2
    )
    fit_posthoc_layers(model, features)
    return model


@pytest.fixture(scope="module")
def gan(first, features):
    return cm.ConditionalVAEGAN.from_cvae(first, features)


def test_draws_in_the_graph_are_those_of_the_density(gan):
    rows = np.repeat(np.eye(gan.num_genres, dtype=np.float32)[:2], 2000, axis=0)
    drawn = ops.convert_to_numpy(gan.latent_density(rows, seed=gan.seed_generator))
    for genre, part in enumerate((drawn[:2000], drawn[2000:])):
        wanted = gan.sample_latents(np.full(2000, genre))
        spread = wanted.std(axis=0)
        assert (
            np.abs(part.mean(axis=0) - wanted.mean(axis=0)).max() < 0.15 * spread.max()
        )
        assert part.std(axis=0) == pytest.approx(spread, rel=0.15)


def test_the_discriminator_is_told_label_and_beat(gan, features):
    clips, genre = features.arrays("test")
    weights = np.eye(gan.num_genres, dtype=np.float32)
    verdict, *seen = gan.discriminator([clips[:2], weights[genre[:2]]])
    assert verdict.shape == (2, 4, 2) and len(seen) == 4
    other, *_ = gan.discriminator(
        [clips[:2], weights[(genre[:2] + 1) % gan.num_genres]]
    )
    assert np.abs(np.asarray(verdict - other)).max() > 1e-4
    flat = np.zeros((1, *features.config.shape), np.float32)
    patches = np.asarray(gan.discriminator([flat, weights[:1]])[0])[0]
    assert np.ptp(patches[1:3, 1]) > 1e-5  # a clip without a beat of its own


def test_duel_of_a_judge_that_knows_all():
    def discriminator(shown):
        clips, _ = shown
        return ops.mean(clips, axis=(1, 2), keepdims=True), clips

    real, made = np.ones((4, 2, 2), np.float32), -np.ones((8, 2, 2), np.float32)
    labels = np.zeros((8, 2), np.float32)
    found = {
        name: float(value)
        for name, value in cm.adversarial_losses(
            discriminator, (real, labels[:4]), (made, labels)
        ).items()
    }
    assert found == {
        "discriminator_loss": 0.0,
        "generator_loss": 1.0,
        "feature_matching": 2.0,
    }
    wrong = np.concatenate(
        [made[:6], real[:2]]
    )  # real clips with a wrong label count against the discriminator alone
    found = cm.adversarial_losses(discriminator, (real, labels[:4]), (wrong, labels))
    assert float(found["discriminator_loss"]) == 0.5
    assert float(found["generator_loss"]) == 1.0


@pytest.fixture(scope="module")
def trained(first, features):
    keras.utils.set_random_seed(0)
    model = cm.ConditionalVAEGAN.from_cvae(first, features)
    before = {
        part: getattr(model, part).get_weights()
        for part in ("encoder", "decoder", "discriminator")
    }
    history = cm.train(model, features, 4, batch_size=8, verbose=0)
    return model, before, history.history


def test_a_step_moves_both_sides_and_not_the_encoder(trained):
    model, before, history = trained
    moved = {
        part: any(
            np.any(new != old)
            for new, old in zip(getattr(model, part).get_weights(), values, strict=True)
        )
        for part, values in before.items()
    }
    assert moved == {
        "encoder": False,
        "decoder": True,
        "discriminator": True,
    }
    assert {
        "discriminator_loss",
        "generator_loss",
        "feature_matching",
    } <= history.keys()
    assert np.isfinite([values[-1] for values in history.values()]).all()
    assert not set(map(id, model.trainable_variables)) & set(
        map(id, model.discriminator.weights)
    )


def test_files_hold_both_sides_and_both_optimisers(trained, features, tmp_path):
    model, clips = trained[0], features.arrays("test")[0][:2]
    latents = model.encode(clips)[0]
    model.save(tmp_path / "whole.keras")
    cm.save_compact(model, tmp_path / "compact.npz")
    for name, tolerance in (("whole.keras", 1e-6), ("compact.npz", 5e-3)):
        loaded = cm.load_model(tmp_path / name)
        assert isinstance(loaded, cm.ConditionalVAEGAN)
        assert loaded.decode(latents, [0, 1]) == pytest.approx(
            model.decode(latents, [0, 1]), abs=tolerance
        )
    again = keras.saving.load_model(tmp_path / "whole.keras", compile=False)
    pairs = zip(
        again.discriminator_optimizer.variables,
        model.discriminator_optimizer.variables,
        strict=True,
    )
    assert all(np.array_equal(there, here) for there, here in pairs)
    assert int(again.discriminator_optimizer.iterations) > 0


def test_the_second_phase_begins_where_the_first_ended_with_more_detail(
    first, gan, features
):
    clips, genre = features.arrays("train")
    latents = first.encode(clips)[0]
    assert np.array_equal(gan.encode(clips)[0], latents)
    gain = np.array(gan.unsharp_mask.gain)
    before, after = (
        ops.convert_to_numpy(cm.mel_highpass(model.decode(latents, genre)))
        for model in (first, gan)
    )
    assert (gain >= 0).all() and gain.max() > 0.1
    assert after == pytest.approx(
        before + ops.convert_to_numpy(cm.mel_highpass(before * gain)), abs=1e-4
    )


def test_detail_varies_as_much_as_in_the_clips(features):
    clips = features.arrays("train")[0]
    blurred = clips @ cm.moving_average_matrix(clips.shape[-1], 3).T
    layer = cm.UnsharpMask(clips.shape[-1])
    assert np.array_equal(np.asarray(layer(blurred)), blurred)  # not fitted yet

    class Blurring:
        def encode(self, clips):
            return DiagonalGaussian(clips, None)

        def decode(self, latents, genre):
            return ops.convert_to_numpy(
                layer(latents @ cm.moving_average_matrix(clips.shape[-1], 3).T)
            )

    for _ in range(
        2
    ):  # again after a second phase: what it enlarged before does not count
        layer.fit(Blurring(), features)
    spread = [
        np.std(ops.convert_to_numpy(cm.mel_highpass(part)))
        for part in (clips, blurred, layer(blurred))
    ]
    assert spread[1] < 0.8 * spread[0] and spread[2] == pytest.approx(
        spread[0], rel=0.1
    )


def test_features_of_other_genres_are_refused(first, features):
    turned = type(first)(
        features.config,
        features.genres[::-1],
        width=48,
        depth=1,
        global_dim=8,
        local_dim=2,
    )
    with pytest.raises(ValueError, match="expected the same"):
        cm.ConditionalVAEGAN.from_cvae(turned, features)


def test_swapped_labels_are_others_and_equally_often():
    labels = np.repeat(np.arange(4), 30)
    asked = swap_labels(labels, 4)
    assert not np.any(asked == labels)
    assert set(np.bincount((asked - labels) % 4, minlength=4)[1:]) == {40}


def test_obedience_in_sound_hears_who_obeys(features):
    """A model that plays a level for each label obeys; one that plays what it is given does not."""

    class Levels:
        num_genres = len(features.genres)

        def __init__(self, obeys):
            self.obeys = obeys

        def encode(self, clips):
            return DiagonalGaussian(clips, None)

        def sample_latents(self, genre, seed=0):
            return (
                np.zeros((len(genre), *features.config.shape), np.float32)
                + 0.1 * np.asarray(genre)[:, None, None]
            )

        def decode(self, latents, genre):
            return (
                latents
                if not self.obeys
                else np.zeros_like(latents) + 0.1 * np.asarray(genre)[:, None, None]
            )

    def describe(levels, config):
        return config.scale(levels).mean(axis=(1, 2))[:, None] * np.ones((1, 2))

    clips = features.config.unscale(
        np.zeros_like(features.arrays()[0]) + 0.1 * features.genre_index[:, None, None]
    )
    loud = dataclasses.replace(features, log_mel=clips.astype(np.float16))
    models = {"hears": Levels(True), "deaf": Levels(False)}
    found = obedience_in_sound(
        models, loud, num_per_genre=2, num_training=8, describe=describe
    )
    assert (
        found["real"]
        == found["hears_swap"]
        == found["hears_fresh"]
        == found["deaf_rebuilt"]
        == 1.0
    )
    assert found["hears_class_conditional"] == found["deaf_class_conditional"] == 1.0
    assert found["deaf_swap"] == 0.0
    assert found["deaf_fresh"] < 0.5  # chance but for how two clips a genre fall
