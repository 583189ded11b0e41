"""The three models: what they return, how they are saved, how training resumes and how it stops."""

import dataclasses
import shutil
import subprocess
import sys
import types

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from cvae_music.acceleration import FusedAdam
from cvae_music.data.batches import make_dataset
from cvae_music.data.features import FeatureSet
from cvae_music.models.autoencoders import VAE, Autoencoder
from cvae_music.models.conditional import ConditionalVAE
from cvae_music.models.latent_density import LatentDensity
from cvae_music.models.losses import DiagonalGaussian
from cvae_music.models.schedules import Linear
from cvae_music.saving import load_compact, load_model, presets, save_compact
from cvae_music.training import train

SIZE = {"global_dim": 3, "local_dim": 2, "width": 40, "depth": 1}
GENRES = ("loud", "soft")


@pytest.fixture(scope="module")
def features(tiny_config):
    """Forty clips of two genres: bands of a random pitch, loud or soft."""
    rng = np.random.default_rng(0)
    pitch, genre = rng.integers(2, 14, 40), np.arange(40) % 2
    clips = np.full((40, *tiny_config.shape), -60.0, np.float16)
    clips[np.arange(40), :, pitch] = np.where(genre, -40.0, -10.0)[:, None]
    table = pd.DataFrame(
        {
            "genre": np.array(GENRES)[genre],
            "split": ["train"] * 32 + ["validation"] * 8,
            "grid": "known",
        }
    )
    return FeatureSet(tiny_config, GENRES, table, clips, table[:0], None)


