"""The list of music on the page of `make studio`: a studio each, opened when chosen."""

import numpy as np
import open_studio
import pytest
import studio_page
from generated_music import write_tune

import cvae_music as cm

COMPOSED, REAL = open_studio.PRESETS


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """The page, and the state of both studios as they open."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CVAE_MUSIC_OUTPUT", str(tmp_path_factory.mktemp("output")))
        page = studio_page.MusicChoice(open_studio.PRESETS)
        states = {name: page.studio_of(name).panel.state() for name in (COMPOSED, REAL)}
        yield page, states


@pytest.fixture
def page(opened):
    page, states = opened
    page.music.value = COMPOSED
    for name, state in states.items():
        page.studios[name].panel.silent.value = False
        page.studios[name].put(state)
    return page


def run_code(studio):
    """Runs the lines that a studio shows, as somebody who pastes them elsewhere."""
    names = {}
    exec(studio.panel.code.value, names)
    return names["clip"]


def test_other_music_is_opened_once_when_it_is_chosen(page):
    composed = page.studio
    page.music.value = REAL
    real = page.studio
    assert real.model.genres == ("electronic", "folk", "metal", "orchestral")
    assert page.children[-1] is real.panel.box and page.status.value == ""
    labels = [key[1] for key in real.panel.rows if key[0] == "genre"]
    assert labels == list(real.model.genres) == list(real.panel.swaps)
    assert "real_cvaegan" in real.panel.code.value
    assert np.array_equal(run_code(real).samples, real.clip.samples)
    page.music.value = COMPOSED
    assert page.studio is composed and page.children[-1] is composed.panel.box
    page.music.value = REAL
    assert page.studio is real and len(page.studios) == 2


def test_what_both_have_stays(page):
    page.studio.put({"seed": 7, "tempo": 90.0, ("sliders", "density"): 1.0})
    page.studio.panel.silent.value = True
    page.studio.swap("jazz")
    page.music.value = REAL
    real = page.studio
    assert real.made["seed"] == 7 and real.made["tempo"] == 90
    assert real.made["sliders"] == {"density": 1.0}
    assert real.clip.genre == real.model.genres[0]  # it has no jazz
    assert real.panel.silent.value and "data-silent" in real.panel.audio.value
    real.put({"seed": 9})
    page.music.value = COMPOSED
    assert page.studio.made["seed"] == 9 and page.studio.clip.genre == "jazz"


def test_a_genre_of_both_stays(page):
    """Two studios of one model stand for models that share their genres."""
    page.studio.swap("reggae")
    state = studio_page.in_both(page.studio, page.studio)
    weights = {key[1]: value for key, value in state.items() if key[0] == "genre"}
    assert weights == {name: name == "reggae" for name in page.studio.model.genres}
    state = studio_page.in_both(page.studio, page.studios[REAL])
    assert not any(key[0] == "genre" for key in state)


def test_an_own_clip_is_encoded_anew(page, tmp_path):
    path = write_tune(tmp_path / "mine.wav", seconds=8.0, sample_rate=22050)
    page.studio.panel.path.value = str(path)
    page.music.value = REAL
    own = page.studio.own["latent"]
    assert own.path == path
    expected = cm.encode_clip(page.studio.model, path)
    np.testing.assert_array_equal(own.latent, expected)
    page.studio.put({"source": ""})
    page.music.value = COMPOSED
    assert page.studio.own == {}


def test_music_that_cannot_be_opened_is_a_message(page):
    page.sources = page.sources | {"gone": ("gone.npz", "gone_controls.npz")}
    page.music.options = list(page.sources)
    page.music.value = "gone"
    assert 'role="alert"' in page.status.value and "gone" in page.status.value
    assert page.music.value == page.shown == COMPOSED
    page.music.value = REAL
    assert page.status.value == ""
    page.sources = open_studio.PRESETS
    page.music.options = list(page.sources)


def test_sounds_of_all_music_are_heard_in_one_another_s_place(page):
    page.music.value = REAL
    assert "cvae-group" in page._dom_classes
    for studio in page.studios.values():
        assert "cvae-group" not in studio.panel.box._dom_classes


def test_code_of_a_model_of_ones_own_runs_as_it_stands(tmp_path):
    model = cm.ConditionalVAE.from_preset("known_cvae")
    paths = str(tmp_path / "cvae.npz"), str(tmp_path / "controls.npz")
    cm.save_compact(model, paths[0])
    cm.shipped_controls(model).save(paths[1])
    studio = studio_page.open_studio(paths)
    assert np.array_equal(run_code(studio).samples, studio.clip.samples)
