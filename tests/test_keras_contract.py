"""What a person who knows Keras types: it works, or says in one sentence why not."""

import inspect
import json
import subprocess
import sys
import zipfile

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from keras import layers

import cvae_music as cm
from cvae_music.callbacks import AveragedWeights, Backup, StopOnNaN
from cvae_music.training import compile_model

SIZE = {"global_dim": 3, "local_dim": 2, "width": 40, "depth": 1}
GENRES = ("loud", "soft")
MODELS = (cm.Autoencoder, cm.VAE, cm.ConditionalVAE, cm.ConditionalVAEGAN)
POLICIES = ("float32", "mixed_float16", "mixed_bfloat16")


@pytest.fixture(scope="module")
def data(tiny_config):
    """Twelve clips of noise and their genres."""
    clips = np.random.default_rng(0).uniform(-1.0, 1.0, (12, *tiny_config.shape))
    return clips.astype("float32"), np.arange(12, dtype=np.int32) % 2


@pytest.fixture(scope="module")
def features(tiny_config):
    """Forty clips of noise at the level of their genre."""
    genre = np.arange(40) % 2
    level = np.where(genre, -40.0, -10.0)[:, None, None]
    noise = np.random.default_rng(0).normal(0.0, 3.0, (40, *tiny_config.shape))
    table = pd.DataFrame(
        {
            "genre": np.array(GENRES)[genre],
            "split": ["train"] * 32 + ["validation"] * 8,
            "grid": "known",
        }
    )
    clips = (level + noise).clip(-70.0, 0.0).astype(np.float16)
    return cm.FeatureSet(tiny_config, GENRES, table, clips, table[:0], None)


@pytest.fixture
def eager():
    """Functions run as Python: tracing takes longer than a few steps."""
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture(params=POLICIES)
def policy(request):
    """A global dtype policy, put back afterwards."""
    keras.mixed_precision.set_global_policy(request.param)
    yield request.param
    keras.mixed_precision.set_global_policy("float32")


def make(cls, config, **changes):
    keras.utils.set_random_seed(0)
    if issubclass(cls, cm.ConditionalVAE):
        changes = {"genres": GENRES} | changes
    return cls(config, **(SIZE | changes))


def inputs(model, data):
    return data if model.num_genres else data[0]


@pytest.mark.parametrize("cls", MODELS)
def test_fit_evaluate_and_predict_on_arrays_and_datasets(cls, tiny_config, data, eager):
    model = make(cls, tiny_config)
    model.compile("adam", metrics=["mae"])
    history = model.fit(*data, batch_size=4, validation_split=0.5, verbose=0).history
    names = {*cls.metric_names, "mae"}
    assert set(history) == names | {f"val_{name}" for name in names}
    dataset = tf.data.Dataset.from_tensor_slices(data).batch(4)
    found = [
        model.evaluate(*given, batch_size=size, verbose=0, return_dict=True)
        for given, size in ((data, 4), ((dataset,), None))
    ]
    assert found[0] == found[1]  # the same noise in each evaluation
    rebuilt = model.predict(inputs(model, data), batch_size=4, verbose=0)
    assert rebuilt.shape == data[0].shape
    assert np.abs(rebuilt - data[0]).mean() == pytest.approx(found[0]["mae"], rel=0.5)


@pytest.mark.parametrize("cls", MODELS[:2])
def test_a_model_without_a_label_fits_clips_alone(cls, tiny_config, data, eager):
    model = make(cls, tiny_config)
    model.compile("adam")
    history = model.fit(data[0], batch_size=4, verbose=0).history
    assert np.isfinite(history["loss"]).all()


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda model, x, y: model.fit(x, verbose=0), "without genre labels"),
        (lambda model, x, y: model.predict(x, verbose=0), "without genre labels"),
        (
            lambda model, x, y: model.fit(x, y, sample_weight=np.ones(12), verbose=0),
            "no sample_weight or class_weight",
        ),
        (
            lambda model, x, y: model.fit(x, y, class_weight={0: 1, 1: 2}, verbose=0),
            "no sample_weight or class_weight",
        ),
    ],
    ids=["fit(x)", "predict(x)", "sample_weight", "class_weight"],
)
def test_what_a_conditional_model_cannot_do_is_said(
    call, message, tiny_config, data, eager
):
    model = make(cm.ConditionalVAE, tiny_config)
    model.compile("adam")
    with pytest.raises(ValueError, match=message):
        call(model, *data)


