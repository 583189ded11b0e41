"""Collections: the splits, and what a folder may hold without doing harm."""

import dataclasses
import os
import shutil

import pandas as pd
import pytest
from generated_music import write_genres, write_tune

from cvae_music.audio import files
from cvae_music.data import collection as datasets
from cvae_music.data.collection import Collection, split_groups
from cvae_music.data.sources import (
    folder_collection,
    known_factor_collection,
    open_collection,
)
from known_music import FACTORS, GENRES


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


def reasons(collection):
    return dict(
        zip(collection.skipped["path"], collection.skipped["reason"], strict=True)
    )


def test_split_groups_counts_and_repeats():
    groups = [f"track {number}" for number in range(20)]
    split = split_groups(groups, seed=3)
    assert pd.Series(split).value_counts().to_dict() == {
        "train": 16,
        "validation": 2,
        "test": 2,
    }
    assert split == split_groups(groups, seed=3)
    assert split != split_groups(groups, seed=4)


def test_split_groups_fills_every_split_from_three_groups():
    assert sorted(split_groups(["a", "b", "c"]).values()) == [
        "test",
        "train",
        "validation",
    ]


def test_known_factor_collection_is_balanced_and_repeatable():
    collection = known_factor_collection(120, seed=5)
    assert collection.genres == GENRES and collection.is_composed
    assert (collection.counts().to_numpy() == [16, 2, 2]).all()
    assert set(FACTORS) < set(collection.table.columns)
    pd.testing.assert_frame_equal(
        collection.table, known_factor_collection(120, seed=5).table
    )
    assert collection.key() == known_factor_collection(120, seed=5).key()
    assert collection.key() != known_factor_collection(120, seed=6).key()


def test_known_factor_collection_needs_three_clips_a_genre():
    with pytest.raises(ValueError, match="num_clips=12"):
        known_factor_collection(12)


def test_folder_keeps_pieces_of_a_track_together(tmp_path):
    for genre in ("jazz", "rock"):
        for track in range(10):
            for piece in range(3):
                touch(tmp_path / genre / f"song {track}__{piece:02d}.wav")
    collection = folder_collection(tmp_path, seed=1)
    assert (collection.counts().to_numpy() == [24, 3, 3]).all()
    assert collection.table["group"].nunique() == 20
    assert (collection.table.groupby("group")["split"].nunique() == 1).all()


def test_folder_reads_gtzan_names_as_tracks(tmp_path):
    for genre in ("blues", "metal"):
        for number in range(3):
            touch(tmp_path / genre / f"{genre}.{number:05d}.wav")
    assert folder_collection(tmp_path).table["group"].nunique() == 6


def test_folder_with_strange_names(tmp_path):
    for genre in ("Bossa Nova", "Čardáš", "NA"):
        for track in ("Água de beber.ogg", "été 1.MP3", "曲.flac"):
            touch(tmp_path / genre / "An album" / track)
    collection = folder_collection(tmp_path)
    assert collection.genres == ("Bossa Nova", "NA", "Čardáš")
    assert len(collection) == 9


def test_folder_reports_what_it_leaves_out(tmp_path):
    write_genres(tmp_path)
    touch(tmp_path / "loose.wav")
    touch(tmp_path / "jazz" / ".hidden.wav")
    touch(tmp_path / "jazz" / "cover.jpg")
    touch(tmp_path / "polka" / "only one.wav")
    collection = folder_collection(tmp_path)
    assert collection.genres == ("jazz", "rock")
    assert reasons(collection) == {
        "loose.wav": "no genre",
        "jazz/.hidden.wav": "hidden file",
        "jazz/cover.jpg": "not audio",
        "polka/only one.wav": "genre with too few tracks",
    }


def test_folder_takes_every_ending_that_can_be_read(tmp_path):
    for genre in ("jazz", "rock"):
        for number, ending in enumerate(files.AUDIO_ENDINGS):
            touch(tmp_path / genre / f"{number}{ending.upper()}")
    assert len(folder_collection(tmp_path)) == 2 * len(files.AUDIO_ENDINGS) == 24
    for genre in ("jazz", "rock"):
        for path in (tmp_path / genre).iterdir():
            path.rename(path.with_suffix(".txt"))
    with pytest.raises(ValueError, match="24 × not audio.*ending in .wav, .mp3"):
        folder_collection(tmp_path)


