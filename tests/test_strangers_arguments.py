"""What strangers type: each kind of argument that was once played, trained or answered wrongly, on its smallest case."""

import keras
import numpy as np
import pytest
from helpers import warned

import cvae_music as cm
from cvae_music import controls as controls_module
from cvae_music.models.schedules import get_schedule
from cvae_music.training import compile_model

SIZE = {"global_dim": 3, "local_dim": 2, "width": 40, "depth": 1}
GENRES = ("loud", "soft")
NO_COUNTS = (0, -1, 2.5, "8")  # of clips, steps or pairs
NO_SEEDS = (-1, 1.5, "3", None)


pytestmark = pytest.mark.usefixtures("run_eagerly")


@pytest.fixture(scope="module")
def features(two_levels):
    return two_levels


def make(config, cls=cm.ConditionalVAE, **changes):
    keras.utils.set_random_seed(0)
    named = {"genres": GENRES} if issubclass(cls, cm.ConditionalVAE) else {}
    return cls(config, **(SIZE | named | changes))


@pytest.fixture(scope="module")
def model(tiny_config, features):
    made = make(tiny_config)
    cm.fit_posthoc_layers(made, features)
    return made


@pytest.fixture(scope="module")
def controls(model, features):
    return cm.fit_controls(model, features, num_pairs=20)


# --- whose controls they are -----------------------------------------------------------


OTHERS = {
    "other weights": lambda config: make(config),
    "another size": lambda config: make(config, global_dim=4),
    "another class": lambda config: make(config, cm.VAE),
}


@pytest.mark.parametrize("name", OTHERS)
@pytest.mark.filterwarnings("ignore:This .* is not finished")
def test_controls_of_another_model_are_refused(name, tiny_config, controls):
    """Their steps lead anywhere in its latent space, and it played them."""
    other = OTHERS[name](tiny_config)
    other.decoder.weights[-1].assign_add(other.decoder.weights[-1] + 1.0)
    settings = {"sliders": {"brightness": 1.0}}
    for call in (
        lambda: cm.make_clip(other, controls, **settings),
        lambda: cm.make_clip(other, controls),
        lambda: cm.make_morph(other, controls, {}, settings, num_beats=4),
    ):
        with pytest.raises(ValueError, match="measured of another model.*fit_controls"):
            call()


def test_controls_of_before_a_training_are_refused(tiny_config, features):
    model = make(tiny_config)
    cm.fit_posthoc_layers(model, features)
    before = cm.fit_controls(model, features, num_pairs=5)
    assert cm.make_clip(model, before, sliders={"level": 1.0}).samples.any()
    cm.train(model, features, 1, verbose=0)
    with pytest.raises(ValueError, match="or before the last training of this one"):
        cm.make_clip(model, before, sliders={"level": 1.0})


def test_all_weights_are_hashed_once(model, controls):
    """Each clip would take some milliseconds longer."""
    before = controls_module._hash_weights.cache_info().misses
    expected = cm.make_clip(model, seed=3).samples
    for _ in range(3):
        found = cm.make_clip(model, controls, seed=3, sliders={"level": 0.0}).samples
        np.testing.assert_array_equal(found, expected)
    assert controls_module._hash_weights.cache_info().misses <= before + 1


@pytest.mark.parametrize("given", ["loud", "controls.npz", {"level": 1.0}, 3])
def test_what_stands_in_the_place_of_controls_is_named(given, model):
    with pytest.raises(
        ValueError, match="Got controls=.*; expected those of fit_contr"
    ):
        cm.make_clip(model, given)


# --- amounts ---------------------------------------------------------------------------


