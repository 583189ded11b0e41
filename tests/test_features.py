"""Extraction and its cache: bad input, windows, interruption, full disks, other configurations."""

import contextlib
import dataclasses
import errno
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import librosa
import numpy as np
import pandas as pd
import pytest
import soundfile
from generated_music import tune, write_genres, write_tune

from cvae_music.audio import analysis
from cvae_music.audio.beats import onset_envelope, track_beats
from cvae_music.config import AudioConfig
from cvae_music.data import cache as feature_cache
from cvae_music.data import extraction, windows
from cvae_music.data.cache import read_table
from cvae_music.data.collection import Collection, skipped_table
from cvae_music.data.features import build_features, load_features
from cvae_music.data.shards import ShardedArray
from cvae_music.data.sources import folder_collection, known_factor_collection
from cvae_music.data.windows import load_first_window, load_window
from known_music import FACTORS, GENRES, compose, draw_factors

QUIET = {"num_workers": 1, "progress": False}


@pytest.fixture(scope="module")
def music_folder(tmp_path_factory):
    return write_genres(tmp_path_factory.mktemp("music"))


@pytest.fixture(scope="module")
def known(tmp_path_factory, tiny_config):
    collection = known_factor_collection(36)
    return build_features(
        collection, tiny_config, tmp_path_factory.mktemp("cache"), **QUIET
    )


def collection_of(paths, splits=("train", "validation", "test")):
    """One genre of good tunes beside the files to test, which play in training."""
    rows = [(path.name, str(path), "odd", "train", path.name) for path in paths]
    for genre in ("odd", "even"):
        for split in splits:
            good = write_tune(paths[0].parent / "good" / f"{genre} {split}.wav")
            rows.append(
                (f"{genre}/{split}", str(good), genre, split, f"{genre}/{split}")
            )
    table = pd.DataFrame(rows, columns=["source_id", "path", "genre", "split", "group"])
    return Collection("odd files", table, ("even", "odd"), skipped_table())


def reasons(features):
    return dict(zip(features.report["path"], features.report["reason"], strict=True))


# --- beats and levels -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def recordings():
    """Twenty seconds of one piece of each genre, begun somewhere in its loop: `(samples, tempo)`."""
    rng = np.random.default_rng(0)
    pieces = [
        (compose(row), row["tempo"]) for _, row in draw_factors(6, seed=21).iterrows()
    ]
    return [
        (np.resize(np.roll(loop, rng.integers(22050)), 20 * 22050), tempo)
        for loop, tempo in pieces
    ]


def test_beats_are_those_of_librosa(recordings):
    """The tracker is Ellis' as librosa has it, only faster; so old caches and new ones cut the same windows."""
    config, agreeing = AudioConfig(), 0
    for samples, tempo in recordings:
        envelope = librosa.onset.onset_strength(y=samples, sr=22050)
        np.testing.assert_allclose(onset_envelope(samples, 22050), envelope, atol=1e-3)
        expected = librosa.beat.beat_track(
            onset_envelope=envelope, trim=False, units="time"
        )[1]
        beats, is_tracked = track_beats(samples, config)
        np.testing.assert_allclose(beats, expected, atol=1e-9)
        octave = np.log2(60.0 / np.median(np.diff(beats)) / tempo)
        agreeing += is_tracked and abs(octave - round(octave)) < 0.06
    assert agreeing >= 5


@pytest.mark.parametrize("rate", [1000, 8000, 44100])
@pytest.mark.parametrize("length", [0, 1, 600, 3000, 30000])
def test_beats_of_next_to_nothing(rate, length):
    config, rng = (
        AudioConfig(sample_rate=rate, fmax=min(10000.0, rate / 2)),
        np.random.default_rng(0),
    )
    click = np.zeros(length)
    click[length // 2 : length // 2 + 1] = 1.0
    for samples in (
        np.zeros(length),
        click,
        np.full(length, 0.3),
        rng.standard_normal(length),
    ):
        beats, is_tracked = track_beats(samples.astype(np.float32), config)
        assert np.all(np.diff(beats) > 0) and (
            len(beats) > config.num_beats or not is_tracked
        )


@pytest.mark.parametrize("wrap", [False, True])
@pytest.mark.parametrize("length", [1, 1000, 100000])
def test_levels_follow_their_definition(recordings, wrap, length):
    """One window at a time, in double precision, also of moments beyond the ends: what weights were trained on."""
    config, samples = AudioConfig(), recordings[3][0][:length].astype(np.float64)
    times = np.random.default_rng(1).uniform(-0.2, length / 22050 + 0.2, 300)
    window, expected = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(2048) / 2048), []
    for centre in np.round(times * 22050).astype(int):
        index = np.arange(centre - 1024, centre + 1024)
        frame = (
            samples[index % length]
            if wrap
            else np.where((index >= 0) & (index < length), samples[index % length], 0)
        )
        power = (
            np.abs(np.fft.rfft(frame * window) / 512) ** 2
            @ analysis.mel_filters(config).T
        )
        expected.append(
            np.clip(
                10 * np.log10(np.maximum(power, 1e-10)),
                config.floor_db,
                config.ceiling_db,
            )
        )
    level = analysis.log_mel(samples, times, config, wrap)
    assert level.dtype == np.float32
    np.testing.assert_allclose(level, expected, atol=0.01)


