"""Properties that hold for any input: round trips, splits, schedules, and files of any bytes that do no harm."""

import io
import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import soundfile
from generated_music import tune
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

import cvae_music as cm
from cvae_lab.judges import classifiers
from cvae_music import serialization
from cvae_music.audio import files
from cvae_music.config import AudioConfig
from cvae_music.controls import Controls, load_controls
from cvae_music.data import sources
from cvae_music.data.cache import read_table
from cvae_music.data.collection import (
    SPLITS,
    Collection,
    drop_split_leaks,
    skipped_table,
    split_groups,
)
from cvae_music.data.features import load_features
from cvae_music.data.fma import read_tracks
from cvae_music.data.shards import write_shard
from cvae_music.models import schedules
from cvae_music.studio import sounds
from cvae_music.studio.settings import as_code

CONFIG = AudioConfig(
    sample_rate=8000,
    n_fft=256,
    hop_length=64,
    n_mels=16,
    fmin=30.0,
    fmax=3500.0,
    num_frames=32,
    frames_per_beat=8,
)
# The same examples each time, and no limit of time: a machine may be busy.
few, some, many = (
    settings(max_examples=n, deadline=None, derandomize=True, database=None)
    for n in (15, 40, 150)
)
reals = st.floats(-1e3, 1e3, width=32)
words = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"),
    min_size=1,
    max_size=12,
)
loudness = st.floats(-4.0, 4.0, width=32)
clips_of_sound = arrays.arrays(
    np.float32, st.integers(1, 3000), elements=loudness, fill=loudness
)


# --- sound ----------------------------------------------------------------------------------------------------------


@some
@given(clips_of_sound, st.sampled_from(["wav", "flac"]))
def test_what_is_written_without_loss_is_read_again(samples, kind):
    again, rate = soundfile.read(
        io.BytesIO(files.encode_audio(samples, CONFIG, kind)), dtype="float32"
    )
    expected, decibels = files.full_scale(samples)
    assert rate == 8000 and len(again) == len(samples) and np.abs(expected).max() <= 1.0
    np.testing.assert_allclose(again, np.minimum(expected, 1 - 2**-15), atol=2**-15)
    assert decibels == pytest.approx(
        max(0.0, 20 * np.log10(max(np.abs(samples).max(), 1e-9))), abs=1e-4
    )


@few
@given(clips_of_sound, st.sampled_from(["mp3", "ogg"]))
def test_what_is_written_with_loss_has_its_length(samples, kind):
    again = soundfile.read(io.BytesIO(files.encode_audio(samples, CONFIG, kind)))[0]
    assert len(again) == len(samples) and np.all(np.isfinite(again))


@some
@given(clips_of_sound, st.data())
def test_a_piece_is_what_the_whole_holds_there(tmp_path_factory, samples, data):
    path = tmp_path_factory.mktemp("piece") / "clip.wav"
    soundfile.write(path, samples, 8000, subtype="FLOAT")
    first = data.draw(st.integers(0, len(samples) - 1))
    count = data.draw(st.integers(1, 4000))
    whole, piece = (
        files.load_audio(path, CONFIG),
        files.load_audio(path, CONFIG, first / 8000, count / 8000),
    )
    np.testing.assert_array_equal(whole, samples)
    np.testing.assert_array_equal(piece, samples[first : first + count])
    assert files.audio_duration(path) == (len(samples) / 8000,) * 2


@some
@given(
    arrays.arrays(
        np.float32,
        st.tuples(st.integers(1, 200), st.integers(1, 6)),
        elements=st.floats(-1, 1, width=32),
    )
)
def test_no_mix_of_channels_is_silent_where_one_is_not(samples):
    energy = lambda x: np.square(x, dtype=np.float64).sum(axis=0)  # noqa: E731
    mixed = files.to_mono(samples)
    assert (
        mixed.shape == (len(samples),)
        and np.abs(mixed).max() <= np.abs(samples).max() + 1e-6
    )
    assert energy(mixed) >= 0.0499 * energy(samples).max()