def test_a_loss_given_to_compile_is_refused(tiny_config, data, eager):
    model = make(cm.VAE, tiny_config)
    model.compile("adam", loss="mse")
    with pytest.raises(ValueError, match="computes its own loss"):
        model.fit(*data, verbose=0)


def test_a_regulariser_is_part_of_the_loss(tiny_config, data, eager):
    """Of 1,000 times the sum of squares of a kernel, here 16 ones and zeros else."""
    clip = keras.Input(tiny_config.shape)
    regularizer = keras.regularizers.L2(1000.0)
    kernel = layers.Dense(3, kernel_regularizer=regularizer, kernel_initializer="ones")
    encoder = keras.Model(clip, kernel(layers.GlobalAveragePooling1D()(clip)))
    found = []
    for weight in (1000.0, 0.0):
        regularizer.l2 = weight
        model = make(cm.Autoencoder, tiny_config, encoder=encoder)
        model.compile("adam")
        found.append(model.evaluate(*data, verbose=0, return_dict=True)["loss"])
    assert found[0] - found[1] == pytest.approx(1000.0 * 16 * 3, rel=0.02)


@pytest.mark.parametrize("cls", MODELS)
def test_export_makes_a_saved_model_of_any_number_of_clips(
    cls, tiny_config, data, tmp_path, monkeypatch
):
    model = make(cls, tiny_config)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    model.export("~/model", verbose=False)
    clips = data[0][:5]
    weights = np.eye(2, dtype="float32")[data[1][:5]]
    given = [clips, weights] if model.num_genres else clips
    loaded = tf.saved_model.load(str(tmp_path / "model"))
    exported = loaded.serve(given)
    expected = model([clips, data[1][:5]] if model.num_genres else clips)
    np.testing.assert_allclose(exported, expected, atol=1e-5)


@pytest.mark.parametrize("name", ["m.h5", "m.hdf5", "m", "m.npz", "m.weights.h5"])
def test_a_model_is_saved_as_keras_file_or_it_is_said(name, tiny_config, tmp_path):
    with pytest.raises(ValueError, match=f"{name}'; expected a .keras file. See save_"):
        make(cm.VAE, tiny_config).save(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def rewritten(path, keras_version, **config):
    """A `.keras` file as another version of Keras might have written it."""
    with zipfile.ZipFile(path) as file:
        parts = {name: file.read(name) for name in file.namelist()}
    metadata = json.loads(parts["metadata.json"]) | {"keras_version": keras_version}
    about = json.loads(parts["config.json"])
    about["config"] |= config
    parts["metadata.json"] = json.dumps(metadata)
    parts["config.json"] = json.dumps(about)
    with zipfile.ZipFile(path, "w") as file:
        for name, content in parts.items():
            file.writestr(name, content)


def test_a_file_of_another_keras_is_named_with_its_version(tiny_config, tmp_path):
    path = tmp_path / "newer.keras"
    make(cm.VAE, tiny_config).save(path)
    rewritten(path, "99.1.0")
    assert isinstance(cm.load_model(path), cm.VAE)  # as long as it can be read
    rewritten(path, "99.1.0", new_argument=3)
    here = keras.__version__
    with pytest.raises(
        ValueError, match=f"Keras 99.1.0 wrote it, here is Keras {here}"
    ):
        cm.load_model(path)
    rewritten(path, here)
    with pytest.raises(ValueError, match="new_argument.*Expected what model.save"):
        cm.load_model(path)


@pytest.mark.parametrize("method", ["fit", "evaluate", "predict"])
def test_clips_in_decibels_are_told_from_scaled_ones(method, tiny_config, data):
    model = make(cm.ConditionalVAE, tiny_config)
    model.compile("adam")
    clips = tiny_config.unscale(data[0])
    given = ((clips, data[1]),) if method == "predict" else (clips, data[1])
    with pytest.raises(ValueError, match=rf"{method} got .* Use AudioConfig.scale on"):
        getattr(model, method)(*given, verbose=0)


ONE_BATCH = ("train_on_batch", "test_on_batch", "predict_on_batch", "__call__")


@pytest.mark.parametrize("method", ONE_BATCH)
def test_one_batch_in_decibels_is_told(method, tiny_config, data, eager):
    model = make_small(tiny_config)
    before = model.get_weights()
    name = method.strip("_")
    message = rf"{name} got values from -\d+.\d to .* Use AudioConfig.scale on dB"
    with pytest.raises(ValueError, match=message):
        getattr(model, method)(tiny_config.unscale(data[0]))
    for weight, value in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, value)
    assert np.isfinite(getattr(model, method)(data[0])).all()


