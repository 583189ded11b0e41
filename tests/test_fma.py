"""FMA: its layouts, its table, its faults."""

import csv
import sys
import types

import pytest
from generated_music import write_genres

from cvae_music.data import fma
from cvae_music.data.sources import open_collection

COLUMNS = [
    ("album", "title"),
    ("artist", "id"),
    ("artist", "name"),
    ("set", "split"),
    ("set", "subset"),
    ("track", "genre_top"),
    ("track", "license"),
]
SPLITS = ("training", "validation", "test")


def write_tracks(path, tracks):
    """Writes `tracks.csv` with its three header rows from `{number: (genre, split, subset, artist)}`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["", *(top for top, _ in COLUMNS)])
        writer.writerow(["", *(name for _, name in COLUMNS)])
        writer.writerow(["track_id", *[""] * len(COLUMNS)])
        for number, (genre, split, subset, artist) in tracks.items():
            writer.writerow(
                [number, "an album", artist, "someone", split, subset, genre, "CC BY"]
            )


def write_audio(folder, numbers):
    for number in numbers:
        path = folder / f"{number:06d}"[:3] / f"{number:06d}.mp3"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"not really an mp3")


@pytest.fixture
def tracks():
    """Two genres with one track in each split, each by an artist of its own."""
    return {
        n + 2: ("Rock" if n < 3 else "Folk", SPLITS[n % 3], "small", n)
        for n in range(6)
    }


@pytest.fixture
def fma_root(tmp_path, tracks):
    root = tmp_path / "fma"  # with nothing beside it
    write_tracks(root / "fma_metadata" / "tracks.csv", tracks)
    write_audio(root / "fma_small", tracks)
    return root


def reasons(collection):
    return dict(
        zip(collection.skipped["path"], collection.skipped["reason"], strict=True)
    )


def test_official_split_and_artists(fma_root):
    collection = fma.fma_collection(fma_root)
    assert collection.genres == ("Folk", "Rock")
    assert (collection.counts().to_numpy() == 1).all()
    assert collection.table["group"].tolist()[:2] == ["artist-0", "artist-1"]
    assert collection.name == "fma-small" and len(collection.skipped) == 0


@pytest.mark.parametrize("start", [".", "fma_small", "..", "fma_metadata"])
def test_found_from_any_folder_nearby(fma_root, start):
    assert len(fma.fma_collection(fma_root / start)) == 6


def test_doubled_folder_of_a_kaggle_mount(tmp_path, tracks, monkeypatch):
    mount = tmp_path / "input" / "datasets" / "somebody" / "fma"
    write_tracks(mount / "fma_metadata" / "tracks.csv", tracks)
    write_audio(mount / "fma_small" / "fma_small", tracks)
    monkeypatch.setattr(fma, "MOUNT", str(tmp_path / "input"))
    assert len(open_collection("fma")) == 6
    assert len(fma.fma_collection(mount / "fma_small")) == 6


def test_table_without_audio_and_audio_without_table(tmp_path, tracks):
    write_audio(tmp_path / "audio" / "fma_small", tracks)
    with pytest.raises(ValueError, match="no fma_metadata/tracks.csv"):
        fma.fma_collection(tmp_path / "audio")
    write_tracks(tmp_path / "audio" / "tables" / "tracks.csv", tracks)
    assert len(fma.fma_collection(tmp_path / "audio")) == 6


def test_subset_is_ordered_and_audio_folder_fits(fma_root, tracks):
    tracks |= {100 + n: ("Jazz", SPLITS[n], "medium", 100 + n) for n in range(3)}
    write_tracks(fma_root / "fma_metadata" / "tracks.csv", tracks)
    write_audio(fma_root / "fma_medium", tracks)
    assert fma.fma_collection(fma_root, subset="small").genres == ("Folk", "Rock")
    medium = fma.fma_collection(fma_root, subset="medium")
    assert medium.genres == ("Folk", "Jazz", "Rock")
    assert all("fma_medium" in path for path in medium.table["path"])
    # Clips of a larger subset are no fault of the smaller one.
    assert len(fma.fma_collection(fma_root / "fma_medium", subset="small").skipped) == 0


def test_faults_are_reported(fma_root, tracks):
    tracks |= {
        50: ("", "training", "small", 50),
        51: ("Rock", "training", "small", 51),
        98567: ("Rock", "training", "small", 52),
        99134: ("Rock", "training", "small", 53),
        60: ("Rock", "", "small", 54),
        61: ("Rock", "test", "small", 0),
        62: ("Rock", "training", "small", 0),
    }
    write_tracks(fma_root / "fma_metadata" / "tracks.csv", tracks)
    write_audio(fma_root / "fma_small", [50, 77, 98567, 99134, 60, 61, 62])
    collection = fma.fma_collection(fma_root)
    assert reasons(collection) == {
        "000/000050.mp3": "no genre",
        "000/000051.mp3": "missing file",
        "000/000077.mp3": "no row",
        "098/098567.mp3": "known bad clip",
        "099/099134.mp3": "known bad clip",
        "000/000060.mp3": "no split",
        "000/000061.mp3": "artist in another split",
    }
    assert len(collection) == 7


def test_genre_without_a_test_clip_is_left_out(fma_root, tracks):
    tracks[50] = ("Blues", "training", "small", 50)
    write_tracks(fma_root / "fma_metadata" / "tracks.csv", tracks)
    write_audio(fma_root / "fma_small", [50])
    collection = fma.fma_collection(fma_root)
    assert collection.genres == ("Folk", "Rock")
    assert reasons(collection) == {"000/000050.mp3": "genre with too few tracks"}


def test_missing_artist_makes_a_group_of_the_track(fma_root, tracks):
    tracks = {number: (*track[:3], "") for number, track in tracks.items()}
    write_tracks(fma_root / "fma_metadata" / "tracks.csv", tracks)
    assert fma.fma_collection(fma_root).table["group"].tolist() == [
        f"track-{number}" for number in sorted(tracks)
    ]


def test_is_fma_is_not_fooled_by_a_folder_of_genres_beside_it(fma_root):
    write_genres(fma_root / "corpus")
    assert not fma.is_fma(fma_root / "corpus")
    assert open_collection(fma_root / "corpus").genres == ("jazz", "rock")
    assert open_collection(fma_root).name == "fma-small"


@pytest.mark.parametrize("clip", ["tune.wav", "0001.mp3", "100002.mp3"])
def test_own_folders_of_three_digits_are_no_fma(tmp_path, tracks, clip):
    """Such folders once sent the search to whatever stands beside the music."""
    write_tracks(tmp_path / "fma_metadata" / "tracks.csv", tracks)
    for genre in ("jazz", "rock"):
        write_genres(tmp_path / "mine", (f"{genre}/001", f"{genre}/002"))
        (tmp_path / "mine" / genre / "001" / clip).write_bytes(b"x")
    assert not fma.is_fma(tmp_path / "mine") and not fma.is_fma(tmp_path)
    assert open_collection(tmp_path / "mine").genres == ("jazz", "rock")


def test_a_table_of_that_name_is_believed_by_its_header(tmp_path, fma_root):
    (fma_root / "tracks.csv").write_text("title,artist\nSong,Somebody\n")
    assert len(open_collection(fma_root)) == 6  # FMA's own table comes first
    playlist = tmp_path / "mine" / "tracks.csv"
    write_audio(playlist.parent / "clips", [2])
    playlist.write_text("title,artist\nSong,Somebody\n")
    assert not fma.is_fma(playlist.parent)


def test_clear_errors(tmp_path, fma_root, monkeypatch):
    with pytest.raises(ValueError, match="expected one of"):
        fma.fma_collection(fma_root, subset="tiny")
    monkeypatch.setattr(fma, "MOUNT", str(tmp_path / "no mount"))
    with pytest.raises(ValueError, match="no audio folder.*download=True"):
        open_collection("fma")
    (fma_root / "fma_metadata" / "tracks.csv").write_text("a,b\n1,2\n3,4\n")
    with pytest.raises(ValueError, match="is not FMA's tracks.csv"):
        fma.fma_collection(fma_root)


def test_download_only_on_request_and_with_a_version(tmp_path, fma_root, monkeypatch):
    monkeypatch.setattr(fma, "MOUNT", str(tmp_path / "no mount"))
    asked = []
    kagglehub = types.SimpleNamespace(
        dataset_download=lambda handle: asked.append(handle) or str(fma_root)
    )
    monkeypatch.setitem(sys.modules, "kagglehub", kagglehub)
    assert len(open_collection("fma", download=True)) == 6
    assert asked == [fma.KAGGLE_HANDLE] and "/versions/" in fma.KAGGLE_HANDLE

    def offline(handle):
        raise ConnectionError("no network")

    monkeypatch.setattr(kagglehub, "dataset_download", offline)
    with pytest.raises(ValueError, match="could not fetch.*no network"):
        fma.download_fma()
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(ImportError, match="pip install kagglehub"):
        fma.download_fma()
