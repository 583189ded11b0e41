"""Arrays of spectrograms: told from their shape and values, read without executing anything, turned into sound."""

import io
import pickle
import zipfile

import h5py
import librosa
import numpy as np
import pytest
from generated_music import tune, write_genres
from test_fma import write_tracks

from cvae_lab.notebook import spectrogram_folders
from cvae_lab.notebook.spectrogram_folders import (
    ArrayError,
    find_layout,
    inspect_folder,
    read_arrays,
    spectrograms_to_sound,
)
from cvae_music.audio.analysis import log_mel, seconds_frame_times
from cvae_music.audio.files import load_audio
from cvae_music.data.sources import open_collection

RATE = 8000
FRAMES = 79  # of 5 s, 1024 samples every 512


def complex_stft(pitch=220.0):
    return librosa.stft(tune(sample_rate=RATE, pitch=pitch), n_fft=1024, hop_length=512)


def two_channels(spectrogram):
    """As the notebooks of the original stack them."""
    return np.stack([spectrogram.real, spectrogram.imag]).astype(np.float32)


@pytest.fixture
def genres(tmp_path):
    """Three arrays in each of two folders of genres, in the original's layout."""
    for number, genre in enumerate(("jazz", "rock")):
        (tmp_path / "arrays" / genre).mkdir(parents=True)
        for track in range(3):
            np.save(
                tmp_path / "arrays" / genre / f"take{track}.npy",
                two_channels(complex_stft(220.0 * (number + 1) + 20 * track)),
            )
    return tmp_path / "arrays"


def write_tensor_file(path, arrays, extra=None):
    """A file as `torch.save` writes it, of `{name: array}`, without PyTorch; `extra` is pickled as it is."""

    class Storage:
        def __init__(self, key, array):
            self.key, self.array = key, array

    class Tensor:
        def __init__(self, key, array):
            self.key, self.array = key, array

    class Writer(
        pickle._Pickler
    ):  # the Python one, which can write the names of modules that are not installed
        def persistent_id(self, item):
            if isinstance(item, Storage):
                return (
                    "storage",
                    Name("torch", "FloatStorage"),
                    item.key,
                    "cpu",
                    item.array.size,
                )

        def save(self, item, **options):
            if isinstance(item, Name):
                self.write(pickle.GLOBAL + f"{item.module}\n{item.name}\n".encode())
            elif isinstance(item, Tensor):
                strides = tuple(
                    step // item.array.itemsize for step in item.array.strides
                )
                arguments = (
                    Storage(item.key, item.array),
                    0,
                    item.array.shape,
                    strides,
                    False,
                    {},
                )
                self.save(Name("torch._utils", "_rebuild_tensor_v2"))
                self.save(arguments)
                self.write(pickle.REDUCE)
            else:
                super().save(item, **options)

    class Name:
        def __init__(self, module, name):
            self.module, self.name = module, name

    buffer = io.BytesIO()
    arrays = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    content = {
        name: Tensor(str(key), array)
        for key, (name, array) in enumerate(arrays.items())
    } | (extra or {})
    Writer(buffer, protocol=2).dump(content)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", buffer.getvalue())
        for key, array in enumerate(arrays.values()):
            archive.writestr(f"archive/data/{key}", array.tobytes())  # in C order


# --- which array is what --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change, kind, axes",
    [
        (lambda s: s, "complex", (0, 1, None, None)),
        (two_channels, "real and imaginary", (1, 2, 0, None)),
        (
            lambda s: np.moveaxis(two_channels(s), 0, -1),
            "real and imaginary",
            (0, 1, 2, None),
        ),
        (lambda s: np.stack([two_channels(s)] * 3), "real and imaginary", (2, 3, 1, 0)),
        (np.abs, "magnitude", (0, 1, None, None)),
        (lambda s: np.abs(s).T, "magnitude", (1, 0, None, None)),
        (lambda s: np.stack([np.abs(s)] * 2), "magnitude", (1, 2, None, 0)),
        (
            lambda s: librosa.amplitude_to_db(np.abs(s), ref=1.0),
            "decibels",
            (0, 1, None, None),
        ),
    ],
    ids=[
        "complex",
        "original",
        "channels last",
        "batch",
        "magnitude",
        "turned",
        "two clips",
        "decibels",
    ],
)
def test_layouts(change, kind, axes):
    layout = find_layout(change(complex_stft()))
    assert layout.kind == kind
    assert (layout.frequency, layout.time, layout.channel, layout.many) == axes


@pytest.mark.parametrize(
    "array",
    [
        np.ones((128, 430)),
        np.array(["a"]),
        np.random.default_rng(0).normal(size=(513, 40)),
        np.ones(513),
        np.float32(1),
    ],
    ids=["mel bands", "text", "standardised", "one spectrum", "number"],
)
def test_what_cannot_be_told_is_no_spectrogram(array):
    assert find_layout(np.asarray(array)) is None