@pytest.mark.parametrize("method", ["fit", "predict", *ONE_BATCH[:3]])
def test_help_shows_the_arguments_of_keras(method):
    found = inspect.signature(getattr(cm.VAE, method))
    assert found == inspect.signature(getattr(keras.Model, method))


LABELLED = {  # calls of a model with clips and labels
    "fit": lambda model, *data: model.fit(*data, verbose=0),
    "fit, y by name": lambda model, clips, genre: model.fit(clips, y=genre, verbose=0),
    "fit, validation": lambda model, clips, genre: model.fit(
        clips, genre % 2, validation_data=(clips, genre), verbose=0
    ),
    "evaluate": lambda model, *data: model.evaluate(*data, verbose=0),
    "predict": lambda model, *data: model.predict(data, 4, verbose=0),
    "train_on_batch": lambda model, *data: model.train_on_batch(*data),
    "test_on_batch": lambda model, *data: model.test_on_batch(*data),
    "predict_on_batch": lambda model, *data: model.predict_on_batch(data),
    "call": lambda model, *data: model(data),
    "fit, dataset": lambda model, *data: model.fit(
        tf.data.Dataset.from_tensor_slices(data).batch(4), verbose=0, shuffle=False
    ),
    "fit, PyDataset": lambda model, *data: model.fit(Batches(*data), verbose=0),
    "fit, generator": lambda model, *data: model.fit(
        iter([data]), steps_per_epoch=1, verbose=0, shuffle=False
    ),
}


def make_small_conditional(config):
    """A conditional model of two genres with few weights."""
    clip = keras.Input(config.shape)
    encoder = keras.Model(clip, layers.Dense(4)(layers.Flatten()(clip)))
    latent, weights = keras.Input((2,)), keras.Input((2,))
    both = layers.Concatenate()([latent, weights])
    rebuilt = layers.Dense(config.num_frames * config.n_mels)(both)
    decoder = keras.Model([latent, weights], layers.Reshape(config.shape)(rebuilt))
    networks = {"encoder": encoder, "decoder": decoder}
    model = cm.ConditionalVAE(config, ["a", "b"], **networks)
    model.compile("adam", jit_compile=False)
    return model


@pytest.mark.parametrize("name", LABELLED)
def test_labels_counted_from_one_are_told(name, tiny_config, data, eager):
    """A label beyond the last genre was a row of zeros: no genre at all, unsaid."""
    model = make_small_conditional(tiny_config)
    clips, genre = data
    before = model.get_weights()
    method = name.partition(",")[0]
    message = rf"{method} got \d+ clips and genre=\[1.*, 2.*\]; .* index, 0 to 1"
    for bad in (genre + 1, np.float32(genre + 1)):
        with pytest.raises(ValueError, match=message):
            LABELLED[name](model, clips, bad)
    for weight, value in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, value)
    LABELLED[name](model, clips, genre)