def test_features_of_a_file_are_its_levels_on_its_beats(tmp_path):
    """Each window of a file reads as the levels at sixteen moments a beat, in the half precision of the cache."""
    config, path = (
        AudioConfig(),
        write_tune(tmp_path / "tune.wav", seconds=12.0, sample_rate=22050),
    )
    row = {
        "source_id": "tune",
        "path": str(path),
        "genre": "odd",
        "split": "train",
        "group": "tune",
    }
    rows, levels, skipped = extraction.extract_source(row, config)
    samples = soundfile.read(path, dtype="float32")[0]
    beats, _ = track_beats(samples, config)
    assert skipped == [] and len(rows) == len(levels) == (len(beats) - 9) // 2 + 1
    for number, (found, level) in enumerate(zip(rows, levels, strict=True)):
        inside = beats[2 * number : 2 * number + 9]
        assert (found["start"], found["end"]) == pytest.approx(
            (inside[0], inside[-1]), abs=1e-6
        )
        expected = analysis.log_mel(
            samples, analysis.beat_frame_times(inside, config), config
        )
        np.testing.assert_allclose(level, expected, atol=0.04)


# --- composed music -------------------------------------------------------------------------------------------------


def test_known_features_keep_the_contract(known, tiny_config):
    assert known.genres == GENRES and known.config == tiny_config
    assert (
        known.log_mel.shape == (36, *tiny_config.shape)
        and known.log_mel.dtype == np.float16
    )
    assert isinstance(known.log_mel, ShardedArray)
    assert (known.table["grid"] == "known").all() and known.table["clip_id"].is_unique
    assert set(FACTORS) < set(known.table.columns)
    assert np.asarray(known.log_mel).min() >= tiny_config.floor_db
    assert np.asarray(known.log_mel).max() <= tiny_config.ceiling_db
    x, genre = known.arrays("test")
    assert (
        x.dtype == np.float32
        and x.shape == (6, *tiny_config.shape)
        and np.abs(x).max() <= 1
    )
    assert sorted(genre.tolist()) == [0, 1, 2, 3, 4, 5] and genre.dtype == np.int32


@pytest.mark.parametrize("index", [0, 17, 35])
def test_rows_match_their_features(known, tiny_config, index):
    """A row composed again gives the features that stand beside it, whether it comes as a row or as a dictionary."""
    row = known.table.iloc[index]
    clip = load_window(row, tiny_config)
    assert (
        clip.name == f"{row['genre']}, known-0-{row['clip_id'][-6:]}"
        and clip.tempo == row["tempo"]
        and clip.is_tracked
    )
    assert len(clip.samples) == round(
        tiny_config.num_beats * 60 / row["tempo"] * tiny_config.sample_rate
    )
    np.testing.assert_allclose(known.log_mel[index], clip.log_mel, atol=0.05)
    np.testing.assert_array_equal(
        load_window(row.to_dict(), tiny_config).log_mel, clip.log_mel
    )


def test_subset_stays_on_disk(known):
    part = known.subset("validation")
    assert len(part) == 6 and set(part.table["split"]) == {"validation"}
    assert isinstance(part.log_mel, ShardedArray)
    np.testing.assert_array_equal(
        part.log_mel, known.log_mel[known.table["split"] == "validation"]
    )
    with pytest.raises(ValueError, match="got split='training'"):
        known.subset("training")


@pytest.fixture
def shuffled(known):
    """The same clips in another order, as a table sorted or joined by hand has them."""
    order = np.random.default_rng(1).permutation(len(known))
    table = known.table.iloc[order].reset_index(drop=True)
    return dataclasses.replace(known, table=table, log_mel=known.log_mel[order])


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_a_split_is_itself_whatever_the_order_of_the_rows(known, shuffled, split):
    part = shuffled.subset(split)
    assert set(part.table["split"]) == {split}
    home = known.table.set_index("clip_id").index
    rows = [home.get_loc(clip_id) for clip_id in part.table["clip_id"]]
    np.testing.assert_array_equal(part.log_mel, known.log_mel[rows])