# --- reading --------------------------------------------------------------------------------------------------------


def write_npz(path, array):
    np.savez(path, spectrogram=array)


def write_h5(path, array):
    with h5py.File(path, "w") as file:
        file["clips/spectrogram"] = array


@pytest.mark.parametrize(
    "name, write, key",
    [
        ("a.npy", np.save, ""),
        ("a.npz", write_npz, "spectrogram"),
        ("a.h5", write_h5, "clips/spectrogram"),
        (
            "a.pt",
            lambda path, array: write_tensor_file(path, {"spectrogram": array}),
            "spectrogram",
        ),
    ],
)
def test_every_kind_of_file_gives_its_numbers(tmp_path, name, write, key):
    array = two_channels(complex_stft())
    write(tmp_path / name, array)
    arrays = read_arrays(tmp_path / name)
    np.testing.assert_array_equal(arrays[key], array)


def test_nothing_in_a_file_is_executed(tmp_path):
    class Harmful:
        def __reduce__(self):
            return open, (str(tmp_path / "executed"), "w")

    np.save(tmp_path / "a.npy", np.array([Harmful()], object), allow_pickle=True)
    write_tensor_file(tmp_path / "b.pt", {}, {"x": Harmful()})
    (tmp_path / "c.pt").write_bytes(pickle.dumps(Harmful()))
    for name in ("a.npy", "b.pt", "c.pt"):
        with pytest.raises(ArrayError, match=f"{name} cannot be read as numbers alone"):
            read_arrays(tmp_path / name)
    assert not (tmp_path / "executed").exists()


def test_a_tensor_that_reaches_beyond_its_file_is_refused(tmp_path):
    long, short = np.zeros((2, 33, 9), np.float32), np.zeros(8, np.float32)
    write_tensor_file(tmp_path / "a.pt", {"x": long})
    with zipfile.ZipFile(tmp_path / "a.pt") as archive:
        content = archive.read("archive/data.pkl")
    with zipfile.ZipFile(tmp_path / "b.pt", "w") as archive:
        archive.writestr("archive/data.pkl", content)
        archive.writestr("archive/data/0", short.tobytes())
    with pytest.raises(ArrayError, match="beyond its file"):
        read_arrays(tmp_path / "b.pt")


# --- a folder -------------------------------------------------------------------------------------------------------


def test_arrays_become_the_sound_they_were_made_of(genres, tmp_path, tiny_config):
    assert inspect_folder(genres).kind == "spectrograms"
    assert (
        "real and imaginary spectrograms of shape (2, 513, 79)"
        in inspect_folder(genres).text
    )
    report = spectrograms_to_sound(
        genres, tmp_path / "sound", tiny_config, sample_rate=RATE
    )
    assert (report["problem"] == "").all() and len(report) == 6
    collection = open_collection(tmp_path / "sound")
    assert collection.genres == ("jazz", "rock") and len(collection) == 6
    heard = load_audio(report["path"][0], tiny_config)
    np.testing.assert_allclose(heard, tune(sample_rate=RATE)[: len(heard)], atol=2e-4)


@pytest.mark.parametrize(
    "change, most",
    [(np.abs, 3.0), (lambda s: librosa.amplitude_to_db(np.abs(s), ref=1.0), 3.0)],
)
def test_levels_survive_where_phases_were_left_out(tmp_path, tiny_config, change, most):
    """A magnitude has no phases; what is guessed for it keeps the log-mel level to a few dB where there is sound."""
    (tmp_path / "arrays" / "jazz").mkdir(parents=True)
    np.save(tmp_path / "arrays" / "jazz" / "a.npy", change(complex_stft()))
    report = spectrograms_to_sound(
        tmp_path / "arrays", tmp_path / "sound", tiny_config, sample_rate=RATE
    )
    times = seconds_frame_times(0.5, tiny_config)
    heard, real = load_audio(report["path"][0], tiny_config), tune(sample_rate=RATE)
    levels = [log_mel(samples, times, tiny_config) for samples in (heard, real)]
    assert np.abs(levels[0] - levels[1])[levels[1] > -50].mean() < most


def test_many_clips_with_labels_in_one_file(tmp_path, tiny_config):
    clips = np.stack([np.abs(complex_stft(pitch)) for pitch in (220.0, 330.0, 440.0)])
    np.savez(tmp_path / "all.npz", x=clips, y=np.array([4, 7, 4]))
    report = spectrograms_to_sound(
        tmp_path, tmp_path / "sound", tiny_config, sample_rate=RATE
    )
    assert report["genre"].tolist() == ["genre 4", "genre 7", "genre 4"]
    assert report["path"].nunique() == 3