def test_shares_of_genres_in_percent_are_told(tiny_config):
    model = make(cm.ConditionalVAE, tiny_config)
    latent = np.zeros((1, model.latent_dim))
    with pytest.raises(ValueError, match="30, 70.* or 2 weights that sum to 1"):
        model.decode(latent, [[70, 30]])
    assert model.decode(latent, [[0.7, 0.3]]).shape == (1, *tiny_config.shape)
    assert model.decode(latent[:0], []).shape == (0, *tiny_config.shape)


def test_scaled_clips_are_told_from_decibels(tiny_config, data):
    """Where dB belong: `scale`, a second time, and the clips of a `FeatureSet`."""
    clips, genre = data
    table = pd.DataFrame({"genre": np.array(["a", "b"])[genre], "split": "train"})
    for what in (
        lambda: tiny_config.scale(clips),
        lambda: tiny_config.scale(clips[0]),
        lambda: cm.FeatureSet(tiny_config, ("a", "b"), table, clips, table[:0]),
    ):
        with pytest.raises(ValueError, match="scale got no level below .*expected dB"):
            what()
    levels = tiny_config.unscale(clips)
    np.testing.assert_allclose(tiny_config.scale(levels), clips, atol=1e-5)


def test_amplitudes_are_told_from_decibels(tiny_config, data):
    """Scaled, they would be louder than full scale: from 1.0 on."""
    clips, genre = data
    table = pd.DataFrame({"genre": np.array(["a", "b"])[genre], "split": "train"})
    for levels in (np.abs(clips), 90.0 + 10.0 * clips):  # and dB above 1e-9
        for what in (
            lambda levels=levels: tiny_config.scale(levels),
            lambda levels=levels: cm.FeatureSet(
                tiny_config, ("a", "b"), table, levels, table[:0]
            ),
        ):
            with pytest.raises(ValueError, match="of amplitudes; expected dB"):
                what()
    assert np.all(tiny_config.scale(np.zeros(tiny_config.shape)) == 1.0)  # full scale


@pytest.mark.parametrize("change", ["turned", "a row less", "a band less"])
def test_clips_of_another_shape_make_no_feature_set(tiny_config, data, change):
    """`arrays` would return them, and training would end in TensorFlow's words."""
    clips, genre = data
    levels = tiny_config.unscale(clips)
    table = pd.DataFrame({"genre": np.array(["a", "b"])[genre], "split": "train"})
    other = {
        "turned": levels.swapaxes(1, 2),
        "a row less": levels[1:],
        "a band less": levels[:, :, 1:],
    }[change]
    with pytest.raises(
        ValueError, match=r"got 12 rows for 1[12] clips.*each of shape \(32, 16\)"
    ):
        cm.FeatureSet(tiny_config, ("a", "b"), table, other, table[:0])


def test_tensors_in_decibels_are_told_too(tiny_config, data):
    model = make(cm.VAE, tiny_config)
    model.compile("adam")
    with pytest.raises(ValueError, match="fit got .* Use AudioConfig.scale on dB"):
        model.fit(tf.constant(tiny_config.unscale(data[0])), verbose=0)


class Batches(keras.utils.PyDataset):
    """Three batches of four clips; keeps a list of those that were read."""

    def __init__(self, *data):
        super().__init__()
        self.data = data
        self.read = []

    def __len__(self):
        return 3

    def __getitem__(self, number):
        self.read.append(number)
        return tuple(part[4 * number :][:4] for part in self.data)


def as_dataset(batches):
    """The batches as a dataset that reads each once a pass, and none before."""
    signature = tuple(tf.TensorSpec(None, part.dtype) for part in batches.data)
    clips = tf.TensorSpec((None, *batches.data[0].shape[1:]), tf.float32)
    signature = (clips, *signature[1:])
    read = lambda: map(batches.__getitem__, range(3))  # noqa: E731
    return tf.data.Dataset.from_generator(read, output_signature=signature)


LATER = {
    "dataset": as_dataset,
    "generator": lambda batches: (batches[number] for number in range(3)),
    "PyDataset": lambda batches: batches,
}


