"""Files are whole or not there; models come back from them, or it is said why not."""

import errno
import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

import cvae_music as cm
from cvae_music import controls, saving, serialization
from cvae_music.config import AudioConfig
from cvae_music.serialization import load_arrays, save_arrays
from cvae_music.training import compile_model


@pytest.fixture(scope="module")
def model(tiny_config):
    return cm.VAE(tiny_config, global_dim=2, local_dim=1, width=40, depth=1)


@pytest.fixture
def saved(model, tmp_path):
    path = tmp_path / "model.npz"
    cm.save_compact(model, path)
    return path


def test_presets_are_listed_with_what_they_are():
    files = {path.stem for path in saving.WEIGHTS.glob("*_*.npz")}
    assert set(cm.presets()) == {
        name for name in files if not name.startswith("controls")
    }
    for name, about in cm.presets().items():
        stored, _ = load_arrays(saving.preset_path(name), "class")
        assert stored["class"] == f"cvae_music>{about['kind']}"


def test_a_preset_is_a_name_or_a_path(saved):
    assert saving.preset_path(saved) == saved
    for unknown in ("known_gan", saved.with_name("none.npz")):
        with pytest.raises(ValueError, match="no preset .*known_cvae"):
            saving.preset_path(unknown)


CONTENTS = {
    b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\n": "git lfs pull",
    b"<!DOCTYPE html><title>Sign in</title>": "web page.*download it again",
    b'{"error": "quota exceeded"}': "web page.*download it again",
    bytes(4096): "only zeros.*copy it again",
}