def test_genres_and_artists_from_the_table_of_fma(tmp_path, tiny_config):
    write_tracks(
        tmp_path / "fma_metadata" / "tracks.csv",
        {
            2: ("Rock", "training", "small", 9),
            5: ("", "training", "small", 9),
            134: ("Folk", "test", "small", 3),
        },
    )
    for number in (2, 5, 134, 777):
        path = tmp_path / "stft" / f"{number:06d}.npy"
        path.parent.mkdir(exist_ok=True)
        np.save(path, complex_stft())
    report = spectrograms_to_sound(
        tmp_path / "stft",
        tmp_path / "sound",
        tiny_config,
        sample_rate=RATE,
        tables=tmp_path,
    )
    assert report["genre"].tolist() == ["Rock", "", "Folk", ""]
    assert report["problem"].tolist() == ["", "no genre", "", "no genre"]
    places = [
        path.relative_to(tmp_path / "sound").as_posix()
        for path in sorted((tmp_path / "sound").rglob("*.wav"))
    ]
    assert places == ["Folk/artist-3__000134.wav", "Rock/artist-9__000002.wav"]


def test_genres_from_the_table_of_the_original(tmp_path, tiny_config):
    (tmp_path / "labelconversion.csv").write_text(
        ",track_id,genre_top\n2,2,Hip-Hop\n6,20,Other\n"
    )
    for number in (2, 20):
        np.save(tmp_path / f"{number}.npy", complex_stft())
    report = spectrograms_to_sound(
        tmp_path, tmp_path / "sound", tiny_config, sample_rate=RATE
    )
    assert dict(zip(report["file"], report["problem"], strict=True)) == {
        "2.npy": "",
        "20.npy": "no genre",
    }


def test_it_goes_on_where_it_stopped(genres, tmp_path, tiny_config, monkeypatch):
    spectrograms_to_sound(genres, tmp_path / "sound", tiny_config, sample_rate=RATE)
    for path in sorted((tmp_path / "sound").rglob("*.wav"))[3:]:
        path.unlink()
    made = []
    write = spectrogram_folders.write_audio
    monkeypatch.setattr(
        spectrogram_folders,
        "write_audio",
        lambda path, *others: made.append(path) or write(path, *others),
    )
    report = spectrograms_to_sound(
        genres, tmp_path / "sound", tiny_config, sample_rate=RATE
    )
    assert (
        len(report) == 6 and 3 <= len(made) <= 4
    )  # the first once more, for the gain that all share


def test_one_gain_for_scaled_arrays(tmp_path, tiny_config):
    (tmp_path / "arrays" / "jazz").mkdir(parents=True)
    for number, loudness in enumerate((400.0, 100.0)):
        np.save(
            tmp_path / "arrays" / "jazz" / f"{number}.npy", loudness * complex_stft()
        )
    report = spectrograms_to_sound(
        tmp_path / "arrays", tmp_path / "sound", tiny_config, sample_rate=RATE
    )
    loud, soft = (
        np.abs(load_audio(path, tiny_config)).max() for path in report["path"]
    )
    assert loud == pytest.approx(0.5, abs=0.01) and soft == pytest.approx(
        loud / 4, abs=0.01
    )


def test_other_folders_are_told_apart(tmp_path, tiny_config):
    write_genres(tmp_path / "music")
    assert inspect_folder(tmp_path / "music").kind == "sound"
    for folder, name, kind, text in (
        ("pictures", "a.png", "pictures", "the sound cannot be had back"),
        ("texts", "a.txt", "unknown", "neither sound nor arrays"),
        ("damaged", "a.npy", "unknown", "none of which is known"),
    ):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_bytes(b"something")
        found = inspect_folder(tmp_path / folder)
        assert found.kind == kind and text in found.text
    assert (
        "damaged" in str(tmp_path / "damaged")
        and "cannot be read" in inspect_folder(tmp_path / "damaged").arrays["holds"][0]
    )
    with pytest.raises(ValueError, match="is no folder"):
        inspect_folder(tmp_path / "nowhere")
    with pytest.raises(
        ValueError, match="made no sound.*cannot be read as numbers alone"
    ):
        spectrograms_to_sound(tmp_path / "damaged", tmp_path / "sound", tiny_config)


def test_a_tensor_and_its_label_in_one_file(tmp_path, tiny_config):
    """As the original's data set returns them."""
    write_tensor_file(tmp_path / "a.pt", {"x": two_channels(complex_stft())}, {"1": 3})
    report = spectrograms_to_sound(
        tmp_path, tmp_path / "sound", tiny_config, sample_rate=RATE
    )
    assert report["genre"].tolist() == ["genre 3"]
