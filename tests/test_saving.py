"""Files are whole or not there; models come back from them, or it is said why not."""

import threading

import keras
import numpy as np
import pytest

import cvae_music as cm
from cvae_music import saving, serialization
from cvae_music.serialization import load_arrays, save_arrays


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
