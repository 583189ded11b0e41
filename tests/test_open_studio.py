"""`make studio` opens a preset, or what a run on one's own music left."""

import os
from pathlib import Path

import open_studio
import pytest

import cvae_music as cm
from cvae_music.controls import load_controls


@pytest.fixture
def music(tmp_path):
    (tmp_path / "music" / "rock").mkdir(parents=True)
    return tmp_path / "music"


def test_without_a_run_it_says_what_to_do(music, tmp_path):
    with pytest.raises(SystemExit, match="Run first: make run DATA="):
        open_studio.find_model(str(music), tmp_path / "outputs")


def test_the_newest_model_of_the_best_kind_is_played(music, tmp_path):
    folder = tmp_path / "outputs" / "music" / "models"
    folder.mkdir(parents=True)
    for age, name in enumerate(("cvae-2.npz", "cvae-1.npz", "vae-1.npz")):
        (folder / name).touch()
        os.utime(folder / name, (1000 - age, 1000 - age))
    (folder / "x_judge_cnn.npz").touch()
    path, model = open_studio.find_model(str(music), tmp_path / "outputs")
    assert (path, model.name) == (str(music), "cvae-2.npz")


def test_controls_of_another_model_of_that_name_are_not_taken(
    music, tmp_path, monkeypatch
):
    """A model that came back from a backup is older than the controls of another."""
    model = tmp_path / "outputs" / "music" / "models" / "cvae-1.npz"
    model.parent.mkdir(parents=True)
    monkeypatch.setattr(
        open_studio.subprocess, "run", lambda command, check: Path(command[-1]).touch()
    )
    sources = []
    for content in (b"one", b"two"):
        model.write_bytes(content)
        os.utime(model, (1000, 1000))
        sources.append(open_studio.own_source(str(music), tmp_path / "outputs")[1])
    assert sources[0][0] == sources[1][0] and sources[0][1] != sources[1][1]


def run_page(sources):
    """Runs the cell of the page; returns what it shows."""
    names = {}
    cell = open_studio.PAGE.format(sources=sources)
    exec(cell.replace("studio_page.Music", "shown = studio_page.Music"), names)
    return names["shown"]


@pytest.mark.parametrize("preset", ["known_cvae", "real_cvaegan"])
def test_the_page_opens_on_the_preset_asked_for_and_offers_both(
    preset, tmp_path, monkeypatch
):
    monkeypatch.setenv("CVAE_MUSIC_OUTPUT", str(tmp_path))
    (name,) = [key for key, value in open_studio.PRESETS.items() if value == preset]
    shown = run_page(open_studio.list_music((name, preset)))
    genres = cm.ConditionalVAE.from_preset(preset).genres
    assert shown.studio.model.genres == genres
    assert name.endswith(f"music, {len(genres)} genres")
    assert list(shown.studios) == [name] == [shown.music.options[0]]
    assert set(shown.music.options) == set(open_studio.PRESETS)


def test_another_preset_stands_before_the_two():
    music = open_studio.list_music(("known_cvaegan", "known_cvaegan"))
    assert list(music.values()) == ["known_cvaegan", "known_cvae", "real_cvaegan"]


def test_controls_of_a_model_of_ones_own_are_measured_once(
    music, tmp_path, monkeypatch
):
    model = tmp_path / "outputs" / "music" / "models" / "cvae-1.npz"
    cm.save_compact(cm.ConditionalVAE.from_preset("known_cvae"), model)
    calls = []

    def run(command, check):
        calls.append(command)
        cm.shipped_controls(cm.ConditionalVAE.from_preset("known_cvae")).save(
            Path(command[-1])
        )

    monkeypatch.setattr(open_studio.subprocess, "run", run)
    for _ in range(2):
        first = open_studio.own_source(str(music), tmp_path / "outputs")
    assert len(calls) == 1 and calls[0][3] == str(music)
    os.utime(model, (2**31, 2**31))  # copied to another disk
    assert open_studio.own_source(str(music), tmp_path / "outputs") == first
    assert len(calls) == 1
    monkeypatch.setenv("CVAE_MUSIC_OUTPUT", str(tmp_path))
    shown = run_page(open_studio.list_music(first))
    (kept,) = model.parent.glob("controls_cvae-1_*.npz")
    measured = load_controls(kept)
    assert shown.studio.controls.fingerprint == measured.fingerprint
    assert shown.music.value == "Your own music, music"
    assert list(shown.sources.values())[1:] == ["known_cvae", "real_cvaegan"]
