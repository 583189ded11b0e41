"""Writes into every notebook, the README and docs/platforms.md where they open, what comes before and after, and how long it took.

`make badges REPO=owner/name KAGGLE=owner` sets the two names of `[tool.badges]` in pyproject.toml first. Without a
repository there are no badges and no address of a zip, for there is nothing yet that they could lead to. The set-up
cell of every notebook is the text of tools/setup_cell.py, its minutes are those of published_runs.csv.
"""

import argparse
import csv
import dataclasses
import json
import re
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import jupytext
import nbformat
from jupytext.config import load_jupytext_config
from run_notebooks import PUBLISHED_RUNS, ROOT, find_notebooks, name_cells

START, END = "<!-- links: made by tools/badges.py -->", "<!-- end of links -->"
BLOCK = re.compile(rf"{re.escape(START)}\n.*?{re.escape(END)}\n*", re.S)
SETUP = (ROOT / "tools" / "setup_cell.py").read_text(encoding="utf-8").strip()
IMPORTS = "import cvae_lab as lab\nimport cvae_music as cm\n\n"
COLAB_BADGE = "https://colab.research.google.com/assets/colab-badge.svg"
KAGGLE_BADGE = "https://kaggle.com/static/images/open-in-kaggle.svg"
FMA_ON_KAGGLE = "imsparsh/fma-free-music-archive-small-medium"
NOBODY = "INSERT_KAGGLE_NAME_HERE"  # stands in kernel-metadata.json until KAGGLE is set
NO_LIBRARY = """\
*No library, says the set-up cell? **On Colab,** set `repository_zip` below to the address of the project's zip, or
drag the zip into the Files pane and set `"/content/<its name>"`. **On Kaggle,** choose Add Input and take the data set
of the project, or switch Internet on and set `repository_zip`. **In VS Code or on a laptop,** keep this file in the
project's folder, run `make lab` there, or `make setup` and choose `.venv` as the kernel.*"""


@dataclasses.dataclass(frozen=True)
class Place:
    """Where the project can be fetched: `repository` and `kaggle` are empty as long as it is nowhere."""

    repository: str
    kaggle: str
    version: str

    @property
    def zip_address(self):
        return (
            f"https://github.com/{self.repository}/archive/refs/tags/v{self.version}.zip"
            if self.repository
            else ""
        )

    def file(self, path):
        return f"github.com/{self.repository}/blob/v{self.version}/{path}"

    def colab(self, path):
        return f"https://colab.research.google.com/{self.file(path).replace('github.com', 'github', 1)}"

    def kaggle_page(self, path):
        return f"https://kaggle.com/kernels/welcome?src=https://{self.file(path)}"


def read_place(root=ROOT):
    settings = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))[
        "tool"
    ]["badges"]
    source = (root / "lib" / "cvae_music" / "__init__.py").read_text(encoding="utf-8")
    return Place(
        settings["repository"],
        settings["kaggle"],
        re.search(r'__version__ = "([^"]+)"', source)[1],
    )


def checked_name(name, pattern, expected):
    if not re.fullmatch(pattern, name):
        raise SystemExit(f"Got {name!r}; expected {expected}.")
    return name


def set_place(repository, kaggle, root=ROOT):
    """Writes the names that were given into pyproject.toml; an empty one leaves what is there."""
    path = root / "pyproject.toml"
    text = path.read_text(encoding="utf-8")
    if repository:
        checked_name(
            repository,
            r"[\w.-]+/[\w.-]+",
            "REPO=owner/name, as in the address of the repository",
        )
        text = re.sub(
            r'^repository = ".*"$',
            f'repository = "{repository}"',
            text,
            count=1,
            flags=re.M,
        )
    if kaggle:
        checked_name(
            kaggle,
            r"[\w-]+",
            "KAGGLE=owner, the name in the address of a Kaggle profile",
        )
        text = re.sub(
            r'^kaggle = ".*"$', f'kaggle = "{kaggle}"', text, count=1, flags=re.M
        )
    path.write_text(text, encoding="utf-8")