@pytest.mark.parametrize("amount", ["1.5", None, np.nan, np.inf, 1500, [1.0], True])
@pytest.mark.parametrize("kind, name", [("slider", "brightness"), ("dimension", 0)])
def test_amounts_that_are_no_numbers_are_named(model, controls, kind, name, amount):
    with pytest.raises(ValueError) as told:
        cm.make_clip(model, controls, **{f"{kind}s": {name: amount}})
    expected = f"Got {kind} {name}={amount!r}; expected a number from -100 to 100."
    assert str(told.value) == expected


def test_amounts_move_a_latent_by_so_many_deviations(model, controls):
    start = np.zeros(model.latent_dim)
    step = controls.attribute_directions["level"]
    weights = np.array([0.25, 0.75], np.float32)
    for amount in (2, np.float32(2.0), np.int64(2)):
        found = controls.apply(start, {"level": amount}, {0: amount}, weights)
        expected = 2.0 * (0.25 * step[0] + 0.75 * step[1])
        expected[0] += 2.0 * controls.latent_std[0]
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    found = controls.apply(start, {"level": 2.0})
    np.testing.assert_allclose(found, step[0] + step[1], rtol=1e-5)


@pytest.mark.parametrize("place", [(1,), (1, 2, 3), 3, (np.nan, 0.0)])
def test_a_place_of_the_map_is_two_numbers(place, model, controls):
    """One number stood for both."""
    with pytest.raises(ValueError, match=r"Got map_position=.*; expected \(2,\), fini"):
        cm.make_clip(model, controls, map_position=place)
    clip = cm.make_clip(model, controls, map_position=(0.5, -0.25))
    np.testing.assert_allclose(clip.latent @ controls.axes.T, (0.5, -0.25), atol=1e-3)


@pytest.mark.parametrize("weight", [-1, "1", None, np.nan, np.inf])
def test_a_genre_weight_is_told_in_plain_words(model, weight):
    with pytest.raises(ValueError) as told:
        cm.genre_weights(model, {"loud": weight})
    expected = f"Got genre weight of loud={weight!r}; expected a number of at least 0."
    assert str(told.value) == expected


def test_genre_weights_of_any_size_sum_to_1(model):
    for size in (1e-300, 1.0, 1e300):
        found = cm.genre_weights(model, {"loud": size, "soft": 3 * size})
        np.testing.assert_array_equal(found, np.float32([0.25, 0.75]))


def test_limits_are_written_as_people_write_them(tiny_config):
    with pytest.raises(
        ValueError, match="tempo=0; expected a number from 1 to 10,000."
    ):
        tiny_config.seconds(0)
    with pytest.raises(ValueError, match=r"n_mels=0; .* number from 1 to 1,048,576.$"):
        cm.AudioConfig(n_mels=0)
    assert tiny_config.seconds(120) == 2.0


# --- counts, rates, seeds --------------------------------------------------------------


@pytest.mark.parametrize("size", NO_COUNTS)
def test_batches_of_no_size_are_told(size, tiny_config, features, model):
    """Keras took 0 for all clips."""
    clips, genre = features.arrays("validation")
    compiled = make(tiny_config)
    compiled.compile("adam")
    for call in (
        lambda: model.encode(clips, batch_size=size),
        lambda: model.decode(np.zeros((3, 7)), [0, 1, 0], batch_size=size),
        lambda: compiled.fit(clips, genre, batch_size=size, verbose=0),
        lambda: compiled.fit(clips, genre, size, verbose=0),
        lambda: compiled.evaluate(clips, genre, size, verbose=0),
        lambda: compiled.predict((clips, genre), size, verbose=0),
        lambda: cm.make_dataset(features, "train", size),
        lambda: cm.train(model, features, 1, batch_size=size),
    ):
        with pytest.raises(ValueError) as told:
            call()
        expected = f"Got batch_size={size!r}; expected a whole number of at least 1."
        assert str(told.value) == expected


