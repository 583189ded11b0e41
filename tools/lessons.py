"""Checks what the notebooks say in numbers: each number of a lesson stands in an output of its section.

    python tools/lessons.py [NOTEBOOK.ipynb ...]

A lesson is a markdown cell tagged `lesson`. Its numbers must be found, rounded as they are written, in the text
outputs of its section, which begins at a heading of the second level. The last section, *The answer*, may use those
of the whole notebook. Numbers in code, in links and after words such as "notebook" or "section" are names.

The same holds for a remark, prose without the tag that follows an output and leads to no further code. Prose that
leads to code may name what the code does not print, such as a constant.
"""

import html
import re
import sys
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[1]
NUMBER = re.compile(r"(?<![\w.,])[-−+]?\d+(?:,\d{3})*(?:\.\d+)?(?:e[-+]?\d+)?(?!\w)")
NAMES = (
    r"```.*?```",
    r"`[^`]*`",
    r"\]\([^)]*\)",
    r"\b(?:notebooks?|sections?|exercises?|question|step|figure|equation|chapter|part|row|seed)\s+\d+(?:(?:,| and| to)\s+\d+)*",
    r"\b(?:19|20)\d\d\b",  # years
    r"arXiv:\S+",
)


def numbers_of(text):
    """List of `(as written, value, decimals, is a percentage)` of a lesson."""
    for name in NAMES:
        text = re.sub(name, " ", text, flags=re.S | re.I)
    found = []
    for match in NUMBER.finditer(text):
        written = match[0].replace(",", "").replace("−", "-")
        decimals = len(written.partition(".")[2])
        is_percentage = re.match(r"\s*(?:%|per cent)", text[match.end() :]) is not None
        found.append((match[0], float(written), decimals, is_percentage))
    return found


def text_of(output):
    """What a reader reads of an output: streams, plain text, tables and Markdown, without pictures and players."""
    parts = [output.get("text", "")]
    data = output.get("data", {})
    for kind in ("text/plain", "text/markdown", "text/html"):
        text = "".join(data.get(kind, ""))
        text = re.sub(r"<script>.*?</script>", "", text, flags=re.S)
        if "base64," in text:
            text = re.sub(r"base64,[\w+/=]+", "", text)
        parts.append(html.unescape(re.sub(r"<[^>]*>", " ", text)))
    return "\n".join(parts)


def values_of(text):
    """The numbers that an output shows."""
    values = []
    for match in re.finditer(r"[-−+]?\d+(?:,\d{3})*(?:\.\d+)?(?:e[-+]?\d+)?", text):
        values.append(float(match[0].replace(",", "").replace("−", "-")))
    return values


def is_shown(value, decimals, is_percentage, values):
    """Whether a number is one of the values, rounded as it is written; signs are words in prose."""
    tolerance = 0.5 * 10.0**-decimals * 1.001
    scales = (1.0, 100.0) if is_percentage else (1.0,)
    return any(
        abs(abs(value) - abs(shown) * scale) <= tolerance
        for shown in values
        for scale in scales
    )


def sections_of(notebook):
    """List of lists of cells, cut at headings of the second level."""
    sections = [[]]
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and re.search(r"^## ", cell.source, re.M):
            sections.append([])
        sections[-1].append(cell)
    return sections


def is_lesson(cell):
    return "lesson" in cell.metadata.get("tags", [])


def remarks_of(cells):
    """Markdown cells of a section that say what the output before them shows."""
    found = []
    followers = [*cells[2:], None]
    for before, cell, after in zip(cells, cells[1:], followers, strict=False):
        leads_on = after is not None and after.cell_type == "code"
        is_links = cell.source.startswith("<!-- links")  # by tools/badges.py
        if before.get("outputs") and cell.cell_type == "markdown":
            if not (leads_on or is_links or is_lesson(cell)):
                found.append(cell)
    return found


def problems_of(notebook):
    """Sentences that name the cell, the number and the nearest number that its section shows."""
    everything = [
        output for cell in notebook.cells for output in cell.get("outputs", [])
    ]
    place = {id(cell): number for number, cell in enumerate(notebook.cells)}
    problems = []
    for cells in sections_of(notebook):
        checked = [*filter(is_lesson, cells), *remarks_of(cells)]
        if not checked:
            continue
        outputs = [output for cell in cells for output in cell.get("outputs", [])]
        if re.search(r"^## .*The answer", cells[0].source, re.M):
            outputs = everything
        values = values_of("\n".join(map(text_of, outputs)))
        for cell in checked:
            for written, value, decimals, is_percentage in numbers_of(cell.source):
                if not is_shown(value, decimals, is_percentage, values):
                    nearest = min(
                        values,
                        key=lambda shown: abs(abs(shown) - abs(value)),
                        default=None,
                    )
                    problems.append(
                        f"cell {place[id(cell)]}: {written} is in no output of its section; "
                        f"the nearest number there is {nearest}: {cell.source[:70]!r}"
                    )
    return problems


def main(paths=()):
    # Names of folders and music may hold signs that a console cannot show.
    sys.stdout.reconfigure(errors="backslashreplace")
    paths = [Path(path) for path in paths] or sorted(
        (ROOT / "notebooks").glob("**/[0-9][0-9]_*.ipynb")
    )
    failed = False
    for path in paths:
        for problem in problems_of(nbformat.read(path, as_version=4)):
            failed = True
            print(f"{path.name}, {problem}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