def read_runs(path=PUBLISHED_RUNS):
    """Notebook -> the row of its last published run."""
    if not path.exists():
        return {}
    with open(path, newline="", encoding="utf-8") as file:
        return {row["notebook"]: row for row in csv.DictReader(file)}


def title_of(source):
    return source.stem.replace("_", " ")


def neighbours(source, sources):
    """The notebooks before and after, None at either end."""
    place = sources.index(source)
    return (sources[place - 1] if place else None), (
        sources[place + 1] if place + 1 < len(sources) else None
    )


def link(name, source, place, root):
    """A link that works in JupyterLab, VS Code and on a page; Colab, which has no neighbouring files, gets its own."""
    text = f"{name}: [{title_of(source)}]({source.stem}.ipynb)"
    if place.repository:
        text += f" ([on Colab]({place.colab(source.relative_to(root).with_suffix('.ipynb').as_posix())}))"
    return text


def links(source, place, root):
    """The lines that say what comes before and after, and where the solutions are."""
    if source.parent.name == "solutions":
        return f"The notebook: [{title_of(source)}](../{source.stem}.ipynb)"
    before, after = neighbours(source, find_notebooks(source.parent))
    parts = [
        link(name, one, place, root)
        for name, one in (("Previous", before), ("Next", after))
        if one
    ]
    first = source.with_name("00_play.py")
    if before and not after and first.exists():
        told = f"[{title_of(first)}]({first.stem}.ipynb) shows the other paths"
        parts.append(f"This is the last notebook: {told}")
    if (source.parent / "solutions" / source.name).exists():
        parts.append(f"[Solutions](solutions/{source.stem}.ipynb) of the exercises")
    return "\n".join(f"{part}." for part in parts)


def badges(path, place):
    if not place.repository:
        return ""
    return (
        f"[![Open in Colab]({COLAB_BADGE})]({place.colab(path)})\n"
        f"[![Open in Kaggle]({KAGGLE_BADGE})]({place.kaggle_page(path)})"
    )


def with_time(text, run):
    """The box's minutes, cores and date as they were measured; a box without a run promises none."""

    def box(found):
        words = " ".join(
            line.removeprefix(">").strip() for line in found[0].splitlines()
        )
        measured = (
            f"{minutes(run)} on {cores(run)}"
            if run
            else "not measured yet on CPU cores"
        )
        words = re.sub(r"(\*\*Time:\*\*) .*? CPU cores?", rf"\1 {measured}", words)
        if run:
            words = re.sub(r"(Last full run:) [\d-]+", rf"\1 {run['date']}", words)
        return textwrap.fill(
            words,
            116,
            initial_indent="> ",
            subsequent_indent="> ",
            break_on_hyphens=False,
        )

    return re.sub(r"^> \*\*Time:\*\*.*(?:\n>.*)*", box, text, flags=re.M)


def minutes(run):
    value = float(run["minutes"])
    text = f"{value:.0f}" if value >= 10 else f"{value:.1f}".removesuffix(".0")
    return f"{text} minute" + ("" if text == "1" else "s")


def cores(run):
    return "one CPU core" if run["cores"] == "1" else f"{run['cores']} CPU cores"


def with_header(text, source, place, runs, root):
    """The first cell: title, links, and the rest as it was."""
    title, _, rest = BLOCK.sub("", text).partition("\n")
    rest = re.sub(
        r"\A\*To open this on Colab:.*?\n\n", "", rest.lstrip("\n"), flags=re.S
    )
    lesson = source.parent.name != "solutions"
    shown = badges(source.relative_to(root).with_suffix(".ipynb").as_posix(), place)
    parts = [shown, links(source, place, root), NO_LIBRARY if lesson else ""]
    block = "\n\n".join(part for part in parts if part)
    return f"{title}\n\n{START}\n{block}\n{END}\n\n{with_time(rest, runs.get(source.stem) if lesson else None)}"


