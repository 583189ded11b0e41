"""The runner of the notebooks, on two small ones."""

import io
import os
import sys
import textwrap
from pathlib import Path

import badges
import jupytext
import nbformat
import numpy as np
import pytest
import run_notebooks
import run_page
from bs4 import BeautifulSoup

from cvae_music.audio.files import write_audio
from cvae_music.config import AudioConfig

GOOD = """\
    # %% [markdown]
    # # Does it run?

    # %% tags=["parameters"]
    num_clips = 10
    data: str = "known"

    # %%
    import os
    import sys
    from pathlib import Path

    output = Path(os.environ["CVAE_MUSIC_OUTPUT"])
    (output / "07_scoreboard.csv").write_text(",cnn_fresh,kl\\nPCA,,1\\nCVAE,0.98,5\\n")
    for step in range(3):
        print(f"\\rstep {step}", end="")

    # %%
    (num_clips, data, sys.executable)

    # %%
    (num_clips, data, sys.executable)

    # %%
    import ipywidgets as widgets

    @widgets.interact(tempo=(60, 200, 10))
    def turn(tempo):
        print(f"{tempo} beats a minute")
"""
BAD = """\
    # %% tags=["parameters"]
    seed = 0

    # %%
    1 / seed
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(
        run_notebooks, "PUBLISHED_RUNS", tmp_path / "published_runs.csv"
    )
    (tmp_path / "01_good.py").write_text(textwrap.dedent(GOOD))
    return tmp_path


def run(folder, *arguments):
    return run_notebooks.main(
        ["--notebooks", str(folder), "--output", str(folder / "out"), *arguments]
    )


def test_run_injects_executes_and_shows_the_scoreboard(folder, capsys):
    assert run(folder, "--set", "num_clips=3", "typo=1") == 0
    notebook = nbformat.read(
        folder / "out" / "notebooks" / "01_good.ipynb", as_version=4
    )
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == [1, 2, 3, 4, 5, 6]
    assert code[1].source.split() == "# Parameters num_clips = 3".split()
    assert code[1].metadata.tags == ["injected-parameters"]
    assert "(3, 'known'" in code[3].outputs[0].data["text/plain"]
    assert code[2].outputs[0].text.strip() == "step 2"
    assert "130 beats a minute\n" in [
        output.get("text") for output in code[5].outputs
    ]  # what a widget shows first
    assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)
    assert not {"widgets", "papermill"} & notebook.metadata.keys()
    assert not [
        cell.metadata for cell in notebook.cells if cell.metadata.keys() - {"tags"}
    ]
    printed = capsys.readouterr().out
    assert (
        "fresh draws heard as the genre asked for" in printed
        and "CVAE 0.98" in printed
        and "1 of 1 notebooks ran through" in printed
        and "['typo']" in printed
    )
    assert (
        "6 code cells" in printed
        and "01_good" in (folder / "out" / "run.csv").read_text()
    )


def test_the_table_of_a_run_is_the_one_that_notebook_07_writes(folder):
    text = (run_notebooks.ROOT / "notebooks/07_comparison.py").read_text("utf-8")
    assert f'.to_csv(session.output_dir / "{run_page.BOARD}")' in text
    assert run(folder) == 0
    page = (folder / "out" / "index.html").read_text("utf-8")
    assert "<th>fresh draws heard as the genre asked for</th>" in page
    assert "<td>PCA</td>" in page and "<td>–</td>" in page and "nan" not in page


def test_what_to_do_next_is_about_the_music_of_the_run():
    for data in ("", "known"):
        assert run_page.next_steps(data)[0][0] == "make studio"
    commands = [command for command, _ in run_page.next_steps("~/my music")]
    assert commands == ["make studio DATA=~/my music", "make lab"]


def test_old_scoreboard_is_not_shown_as_new(tmp_path, capsys):
    board = tmp_path / run_page.BOARD
    board.write_text("model,prior\nold,0.5\n")
    run_notebooks.print_scoreboard(board, since=board.stat().st_mtime + 1)
    assert "No notebook of this run" in capsys.readouterr().out


def test_failure_names_the_cell_and_goes_on(folder, capsys):
    (folder / "00_bad.py").write_text(textwrap.dedent(BAD))
    assert run(folder) == 1
    printed = capsys.readouterr().out
    assert (
        "Cell 2:\n1 / seed" in printed
        and "ZeroDivisionError" in printed
        and "\x1b" not in printed
    )
    assert "1 of 2 notebooks ran through" in printed
    assert "00_bad,2" in (folder / "out" / "run.csv").read_text()


SECOND = """\
    # %% [markdown]
    # # Is it <done>?

    # %%
    1 + 1

    # %% [markdown]
    # ## The answer
    #
    # It is **2**.
