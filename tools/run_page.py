"""The page that a run of the notebooks leaves: `index.html` with what it made, to hear, to see and to open.

No script, no other host: it works by a double click. `tools/run_notebooks.py` calls `write_page` at its end.
"""

import base64
import html
import io
import re
from pathlib import Path

import nbformat

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #777; --bad: #b3261e; }
body { font: 1rem/1.55 system-ui, sans-serif; max-width: 64rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
table { border-collapse: collapse; } td, th { text-align: left; padding: 0.35rem 0.8rem 0.35rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
.clips { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: 1rem; }
figure { margin: 0; } figcaption { font-size: 0.9rem; } audio { width: 100%; }
.clips img, .pictures img { width: 100%; } .pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)); gap: 1rem; }
.failed { color: var(--bad); font-weight: 600; } pre { overflow-x: auto; } .soft { color: var(--soft); }
"""
BOARD = "07_scoreboard.csv"  # of notebook 07
# Its columns in words: at most five beside the model's name.
COLUMNS = {
    "cnn_fresh": "fresh draws heard as the genre asked for",
    "cnn_swap": "swapped clips heard as the genre asked for",
    "reconstruction_rms_db": "error of a rebuilt clip (dB)",
    "sharpness_sampled": "sharpness of new clips (1 is right)",
    "cnn_diversity": "diversity of new clips (1 is right)",
}
NEXT = (
    ("make studio", "play a model as an instrument"),
    ("make lab", "go through the notebooks and change things"),
    (
        "make run DATA=~/music",
        "the same with your own music, one folder for each genre",
    ),
)


def short_board(path):
    """The scoreboard of a run with words for headings: model and five measures; None where there is none."""
    if not path.is_file():
        return None
    import pandas  # only here: reading the command line stays quick

    board = pandas.read_csv(path)
    model = board.columns[0]  # the index, which has no name
    kept = {name: words for name, words in COLUMNS.items() if name in board}
    return board[[model, *kept]].rename(columns={model: "model", **kept})


def next_steps(data):
    """Commands to go on with, each with what it does.

    Args:
        data: Path of the music of a run; `"known"` or nothing for the embedded music.
    """
    if data in ("", "known"):
        return NEXT
    own = f"make studio DATA={data}"
    return ((own, "play the model that learned your music"), *NEXT[1:2])


def spectrogram(path):
    """A small picture of a sound file as a data address."""
    import matplotlib

    matplotlib.use("Agg")
    import soundfile
    from matplotlib.figure import Figure

    samples, rate = soundfile.read(path, always_2d=True)
    figure = Figure(figsize=(3.2, 1.2), dpi=100)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.specgram(
        samples.mean(axis=1) + 1e-6, NFFT=1024, Fs=rate, noverlap=512, vmin=-120
    )
    axes.set_ylim(0, 8000)
    axes.axis("off")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def clips_html(folder, output):
    """Players of the clips that the run wrote, each beside its spectrogram."""
    parts = []
    for path in sorted(folder.glob("*.wav")):
        name = re.sub(r"^\d\d_", "", path.stem).replace("_", " ")
        address = html.escape(path.relative_to(output).as_posix())
        parts.append(
            f'<figure><img src="{spectrogram(path)}" alt="Spectrogram of {html.escape(name)}">'
            f'<audio controls preload="none" src="{address}"></audio>'
            f"<figcaption>{html.escape(name)}</figcaption></figure>"
        )
    return "\n".join(parts)


def question_and_answer(notebook):
    """Title of a notebook and the text of its last section, without marks of Markdown."""
    prose = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    title = prose[0].splitlines()[0].lstrip("# ") if prose else ""
    answers = [text for text in prose if text.startswith("## The answer")]
    answer = answers[-1].partition("\n")[2].strip() if answers else ""
    return title, re.sub(r"[*`]|\[([^\]]*)\]\([^)]*\)", r"\1", answer)


def html_copy(path):
    """Writes an executed notebook as HTML beside it; returns its name, or that of the notebook where nbconvert lacks."""
    try:
        from nbconvert import HTMLExporter
    except ImportError:
        return path
    text, _ = HTMLExporter(embed_images=True).from_filename(str(path))
    target = path.with_suffix(".html")
    target.write_text(text, encoding="utf-8")
    return target


def row_html(result, output):
    """One notebook: question, answer, minutes, and the way to its executed copy."""
    executed = output / "notebooks" / f"{result.name}.ipynb"
    notebook = nbformat.read(executed, as_version=4)
    title, answer = question_and_answer(notebook)
    address = html_copy(executed).relative_to(output).as_posix()
    state = f"{result.seconds / 60:.1f} min"
    if result.error:
        state = '<span class="failed">stopped</span>'
        answer = result.error[:1500]
    said = f"<pre>{html.escape(answer)}</pre>" if result.error else html.escape(answer)
    return (
        f'<tr><td>{result.name[:2]}</td><td><a href="{html.escape(address)}">{html.escape(title or result.name)}</a>'
        f"<br>{said}</td><td>{state}</td></tr>"
    )


def write_page(output, results, name, steps=NEXT):
    """Writes `index.html`, with notebooks that failed first.

    Args:
        output: Folder of the run.
        results: List of `Result` of its notebooks.
        name: Name of the music.
        steps: What to do next, see `next_steps`.

    Returns:
        Path of the page.
    """
    output = Path(output)
    passed = sum(not result.error for result in results)
    minutes = sum(result.seconds for result in results) / 60
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        '<meta name=viewport content="width=device-width, initial-scale=1">',
        f"<title>Run on {html.escape(name)}</title><style>{STYLE}</style>",
        f"<h1>{passed} of {len(results)} notebooks ran through on {html.escape(name)}</h1>",
        f"<p class=soft>{minutes:.0f} minutes of notebooks. Sounds, pictures and numbers of this run.</p>",
    ]
    clips = clips_html(output / "clips", output)
    if clips:
        parts += ["<h2>Hear it</h2>", f"<div class=clips>{clips}</div>"]
    board = short_board(output / BOARD)
    if board is not None:
        table = board.to_html(
            index=False, border=0, float_format="{:.2f}".format, na_rep="–"
        )
        parts += [
            "<h2>What the models do</h2>",
            table,
            "<p class=soft>Judged by a network on held-out clips. A dash: the model cannot do it. Every column of the "
            f'table: <a href="{BOARD}">{BOARD}</a>.</p>',
        ]
    parts += ["<h2>The notebooks</h2><table>"]
    parts += [
        row_html(result, output)
        for result in sorted(results, key=lambda result: not result.error)
    ]
    parts += ["</table>"]
    pictures = sorted((output / "figures").glob("*.png"))
    if pictures:
        parts += [f"<h2>{len(pictures)} pictures</h2><div class=pictures>"]
        parts += [
            f'<figure><img loading=lazy src="figures/{html.escape(path.name)}" alt=""><figcaption>'
            f"{html.escape(path.stem)}</figcaption></figure>"
            for path in pictures
        ]
        parts += ["</div>"]
    rows = "".join(
        f"<tr><td><code>{html.escape(command)}</code></td><td>{words}</td></tr>"
        for command, words in steps
    )
    parts += [f"<h2>Next</h2><table>{rows}</table></html>"]
    page = output / "index.html"
    page.write_text("\n".join(parts), encoding="utf-8")
    return page
