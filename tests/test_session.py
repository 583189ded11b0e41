"""Where a session finds itself, and what it says when something is wrong."""

import importlib.metadata
import io
import os
import random
import sys
import types
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

from cvae_lab.notebook import session
from cvae_music.serialization import print_text


def test_folders_come_from_the_environment(session_folders, capsys):
    started = session.start_session("known", seed=3)
    assert (
        started.cache_dir == (session_folders / "cache").resolve()
        and started.cache_dir.is_dir()
    )
    assert (
        started.output_dir == (session_folders / "output").resolve()
        and started.output_dir.is_dir()
    )
    assert started.clips_dir.is_dir() and started.clips_dir.parent == started.output_dir
    printed = capsys.readouterr().out
    assert "Keras" in printed or "keras" in printed
    assert "seed 3" in printed and str(session_folders) not in printed


def test_figures_follow_the_output_folder(session_folders):
    before = dict(os.environ)
    started = session.start_session()
    assert os.environ == before, "no hidden channel by way of the environment"
    fig = plt.figure()
    started.show_figure(fig, "drawn", alt="An empty figure.")
    assert (started.output_dir / "figures" / "drawn.png").is_file()


def test_second_session_in_one_kernel_changes_the_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("CVAE_MUSIC_CACHE", str(tmp_path))
    monkeypatch.setattr(session, "_writable_home", lambda: tmp_path)
    assert session.start_session("known").output_dir.name == "known"
    folder = session.start_session("/somewhere/my music").output_dir
    assert folder.name.startswith("my_music-")


def test_two_folders_of_one_name_have_results_of_their_own(monkeypatch):
    monkeypatch.delenv("CVAE_MUSIC_OUTPUT", raising=False)
    one, two = (session.output_folder(f"/{root}/music") for root in ("one", "two"))
    assert one != two and one == session.output_folder(Path("/one/other/../music"))


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
    shell = types.SimpleNamespace(
        get_ipython=lambda: "<google.colab._shell.Shell object>"
    )
    monkeypatch.setitem(sys.modules, "IPython", shell)
    monkeypatch.delenv("KAGGLE_KERNEL_RUN_TYPE", raising=False)
    assert session.find_host() == "colab"
    monkeypatch.setenv("KAGGLE_KERNEL_RUN_TYPE", "Interactive")
    assert session.find_host() == "kaggle"


def test_read_only_project_writes_to_the_hosts_folder(monkeypatch):
    monkeypatch.setattr(session, "project_folder", lambda: None)
    monkeypatch.setattr(session, "find_host", lambda: "kaggle")
    monkeypatch.delenv("CVAE_MUSIC_OUTPUT", raising=False)
    assert session.output_folder("known") == Path(
        "/kaggle/working/cvae_music/outputs/known"
    )


def test_unwritable_folder_says_what_to_set(tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("a file where the folder should be")
    with pytest.raises(PermissionError, match="CVAE_MUSIC_CACHE"):
        session._make_folder(blocked / "cache")


def test_old_library_is_named(monkeypatch):
    assert session.check_versions()["keras"] == importlib.metadata.version("keras")
    monkeypatch.setattr(session, "MINIMUM", {"keras": (99, 0)})
    with pytest.raises(ImportError, match="keras .*expected 99.0 or later"):
        session.check_versions()
    monkeypatch.setattr(session, "MINIMUM", {"no-such-library": (1, 0)})
    with pytest.raises(ImportError, match="no-such-library is not installed"):
        session.check_versions()


def test_session_leaves_user_settings_alone(session_folders):
    before = os.environ["CVAE_MUSIC_OUTPUT"]
    session.start_session()
    assert os.environ["CVAE_MUSIC_OUTPUT"] == before


def test_versions_are_checked_before_keras_is_loaded(session_folders, monkeypatch):
    """An old Keras may not even import: the message must come first."""
    monkeypatch.setattr(session, "_version", lambda name: "2.15.0")
    monkeypatch.setattr(
        session, "_load_keras", lambda: pytest.fail("Keras was loaded first")
    )
    with pytest.raises(
        ImportError, match="Found tensorflow 2.15.0; expected 2.20 or later"
    ):
        session.start_session()


@pytest.mark.parametrize(
    "encoding, text, shown",
    [
        ("cp1252", "café, 曲", r"café, \u66f2"),
        ("ascii", "café", r"caf\xe9"),
        ("utf-8", "café, 曲", "café, 曲"),
        ("utf-8", "caf\udce9", r"caf\udce9"),
    ],
)
def test_text_is_printed_on_any_console(encoding, text, shown, monkeypatch):
    console = io.TextIOWrapper(io.BytesIO(), encoding, newline="")
    monkeypatch.setattr("sys.stdout", console)
    print_text(text)
    assert console.buffer.getvalue().decode(encoding) == f"{shown}\n"
