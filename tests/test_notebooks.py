"""Every notebook: paired, in the house style, with the outputs of one run, equal to the library; and it executes."""

import ast
import difflib
import io
import os
import re
import statistics
from collections import defaultdict

import badges
import jupytext
import lessons
import nbformat
import pytest
import run_notebooks

import known_music
from cvae_music.audio.files import write_audio
from cvae_music.config import AudioConfig

SOURCES = run_notebooks.find_notebooks()
SOLUTIONS = run_notebooks.find_notebooks(run_notebooks.NOTEBOOKS / "solutions")
ALL = SOURCES + SOLUTIONS
# What the reader writes, by the topic in the notebook's name.
WRITTEN = {
    "autoencoder": "block build_encoder decode_layers build_decoder "
    "moving_average_matrix mel_highpass contrast_loss optimal_variance_nll Autoencoder",
    "vae": "gaussian_kl DiagonalGaussian LatentDensity VAE",
    "conditional_vae": "build_concatenating_decoder ConcatCVAE "
    "build_conditional_decoder",
    "make_it_listen": "ClassMeanShift ConditionalVAE",
    "posterior_collapse": "build_original_networks OriginalVAE",
    "discriminator": "mel_highpass UnsharpMask build_discriminator adversarial_losses "
    "ConditionalVAEGAN",
    "back_to_sound": "fast_griffin_lim",
}

# Smoke mode: little data, one short epoch of each fit. Names that a notebook does not declare are left out.
SMOKE = {
    "num_clips": 96,
    "num_tracks": 4,
    "num_epochs": 1,
    "num_judged": 2,
    "minutes": 0.05,
}
SMOKE |= dict.fromkeys(("num_steps", "num_full_steps", "num_judge_steps"), 3)
SMOKE_ENVIRONMENT = {"KERAS_MAX_EPOCHS": "1", "KERAS_MAX_STEPS_PER_EPOCH": "3"}


def topic(source):
    return source.stem[3:]


def number(source):
    return int(source.stem[:2])


def for_each(sources):
    def name(path):
        return path.relative_to(run_notebooks.NOTEBOOKS).with_suffix("").as_posix()

    return pytest.mark.parametrize("source", sources, ids=name)


each, each_lesson = for_each(ALL), for_each(SOURCES)


def read_pair(source):
    return jupytext.read(source), nbformat.read(
        source.with_suffix(".ipynb"), as_version=4
    )


def code_cells(notebook):
    return [
        cell
        for cell in notebook.cells
        if cell.cell_type == "code" and cell.source.strip()
    ]


def code_lines(cell):
    return sum(bool(line.strip()) for line in cell.source.splitlines())


def has_tag(cell, tag):
    return tag in cell.metadata.get("tags", [])


def tagged(notebook, tag):
    return [cell for cell in notebook.cells if has_tag(cell, tag)]


def definitions(code):
    """Name -> syntax trees, as code, of classes and functions at the top level.

    Comments, docstrings, annotations and line breaks do not count. A class
    may be written in several cells: `class Model(Model):` goes on with the one before.
    """
    found = defaultdict(list)
    for node in ast.parse(code).body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            for part in ast.walk(node):
                strip(part)
            if continues(node):
                found[node.name][-1].body += node.body
            else:
                found[node.name].append(node)
    return {
        name: [ast.unparse(node) for node in nodes] for name, nodes in found.items()
    }


def strip(node):
    """Takes docstrings and annotations out of a syntax tree's node."""
    if isinstance(node, ast.arg):
        node.annotation = None
    if isinstance(node, ast.FunctionDef):
        node.returns = None
    if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
        if ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        node.body = [without_annotation(each) for each in node.body]


def without_annotation(node):
    """`name: type = value` as `name = value`, `name: type` as `name: ...`."""
    if isinstance(node, ast.AnnAssign) and node.value is None:
        node.annotation = ast.Constant(...)
    elif isinstance(node, ast.AnnAssign):
        return ast.Assign([node.target], node.value, lineno=node.lineno)
    return node


def continues(node):
    """Whether a class derives from nothing but a class of its own name."""
    bases = getattr(node, "bases", [])
    return [getattr(base, "id", None) for base in bases] == [node.name]


def written(source):
    """The definitions in a notebook's cells; a line that begins with % or ! is a command of the notebook."""
    cells = code_cells(jupytext.read(source))
    return definitions(
        "\n".join(re.sub(r"^[%!].*", "", cell.source, flags=re.M) for cell in cells)
    )


