"""Counts tokens and lines of the library, without docstrings and comments.

A bound on lines can be met by writing denser, one on tokens cannot. Lines are those that
`ruff format` leaves at 88 columns. The commas that it puts at the end of a line, before a
closing bracket, are layout and do not count. Annotations document, as docstrings do: they
are counted beside the code.
"""

import argparse
import ast
import io
import tokenize
from pathlib import Path

LIB = Path(__file__).resolve().parents[1] / "lib"
LAYOUT = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}
# Networks, losses, schedules, models, density, training: what a model of notebooks 02 to
# 05 runs through. Its base class, callbacks and faster variants count too: moving code
# from one of these files to another saves nothing.
MODEL_PATH = (
    "cvae_music/models/networks.py",
    "cvae_music/models/losses.py",
    "cvae_music/models/schedules.py",
    "cvae_music/models/base.py",
    "cvae_music/models/autoencoders.py",
    "cvae_music/models/conditional.py",
    "cvae_music/models/latent_density.py",
    "cvae_music/training.py",
    "cvae_music/callbacks.py",
    "cvae_music/acceleration.py",
)
PARTS = {
    "cvae_music": ("cvae_music/**/*.py",),
    "model path": MODEL_PATH,
    "cvae_lab": ("cvae_lab/**/*.py",),
    "known_music": ("known_music/**/*.py",),
    "lib": ("**/*.py",),
}


def docstring_lines(tree):
    """Numbers of the lines that docstrings stand on, a set."""
    found = set()
    for node in ast.walk(tree):
        documented = isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
        if documented and ast.get_docstring(node) is not None:
            text = node.body[0]
            found |= set(range(text.lineno, text.end_lineno + 1))
    return found


def annotation_spans(tree):
    """`(start, end)` of each annotation, both `(line, column)`."""
    for node in ast.walk(tree):
        for name in ("annotation", "returns"):
            found = getattr(node, name, None)
            if found is not None:
                start = found.lineno, found.col_offset
                yield start, (found.end_lineno, found.end_col_offset)


def count(path):
    """`(tokens, tokens of annotations, lines)` of the code of one file."""
    text = path.read_text(encoding="utf-8")
    tree = ast.parse(text)
    hidden = docstring_lines(tree)
    spans = list(annotation_spans(tree))
    tokens = [
        token
        for token in tokenize.generate_tokens(io.StringIO(text).readline)
        if token.type not in LAYOUT and token.start[0] not in hidden
    ]
    lines = {
        line for token in tokens for line in range(token.start[0], token.end[0] + 1)
    }
    pairs = zip(tokens, tokens[1:], strict=False)
    num_commas = sum(is_trailing_comma(*pair) for pair in pairs)
    num_annotated = len(spans)  # the colon or arrow before each
    for start, end in spans:
        num_annotated += sum(start <= token.start < end for token in tokens)
    return len(tokens) - num_commas - num_annotated, num_annotated, len(lines)


def is_trailing_comma(token, following):
    """Whether a token is the comma of the formatter between a line and a bracket."""
    is_last = token.string == "," and following.string in tuple(")]}")
    return is_last and following.start[0] > token.start[0]


def count_part(part, lib=LIB):
    """`(tokens, tokens of annotations, lines)` of a part named in `PARTS`."""
    paths = {path for pattern in PARTS[part] for path in lib.glob(pattern)}
    counts = [count(path) for path in paths]
    return tuple(sum(column) for column in zip(*counts, strict=True))


def main(arguments=None):
    """Prints a line a part; with `--files` a line a file too."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--files", action="store_true", help="a line a file too")
    parser.add_argument("--lib", type=Path, default=LIB, help="another lib folder")
    options = parser.parse_args(arguments)
    if options.files:
        for path in sorted(options.lib.rglob("*.py")):
            tokens, types, lines = count(path)
            name = path.relative_to(options.lib).as_posix()
            print(f"{tokens:7,} tokens + {types:5,} {lines:6,} lines  {name}")
    for part in PARTS:
        tokens, types, lines = count_part(part, options.lib)
        counts = f"{tokens:7,} tokens, {types:5,} of annotations, {lines:6,} lines"
        print(f"{part:12} {counts}, {tokens / lines:.1f} tokens a line")


if __name__ == "__main__":
    main()