@pytest.mark.parametrize("content", CONTENTS)
def test_what_came_in_the_place_of_a_model_is_named(tmp_path, content):
    for load, name in (
        (cm.load_model, "best.keras"),
        (cm.load_model, "mine.npz"),
        (cm.VAE.from_preset, "mine.npz"),
        (controls.load_controls, "controls.npz"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=f"{name}'.*{CONTENTS[content]}"):
            load(tmp_path / name)


def test_a_preset_ends_as_it_is_looked_for(model, tmp_path):
    for name in ("mine", "mine.keras", "mine.h5"):
        with pytest.raises(ValueError, match=f"{name}'; expected a .npz file"):
            model.save_to_preset(tmp_path / name)
    assert list(tmp_path.iterdir()) == []


def test_models_are_saved_and_found_in_the_home_folder(model, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    model.save("~/new/a.keras")
    model.save_to_preset("~/new/a.npz")
    model.save_weights("~/new/a.weights.h5")
    model.load_weights("~/new/a.weights.h5")
    assert len(list((tmp_path / "new").iterdir())) == 3
    assert isinstance(cm.load_model("~/new/a.keras"), cm.VAE)
    assert isinstance(cm.VAE.from_preset("~/new/a.npz"), cm.VAE)


SAVES = {
    "a.keras": lambda model, path: model.save(path),
    "a.npz": lambda model, path: model.save_to_preset(path),
    "a.weights.h5": lambda model, path: model.save_weights(path),
}


@pytest.mark.parametrize("name", SAVES)
def test_a_full_disk_leaves_the_file_of_before(model, tmp_path, name):
    """HDF5, given the path, would end the process or leave half a file."""
    resource = pytest.importorskip("resource")
    path = tmp_path / name
    SAVES[name](model, path)
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limits[1]))
    try:
        with pytest.raises(OSError, match=f"too large: '{path}'"):
            SAVES[name](model, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", SAVES)
def test_a_file_that_is_read_only_is_kept_and_named(model, tmp_path, monkeypatch, name):
    """A file written beside it would take its place, whatever may be written to it."""
    path = tmp_path / name
    path.write_bytes(b"mine")
    path.chmod(0o444)

    def open_as_user(file, mode="r"):  # the superuser may write to any file
        is_there = os.path.exists(file)
        if is_there and set("wa+") & set(mode) and not os.stat(file).st_mode & 0o200:
            raise PermissionError(errno.EACCES, "Permission denied", str(file))
        return open(file, mode)

    monkeypatch.setattr(serialization, "open", open_as_user, raising=False)
    with pytest.raises(PermissionError, match=str(path)):
        SAVES[name](model, path)
    assert path.read_bytes() == b"mine" and list(tmp_path.iterdir()) == [path]
    path.chmod(0o644)
    SAVES[name](model, path)
    assert path.stat().st_size > 1000


@pytest.mark.parametrize("name", SAVES)
def test_a_linked_file_stays_a_link(model, tmp_path, name):
    (tmp_path / "drive").mkdir()
    (tmp_path / name).symlink_to(tmp_path / "drive" / name)
    SAVES[name](model, tmp_path / name)
    assert (tmp_path / name).is_symlink()
    assert (tmp_path / "drive" / name).stat().st_size > 1000


def test_keras_asks_before_it_overwrites(model, tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr("builtins.input", lambda text="": asked.append(text) or "n")
    for name, save in (("a.keras", model.save), ("a.weights.h5", model.save_weights)):
        (tmp_path / name).write_text("mine")
        save(tmp_path / name, overwrite=False)
        assert (tmp_path / name).read_text() == "mine"
    assert len(asked) == 2


@pytest.mark.parametrize("content", [b"", b"<html>", None])
def test_weights_that_cannot_be_read_are_named(model, tmp_path, content):
    path = tmp_path / "best.weights.h5"
    model.save_weights(path)
    path.write_bytes(path.read_bytes()[:5000] if content is None else content)
    with pytest.raises(OSError, match="best.weights.h5', which cannot be read"):
        model.load_weights(path)
    with pytest.raises(FileNotFoundError, match="none.weights.h5', which cannot be r"):
        model.load_weights(tmp_path / "none.weights.h5")


def test_weights_of_another_model_change_none(model, tmp_path):
    """Keras loads layer by layer, and would leave the first of them changed."""
    path = tmp_path / "other.weights.h5"
    size = {"global_dim": 2, "local_dim": 1, "width": 40}
    cm.VAE(model.audio_config, depth=1, **size).save_weights(path)
    deeper = cm.VAE(model.audio_config, depth=2, **size)
    before = deeper.get_weights()
    with pytest.raises(ValueError, match="other.weights.h5', which cannot be read"):
        deeper.load_weights(path)
    for weight, value in zip(deeper.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, value)


def test_weights_alone_and_folders_are_told_from_models(model, tmp_path):
    model.save_weights(tmp_path / "a.weights.h5")
    with pytest.raises(ValueError, match="of weights alone, .* call its load_weights"):
        cm.load_model(tmp_path / "a.weights.h5")
    with pytest.raises(FileNotFoundError, match="Expected a .keras file of model.sav"):
        cm.load_model(tmp_path)


def test_a_trained_model_is_read_by_keras_and_pickle_in_a_new_session(
    tiny_config, tmp_path
):
    """Its optimizer is a class of this library, which nobody there has imported."""
    encoder = keras.Sequential([keras.Input(tiny_config.shape), keras.layers.Flatten()])
    encoder.add(keras.layers.Dense(2))
    decoder = keras.Sequential([keras.Input((2,)), keras.layers.Dense(512)])
    decoder.add(keras.layers.Reshape(tiny_config.shape))
    trained = cm.Autoencoder(tiny_config, encoder=encoder, decoder=decoder)
    compile_model(trained, 1)
    trained.save(tmp_path / "a.keras")
    (tmp_path / "a.pickle").write_bytes(pickle.dumps(trained))
    program = """
import pickle, sys
one = pickle.load(open("a.pickle", "rb"))
import keras
from cvae_music import Autoencoder
for model in (one, keras.saving.load_model("a.keras")):
    assert type(model) is Autoencoder and type(model.optimizer).__name__ == "FusedAdam"
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=tmp_path)


def test_values_beyond_half_precision_are_kept(model, tmp_path):
    large = model.weights[-1]
    before = large.numpy()
    try:
        large.assign(np.full(large.shape, 1e6))
        cm.save_compact(model, tmp_path / "large.npz")
    finally:
        large.assign(before)
    again = cm.load_model(tmp_path / "large.npz")
    np.testing.assert_array_equal(again.weights[-1], np.full(large.shape, 1e6))


def test_arrays_that_do_not_fit_are_named(model, saved, tmp_path):
    about, arrays = load_arrays(saved)
    save_arrays(tmp_path / "few.npz", about, dict(list(arrays.items())[1:]))
    number = len(arrays)
    with pytest.raises(ValueError, match=f"{number - 1} arrays, expected {number}"):
        saving.load_compact(tmp_path / "few.npz")
    save_arrays(tmp_path / "bad.npz", about, arrays | {"weight_000": np.zeros(3)})
    with pytest.raises(ValueError, match=r"has shape \(3,\), expected .* 0\.2\.0"):
        saving.load_compact(tmp_path / "bad.npz")


@pytest.mark.parametrize("kind", ["Package>Mine", "cvae_lab>DeafVAE"])
def test_a_class_that_is_not_known_has_to_be_defined_first(saved, kind):
    about, arrays = load_arrays(saved)
    save_arrays(saved, about | {"class": kind}, arrays)
    with pytest.raises(ValueError, match=f"{kind}.*defines it.*cvae-music 0.2.0"):
        cm.load_model(saved)


def test_a_keras_file_of_an_unknown_class_says_so(tmp_path):
    @keras.saving.register_keras_serializable("nowhere")
    class Mine(keras.Model):
        def call(self, inputs):
            return inputs

    mine = Mine()
    mine(np.zeros((1, 1)))
    mine.save(tmp_path / "mine.keras")
    del keras.saving.get_custom_objects()["nowhere>Mine"]
    with pytest.raises(ValueError, match="imported or defined first.*0.2.0"):
        cm.load_model(tmp_path / "mine.keras")


def test_controls_of_an_earlier_version_are_refused(tmp_path):
    about = {"fingerprint": "0", "sliders": [], "dimensions": {}, "table": "genre\n"}
    save_arrays(tmp_path / "old.npz", about, {"spread": np.zeros(2)})
    with pytest.raises(ValueError, match="lacks .*latent_std.*cvae-music 0.2.0"):
        cm.load_controls(tmp_path / "old.npz")


def test_a_model_with_an_argument_of_another_version_is_refused(tiny_config, tmp_path):
    saving.save_compact(
        cm.ConditionalVAE(tiny_config, ["a", "b"], width=40, depth=1),
        tmp_path / "now.npz",
    )
    about, arrays = load_arrays(tmp_path / "now.npz")
    about["config"]["source_weight"] = 0.5
    save_arrays(tmp_path / "old.npz", about, arrays)
    with pytest.raises(ValueError, match="old.npz.*source_weight.*cvae-music 0.2.0"):
        cm.load_model(tmp_path / "old.npz")


def test_a_file_of_keras_needs_the_name_of_its_class(tiny_config, tmp_path):
    """`import cvae_music` loads no model; what was used of it, or `load_model`, does."""
    path = tmp_path / "a.keras"
    cm.VAE(tiny_config, global_dim=2, local_dim=1, width=40, depth=1).save(path)
    program = f"""
import time
begin = time.perf_counter()
import cvae_music
seconds = time.perf_counter() - begin
import keras
try:
    keras.saving.load_model({str(path)!r})
except TypeError as error:
    assert "Could not locate class 'VAE'" in str(error), error
else:
    raise AssertionError("it is known: say so in load_model")
assert type(cvae_music.load_model({str(path)!r})).__name__ == "VAE"
assert type(keras.saving.load_model({str(path)!r})).__name__ == "VAE"
assert seconds < 1.0, seconds
"""
    subprocess.run([sys.executable, "-c", program], check=True)


# --- every file that is written --------------------------------------------------------

WRITERS = {
    "controls": lambda path: nobody().save(path),
    "preset": lambda path: cm.VAE(AudioConfig(n_mels=16)).save_to_preset(path),
    "sound": lambda path: cm.write_audio(path, np.zeros(99), AudioConfig()),
    "text": lambda path: serialization.write_text(path, "text"),
}
ENDINGS = {"controls": ".npz", "preset": ".npz", "sound": ".wav", "text": ".txt"}


def nobody():
    """Controls of no model."""
    zeros = np.zeros((2, 3), np.float32)
    return cm.Controls("0", {}, {}, zeros[0], zeros, zeros, pd.DataFrame({"genre": []}))


@pytest.mark.parametrize("name", WRITERS)
def test_a_url_is_no_folder_of_this_disk(name, tmp_path, monkeypatch):
    """It became a folder called s3:, where nobody looks."""
    monkeypatch.chdir(tmp_path)
    for url in ("s3://bucket/a", "gs://bucket/a", Path("https://host/a")):
        with pytest.raises(
            ValueError, match="Got the URL '.*expected a path on this d"
        ):
            WRITERS[name](f"{url}{ENDINGS[name]}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("letter", ["x", "音"])
def test_a_file_may_have_the_longest_name(name, letter, tmp_path):
    """Of 255 bytes; the temporary file beside it had more."""
    path = tmp_path / (letter * (250 // len(letter.encode())) + ENDINGS[name])
    WRITERS[name](path)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", WRITERS)
def test_no_writer_replaces_what_is_read_only(name, tmp_path, monkeypatch):
    path = tmp_path / f"mine{ENDINGS[name]}"
    path.write_bytes(b"mine")

    def refuse(file, mode="r"):  # the superuser may write to any file
        raise PermissionError(errno.EACCES, "Permission denied", str(file))

    with monkeypatch.context() as patch:
        patch.setattr(serialization, "open", refuse, raising=False)
        with pytest.raises(PermissionError, match=str(path)):
            WRITERS[name](path)
    assert path.read_bytes() == b"mine" and list(tmp_path.iterdir()) == [path]
    WRITERS[name](path)
    assert path.read_bytes() != b"mine"


def test_controls_are_saved_and_found_in_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    nobody().save("~/mine.npz")
    assert cm.load_controls("~/mine.npz").axes.shape == (2, 3)


@pytest.mark.parametrize("given", [None, b"a.keras", 3, "known_cvae"])
def test_what_is_no_path_of_a_model_is_told(given):
    with pytest.raises(
        FileNotFoundError, match="load_model got .*ships comes by from_"
    ):
        cm.load_model(given)
    if given != "known_cvae":
        with pytest.raises(ValueError, match="There is no preset .*is for load_model"):
            cm.VAE.from_preset(given)


def test_threads_that_write_one_path_leave_one_whole_file(tmp_path):
    path = tmp_path / "shared.txt"
    both_inside = threading.Barrier(2, timeout=60)
    errors = []

    def write(text):
        def content(file):
            file.write(text)
            both_inside.wait()

        try:
            serialization.write_file(path, content)
        except Exception as error:
            errors.append(error)

    texts = (b"a" * 1000, b"b" * 1000)
    threads = [threading.Thread(target=write, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    assert path.read_bytes() in texts
    assert list(tmp_path.iterdir()) == [path]
