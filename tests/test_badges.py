"""Badges, addresses and links: they agree everywhere, and one command changes them all."""

import json
import shutil
import subprocess
import textwrap
import zipfile

import badges
import jupytext
import nbformat
import pytest
import run_notebooks

LESSON = """\
    # ---
    # jupyter:
    #   kernelspec:
    #     display_name: Python 3
    #     language: python
    #     name: python3
    # ---

    # %% [markdown]
    # # Does it run?
    #
    # *To open this on Colab: File, Upload notebook, choose this file; put the zip of the project into the Files pane
    # and set `repository_zip = "/content/<name of the zip>"` below.*
    #
    # **What you will hear:** nothing.
    #
    # > **Time:** about 1.5 minutes on two CPU cores with the features in the cache. Last full run: 2026-01-01. In a
    # > hurry? Read on.

    # %% tags=["parameters"]
    data = "known"
    repository_zip = ""  # kept
    num_steps = 3

    # %% tags=["setup"]
    import sys

    # %%
    session = lab.start_session(data, seed=seed)

    # %%
    print("an output")
"""
PAGE = f"# A project\n\n{badges.START}\n{badges.END}\n\n## More\n"
PAGES = ("README.md", "docs/platforms.md")


@pytest.fixture
def project(tmp_path, root):
    """Two lessons, one with solutions; the first of them has been executed."""
    folder = tmp_path / "notebooks"
    (folder / "solutions").mkdir(parents=True)
    (tmp_path / "lib" / "cvae_music").mkdir(parents=True)
    (tmp_path / "lib" / "cvae_music" / "__init__.py").write_text(
        '__version__ = "1.2.3"\n'
    )
    shutil.copy(root / "pyproject.toml", tmp_path)
    badges.set_place("nobody/nothing", "nobody", tmp_path)
    text = (
        (tmp_path / "pyproject.toml")
        .read_text(encoding="utf-8")
        .replace('"nobody/nothing"', '""')
    )
    (tmp_path / "pyproject.toml").write_text(
        text.replace('kaggle = "nobody"', 'kaggle = ""'), encoding="utf-8"
    )
    (tmp_path / "docs").mkdir()
    for name in PAGES:
        (tmp_path / name).write_text(PAGE)
    lesson = textwrap.dedent(LESSON)
    (folder / "01_first.py").write_text(lesson)
    (folder / "02_second.py").write_text(lesson.replace("num_steps = 3\n", ""))
    (folder / "solutions" / "01_first.py").write_text(
        lesson.replace("# Does it run?", "# Solutions to notebook 01")
    )
    notebook = jupytext.reads(lesson, "py:percent")
    notebook.cells[-1].outputs = [nbformat.v4.new_output("stream", text="an output\n")]
    nbformat.write(notebook, folder / "01_first.ipynb")
    return tmp_path


def write(project):
    for path, text in badges.render(project).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def contents(project):
    return {
        path: path.read_text()
        for path in project.rglob("*")
        if path.is_file() and path.suffix != ".toml"
    }


def test_all_files_of_the_project_agree(root):
    """After an edit of the set-up cell, a new notebook or a published run: make badges."""
    made = badges.render()
    behind = [
        path
        for path, text in made.items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    ]
    assert [path.relative_to(root).as_posix() for path in behind] == []


def test_without_a_repository_there_are_links_and_no_badge(project):
    write(project)
    text = (project / "notebooks" / "01_first.py").read_text()
    assert (
        "Next: [02 second](02_second.ipynb)." in text
        and "[Solutions](solutions/01_first.ipynb)" in text
    )
    assert (
        "Previous" not in text
        and "github" not in text
        and 'repository_zip = ""  # kept' in text
    )
    assert "To open this on Colab: File" not in text and "**On Kaggle,**" in text
    assert (
        "Previous: [01 first](01_first.ipynb)."
        in (project / "notebooks" / "02_second.py").read_text()
    )
    assert (
        "[01 first](../01_first.ipynb)"
        in (project / "notebooks" / "solutions" / "01_first.py").read_text()
    )
    assert "(docs/platforms.md#" in (project / "README.md").read_text()
    assert "make badges REPO=owner/name" in (project / PAGES[1]).read_text()


def test_one_setting_changes_every_file_and_once_is_enough(project):
    write(project)
    before = contents(project)
    badges.set_place("someone/music", "anyone", project)
    write(project)
    after = contents(project)
    changed = {
        path.relative_to(project).as_posix()
        for path in after
        if after[path] != before.get(path)
    }
    expected = {
        *PAGES,
        "notebooks/01_first.py",
        "notebooks/01_first.ipynb",
        "notebooks/02_second.py",
    }
    expected |= {"notebooks/solutions/01_first.py"}
    expected |= {
        f"notebooks/kaggle/{name}/kernel-metadata.json"
        for name in ("01_first", "02_second")
    }
    assert changed == expected
    write(project)
    assert contents(project) == after
    assert set(badges.render(project)) <= set(after)