# --- configurations, schedules, settings ----------------------------------------------------------------------------


@st.composite
def configs(draw):
    rate, beat = draw(st.integers(1000, 200_000)), draw(st.integers(1, 64))
    low = draw(st.floats(0, rate / 2 - 1))
    floor = draw(st.floats(-200, 0))
    return AudioConfig(
        sample_rate=rate,
        n_fft=draw(st.integers(1, 8192)),
        hop_length=draw(st.integers(1, 4096)),
        n_mels=draw(st.integers(1, 512)),
        fmin=low,
        fmax=draw(st.floats(low, rate / 2, exclude_min=True)),
        num_frames=beat * draw(st.integers(1, 64)),
        frames_per_beat=beat,
        grid=draw(st.sampled_from(["beats", "seconds"])),
        floor_db=floor,
        ceiling_db=draw(st.floats(floor + 1.0, 100)),
    )


@many
@given(
    configs(),
    configs(),
    arrays.arrays(np.float32, 5, elements=st.floats(-300, 300, width=32)),
)
def test_configs_come_back_and_scale_both_ways(config, other, level):
    again = AudioConfig.from_dict(json.loads(json.dumps(config.get_config())))
    assert (
        again == config
        and again.key() == config.key()
        and (other.key() == config.key()) == (other == config)
    )
    held = np.clip(level, config.floor_db, config.ceiling_db)
    np.testing.assert_allclose(config.unscale(config.scale(level)), held, atol=1e-3)
    assert np.all(np.abs(config.scale(held)) <= 1.0 + 1e-5)
    changes = {
        name: value
        for name, value in other.get_config().items()
        if config.get_config()[name] != value
    }
    if changes:
        with pytest.raises(ValueError) as caught:
            config.check_same(other, "A model")
        assert all(f"{name}: " in str(caught.value) for name in changes)


weights = st.floats(0, 50)
steps = st.integers(0, 5000)
any_schedule = st.one_of(
    st.builds(schedules.Constant, weights),
    st.builds(schedules.Linear, weights, steps),
    st.builds(schedules.Cyclical, weights, st.integers(1, 5000), st.floats(0, 1)),
    st.builds(schedules.FreeBits, weights, st.floats(0, 8)),
    st.builds(schedules.Capacity, weights, st.floats(0, 500), st.integers(1, 5000)),
    st.builds(
        schedules.TargetKL,
        st.floats(1, 500),
        st.floats(1e-3, 100),
        st.floats(1e-4, 0.1),
    ),
)


@many
@given(
    any_schedule,
    steps,
    st.floats(0, 500, width=32),
    st.lists(st.floats(0, 100, width=32), min_size=1, max_size=8),
)
def test_schedules_come_back_and_stay_in_their_bounds(
    schedule, step, kl, per_dimension
):
    assert (
        schedules.get_schedule(json.loads(json.dumps(schedule.get_config())))
        == schedule
    )
    weight = float(schedule.next_weight(step, np.float32(1.0), np.float32(kl)))
    highest = (
        schedule.highest
        if isinstance(schedule, schedules.TargetKL)
        else schedule.weight
    )
    assert -1e-6 <= weight <= highest * (1 + 1e-5) + 1e-6
    if isinstance(schedule, schedules.Linear):
        later = float(schedule.next_weight(step + 1, np.float32(1.0), np.float32(kl)))
        assert later >= weight - 1e-6
    penalty = float(
        schedule.penalty(np.float32(per_dimension), np.float32(weight), step)
    )
    assert penalty >= -1e-6
    if isinstance(schedule, schedules.FreeBits):
        assert penalty >= weight * sum(per_dimension) * (1 - 1e-4) - 1e-3


@some
@given(st.dictionaries(st.sampled_from("abcdef"), st.floats(0, 1e6), min_size=1))
def test_a_mix_is_shares_of_one(mix):
    assume(any(np.float32(weight) > 0 for weight in mix.values()))
    shares = cm.genre_weights(
        SimpleNamespace(genres=tuple("abcdef"), num_genres=6), mix
    )
    assert shares.sum() == pytest.approx(1.0, abs=1e-5) and shares.min() >= 0
    assert all(
        (shares["abcdef".index(genre)] > 0) <= (weight > 0)
        for genre, weight in mix.items()
    )


