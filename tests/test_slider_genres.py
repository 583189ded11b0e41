"""A slider that does not do what its name says in a genre is found, greyed out, and said; held-out draws decide."""

import dataclasses

import keras
import numpy as np
import pandas as pd
import pytest

from cvae_music import controls as measured
from cvae_music.controls import Controls, load_controls
from cvae_music.models.conditional import ConditionalVAE
from cvae_music.saving import WEIGHTS
from cvae_music.studio.app import Studio

GENRES = ("house", "jazz")
SLIDERS = ("level", "bass")
EFFECTS = np.array(
    [
        [[2.0, 0.1], [-0.3, 0.27]],  # house: bass moves the level further
        [[2.0, 0.1], [-0.2, 0.9]],
    ],
    np.float32,
)


@pytest.fixture(scope="module")
def model(tiny_config):
    keras.utils.set_random_seed(0)
    return ConditionalVAE(
        audio_config=tiny_config,
        genres=GENRES,
        global_dim=6,
        local_dim=2,
        width=40,
        depth=1,
    )


@pytest.fixture(scope="module")
def controls(model):
    rng = np.random.default_rng(0)
    steps = rng.standard_normal((2, model.latent_dim)).astype(np.float32)
    latents = rng.standard_normal((4, model.latent_dim)).astype(np.float32)
    table = pd.DataFrame({"genre": ["house", "jazz"] * 2})
    return Controls(
        measured.fingerprint(model),
        dict.fromkeys(SLIDERS, steps),
        {2: "2: louder", 4: "4: softer, purer", 5: "5: fine detail"},
        np.ones(model.latent_dim, np.float32),
        latents[:2],
        latents,
        table,
        EFFECTS,
    )


@pytest.mark.parametrize(
    "weights, idle",
    [((1, 0), ["bass"]), ((0, 1), []), ((0.5, 0.5), []), (None, [])],
)
def test_a_slider_works_if_it_moves_its_own_attribute_most(controls, weights, idle):
    assert list(controls.idle_sliders(weights)) == idle


def test_the_sentence_names_what_moves_instead(controls):
    (sentence,) = controls.idle_sliders((1, 0)).values()
    assert "move bass by +0.27 and level by -0.30" in sentence


@pytest.mark.parametrize("own", [0.24, -1.0])
def test_a_small_or_opposite_effect_is_none(controls, own):
    effects = EFFECTS.copy()
    effects[1, 1] = (0.0, own)
    changed = dataclasses.replace(controls, effects=effects)
    assert list(changed.idle_sliders((0, 1))) == ["bass"]


def test_controls_without_effects_still_load_and_switch_nothing_off(controls, tmp_path):
    older = dataclasses.replace(controls, effects=None)
    older.save(tmp_path / "older.npz")
    again = load_controls(tmp_path / "older.npz")
    assert again.effects is None and again.idle_sliders((1, 0)) == {}


def test_effects_come_back_from_their_file(controls, tmp_path):
    controls.save(tmp_path / "controls.npz")
    again = load_controls(tmp_path / "controls.npz")
    np.testing.assert_allclose(again.effects, EFFECTS, atol=1e-3)


def test_the_studio_greys_the_slider_out_and_says_so(model, controls, tmp_path):
    studio = Studio(model, controls, tmp_path)
    bass, field = studio.panel.rows["sliders", "bass"].children
    assert bass.disabled and field.disabled
    assert "bass is off in this genre" in studio.panel.idle.value
    assert not studio.panel.knobs["sliders", "level"].disabled
    studio.swap("jazz")
    assert not bass.disabled and not field.disabled and studio.panel.idle.value == ""
    bass.value = 2.0
    assert studio.made["sliders"] == {"bass": 2.0}
    studio.swap("house")
    assert bass.disabled and bass.value == 0.0 and "sliders" not in studio.made


def test_labels_of_single_dimensions_name_the_dimension_and_its_effect(
    model, controls, tmp_path
):
    panel = Studio(model, controls, tmp_path).panel
    keys = [key for key in panel.rows if key[0] == "dimensions"]
    labels = [panel.knobs[key].description for key in keys]
    assert labels == ["2: louder", "4: softer, purer"]


class Decoder:
    """Worked by hand: one latent is the level in 3 dB; the second genre does not listen to it."""

    genres, num_genres = GENRES, 2

    def __init__(self, config):
        self.audio_config = config

    def sample_latents(self, genre, seed=0):
        return np.random.default_rng(seed).standard_normal((len(genre), 1))

    def decode(self, latents, genre):
        level = 3.0 * latents[:, :1] * (np.asarray(genre)[:, None] == 0) - 35.0
        shape = (len(level), *self.audio_config.shape)
        return self.audio_config.scale(np.broadcast_to(level[:, :, None], shape))


def test_effects_are_measured_in_each_genre_on_new_draws(tiny_config):
    directions = {"level": np.ones((2, 1), np.float32)}
    found = measured.slider_effects(Decoder(tiny_config), directions, num_clips=64)
    names = list(measured.SLIDERS.values())
    assert found.shape == (2, 1, 4)
    level = found[:, 0, names.index("level")]
    # 6 dB, in standard deviations of a half whose own is 3 dB and a half that is constant
    assert level == pytest.approx([2.0 * 2.0**0.5, 0.0], abs=0.4)


def test_the_shipped_controls_know_the_sliders_that_fail():
    known = load_controls(WEIGHTS / "controls_known_cvae.npz")
    idle = [list(known.idle_sliders(weights)) for weights in np.eye(6)]
    assert idle == [["bass"], [], [], [], [], []]
    real = load_controls(WEIGHTS / "controls_real_cvaegan.npz")
    idle = [list(real.idle_sliders(weights)) for weights in np.eye(4)]
    assert idle == [[], [], [], []]