@pytest.fixture
def eager():
    """Functions run as Python: tracing takes longer than the few steps of a test. Shapes and names are tested traced."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


def make(cls, config, **changes):
    keras.utils.set_random_seed(0)
    extra = {"genres": GENRES} if cls is ConditionalVAE else {}
    return cls(audio_config=config, **{**SIZE, **extra, **changes})


def batch(features, size=8):
    clips, genre = features.arrays("train")
    return clips[:size], genre[:size]


@pytest.mark.parametrize("name", list(presets()))
def test_presets_load_and_obey(name):
    model = Autoencoder.from_preset(name)
    genre = np.arange(model.num_genres or 1)
    mean, _ = model.encode(
        np.zeros((len(genre), *model.audio_config.shape), np.float32)
    )
    assert model.decode(mean, genre).shape == (len(genre), *model.audio_config.shape)
    assert (
        type(model).from_config(model.get_config()).get_config() == model.get_config()
    )


def test_a_class_written_in_a_notebook_is_saved_and_loaded(features, tmp_path):
    """A subclass registers itself; what it adds to the config is its own affair."""

    class Louder(VAE):
        def __init__(self, audio_config=None, gain=0.0, **kwargs):
            super().__init__(audio_config, **kwargs)
            self.gain = gain

        def get_config(self):
            return {**super().get_config(), "gain": self.gain}

    model = make(Louder, features.config, gain=3.0, kl=Linear(2.0, 10))
    model.save(tmp_path / "louder.keras")
    save_compact(model, tmp_path / "louder.npz")
    for name in ("louder.keras", "louder.npz"):
        again = load_model(tmp_path / name)
        assert (
            type(again) is Louder and again.gain == 3.0 and again.kl == Linear(2.0, 10)
        )


def test_keras_own_evaluate_takes_a_last_smaller_batch(features, eager):
    model = make(ConditionalVAE, features.config)
    model.compile("adam")
    found = model.evaluate(
        make_dataset(features, "validation", 3), return_dict=True, verbose=0
    )
    assert np.isfinite(found["loss"]) and found["kl"] > 0.0


@pytest.mark.parametrize("cls", [Autoencoder, VAE, ConditionalVAE])
def test_shapes_and_names(cls, features):
    model = make(cls, features.config)
    clips, genre = batch(features)
    mean, log_var = model.encode(clips)
    assert (
        mean.shape == log_var.shape == (8, model.latent_dim)
        and model.latent_dim == 3 + 2 * 2
    )
    assert model.decode(mean, genre).shape == clips.shape
    history = train(model, features, num_steps=4, batch_size=8, verbose=0).history
    names = type(model).metric_names
    assert set(history) == {*names, *(f"val_{name}" for name in names)}


def test_the_loss_is_the_sum_of_its_terms(features):
    model = make(ConditionalVAE, features.config, kl=3.0)
    losses, rebuilt = model.compute_losses(*batch(features), training=True)
    terms = {name: float(value) for name, value in losses.items()}
    minimised = float(model.reconstruction_losses(batch(features)[0], rebuilt)["loss"])
    expected = minimised + 3.0 * terms["kl"]
    assert (
        terms["loss"] == pytest.approx(expected, rel=1e-5) and terms["kl_weight"] == 3.0
    )


def test_the_epoch_reports_means_not_the_last_batch(features, eager):
    model = make(Autoencoder, features.config)
    train(model, features, num_steps=4, batch_size=8, verbose=0)
    clips, genre = features.arrays("train")
    whole = model.evaluate(clips, genre, batch_size=8, verbose=0, return_dict=True)[
        "loss"
    ]
    parts = [
        float(model.compute_losses(clips[i : i + 8], genre[i : i + 8])[0]["loss"])
        for i in range(0, 32, 8)
    ]
    assert whole == pytest.approx(np.mean(parts), rel=1e-5) and np.std(parts) > 1e-3


def test_a_shift_moves_latents_from_genre_to_genre(features, eager):
    """Made latents: one Gaussian for each genre. Their own label leaves them, another one moves them by the means' distance."""
    model, rng = make(ConditionalVAE, features.config), np.random.default_rng(0)
    genre, size = features.arrays("train")[1], model.latent_dim
    means = np.zeros((2, size))
    means[0, 0], means[1, 1] = 3.0, 3.0
    latents = (means[genre] + 0.3 * rng.standard_normal((len(genre), size))).astype(
        "float32"
    )
    own, asked = (
        np.eye(2)[genre].astype("float32"),
        np.eye(2)[1 - genre].astype("float32"),
    )
    assert np.asarray(model.mean_shift(latents, asked)) == pytest.approx(
        latents
    )  # not fitted yet
    model.mean_shift.fit(
        types.SimpleNamespace(encode=lambda clips: DiagonalGaussian(latents, None)),
        features,
    )
    found = np.stack([latents[genre == k].mean(axis=0) for k in range(2)])
    assert np.asarray(model.mean_shift.means) == pytest.approx(found, abs=1e-5)
    assert np.asarray(model.mean_shift(latents, own)) == pytest.approx(
        latents, abs=1e-2
    )
    moved = latents + found[1 - genre] - found[genre]
    assert np.asarray(model.mean_shift(latents, asked)) == pytest.approx(
        moved, abs=1e-2
    )
    between = model.mean_shift(
        latents, 0.5 * (own + asked)
    )  # half of one label, half of the other: half the way
    assert np.asarray(between) == pytest.approx(0.5 * (latents + moved), abs=1e-2)


def test_training_ends_with_a_shift_that_decoding_makes(features, eager):
    model = make(ConditionalVAE, features.config)
    clips, genre = features.arrays("train")
    train(model, features, num_steps=2, batch_size=16, verbose=0)
    latents, asked = model.encode(clips)[0], np.eye(2, dtype="float32")[1 - genre]
    means = np.stack([latents[genre == k].mean(axis=0) for k in range(2)])
    assert np.asarray(model.mean_shift.means) == pytest.approx(means, abs=1e-4)
    expected = np.asarray(
        model.decoder([model.mean_shift(latents, asked), tf.constant(asked)])
    )
    assert model.decode(latents, 1 - genre) == pytest.approx(expected, abs=1e-5)
    assert np.abs(expected - np.asarray(model.decoder([latents, asked]))).max() > 1e-3