def test_a_group_in_two_splits_is_refused(known):
    table = known.table.copy()
    table["group"] = "one artist"
    with pytest.raises(ValueError, match="groups in two splits: .'one artist'.*Give"):
        dataclasses.replace(known, table=table)
    with pytest.raises(ValueError, match="got 35 rows for 36 clips"):
        dataclasses.replace(known, table=known.table[1:])


def test_known_music_on_the_grid_in_seconds(tmp_path, tiny_config):
    config = dataclasses.replace(tiny_config, grid="seconds")
    features = build_features(known_factor_collection(18), config, tmp_path, **QUIET)
    assert (features.table["grid"] == "seconds").all()
    assert features.table["start"].nunique() > 10
    row = features.table.iloc[3]
    np.testing.assert_allclose(row["end"] - row["start"], config.seconds(), atol=1e-6)
    clip = load_window(row, config)
    assert len(clip.samples) == round(config.seconds() * config.sample_rate)
    np.testing.assert_allclose(features.log_mel[3], clip.log_mel, atol=0.05)


# --- files ----------------------------------------------------------------------------------------------------------


def test_windows_of_a_folder(music_folder, tmp_path, tiny_config):
    features = build_features(
        folder_collection(music_folder), tiny_config, tmp_path, **QUIET
    )
    assert set(features.table["grid"]) == {"tracked"}
    assert features.table["tempo"].between(110, 130).all()
    assert (features.table["end"] <= 5.0).all() and features.report.empty
    train = features.table[features.table["split"] == "train"]
    others = features.table[features.table["split"] != "train"]
    steps = train.groupby("source_id")["start"].diff().dropna()
    assert steps.between(0.9, 1.1).all()  # two beats at 120 BPM
    gaps = others["start"] - others.groupby("source_id")["end"].shift()
    assert (gaps.dropna().abs() < 1e-5).all()  # no second of music counts twice
    row = features.table.iloc[1]
    clip = load_window(row, tiny_config)
    assert (
        abs(len(clip.samples) - (row["end"] - row["start"]) * tiny_config.sample_rate)
        <= 2
    )
    # Read as a loop with even beats, a clip is nearly what its features say.
    assert np.abs(clip.log_mel - features.log_mel[1]).mean() < 2.0


def test_a_clip_of_any_file(music_folder, tiny_config):
    clip = load_first_window(
        f" '{music_folder / 'jazz' / 'track0.wav'}' ", tiny_config, start=0.25
    )
    assert (
        clip.name == "track0.wav"
        and clip.is_tracked
        and clip.tempo == pytest.approx(120, abs=10)
    )
    assert clip.log_mel.shape == tiny_config.shape
    assert len(clip.samples) == pytest.approx(
        tiny_config.seconds(clip.tempo) * tiny_config.sample_rate, abs=2
    )
    with pytest.raises(
        ValueError,
        match="too short.*beats in 1.0 s from 4 s on; expected at least 4 beats",
    ):
        load_first_window(music_folder / "jazz" / "track0.wav", tiny_config, start=4.0)
    with pytest.raises(ValueError, match="no such file.*wav, .mp3, .ogg"):
        load_first_window(music_folder / "jazz" / "other.wav", tiny_config)
    seconds = load_first_window(
        music_folder / "jazz" / "track0.wav",
        dataclasses.replace(tiny_config, grid="seconds"),
    )
    assert len(seconds.samples) == 32 * 64


def source_of(path, split="train"):
    return {
        "source_id": path.name,
        "path": str(path),
        "genre": "odd",
        "split": split,
        "group": path.name,
    }


def starts_and_gaps(rows):
    starts = np.array([row["start"] for row in rows])
    return starts, starts[1:] - np.array([row["end"] for row in rows])[:-1]


def test_long_files_are_used_from_their_first_minute_to_their_last(
    tmp_path, tiny_config
):
    """Of longer files only the middle minute was once read, unsaid."""
    path = write_tune(tmp_path / "long.wav", seconds=300.0)
    rows, clips, skipped = extraction.extract_source(source_of(path), tiny_config, 999)
    assert len(rows) == len(clips) and skipped == []
    starts, gaps = starts_and_gaps(rows)
    assert starts[0] < 1.0 and rows[-1]["end"] > 298.0
    assert np.all(gaps <= 2.1)  # blocks meet, windows inside one overlap
    assert len({row["clip_id"] for row in rows}) == len(rows) == pytest.approx(297, 10)
    _, gaps = starts_and_gaps(
        extraction.extract_source(source_of(path, "test"), tiny_config)[0]
    )
    assert np.all(gaps > -1e-5)  # no second of music counts twice


