"""Every notebook: paired, in the house style, committed with the outputs of one run, and it executes."""

import io
import os
import re
import statistics

import jupytext
import nbformat
import pytest
import run_notebooks

SOURCES = run_notebooks.find_notebooks()
SOLUTIONS = run_notebooks.find_notebooks(run_notebooks.NOTEBOOKS / "solutions")
ALL = SOURCES + SOLUTIONS
SETUP = (run_notebooks.ROOT / "tools" / "setup_cell.py").read_text(encoding="utf-8").strip()

# Smoke mode: little data, one short epoch of each fit. Names that a notebook does not declare are left out.
SMOKE = {"num_clips": 96, "num_steps": 3, "num_full_steps": 3, "num_judge_steps": 3, "num_epochs": 1, "num_judged": 2, "minutes": 0.05}
SMOKE_ENVIRONMENT = {"KERAS_MAX_EPOCHS": "1", "KERAS_MAX_STEPS_PER_EPOCH": "3"}

each = pytest.mark.parametrize("source", ALL, ids=lambda path: path.stem)
each_lesson = pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)


def read_pair(source):
    return jupytext.read(source), nbformat.read(source.with_suffix(".ipynb"), as_version=4)


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]


def code_lines(cell):
    return sum(bool(line.strip()) for line in cell.source.splitlines())


def tagged(notebook, tag):
    return [cell for cell in notebook.cells if run_notebooks.has_tag(cell, tag)]


@each
def test_halves_are_equal(source):
    def content(notebook):
        return [(cell.cell_type, cell.source.strip(), cell.metadata.get("tags", [])) for cell in notebook.cells]

    edited, executed = map(content, read_pair(source))
    differing = [number for number, pair in enumerate(zip(edited, executed, strict=False), 1) if pair[0] != pair[1]]
    assert differing == [] and len(edited) == len(executed), "make publish brings the pair together"


@each
def test_outputs_are_of_one_run(source):
    path = source.with_suffix(".ipynb")
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not [cell.source for cell in cells for output in cell.outputs if output.output_type == "error"]
    assert "widgets" not in notebook.metadata
    assert path.stat().st_size < 2 * 2**20


@each
def test_parameters_and_setup(source):
    notebook = jupytext.read(source)
    parameters, setup = tagged(notebook, "parameters"), tagged(notebook, "setup")
    assert len(parameters) == len(setup) == 1
    assert notebook.cells.index(parameters[0]) < notebook.cells.index(setup[0])
    assert code_cells(notebook)[:2] == [parameters[0], setup[0]]
    assert {"data", "seed", "repository_zip"} <= run_notebooks.declared_parameters(notebook)
    assert setup[0].source.strip() == SETUP, "the set-up cell is the text of tools/setup_cell.py"


@each
def test_cells_are_short(source):
    lengths = sorted(code_lines(cell) for cell in code_cells(jupytext.read(source)))
    assert statistics.median(lengths) < 10
    assert sum(length < 25 for length in lengths) >= 0.9 * len(lengths)
    assert lengths[-1] <= 40


@each_lesson
def test_title_asks_and_prose_has_its_length(source):
    prose = [cell.source for cell in jupytext.read(source).cells if cell.cell_type == "markdown"]
    title = prose[0].splitlines()[0]
    assert title.startswith("# ") and title.rstrip().endswith("?")
    words = len(re.findall(r"\w+", re.sub(r"\$[^$]*\$|https?://\S+", "", " ".join(prose))))
    assert 1000 <= words <= 2500


@each_lesson
def test_words_that_belittle_are_left_out(source):
    prose = " ".join(cell.source for cell in jupytext.read(source).cells if cell.cell_type == "markdown")
    assert re.findall(r"\b(?:just|simply|obviously|easily)\b", prose, re.I) == []


@pytest.fixture(scope="session")
def smoke_environment(tmp_path_factory):
    """One cache for all notebooks and workers; functions run as Python, since tracing takes longer than three steps.

    Graphs are traced and executed by the tests of the models, by every published notebook, and by notebook 08, which
    makes hundreds of clips with each.
    """
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    startup = folder / "ipython" / "profile_default" / "startup" / "eager.py"
    startup.parent.mkdir(parents=True, exist_ok=True)
    startup.write_text("import tensorflow\n\ntensorflow.config.run_functions_eagerly(True)\n")
    return {**SMOKE_ENVIRONMENT, "CVAE_MUSIC_CACHE": str(folder / "cache"), "IPYTHONDIR": str(folder / "ipython")}


@pytest.mark.shared_out
@each
def test_executes_in_smoke_mode(source, smoke_environment, tmp_path):
    environment = {**smoke_environment, "CVAE_MUSIC_OUTPUT": str(tmp_path / "output")}
    if source.stem.startswith("08"):
        del environment["IPYTHONDIR"]
    result, _ = run_notebooks.execute(
        source, tmp_path / "executed.ipynb", SMOKE, environment, timeout=300, stream=io.StringIO()
    )
    assert not result.error, result.error
