"""What strangers bring: each kind of file, folder, label and argument that once did harm, on its smallest case."""

import ast
import errno
import io
import json
import mmap
import os
import shutil
import struct
import subprocess
import sys
import zipfile
from types import SimpleNamespace

import filelock
import keras
import numpy as np
import pandas as pd
import pytest
import soundfile
import soxr
import tensorflow as tf
from generated_music import tune, write_genres, write_tune

import cvae_music as cm
from cvae_lab.judges import classifiers
from cvae_lab.measures import scoreboard, scores
from cvae_music import saving, serialization
from cvae_music.audio import files, vocoder
from cvae_music.callbacks import Backup
from cvae_music.config import AudioConfig
from cvae_music.controls import Controls, load_controls
from cvae_music.data import cache
from cvae_music.data.extraction import extract_source
from cvae_music.data.features import FeatureSet, build_features, load_features
from cvae_music.data.sources import (
    folder_collection,
    known_factor_collection,
    open_collection,
)
from cvae_music.models.latent_density import fit_latent_density
from cvae_music.studio import sounds
from cvae_music.training import train
from known_music import compose, draw_factors

SIZE = {"global_dim": 3, "local_dim": 2, "width": 40, "depth": 1}
QUIET = {"num_workers": 1, "progress": False}


def reasons(collection):
    return dict(
        zip(collection.skipped["path"], collection.skipped["reason"], strict=True)
    )


def splits(collection):
    return dict(
        zip(collection.table["source_id"], collection.table["split"], strict=True)
    )


@pytest.fixture
def eager():
    tf.config.run_functions_eagerly(True)
    yield
    tf.config.run_functions_eagerly(False)


@pytest.fixture
def features(tiny_config):
    """Twelve clips of two genres in each split."""
    genre = np.arange(36) % 2
    clips = np.full((36, *tiny_config.shape), -60.0, np.float16)
    clips[np.arange(36), :, 2 + np.arange(36) % 11] = np.where(genre, -40.0, -10.0)[
        :, None
    ]
    table = pd.DataFrame(
        {
            "genre": np.array(["loud", "soft"])[genre],
            "split": np.repeat(["train", "validation", "test"], 12),
            "grid": "known",
            "clip_id": [f"clip {k}" for k in range(36)],
            "path": "",
        }
    )
    return FeatureSet(tiny_config, ("loud", "soft"), table, clips, table[:0], None)


@pytest.fixture
def model(tiny_config):
    keras.utils.set_random_seed(0)
    return cm.ConditionalVAE(tiny_config, genres=("loud", "soft"), **SIZE)


# --- names ----------------------------------------------------------------------------------------------------------


def test_names_that_are_no_utf8_cost_a_line_and_the_rest_is_read(tmp_path, tiny_config):
    root = write_genres(tmp_path / "music", ("jazz", "rock", "valse"), num_tracks=4)
    os.rename(
        root / "jazz" / "track0.wav", os.fsencode(root / "jazz") + b"/caf\xe9.wav"
    )
    os.rename(root / "valse", os.fsencode(root) + b"/vals\xe9")
    collection = folder_collection(root)
    assert collection.genres == ("jazz", "rock") and len(collection) == 7
    assert (
        reasons(collection)["jazz/caf\\udce9.wav"] == "name is not UTF-8"
        and len(collection.skipped) == 5
    )
    features = build_features(collection, tiny_config, tmp_path / "cache", **QUIET)
    assert set(features.table["source_id"]) == set(collection.table["source_id"])
    mine = os.fsdecode(os.fsencode(root / "jazz") + b"/caf\xe9.wav")
    assert (
        cm.load_first_window(mine, tiny_config).name == "caf\\udce9.wav"
    )  # one's own clip is read, and can be named
    with pytest.raises(files.AudioError, match="caf.*no such piece") as caught:
        cm.load_first_window(mine, tiny_config, start=-1)
    str(caught.value).encode()
    os.mkdir(os.fsencode(tmp_path) + b"/caf\xe9")
    with pytest.raises(ValueError, match="in UTF-8, of a folder"):
        open_collection(tmp_path / os.fsdecode(b"caf\xe9"))


def test_names_of_any_letters_survive_the_cache(tmp_path, tiny_config):
    names = [
        'a, "b"',
        "two\nlines",
        "tab\tand\rreturn",
        "NA",
        "été",
        "#1 'hit'",
        "-3",
        " spaced ",
        "=SUM(A1)",
    ]
    for number, name in enumerate(names):
        write_tune(tmp_path / "music" / "NaN" / f"{name}.wav", pitch=200.0 + number)
        write_tune(
            tmp_path / "music" / "été" / f"{name}.wav", pitch=300.0 + number
        )  # é in two signs
    collection = folder_collection(tmp_path / "music")
    features = build_features(collection, tiny_config, tmp_path / "cache", **QUIET)
    assert (
        collection.genres == features.genres == ("NaN", "été") and features.report.empty
    )
    assert sorted(set(features.table["source_id"])) == sorted(
        collection.table["source_id"]
    )
    assert features.table["path"].map(os.path.exists).all()


# --- links and folders ----------------------------------------------------------------------------------------------


def test_linked_genres_are_read_and_loops_end(tmp_path):
    here = write_genres(tmp_path / "elsewhere", ("jazz", "rock"))
    root = tmp_path / "music"
    root.mkdir()
    for genre in ("jazz", "rock"):
        (root / genre).symlink_to(here / genre)
    (here / "jazz" / "loop").symlink_to(root)
    (here / "jazz" / "again").symlink_to(here / "jazz")
    (root / "jazz" / "gone.wav").symlink_to(root / "nowhere.wav")
    (root / "polka").symlink_to(root / "no folder")
    collection = folder_collection(root)
    assert collection.genres == ("jazz", "rock") and len(collection) == 6
    found = {
        os.path.basename(path): reason for path, reason in reasons(collection).items()
    }
    assert found.pop("polka") == "not audio"
    assert found == {
        "loop": "folder read already",
        "again": "folder read already",
        "gone.wav": "no file",
    }


def test_a_link_beside_its_folder_does_not_take_its_place(tmp_path):
    root = write_genres(tmp_path)
    (root / "a link to rock").symlink_to(root / "rock")
    collection = folder_collection(root)
    assert collection.genres == ("jazz", "rock") and list(
        reasons(collection).values()
    ) == ["folder read already"]


def test_linked_fma_is_found(tmp_path):
    write_fma(
        tmp_path / "disk",
        {n + 2: ("Rock" if n < 3 else "Folk", n % 3, "small") for n in range(6)},
    )
    (tmp_path / "here").mkdir()
    for name in ("fma_small", "fma_metadata"):
        (tmp_path / "here" / name).symlink_to(tmp_path / "disk" / name)
    assert len(open_collection(tmp_path / "here")) == 6


def test_folders_of_the_system_are_no_genre(tmp_path):
    root = write_genres(tmp_path)
    write_genres(
        root,
        (
            "$RECYCLE.BIN",
            "System Volume Information",
            "__MACOSX",
            "@eaDir",
            "lost+found",
        ),
    )
    collection = folder_collection(root)
    assert collection.genres == ("jazz", "rock") and set(
        reasons(collection).values()
    ) == {"hidden file"}
    assert len(collection.skipped) == 15


def test_only_files_are_opened(tmp_path):
    root = write_genres(tmp_path)
    os.mkfifo(root / "jazz" / "pipe.wav")  # whoever opens it waits for ever
    assert reasons(folder_collection(root)) == {"jazz/pipe.wav": "no file"}


def test_files_that_vanish_before_they_are_read_cost_a_line(tmp_path, tiny_config):
    collection = folder_collection(write_genres(tmp_path / "music", num_tracks=5))
    gone = collection.table.query("split == 'train'").iloc[0]
    os.remove(gone["path"])
    assert collection.key() != folder_collection(tmp_path / "music").key()
    features = build_features(collection, tiny_config, tmp_path / "cache", **QUIET)
    assert features.report[["path", "reason"]].values.tolist() == [
        [gone["source_id"], "missing"]
    ]


# --- what a folder is -----------------------------------------------------------------------------------------------


def test_endings_are_one_list_and_named(tmp_path):
    for genre in ("jazz", "rock"):
        for number in range(3):
            soundfile.write(
                write_path(tmp_path / genre / f"{number}.aiff"),
                tune(pitch=200 + number),
                8000,
                format="AIFF",
            )
    assert len(folder_collection(tmp_path)) == 6
    for path in list(tmp_path.rglob("*.aiff")):
        path.rename(path.with_suffix(".m4a"))
    with pytest.raises(
        ValueError,
        match=r"6 × format not read.*\.wav, \.mp3, \.ogg, \.flac, \.aiff.*\.opus",
    ):
        folder_collection(tmp_path)
    with pytest.raises(files.AudioError, match=r"no such file.*\.opus"):
        cm.load_first_window(tmp_path / "none.wav", AudioConfig())