def test_addresses_name_the_tagged_release(project):
    badges.set_place("someone/music", "", project)
    write(project)
    text = (project / "notebooks" / "01_first.py").read_text()
    file = "someone/music/blob/v1.2.3/notebooks/01_first.ipynb"
    assert f"(https://colab.research.google.com/github/{file})" in text
    assert f"(https://kaggle.com/kernels/welcome?src=https://github.com/{file})" in text
    assert (
        'repository_zip = "https://github.com/someone/music/archive/refs/tags/v1.2.3.zip"  # kept'
        in text
    )
    for name in PAGES:
        page = (project / name).read_text()
        assert f"https://colab.research.google.com/github/{file}" in page
        assert page.endswith("## More\n")


def test_halves_stay_equal_and_outputs_stay(project):
    badges.set_place("someone/music", "", project)
    write(project)
    source = project / "notebooks" / "01_first.py"
    edited, executed = (
        jupytext.read(source),
        nbformat.read(source.with_suffix(".ipynb"), as_version=4),
    )
    nbformat.validate(executed)
    assert [cell.source for cell in edited.cells] == [
        cell.source for cell in executed.cells
    ]
    assert [cell.metadata.get("tags") for cell in edited.cells] == [
        cell.metadata.get("tags") for cell in executed.cells
    ]
    printed = [
        output.text for cell in executed.cells for output in cell.get("outputs", [])
    ]
    assert printed == ["an output\n"]
    assert edited.cells[2].source == badges.SETUP and edited.cells[3].source.startswith(
        "import cvae_lab as lab\n"
    )
    assert edited.metadata["accelerator"] == executed.metadata["accelerator"] == "GPU"
    assert (
        "accelerator"
        not in jupytext.read(project / "notebooks" / "02_second.py").metadata
    )  # nothing to train


def test_minutes_are_those_that_were_measured(project, monkeypatch):
    monkeypatch.setattr(run_notebooks, "count_cores", lambda: 4)
    monkeypatch.setattr(run_notebooks.time, "strftime", lambda form: "2026-05-04")
    runs = project / "lib" / "cvae_lab" / "results" / "published_runs.csv"
    runs.parent.mkdir(parents=True)
    write(project)
    text = (project / "notebooks" / "01_first.py").read_text()
    assert (
        "**Time:** not measured yet on CPU cores with the features in the cache."
        in text
        and "2026-01-01" in text
    )
    for seconds in (1000, 90):  # the last one counts
        run_notebooks.note_published(
            project / "notebooks" / "01_first.py", seconds, runs
        )
    run_notebooks.note_published(
        project / "notebooks" / "solutions" / "01_first.py", 60, runs
    )
    write(project)
    text = (project / "notebooks" / "01_first.py").read_text()
    box = " ".join(
        line.removeprefix("# > ")
        for line in text.splitlines()
        if line.startswith("# >")
    )
    assert box == (
        "**Time:** 1.5 minutes on 4 CPU cores with the features in the cache. Last full run: 2026-05-04. "
        "In a hurry? Read on."
    )
    assert runs.read_text().splitlines() == [
        "notebook,minutes,cores,date",
        "01_first,1.50,4,2026-05-04",
        "solutions/01_first,1.00,4,2026-05-04",
    ]


def test_kaggle_gets_what_its_command_wants(project):
    badges.set_place("", "anyone", project)
    write(project)
    folder = project / "notebooks" / "kaggle" / "01_first"
    metadata = json.loads((folder / "kernel-metadata.json").read_text())
    assert (
        metadata["id"] == "anyone/cvae-music-01-first"
        and metadata["title"] == "cvae music 01 first"
    )
    assert (folder / metadata["code_file"]).samefile(
        project / "notebooks" / "01_first.ipynb"
    )
    assert (metadata["enable_gpu"], metadata["enable_internet"]) == (True, False)
    assert metadata["dataset_sources"] == ["anyone/cvae-music-library"]


def test_the_kaggle_data_set_holds_the_library(project):
    for name in ("LICENSE", "README.md"):
        (project / name).write_text("text")
    git = [
        "git",
        "-c",
        "user.name=a",
        "-c",
        "user.email=a@b.c",
        "-c",
        "commit.gpgsign=false",
    ]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"]):
        subprocess.run([*git, *command], cwd=project, check=True)
    folder = badges.make_library(project / "outputs", project)
    names = zipfile.ZipFile(folder / "cvae-music.zip").namelist()
    assert "cvae-music/lib/cvae_music/__init__.py" in names and not [
        name for name in names if "notebooks" in name
    ]
    assert (
        json.loads((folder / "dataset-metadata.json").read_text())["id"]
        == f"{badges.NOBODY}/cvae-music-library"
    )


def test_names_that_are_none_are_refused(project):
    with pytest.raises(SystemExit, match="expected REPO=owner/name"):
        badges.set_place("https://example.org/owner/name", "", project)
    with pytest.raises(SystemExit, match="expected KAGGLE=owner"):
        badges.set_place("", "owner/name", project)


def test_a_notebook_of_another_shape_is_refused(project):
    path = project / "notebooks" / "02_second.py"
    path.write_text(path.read_text().replace('tags=["setup"]', ""))
    with pytest.raises(
        SystemExit, match="02_second.py: expected a notebook whose first cells"
    ):
        badges.render(project)