"""


def test_an_interrupted_run_goes_on_where_it_stopped(folder, capsys, monkeypatch):
    (folder / "02_bad.py").write_text(textwrap.dedent(BAD))
    assert run(folder) == 1
    executed = folder / "out" / "notebooks" / "01_good.ipynb"
    before = executed.stat().st_mtime_ns
    (folder / "02_bad.py").write_text(textwrap.dedent(SECOND))
    capsys.readouterr()
    assert run(folder) == 0
    printed = capsys.readouterr().out
    assert "1 of them are done" in printed and "2 of 2 notebooks" in printed
    assert executed.stat().st_mtime_ns == before
    assert not (folder / "out" / "unfinished_run.json").exists()
    assert run(folder) == 0  # a run that was finished is made anew
    assert executed.stat().st_mtime_ns > before


def test_other_parameters_are_not_taken_for_the_interrupted_run(folder, capsys):
    (folder / "02_bad.py").write_text(textwrap.dedent(BAD))
    run(folder)
    capsys.readouterr()
    run(folder, "--set", "num_clips=4")
    assert "are done" not in capsys.readouterr().out


def test_two_run_side_by_side_and_the_page_shows_them_all(folder, capsys):
    (folder / "02_second.py").write_text(textwrap.dedent(SECOND))
    clip = folder / "out" / "clips" / "05_house_seed0.wav"
    write_audio(clip, np.sin(np.arange(22050) / 20), AudioConfig())
    assert run(folder, "--jobs", "2") == 0
    printed = capsys.readouterr().out
    assert "about 1 min" in printed and "min left" in printed
    assert "index.html" in printed and "make studio" in printed
    page = BeautifulSoup((folder / "out" / "index.html").read_text(), "html.parser")
    assert page.h1.text == "2 of 2 notebooks ran through on known"
    assert [tag["src"] for tag in page.find_all("audio")] == [
        "clips/05_house_seed0.wav"
    ]
    assert "Is it <done>?" in page.text and "It is 2." in page.text
    assert page.find("td", string="0.98")
    links = [link["href"] for link in page.find_all("a")]
    assert {"notebooks/01_good.html", "notebooks/02_second.html"} <= set(links)
    assert all((folder / "out" / link).is_file() for link in links)
    assert not page.find_all("script")


def test_side_by_side_the_longest_begins_first():
    sources = list(enumerate([Path("01_good.py"), Path("02_second.py")], start=1))
    begun = run_notebooks.longest_first(sources, {"01_good": 1.0, "02_second": 3.0})
    assert [number for number, _ in begun] == [2, 1]


def test_side_by_side_the_cores_are_shared(folder, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(run_notebooks, "count_cores", lambda: 6)
    assert run_notebooks.environment_of(folder, 2)["OMP_NUM_THREADS"] == "3"
    assert "OMP_NUM_THREADS" not in run_notebooks.environment_of(folder, 1)
    monkeypatch.setenv("OMP_NUM_THREADS", "5")
    assert "OMP_NUM_THREADS" not in run_notebooks.environment_of(folder, 2)


def test_the_page_puts_what_failed_first(folder):
    (folder / "02_bad.py").write_text(textwrap.dedent(BAD))
    run(folder)
    page = BeautifulSoup((folder / "out" / "index.html").read_text(), "html.parser")
    row = page.find(class_="failed").find_parent("tr")
    assert row.find_previous_sibling("tr") is None
    assert "ZeroDivisionError" in row.text


def test_lessons_that_are_wrong_fail_the_publication(folder, monkeypatch, capsys):
    monkeypatch.setattr(run_notebooks, "ROOT", folder)
    text = SECOND.replace(
        "[markdown]\n    # ## The", '[markdown] tags=["lesson"]\n    # ## The'
    )
    (folder / "02_second.py").write_text(textwrap.dedent(text.replace("**2**", "3.14")))
    assert run(folder, "--publish") == 1
    assert "02_second, cell 2: 3.14 is in no output" in capsys.readouterr().out


@pytest.mark.parametrize(
    "line, message", [("os._exit(1)", "kernel died"), ("time.sleep(30)", "timed out")]
)
def test_lost_kernel_and_slow_cell_are_failures(tmp_path, line, message):
    source = tmp_path / "01_lost.py"
    source.write_text(f"# %%\nimport os\nimport time\n\n# %%\n{line}\n")
    result = run_notebooks.execute(
        source, tmp_path / "lost.ipynb", timeout=3, stream=io.StringIO()
    )
    assert message in result.error and (tmp_path / "lost.ipynb").exists()


def test_the_kernel_ends_with_its_notebook(tmp_path):
    source = tmp_path / "01_pid.py"
    source.write_text(
        "# %%\nimport os\nfrom pathlib import Path\nPath('pid').write_text(str(os.getpid()))\n"
    )
    result = run_notebooks.execute(source, tmp_path / "pid.ipynb", stream=io.StringIO())
    assert result.error == "" and (
        result.peak_megabytes > 10 or not os.path.exists("/proc/self/status")
    )
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_tensorflow_notices_are_dropped_and_warnings_kept():
    notices = "I0000 00:00:1795384692.735532   10401 cudart_stub.cc:31] Could not find cuda drivers.\n"
    texts = (notices, notices + "UserWarning: look\n")
    outputs = [
        {"output_type": "stream", "name": "stderr", "text": text} for text in texts
    ]
    cell = nbformat.v4.new_code_cell(
        "1", outputs=[nbformat.from_dict(output) for output in outputs]
    )
    tidied = run_notebooks.tidy(nbformat.v4.new_notebook(cells=[cell])).cells[0]
    assert [output.text for output in tidied.outputs] == ["UserWarning: look\n"]


def test_published_pair_is_equal_and_repeatable(folder, tmp_path):
    first, second = tmp_path / "a.ipynb", tmp_path / "b.ipynb"
    for target in (first, second):
        result = run_notebooks.execute(
            folder / "01_good.py",
            target,
            environment={"CVAE_MUSIC_OUTPUT": str(tmp_path)},
            stream=io.StringIO(),
        )
        assert result.error == "" and result.injected == set() and result.cells == 5
    assert first.read_text() == second.read_text()
    halves = jupytext.read(folder / "01_good.py").cells, jupytext.read(first).cells
    assert [cell.source for cell in halves[0]] == [cell.source for cell in halves[1]]


def test_publish_stores_only_what_ran_through(folder, monkeypatch):
    monkeypatch.setattr(run_notebooks, "ROOT", folder)
    (folder / "00_bad.py").write_text(textwrap.dedent(BAD))
    assert run(folder, "--publish") == 1
    assert [path.name for path in folder.glob("*.ipynb")] == ["01_good.ipynb"]
    assert [
        line.split(",")[0]
        for line in (folder / "published_runs.csv").read_text().split()
    ] == [
        "notebook",
        "01_good",
    ]


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--data", "no/such/folder"], "no folder of that name"),
        (["--set", "num_clips"], "expected name=value"),
        (["--publish", "--set", "num_clips=3"], "publish without"),
        (["--only", "99"], "No notebook found"),
    ],
)
def test_bad_arguments_say_what_to_do(folder, arguments, message):
    with pytest.raises(SystemExit, match=message):
        run(folder, *arguments)


def test_data_folder_names_the_run(tmp_path):
    music = tmp_path / "Müsik & more"
    music.mkdir()
    path, name = run_notebooks.resolve_data(str(music))
    assert path == str(music.resolve()) and name == "Müsik_more"
    assert run_notebooks.resolve_data("") == ("known", "known")


def test_machine_paths_are_shortened(tmp_path):
    def shorten(text):
        return run_notebooks.without_machine_paths(text, project=tmp_path)

    assert shorten(f"saved {tmp_path}/outputs/a.wav") == "saved ./outputs/a.wav"
    assert (
        shorten("File /x/lib/python3/site-packages/keras/a.py:1")
        == "File site-packages/keras/a.py:1"
    )
    assert shorten("/tmp/ipykernel_12/345.py:1: UserWarning") == "345.py:1: UserWarning"
    assert (
        shorten(f"abc{tmp_path}/x") == f"abc{tmp_path}/x"
    )  # the middle of base64 text


def test_a_folder_called_like_the_embedded_music_is_told_and_has_results_of_its_own(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    for name in ("known", "FMA"):
        (tmp_path / name).mkdir()
    assert run_notebooks.resolve_data("known") == ("known", "known")
    said = "'known' is a name of this library; for the folder here: ./known"
    assert capsys.readouterr().out.strip() == said
    for name in ("known", "FMA"):
        found = run_notebooks.resolve_data(f"./{name}")
        assert found == (str(tmp_path / name), f"{name}_folder")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_tools_print_names_that_the_console_lacks(tmp_path, monkeypatch, encoding):
    console = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", console)
    badges.main(["--library", str(tmp_path / "音楽")])
    console.flush()
    assert b"\\u97f3\\u697d" in console.buffer.getvalue()
    folder = Path(badges.__file__).parent
    for name in ("build_site", "environments", "lessons", "open_music"):
        text = (folder / f"{name}.py").read_text(encoding="utf-8")
        assert 'sys.stdout.reconfigure(errors="backslashreplace")' in text
