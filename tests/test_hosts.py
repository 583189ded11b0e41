"""The first minute on Colab, Kaggle and a laptop, in processes of their own: no network, folders under tmp_path."""

import json
import os
import shutil
import subprocess
import sys
import textwrap

import pytest

SCRIPT = """
    import json, socket, sys
    from pathlib import Path

    def refuse(*arguments):
        raise OSError("The Internet is off.")

    socket.socket.connect = refuse
    sys.path[:] = [place for place in sys.path if not (Path(place) / "cvae_lab").exists()]  # a stranger's Python
    asked = []

    class Shell:
        def run_line_magic(self, *words):
            asked.append(words)
            sys.path.append({pip_installs!r})

    names = {{"repository_zip": {repository_zip!r}, "get_ipython": Shell}}
    exec({cell!r}, names)
    {more}
    print(json.dumps([names["find"]("cvae_lab").origin, asked]))
"""


@pytest.fixture
def cell(root):
    return (root / "tools" / "setup_cell.py").read_text(encoding="utf-8")


@pytest.fixture
def open_notebook(cell, tmp_path):
    """Runs the set-up cell in a folder as on a host: where the library was found and what pip was asked for."""

    def run(
        folder,
        repository_zip="",
        pip_installs="",
        mounts="/kaggle/input",
        more="",
        **environment,
    ):
        there = cell.replace("/kaggle/input", str(mounts))
        filled = {
            "cell": there,
            "repository_zip": repository_zip,
            "pip_installs": str(pip_installs),
            "more": more,
        }
        script = textwrap.dedent(SCRIPT).format(**filled)
        folder.mkdir(parents=True, exist_ok=True)
        kept = {
            name: value for name, value in os.environ.items() if name != "PYTHONPATH"
        }
        command = [sys.executable, "-c", script]
        return subprocess.run(
            command,
            cwd=folder,
            env={**kept, **environment},
            capture_output=True,
            text=True,
        )

    return run


def copy_of_library(folder):
    """What the search looks for: `lib` with the lab in it."""
    package = folder / "lib" / "cvae_lab"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    return package / "__init__.py"


def outcome(done):
    assert done.returncode == 0, done.stderr
    found, asked = json.loads(done.stdout.splitlines()[-1])
    return os.path.realpath(found), asked


@pytest.mark.parametrize("inside", ["", "notebooks", "notebooks/solutions"])
def test_in_a_clone_its_own_library_is_taken(open_notebook, tmp_path, inside):
    library = copy_of_library(tmp_path / "clone")
    copy_of_library(tmp_path / "input" / "another")
    done = open_notebook(
        tmp_path / "clone" / inside,
        repository_zip="https://example.org/x.zip",
        mounts=tmp_path / "input",
    )
    found, asked = outcome(done)
    assert asked == [] and os.path.samefile(found, library)


@pytest.mark.parametrize(
    "place", ["slug", "datasets/owner/slug/project", "datasets/owner/slug/a/b/c"]
)
def test_on_kaggle_an_attached_copy_is_found_at_any_depth(
    open_notebook, tmp_path, place
):
    library = copy_of_library(tmp_path / "input" / place)
    found, asked = outcome(
        open_notebook(tmp_path / "working", mounts=tmp_path / "input")
    )
    assert asked == [] and os.path.samefile(found, library)


def test_folders_called_lib_with_other_things_shadow_nothing(open_notebook, tmp_path):
    other = tmp_path / "input" / "a" / "lib"
    other.mkdir(parents=True)
    (other / "json.py").write_text("raise SystemExit('another json')")
    copy_of_library(tmp_path / "input" / "b")
    more = "import importlib; importlib.reload(json)"
    found, _ = outcome(
        open_notebook(tmp_path / "working", mounts=tmp_path / "input", more=more)
    )
    assert "/b/lib/" in found


def test_on_colab_an_unpacked_copy_beside_the_notebook_is_found(
    open_notebook, tmp_path
):
    library = copy_of_library(tmp_path / "content" / "cvae-music-0.2.0")
    found, asked = outcome(
        open_notebook(tmp_path / "content", repository_zip="https://example.org/x.zip")
    )
    assert asked == [] and os.path.samefile(found, library)


def test_with_nothing_there_the_zip_is_installed_and_nothing_else(
    open_notebook, tmp_path
):
    library = copy_of_library(tmp_path / "site")
    done = open_notebook(
        tmp_path / "content",
        "https://example.org/x.zip",
        pip_installs=library.parents[1],
    )
    found, asked = outcome(done)
    assert asked == [
        ["pip", "install -q --no-deps https://example.org/x.zip"]
    ] and os.path.samefile(found, library)


@pytest.mark.parametrize("address", ["", "https://example.org/missing.zip"])
def test_otherwise_one_message_says_what_can_be_done_where(
    open_notebook, tmp_path, address
):
    done = open_notebook(tmp_path / "content", address, pip_installs=tmp_path)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
    for way in (
        "Colab, set repository_zip",
        "Kaggle, Add Input",
        "VS Code, laptop: make lab",
    ):
        assert way in done.stderr


@pytest.mark.parametrize(
    "name, shown", [("cvae_lab", ""), ("no_such_library", "No library: Colab")]
)
def test_a_notebook_shows_the_message_without_a_traceback_or_nothing(
    cell, tmp_path, name, shown
):
    """In IPython, where the value of a cell's last line would be shown too, with this machine's paths in it."""
    copy_of_library(tmp_path)
    script = textwrap.dedent("""
        import sys
        from IPython.core.interactiveshell import InteractiveShell
        shell = InteractiveShell.instance()
        shell.user_ns["repository_zip"] = ""
        sys.exit(bool(shell.run_cell(sys.argv[1]).error_in_exec))
    """)
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-c",
        script,
        cell.replace("cvae_lab", name),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == bool(shown), done.stderr
    assert (
        shown in done.stdout
        and "Traceback" not in done.stdout
        and bool(done.stdout.strip()) == bool(shown)
    )


def test_kaggle_with_the_internet_off_loads_what_ships(open_notebook, root, tmp_path):
    """The whole way on an attached copy that is left as it was: import, session, shipped model, a picture."""
    attached = tmp_path / "input" / "datasets" / "owner" / "slug" / "cvae-music"
    attached.mkdir(parents=True)
    shutil.copytree(
        root / "lib",
        attached / "lib",
        ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "results"),
    )
    for path in attached.rglob("*"):
        path.chmod(0o555 if path.is_dir() else 0o444)
    before = sorted(attached.rglob("*"))
    more = (
        "import cvae_lab as lab; import cvae_music as cm; session = lab.start_session(); "
        "picture = cm.ConditionalVAE.from_preset('known_cvae').decode([[0.0] * 96], [2]); "
        "assert picture.std() > 0.01 and session.host == 'kaggle'"
    )
    folders = {
        "CVAE_MUSIC_CACHE": str(tmp_path / "cache"),
        "CVAE_MUSIC_OUTPUT": str(tmp_path / "output"),
    }
    host = {
        "KAGGLE_KERNEL_RUN_TYPE": "Batch",
        "PYTHONDONTWRITEBYTECODE": "1",
        **folders,
    }
    done = open_notebook(
        tmp_path / "working", mounts=tmp_path / "input", more=more, **host
    )
    assert "/datasets/owner/slug/cvae-music/lib/" in outcome(done)[0]
    assert (
        "For a GPU: Settings, Accelerator" in done.stdout
        and sorted(attached.rglob("*")) == before
    )
