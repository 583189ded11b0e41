"""Where a session finds itself, and what it says when something is wrong."""

import importlib.metadata
import os
import random
import shutil
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from cvae_lab import session


def test_folders_come_from_the_environment(session_folders, capsys):
    started = session.start_session("known", seed=3)
    assert started.cache_dir == (session_folders / "cache").resolve() and started.cache_dir.is_dir()
    assert started.output_dir == (session_folders / "output").resolve() and started.output_dir.is_dir()
    assert started.clips_dir.is_dir() and started.clips_dir.parent == started.output_dir
    printed = capsys.readouterr().out
    assert "Keras" in printed or "keras" in printed
    assert "seed 3" in printed and str(session_folders) not in printed


def test_output_argument_wins_and_figures_follow(session_folders, monkeypatch):
    monkeypatch.delenv("CVAE_MUSIC_FIGURES", raising=False)
    started = session.start_session(output=session_folders / "mine")
    assert started.output_dir == (session_folders / "mine").resolve()
    assert session.figures_folder() == started.output_dir / "figures"


def test_second_session_in_one_kernel_changes_the_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("CVAE_MUSIC_CACHE", str(tmp_path))
    monkeypatch.setattr(session, "_writable_home", lambda: tmp_path)
    monkeypatch.setenv(session.STARTED, "")
    assert session.start_session("known").output_dir.name == "known"
    assert session.start_session("/somewhere/my music").output_dir.name == "my_music"


def test_seed_repeats(session_folders):
    drawn = []
    for _ in range(2):
        session.start_session(seed=5)
        drawn.append((random.random(), np.random.random()))  # noqa: NPY002 (the state that Keras seeds)
    assert drawn[0] == drawn[1]


@pytest.mark.parametrize("seed", [-1, 1.5, "1", None, True])
def test_bad_seed(seed):
    with pytest.raises(ValueError, match="seed"):
        session.start_session(seed=seed)


def test_kaggle_is_asked_before_colab(monkeypatch):
    shell = types.SimpleNamespace(get_ipython=lambda: "<google.colab._shell.Shell object>")
    monkeypatch.setitem(sys.modules, "IPython", shell)
    monkeypatch.delenv("KAGGLE_KERNEL_RUN_TYPE", raising=False)
    assert session.find_host() == "colab"
    monkeypatch.setenv("KAGGLE_KERNEL_RUN_TYPE", "Interactive")
    assert session.find_host() == "kaggle"


def test_read_only_project_writes_to_the_hosts_folder(monkeypatch):
    monkeypatch.setattr(session, "project_folder", lambda: None)
    monkeypatch.setattr(session, "find_host", lambda: "kaggle")
    monkeypatch.delenv("CVAE_MUSIC_OUTPUT", raising=False)
    assert session.output_folder("known") == Path("/kaggle/working/cvae_music/outputs/known")


def test_unwritable_folder_says_what_to_set(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("a file where the folder should be")
    with pytest.raises(PermissionError, match="CVAE_MUSIC_CACHE"):
        session._made(blocked / "cache")


def test_old_library_is_named():
    with pytest.raises(ImportError, match="keras .*expected 99.0 or later"):
        session.check_versions({"keras": (99, 0)})
    with pytest.raises(ImportError, match="no-such-library is not installed"):
        session.check_versions({"no-such-library": (1, 0)})
    assert session.check_versions()["keras"] == importlib.metadata.version("keras")


def test_session_leaves_user_settings_alone(session_folders):
    before = os.environ["CVAE_MUSIC_OUTPUT"]
    session.start_session()
    assert os.environ["CVAE_MUSIC_OUTPUT"] == before


def test_setup_cell_fetches_the_library_where_it_is_not(root, tmp_path):
    unpacked = tmp_path / "stage" / "cvae-music-main" / "lib" / "cvae_music"
    shutil.copytree(root / "lib" / "cvae_music", unpacked, ignore=shutil.ignore_patterns("__pycache__"))
    archive = Path(shutil.make_archive(str(tmp_path / "repository"), "zip", tmp_path / "stage"))
    reader = tmp_path / "reader"
    reader.mkdir()
    setup = (root / "tools" / "setup_cell.py").read_text(encoding="utf-8").split("from cvae_music.session")[0]
    code = f"repository_zip = {archive.as_uri()!r}\n{setup}\nimport cvae_music\nprint(cvae_music.__file__)"
    shown = subprocess.run([sys.executable, "-c", code], cwd=reader, capture_output=True, text=True, check=True)
    assert Path(shown.stdout.strip()).is_relative_to(reader / "cvae-music-main")