def write_path(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


@pytest.mark.parametrize("last", ["test", "eval", "holdout"])
def test_ready_made_splits_are_used(tmp_path, last):
    for number, split in enumerate(("train", "valid", last)):
        write_genres(tmp_path / split, num_tracks=4, tempo=100.0 + number)
    collection = folder_collection(tmp_path)
    assert collection.genres == ("jazz", "rock") and len(collection) == 24
    names = {"train": "train", "valid": "validation", last: "test"}
    assert all(
        names[source.partition("/")[0]] == split
        for source, split in splits(collection).items()
    )


def test_a_split_that_is_not_ready_made_is_dealt_from_training(tmp_path):
    write_genres(tmp_path / "Train", num_tracks=10)
    write_genres(tmp_path / "Test", num_tracks=4, tempo=100.0)
    collection = folder_collection(tmp_path)
    assert collection.counts().to_numpy().tolist() == [[9, 1, 4], [9, 1, 4]]
    assert all(
        split == "test"
        for source, split in splits(collection).items()
        if source.startswith("Test/")
    )
    shutil.rmtree(tmp_path / "Test")
    assert folder_collection(tmp_path).counts().to_numpy().tolist() == [
        [8, 1, 1],
        [8, 1, 1],
    ]


def test_what_stands_beside_ready_made_splits_is_no_genre(tmp_path):
    for number, split in enumerate(("training", "testing", "unlabelled")):
        write_genres(tmp_path / split, num_tracks=5, tempo=100.0 + number)
    collection = folder_collection(tmp_path)
    assert collection.genres == ("jazz", "rock") and len(collection) == 20
    assert (
        set(collection.skipped["reason"]) == {"no genre"}
        and len(collection.skipped) == 10
    )


def test_a_copy_across_ready_made_splits_stays_in_one(tmp_path):
    write_genres(tmp_path / "train", num_tracks=6)
    for split, tempo in (("test", 100.0), ("validation", 90.0)):
        write_genres(tmp_path / split, num_tracks=3, tempo=tempo)
    shutil.copy(
        tmp_path / "test" / "jazz" / "track0.wav",
        tmp_path / "train" / "jazz" / "copy.wav",
    )
    collection = folder_collection(tmp_path)
    used = {"test/jazz/track0.wav", "train/jazz/copy.wav"} & set(
        collection.table["source_id"]
    )
    assert len(used) == 1 and "recording or artist in another split" in set(
        collection.skipped["reason"]
    )


def test_a_genre_called_test_is_a_genre(tmp_path):
    assert folder_collection(write_genres(tmp_path, ("jazz", "test"))).genres == (
        "jazz",
        "test",
    )


def test_an_archive_root_names_the_folder_inside(tmp_path, monkeypatch):
    write_genres(tmp_path / "gtzan" / "Data" / "genres_original")
    (tmp_path / "gtzan" / "Data" / "features.csv").write_text("a,b")
    for root, inner in (
        ("gtzan", r"gtzan.Data.genres_original"),
        ("gtzan/Data", "genres_original"),
    ):
        with pytest.raises(
            ValueError,
            match=f"one subfolder a genre. Pass '.*{inner}' if the genres are there",
        ):
            folder_collection(tmp_path / root)
    monkeypatch.chdir(tmp_path / "gtzan" / "Data" / "genres_original")
    assert folder_collection(".").genres == ("jazz", "rock")
    shutil.rmtree("rock")
    assert folder_collection(".").genres == ("jazz",)


@pytest.mark.parametrize("ending", ["wav", "flac"])
def test_copies_of_a_recording_stay_together_and_are_told(tmp_path, ending):
    root = write_genres(tmp_path, num_tracks=6)
    samples, rate = soundfile.read(root / "jazz" / "track0.wav")
    for number in range(6):
        soundfile.write(
            root / "jazz" / f"copy {number}.{ending}", samples, rate, subtype="PCM_16"
        )
    collection = folder_collection(root)
    assert (
        len(
            {
                splits(collection)[f"jazz/{name}"]
                for name in ["track0.wav", *(f"copy {k}.{ending}" for k in range(6))]
            }
        )
        == 1
    )
    assert (
        collection.table["group"].nunique() == 12
        and (collection.skipped["reason"] == "same recording").sum() == 6
    )


def test_a_genre_of_copies_is_one_track(tmp_path):
    root = write_genres(tmp_path, ("jazz", "rock"))
    for name in ("a", "b"):
        write_tune(root / "polka" / f"{name}.wav", pitch=100.0)
        write_tune(root / "polka" / f"{name}__01.wav", pitch=100.0)
    assert (
        "genre with too few tracks"
        in folder_collection(root).skipped["reason"].to_list()
    )


def test_silent_beginnings_are_no_likeness(tmp_path):
    quiet = np.zeros(8000 * 11, np.float32)
    for number in range(3):
        for genre in ("jazz", "rock"):
            folder = tmp_path / genre
            write_tune(folder / f"{number}.wav", pitch=200.0 + number, seconds=2.5)
            late = np.append(quiet, tune(pitch=300.0 + number))
            soundfile.write(folder / f"late {number}.wav", late, 8000)
            pitch = 97.0 * number + len(genre) + ord(genre[0])
            led_in = np.append(quiet[:4000], tune(pitch=pitch))
            soundfile.write(folder / f"led in {number}.wav", led_in, 8000)
    skipped = folder_collection(tmp_path).skipped
    assert set(skipped["reason"]) == {"same recording"}
    names = ["0.wav", "1.wav", "2.wav", "late 0.wav", "late 1.wav", "late 2.wav"]
    assert skipped["path"].tolist() == [f"rock/{name}" for name in names]
    assert skipped["detail"].tolist() == [
        f"as jazz/{name}; kept in one split" for name in names
    ]


@pytest.fixture(scope="module")
def pieces():
    """Eighteen recordings of eight seconds at 22050 Hz, as different as those of real music."""
    rows = [row for _, row in draw_factors(18, seed=5).iterrows()]
    return [np.resize(compose(row), 8 * 22050).astype(np.float32) for row in rows]


def copy_of(samples):
    """The same recording, softer and with silence in front."""
    return 0.89 * np.append(np.zeros(6615, np.float32), samples)


@pytest.mark.parametrize("ending", ["mp3", "ogg", "opus"])
def test_copies_in_another_format_stay_together(tmp_path, pieces, ending):
    """A song as FLAC and as MP3, silence in front, softer, at another rate, was once in training and in test."""
    for number, samples in enumerate(pieces):
        folder = tmp_path / ("jazz", "rock")[number % 2]
        folder.mkdir(exist_ok=True)
        soundfile.write(folder / f"{number:02d}.flac", samples, 22050)
        if number % 4 == 0:
            rate = 48000 if ending == "opus" else 44100
            options = {"format": "OGG", "subtype": "OPUS"} if ending == "opus" else {}
            other = soxr.resample(copy_of(samples), 22050, rate)
            path = folder / f"{number:02d} live.{ending}"
            soundfile.write(path, other, rate, **options)
    collection = folder_collection(tmp_path)
    assert set(collection.skipped["reason"]) == {"same recording"}
    assert len(collection.skipped) == 5
    found = splits(collection)
    for number in range(0, 18, 4):
        copies = [f"jazz/{number:02d}.flac", f"jazz/{number:02d} live.{ending}"]
        assert found[copies[0]] == found[copies[1]]
    assert collection.table["group"].nunique() == 18


def test_copies_with_another_beginning_stay_together(tmp_path, pieces):
    """Cut three seconds later, noise of a needle in front, a fade-in, an equaliser."""
    noise = 0.02 * np.random.default_rng(0).standard_normal(44100).astype(np.float32)
    ramp = np.minimum(1.0, np.arange(len(pieces[0])) / 66150).astype(np.float32)
    changes = (
        lambda samples: samples[66150:],
        lambda samples: np.append(noise, samples),
        lambda samples: ramp * samples,
        lambda samples: samples + 0.5 * np.roll(samples, 3),
    )
    for number, samples in enumerate(pieces):
        path = write_path(tmp_path / ("jazz", "rock")[number % 2] / f"{number:02d}.wav")
        soundfile.write(path, samples, 22050)
        if number < len(changes):
            other = np.stack([changes[number](samples)] * 2, axis=1)
            soundfile.write(path.with_suffix(".flac"), other, 22050)
    collection = folder_collection(tmp_path)
    assert collection.skipped["reason"].tolist() == ["same recording"] * len(changes)
    assert collection.table["group"].nunique() == len(pieces)


def test_a_copy_costs_its_artist_no_other_track(tmp_path, pieces):
    for number, split in enumerate(("train", "validation", "test")):
        for track in range(6):
            genre = ("jazz", "rock")[track % 2]
            path = write_path(
                tmp_path / split / genre / f"artist {number}" / f"{track}.wav"
            )
            soundfile.write(path, pieces[6 * number + track], 22050)
    shutil.copy(
        tmp_path / "test" / "jazz" / "artist 2" / "0.wav",
        tmp_path / "train" / "jazz" / "artist 0" / "copy.wav",
    )
    collection = folder_collection(tmp_path)
    assert len(collection) == 18 and "test/jazz/artist 2/0.wav" in splits(collection)
    assert collection.skipped.values.tolist() == [
        [
            "train/jazz/artist 0/copy.wav",
            "recording or artist in another split",
            "the same recording as test/jazz/artist 2/0.wav",
        ]
    ]


def test_an_artist_is_one_whatever_the_spelling(tmp_path):
    for genre in ("jazz", "rock"):
        for artist in range(5):
            write_tune(
                tmp_path / genre / f"{genre} {artist}" / "a.wav", pitch=200.0 + artist
            )
    spellings = ("Sigur Rós", "sigur ros", "Sigur-Ros ", "Sigur Ro\u0301s")
    for number, artist in enumerate(spellings):
        write_tune(tmp_path / "rock" / artist / "b.wav", pitch=500.0 + number)
    table = folder_collection(tmp_path).table
    same = table[table["path"].str.endswith("b.wav")]
    assert len(same) == 4 and same["split"].nunique() == same["group"].nunique() == 1


def test_splits_whose_genres_are_spelled_otherwise_are_splits(tmp_path):
    write_genres(tmp_path / "train", ("Hip-Hop",), num_tracks=6)
    write_genres(tmp_path / "test", ("hip hop",), num_tracks=3, tempo=100.0)
    collection = folder_collection(tmp_path)
    assert collection.genres == ("Hip-Hop",)
    assert set(collection.skipped["reason"]) == {
        "genre with too few tracks",
        "name nearly the same",
    }


def test_a_genre_in_a_format_that_is_not_read_is_named(tmp_path, tiny_config):
    root = write_genres(tmp_path / "music")
    for number in range(5):
        write_path(root / "polka" / f"{number}.M4A").write_bytes(b"sound")
    write_path(root / "covers" / "front.jpg").write_bytes(b"picture")
    collection = folder_collection(root)
    assert collection.genres == ("jazz", "rock")
    assert collection.skipped["reason"].value_counts().to_dict() == {
        "format not read": 5,
        "not audio": 1,
        "genre with too few tracks": 1,
    }
    assert "ending '.m4a'" in collection.skipped["detail"].iloc[1]
    features = build_features(collection, tiny_config, tmp_path / "cache", **QUIET)
    assert "5 format not read" in features.summary()
    assert "too few tracks: genre 'polka' has nothing in: train" in features.summary()


@pytest.mark.parametrize(
    "name, reason",
    [
        ("tune.mkv", "format not read"),
        ("tune.mid", "format not read"),
        ("tune.wave", "format not read"),
        ("tune.mp3.part", "not downloaded"),
        (".tune.mp3.icloud", "not downloaded"),
    ],
)
def test_a_genre_of_which_nothing_can_be_read_does_not_vanish(tmp_path, name, reason):
    root = write_genres(tmp_path)
    write_path(root / "polka" / name).write_bytes(b"sound")
    collection = folder_collection(root)
    assert reasons(collection) == {
        f"polka/{name}": reason,
        "polka": "genre with too few tracks",
    }


def test_names_nearly_the_same_are_told_where_the_features_are_made(
    tmp_path, tiny_config
):
    root = write_genres(tmp_path / "music", ("Rock", "rock\u200b"))
    features = build_features(folder_collection(root), tiny_config, tmp_path, **QUIET)
    assert "'rock\\u200b' and 'Rock' are two genres here" in features.summary()


def test_splits_are_splits_with_a_space_or_a_hyphen_in_their_names(tmp_path):
    for number, split in enumerate(("Train ", "TEST", "-validation-")):
        write_genres(tmp_path / split, tempo=100.0 + number)
    collection = folder_collection(tmp_path)
    assert collection.counts().to_numpy().tolist() == [[3, 3, 3], [3, 3, 3]]


@pytest.mark.parametrize(
    "name, content, said",
    [
        ("tunes.zip", b"PK\3\4", "archive. Unpack it first"),
        ("tunes.m3u8", b"#EXTM3U\n", "playlist. Copy the files"),
        ("tune.lnk", b"L\0\0\0\1\x14\2\0", "link to a file. Copy"),
        ("tune", b"", "it holds sound: rename it"),
        ("tune.wav (1)", b"", "it holds sound: rename it"),
        ("tune.wave", b"", "it holds sound: rename it"),
        ("tune.odd", b"\0\0\0 ftypM4A ", "MPEG-4 file. Convert it"),
        ("tune.xm", b"Extended Module", "convert it"),
    ],
)
def test_a_genre_of_files_of_any_ending_is_named_with_what_they_are(
    tmp_path, name, content, said
):
    root = write_genres(tmp_path)
    content = content or (root / "jazz" / "track0.wav").read_bytes()
    write_path(root / "polka" / name).write_bytes(content)
    skipped = folder_collection(root).skipped
    assert skipped["reason"].tolist() == [
        "format not read",
        "genre with too few tracks",
    ]
    assert said in skipped["detail"][0] and skipped["path"][1] == "polka"


def test_folders_that_are_empty_or_closed_are_named(tmp_path, monkeypatch):
    root = write_genres(tmp_path / "music")
    for name in ("polka", "waltz", ".cache", "lost+found"):
        (root / name).mkdir()
    scan = os.scandir

    def refuse(path):
        if os.path.basename(path) in ("waltz", "lost+found"):
            raise PermissionError(13, "Permission denied", path)
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    collection = folder_collection(root)
    assert reasons(collection) == {
        "polka/": "empty folder",
        ".cache/": "empty folder",
        "waltz/": "unreadable folder",
        "lost+found/": "unreadable folder",
        "polka": "genre with too few tracks",
        "waltz": "genre with too few tracks",
    }
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"left out: 1 × empty folder\)"):
        folder_collection(tmp_path / "empty")