@some
@given(*[arrays.arrays(np.float64, 6, elements=st.floats(-5, 5))] * 2, st.floats(0, 1))
def test_the_arc_between_latents_keeps_the_distance(first, second, share):
    lengths = np.linalg.norm(first), np.linalg.norm(second)
    assume(min(lengths) > 1e-3 and first @ second > -0.99 * lengths[0] * lengths[1])
    between = cm.slerp(first, second, share)
    assert np.linalg.norm(between) == pytest.approx(
        (1 - share) * lengths[0] + share * lengths[1], rel=1e-3
    )
    np.testing.assert_allclose(cm.slerp(second, first, 1 - share), between, atol=1e-4)


@some
@given(
    st.dictionaries(words, st.one_of(st.floats(-4, 4), words), max_size=3),
    st.integers(0, 10**6),
    words,
)
def test_settings_are_the_python_they_are_shown_as(sliders, seed, genre):
    made = {"seed": seed, "mix": {genre: 1.0}, "sliders": sliders}
    assert eval(f"dict({as_code(made)})") == made and "\n" not in as_code(made)


# --- splits ---------------------------------------------------------------------------------------------------------


@many
@given(st.sets(words, min_size=3, max_size=60), st.integers(0, 2**32))
def test_every_group_is_dealt_to_one_split_and_none_is_empty(groups, seed):
    groups = sorted(groups)
    dealt = split_groups(groups, seed)
    assert (
        list(dealt) != []
        and set(dealt) == set(groups)
        and set(dealt.values()) == set(SPLITS)
    )
    counts = pd.Series(dealt).value_counts()
    assert counts["test"] == counts["validation"] == max(
        1, round(0.1 * len(groups))
    ) and dealt == split_groups(groups, seed)


rows_of_a_folder = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.integers(0, 7),
        st.sampled_from(SPLITS),
        st.booleans(),
    ),
    min_size=1,
    max_size=60,
)


@many
@given(rows_of_a_folder, st.booleans(), st.booleans(), st.integers(0, 99))
def test_no_group_is_ever_in_two_splits(rows, is_shared, is_ready_made, seed):
    """Whatever is ready-made, damaged, or the same recording in several genres and splits."""
    table = pd.DataFrame(
        [
            (
                f"{k}",
                "",
                genre,
                split if is_ready_made else "train",
                f"{group}" if is_shared else f"{genre}/{group}",
            )
            for k, (genre, group, split, _) in enumerate(rows)
        ],
        columns=["source_id", "path", "genre", "split", "group"],
        dtype=object,
    )
    before, skipped = table.copy(), []
    sources._assign_splits(
        table,
        {group for group, row in zip(table["group"], rows, strict=True) if row[3]},
        seed,
    )
    kept = drop_split_leaks(table, skipped, "in another split")
    assert (kept.groupby("group")["split"].nunique() == 1).all() and len(kept) + len(
        skipped
    ) == len(rows)
    is_held = before["split"] != "train"
    assert (
        table["split"][is_held] == before["split"][is_held]
    ).all()  # what was ready-made to score stays so
    if not is_shared and not is_ready_made:
        for _, part in table.groupby("genre"):
            assert set(part["split"]) == (
                set(SPLITS) if part["group"].nunique() >= 3 else {"train"}
            )
    found = (
        Collection.of_complete_genres("any", kept, ["a", "b", "c"], skipped)
        if complete(kept) >= 2
        else None
    )
    assert found is None or set(found.table["split"]) == set(SPLITS)


def complete(table):
    return sum(set(part["split"]) == set(SPLITS) for _, part in table.groupby("genre"))


# --- files that were saved ------------------------------------------------------------------------------------------