def test_folder_needs_a_genre(tmp_path):
    with pytest.raises(
        ValueError, match="has 0 usable genres .left out: 1 × empty folder.; expected"
    ):
        folder_collection(tmp_path)


def test_one_genre_is_enough(tmp_path):
    write_genres(tmp_path, ("jazz",))
    touch(tmp_path / "loose.wav")
    collection = folder_collection(tmp_path)
    assert collection.genres == ("jazz",) and len(collection) == 3
    assert reasons(collection) == {"loose.wav": "no genre"}
    assert collection.counts().to_numpy().tolist() == [[1, 1, 1]]


def test_files_without_folders_are_one_genre(tmp_path):
    for track in range(10):
        for piece in range(2):
            touch(tmp_path / "My band" / f"song {track}__{piece:02d}.wav")
    collection = open_collection(tmp_path / "My band")
    assert collection.genres == ("My band",) and collection.name == "My band"
    assert collection.counts().to_numpy().tolist() == [[16, 2, 2]]
    assert reasons(collection) == {"My band": "no folders of genres"}
    assert "all is one genre, 'My band'" in collection.skipped["detail"].item()


def test_ready_made_splits_of_one_genre(tmp_path):
    """Two folders called train and test, and no others, were once two genres."""
    for split in ("train", "Test"):
        for track in range(5):
            touch(tmp_path / "techno" / split / f"{split} {track}.wav")
    touch(tmp_path / "techno" / "loose.wav")
    collection = folder_collection(tmp_path / "techno")
    assert collection.genres == ("techno",)
    assert collection.counts().to_numpy().tolist() == [[4, 1, 5]]
    assert reasons(collection) == {
        "techno": "no folders of genres",
        "loose.wav": "no genre",
    }
    detail = collection.skipped["detail"].iloc[0]
    assert "'train', 'validation' and 'test' where these are splits" in detail


def test_one_folder_with_folders_inside_is_asked_about(tmp_path):
    touch_artists(tmp_path, "jazz", 3)
    with pytest.raises(ValueError, match="Pass '.*jazz' if the genres.*If they are ar"):
        folder_collection(tmp_path)


def test_folder_of_genres_with_one_clip_each_says_why(tmp_path):
    write_genres(tmp_path, num_tracks=1)
    with pytest.raises(ValueError, match="2 × genre with too few tracks"):
        folder_collection(tmp_path)


def test_collection_refuses_a_group_in_two_splits(tmp_path):
    collection = folder_collection(write_genres(tmp_path))
    table = collection.table.assign(group="one artist")
    with pytest.raises(ValueError, match="groups in two splits.*one artist"):
        dataclasses.replace(collection, table=table)


def test_key_follows_content_not_place(tmp_path):
    write_genres(tmp_path / "here" / "music")
    before = folder_collection(tmp_path / "here" / "music").key()
    shutil.move(tmp_path / "here", tmp_path / "there")
    moved = tmp_path / "there" / "music"
    assert folder_collection(moved).key() == before
    write_tune(moved / "jazz" / "track0.wav", seconds=4.0)
    assert folder_collection(moved).key() != before


def test_open_collection_picks_the_source(tmp_path):
    assert open_collection("known", num_clips=18).is_composed
    assert open_collection(write_genres(tmp_path)).genres == ("jazz", "rock")
    assert open_collection(str(tmp_path)).genres == ("jazz", "rock")
    with pytest.raises(ValueError, match="expected 'known', 'fma', or the path"):
        open_collection(tmp_path / "nowhere")


def test_hidden_parents_do_not_hide_music(tmp_path):
    root = write_genres(tmp_path / ".music")
    assert len(folder_collection(root)) == 6


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="no symbolic links")
def test_broken_link_is_no_file(tmp_path):
    root = write_genres(tmp_path)
    os.symlink(tmp_path / "gone.wav", root / "jazz" / "link.wav")
    assert len(folder_collection(root)) == 6


