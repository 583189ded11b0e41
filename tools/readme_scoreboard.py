"""Writes the scoreboards of data/results into README.md, between its two markers; `--check` only compares."""

import sys
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
START, END = "<!-- scoreboard: made by tools/readme_scoreboard.py -->", "<!-- end of scoreboard -->"
KINDS = {"autoencoder": "Autoencoder", "vae": "VAE", "cvae": "ConditionalVAE"}
COLUMNS = {
    "active units": "active_units",
    "reconstruction, dB RMS": "reconstruction_rms_db",
    "sharpness of prior samples": "sharpness_prior",
    "judges on real clips": "{judge}_real",
    "judges on reconstructions": "{judge}_rebuilt",
    "prior obedience": "{judge}_prior",
    "swap obedience": "{judge}_swap",
    "diversity (judges' embedding)": "{judge}_diversity",
    "diversity (log-mel)": "diversity_log_mel",
    "chance": "chance",
}
JUDGES = ("cnn", "descriptors")


def cell(rows, column):
    """Mean over the seeds, with the spread where there are several; both judges where the column has two."""
    names = [column.format(judge=judge) for judge in JUDGES] if "{" in column else [column]
    parts = []
    for name in names:
        if name not in rows or rows[name].isna().all():
            return "–"
        digits = 0 if name == "active_units" else 2
        spread = f" ± {rows[name].std():.{digits}f}" if len(rows) > 1 else ""
        parts.append(f"{rows[name].mean():.{digits}f}{spread}")
    return " / ".join(parts)


def scoreboard(path):
    """One table in Markdown: models as columns, measures as rows."""
    table = pd.read_csv(path)
    kinds = [kind for kind in KINDS if kind in set(table["kind"])]
    titles = [f"{KINDS[kind]}, {(table['kind'] == kind).sum()} seed(s)" for kind in kinds]
    lines = ["| | " + " | ".join(titles) + " |", "|---" * (len(kinds) + 1) + "|"]
    for title, column in COLUMNS.items():
        cells = [cell(table[table["kind"] == kind], column) for kind in kinds]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def render():
    """The text between the markers: one table for each file of results."""
    parts = []
    for path in sorted((ROOT / "data" / "results").glob("foundation_*.csv")):
        name = path.stem.removeprefix("foundation_")
        title = "Known-factor music (six genres)" if name == "known" else f"Real music ({name})"
        parts.append(f"**{title}**, test split\n\n{scoreboard(path)}")
    return "\n\n".join(parts)


def main():
    readme = ROOT / "README.md"
    text = readme.read_text(encoding="utf-8")
    before, rest = text.split(START)
    after = rest.split(END)[1]
    made = f"{before}{START}\n{render()}\n{END}{after}"
    if "--check" in sys.argv:
        sys.exit(made != text and "README.md is out of step: run python tools/readme_scoreboard.py")
    readme.write_text(made, encoding="utf-8")


if __name__ == "__main__":
    main()