@some
@given(
    st.lists(
        st.tuples(words, words, st.floats(allow_nan=False, allow_infinity=False)),
        min_size=1,
        max_size=6,
    )
)
def test_tables_come_back_to_the_last_sign(tmp_path_factory, rows):
    table = pd.DataFrame(rows, columns=["source_id", "genre", "tempo"])
    path = tmp_path_factory.mktemp("table") / "table.csv"
    serialization.write_text(path, table.to_csv(index=False, lineterminator="\n"))
    again = read_table(path.read_bytes().decode())
    assert again.values.tolist() == table.values.tolist()


@some
@given(
    st.dictionaries(
        words,
        st.one_of(reals, words, st.lists(words, max_size=3), st.none(), st.booleans()),
        max_size=4,
    ),
    st.lists(
        arrays.arrays(
            st.sampled_from([np.float16, np.float32, np.int32]),
            st.integers(0, 9),
            elements=st.integers(-99, 99),
        )
    ),
)
def test_arrays_come_back_and_half_files_do_not(tmp_path_factory, about, parts):
    path, parts = (
        tmp_path_factory.mktemp("arrays") / "x.npz",
        {f"part {k}": part for k, part in enumerate(parts)},
    )
    serialization.save_arrays(path, about, parts)
    found, again = serialization.load_arrays(path, *about)
    assert found == about and again.keys() == parts.keys()
    for name, part in parts.items():
        np.testing.assert_array_equal(again[name], part)
        assert again[name].dtype == (
            np.float32 if part.dtype == np.float16 else part.dtype
        )
    with pytest.raises(ValueError, match="no file of this library"):
        serialization.load_arrays(path, "an entry that it has not")


@few
@given(st.lists(words, min_size=2, max_size=5, unique=True), st.data())
def test_controls_come_back_with_any_genres(tmp_path_factory, genres, data):
    path, count = tmp_path_factory.mktemp("controls") / "controls.npz", len(genres)
    latents = data.draw(
        arrays.arrays(np.float16, (count, 4), elements=st.integers(-9, 9))
    )
    table = pd.DataFrame(
        {"genre": genres, "path": genres, "start": range(count), "tempo": 90.5}
    )
    made = Controls(
        "abc",
        {"level": latents[:, :4].astype(np.float32)},
        {3: "louder"},
        latents[0],
        latents[:2],
        latents,
        table,
    )
    made.save(path)
    again = load_controls(path)
    assert (
        again.table.values.tolist() == table.values.tolist()
        and again.dimensions == made.dimensions
    )
    np.testing.assert_array_equal(
        again.attribute_directions["level"], made.attribute_directions["level"]
    )
    np.testing.assert_array_equal(again.points, made.latents @ made.axes.T)


# --- files of any bytes ---------------------------------------------------------------------------------------------


def sound_file(kind, subtype, channels):
    rate, buffer = 48000 if subtype == "OPUS" else 8000, io.BytesIO()
    soundfile.write(
        buffer,
        np.repeat(tune(0.4, rate)[:, None], channels, axis=1),
        rate,
        format=kind,
        subtype=subtype,
    )
    return buffer.getvalue()


KINDS = {
    "wav": ("WAV", "PCM_16"),
    "mp3": ("MP3", None),
    "ogg": ("OGG", "VORBIS"),
    "flac": ("FLAC", None),
    "aiff": ("AIFF", None),
    "opus": ("OGG", "OPUS"),
    "au": ("AU", None),
    "caf": ("CAF", None),
    "w64": ("W64", None),
}
SOUNDS = {
    kind: [sound_file(*KINDS[kind], channels) for channels in (1, 2)] for kind in KINDS
}


