"""Arrays of spectrograms: told from shape and values, read without pickle, made sound."""

import re
import zipfile

import librosa
import numpy as np
import pytest
from generated_music import tune, write_genres
from test_fma import write_tracks

from cvae_lab.notebook import spectrogram_folders
from cvae_lab.notebook.spectrogram_folders import (
    ArrayError,
    inspect_folder,
    read_arrays,
    spectrograms_to_sound,
    to_spectrogram,
)
from cvae_music.audio.analysis import log_mel, seconds_frame_times
from cvae_music.audio.files import load_audio
from cvae_music.data.sources import open_collection

RATE = 8000


def complex_stft(pitch=220.0):
    samples = tune(sample_rate=RATE, pitch=pitch)
    return librosa.stft(samples, n_fft=1024, hop_length=512)


def two_channels(spectrogram):
    """As the notebooks of the original stack them."""
    return np.stack([spectrogram.real, spectrogram.imag]).astype(np.float32)


def convert(folder, tmp_path, config):
    """The report of a folder whose sounds go to `sound`."""
    target = tmp_path / "sound"
    return spectrograms_to_sound(folder, target, config, sample_rate=RATE)


@pytest.fixture
def genres(tmp_path):
    """Three arrays in each of two folders of genres, in the original's layout."""
    for number, genre in enumerate(("jazz", "rock")):
        folder = tmp_path / "arrays" / genre
        folder.mkdir(parents=True)
        for track in range(3):
            spectrogram = complex_stft(220.0 * (number + 1) + 20 * track)
            np.save(folder / f"take{track}.npy", two_channels(spectrogram))
    return tmp_path / "arrays"


# --- arrays -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "change, is_complex",
    [
        (lambda s: s, True),
        (two_channels, True),
        (lambda s: np.moveaxis(two_channels(s), 0, -1), True),
        (np.abs, False),
        (lambda s: np.abs(s).T, False),
    ],
    ids=["complex", "original", "channels last", "magnitude", "turned"],
)
def test_known_layouts_become_one(change, is_complex):
    spectrogram = complex_stft()
    found = to_spectrogram(change(spectrogram))
    expected = spectrogram if is_complex else np.abs(spectrogram)
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(
    "array, message",
    [
        (np.ones((128, 430)), "no spectrogram: float64 of shape"),
        (np.array(["a"]), "no spectrogram"),
        (np.ones(513), "no spectrogram"),
        (np.ones((5, 513, 40)), "no spectrogram"),
        (np.random.default_rng(0).normal(size=(513, 40)), "with negative numbers"),
    ],
    ids=["mel bands", "text", "one spectrum", "batch", "standardised"],
)
def test_what_cannot_be_told_is_refused(array, message):
    with pytest.raises(ArrayError, match=message):
        to_spectrogram(array)