@pytest.fixture(scope="module")
def library(root):
    """The definitions of the three packages; a name may occur in two modules."""
    found = defaultdict(list)
    for path in sorted((root / "lib").glob("*_*/**/*.py")):
        for name, trees in definitions(path.read_text(encoding="utf-8")).items():
            found[name] += trees
    return found


@each_lesson
def test_what_the_reader_writes_is_what_the_library_runs(source, library):
    """A name of the library is the library's code: change both, or give the notebook's own thing another name."""
    for name, codes in written(source).items():
        if name in library:
            changes = difflib.unified_diff(
                library[name][0].splitlines(),
                codes[0].splitlines(),
                "library",
                "notebook",
            )
            assert codes[0] in library[name], "\n".join(changes)
            assert len(codes) == 1, f"{name} is written more than once"


@for_each([path for path in SOURCES if topic(path) in WRITTEN])
def test_the_reader_writes_the_model(source):
    assert sorted(set(WRITTEN[topic(source)].split()) - written(source).keys()) == []


@each
def test_halves_are_equal(source):
    def content(notebook):
        return [
            (cell.cell_type, cell.source.strip(), cell.metadata.get("tags", []))
            for cell in notebook.cells
        ]

    edited, executed = map(content, read_pair(source))
    differing = [
        number
        for number, pair in enumerate(zip(edited, executed, strict=False), 1)
        if pair[0] != pair[1]
    ]
    assert differing == [] and len(edited) == len(executed), (
        "make publish brings the pair together"
    )


@each
def test_outputs_are_of_one_run(source):
    path = source.with_suffix(".ipynb")
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not [
        cell.source
        for cell in cells
        for output in cell.outputs
        if output.output_type == "error"
    ]
    assert "widgets" not in notebook.metadata
    assert path.stat().st_size < 2 * 2**20


@each
def test_parameters_and_setup(source):
    notebook = jupytext.read(source)
    parameters, setup, start = code_cells(notebook)[:3]
    assert [tagged(notebook, "parameters"), tagged(notebook, "setup")] == [
        [parameters],
        [setup],
    ]
    assert {"data", "seed", "repository_zip"} <= run_notebooks.declared_parameters(
        source.with_suffix(".ipynb")
    )
    assert setup.source.strip() == badges.SETUP, (
        "the set-up cell is the text of tools/setup_cell.py"
    )
    assert code_lines(setup) <= 6 and max(map(len, setup.source.splitlines())) <= 120
    assert start.source.startswith(
        f"{badges.IMPORTS}session = lab.start_session(data, seed=seed"
    )


@each
def test_cells_are_short(source):
    lengths = sorted(code_lines(cell) for cell in code_cells(jupytext.read(source)))
    assert statistics.median(lengths) < 10
    assert sum(length < 25 for length in lengths) >= 0.9 * len(lengths)
    assert lengths[-1] <= 60


@each_lesson
def test_title_asks_and_prose_has_its_length(source):
    prose = [
        cell.source
        for cell in jupytext.read(source).cells
        if cell.cell_type == "markdown"
    ]
    prose = [badges.BLOCK.sub("", text) for text in prose]  # links are no prose
    title = prose[0].splitlines()[0]
    assert title.startswith("# ") and title.rstrip().endswith("?")
    words = len(
        re.findall(r"\w+", re.sub(r"\$[^$]*\$|https?://\S+", "", " ".join(prose)))
    )
    assert (1000 if number(source) else 400) <= words <= 2500


@each_lesson
def test_words_that_belittle_are_left_out(source):
    prose = " ".join(
        cell.source
        for cell in jupytext.read(source).cells
        if cell.cell_type == "markdown"
    )
    assert re.findall(r"\b(?:just|simply|obviously|easily)\b", prose, re.I) == []


@each
def test_lessons_quote_the_outputs_of_their_section(source):
    """Every number of a lesson, or of a remark on an output, stands in a text or table of its section."""
    _, executed = read_pair(source)
    assert lessons.problems_of(executed) == []


@each_lesson
def test_a_section_has_at_most_one_lesson_and_the_last_answers_the_title(source):
    sections = lessons.sections_of(jupytext.read(source))
    for cells in sections:
        assert sum(has_tag(cell, "lesson") for cell in cells) <= 1, cells[0].source
    answer = sections[-1][0]
    assert answer.source.startswith("## The answer") and has_tag(answer, "lesson")
    words = answer.source.removeprefix("## The answer")
    assert len(re.findall(r"[\w.,]*\w", words)) <= 80
    assert re.search(r"\d", answer.source)