def touch_artists(root, genre, num_artists, num_tracks=4):
    for artist in range(num_artists):
        for track in range(num_tracks):
            touch(root / genre / f"{genre} artist {artist}" / "album" / f"{track}.wav")


def test_an_artist_is_in_one_split(tmp_path):
    """Of root/genre/artist/track each file was once a group of its own."""
    for genre in ("jazz", "rock"):
        touch_artists(tmp_path, genre, 10)
    for track in range(4):  # one artist in two genres
        touch(tmp_path / "jazz" / "Both" / f"{track}.wav")
        touch(tmp_path / "rock" / "both" / f"{track}.wav")
    collection = folder_collection(tmp_path)
    table = collection.table
    artist = table["path"].map(
        lambda path: path.split("/")[-3 if "album" in path else -2]
    )
    assert (table.groupby(artist.str.casefold())["split"].nunique() == 1).all()
    assert table["group"].nunique() == 21 and len(table) == 88
    assert (collection.counts().to_numpy() > 0).all()
    assert "artists not kept apart" not in set(collection.skipped["reason"])


def test_a_genre_of_two_artists_is_split_by_track_and_says_so(tmp_path):
    touch_artists(tmp_path, "jazz", 2)
    touch_artists(tmp_path, "rock", 3)
    collection = folder_collection(tmp_path)
    assert collection.counts().loc["jazz"].tolist() == [6, 1, 1]
    assert collection.counts().loc["rock"].tolist() == [4, 4, 4]
    assert reasons(collection) == {"jazz": "artists not kept apart"}
    assert "2 folders of artists" in collection.skipped["detail"][0]


def test_an_artist_in_two_ready_made_splits_stays_in_one(tmp_path):
    for split in ("train", "test"):
        for genre in ("jazz", "rock"):
            touch_artists(tmp_path / split, genre, 1)
            for artist in ("a", "b", "c"):
                touch(tmp_path / split / genre / f"{split} {artist}" / "tune.wav")
    collection = folder_collection(tmp_path)
    assert set(reasons(collection).values()) == {"recording or artist in another split"}
    assert (collection.table.groupby("group")["split"].nunique() == 1).all()


def test_genres_may_be_called_like_splits(tmp_path):
    write_genres(tmp_path / "flat", ("train", "test", "noise"))
    assert len(folder_collection(tmp_path / "flat").genres) == 3
    for genre in ("train", "test", "noise"):
        touch_artists(tmp_path / "deep", genre, 3)
    assert len(folder_collection(tmp_path / "deep").genres) == 3


@pytest.mark.parametrize(
    "twin", ["rock", "Rock ", "Ro\u200bck", "\uff32ock", "R-ock", "R\xf6ck"]
)
def test_genres_of_nearly_one_name_are_told(tmp_path, twin):
    write_genres(tmp_path, ("Rock", twin))
    collection = folder_collection(tmp_path)
    assert len(collection.genres) == 2
    lines = collection.skipped
    detail = lines["detail"][lines["reason"] == "name nearly the same"].item()
    assert ascii("Rock") in detail and ascii(twin) in detail


def test_own_folders_called_like_sources_are_told(tmp_path, monkeypatch):
    write_genres(tmp_path / "known")
    monkeypatch.chdir(tmp_path)
    with pytest.warns(UserWarning, match="Pass './known' to open it"):
        assert open_collection("known", num_clips=18).is_composed
    assert open_collection("./known").genres == ("jazz", "rock")


def test_key_does_not_follow_file_times_but_content(tmp_path):
    path = write_genres(tmp_path) / "jazz" / "track0.wav"
    before = folder_collection(tmp_path).key()
    os.utime(path, (1, 1))  # as after a new mount
    assert folder_collection(tmp_path).key() == before
    content = path.read_bytes()
    path.write_bytes(content[:44] + bytes(len(content) - 44))
    assert folder_collection(tmp_path).key() != before


def test_contract_of_the_table():
    collection = known_factor_collection(18)
    assert isinstance(collection, Collection)
    assert list(collection.table.columns[:5]) == [
        "source_id",
        "path",
        "genre",
        "split",
        "group",
    ]
    assert collection.table["source_id"].is_unique
    assert set(collection.table["split"]) == set(datasets.SPLITS)