def make_small(config):
    """A model with few weights, whose steps are quick to trace."""
    clip = keras.Input(config.shape)
    encoder = keras.Model(clip, layers.Dense(2)(layers.Flatten()(clip)))
    latent = keras.Input((2,))
    rebuilt = layers.Dense(config.num_frames * config.n_mels)(latent)
    decoder = keras.Model(latent, layers.Reshape(config.shape)(rebuilt))
    model = cm.Autoencoder(config, encoder=encoder, decoder=decoder)
    model.compile("adam", jit_compile=False)
    return model


def test_train_refuses_a_callback_that_its_schedule_would_stop_later(features):
    model = make_small(features.config)
    callback = keras.callbacks.ReduceLROnPlateau()
    with pytest.raises(ValueError, match="schedule of the learning rate"):
        cm.train(model, features, num_steps=2, callbacks=callback)


@pytest.mark.parametrize("given", LATER.values(), ids=LATER)
def test_batches_in_decibels_are_told_when_they_come(given, tiny_config, data):
    model = make_small(tiny_config)
    before = model.get_weights()
    clips, genre = data
    scaled = Batches(clips, genre)
    levels = Batches(tiny_config.unscale(clips), genre)
    steps = {"steps_per_epoch": 3, "verbose": 0, "shuffle": False}
    for method, call in {
        "fit": lambda: model.fit(given(levels), **steps),
        "evaluate": lambda: model.evaluate(given(levels), steps=3, verbose=0),
    }.items():
        with pytest.raises(
            ValueError, match=rf"^{method} got .* Use AudioConfig.scale"
        ):
            call()
    for weight, value in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, value)
    with pytest.raises(ValueError, match="^fit got .* Use AudioConfig.scale on dB.$"):
        model.fit(*data, verbose=0, validation_data=given(levels), validation_steps=3)
    model.fit(given(scaled), **steps)
    assert set(scaled.read) == {0, 1, 2} and scaled.read.count(2) == 1


def test_clips_to_validate_in_decibels_are_told_before_the_first_epoch(
    tiny_config, data
):
    model = make_small(tiny_config)
    begun = []
    note = keras.callbacks.LambdaCallback(on_train_begin=begun.append)
    held_out = tiny_config.unscale(data[0])
    with pytest.raises(ValueError, match="fit got .* Use AudioConfig.scale on dB"):
        model.fit(data[0], validation_data=(held_out,), callbacks=[note], verbose=0)
    assert begun == []


@pytest.mark.parametrize("name", ["house", "jazz"])
def test_one_genre_is_no_list_of_letters(tiny_config, name):
    with pytest.raises(ValueError, match=f"genres='{name}'; expected a list"):
        cm.ConditionalVAE(tiny_config, genres=name, **SIZE)


PARTS = {
    "LatentDensity": lambda config: cm.LatentDensity(2, 3, num_components=4),
    "ClassMeanShift": lambda config: cm.ClassMeanShift(2, 3),
    "UnsharpMask": lambda config: cm.UnsharpMask(16),
} | {cls.__name__: lambda config, cls=cls: make(cls, config) for cls in MODELS}


@pytest.mark.parametrize("name", PARTS)
def test_each_layer_and_model_comes_back_from_its_config(name, tiny_config):
    part = PARTS[name](tiny_config)
    again = type(part).from_config(part.get_config())
    assert again.get_config() == part.get_config()
    assert [value.shape for value in again.weights] == [
        value.shape for value in part.weights
    ]