def test_a_clip_with_its_own_genre_is_not_shifted(features, eager):
    model = make(ConditionalVAE, features.config)
    model.compile()
    clips, genre = features.arrays("train")
    before = model.predict((clips, genre), verbose=0)
    error = model.evaluate(clips, genre, verbose=0, return_dict=True)["rms_db"]
    decoded = model.decode(model.encode(clips).mode(), genre)
    model.mean_shift.means.assign(np.full(model.mean_shift.means.shape, 3.0))
    slopes = np.zeros(model.mean_shift.lda_weights.shape)
    slopes[-1, 0] = 50.0  # it takes every latent for one of the first genre
    model.mean_shift.lda_weights.assign(slopes)
    model.mean_shift.means.assign(np.eye(2, model.latent_dim))
    assert np.array_equal(model.predict((clips, genre), verbose=0), before)
    again = model.evaluate(clips, genre, verbose=0, return_dict=True)["rms_db"]
    assert again == error
    again = model.decode(model.encode(clips).mode(), genre)
    assert again[genre == 0] == pytest.approx(decoded[genre == 0], abs=1e-5)
    assert np.abs(again[genre == 1] - decoded[genre == 1]).max() > 1e-3


def test_guidance_moves_weights_away_from_the_mean_genre(features):
    model = make(ConditionalVAE, features.config, guidance=0.5)
    assert model.guide(np.eye(2)[:1]).tolist() == [[1.25, -0.25]]
    assert model.guide(np.full((1, 2), 0.5), 3).tolist() == [[0.5, 0.5]]
    latents = model.sample_latents([0, 1])
    exaggerated = np.array([[1.25, -0.25], [-0.25, 1.25]], "float32")
    expected = np.asarray(model.decoder([latents, exaggerated]))
    assert model.decode(latents, [0, 1]) == pytest.approx(expected, abs=1e-5)
    plain = model.decode(latents, [0, 1], guidance=0)
    assert plain == pytest.approx(
        np.asarray(model.decoder([latents, np.eye(2)])), abs=1e-5
    )
    assert ConditionalVAE.from_config(model.get_config()).guidance == 0.5
    for wrong in (-1, float("nan"), "much"):
        with pytest.raises(ValueError, match="guidance"):
            model.decode(latents, [0, 1], guidance=wrong)


@pytest.mark.parametrize("is_fitted", [True, False])
def test_the_mean_shift_is_fitted_unless_it_is_left_out(features, eager, is_fitted):
    model = make(ConditionalVAE, features.config, fit_mean_shift=is_fitted)
    train(model, features, num_steps=2, batch_size=16, verbose=0)
    assert np.asarray(model.mean_shift.means).any() == is_fitted


def test_the_label_reaches_every_block(features):
    model = make(ConditionalVAE, features.config)
    modulated = [
        layer.name for layer in model.decoder.layers if layer.name.endswith("_film")
    ]
    normalised = [
        layer.name for layer in model.decoder.layers if layer.name.endswith("_norm")
    ]
    assert len(modulated) == len(normalised) >= 5
    latent = np.zeros((3, model.latent_dim), np.float32)
    first, second, mix = model.decode(latent, np.float32([[1, 0], [0, 1], [0.5, 0.5]]))
    assert np.abs(first - second).max() > 1e-3
    assert not np.allclose(mix, first, atol=1e-5) and not np.allclose(
        mix, second, atol=1e-5
    )


def test_the_log_variance_is_bounded(features):
    model = make(VAE, features.config)
    _, log_var = model.encode(9.0 * np.ones((2, *features.config.shape), np.float32))
    assert log_var.min() >= -8.0 and log_var.max() <= 2.0


SCRIPT = """
import sys, numpy as np
import cvae_music
model = cvae_music.load_model(sys.argv[1])
assert model.audio_config.n_mels == 16 and type(model.kl).__name__ == "Linear"
latents = model.sample_latents([0, 1, 1], seed=3)
np.save(sys.argv[2], np.concatenate([latents, model.decode(latents, [0, 1, 1]).reshape(3, -1)], axis=1))
"""


