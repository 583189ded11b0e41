"""Attributes say what is heard, effects what a dimension does, correlations what it holds; sliders move one at a time."""

import numpy as np
import pandas as pd
import pytest
from generated_music import tune

from cvae_lab.measures.audio_attributes import latent_correlations, measure_attributes
from cvae_music import attributes, controls
from cvae_music.data.features import FeatureSet


class LevelAndTilt:
    """Decoder worked by hand: the first latent is the level in steps of 3 dB, the second a tilt of the spectrum."""

    genres, num_genres, global_dim, local_dim, latent_dim = (), 0, 3, 1, 5

    def __init__(self, config):
        self.audio_config = config
        ramp = np.linspace(-1.0, 1.0, config.n_mels)
        self.pictures = np.stack([np.full(config.n_mels, 3.0), 4.0 * ramp])

    def decode(self, latents, genre=None):
        db = -35.0 + np.repeat(
            (latents[:, :2] @ self.pictures)[:, None],
            self.audio_config.num_frames,
            axis=1,
        )
        return self.audio_config.scale(db)

    def encode(self, clips):
        db = self.audio_config.unscale(clips).mean(axis=1) + 35.0
        found = db @ np.linalg.pinv(self.pictures)
        mean = np.concatenate([found, np.zeros((len(db), 3))], axis=1).astype(
            np.float32
        )
        return mean, np.log(np.array([[0.01, 0.01, 1.0, 1.0, 1.0]], np.float32)).repeat(
            len(db), axis=0
        )


@pytest.fixture(scope="module")
def model(tiny_config):
    return LevelAndTilt(tiny_config)


@pytest.fixture(scope="module")
def features(tiny_config, model):
    latents = np.zeros((60, 5), np.float32)
    latents[:, :2] = np.random.default_rng(0).standard_normal((60, 2))
    clips = tiny_config.unscale(model.decode(latents)).astype(np.float16)
    table = pd.DataFrame(
        {
            "genre": "a",
            "split": "train",
            "brightness": latents[:, 1],
            "level_db": -latents[:, 0],
        }
    )
    return FeatureSet(tiny_config, ("a", "b"), table, clips, table[:0], None)


def test_sound_is_measured_in_its_units(tiny_config):
    time = np.arange(16000) / 8000
    low, high = (0.5 * np.sin(2 * np.pi * hertz * time) for hertz in (200.0, 1500.0))
    measured = [measure_attributes(clip, tiny_config, 120.0) for clip in (low, high)]
    assert [clip["level_db"] for clip in measured] == pytest.approx(
        [-6.02, -6.02], abs=0.05
    )
    assert measured[0]["brightness_hz"] == pytest.approx(200.0, rel=0.15)
    assert measured[1]["brightness_hz"] == pytest.approx(1500.0, rel=0.05)
    assert measured[1]["register_hz"] == pytest.approx(1500.0, rel=0.05)
    assert (
        measure_attributes(np.sin(2 * np.pi * 80 * time), tiny_config, 120.0)["bass_db"]
        > -1.0
    )
    assert measured[1]["bass_db"] < -30.0
    with pytest.raises(ValueError, match="mono"):
        measure_attributes(np.zeros((2, 10)), tiny_config, 120.0)


def test_clicks_are_onsets_and_tell_the_tempo(tiny_config):
    measured = measure_attributes(tune(8.0, tempo=120.0), tiny_config, 120.0)
    assert measured["onsets_per_beat"] == pytest.approx(1.0, abs=0.15)
    assert measured["tempo_bpm"] == pytest.approx(120.0, rel=0.05)


def test_clips_that_are_scaled_are_not_measured(tiny_config):
    """Their level would be some 11 dB above full scale, and nobody would say so."""
    levels = np.full((2, *tiny_config.shape), -40.0, np.float32)
    levels[1] = -10.0
    attributes.log_mel_attributes(levels, tiny_config)
    with pytest.raises(ValueError, match="expected dB.*unscale makes dB of them"):
        attributes.log_mel_attributes(tiny_config.scale(levels), tiny_config)


def test_log_mel_attributes_count_and_weigh(tiny_config):
    clips = np.full((3, *tiny_config.shape), tiny_config.floor_db, np.float32)
    clips[0, 4::8, 3] = clips[1, 2::4, 3] = clips[2, 2::4, 12] = -10.0
    table = attributes.log_mel_attributes(clips, tiny_config)
    assert list(table["onsets_per_beat"]) == [1.0, 2.0, 2.0]
    cut = clips[1:2].copy()
    cut[0, :4, :] = (
        0.0  # as where real music is cut: the beginning is louder than the end
    )
    assert (
        attributes.log_mel_attributes(cut, tiny_config)["onsets_per_beat"][0] == 1.75
    )  # all but the one inside
    assert table["brightness_hz"][2] > 3 * table["brightness_hz"][1]
    louder = attributes.log_mel_attributes(
        np.where(clips > -20.0, clips + 6.0, clips), tiny_config
    )
    assert (louder["level_db"] - table["level_db"]).to_numpy() == pytest.approx(
        6.0, abs=1e-3
    )
    assert louder["brightness_hz"].to_numpy() == pytest.approx(
        table["brightness_hz"].to_numpy(), rel=1e-4
    )
    one = attributes.log_mel_attributes(clips[1:2], tiny_config)
    assert one.iloc[0].to_numpy() == pytest.approx(table.iloc[1].to_numpy())
    with pytest.raises(ValueError, match="unscale"):
        attributes.log_mel_attributes(clips[0], tiny_config)


def test_dimensions_are_named_by_what_they_do(model, features):
    effects = controls.latent_effects(model, features, range(5), num_seeds=4).set_index(
        "dimension"
    )
    assert effects.loc[0, "name"] == "louder" and effects.loc[
        0, "effect_level_db"
    ] == pytest.approx(4.0, abs=0.8)
    assert effects.loc[1, "effect_brightness_hz"] > 2.0
    assert effects.loc[1, "name"] == "less bass, brighter"  # the two largest effects
    assert effects.loc[2, "name"] == effects.loc[4, "name"] == "fine detail"
    strongest = controls.latent_effects(model, features, num_seeds=4)["dimension"]
    assert set(strongest[:2]) == {0, 1} and set(strongest) == {
        0,
        1,
        2,
    }  # those of the whole clip


def test_dimensions_are_told_what_they_hold(model, features):
    holds = latent_correlations(model, features)
    assert holds.loc[1, "brightness"] == pytest.approx(1.0, abs=0.01)
    assert holds.loc[0, "level"] == pytest.approx(-1.0, abs=0.01)  # the recorded factor
    assert holds.loc[0, "level_db"] > 0.85  # the attribute of the clip
    assert not holds.loc[2:].to_numpy().any()  # constant


def test_sliders_move_one_attribute_and_hold_the_others(model, features):
    latents = model.encode(features.config.scale(features.log_mel))[0]
    steps = controls.attribute_directions(
        model, latents, np.zeros(60, int), num_pairs=200
    )
    start = np.zeros((1, 5), np.float32)

    def measured(latent):
        return attributes.log_mel_attributes(
            features.config.unscale(model.decode(latent)), features.config
        ).iloc[0]

    before, brighter, louder = (
        measured(start + 0.5 * step)
        for step in (0.0, steps["brightness"], steps["level"])
    )
    assert brighter["brightness_hz"] > before["brightness_hz"] + 50.0
    assert brighter["level_db"] == pytest.approx(before["level_db"], abs=0.7)
    assert louder["level_db"] > before["level_db"] + 0.5
    assert louder["brightness_hz"] == pytest.approx(before["brightness_hz"], rel=0.03)