def test_nothing_in_a_file_is_executed(tmp_path):
    class Harmful:
        def __reduce__(self):
            return open, (str(tmp_path / "executed"), "w")

    np.save(tmp_path / "a.npy", np.array([Harmful()], object), allow_pickle=True)
    with pytest.raises(ArrayError, match=r"a.npy cannot be read as numbers"):
        read_arrays(tmp_path / "a.npy")
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize("ending", [".npy", ".npz"])
def test_a_header_that_asks_for_terabytes_is_refused(tmp_path, ending):
    path = tmp_path / f"a{ending}"
    header = {"descr": "<f4", "fortran_order": False, "shape": (10**12,)}
    with open(tmp_path / "claim", "wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
    claim = (tmp_path / "claim").read_bytes() + b"few bytes"
    if ending == ".npy":
        path.write_bytes(claim)
    else:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("x.npy", claim)
    with pytest.raises(ArrayError, match="cannot be read as numbers"):
        read_arrays(path)


def test_a_file_that_unpacks_too_large_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("cvae_music.serialization.MAX_BYTES", 1000)
    np.savez_compressed(tmp_path / "a.npz", x=np.zeros(1000))
    with pytest.raises(ArrayError, match="unpacks to"):
        read_arrays(tmp_path / "a.npz")


# --- a folder ---------------------------------------------------------------------


def test_arrays_become_the_sound_they_were_made_of(genres, tmp_path, tiny_config):
    found = inspect_folder(genres)
    assert found.kind == "spectrograms"
    assert "float32 of shape (2, 513, 79)" in found.text
    report = convert(genres, tmp_path, tiny_config)
    assert (report["problem"] == "").all() and len(report) == 6
    collection = open_collection(tmp_path / "sound")
    assert collection.genres == ("jazz", "rock") and len(collection) == 6
    heard = load_audio(report["path"][0], tiny_config)
    np.testing.assert_allclose(heard, tune(sample_rate=RATE)[: len(heard)], atol=2e-4)


def test_levels_survive_where_phases_were_left_out(tmp_path, tiny_config):
    """Estimated phases keep the log-mel level to a few dB where there is sound."""
    (tmp_path / "arrays" / "jazz").mkdir(parents=True)
    np.savez(tmp_path / "arrays" / "jazz" / "a.npz", x=np.abs(complex_stft()))
    report = convert(tmp_path / "arrays", tmp_path, tiny_config)
    times = seconds_frame_times(0.5, tiny_config)
    heard = load_audio(report["path"][0], tiny_config)
    real = tune(sample_rate=RATE)
    levels = [log_mel(samples, times, tiny_config) for samples in (heard, real)]
    assert np.abs(levels[0] - levels[1])[levels[1] > -50].mean() < 3.0


def test_genres_and_artists_from_the_table_of_fma(tmp_path, tiny_config):
    rows = {
        2: ("Rock", "training", "small", 9),
        5: ("", "training", "small", 9),
        134: ("Folk", "test", "small", 3),
    }
    write_tracks(tmp_path / "stft" / "fma_metadata" / "tracks.csv", rows)
    (tmp_path / "stft" / "000").mkdir(parents=True)
    for number in (2, 5, 134, 777):
        np.save(tmp_path / "stft" / "000" / f"{number:06d}.npy", complex_stft())
    report = convert(tmp_path / "stft", tmp_path, tiny_config)
    assert report["genre"].tolist() == ["Rock", "", "Folk", ""]
    assert report["problem"].tolist() == ["", "no genre", "", "no genre"]
    sounds = sorted((tmp_path / "sound").rglob("*.wav"))
    names = [path.relative_to(tmp_path / "sound").as_posix() for path in sounds]
    assert names == ["Folk/artist-3__000134.wav", "Rock/artist-9__000002.wav"]


def test_genres_from_the_table_of_the_original(tmp_path, tiny_config):
    table = ",track_id,genre_top\n2,2,Hip-Hop\n6,20,Other\n"
    (tmp_path / "labelconversion.csv").write_text(table)
    for number in (2, 20):
        np.save(tmp_path / f"{number}.npy", complex_stft())
    report = convert(tmp_path, tmp_path, tiny_config).set_index("file")
    assert report["problem"].to_dict() == {"2.npy": "", "20.npy": "no genre"}


def test_it_goes_on_where_it_stopped(genres, tmp_path, tiny_config, monkeypatch):
    convert(genres, tmp_path, tiny_config)
    for path in sorted((tmp_path / "sound").rglob("*.wav"))[3:]:
        path.unlink()
    made = []
    write = spectrogram_folders.write_audio

    def note(path, *others):
        made.append(path)
        write(path, *others)

    monkeypatch.setattr(spectrogram_folders, "write_audio", note)
    assert len(convert(genres, tmp_path, tiny_config)) == 6
    assert 3 <= len(made) <= 4  # the first once more, for the gain that all share


def test_one_gain_for_scaled_arrays(tmp_path, tiny_config):
    (tmp_path / "arrays" / "jazz").mkdir(parents=True)
    for number, loudness in enumerate((400.0, 100.0)):
        path = tmp_path / "arrays" / "jazz" / f"{number}.npy"
        np.save(path, loudness * complex_stft())
    report = convert(tmp_path / "arrays", tmp_path, tiny_config)
    peaks = [np.abs(load_audio(path, tiny_config)).max() for path in report["path"]]
    assert peaks[0] == pytest.approx(0.5, abs=0.01)
    assert peaks[1] == pytest.approx(peaks[0] / 4, abs=0.01)


@pytest.mark.parametrize(
    "name, message",
    [
        ("a.png", r"\(.png\).*A picture cannot become sound"),
        ("a.pt", r"\(.pt\).*Convert HDF5 and PyTorch files with np.save"),
        ("a.txt", r"\(.txt\), no sound or spectrograms"),
        ("a.npy", "a.npy cannot be read as numbers"),
    ],
)
def test_other_folders_say_what_they_hold_and_what_to_do(tmp_path, name, message):
    (tmp_path / name).write_bytes(b"something")
    found = inspect_folder(tmp_path)
    assert found.kind == "unknown"
    assert re.search(message, found.text)


def test_sound_is_told_and_a_folder_that_is_none_is_refused(tmp_path, tiny_config):
    write_genres(tmp_path / "music")
    assert inspect_folder(tmp_path / "music").kind == "sound"
    with pytest.raises(ValueError, match="is no folder"):
        inspect_folder(tmp_path / "nowhere")
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "a.npy").write_bytes(b"something")
    with pytest.raises(ValueError, match="made no sound.*cannot be read as numbers"):
        convert(tmp_path / "damaged", tmp_path, tiny_config)