def test_batches_of_any_size_give_the_same(model, features):
    clips, genre = features.arrays("validation")
    mean = model.encode(clips).mean
    decoded = model.decode(mean, genre)
    for size in (1, 3, 8, np.int64(100)):
        found = model.encode(clips, batch_size=size).mean
        np.testing.assert_allclose(found, mean, atol=1e-5)
        found = model.decode(mean, genre, batch_size=size)
        np.testing.assert_allclose(found, decoded, atol=1e-4)
    nothing = model.encode(clips[:0])
    assert nothing.mean.shape == nothing.log_var.shape == (0, 7)
    assert model.decode(nothing.mean, []).shape == (0, *features.config.shape)


@pytest.mark.parametrize("rate", [0, -1, np.nan, np.inf, "0.001", None, 100.0])
def test_a_learning_rate_of_no_training_is_told(rate, tiny_config, features):
    """0 trained nothing, -1 the wrong way, and nobody said so."""
    model = make(tiny_config, cm.Autoencoder)
    before = model.get_weights()
    for call in (
        lambda: compile_model(model, 10, learning_rate=rate),
        lambda: cm.train(model, features, 1, learning_rate=rate, verbose=0),
    ):
        with pytest.raises(ValueError) as told:
            call()
        expected = f"Got learning_rate={rate!r}; expected a number from 1e-09 to 1."
        assert str(told.value) == expected
    for weight, value in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, value)


@pytest.mark.parametrize("count", NO_COUNTS)
def test_numbers_of_what_there_is_none_of_are_told(count, tiny_config, features, model):
    for name, call in {
        "num_steps": lambda: compile_model(make(tiny_config, cm.Autoencoder), count),
        "num_steps ": lambda: cm.train(model, features, count),
        "num_pairs": lambda: cm.fit_controls(model, features, num_pairs=count),
        "num_seeds": lambda: cm.latent_effects(model, features, num_seeds=count),
    }.items():
        with pytest.raises(ValueError) as told:
            call()
        expected = (
            f"Got {name.strip()}={count!r}; expected a whole number of at least 1."
        )
        assert str(told.value) == expected


@pytest.mark.parametrize("seed", NO_SEEDS)
def test_seeds_of_nothing_are_told_before_anything_changes(seed, features, model):
    before = model.get_weights()
    for call in (
        lambda: cm.make_dataset(features, "train", 8, seed=seed),
        lambda: cm.fit_posthoc_layers(model, features, seed=seed),
        lambda: cm.fit_controls(model, features, seed=seed),
        lambda: cm.train(model, features, 1, seed=seed),
    ):
        with pytest.raises(
            ValueError, match=f"Got seed={seed!r}; expected a whole num"
        ):
            call()
    for weight, value in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, value)


def test_a_callback_that_sets_the_learning_rate_is_refused(tiny_config, features):
    setter = keras.callbacks.LearningRateScheduler(lambda epoch, rate: rate)
    with pytest.raises(
        ValueError, match="train got LearningRateScheduler, but it has a"
    ):
        cm.train(make(tiny_config, cm.VAE), features, 1, callbacks=setter)


def test_a_kl_weight_may_be_a_number_of_numpy(tiny_config):
    for number in (2, np.float32(2.0), np.int64(2)):
        assert get_schedule(number) == get_schedule(2.0)
        assert make(tiny_config, cm.VAE, kl=number).get_config()["kl"]["weight"] == 2.0


# --- models that are not finished, music that is too little ----------------------------


def test_what_an_unfinished_model_gives_is_told(tiny_config, features):
    """Sliders were measured of latents that its finished self does not draw."""
    model = make(tiny_config)
    assert warned(lambda: cm.draw_latent(model, seed=1))
    assert warned(lambda: cm.fit_controls(model, features, num_pairs=5))
    cm.fit_posthoc_layers(model, features)
    assert not warned(lambda: cm.draw_latent(model, seed=1))
    assert not warned(lambda: cm.fit_controls(model, features, num_pairs=5))