def test_lessons_are_few_enough_to_stand_out():
    """Some four a notebook, the answer among them; the rest of what is found out is prose."""
    counts = [len(tagged(jupytext.read(source), "lesson")) for source in SOURCES]
    assert min(counts) >= 3
    assert sum(counts) <= 55


@each_lesson
def test_guesses_answer_back(source):
    notebook = jupytext.read(source)
    prose = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    assert not [text for text in prose if "**Guess" in text]
    asked = [cell for cell in code_cells(notebook) if "lab.guess(" in cell.source]
    assert len(asked) >= 3
    assert all(has_tag(cell, "fold") for cell in asked)


PICTURES = re.compile(
    r"\bplt\.|\.plot\(|\baxes?\b|show_figure|show_clips|\bdisplay\(|widgets\."
)


@each_lesson
def test_open_code_teaches_and_the_rest_is_folded_beneath_a_title(source):
    """Counts cells that draw or display; whether the others teach, a reader has to say."""
    cells = code_cells(jupytext.read(source))
    folded = [cell for cell in cells if has_tag(cell, "fold")]
    for cell in folded:
        assert re.match(r"# @title \S.{4,}", cell.source), cell.source[:80]
    opened = [cell for cell in cells[3:] if cell not in folded]
    for cell in opened:
        assert max(map(len, cell.source.splitlines())) <= 100, cell.source
    drawn = [cell for cell in opened if PICTURES.search(cell.source)]
    assert sum(map(code_lines, drawn)) <= sum(map(code_lines, opened)) / 3


@for_each([path for path in SOURCES if 2 <= number(path) <= 7])
def test_an_exercise_has_its_checker(source):
    cells = code_cells(jupytext.read(source))
    check_number = [
        first
        for first, second in zip(cells, cells[1:], strict=False)
        if has_tag(second, "check")
    ]
    assert any(has_tag(cell, "exercise") for cell in check_number)


@for_each([path for path in SOURCES if number(path) <= 10])
def test_there_is_something_to_turn_and_a_picture_beside_it(source):
    """Ten lines of core ipywidgets at most; where no kernel listens, a figure stands in or beside the cell."""
    _, executed = read_pair(source)
    cells = code_cells(executed)
    places = [place for place, cell in enumerate(cells) if has_tag(cell, "widget")]
    assert places
    for place in places:
        assert code_lines(cells[place]) <= 10
        assert re.search(r"\b(?:ipy)?widgets\.|\binteract", cells[place].source)
        beside = [
            output
            for cell in cells[max(place - 1, 0) : place + 2]
            for output in cell.outputs
        ]
        assert any("image/png" in output.get("data", {}) for output in beside), cells[
            place
        ].source


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
    startup.write_text(
        "import tensorflow\n\ntensorflow.config.run_functions_eagerly(True)\n"
    )
    return {
        **SMOKE_ENVIRONMENT,
        "CVAE_MUSIC_CACHE": str(folder / "cache"),
        "IPYTHONDIR": str(folder / "ipython"),
    }


@pytest.mark.shared_out
@each
def test_executes_in_smoke_mode(source, smoke_environment, tmp_path):
    environment = {**smoke_environment, "CVAE_MUSIC_OUTPUT": str(tmp_path / "output")}
    if source.stem.startswith("08"):
        del environment["IPYTHONDIR"]
    target = tmp_path / "executed.ipynb"
    result = run_notebooks.execute(
        source, target, SMOKE, environment, timeout=300, stream=io.StringIO()
    )
    assert not result.error, result.error


@pytest.mark.shared_out
def test_collapse_is_shown_on_two_genres_as_well(smoke_environment, tmp_path):
    """Of a folder of somebody's own, the smallest that the series takes."""
    for number, row in enumerate(
        known_music.draw_factors(96, 0)
        .query("genre in ['jazz', 'house']")
        .to_dict("records")
    ):
        if number < 24:
            path = tmp_path / "music" / row["genre"] / f"{number}.wav"
            write_audio(path, known_music.compose(row, 22050, 16), AudioConfig())
    source = next(source for source in SOURCES if topic(source) == "conditional_vae")
    environment = {**smoke_environment, "CVAE_MUSIC_OUTPUT": str(tmp_path / "output")}
    parameters = SMOKE | {"data": str(tmp_path / "music")}
    result = run_notebooks.execute(
        source,
        tmp_path / "executed.ipynb",
        parameters,
        environment,
        300,
        stream=io.StringIO(),
    )
    assert not result.error, result.error
