"""The forecast of collapse, the original's features, and the recipe with its exchangeable parts."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
from sklearn.decomposition import PCA

from cvae_lab.baselines.original_vae import (
    LinearAblation,
    OriginalRamp,
    OriginalVAE,
    RepairedVAE,
    fit_original_vae,
)
from cvae_lab.studies import linear_vae
from cvae_lab.studies.collapse import fit_level_judge, measure_collapse
from cvae_lab.studies.linear_vae import levels_db
from cvae_music.config import AudioConfig

SHAPE = (32, 6)


def make(kind=RepairedVAE, **changes):
    keras.utils.set_random_seed(0)
    config = AudioConfig(num_frames=SHAPE[0], n_mels=SHAPE[1])
    return kind(
        config, **{"genres": ("a", "b"), "global_dim": 4, "width": 8, **changes}
    )


@pytest.fixture(scope="module")
def clips():
    rng = np.random.default_rng(0)
    genre = np.arange(64, dtype=np.int32) % 2
    strength = (
        rng.standard_normal((64, 1, 1)) + np.where(genre, 2.0, -2.0)[:, None, None]
    )
    return (strength * rng.standard_normal(SHAPE) * 0.3).astype(np.float32), genre


def test_spectrum_is_that_of_pca():
    few, many = (
        np.random.default_rng(0).standard_normal(size) * np.arange(1, 7)
        for size in ((5, 6), (50, 6))
    )
    for points in (few, many):
        expected = (
            PCA().fit(points).explained_variance_ * (len(points) - 1) / len(points)
        )
        np.testing.assert_allclose(
            linear_vae.pca_spectrum(points),
            expected[: min(len(points) - 1, 6)],
            rtol=1e-4,
        )


def test_forecast_by_hand():
    eigenvalues = [10.0, 4.0, 1.0, 0.1]
    assert linear_vae.forecast_active_units(eigenvalues, 1.0, 8) == 3
    assert list(linear_vae.forecast_active_units(eigenvalues, [0.1, 4.0, 30.0], 2)) == [
        2,
        2,
        0,
    ]
    # 1 - (beta / 2) / eigenvalue must exceed 0.01, the bar of an active unit
    assert linear_vae.forecast_active_units([1.0], 2 * 0.995, 1) == 0


@pytest.mark.parametrize("beta", [0.5, 6.0, 30.0])
def test_linear_vae_meets_the_theory(beta):
    eigenvalues = np.array([10.0, 4.0, 1.0, 0.1])
    variance = linear_vae.fit_linear_vae(eigenvalues, beta, 4)
    expected = np.clip(1.0 - beta / 2.0 / eigenvalues, 0.0, None)
    np.testing.assert_allclose(variance, expected, atol=0.02)
    assert np.sum(variance > 0.01) == linear_vae.forecast_active_units(
        eigenvalues, beta, 4
    )


def test_complex_stft_of_a_sine():
    seconds = np.arange(44100) / 22050
    bins = linear_vae.complex_stft(
        np.sin(2 * np.pi * 1000 * seconds).astype(np.float32), start=77
    )
    assert bins.shape == (128, 256)
    power = (bins[:, :128] ** 2 + bins[:, 128:] ** 2).mean(axis=0)
    assert abs(power.argmax() * 11025 / 256 - 1000) < 11025 / 256
    assert np.abs(bins[:, power.argmax()].mean()) < 0.05 * np.sqrt(power.max()), (
        "the phase turns"
    )


def test_stft_comes_back_as_sound():
    seconds = np.arange(44100) / 22050
    samples = (0.5 * np.sin(2 * np.pi * 500 * seconds)).astype(np.float32)
    sound = linear_vae.stft_to_audio(linear_vae.complex_stft(samples) / 3.0, (3.0, 3.0))
    middle = slice(2000, 30000)
    np.testing.assert_allclose(sound[middle], samples[middle], atol=0.01)


def test_original_ramp():
    ramp = OriginalRamp(num_steps=300)
    weights = [float(ramp.next_weight(step, 0.0, 0.0)) for step in (0, 110, 299)]
    np.testing.assert_allclose(weights, [0.1 * np.exp(-2.75), 0.1, 2.0], rtol=1e-5)


@pytest.mark.parametrize(
    "changes",
    [{}, {"likelihood": "optimal"}, {"every_stage": True}, {"genres": ()}],
    ids=str,
)
def test_recipe_encodes_and_decodes(clips, changes):
    model = make(**changes)
    mean, log_var = model.encode(*clips)
    assert mean.shape == log_var.shape == (64, 4)
    assert model.decode(mean, clips[1]).shape == clips[0].shape
    swapped = model.decode(mean, 1 - clips[1])
    assert np.allclose(swapped, model.decode(mean, clips[1])) == (
        changes == {"genres": ()}
    )


@pytest.mark.parametrize("likelihood", ["squares", "optimal"])
def test_training_lowers_the_error(clips, likelihood):
    model = make(kl=0.01, dropout=0.0, likelihood=likelihood)
    history = fit_original_vae(model, *clips, num_steps=60, learning_rate=5e-3).history
    assert history["squares"][-1] < 0.7 * history["squares"][0]


def test_the_repaired_recipe_without_repairs_is_the_recipe(clips):
    models = [
        make(kind, kl=OriginalRamp(num_steps=3)) for kind in (OriginalVAE, RepairedVAE)
    ]
    losses = [
        fit_original_vae(model, *clips, num_steps=3).history["loss"] for model in models
    ]
    assert losses[0] == losses[1] and models[0].kl_weight.numpy() == pytest.approx(
        0.1 * np.exp(0.25 * 9)
    )


@pytest.mark.parametrize(
    "linear", [(), ("encoder",), ("decoder",), ("encoder", "decoder")], ids=str
)
def test_linear_halves_are_linear(clips, linear):
    model = make(LinearAblation, genres=(), dropout=0.0, linear=linear)
    x, latent = clips[0], np.random.default_rng(0).standard_normal((2, 4))
    linear_encoder = np.allclose(model.encode(x)[0], -model.encode(-x)[0], atol=1e-5)
    linear_decoder = np.allclose(
        model.decode(latent), -model.decode(-latent), atol=1e-5
    )
    assert (linear_encoder, linear_decoder) == (
        "encoder" in linear,
        "decoder" in linear,
    )


def test_loss_by_hand(clips):
    x, genre = clips
    model = make(OriginalVAE, kl=3.0, dropout=0.0)
    terms, _ = model.compute_losses(
        keras.ops.convert_to_tensor(x), keras.ops.convert_to_tensor(genre)
    )
    mean, log_var = model.encode(x, genre)
    kl = 0.5 * np.sum(mean**2 + np.exp(log_var) - 1.0 - log_var, axis=1).mean()
    assert float(terms["kl"]) == pytest.approx(kl, rel=1e-4)
    assert float(terms["loss"]) == pytest.approx(
        float(terms["squares"]) + 3.0 * kl, rel=1e-4
    )


def test_mean_norm_keeps_the_means_apart(clips):
    model = make(mean_norm=0.5, kl=50.0)
    fit_original_vae(model, *clips, num_steps=20)
    mean, _ = model.encode_posterior(
        model.with_label(*map(keras.ops.convert_to_tensor, clips)), training=True
    )
    np.testing.assert_allclose(np.std(mean, axis=0), 0.5, rtol=0.05)


def test_encoder_trains_alone_at_first(clips):
    model = make(encoder_turns=3, encoder_steps=10, dropout=0.0)
    before = (
        [value.copy() for value in model.get_weights()],
        [np.array(v) for v in model.decoder.trainable_variables],
    )
    fit_original_vae(model, *clips, num_steps=3)
    after = model.decoder.trainable_variables
    assert all(
        np.array_equal(old, new) for old, new in zip(before[1], after, strict=True)
    )
    assert any(
        not np.array_equal(old, new)
        for old, new in zip(before[0], model.get_weights(), strict=True)
    )
    model.encoder_steps = 0
    fit_original_vae(model, *clips, num_steps=1)
    assert any(
        not np.array_equal(old, new) for old, new in zip(before[1], after, strict=True)
    )


def test_unknown_likelihood():
    with pytest.raises(ValueError, match="squares"):
        make(likelihood="laplace")


def test_levels_and_their_judge():
    x = np.zeros((1, 2, 4))
    x[..., 0], x[..., 2] = 0.03, 0.04  # one cell of magnitude 0.05
    levels = levels_db(x, "stft", AudioConfig())
    np.testing.assert_allclose(
        levels[0, 0], [10 * np.log10(256 * 0.0025), -50.0], rtol=1e-6
    )
    rng = np.random.default_rng(0)
    genre = np.arange(80) % 2
    bands = (
        rng.standard_normal((80, 8, 4))
        + 3.0 * np.stack([genre, 1 - genre, genre, genre], 1)[:, None, :]
    )
    judge = fit_level_judge(bands[:60], genre[:60])
    assert np.mean(judge.predict(bands[60:]) == genre[60:]) == 1.0


def test_two_genres_are_enough_to_be_measured():
    rng, genre = np.random.default_rng(0), np.arange(40, dtype=np.int32) % 2
    x = (
        rng.standard_normal((40, 32, 256)) * np.where(genre, 0.3, 0.05)[:, None, None]
    ).astype(np.float32)
    keras.utils.set_random_seed(0)
    model = OriginalVAE(
        AudioConfig(num_frames=32, n_mels=256), genres=("a", "b"), global_dim=4, width=8
    )
    features = SimpleNamespace(num_genres=2, config=AudioConfig())
    row = measure_collapse(
        model,
        "stft",
        {"train": (x, genre), "test": (x, genre)},
        features,
        {},
    )
    assert row["real"] == 1.0
    for kind in ("swap", "fresh", "class_conditional"):
        assert 0.0 <= row[kind] <= 1.0