def test_files_in_a_folder_that_may_not_be_entered_cost_a_line(tmp_path, monkeypatch):
    def refuse(path):
        raise PermissionError(13, "Permission denied")

    root = write_genres(tmp_path)
    monkeypatch.setattr(type(root), "is_file", refuse)
    assert len(folder_collection(root)) == 6


@pytest.mark.parametrize(
    "names, are_near",
    [
        (("Drum & Bass", "Drum and Bass"), True),
        (("R&B", "RnB"), True),
        (("Rock and Roll", "Rock \u2019n\u2019 Roll"), True),
        (("hip_hop", "hip\u2011hop"), True),
        (("Rock", "Ｒｏｃｋ"), True),
        (("Straße", "STRASSE"), True),
        (("Band", "Bad"), False),
        (("Android", "nroid"), False),
        (("カ", "ガ"), False),
        (("कि", "का"), False),
        (("???", "!!!"), False),
    ],
)
def test_names_are_nearly_one_or_not(tmp_path, names, are_near):
    skipped = folder_collection(write_genres(tmp_path, names)).skipped
    assert skipped["reason"].tolist() == ["name nearly the same"] * are_near


@pytest.mark.parametrize("num_soft, said", [(4, False), (3, True)])
def test_unequal_genres_are_counted(features, num_soft, said):
    genre = ["loud"] * 12 + ["soft"] * num_soft
    table = features.table[: len(genre)].assign(genre=genre, split="train")
    table["source_id"] = table["clip_id"]
    part = FeatureSet(
        features.config,
        ("loud", "soft"),
        table,
        features.log_mel[: len(genre)],
        table[:0],
    )
    line = f"Unequal genres: loud 12 clips of 12 sources, soft {num_soft} clips of"
    assert (line in part.summary()) == (said and line in part.summary())
    assert ("Unequal" in part.summary()) == said


def test_clips_joined_by_hand_keep_their_splits_apart(features):
    config, log_mel = features.config, features.log_mel[:4]
    table = features.table[:4].assign(path=["a.wav", "b.wav", "c.wav", "a.wav"])
    for change, said in (
        (
            {"split": ["train", "train", "train", "test"]},
            "paths in two splits: .'a.wav",
        ),
        ({"split": "training"}, r"got split \['training'\]; expected some of"),
        ({"genre": "Soft"}, r"got genre \['Soft'\]; expected some of \['loud', 'soft'"),
    ):
        with pytest.raises(ValueError, match=said):
            FeatureSet(config, features.genres, table.assign(**change), log_mel, table)


# --- disks, places, consoles ------------------------------------------------------------


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_disk_without_locks_holds_a_cache(tmp_path, tiny_config, monkeypatch, number):
    def refuse(self, *args, **kwargs):
        raise OSError(number, "no locks here")

    monkeypatch.setattr(filelock.FileLock, "acquire", refuse)
    collection = known_factor_collection(18)
    assert len(build_features(collection, tiny_config, tmp_path, **QUIET)) == 18


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS])
def test_a_disk_that_cannot_be_asked_to_flush_holds_a_cache(
    tmp_path, tiny_config, monkeypatch, number
):
    def refuse(file):
        raise OSError(number, "no fsync here")

    monkeypatch.setattr(os, "fsync", refuse)
    collection = known_factor_collection(18)
    assert len(build_features(collection, tiny_config, tmp_path, **QUIET)) == 18


def test_a_folder_of_the_longest_name_has_a_cache(tmp_path, tiny_config):
    collection = folder_collection(write_genres(tmp_path / ("m" * 255)))
    features = build_features(collection, tiny_config, tmp_path / "cache", **QUIET)
    assert features.genres == ("jazz", "rock")


@pytest.mark.parametrize("kept", [0, 0.5])
@pytest.mark.parametrize("ending", ["json", "npy"])
def test_a_shard_cut_short_is_made_again_and_no_other(
    tmp_path, tiny_config, ending, kept, monkeypatch
):
    monkeypatch.setattr(cache, "SHARD_SIZE", 9)
    collection = known_factor_collection(18)
    whole = build_features(collection, tiny_config, tmp_path, **QUIET)
    expected = np.asarray(whole.log_mel)
    path = whole.path / f"shard-00001.{ending}"
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    (whole.path / "meta.json").unlink()  # as the message asks, or it was not there yet
    other = whole.path / "shard-00000.npy"
    before = other.stat()
    again = build_features(collection, tiny_config, tmp_path, **QUIET)
    np.testing.assert_array_equal(again.log_mel, expected)
    assert other.stat() == before and path.read_bytes() == content


def test_a_cache_is_read_without_memory_maps_and_not_past_its_end(
    tmp_path, tiny_config, monkeypatch
):
    features = build_features(
        known_factor_collection(18), tiny_config, tmp_path, **QUIET
    )
    monkeypatch.setattr(np, "memmap", None)
    monkeypatch.setattr(mmap, "mmap", None)
    assert np.isfinite(np.asarray(features.log_mel)).all()
    path = features.path / "shard-00000.npy"
    os.truncate(path, path.stat().st_size - 1)  # while it is open
    np.testing.assert_array_equal(features.log_mel[16], features.log_mel[[16]][0])
    with pytest.raises(ValueError, match="damaged .it ends before clip 17.. Delete it"):
        features.log_mel[17]


def test_music_keeps_its_cache_wherever_it_moves(tmp_path, tiny_config):
    """A root with another name, another disk's way to write accents, other times."""
    root = write_genres(tmp_path / "music", ("Be\u0301bop", "rock"), num_tracks=4)
    first = build_features(folder_collection(root), tiny_config, tmp_path, **QUIET)
    moved = root.rename(tmp_path / "music (1)")
    (moved / "Be\u0301bop").rename(moved / "B\xe9bop")
    os.utime(moved / "rock" / "track0.wav", (1, 1))
    again = build_features(folder_collection(moved), tiny_config, tmp_path, **QUIET)
    assert again.path == first.path and again.key() == first.key()
    assert again.table["path"].map(os.path.exists).all()


