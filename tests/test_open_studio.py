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


@pytest.mark.parametrize("preset", ["known_cvae", "real_cvae"])
def test_the_cell_of_a_preset_runs(preset):
    names = {}
    exec(
        open_studio.PRESET.format(preset=preset).replace("\n\nS", "\n\nstudio = S"),
        names,
    )
    assert names["studio"].model.genres == cm.ConditionalVAE.from_preset(preset).genres


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
        cell = open_studio.own_cell(str(music), tmp_path / "outputs")
    assert len(calls) == 1 and calls[0][3] == str(music)
    names = {}
    exec(cell.replace("cm.Studio", "studio = cm.Studio"), names)
    assert (
        names["studio"].controls.fingerprint
        == load_controls(model.parent / "controls_cvae-1.npz").fingerprint
    )