def test_windows_of_each_block_begin_where_they_say(tmp_path, tiny_config, monkeypatch):
    monkeypatch.setattr(extraction, "BLOCK_SECONDS", 6.0)
    time = np.arange(30 * 8000) / 8000
    rising = np.sin(2 * np.pi * (300 + 40 * time) * time)  # 300 to 2700 Hz
    soundfile.write(tmp_path / "rising.wav", tune(30.0) + 0.4 * rising, 8000)
    source = source_of(tmp_path / "rising.wav")
    rows, clips, _ = extraction.extract_source(source, tiny_config)
    for row, clip in zip(rows[::5], clips[::5], strict=True):
        again = load_window(row, tiny_config).log_mel
        assert again[16].argmax() == pytest.approx(clip[16].argmax(), abs=1)
    assert clips[0][16].argmax() < 4 and clips[-1][16].argmax() > 11


@pytest.mark.parametrize("split", ["train", "test"])
@pytest.mark.parametrize("limit", [1, 3, 7, 60])
def test_the_limit_of_windows_spreads_them_over_the_file(
    tmp_path, tiny_config, monkeypatch, limit, split
):
    monkeypatch.setattr(extraction, "BLOCK_SECONDS", 6.0)
    path = write_tune(tmp_path / "long.wav", seconds=40.0)
    whole = extraction.extract_source(source_of(path, split), tiny_config)[0]
    rows, clips, skipped = extraction.extract_source(
        source_of(path, split), tiny_config, limit
    )
    assert len(rows) == len(clips) == min(limit, len(whole))
    assert {row["start"] for row in rows} <= {row["start"] for row in whole}
    if limit in (7, 60):
        starts, _ = starts_and_gaps(rows)
        assert len(np.unique((starts + 0.01) // (40 / 6))) == 6  # each block has some
    if limit < len(whole):
        ((name, reason, detail),) = skipped
        assert (name, reason) == ("long.wav", "long file")
        used, there = re.match(r"(\d+) of (\d+) s used, in", detail).groups()
        assert int(there) == 40 and int(used) <= min(40, 2.1 * limit)


def test_features_say_how_much_of_long_files_they_hold(tmp_path, tiny_config, capsys):
    collection = collection_of([write_tune(tmp_path / "long.wav", seconds=20.0)])
    options = {"max_windows": 2, "num_workers": 1}
    features = build_features(collection, tiny_config, tmp_path, **options)
    assert (features.table["source_id"].value_counts() <= 2).all()
    assert reasons(features)["long.wav"] == "long file"
    assert re.search(
        r"Long files: \d+ of \d+ s used; raise max_windows", capsys.readouterr().out
    )
    more = build_features(collection, tiny_config, tmp_path, **QUIET)
    assert more.path != features.path and len(more) > len(features)
    for name in ("max_windows", "num_workers"):
        with pytest.raises(ValueError, match=f"{name}=0; expected a whole number"):
            build_features(collection, tiny_config, tmp_path, **{name: 0})


def test_composed_music_has_one_cache_whatever_the_limit(known, tiny_config):
    again = build_features(
        known_factor_collection(36),
        tiny_config,
        known.path.parent,
        max_windows=5,
        **QUIET,
    )
    assert again.path == known.path


def test_one_silent_or_damaged_block_does_not_cost_a_long_file(
    tmp_path, tiny_config, monkeypatch
):
    monkeypatch.setattr(extraction, "BLOCK_SECONDS", 6.0)
    samples = tune(30.0)
    samples[12 * 8000 : 18 * 8000] = 0.0
    soundfile.write(tmp_path / "pause.wav", samples, 8000)
    rows, _, skipped = extraction.extract_source(
        source_of(tmp_path / "pause.wav"), tiny_config
    )
    assert [line[1] for line in skipped] == ["silent windows"]
    starts, _ = starts_and_gaps(rows)
    assert starts.max() > 24 and not np.any((starts > 12) & (starts < 16))
    load = extraction.load_blocks

    def damaged(*args):
        for number, (start, samples) in enumerate(load(*args)):
            yield start, samples[:0] if number == 2 else samples

    monkeypatch.setattr(extraction, "load_blocks", damaged)
    path = write_tune(tmp_path / "damaged.wav", seconds=30.0)
    rows, _, skipped = extraction.extract_source(source_of(path), tiny_config)
    assert [line[1] for line in skipped] == ["truncated"]
    assert "says 30.0 s; 24.0 s came" in skipped[0][2] and rows[-1]["start"] > 24


def test_grid_in_seconds_for_files(music_folder, tmp_path, tiny_config):
    config = dataclasses.replace(tiny_config, grid="seconds")
    features = build_features(
        folder_collection(music_folder), config, tmp_path, **QUIET
    )
    assert set(features.table["grid"]) == {"seconds"}
    np.testing.assert_allclose(
        features.table["end"] - features.table["start"], config.seconds(), atol=1e-6
    )


def test_bad_files_cost_a_line_each(tmp_path, tiny_config):
    mp3 = tmp_path / "truncated.mp3"
    soundfile.write(mp3, tune(20.0, 44100), 44100)
    mp3.write_bytes(mp3.read_bytes()[: mp3.stat().st_size * 3 // 10])
    (tmp_path / "text.wav").write_text("These are words, not sound.")
    (tmp_path / "empty.ogg").write_bytes(b"")
    (tmp_path / "garbage.mp3").write_bytes(np.random.default_rng(0).bytes(20000))
    soundfile.write(tmp_path / "silence.wav", np.zeros(40000, np.float32), 8000)
    soundfile.write(
        tmp_path / "nan.wav", np.full(40000, np.nan, np.float32), 8000, subtype="FLOAT"
    )
    names = [
        "truncated.mp3",
        "text.wav",
        "empty.ogg",
        "garbage.mp3",
        "silence.wav",
        "nan.wav",
    ]
    paths = [tmp_path / name for name in names]
    paths.append(write_tune(tmp_path / "half a second.wav", seconds=0.5))
    paths.append(write_tune(tmp_path / "tempo 60 for 2 s.wav", seconds=2.0, tempo=60))
    features = build_features(
        collection_of(paths), tiny_config, tmp_path / "cache", **QUIET
    )
    found = reasons(features)
    assert found.pop("garbage.mp3") in ("unreadable", "no audio", "too short")
    assert found.pop("nan.wav") in ("not finite", "silent")
    found.pop("tempo 60 for 2 s.wav", None)
    assert found == {
        "truncated.mp3": "truncated",
        "text.wav": "unreadable",
        "empty.ogg": "empty file",
        "silence.wav": "silent",
        "half a second.wav": "too short",
    }
    assert (
        features.report.loc[features.report["reason"] == "truncated", "detail"]
        .str.contains("header")
        .all()
    )
    assert "truncated" in features.summary()


def test_silent_windows_are_left_out_of_a_file(tmp_path, tiny_config):
    config = dataclasses.replace(tiny_config, grid="seconds")
    path = tmp_path / "half silent.wav"
    soundfile.write(
        path, np.concatenate([tune(3.0), np.zeros(24000, np.float32)]), 8000
    )
    features = build_features(
        collection_of([path]), config, tmp_path / "cache", **QUIET
    )
    assert reasons(features) == {"half silent.wav": "silent windows"}
    found = features.table[features.table["source_id"] == "half silent.wav"]
    assert 0 < len(found) and found["start"].max() < 3.0


def test_other_sample_rates_and_names(tmp_path, tiny_config):
    paths = [
        write_tune(tmp_path / "8 kHz ça va.wav", sample_rate=8000),
        write_tune(tmp_path / "96 kHz 音楽.flac", sample_rate=96000),
        write_tune(tmp_path / "44.1 kHz.ogg", sample_rate=44100),
    ]
    features = build_features(
        collection_of(paths), tiny_config, tmp_path / "cache", **QUIET
    )
    assert features.report.empty
    levels = [
        features.log_mel[features.table["source_id"] == path.name].mean()
        for path in paths
    ]
    assert np.ptp(levels) < 8.0


def test_a_strange_failure_is_reported_not_raised(
    music_folder, tmp_path, tiny_config, monkeypatch
):
    def fail(samples, config):
        if not fail.done:
            fail.done = True
            raise ZeroDivisionError("no beats at all")
        return np.arange(0, 5, 0.5), True

    fail.done = False
    monkeypatch.setattr(windows, "track_beats", fail)
    collection = collection_of([write_tune(tmp_path / "first.wav")])
    features = build_features(collection, tiny_config, tmp_path / "cache", **QUIET)
    assert features.report[["reason", "detail"]].values.tolist() == [
        ["analysis failed", "ZeroDivisionError: no beats at all"]
    ]


def test_nothing_usable_is_a_clear_error(tmp_path, tiny_config):
    for genre in ("jazz", "rock"):
        for number in range(3):
            write_tune(tmp_path / "music" / genre / f"{number}.wav", seconds=0.5)
    with pytest.raises(
        ValueError, match="has 0 usable genres.*6 × too short.*expected at least 1"
    ):
        build_features(
            folder_collection(tmp_path / "music"),
            tiny_config,
            tmp_path / "cache",
            **QUIET,
        )


def test_genre_that_lost_a_split_is_left_out(tmp_path, tiny_config, capsys):
    root = write_genres(tmp_path / "music", ("jazz", "polka", "rock", "waltz"))
    for path in (root / "polka" / "track1.wav", *(root / "waltz").iterdir()):
        path.write_text("text")
    features = build_features(
        folder_collection(root), tiny_config, tmp_path / "cache", num_workers=1
    )
    assert features.genres == ("jazz", "rock") and set(features.table["genre"]) == {
        "jazz",
        "rock",
    }
    assert len(features.log_mel) == len(features)
    assert features.report["reason"].value_counts().to_dict() == {
        "unreadable": 4,
        "genre with too few tracks": 3,
    }
    printed = capsys.readouterr().out
    assert (
        "genre 'polka' has nothing in: " in printed
        and "'waltz' has nothing in: train, validation, test" in printed
    )


# --- the cache ------------------------------------------------------------------------------------------------------


def files_of(path):
    return sorted(name for name in os.listdir(path))


def assert_same(first, second):
    pd.testing.assert_frame_equal(first.table, second.table)
    np.testing.assert_array_equal(first.log_mel, second.log_mel)
    assert first.genres == second.genres


def test_second_time_reads_the_cache(known, tiny_config, monkeypatch):
    monkeypatch.setattr(extraction, "extract_source", None)
    again = build_features(
        known_factor_collection(36), tiny_config, known.path.parent, **QUIET
    )
    assert again.path == known.path
    assert files_of(again.path) == [
        "lock",
        "meta.json",
        "shard-00000.json",
        "shard-00000.npy",
        "shard-00001.json",
        "shard-00001.npy",
        "skipped.csv",
        "table.csv",
    ]
    assert_same(again, known)
    meta = json.loads((known.path / "meta.json").read_text(encoding="utf-8"))
    assert (
        tuple(meta["genres"]) == GENRES and meta["config"] == tiny_config.get_config()
    )


def test_workers_make_the_same_features(known, tiny_config, tmp_path, capsys):
    parallel = build_features(
        known_factor_collection(36), tiny_config, tmp_path, num_workers=2
    )
    assert_same(parallel, known)
    printed = capsys.readouterr().out
    assert "36/36" in printed and "36 clips of 6 genres" in printed


def test_files_that_moved_are_found_again(tmp_path, tiny_config):
    root = write_genres(tmp_path / "here" / "music")
    before = build_features(
        folder_collection(root), tiny_config, tmp_path / "cache", **QUIET
    )
    (tmp_path / "here").rename(tmp_path / "there")
    after = build_features(
        folder_collection(tmp_path / "there" / "music"),
        tiny_config,
        tmp_path / "cache",
        **QUIET,
    )
    assert after.path == before.path
    assert len(load_window(after.table.iloc[0], tiny_config).samples) > 0


def test_a_cache_reports_what_stands_beside_its_music_now(
    tmp_path, tiny_config, monkeypatch
):
    """The music is the same, and so is its cache; a genre that cannot be read is new."""
    root = write_genres(tmp_path / "music", num_tracks=3)
    soundfile.write(root / "jazz" / "short.wav", np.full(800, 0.5), 8000)

    def build():
        collection = folder_collection(root)
        return build_features(collection, tiny_config, tmp_path / "cache", **QUIET)

    def about(features):
        return dict(
            zip(features.report["path"], features.report["reason"], strict=True)
        )

    before = build()
    too_short = {"jazz/short.wav": "too short"}
    assert about(before) == too_short
    monkeypatch.setattr(extraction, "extract_source", None)
    (root / "folk").mkdir()
    (root / "folk" / "song.m4a").write_bytes(bytes(4) + b"ftypM4A " + bytes(99))
    (root / "notes.txt").write_text("of mine")
    after = build()
    assert after.path == before.path
    assert about(after) == too_short | {
        "folk/song.m4a": "format not read",
        "notes.txt": "not audio",
        "folk": "genre with too few tracks",
    }
    assert "genre 'folk' has nothing in" in after.summary()
    shutil.rmtree(root / "folk")
    (root / "notes.txt").unlink()
    pd.testing.assert_frame_equal(build().report, before.report)


@pytest.mark.parametrize("stop_after", [1, 6, 18, 20])
def test_interrupted_run_goes_on(known, tiny_config, tmp_path, monkeypatch, stop_after):
    """A kill after any write leaves nothing half-written, and the next run ends with the same features."""
    monkeypatch.setattr(
        feature_cache, "SHARD_SIZE", 4
    )  # 9 shards of two files, then three more files
    replace, count = os.replace, 0

    def stop(source, target):
        nonlocal count
        count += 1
        if count > stop_after:
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(os, "replace", stop)
    collection = known_factor_collection(36)
    try:
        build_features(collection, tiny_config, tmp_path, **QUIET)
    except KeyboardInterrupt:
        (folder,) = tmp_path.iterdir()
        assert not list(folder.glob("*.tmp"))
        with pytest.raises(ValueError, match="no complete features"):
            load_features(folder)
    monkeypatch.setattr(os, "replace", replace)
    if stop_after >= 18:  # all shards were there: nothing is extracted twice
        monkeypatch.setattr(extraction, "extract_source", None)
    assert_same(build_features(collection, tiny_config, tmp_path, **QUIET), known)


def test_killed_process_goes_on(known, tiny_config, tmp_path):
    """The real thing: a process that is killed without warning in the middle of its third shard."""
    script = f"""
import os, signal
from cvae_music.config import AudioConfig
from cvae_music.data import cache, extraction
from cvae_music.data.features import build_features
from cvae_music.data.sources import known_factor_collection
cache.SHARD_SIZE = 4
extract, count = extraction.extract_source, 0
def kill(*args):
    global count
    count += 1
    if count == 11:
        os.kill(os.getpid(), signal.SIGKILL)
    return extract(*args)
extraction.extract_source = kill
config = AudioConfig.from_dict({tiny_config.get_config()!r})
build_features(known_factor_collection(36), config, {str(tmp_path)!r}, num_workers=1, progress=False)
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    assert (
        subprocess.run([sys.executable, "-c", script], env=environment).returncode != 0
    )
    (folder,) = tmp_path.iterdir()
    assert len(list(folder.glob("shard-*.json"))) == 2
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feature_cache, "SHARD_SIZE", 4)
        assert_same(
            build_features(known_factor_collection(36), tiny_config, tmp_path, **QUIET),
            known,
        )


def test_two_processes_make_one_cache_together(known, tiny_config, tmp_path):
    """One makes the features, the other waits for them: no source is extracted twice, no file is torn."""
    script = f"""
import time
from cvae_music.config import AudioConfig
from cvae_music.data import cache, extraction
from cvae_music.data.features import build_features
from cvae_music.data.sources import known_factor_collection
cache.SHARD_SIZE = 4
extract = extraction.extract_source
def note(*args):
    print("extracted", flush=True)
    time.sleep(0.05)
    return extract(*args)
extraction.extract_source = note
config = AudioConfig.from_dict({tiny_config.get_config()!r})
build_features(known_factor_collection(36), config, {str(tmp_path)!r}, num_workers=1, progress=False)
"""
    command, environment = (
        [sys.executable, "-c", script],
        os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    options = {"env": environment, "stdout": subprocess.PIPE, "text": True}
    both = [subprocess.Popen(command, **options) for _ in range(2)]
    printed = [process.communicate()[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert sum(text.count("extracted") for text in printed) == 36
    (folder,) = tmp_path.iterdir()
    assert_same(load_features(folder), known)


def test_full_disk_is_a_clear_error_and_goes_on(
    known, tiny_config, tmp_path, monkeypatch
):
    monkeypatch.setattr(feature_cache, "SHARD_SIZE", 4)
    sync, count = os.fsync, 0

    def full(file):
        nonlocal count
        count += 1
        if count == 7:  # each shard writes two files
            raise OSError(errno.ENOSPC, "No space left on device")
        sync(file)

    monkeypatch.setattr(os, "fsync", full)
    collection = known_factor_collection(36)
    with pytest.raises(
        OSError, match="is full, with 3 of 9 shards.*Free some space"
    ) as caught:
        build_features(collection, tiny_config, tmp_path, **QUIET)
    assert caught.value.errno == errno.ENOSPC
    (folder,) = tmp_path.iterdir()
    assert not list(folder.glob("*.tmp"))
    assert len(list(folder.glob("shard-*.json"))) == 3
    assert_same(build_features(collection, tiny_config, tmp_path, **QUIET), known)


def test_no_permission_is_a_clear_error(tiny_config, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(
        PermissionError, match="cannot be saved in .*Pass another cache_dir"
    ):
        build_features(
            known_factor_collection(18),
            tiny_config,
            tmp_path / "file" / "cache",
            **QUIET,
        )


def test_cache_of_another_config_is_refused(known, tiny_config):
    other = dataclasses.replace(tiny_config, n_mels=24)
    with pytest.raises(ValueError, match="n_mels: 16 there, 24 here"):
        load_features(known.path, other)
    assert load_features(known.path, tiny_config).config == tiny_config


def test_features_of_another_version_are_told(known, tmp_path):
    """Older caches held one array, and nothing of shards in `meta.json`."""
    shutil.copytree(known.path, tmp_path / "old")
    meta = json.loads((known.path / "meta.json").read_text(encoding="utf-8"))
    del meta["shards"]
    (tmp_path / "old" / "meta.json").write_text(json.dumps(meta), encoding="utf-8")
    with pytest.raises(ValueError, match="another version of this library. Run"):
        load_features(tmp_path / "old")


def test_a_damaged_shard_is_told_and_remade_alone(tiny_config, tmp_path, monkeypatch):
    features = build_features(
        known_factor_collection(36), tiny_config, tmp_path, **QUIET
    )
    expected = np.asarray(features.log_mel)
    shard = features.path / "shard-00001.npy"
    shard.write_bytes(shard.read_bytes().replace(b"}", b"(", 1))
    with pytest.raises(ValueError, match="shard-00001.npy' is damaged.*Delete it and"):
        features.arrays()
    shard.unlink()
    with pytest.raises(ValueError, match="holds damaged features"):
        load_features(features.path)
    (features.path / "meta.json").unlink()
    extract, asked = extraction.extract_source, []
    monkeypatch.setattr(
        extraction,
        "extract_source",
        lambda source, *more: asked.append(source) or extract(source, *more),
    )
    again = build_features(known_factor_collection(36), tiny_config, tmp_path, **QUIET)
    assert len(asked) == 4  # 36 sources in shards of 32
    np.testing.assert_array_equal(again.log_mel, expected)


KEYS = [0, -1, 35, slice(None), slice(30, 34), slice(None, None, 7), slice(5, 5)]
KEYS += [[], [35, 0, 31, 32, 0], np.arange(36) % 5 == 0, np.array([[1, 33], [32, 2]])]


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_shards_are_indexed_as_one_array(known, key):
    whole = np.asarray(known.log_mel)
    if isinstance(key, list):
        key = np.array(key, int)
    np.testing.assert_array_equal(known.log_mel[key], whole[key])
    odd = known.log_mel.select(np.arange(1, 36, 2))
    if not isinstance(key, np.ndarray):
        with pytest.raises(IndexError) if key == 35 else contextlib.nullcontext():
            np.testing.assert_array_equal(odd[key], whole[1::2][key])


def test_shards_look_like_an_array(known, tiny_config):
    whole = np.asarray(known.log_mel)
    assert (known.log_mel.shape, known.log_mel.nbytes) == (whole.shape, whole.nbytes)
    assert np.asarray(known.log_mel, np.float32).dtype == np.float32
    np.testing.assert_array_equal(np.stack(list(known.log_mel)), whole)
    with pytest.raises(IndexError):
        known.log_mel[36]


def test_a_hole_in_a_column_of_numbers_leaves_it_numbers():
    """Holes were once read as text, and with them all tempos: '120.5'."""
    table = read_table("genre,tempo,mood,path\nNA,120.5,dark,\njazz,,,/a.wav\n")
    np.testing.assert_array_equal(table["tempo"], [120.5, np.nan])
    assert table["genre"].tolist() == ["NA", "jazz"]
    assert table["mood"].tolist() == ["dark", ""]
    assert table["path"].tolist() == ["", "/a.wav"]


def test_code_key_follows_what_a_module_imports(tmp_path, monkeypatch):
    """Features never outlive the code that made them, and those of files do not depend on the composer's."""
    names = [
        "config",
        "serialization",
        "audio.files",
        "audio.analysis",
        "data.windows",
        "data.shards",
        "data.extraction",
        "data.cache",
    ]
    files = {
        name: tmp_path / "cvae_music" / f"{name.replace('.', '/')}.py" for name in names
    }
    files["composer"] = tmp_path / "known_music" / "drums.py"
    for package in ("cvae_music", "known_music"):
        here = Path(feature_cache.__file__).parents[2] / package
        shutil.copytree(
            here,
            tmp_path / package,
            ignore=shutil.ignore_patterns("weights", "__pycache__"),
        )
    monkeypatch.setattr(feature_cache, "__file__", str(files["data.cache"]))

    def keys():
        feature_cache.code_key.cache_clear()
        return tuple(
            feature_cache.code_key("cvae_music.data.cache", *more)
            for more in ([], ["known_music.composer"])
        )

    for name, file in files.items():
        before, text = keys(), file.read_text(encoding="utf-8")
        file.write_text(f"{text}# A comment changes nothing.\n", encoding="utf-8")
        assert keys() == before
        file.write_text(re.sub('"""(?=[A-Z])', '"""In short, ', text), encoding="utf-8")
        assert keys() == before
        file.write_text(f"{text}\nNEW = 1\n", encoding="utf-8")
        changed = [old != new for old, new in zip(before, keys(), strict=True)]
        # `config` counts by its values, which are a part of the cache's name.
        assert changed == {"config": [False, False], "composer": [False, True]}.get(
            name, [True, True]
        ), name
    feature_cache.code_key.cache_clear()


def test_workers_need_no_tensorflow():
    """Each process loads the library: TensorFlow there would cost seconds and hundreds of megabytes."""
    script = "import sys, known_music.composer, cvae_music.data.features; sys.exit('tensorflow' in sys.modules)"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    assert (
        subprocess.run([sys.executable, "-c", script], env=environment).returncode == 0
    )