def test_networks_of_ones_own_are_used_saved_and_loaded(tiny_config, data, tmp_path):
    clip = keras.Input(tiny_config.shape)
    encoder = keras.Model(clip, layers.Dense(10)(layers.Flatten()(clip)))
    latent, genre = keras.Input((5,)), keras.Input((2,))
    x = layers.Dense(tiny_config.num_frames * tiny_config.n_mels)(
        layers.Concatenate()([latent, genre])
    )
    decoder = keras.Model([latent, genre], layers.Reshape(tiny_config.shape)(x))
    model = make(cm.ConditionalVAE, tiny_config, encoder=encoder, decoder=decoder)
    assert model.latent_dim == 5
    model.save(tmp_path / "own.keras")
    again = cm.load_model(tmp_path / "own.keras")
    codes = model.encode(data[0]).mode()
    np.testing.assert_allclose(again.encode(data[0]).mode(), codes, atol=1e-5)
    expected = model.decode(codes, data[1])
    np.testing.assert_allclose(again.decode(codes, data[1]), expected, atol=1e-5)
    with pytest.raises(
        ValueError, match=r"decoder input of shape .*expected \(None, 7"
    ):
        make(cm.ConditionalVAE, tiny_config, decoder=decoder)


def test_the_posterior_samples_and_has_mode_and_kl(tiny_config, data):
    model = make(cm.VAE, tiny_config)
    posterior = model.encode(data[0])
    mean, log_var = posterior
    assert posterior.mode() is mean and posterior.kl().shape == mean.shape
    draws = np.stack([posterior.sample(seed=seed) for seed in range(400)])
    np.testing.assert_allclose(draws.mean(axis=0), mean, atol=0.3)
    np.testing.assert_allclose(
        draws.var(axis=0).mean(), np.exp(log_var).mean(), rtol=0.1
    )


@pytest.mark.parametrize("cls", MODELS)
def test_every_model_trains_in_every_precision(cls, tiny_config, data, policy, eager):
    model = make(cls, tiny_config)
    compile_model(model, 2)
    model.fit(*data, batch_size=6, epochs=1, verbose=0)
    weights = model.get_weights()
    assert all(np.isfinite(weight).all() for weight in weights)
    assert sum(bool(weight.any()) for weight in weights) > 0.3 * len(weights)
    found = model.evaluate(*data, batch_size=6, verbose=0, return_dict=True)
    assert np.isfinite(list(found.values())).all()


def test_weights_are_not_zero_where_loss_scaling_skipped_every_step(
    features, eager, monkeypatch
):
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        model = make(cm.VAE, features.config)
        before = model.encoder.get_weights()
        plain = cm.VAE.compute_losses

        def overflow(self, log_mel, genre=None, training=False):
            losses, rebuilt = plain(self, log_mel, genre, training)
            if training:
                losses["loss"] += 1e38 * losses["kl"]
            return losses, rebuilt

        monkeypatch.setattr(cm.VAE, "compute_losses", overflow)
        monkeypatch.setattr(StopOnNaN, "on_train_batch_end", lambda *_, **__: None)
        monkeypatch.setattr(StopOnNaN, "on_epoch_end", lambda *_, **__: None)
        cm.train(model, features, 2, batch_size=16, verbose=0)
    finally:
        keras.mixed_precision.set_global_policy("float32")
    for weight, first in zip(model.encoder.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, first)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["float32", "mixed_float16"])
def test_a_strategy_scope_trains_the_second_phase(name, features):
    """Two replicas on two logical devices, in a process of their own."""
    program = f"""
import keras, numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
keras.mixed_precision.set_global_policy("{name}")
import cvae_music as cm
config = cm.AudioConfig(n_mels=16, num_frames=32, grid="seconds")
clips = np.random.default_rng(0).uniform(-1, 1, (8, 32, 16)).astype("float32")
with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
    model = cm.ConditionalVAEGAN(config, ("a", "b"), width=40, depth=1)
    model.compile("adam")
losses = model.fit(clips, np.arange(8) % 2, batch_size=8, verbose=0).history["loss"]
assert np.isfinite(losses).all(), losses
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_another_backend_is_refused_at_the_first_model():
    program = """