@st.composite
def broken(draw, content):
    """A file cut off, with some bytes changed (most in its header), or of any bytes behind a header."""
    content, how = (
        bytearray(content),
        draw(st.sampled_from(["cut", "cut in the header", "changed", "random"])),
    )
    if how == "cut":
        return bytes(content[: draw(st.integers(0, len(content)))])
    if how == "cut in the header":
        return bytes(content[: draw(st.integers(0, 128))])
    if how == "random":
        return bytes(content[: draw(st.integers(0, 64))]) + draw(
            st.binary(max_size=600)
        )
    for place, byte in draw(
        st.lists(
            st.tuples(st.integers(0, 199), st.integers(0, 255)), min_size=1, max_size=8
        )
    ):
        content[place % len(content)] = byte
    return bytes(content)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_broken_sound_is_read_or_told(tmp_path_factory, kind, data):
    """No other error, no crash, no more sound than the bytes can hold; the same through the studio's upload."""
    content = data.draw(broken(data.draw(st.sampled_from(SOUNDS[kind]))))
    model = SimpleNamespace(audio_config=CONFIG, encode=lambda clips: (clips[:, 0],))
    path = tmp_path_factory.mktemp("broken") / f"x.{kind}"
    path.write_bytes(content)
    for read in (
        lambda: files.load_audio(path, CONFIG),
        lambda: files.load_audio(path, CONFIG, 0.1, 0.2),
        lambda: np.zeros(int(8000 * files.audio_duration(path)[0])),
    ):
        try:
            samples = read()
        except files.AudioError as error:
            assert error.reason and str(path) in str(error)
        else:
            assert np.all(np.isfinite(samples)) and len(samples) <= 100 * 8000 * 0.4
    if content:
        try:
            sounds.read_own_clip(
                model,
                sounds.keep_upload(
                    ({"name": path.name, "content": content},), path.parent / "up"
                ),
                0.0,
            )
        except files.AudioError as error:
            assert error.reason


@some
@given(st.data())
def test_broken_files_of_arrays_are_told(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("broken")
    path = folder / "whole.npz"
    serialization.save_arrays(
        path,
        {"class": "cvae_music>NoSuch", "config": {}},
        {"weight_000": np.arange(9.0)},
    )
    content = data.draw(broken(path.read_bytes()))
    for name in ("x.npz", "x.keras"):
        (folder / name).write_bytes(content)
        for load in (
            serialization.load_arrays,
            load_controls,
            classifiers.load_judge,
            cm.load_model,
        ):
            try:
                load(folder / name)
            except ValueError as error:
                assert name in str(error)
            else:  # a changed date harms nothing
                assert load is serialization.load_arrays


@some
@given(
    st.data(),
    st.sampled_from(["meta.json", "table.csv", "skipped.csv", "shard-00000.npy"]),
)
def test_broken_caches_are_told_or_read(tmp_path_factory, data, name):
    folder = tmp_path_factory.mktemp("cache")
    table = pd.DataFrame(
        {"clip_id": ["a", "b"], "genre": ["x", "y"], "split": "train", "tempo": 90.0}
    )
    for file, frame in {"table.csv": table, "skipped.csv": skipped_table()}.items():
        frame.to_csv(folder / file, index=False)
    write_shard(
        folder / "shard-00000", np.zeros((2, *CONFIG.shape), np.float16), [{}, {}], []
    )
    shard = json.loads((folder / "shard-00000.json").read_text())
    meta = {"config": CONFIG.get_config(), "genres": ["x", "y"], "shards": [shard]}
    (folder / "meta.json").write_text(json.dumps(meta))
    content = data.draw(broken((folder / name).read_bytes()))
    (folder / name).write_bytes(content)
    try:
        features = load_features(folder)
    except ValueError as error:
        assert str(folder) in str(error)
    else:
        assert features.log_mel.shape == (len(features.table), *features.config.shape)


@some
@given(st.data())
def test_broken_tables_of_fma_are_told_or_read(tmp_path_factory, data):
    text = b",artist,set,set,track\n,id,split,subset,genre_top\ntrack_id,,,,\n2,1,training,small,Rock\n3,1,test,medium,\n"
    path = tmp_path_factory.mktemp("tables") / "tracks of fma.csv"
    path.write_bytes(data.draw(broken(text)))
    try:
        tracks = read_tracks(path)
    except ValueError as error:
        assert "is not FMA's tracks.csv" in str(error)
    else:
        assert list(tracks.columns) == ["genre", "split", "subset", "artist"]