def test_saved_model_is_the_same_in_a_fresh_process(features, tmp_path, root, eager):
    model = make(ConditionalVAE, features.config, kl=Linear(2.0, 10))
    train(model, features, num_steps=4, batch_size=8, verbose=0)
    model.save(tmp_path / "model.keras")
    command = [
        sys.executable,
        "-c",
        SCRIPT,
        str(tmp_path / "model.keras"),
        str(tmp_path / "found.npy"),
    ]
    subprocess.run(
        command,
        check=True,
        env={**__import__("os").environ, "PYTHONPATH": str(root / "lib")},
    )
    latents = model.sample_latents([0, 1, 1], seed=3)
    expected = np.concatenate(
        [latents, model.decode(latents, [0, 1, 1]).reshape(3, -1)], axis=1
    )
    np.testing.assert_allclose(np.load(tmp_path / "found.npy"), expected, atol=1e-5)


def test_training_resumes_after_a_kill_with_the_same_result(features, tmp_path):
    backup, left = tmp_path / "backup", tmp_path / "left by a kill"

    class CopyWhatAKillLeaves(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                shutil.copytree(backup, left)

    settings = {"num_steps": 16, "batch_size": 8, "seed": 5, "verbose": 0}
    whole = make(ConditionalVAE, features.config)
    train(
        whole,
        features,
        **settings,
        backup_dir=backup,
        callbacks=[CopyWhatAKillLeaves()],
    )
    resumed = make(ConditionalVAE, features.config)
    history = train(resumed, features, **settings, backup_dir=left)
    assert history.epoch == [0, 1, 2, 3]  # those before the kill too
    for first, second in zip(whole.get_weights(), resumed.get_weights(), strict=True):
        np.testing.assert_allclose(first, second, atol=1e-4)


def test_nan_stops_training_and_keeps_the_last_good_weights(features, eager):
    broken = FeatureSet(
        features.config,
        GENRES,
        features.table,
        features.log_mel.copy(),
        features.report,
        features.path,
    )
    model = make(VAE, features.config)
    before = [value.copy() for value in model.get_weights()]
    broken.log_mel[:32] = np.nan
    with pytest.raises(
        FloatingPointError, match="from the beginning of the training are back"
    ):
        train(model, broken, num_steps=8, batch_size=8, verbose=0)
    for value, start in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(value, start)


def test_features_of_another_config_are_refused(features):
    other = dataclasses.replace(features.config, floor_db=-50.0)
    with pytest.raises(ValueError, match="floor_db"):
        train(make(VAE, other), features, num_steps=4)


def test_clear_errors(features):
    model = make(ConditionalVAE, features.config)
    with pytest.raises(ValueError, match="expected two different names or more"):
        make(ConditionalVAE, features.config, genres=["one"])
    with pytest.raises(ValueError, match=r"encode got shape \(3, 4\)"):
        model.encode(np.zeros((3, 4)))
    for latents, genre in (
        (1, None),
        (1, [2]),
        (1, [-1]),
        (2, [0]),
        (1, [[0.5, 0.5, 0.0]]),
        (1, "loud"),
    ):
        with pytest.raises(
            ValueError,
            match=r"expected for each clip an index, 0 to 1 into \['loud', 'soft'\], or 2 weights",
        ):
            model.decode(np.zeros((latents, 7)), genre)
    with pytest.raises(
        ValueError, match="model has .'loud', 'soft'., the features .'soft', 'loud'."
    ):
        train(model, dataclasses.replace(features, genres=GENRES[::-1]))
    with pytest.raises(ValueError, match="expected a multiple of 16"):
        make(VAE, dataclasses.replace(features.config, num_frames=24))
    with pytest.raises(
        ValueError, match="There is no preset .gan.; expected one of .*known_cvae"
    ):
        VAE.from_preset("gan")
    with pytest.raises(
        ValueError,
        match="The preset 'known_vae' is a VAE; call from_preset of that class",
    ):
        ConditionalVAE.from_preset("known_vae")


def test_the_fused_adam_is_adam():
    """Clipping, a schedule and the average included: the weights and averages of three steps."""
    rng, found = np.random.default_rng(0), []
    start, gradients = (
        rng.normal(size=(5, 4)).astype("float32"),
        rng.normal(size=(3, 5, 4)).astype("float32"),
    )
    for kind in (keras.optimizers.Adam, FusedAdam):
        weights = keras.Variable(start)
        rate = keras.optimizers.schedules.CosineDecay(
            0.01, 5, warmup_target=0.1, warmup_steps=2
        )
        optimizer = kind(rate, global_clipnorm=2.0, use_ema=True, ema_momentum=0.5)
        for gradient in gradients:
            optimizer.apply([tf.constant(gradient)], [weights])
        found.append(
            [np.array(variable) for variable in (weights, *optimizer.variables)]
        )
    for plain, fused in zip(*found, strict=True):
        np.testing.assert_allclose(fused, plain, rtol=1e-4, atol=1e-5)
    assert np.abs(found[1][0] - start).max() > 0.1


def test_mixed_precision_trains(features, eager):
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        model = make(ConditionalVAE, features.config)
        history = train(model, features, num_steps=4, batch_size=8, verbose=0).history
    finally:
        keras.mixed_precision.set_global_policy("float32")
    assert np.isfinite(history["loss"]).all()


def test_density_finds_a_known_mixture():
    rng = np.random.default_rng(0)
    genre = np.arange(4000) % 2
    side = rng.choice([-3.0, 3.0], 4000)
    latents = rng.normal(size=(4000, 2)) * [0.5, 1.0] + np.stack(
        [side * (genre == 0), 2.0 * genre], axis=1
    )
    density = LatentDensity(2, 2)
    chosen = density.fit(latents[:3000], genre[:3000], latents[3000:], genre[3000:])
    assert chosen[0] >= 2
    drawn = density.sample(np.repeat([0, 1], 2000), np.random.default_rng(1))
    assert np.abs(np.abs(drawn[:2000, 0]).mean() - 3.0) < 0.1
    np.testing.assert_allclose(drawn[2000:].mean(axis=0), [0.0, 2.0], atol=0.1)
    np.testing.assert_allclose(drawn[2000:].std(axis=0), [0.5, 1.0], atol=0.1)
    still = density.sample([1, 1], np.random.default_rng(2), temperature=0.0)
    assert np.abs(still - [0.0, 2.0]).max() < 0.5


def test_compact_file_holds_the_model(features, tmp_path, eager):
    model = make(ConditionalVAE, features.config)
    train(model, features, num_steps=4, batch_size=8, verbose=0)
    save_compact(model, tmp_path / "model.npz")
    again = load_compact(tmp_path / "model.npz")
    assert again.genres == GENRES and again.audio_config == features.config
    latents = model.sample_latents([0, 1], seed=0)
    np.testing.assert_allclose(again.sample_latents([0, 1], seed=0), latents, atol=0.01)
    np.testing.assert_allclose(
        again.decode(latents, [0, 1]), model.decode(latents, [0, 1]), atol=0.01
    )
    (tmp_path / "text.npz").write_text("no model")
    with pytest.raises(ValueError, match="no file of this library"):
        load_compact(tmp_path / "text.npz")


def test_load_model_refuses_what_it_cannot_use(features, tmp_path):
    other = dataclasses.replace(features.config, fmin=50.0)
    model = make(Autoencoder, features.config)
    model.save(tmp_path / "model.keras")
    save_compact(model, tmp_path / "model.npz")
    for name in ("model.keras", "model.npz"):
        assert type(load_model(tmp_path / name, features.config)) is Autoencoder
        with pytest.raises(
            ValueError,
            match=f"The model '{name}' was made with another AudioConfig .fmin: 30.0 there",
        ):
            load_model(tmp_path / name, other)
    (tmp_path / "text.keras").write_text("no model")
    (tmp_path / "half.keras").write_bytes(
        (tmp_path / "model.keras").read_bytes()[:5000]
    )
    keras.Sequential([keras.layers.Input((2,)), keras.layers.Dense(1)]).save(
        tmp_path / "foreign.keras"
    )
    for name in ("text", "half", "foreign"):
        with pytest.raises(ValueError, match="which is no model of this library"):
            load_model(tmp_path / f"{name}.keras")
    with pytest.raises(FileNotFoundError, match="no such file"):
        load_model(tmp_path / "gone.keras")