import keras
keras.backend.backend = lambda: "jax"
import cvae_music as cm
cm.VAE
"""
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True
    )
    assert "expected 'tensorflow'. Unset KERAS_BACKEND" in found.stderr


def test_the_likelihood_in_nats_leaves_the_contrast_term_out(tiny_config):
    """An error of 0.1 everywhere: 0.5 · 512 · (log(2 π 0.01) + 1) nats."""
    model = make(cm.Autoencoder, tiny_config, contrast_weight=5.0)
    clips = np.random.default_rng(0).uniform(-1, 1, (2, *tiny_config.shape))
    clips = clips.astype("float32")
    losses = model.reconstruction_losses(clips, clips + 0.1)
    expected = 0.5 * clips[0].size * (np.log(2 * np.pi * (0.01 + 1e-6)) + 1.0)
    assert float(losses["reconstruction"]) == pytest.approx(expected, rel=1e-4)
    noisy = model.reconstruction_losses(clips, 0.5 * clips)
    assert float(noisy["loss"]) > float(noisy["reconstruction"])


class Broken(cm.Autoencoder):
    """Loses its weights in the last update of an epoch."""

    def train_step(self, data):
        result = super().train_step(data)
        self.encoder.trainable_variables[0].assign_add(
            tf.fill(self.encoder.trainable_variables[0].shape, np.nan)
        )
        return result


def test_a_nan_of_the_last_update_is_not_kept_as_good(features, eager):
    """One batch an epoch: its loss is finite, what it leaves behind is not."""
    model = make(Broken, features.config)
    first = model.encoder.get_weights()
    with pytest.raises(FloatingPointError, match="The weights from the beginning"):
        cm.train(model, features, 4, batch_size=32, verbose=0)
    for weight, before in zip(model.encoder.get_weights(), first, strict=True):
        np.testing.assert_array_equal(weight, before)


def test_validation_sees_the_weights_that_the_caller_gets(features, eager, tmp_path):
    seen = keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: states.append(model.get_weights())
    )
    states = []
    model = make(cm.Autoencoder, features.config)
    history = cm.train(model, features, 4, batch_size=16, callbacks=seen, verbose=0)
    for shown, kept in zip(states[-1], model.get_weights(), strict=True):
        np.testing.assert_allclose(shown, kept, atol=1e-6)
    clips, genre = features.arrays("validation")
    model.compile("adam")
    loss = model.evaluate(clips, genre, verbose=0, return_dict=True)["loss"]
    assert loss == pytest.approx(history.history["val_loss"][-1], rel=1e-4)


def test_averages_are_put_in_and_out_again(features, eager):
    model = make(cm.Autoencoder, features.config)
    compile_model(model, 2)
    callback = AveragedWeights()
    callback.set_model(model)
    callback.show()  # no step was taken: nothing to show
    assert callback.raw is None


def test_a_backup_removes_what_it_wrote_and_nothing_else(features, eager, tmp_path):
    log = tmp_path / "run" / "log.csv"
    log.parent.mkdir()
    (tmp_path / "run" / ".DS_Store").write_text("not ours")
    model = make(cm.Autoencoder, features.config)
    logger = keras.callbacks.CSVLogger(log)
    settings = {"backup_dir": tmp_path / "run", "callbacks": [logger], "verbose": 0}
    cm.train(model, features, 4, batch_size=16, **settings)
    assert sorted(path.name for path in log.parent.iterdir()) == [
        ".DS_Store",
        "log.csv",
    ]


def test_a_state_cut_short_is_passed_over_for_the_one_before(
    features, eager, tmp_path, capsys
):
    model = make(cm.Autoencoder, features.config)
    compile_model(model, 4)
    backup = Backup(tmp_path, {"seed": 0})
    backup.set_model(model)
    for epoch in range(3):
        backup.on_epoch_end(epoch)
    states = backup.states()
    assert [state.name[:6] for state in states] == ["000002", "000003"]
    states[1].write_bytes(states[1].read_bytes()[:5000])
    assert Backup(tmp_path, {"seed": 0}).restore(model) == 2
    assert "000003.weights.h5" in capsys.readouterr().out
    states[0].write_bytes(b"")
    with pytest.raises(ValueError, match="No state in"):
        Backup(tmp_path, {"seed": 0}).restore(model)
    with pytest.raises(ValueError, match="another training .seed: 0 there, 1 here"):
        Backup(tmp_path, {"seed": 1})