@pytest.mark.parametrize("num_train", [0, 1])
def test_too_few_clips_for_a_map_are_told(num_train, features, model):
    rows = [*range(num_train), 32, 33]
    table = features.table.iloc[rows].reset_index(drop=True)
    few = cm.FeatureSet(
        features.config, GENRES, table, features.log_mel[rows], table[:0]
    )
    for call in (cm.fit_controls, cm.latent_effects):
        with pytest.raises(
            ValueError, match=f"number of training clips={num_train}; .* at least 2"
        ):
            call(model, few)


# --- names and units -------------------------------------------------------------------


def test_genres_that_become_one_name_are_refused(tiny_config):
    """The number 1980 and the word."""
    for cls in (cm.VAE, cm.ConditionalVAE):
        with pytest.raises(
            ValueError, match=r"genres=\[1980, '1980'\]; expected a list"
        ):
            make(tiny_config, cls, genres=[1980, "1980"])


@pytest.mark.parametrize("given", ["config.json", ["jazz", "rock"], {"n_mel": 16}])
def test_what_is_no_audio_config_is_shown(given):
    with pytest.raises(ValueError, match="AudioConfig got .* with unknown fields"):
        cm.VAE(given)


def test_samples_in_integers_are_told(tiny_config, tmp_path):
    """They read as full scale in every band, and were written 90 dB softer."""
    time = np.arange(8000) / 8000
    samples = np.round(20000 * np.sin(2 * np.pi * 440 * time))
    for given in (samples, samples.astype(np.int16), np.full(8000, np.nan)):
        with pytest.raises(
            ValueError, match="expected finite mono, .samples,., full sc"
        ):
            cm.log_mel(given, [0.5], tiny_config)
    with pytest.raises(ValueError, match="Divide 16-bit integers by 32768"):
        cm.write_audio(tmp_path / "a.wav", samples, tiny_config)
    assert list(tmp_path.iterdir()) == []
    level = cm.log_mel(samples / 20000, [0.5], tiny_config).max()
    assert level == pytest.approx(0.0, abs=1.7)
    cm.write_audio(tmp_path / "a.wav", 30.0 * samples / 20000, tiny_config)  # loud
    assert np.abs(cm.load_audio(tmp_path / "a.wav", tiny_config)).max() > 0.99


def test_clips_with_nan_are_not_measured(tiny_config):
    clips = np.full((1, *tiny_config.shape), -40.0)
    clips[0, 3, 2] = np.nan
    with pytest.raises(
        ValueError, match="finite: False; expected .clips, 32, 16. in dB"
    ):
        cm.log_mel_attributes(clips, tiny_config)


@pytest.mark.parametrize("genre", [["a", "b", "b"], [0, 1, 5], [0.5, 1, 1], [0, 1]])
def test_a_map_shows_every_clip_or_says_why_not(genre):
    """Names in the place of indices made an empty picture."""
    from matplotlib import pyplot as plt

    figure, ax = plt.subplots()
    with pytest.raises(ValueError, match="and for each an index into"):
        cm.plot_latent_map(np.zeros((3, 2)), genre, ["a", "b"], ax)
    assert len(ax.collections) == 0
    cm.plot_latent_map(np.zeros((3, 2)), [0, 1, 1], ["a", "b"], ax)
    assert [len(part.get_offsets()) for part in ax.collections] == [1, 2]
    plt.close(figure)


def test_a_table_of_genre_and_split_is_enough(tiny_config, features):
    table = features.table[["genre", "split"]]
    plain = cm.FeatureSet(tiny_config, GENRES, table, features.log_mel, table[:0])
    model = make(tiny_config, cm.VAE)
    assert np.isfinite(cm.train(model, plain, 2, verbose=0).history["loss"]).all()
    assert "from 40 sources: 32 train, 8 validation" in plain.summary()
    assert list(table) == ["genre", "split"]  # that of the caller
    assert repr(plain) == plain.summary()  # not all numbers, as in a message of Keras