def with_end(cells, source, place, root, new_cell):
    """The last cell that is text of this tool's own: what comes next, where a reader who is through looks for it."""
    text = f"{START}\n{links(source, place, root)}\n{END}"
    if cells[-1].cell_type == "markdown" and cells[-1].source.startswith(START):
        cells[-1].source = text
    else:
        cells.append(new_cell(text))


def rewritten(notebook, source, place, runs, root):
    """One half of a pair with everything this tool writes; the other cells and all outputs as they were."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    parameters, setup, start = code[:3]
    tags = [cell.metadata.get("tags", []) for cell in (parameters, setup)]
    if (
        tags != [["parameters"], ["setup"]]
        or "session = lab.start_session(" not in start.source
    ):
        expected = "first cells of code are tagged parameters and setup, and the third starts the session"
        raise SystemExit(
            f"{source.name}: expected a notebook whose {expected}; got {tags}."
        )
    notebook.cells[0].source = with_header(
        notebook.cells[0].source, source, place, runs, root
    )
    address = f'repository_zip = "{place.zip_address}"'
    parameters.source = re.sub(
        r'^repository_zip = ".*?"', address, parameters.source, flags=re.M
    )
    setup.source = SETUP
    start.source = IMPORTS + start.source.removeprefix(IMPORTS)
    with_end(notebook.cells, source, place, root, nbformat.v4.new_markdown_cell)
    notebook.metadata.pop("accelerator", None)
    if trains(notebook):
        notebook.metadata["accelerator"] = "GPU"
    return notebook


def trains(notebook):
    """Whether a GPU is worth asking for: a notebook that trains live declares how many steps."""
    return any(
        re.search(r"^num_steps = ", cell.source, re.M)
        for cell in notebook.cells
        if cell.cell_type == "code"
    )


def render_halves(source, place, runs, root=ROOT):
    """Path -> text for both halves of one notebook; only the .py half where the other is not made yet."""
    text, executed, made = (
        source.read_text(encoding="utf-8"),
        source.with_suffix(".ipynb"),
        {},
    )
    if executed.exists():
        notebook = rewritten(
            nbformat.read(executed, as_version=4), source, place, runs, root
        )
        name_cells(notebook)
        made[executed] = nbformat.writes(notebook) + "\n"
    config = load_jupytext_config(str(source))
    notebook = rewritten(jupytext.reads(text, "py:percent"), source, place, runs, root)
    body = jupytext.writes(notebook, "py:percent", config=config).partition("\n# %%")[2]
    # The front matter stays as it was written: jupytext would add settings that stand in pyproject.toml.
    front = re.sub(
        r"^#   accelerator: .*\n", "", text.partition("\n# %%")[0] + "\n", flags=re.M
    )
    if trains(notebook):
        front = front.replace("# jupyter:\n", "# jupyter:\n#   accelerator: GPU\n", 1)
    made[source] = f"{front}# %%{body}"
    return made


def render_pages(place, root=ROOT):
    """The README with its line on Colab and Kaggle, and the page that tells the whole."""
    sources = find_notebooks(root / "notebooks")
    more = "(docs/platforms.md#on-colab-or-kaggle)"
    if place.repository:
        rows = []
        for source in sources:
            shown = badges(f"notebooks/{source.stem}.ipynb", place).replace("\n", " | ")
            rows.append(f"| {title_of(source)} | {shown} |")
        line = f"{badges(f'notebooks/{sources[0].stem}.ipynb', place)} and [all others]{more}."
        text = (
            "Every notebook opens with one click; its first cell fetches the library. Nothing that is preinstalled "
            "there is replaced. On Kaggle, switch Internet on or attach the data set of the library.\n\n"
            "| notebook | Colab | Kaggle |\n|---|---|---|\n" + "\n".join(rows)
        )
    else:
        line = f"upload a notebook ([how]{more})."
        text = textwrap.fill(
            "Upload a notebook. On Colab, drag the zip of this project into the Files pane and set "
            "`repository_zip` in the first cell to `/content/<its name>`; on Kaggle, attach the project as a data set. "
            "Then press Run all. Nothing that is preinstalled there is replaced. "
            "The project has no public address yet: `make badges REPO=owner/name` writes badges that open each notebook.",
            120,
            break_on_hyphens=False,
        )
    made = {}
    told = {"README.md": f"**On Colab or Kaggle:** {line}", "docs/platforms.md": text}
    for name, words in told.items():
        page = (root / name).read_text(encoding="utf-8")
        block = f"{START}\n{words}\n{END}\n\n"
        made[root / name] = BLOCK.sub(lambda _, block=block: block, page, count=1)
    return made


def render_kernels(place, root=ROOT):
    """One kernel-metadata.json a notebook, in a folder of its own, as `kaggle kernels push -p` wants it."""
    made, owner = {}, place.kaggle or NOBODY
    for source in find_notebooks(root / "notebooks"):
        sources = [f"{owner}/cvae-music-library"] + [
            FMA_ON_KAGGLE
        ] * source.stem.startswith("10")
        title = f"cvae music {title_of(source)}"
        metadata = {
            "id": f"{owner}/{title.replace(' ', '-')}",
            "title": title,
            "code_file": f"../../{source.stem}.ipynb",
            "language": "python",
            "kernel_type": "notebook",
            "is_private": True,
            "enable_gpu": trains(jupytext.read(source)),
            "enable_internet": False,  # the attached data set brings the library
            "dataset_sources": sources,
            "competition_sources": [],
            "kernel_sources": [],
            "model_sources": [],
        }
        path = root / "notebooks" / "kaggle" / source.stem / "kernel-metadata.json"
        made[path] = json.dumps(metadata, indent=2) + "\n"
    return made


def render(root=ROOT):
    """Path -> text of every file that this tool writes."""
    place, runs = read_place(root), read_runs(root / PUBLISHED_RUNS.relative_to(ROOT))
    made = {**render_pages(place, root), **render_kernels(place, root)}
    for source in find_notebooks(root / "notebooks") + find_notebooks(
        root / "notebooks" / "solutions"
    ):
        made |= render_halves(source, place, runs, root)
    return made


def make_library(folder, root=ROOT):
    """What `kaggle datasets create -p` takes: the library's folder as a zip, which Kaggle unpacks, and its metadata."""
    folder.mkdir(parents=True, exist_ok=True)
    command = [
        "git",
        "archive",
        "--format=zip",
        "--prefix=cvae-music/",
        "HEAD",
        "lib",
        "LICENSE",
        "README.md",
    ]
    done = subprocess.run(command, cwd=root, capture_output=True)
    if done.returncode:
        raise SystemExit(
            f"The library is packed by git, in a clone: {done.stderr.decode().strip()}"
        )
    (folder / "cvae-music.zip").write_bytes(done.stdout)
    owner = read_place(root).kaggle or NOBODY
    metadata = {
        "title": "cvae music library",
        "id": f"{owner}/cvae-music-library",
        "licenses": [{"name": "other"}],
    }
    (folder / "dataset-metadata.json").write_text(json.dumps(metadata, indent=2) + "\n")
    return folder


def main(arguments=None):
    # Names of folders and music may hold signs that a console cannot show.
    sys.stdout.reconfigure(errors="backslashreplace")
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--repository", default="", help="owner/name of the public repository"
    )
    parser.add_argument(
        "--kaggle", default="", help="owner of the Kaggle data set and notebooks"
    )
    parser.add_argument(
        "--library",
        type=Path,
        help="write the Kaggle data set of the library to this folder, no more",
    )
    options = parser.parse_args(arguments)
    if options.library:
        print(
            f"Wrote {make_library(options.library)}: kaggle datasets create -p {options.library}"
        )
        return
    set_place(options.repository, options.kaggle)
    changed = {
        p: text
        for p, text in render().items()
        if not p.exists() or p.read_text(encoding="utf-8") != text
    }
    names = " ".join(path.relative_to(ROOT).as_posix() for path in changed)
    for (
        path,
        text,
    ) in (
        changed.items()
    ):  # the .py half last: jupytext takes the younger half for the edited one
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    print(f"Wrote {names}" if changed else "Nothing to write: all files agree.")


if __name__ == "__main__":
    main()