def test_a_cache_is_that_of_the_music_on_any_system(tmp_path, tiny_config, monkeypatch):
    """Windows ends lines in another way, versions of Python dump code in another way."""
    collection = folder_collection(write_genres(tmp_path / "music"))
    features = build_features(collection, tiny_config, tmp_path / "cache", **QUIET)
    key = features.key()
    monkeypatch.setattr(os, "linesep", "\r\n")
    dump = ast.dump

    def dump_as_other_versions(tree):
        text = dump(tree).replace("decorator_list=", "type_params=[], decorator_list=")
        return text.replace("keywords=[]", "").replace("posonlyargs=[], ", "")

    monkeypatch.setattr(ast, "dump", dump_as_other_versions)
    cache.code_key.cache_clear()
    again = build_features(collection, tiny_config, tmp_path / "cache", **QUIET)
    cache.code_key.cache_clear()
    assert again.path == features.path and again.key() == key


def test_a_cache_may_be_in_the_home_folder_and_not_at_a_url(
    tmp_path, tiny_config, monkeypatch
):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    collection = known_factor_collection(18)
    features = build_features(collection, tiny_config, "~/my cache #1", **QUIET)
    assert len(load_features(f"~/my cache #1/{features.path.name}")) == 18
    with pytest.raises(ValueError, match="cache_dir='s3://b/x'; expected a folder on"):
        build_features(collection, tiny_config, "s3://b/x", **QUIET)
    assert [path.name for path in tmp_path.iterdir()] == ["my cache #1"]


def test_what_is_no_path_of_music_is_told_as_it_came(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for data in (None, ["music"], tmp_path / "none", "Known", "s3://bucket/music"):
        with pytest.raises(ValueError, match="expected 'known', 'fma', or the") as said:
            open_collection(data)
        assert f"got data={data!r};" in str(said.value)


def test_a_changed_byte_anywhere_in_a_small_file_is_noticed(tmp_path):
    root = write_genres(tmp_path)
    path = root / "jazz" / "track1.wav"
    content = bytearray(path.read_bytes())
    keys = {folder_collection(root).key()}
    for place in (1000, len(content) // 3, len(content) * 2 // 3, len(content) - 1):
        changed = content.copy()
        changed[place] ^= 1
        path.write_bytes(changed)
        keys.add(folder_collection(root).key())
    assert len(keys) == 5


def test_summaries_are_printed_on_consoles_that_lack_letters(
    tmp_path, tiny_config, monkeypatch
):
    root = write_genres(tmp_path / "music", ("音楽", "rock"), num_tracks=3)
    write_tune(root / "曲" / "one.wav")
    console = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", console)
    build_features(folder_collection(root), tiny_config, tmp_path, num_workers=1)
    console.flush()
    printed = console.buffer.getvalue().decode("cp1252")
    assert "clips of 2 genres" in printed and "genre '\\u66f2' has nothing" in printed


@pytest.mark.parametrize("num_genres", [1, 2])
def test_pointers_for_music_say_what_to_do(tmp_path, tiny_config, num_genres):
    pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
    for genre in ("jazz", "rock")[:num_genres]:
        for number in range(3):
            write_path(tmp_path / genre / f"{number}.mp3").write_bytes(pointer)
    with pytest.raises(ValueError, match=r"\d × Git LFS pointer.*git lfs pull"):
        build_features(
            folder_collection(tmp_path), tiny_config, tmp_path / "cache", **QUIET
        )


@pytest.mark.parametrize(
    "content, said",
    [
        (b"\xef\xbb\xbf<!-- saved -->", "web page.*download it again"),
        (b"<Error><Code>NoSuchKey</Code></Error>", "web page"),
        ("<html>".encode("utf-16"), "web page"),
        (b"404: Not Found", "unreadable. It holds text, '404: Not Found'"),
        (b"[InternetShortcut]\nURL=x", "link to a page. Download"),
        (b"\x89PNG\r\n" + bytes(99), "picture or document"),
        (b"MThd" + bytes(99), "MIDI file.*no sound; render it"),
        (bytes(9999), "only zeros.*copy it again"),
        (b"\xff\xf1\x50\x80" + bytes(range(256)) * 9, "AAC, WMA or Matroska.*Convert"),
    ],
    ids=ascii,
)
def test_what_is_no_sound_is_named(tmp_path, content, said):
    (tmp_path / "song.mp3").write_bytes(content)
    with pytest.raises(files.AudioError, match=said):
        files.read_mono(tmp_path / "song.mp3")


@pytest.mark.parametrize("damage", [b"text", b"", b"RIFF", None])
def test_one_damaged_track_of_four_never_costs_the_genre(tmp_path, tiny_config, damage):
    for number in range(4):
        root = write_genres(tmp_path / f"{number}", num_tracks=4)
        for genre in ("jazz", "rock"):
            path = root / genre / f"track{number}.wav"
            path.write_bytes(
                path.read_bytes()[:4000] if damage is None else damage
            )  # None: a quarter of a second
        features = build_features(
            folder_collection(root), tiny_config, tmp_path / f"cache {number}", **QUIET
        )
        assert (
            features.genres == ("jazz", "rock")
            and features.table["source_id"].nunique() == 6
        )
        assert len(features.report) == 2


# --- FMA ------------------------------------------------------------------------------------------------------------


def write_fma(root, tracks, audio="fma_small"):
    """FMA's layout of `{number: (genre, index of the split, subset)}`, an artist for each track."""
    lines = [
        "," + ",".join(top for top, _ in FMA_COLUMNS),
        "," + ",".join(name for _, name in FMA_COLUMNS),
        "track_id,,,,",
    ]
    for number, (genre, split, subset) in tracks.items():
        lines.append(
            f"{number},{number},{('training', 'validation', 'test')[split]},{subset},{genre}"
        )
        write_path(
            root / audio / f"{number:06d}"[:3] / f"{number:06d}.mp3"
        ).write_bytes(b"mp3")
    write_path(root / "fma_metadata" / "tracks.csv").write_text(
        "\n".join(lines), encoding="utf-8"
    )
    return root


FMA_COLUMNS = [
    ("artist", "id"),
    ("set", "split"),
    ("set", "subset"),
    ("track", "genre_top"),
]


def test_fma_medium_by_path_is_used_whole(tmp_path):
    tracks = {
        n + 2: (("Rock", "Folk")[n % 2], n // 2 % 3, "small" if n < 24 else "medium")
        for n in range(72)
    }
    root = write_fma(tmp_path, tracks, "fma_medium")
    for start in (root, root / "fma_medium"):
        collection = open_collection(start)
        assert (
            len(collection) == 72
            and collection.name == "fma-medium"
            and collection.skipped.empty
        )
    assert len(open_collection(root, subset="small")) == 24
    write_fma(tmp_path, dict(list(tracks.items())[:24]), "fma_small")
    write_fma(tmp_path, tracks, "fma_medium")
    assert (
        open_collection(root).name == "fma-small"
    )  # of several, the one that fits most machines


def test_copies_in_fma_are_no_test_music_in_training(tmp_path, pieces):
    tracks = {n + 2: (("Rock", "Folk")[n % 2], n // 2 % 3, "small") for n in range(18)}
    root = write_fma(tmp_path, tracks)
    for number, samples in zip(tracks, pieces, strict=True):
        path = root / "fma_small" / "000" / f"{number:06d}.mp3"
        soundfile.write(path, samples, 22050)
    copy = root / "fma_small" / "000" / "000002.mp3"  # training
    soundfile.write(
        copy, copy_of(pieces[-1]), 22050, compression_level=0.8
    )  # a test clip
    collection = open_collection(root)
    assert len(collection) == 17 and splits(collection)["000/000019.mp3"] == "test"
    assert collection.skipped.values.tolist() == [
        [
            "000/000002.mp3",
            "recording in another split",
            "the same recording as 000/000019.mp3",
        ]
    ]


def test_hostile_tables_and_names_read_nothing_outside(tmp_path):
    secret = write_tune(tmp_path / "secret" / "000" / "000099.mp3.wav")
    tracks = {
        n + 2: (("../../secret", "$(touch x)")[n % 2], n // 2, "small")
        for n in range(6)
    }
    root = write_fma(tmp_path / "fma", tracks)
    table = root / "fma_metadata" / "tracks.csv"
    more = f"\n-1,1,training,small,Rock\n99999999,1,training,small,Rock\n2,7,test,small,Other\n{2**40},8,test,small,Rock"
    table.write_text(table.read_text() + more)
    for name in ("²²²²²²", "../000099", "000002 "):
        write_path(root / "fma_small" / "000" / f"{name}.mp3").write_bytes(b"mp3")
    collection = open_collection(root)
    inside = str((root / "fma_small").resolve())
    assert len(collection) == 6 and all(
        path.startswith(inside) for path in collection.table["path"]
    )
    assert collection.table["source_id"].is_unique and str(secret) not in set(
        collection.table["path"]
    )
    for text in ("2,not a number,training,small,Rock", "two,1,training,small,Rock"):
        table.write_text("\n".join(table.read_text().splitlines()[:3] + [text]))
        with pytest.raises(ValueError, match="is not FMA's tracks.csv"):
            open_collection(root)


# --- files of sound -------------------------------------------------------------------------------------------------


def test_integers_saved_as_floats_are_told(tmp_path, tiny_config):
    root = write_genres(tmp_path / "music", num_tracks=6)
    for scale, name in ((2**15, "track0"), (2**31, "track1")):
        soundfile.write(
            root / "jazz" / f"{name}.wav",
            tune() / np.abs(tune()).max() * scale,
            8000,
            subtype="FLOAT",
        )
    soundfile.write(
        root / "rock" / "track0.wav",
        2.5 * tune() / np.abs(tune()).max(),
        8000,
        subtype="FLOAT",
    )  # loud, but sound
    features = build_features(
        folder_collection(root), tiny_config, tmp_path / "cache", **QUIET
    )
    assert (
        features.report["reason"].to_list() == ["not full scale 1"] * 2
        and len(features.genres) == 2
    )
    with pytest.raises(
        files.AudioError, match=r"peaks at 32768: integers as floats\? Divide by 32768"
    ):
        files.load_audio(root / "jazz" / "track0.wav", tiny_config)
    assert np.abs(
        files.load_audio(root / "rock" / "track0.wav", tiny_config)
    ).max() == pytest.approx(2.5, rel=1e-3)


def without_count(content):
    """An mp3 without its first frame, which counts the others."""
    second = content.index(content[:2], 4)
    assert b"Xing" in content[:second] or b"Info" in content[:second]
    return content[second:]


def cover(size):
    """An ID3 tag that holds a picture."""
    picture = b"\0image/png\0\3\0" + np.random.default_rng(0).bytes(size)
    frame = b"APIC" + struct.pack(">IH", len(picture), 0) + picture
    places = [len(frame) >> shift & 127 for shift in (21, 14, 7, 0)]
    return b"ID3\3\0\0" + bytes(places) + frame


def encoded(samples, kind, rate=44100, **options):
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format=kind, **options)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def sound():
    """Twelve seconds at 44.1 kHz, the second half louder: a length guessed from the beginning is wrong."""
    samples = tune(12.0, 44100)
    return np.where(
        np.arange(len(samples)) < len(samples) // 2, 0.02 * samples, samples
    )


def test_an_mp3_is_read_to_its_real_end(tmp_path, sound, tiny_config):
    whole = encoded(sound, "MP3")
    for name, content in {
        "counted": whole,
        "bare": without_count(whole),
        "cover": cover(60_000) + without_count(whole),
        "two tags": cover(3000) + cover(200_000) + without_count(whole),
        "counted cover": cover(60_000) + whole,
    }.items():
        path = tmp_path / f"{name}.mp3"
        path.write_bytes(content)
        seconds, claimed = files.audio_duration(path)
        assert seconds == pytest.approx(12.0, abs=0.06) and claimed in (
            seconds,
            np.inf,
        ), name
        assert len(files.load_audio(path, tiny_config)) / 8000 == pytest.approx(
            12.0, abs=0.06
        ), name
        assert len(
            files.load_audio(path, tiny_config, 9.0, 2.0)
        ) / 8000 == pytest.approx(2.0, abs=0.01), name


@pytest.mark.parametrize("kind", ["MP3", "OGG", "FLAC", "WAV"])
def test_captures_joined_by_cat_are_read_or_told(tmp_path, tiny_config, kind):
    """Of two recordings in one file the first alone was once used, unsaid."""
    root = write_genres(tmp_path / "music", num_tracks=6)
    path = root / "jazz" / f"a capture.{kind.lower()}"
    parts = (tune(5.0, 44100, pitch=220.0), tune(7.0, 44100, pitch=440.0))
    path.write_bytes(b"".join(encoded(samples, kind) for samples in parts))
    source = {"source_id": "joined", "path": str(path), "genre": "jazz"}
    rows, _, skipped = extract_source(
        source | {"split": "train", "group": "joined"}, tiny_config
    )
    if kind == "MP3":
        assert skipped == [] and 11.0 < rows[-1]["end"] < 12.3
        return
    assert skipped[-1][1] == "joined files" and "2 files stand in it" in skipped[-1][2]
    assert files.count_joined(root / "rock" / "track0.wav") == 1
    assert kind == "WAV" or 3.0 < rows[-1]["end"] <= 5.0


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [48000, 32000, 22050, 24000, 16000, 11025, 8000])
def test_mp3s_of_every_rate_are_read_to_their_end(tmp_path, rate, channels):
    samples = np.repeat(tune(3.0, rate)[:, None], channels, axis=1)
    (tmp_path / "bare.mp3").write_bytes(
        cover(500) + without_count(encoded(samples, "MP3", rate))
    )
    assert files.audio_duration(tmp_path / "bare.mp3")[0] == pytest.approx(
        3.0, abs=0.15
    )


def with_length(flac, samples):
    """A FLAC file whose header claims another number of samples, 0 for an unknown one as a pipe leaves it."""
    changed = bytearray(flac)
    changed[21:26] = bytes([changed[21] & 0xF0 | samples >> 32]) + struct.pack(
        ">I", samples & 0xFFFFFFFF
    )
    return bytes(changed)


def test_a_flac_of_unknown_length_is_read(tmp_path, sound, tiny_config):
    whole = encoded(sound, "FLAC")
    for name, claim in {
        "piped": 0,
        "hours": 44100 * 3600 * 9,
        "days": 2**36 - 1,
    }.items():
        (tmp_path / f"{name}.flac").write_bytes(with_length(whole, claim))
        seconds, claimed = files.audio_duration(tmp_path / f"{name}.flac")
        assert seconds == 12.0 and claimed == (9 * 3600 if name == "hours" else np.inf)
        for start, length in ((0.0, 12.0), (5.0, 7.0), (11.9, 0.1)):
            found = files.load_audio(tmp_path / f"{name}.flac", tiny_config, start)
            assert len(found) / 8000 == pytest.approx(length, abs=0.001)
        with pytest.raises(files.AudioError, match="no audio"):
            files.load_audio(tmp_path / f"{name}.flac", tiny_config, 13.0)


@pytest.mark.parametrize("size", [0, 2**31 - 1, 2**32 - 1])
def test_a_recording_whose_header_was_never_finished_is_read(
    tmp_path, tiny_config, size
):
    samples = np.full(8000, 0.25, np.float32)
    (tmp_path / "x.wav").write_bytes(
        wav_header(size=size) + (samples * 2**15).astype("<i2").tobytes()
    )
    np.testing.assert_array_equal(
        files.load_audio(tmp_path / "x.wav", tiny_config), samples
    )
    assert files.audio_duration(tmp_path / "x.wav")[0] == 1.0


def test_cut_files_are_used_as_far_as_they_go_and_told(tmp_path, sound, tiny_config):
    root = write_genres(tmp_path / "music", num_tracks=4)
    for kind in ("MP3", "FLAC"):
        content = encoded(sound, kind)
        (root / "jazz" / f"cut.{kind}").write_bytes(content[: len(content) * 2 // 3])
    features = build_features(
        folder_collection(root), tiny_config, tmp_path / "cache", **QUIET
    )
    assert features.report.set_index("path")["reason"].to_dict() == {
        "jazz/cut.FLAC": "truncated",
        "jazz/cut.MP3": "truncated",
    }
    told = r"its header says 12.0 s; \d\.\d s came, and were used"
    truncated = features.report[features.report["reason"] == "truncated"]
    assert truncated["detail"].str.match(told).all()
    ends = features.table.groupby("source_id")["end"].max()
    assert 4.0 < ends["jazz/cut.MP3"] < 11.0 and 4.0 < ends["jazz/cut.FLAC"] < 11.0


def wav_header(rate=8000, channels=1, bits=16, size=16000):
    frame = channels * bits // 8 % 65536
    return struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        b"RIFF",
        size + 36 & 0xFFFFFFFF,
        b"WAVE",
        b"fmt ",
        16,
        1,
        channels,
        rate,
        rate * frame & 0xFFFFFFFF,
        frame,
        bits,
        b"data",
        size,
    )


@pytest.mark.parametrize(
    "header",
    [
        {"rate": 0},
        {"rate": 1},
        {"rate": 10_000_000},
        {"rate": 2**32 - 1},
        {"channels": 255},
        {"channels": 0},
        {"channels": 65535},
        {"bits": 0},
        {"bits": 4096},
        {"size": 2**32 - 1},
        {"size": 0},
    ],
    ids=str,
)
def test_absurd_headers_are_told_or_read(tmp_path, header, tiny_config):
    path = tmp_path / "odd.wav"
    path.write_bytes(wav_header(**header) + (tune(1.0) * 32767).astype("<i2").tobytes())
    try:
        assert (
            len(files.load_audio(path, tiny_config)) <= 8000
            and files.audio_duration(path)[0] <= 1.0
        )
    except files.AudioError as error:
        assert error.reason in ("unreadable", "absurd header", "no audio", "empty file")
    else:
        assert "size" in header  # a length is not believed, anything else is refused


# --- one's own clip, and arguments ----------------------------------------------------------------------------------


def test_own_clips_get_a_sentence_each(tmp_path, tiny_config):
    path = write_tune(tmp_path / "tune.wav")
    for start in (-5, -0.001, "two", None, np.nan, np.inf, 10**9):
        with pytest.raises(
            files.AudioError, match="tune.wav: no such piece. Got start="
        ):
            cm.load_first_window(path, tiny_config, start)
    shutil.copy(path, tmp_path / "tune.raw")
    with pytest.raises(
        files.AudioError, match="tune.raw: unreadable. Expected one of .wav, .mp3"
    ):
        cm.load_first_window(tmp_path / "tune.raw", tiny_config)
    for name in ("~no_such_user/x.wav", "x" * 5000, "a\0b.wav", "/dev/zero", 3, None):
        with pytest.raises(files.AudioError, match="no such file"):
            cm.load_first_window(name, tiny_config)
    with pytest.raises(ValueError, match="expected 'known', 'fma', or the path"):
        open_collection("~no_such_user/music")


CONFIG = {
    "sample_rate": 8000,
    "n_fft": 256,
    "hop_length": 64,
    "n_mels": 16,
    "fmax": 3500.0,
    "num_frames": 32,
    "frames_per_beat": 8,
}


@pytest.mark.parametrize(
    "name, value",
    [
        ("sample_rate", "8000"),
        ("sample_rate", 0),
        ("sample_rate", 10_000_000),
        ("n_mels", 16.0),
        ("n_mels", True),
        ("fmin", "low"),
        ("fmin", np.nan),
        ("floor_db", None),
        ("ceiling_db", np.inf),
        ("num_frames", 2**40),
    ],
)
def test_a_config_names_what_it_cannot_use(name, value):
    with pytest.raises(
        ValueError, match=f"Got {name}={value!r}; expected a (whole )?number"
    ):
        AudioConfig(**{**CONFIG, name: value})


def test_a_config_of_numpy_numbers_is_the_same():
    same = AudioConfig(
        **{name: np.asarray(value)[()] for name, value in CONFIG.items()}
    )
    assert same == AudioConfig(**CONFIG) and same.key() == AudioConfig(**CONFIG).key()
    assert AudioConfig(fmin=30).key() == AudioConfig().key()


@pytest.mark.parametrize(
    "settings",
    [
        {"seed": "one"},
        {"seed": -1},
        {"seed": 1.5},
        {"seed": True},
        {"tempo": "slow"},
        {"tempo": 0.001},
        {"tempo": 1e9},
        {"tempo": np.nan},
        {"temperature": "hot"},
        {"temperature": -1},
        {"genre": "polka"},
        {"genre": 0},
        {"genre": ["loud"]},
        {"genre": {"loud": "much"}},
        {"genre": {"loud": np.nan}},
        {"genre": {}},
        {"prior_genre": "polka"},
        {"morph": 2, "morph_to": 1},
        {"morph": "half", "morph_to": 1},
        {"morph": 0.5, "morph_to": "two"},
        {"map_position": (0, 0)},
        {"latent": np.zeros(3)},
    ],
    ids=str,
)
def test_clips_name_the_argument_they_cannot_use(model, settings):
    with pytest.raises(ValueError, match="[Ee]xpected"):
        cm.make_clip(model, **settings)


def test_arguments_of_other_calls(model, features, tiny_config):
    for call in (
        lambda: model.decode(np.zeros((1, 7)), ["loud"]),
        lambda: cm.make_dataset(features, "train", "8"),
        lambda: cm.make_dataset(features, "train", 0),
        lambda: train(model, features, num_steps="many"),
        lambda: train(model, features, num_steps=0),
        lambda: train(model, features, batch_size=-1),
        lambda: open_collection(num_clips="many"),
        lambda: open_collection(num_clips=36, seed="one"),
        lambda: open_collection(num_clips=36, seed=-1),
        lambda: folder_collection(".", seed=0.5),
        lambda: cm.to_audio(np.full(tiny_config.shape, -40.0), tiny_config, seed=-1),
        lambda: cm.make_clip(cm.VAE(tiny_config, **SIZE), genre="polka"),
        lambda: cm.make_clip(cm.Autoencoder(tiny_config, **SIZE)),
    ):
        with pytest.raises(ValueError, match="expected"):
            call()
    assert model.encode(np.zeros((0, *tiny_config.shape)))[0].shape == (0, 7)
    assert model.decode(np.zeros((0, 7)), []).shape == (0, *tiny_config.shape)


def test_a_folder_of_one_style_is_enough_for_a_vae(tmp_path, tiny_config, eager):
    for number in range(6):
        write_tune(tmp_path / "My band" / f"{number}.wav", pitch=200.0 + 20 * number)
    collection = open_collection(tmp_path / "My band")
    features = build_features(collection, tiny_config, tmp_path / "cache", **QUIET)
    assert features.genres == load_features(features.path).genres == ("My band",)
    assert features.genre_index.max() == 0 and "of 1 genre from" in features.summary()
    model = cm.VAE(tiny_config, **SIZE)
    history = train(model, features, num_steps=2, verbose=0)
    assert np.isfinite(history.history["val_loss"]).all()
    clip = cm.make_clip(model, cm.fit_controls(model, features, num_pairs=20), seed=1)
    assert np.isfinite(clip.samples).all() and clip.log_mel.shape == tiny_config.shape
    with pytest.raises(ValueError, match="a model of one genre is a VAE"):
        cm.ConditionalVAE(tiny_config, genres=features.genres, **SIZE)


# --- labels, collections, precision ---------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size, num_epochs", [(1, 1), (32, 2)])
def test_a_gan_trains_on_one_clip_of_each_genre(
    tiny_config, eager, batch_size, num_epochs
):
    """In batches of one clip, and in batches larger than the music: two steps."""
    rows = [(genre, split) for split in ("train", "test") for genre in ("loud", "soft")]
    table = pd.DataFrame(rows, columns=["genre", "split"]).assign(grid="tracked")
    clips = np.random.default_rng(0).uniform(-60.0, -5.0, (4, *tiny_config.shape))
    features = FeatureSet(
        tiny_config, ("loud", "soft"), table, clips.astype(np.float16), table[:0]
    )
    keras.utils.set_random_seed(0)
    cvae = cm.ConditionalVAE(tiny_config, genres=features.genres, **SIZE)
    cm.fit_posthoc_layers(cvae, features)
    gan = cm.ConditionalVAEGAN.from_cvae(cvae, features)
    before = gan.discriminator.get_weights()
    history = train(gan, features, 2, batch_size=batch_size, verbose=0).history
    assert set(history) == set(cm.ConditionalVAEGAN.metric_names)
    assert all(len(values) == num_epochs for values in history.values())
    assert np.isfinite(list(history.values())).all()
    assert np.abs(gan.discriminator.get_weights()[0] - before[0]).max() > 1e-4
    assert np.isfinite(cm.make_clip(gan, genre="soft").samples).all()


def test_an_excerpt_from_the_middle_is_one_track_if_its_name_says_so(tmp_path):
    """Nothing else tells: what is compared is how files begin."""
    root = write_genres(tmp_path, num_tracks=12)
    notes = np.random.default_rng(0).uniform(100.0, 900.0, 80)
    song = 0.3 * np.sin(2 * np.pi * np.cumsum(np.repeat(notes, 2000)) / 8000)
    for name, first in {"song__00": 0, "song__01": 80_000}.items():
        soundfile.write(root / "jazz" / f"{name}.wav", song[first:], 8000)
    collection = folder_collection(root)
    placed = splits(collection)
    assert placed["jazz/song__00.wav"] == placed["jazz/song__01.wav"]
    assert collection.table["group"].nunique() == 25 and collection.skipped.empty


@pytest.mark.parametrize(
    "genres",
    [("1980", "1990"), ("01", "02"), ("True", "False"), ("NA", "nan"), ("1e3", "inf")],
)
def test_labels_that_are_not_words_stay_what_they_are(tmp_path, tiny_config, genres):
    collection = folder_collection(write_genres(tmp_path / "music", genres))
    features = build_features(collection, tiny_config, tmp_path / "cache", **QUIET)
    assert (
        load_features(features.path).genres == features.genres == tuple(sorted(genres))
    )
    assert (
        sorted(set(features.table["genre"])) == sorted(genres)
        and features.genre_index.max() == 1
    )
    table, zeros = features.table[:4], np.zeros((4, 7), np.float16)
    Controls("0", {}, {}, zeros[0], zeros[:2], zeros, table).save(
        tmp_path / "controls.npz"
    )
    assert (
        load_controls(tmp_path / "controls.npz").table["genre"].to_list()
        == table["genre"].to_list()
    )
    model = cm.ConditionalVAE(tiny_config, genres=features.genres, **SIZE)
    saving.save_compact(model, tmp_path / "model.npz")
    again = cm.load_model(tmp_path / "model.npz")
    assert (
        again.genres == features.genres
        and cm.genre_weights(again, genres[0]).sum() == 1.0
    )
    again.audio_config.check_compatible(features, again.genres)


def test_genres_may_be_numbers(tiny_config, tmp_path):
    model = cm.ConditionalVAE(tiny_config, genres=[1980, 1990], **SIZE)
    assert model.genres == ("1980", "1990")
    np.testing.assert_array_equal(cm.genre_weights(model, 1990), [0.0, 1.0])
    np.testing.assert_array_equal(
        cm.genre_weights(model, {1980: 1, "1990": 3}), [0.25, 0.75]
    )


@pytest.mark.parametrize(
    "genres", [("soft", "loud"), ("loud", "soft", "still"), ("loud", "still")]
)
def test_another_collection_is_refused_wherever_a_model_meets_it(
    model, features, genres, eager
):
    table = (
        features.table.replace({"genre": {"soft": "still"}})
        if genres == ("loud", "still")
        else features.table
    )
    other = FeatureSet(
        features.config, genres, table, features.log_mel, features.report, None
    )
    judge = classifiers.DescriptorJudge(features.config, ("loud", "soft"))
    for call in (
        lambda: train(model, other, num_steps=1),
        lambda: fit_latent_density(model, other),
        lambda: cm.fit_controls(model, other),
        lambda: cm.latent_effects(model, other),
        lambda: scores.genre_probe(model, other),
        lambda: scoreboard.evaluate_model(model, other, {}),
    ):
        with pytest.raises(
            ValueError,
            match=r"The model has \['loud', 'soft'\], the features \[.*expected the same",
        ):
            call()
    with pytest.raises(
        ValueError, match=r"The judge 'mine' has \['loud', 'soft'\], the features"
    ):
        scoreboard.evaluate_model(
            cm.VAE(features.config, **SIZE), other, {"mine": judge}
        )


def test_the_studio_refuses_controls_of_another_model(model, features, tiny_config):
    controls = cm.fit_controls(model, features, num_pairs=20)
    with pytest.raises(ValueError, match="measured of another model"):
        cm.Studio(
            cm.ConditionalVAE(tiny_config, genres=("loud", "soft"), **SIZE), controls
        )


def test_losses_need_no_batch_of_known_size(features):
    """`evaluate` and `fit` of Keras hand over a last batch of what is left."""
    model = cm.ConditionalVAE(features.config, genres=features.genres, **SIZE)
    shapes = (
        tf.TensorSpec((None, *features.config.shape)),
        tf.TensorSpec((None,), tf.int32),
    )
    graph = tf.function(
        lambda x, y: model.compute_losses(x, y, training=True)[0]["loss"]
    ).get_concrete_function(*shapes)
    clips, genre = features.arrays("train")
    assert all(
        np.isfinite(graph(tf.constant(clips[:size]), tf.constant(genre[:size])))
        for size in (1, 7, 8)
    )


def test_a_backup_notes_all_that_a_training_depends_on(tmp_path):
    about = {"width": 40, "order": 0, "music": "a"}
    assert Backup(tmp_path, about | {"width": 44}).states() == []  # killed at once
    note = Backup(tmp_path, about).note
    checksums = {f"00000{number}.weights.h5": 3534797055 for number in (1, 2)}
    note.write_text(json.dumps(about | {"epochs": [{}, {}], "checksums": checksums}))
    for name in (*checksums, "partial.weights.h5", "000009.weights.h5"):
        (tmp_path / name).write_text("a state")
    loaded = []
    model = SimpleNamespace(load_weights=lambda path: loaded.append(path.name))
    assert Backup(tmp_path, about).restore(model) == 2
    assert loaded == ["000002.weights.h5"]
    for change, said in (
        ({"width": 44}, "width: 40 there, 44 here"),
        ({"music": "b"}, "music: a there, b here"),
        ({"kl": 2.0, "order": 1}, "order: 0 there, 1 here; kl: None there, 2.0 here"),
    ):
        changed = about | change
        with pytest.raises(ValueError, match=said):
            Backup(tmp_path, changed)


def test_a_backup_is_used_for_its_own_training_only(features, tmp_path, eager):
    backup, left = tmp_path / "backup", tmp_path / "left"

    class CopyWhatAKillLeaves(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 2:
                shutil.copytree(backup, left)

    def run(music=0, num_steps=3, folder=left, **settings):
        log_mel = features.log_mel + np.float16(music)
        data = FeatureSet(
            features.config,
            features.genres,
            features.table,
            log_mel,
            features.report,
            None,
        )
        keras.utils.set_random_seed(0)
        model = cm.Autoencoder(features.config, **SIZE)
        return train(
            model,
            data,
            num_steps,
            batch_size=12,
            verbose=0,
            backup_dir=folder,
            **settings,
        )

    run(folder=backup, callbacks=[CopyWhatAKillLeaves()])
    for change in ({"num_steps": 2}, {"music": 1}):
        with pytest.raises(
            ValueError,
            match=rf"left' holds another training \({next(iter(change))}: .* Empty it",
        ):
            run(**change)
    begun = []
    note = keras.callbacks.LambdaCallback(on_epoch_begin=lambda n, _: begun.append(n))
    run(callbacks=note)  # its own goes on
    assert begun == [2] and not left.exists()
    mine = write_path(tmp_path / "full" / "thesis.txt")
    mine.write_text("not to be deleted")
    run(folder=tmp_path / "full")
    assert [path.name for path in mine.parent.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float64"])
def test_what_ships_plays_under_any_precision(policy):
    expected = cm.make_clip(cm.ConditionalVAE.from_preset("known_cvae"), seed=3).samples
    vocoder._from_file.cache_clear()
    keras.mixed_precision.set_global_policy(policy)
    try:
        clip = cm.make_clip(cm.ConditionalVAE.from_preset("known_cvae"), seed=3)
    finally:
        keras.mixed_precision.set_global_policy("float32")
        vocoder._from_file.cache_clear()
    assert clip.samples.dtype == np.float32 and np.abs(
        clip.samples
    ).max() == pytest.approx(np.abs(expected).max(), rel=0.1)


def test_nan_in_clips_to_score_is_told_with_the_file(features, model, eager):
    table = features.table.copy()
    table.loc[13, "path"] = "music/jazz/broken.wav"
    log_mel = features.log_mel.copy()
    log_mel[13, 3, 2] = log_mel[15, 0, 0] = np.nan
    broken = FeatureSet(
        features.config, features.genres, table, log_mel, features.report, None
    )
    with pytest.raises(
        ValueError,
        match="2 clips of split 'validation' hold NaN.*music/jazz/broken.wav', 'clip 15'",
    ):
        train(model, broken, num_steps=1)
    assert len(list(cm.make_dataset(broken, "test", 4))) == 3


# --- what is written, what is loaded --------------------------------------------------------------------------------


def test_sound_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    config = AudioConfig()
    cm.write_audio(tmp_path / "new" / "folder" / "clip.wav", tune(1.0, 22050), config)
    assert len(soundfile.read(tmp_path / "new" / "folder" / "clip.wav")[0]) == 22050
    for samples in (
        np.full(100, np.nan),
        np.zeros((2, 100)),
        np.zeros((100, 2)),
        np.zeros(0),
        np.arange(100),
        ["a"],
        None,
    ):
        with pytest.raises(ValueError, match="expected finite mono samples"):
            cm.write_audio(tmp_path / "clip.wav", samples, config)
    (tmp_path / "folder.wav").mkdir()
    with pytest.raises(OSError):
        cm.write_audio(tmp_path / "folder.wav", tune(1.0, 22050), config)
    with pytest.raises(OSError):
        cm.write_audio(
            tmp_path / "new" / "folder" / "clip.wav" / "x.wav", tune(1.0, 22050), config
        )
    monkeypatch.setattr(
        os,
        "fsync",
        lambda file: (_ for _ in ()).throw(OSError(28, "No space left on device")),
    )
    with pytest.raises(OSError, match="No space left"):
        cm.write_audio(tmp_path / "clip.wav", tune(1.0, 22050), config)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.wav", "new"]


def test_players_play_at_any_rate_of_a_config():
    config = AudioConfig(sample_rate=20000, fmax=9000.0)
    assert "audio/wav" in cm.player(tune(1.0, 20000), config).data
    with pytest.raises(
        ValueError, match="Got sample_rate=20000 for an mp3; expected one of"
    ):
        cm.write_audio("clip.mp3", tune(1.0, 20000), config)


def bomb(path, name="weight_000.npy"):
    """A file of kilobytes that unpacks to more than a gigabyte."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for number in range(8):
            archive.writestr(f"{number}{name}", bytes(2**20))
    content = bytearray(path.read_bytes())
    directory = content.index(b"PK\1\2")
    while directory >= 0:  # the declared sizes, in the directory at the end
        content[directory + 24 : directory + 28] = struct.pack("<I", 2**28)
        directory = content.find(b"PK\1\2", directory + 4)
    path.write_bytes(content)
    return path


def test_files_that_unpack_to_too_much_are_refused_by_their_size(tmp_path):
    for load, name in (
        (serialization.load_arrays, "x.npz"),
        (saving.load_compact, "x.npz"),
        (cm.load_model, "x.npz"),
        (cm.load_model, "x.keras"),
        (load_controls, "x.npz"),
        (classifiers.load_judge, "x.npz"),
    ):
        with pytest.raises(ValueError, match="it unpacks to 2.0 GB, of at most 1.0"):
            load(bomb(tmp_path / name))


class Dangerous:
    def __reduce__(self):
        return os.mkdir, ("executed",)


def test_nothing_in_a_file_is_executed(tmp_path, monkeypatch, tiny_config):
    monkeypatch.chdir(tmp_path)
    np.savez(tmp_path / "pickle.npz", about=np.array([Dangerous()], dtype=object))
    np.save(
        tmp_path / "pickle.npy",
        np.array([Dangerous()], dtype=object),
        allow_pickle=True,
    )
    (tmp_path / "renamed.npz").write_bytes((tmp_path / "pickle.npy").read_bytes())
    for name in ("pickle.npz", "renamed.npz"):
        with pytest.raises(ValueError, match="no file of this library"):
            serialization.load_arrays(tmp_path / name)
    keras.Sequential(
        [
            keras.layers.Input((1,)),
            keras.layers.Lambda(lambda x: os.mkdir("executed") or x),
        ]
    ).save("lambda.keras")
    os.rmdir("executed")  # made as the layer was built here
    with pytest.raises(ValueError, match="no model of this library .*disallowed"):
        cm.load_model(tmp_path / "lambda.keras")
    for kind in ("os>mkdir", "builtins>eval", "cvae_music>NoSuch", None, 3):
        serialization.save_arrays(
            tmp_path / "class.npz", {"class": kind, "config": {"path": "executed"}}, {}
        )
        with pytest.raises(ValueError):
            cm.load_model(tmp_path / "class.npz")
    assert not (tmp_path / "executed").exists()


def test_files_of_another_kind_are_told_apart(tmp_path, model):
    saving.save_compact(model, tmp_path / "model.npz")
    for load in (load_controls, classifiers.load_judge):
        with pytest.raises(ValueError, match="model.npz' is no file of this library"):
            load(tmp_path / "model.npz")


@pytest.mark.parametrize(
    "name", ["meta.json", "table.csv", "shard-00000.npy", "skipped.csv"]
)
@pytest.mark.parametrize("kept", [0, 0.5, None])
def test_a_damaged_cache_is_told(tmp_path, tiny_config, name, kept):
    features = build_features(
        known_factor_collection(18), tiny_config, tmp_path, **QUIET
    )
    path, content = features.path / name, (features.path / name).read_bytes()
    path.unlink()
    if kept is not None:
        path.write_bytes(content[: int(len(content) * kept)])
    if name == "skipped.csv" and kept:
        return  # half of a report is a report
    with pytest.raises(ValueError, match="holds (damaged|no complete) features"):
        load_features(features.path)


# --- uploads --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "../../evil.wav",
        "..",
        ".",
        "",
        "/etc/passwd",
        "a\0b.wav",
        "C:\\x\\y.wav",
        "x" * 300 + ".wav",
        "曲" * 200 + ".wav",
        "\udce9.wav",
        "<script>.wav",
        ".hidden",
        "a\nb.wav",
    ],
    ids=ascii,
)
def test_uploads_stay_in_their_folder(tmp_path, name):
    folder = tmp_path / "uploads"
    path = sounds.keep_upload(({"name": name, "content": b"sound"},), folder)
    assert (
        path.parent == folder
        and path.read_bytes() == b"sound"
        and [item.name for item in tmp_path.iterdir()] == ["uploads"]
    )
    assert (
        not path.name.startswith(".")
        and path.name.encode().isascii()
        or "曲" in path.name
    )
    assert sounds.keep_upload({name: {"content": b"other"}}, folder) != path


# --- kills ----------------------------------------------------------------------------------------------------------

# Imports once, then forks: a child that runs out of its share of processor time ends like one that is killed, at any
# instruction, without a word. Prints how many children were killed, and what the results were.
KILLS = """
import hashlib, os, resource, shutil, signal, sys, tempfile, warnings
from pathlib import Path
import numpy as np
import cvae_music as cm
from cvae_music.config import AudioConfig
from cvae_music.data import cache
from cvae_music.data.features import build_features, load_features
from cvae_music.data.sources import known_factor_collection
from cvae_music.training import train

what, folder, points, seed = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
config = AudioConfig(sample_rate=8000, n_fft=256, hop_length=64, n_mels=16, fmin=30.0, fmax=3500.0, num_frames=32, frames_per_beat=8)
cache.SHARD_SIZE = 4

def prepare(place):
    features = build_features(known_factor_collection(36), config, place / "cache", num_workers=1, progress=False)
    return [features.table.to_csv(), np.asarray(features.log_mel).tobytes()]

def learn(place):
    import keras, tensorflow as tf
    tf.config.run_functions_eagerly(True)
    features = load_features(next((folder / "music" / "cache").iterdir()))
    keras.utils.set_random_seed(0)
    model = cm.VAE(config, global_dim=3, local_dim=1, width=40, depth=1)
    train(model, features, 6, batch_size=8, backup_dir=place / "backup", verbose=0)
    return [np.concatenate([weights.ravel() for weights in model.get_weights()]).astype("float32").tobytes()]

def child(place, seconds=0.0):
    process = os.fork()
    if not process:
        try:
            warnings.simplefilter("ignore")
            signal.setitimer(signal.ITIMER_PROF, seconds)
            made = {"prepare": prepare, "learn": learn}[what](place)
            signal.setitimer(signal.ITIMER_PROF, 0)
            (place / "result").write_bytes(b"|".join(part if isinstance(part, bytes) else part.encode() for part in made))
            os._exit(0)
        except BaseException as error:
            print(repr(error), flush=True)
            os._exit(1)
    _, status, usage = os.wait4(process, 0)
    return os.WTERMSIG(status), os.WEXITSTATUS(status), usage.ru_utime + usage.ru_stime

(folder / "music").mkdir(parents=True)
if what == "learn":
    prepare(folder / "music")
(folder / "whole").mkdir()
_, status, seconds = child(folder / "whole")
assert status == 0
killed, rng = 0, np.random.default_rng(seed)
for point in range(points):
    place = folder / f"killed {point}"
    place.mkdir()
    for share in rng.uniform(0.02, 0.9, 2):  # twice, each time somewhere
        killed += child(place, share * seconds)[0] == signal.SIGPROF
    assert child(place)[1] == 0
    found, expected = ((folder / name / "result").read_bytes() for name in (place.name, "whole"))
    if what == "prepare":
        assert found == expected, point
        shards = [f"shard-{number:05d}.{kind}" for number in range(9) for kind in ("json", "npy")]
        assert sorted(path.name for path in next((place / "cache").iterdir()).iterdir()) == [
            "lock", "meta.json", *shards, "skipped.csv", "table.csv"]
    else:
        np.testing.assert_allclose(np.frombuffer(found, "f4"), np.frombuffer(expected, "f4"), atol=1e-4)
        assert not (place / "backup").exists()
    shutil.rmtree(place)
print("killed", killed)
"""


def kills(what, folder, points, seed=0):
    """How many runs were killed on the way; all ended with the same result."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-c", KILLS, what, str(folder), str(points), str(seed)]
    shown = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert shown.returncode == 0, shown.stdout[-3000:] + shown.stderr[-3000:]
    return int(shown.stdout.rpartition("killed ")[2])


def test_work_goes_on_after_kills(tmp_path):
    assert kills("prepare", tmp_path, 3) >= 2


@pytest.mark.slow
@pytest.mark.parametrize("what", ["prepare", "learn"])
def test_work_goes_on_after_a_hundred_kills(tmp_path, what):
    assert kills(what, tmp_path, 50, seed=1) >= 50


# --- what changes without the music, and what does not ------------------------------------------


def id3(title):
    """A tag in front of an mp3, without room to spare."""
    frame = b"TIT2" + len(title).to_bytes(4, "big") + b"\0\0" + title
    places = bytes(len(frame) >> shift & 127 for shift in (21, 14, 7, 0))
    return b"ID3\3\0\0" + places + frame


def flac_comment(content, title):
    """The same FLAC with another comment before its frames; its first block is 38 bytes."""
    vendor = b"\0\0\0\0" + (1).to_bytes(4, "little")
    comment = vendor + len(title).to_bytes(4, "little") + title
    at, last = 42, False
    while not last:  # what stood there
        last = content[at] >= 128
        at += 4 + int.from_bytes(content[at + 1 : at + 4], "big")
    block = b"\x84" + len(comment).to_bytes(3, "big") + comment
    return content[:4] + b"\0" + content[5:42] + block + content[at:]


@pytest.mark.parametrize("seconds", [5.0, 60.0])
@pytest.mark.parametrize("kind", ["MP3", "FLAC"])
def test_music_with_other_tags_keeps_its_cache(tmp_path, kind, seconds):
    """A title that was corrected, a rating that a player wrote: everything was extracted anew."""
    root = write_genres(tmp_path)
    path = root / "jazz" / f"tune.{kind.lower()}"
    plain = encoded(tune(seconds, 44100), kind)
    versions = [plain]
    for title in (b"Blue", b"Blue in Green (remastered)" * 40):
        if kind == "MP3":
            versions += [id3(title) + plain, plain + b"TAG" + title[:125].ljust(125)]
        else:
            versions.append(flac_comment(plain, b"TITLE=" + title))
    keys = set()
    for content in versions:
        path.write_bytes(content)
        assert len(files.read_mono(path)[0]) / 44100 == pytest.approx(seconds, abs=0.1)
        keys.add(folder_collection(root).key())
    assert len(keys) == 1
    other = bytearray(versions[1])
    other[-2000] ^= 1  # of the sound
    path.write_bytes(other)
    assert folder_collection(root).key() not in keys
    path.write_bytes(versions[1][: len(plain) - 5000])
    assert folder_collection(root).key() not in keys


def test_all_counts_of_a_file_whose_tags_are_damaged(tmp_path):
    """A tag that claims more than there is hides no sound from the key."""
    path = tmp_path / "tune.mp3"
    path.write_bytes(b"ID3\4\0\0\x7f\x7f\x7f\x7f" + bytes(500))
    with open(path, "rb") as file:
        assert files.sound_span(file) == (0, 510)


@pytest.mark.parametrize("decibels", [-30, -50])
@pytest.mark.parametrize("ending", ["wav", "mp3"])
def test_a_copy_that_is_much_softer_stays_in_one_split(
    tmp_path, pieces, ending, decibels
):
    for number, samples in enumerate(pieces):
        path = write_path(tmp_path / ("jazz", "rock")[number % 2] / f"{number:02d}.wav")
        soundfile.write(path, samples, 22050)
    softer = np.append(np.zeros(9999), pieces[4] * 10 ** (decibels / 20))
    soundfile.write(tmp_path / "jazz" / f"soft.{ending}", softer, 22050)
    skipped = folder_collection(tmp_path).skipped
    assert skipped["path"].tolist() == [f"jazz/soft.{ending}"]
    assert skipped["detail"].tolist() == ["as jazz/04.wav; kept in one split"]


JOINED = {
    "AIFF": {"format": "AIFF"},
    "AIFC": {"format": "AIFF", "subtype": "FLOAT"},
    "AU": {"format": "AU"},
    "CAF": {"format": "CAF"},
    "RF64": {"format": "RF64"},
}


@pytest.mark.parametrize("kind", JOINED)
def test_files_of_other_formats_joined_by_cat_are_told(tmp_path, kind):
    buffer = io.BytesIO()
    soundfile.write(buffer, tune(6.0, 22050), 22050, **JOINED[kind])
    path = tmp_path / f"capture.{kind.lower()}"
    path.write_bytes(buffer.getvalue())
    assert files.count_joined(path) == 1
    path.write_bytes(2 * buffer.getvalue())
    assert files.count_joined(path) == 2


def test_wavs_with_blocks_before_their_format_are_told_when_joined(tmp_path):
    wav = encoded(tune(6.0, 22050), "WAV")
    recorder = wav[:12] + b"bext\x08\0\0\0" + bytes(8) + wav[12:]
    (tmp_path / "capture.wav").write_bytes(2 * recorder)
    assert files.count_joined(tmp_path / "capture.wav") == 2


def test_what_others_keep_in_the_folder_of_a_cache_stays(tmp_path, tiny_config):
    """Any file that ended in .tmp was removed, unsaid."""
    collection = known_factor_collection(18)
    features = build_features(collection, tiny_config, tmp_path, **QUIET)
    (features.path / "meta.json").unlink()
    mine = features.path / "mine.tmp"
    left = features.path / f"table.csv.{'0123456789abcdef' * 2}.tmp"
    for path in (mine, left):
        path.write_text("x")
    build_features(collection, tiny_config, tmp_path, **QUIET)
    assert mine.exists() and not left.exists()


@pytest.mark.parametrize("count", [-1, 2.5, "2"])
def test_workers_that_do_not_exist_are_told(tmp_path, tiny_config, count):
    """-1, which is all of them elsewhere, was one."""
    with pytest.raises(ValueError, match=f"num_workers={count!r}; expected a whole"):
        build_features(
            known_factor_collection(18), tiny_config, tmp_path, num_workers=count
        )
    assert list(tmp_path.iterdir()) == []


def test_a_path_is_no_collection(tmp_path, tiny_config):
    root = write_genres(tmp_path / "music")
    with pytest.raises(
        ValueError, match="music'; expected what open_collection return"
    ):
        build_features(str(root), tiny_config, tmp_path / "cache")


def test_a_file_is_no_cache_and_nothing_is_to_be_deleted(tmp_path, tiny_config):
    """It was called damaged, and the advice was to delete it."""
    features = build_features(
        known_factor_collection(18), tiny_config, tmp_path, **QUIET
    )
    for path in (features.path / "meta.json", tmp_path):
        with pytest.raises(ValueError, match="no complete features.*folder as .path"):
            load_features(path)


@pytest.mark.parametrize("nothing", ["", np.nan, None])
def test_clips_without_a_group_are_of_no_group(features, nothing):
    table = features.table.assign(group=nothing)
    again = FeatureSet(
        features.config, features.genres, table, features.log_mel, table[:0]
    )
    assert len(again.subset("test")) == 12
