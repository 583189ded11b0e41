"""Writes the tables of lib/cvae_lab/results into the README and the cards of the weights; `--check` only compares."""

import sys
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "lib" / "cvae_lab" / "results"
BY = "made by tools/readme_scoreboard.py -->"
KINDS = {
    "autoencoder": "Autoencoder",
    "vae": "VAE",
    "deaf": "ConcatCVAE, which ignores its label",
    "cvae": "ConditionalVAE",
    "cvaegan": "ConditionalVAEGAN",
}
# What no model was trained with comes first, and the latents that do not know the genre
# come before those that do; sharpness, which models are trained with, comes last.
COLUMNS = {
    "in sound: fresh-draw obedience": "sound_fresh",
    "in sound: swap obedience": "sound_swap",
    "in sound: class-conditional samples": "sound_class_conditional",
    "in sound: real clips": "sound_real",
    "fresh-draw obedience": "{judge}_fresh",
    "swap obedience": "{judge}_swap",
    "class-conditional samples": "{judge}_class_conditional",
    "judges on reconstructions": "{judge}_rebuilt",
    "judges on real clips": "{judge}_real",
    "chance": "chance",
    "reconstruction, dB RMS": "reconstruction_rms_db",
    "diversity (log-mel)": "diversity_log_mel",
    "diversity (judges' embedding)": "{judge}_diversity",
    "Fréchet distance": "cnn_frechet",
    "kernel distance": "cnn_kernel",
    "active units": "active_units",
    "sharpness of samples": "sharpness_sampled",
}
COMPARED = {
    "fresh-draw obedience": "{judge}_fresh",
    "swap obedience": "{judge}_swap",
    "class-conditional samples": "{judge}_class_conditional",
    "chance": "chance",
    "classification accuracy score": "cas",
    "reconstruction, dB RMS": "reconstruction_rms_db",
    "k-means NMI of the latents": "kmeans_nmi",
    "k-means ARI": "kmeans_ari",
    "accuracy of 15 neighbours": "knn_accuracy",
    "genre read off z by a probe": "genre_probe_accuracy",
    "diversity (judges' embedding)": "{judge}_diversity",
    "Fréchet distance": "cnn_frechet",
    "kernel distance": "cnn_kernel",
    "training, s": "seconds",
    "numbers fitted, millions": "parameters",
}
UNMOVED = (
    "active units",
    "judges on real clips",
    "judges on reconstructions",
    "diversity (log-mel)",
    "chance",
)
GONE_ON = {title: column for title, column in COLUMNS.items() if title not in UNMOVED}
TAGGED = {
    "fresh-draw obedience": "fresh",
    "swap obedience": "swap",
    "class-conditional samples": "class_conditional",
    "reconstructions": "rebuilt",
    "real clips": "real",
}
WHOLE = ("active_units", "seconds", "num_steps")
MILLIONS = ("parameters",)
JUDGES = ("cnn", "descriptors")


def cell(rows, column):
    """Returns the mean over seeds, with the spread where there are several.

    A column with `{judge}` gives both judges. Seeds without a number are left out and
    counted: `1.00 (1 of 3)`.
    """
    names = [column]
    if "{" in column:
        names = [column.format(judge=judge) for judge in JUDGES]
    parts = []
    for name in names:
        if name not in rows or rows[name].isna().all():
            return "–"
        values = rows[name].dropna()
        if name in MILLIONS:
            values = values / 1e6
        digits = 0 if name in WHOLE else 2
        text = f"{values.mean():.{digits}f}"
        if len(values) > 1 and name not in MILLIONS:
            text += f" ± {values.std():.{digits}f}"
        parts.append(text)
    counted = f" ({len(values)} of {len(rows)})" if len(values) < len(rows) else ""
    return " / ".join(parts) + counted


def draw(table, column, titles, measures):
    """Draws one table in Markdown: models as columns, measures as rows."""
    models = [model for model in titles if model in set(table[column])]
    counts = table[column].value_counts()
    names = []
    for model in models:
        seeds = "" if titles[model] == "PCA" else f", {counts[model]} seed(s)"
        names.append(titles[model] + seeds)
    lines = ["| | " + " | ".join(names) + " |", "|---" * (len(models) + 1) + "|"]
    for title, measure in measures.items():
        cells = [cell(table[table[column] == model], measure) for model in models]
        if set(cells) != {"–"}:
            lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def earlier(table, before_shift=False):
    """Says how many rows were measured before fresh draws; empty where none was."""
    prefix = "cnn_" if "cnn_fresh" in table else ""
    asked = table[table[f"{prefix}class_conditional"].notna()]
    count = int(asked[f"{prefix}fresh"].isna().sum())
    if not count:
        return ""
    shift = " and before the class-mean shift (notebook 04)" if before_shift else ""
    return (
        f"\n\nNot measured again yet: {count} of the {len(asked)} rows with a label. They "
        "lack fresh draws, and their other scores are by the rules before those of the "
        f"[changelog](CHANGELOG.md){shift}."
    )


def render_taggers():
    """Draws what two networks from outside hear in models of real music."""
    table = pd.read_csv(RESULTS / "obedience_taggers.csv")
    phases = {
        "first": "ConditionalVAE",
        "second": "ConditionalVAEGAN",
    }
    plain = table[table["without"].isna()]
    shifted = table[table["without"] == "shift"]
    columns = {}
    for name, title in phases.items():
        columns[title] = plain[plain["model"].str.startswith(name)]
        moved = shifted[shifted["model"].str.startswith(name)]
        columns[f"{title}, no class-mean shift"] = moved
    lines = ["| | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for title, column in TAGGED.items():
        cells = []
        for rows in columns.values():
            means = [
                cell(rows[rows["tagger"] == tagger], column)
                for tagger in ("MTT", "MSD")
            ]
            cells.append("–" if "–" in means else " / ".join(means))
        if set(cells) != {"–"}:
            lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return (
        (
            "**Real music (a folder of four styles)**, heard by two networks from outside "
            "(notebook 09), MTT / MSD, 3 seeds\n\n"
        )
        + "\n".join(lines)
        + earlier(table)
    )


def raw_line(table):
    """What raw features reach, in one sentence."""
    raw = table[table["name"] == "raw features"].iloc[0]
    names = ("log-mel statistics", "MFCC statistics")
    parts = [
        f"{name} {raw[f'{name}: kmeans_nmi']:.2f} and {raw[f'{name}: kmeans_ari']:.2f}"
        for name in names
    ]
    return (
        f"Raw features for comparison, k-means NMI and ARI: {', '.join(parts)}. The classification accuracy score of "
        f"as many real clips is {raw['cas']:.2f}."
    )


def titled(path, prefix):
    name = path.stem.removeprefix(prefix)
    names = {
        "known": "Known-factor music (six genres)",
        "real": "Real music (a folder of four styles)",
        "real_music": "Real music (four styles, FMA layout)",
    }
    return names.get(name, f"Real music ({name})")


WAYS = {
    "as it was": "as it was",
    "detail": "unsharp mask",
    "discriminator": "discriminator",
    "discriminator and detail": "discriminator and unsharp mask",
}


def render_scores():
    """One table for each file of results, what was heard from outside before the rest."""
    parts = []
    for path in sorted(RESULTS.glob("foundation_*.csv")):
        table = pd.read_csv(path)
        text = draw(table, "kind", KINDS, COLUMNS)
        text += earlier(table, before_shift=path.stem != "foundation_known")
        parts.append(f"**{titled(path, 'foundation_')}**, test split\n\n{text}")
    parts.insert(1, render_taggers())
    for path in sorted(RESULTS.glob("discriminator_*.csv")):
        table = pd.read_csv(path)
        table = table[table["name"].isin(WAYS)]
        text = draw(table, "name", WAYS, GONE_ON) + earlier(table)
        title = f"**{titled(path, 'discriminator_')}**, the second phase (notebook 09)"
        parts.append(f"{title}\n\n{text}")
    for path in sorted(RESULTS.glob("comparison_*.csv")):
        table = pd.read_csv(path)
        names = [name for name in table["name"].unique() if name != "raw features"]
        text = draw(table, "name", dict(zip(names, names, strict=True)), COMPARED)
        title = (
            f"**{titled(path, 'comparison_')}**, small models of equal budget "
            "(notebook 07)"
        )
        note = earlier(table, before_shift=path.stem == "comparison_real")
        parts.append(f"{title}\n\n{text}\n\n{raw_line(table)}{note}")
    return "\n\n".join(parts)


def render_sound():
    """How close and how fast each way from log-mel to sound is: known-factor music / real music."""
    whole = pd.read_csv(RESULTS / "inversion_whole.csv").set_index(["method", "music"])
    heard = pd.read_csv(RESULTS / "inversion_tagger.csv").set_index(["sound", "music"])
    names = {
        "mel_to_linear and librosa griffinlim": "librosa's Griffin-Lim, 32 rounds",
        "fast_griffin_lim": "fast Griffin-Lim, 32 rounds",
        "pghi_bands": "PGHI, 8 rounds, 6 that hold the bands",
        "learned_bands": "the same with the vocoder (default)",
    }
    others = {
        "more of the same music": "another eight beats of the same piece",
        "mp3": "the original as MP3",
    }
    measures = {
        "log-mel error (dB)": 2,
        "distance from the true magnitudes": 3,
        "spectrum error (dB)": 2,
    }
    titles = [*measures, "tagger's distance", "times real time"]
    lines = ["| | " + " | ".join(titles) + " |", "|---" * (len(titles) + 1) + "|"]

    def both(table, name, column, digits):
        return " / ".join(
            f"{table.loc[(name, music), column]:.{digits}f}"
            for music in ("known", "real")
        )

    for name, title in {**names, **others}.items():
        cells = [
            both(whole, name, measure, digits) if name in names else ""
            for measure, digits in measures.items()
        ]
        cells.append(both(heard, name, "paired", 2))
        cells.append(
            both(1.0 / whole[["seconds"]], name, "seconds", 0) if name in names else ""
        )
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def render_studio():
    """Median milliseconds from a control's change to what it makes."""
    table = pd.read_csv(RESULTS / "studio_timings.csv")
    lines = ["| changed | sound | ready after (ms) | bar (ms) |", "|---|---|---|---|"]
    lines += [
        f"| {row.what} | {row.sound} | {row.wall_ms:,.0f} | {row.goal_ms:,.0f} |"
        for row in table.itertuples()
    ]
    return "\n".join(lines)


SPEED = {
    "extraction": "60 mp3 files of 30 s, two processes",
    "beats": "Beats, beside those of librosa and those that were composed",
    "scaling": "1, 4 and 16 times the clips",
    "pipeline": "Waiting for batches in a training",
    "sound": "From a latent to eight beats of sound, one thread",
    "start": "From the start of a process",
    "step": "A training step of the shipped model, 32 clips",
}


def short(value):
    """Three digits of a number, or the whole of a larger one."""
    if not isinstance(value, float):
        return str(value)
    return (
        "–"
        if value != value
        else f"{value:.0f}"
        if abs(value) >= 100
        else f"{value:.3g}"
    )


def render_speed():
    """Each table of the benchmark of speed as it is."""
    parts = []
    for name, title in SPEED.items():
        if (path := RESULTS / f"speed_{name}.csv").exists():
            table = pd.read_csv(path)
            lines = [
                table.columns,
                ["---"] * len(table.columns),
                *table.itertuples(index=False),
            ]
            text = "\n".join(f"| {' | '.join(map(short, line))} |" for line in lines)
            parts.append(f"**{title}**\n\n{text}")
    return "\n\n".join(parts)


def render_environments():
    return draw_environments(
        pd.read_csv(RESULTS / "environments.csv", dtype=str).fillna("")
    )


def draw_environments(table):
    """Versions in each environment, then minutes in smoke mode and, in brackets, of a whole run."""
    names = list(dict.fromkeys(table["environment"]))
    if not names:
        return "Not run yet."
    told = (
        "python",
        "tensorflow",
        "keras",
        "numpy",
        "librosa",
        "ipython",
        "ipywidgets",
    )
    lines = [["", *names], ["---"] * (len(names) + 1)]
    for column in told:
        lines.append(
            [
                column,
                *(
                    " / ".join(dict.fromkeys(table[table["environment"] == n][column]))
                    for n in names
                ),
            ]
        )
    for what in sorted(
        table["what"], key=lambda what: (what == "tests", what.partition("/")[2], what)
    ):
        lines.append(
            [what.replace("_", " "), *(outcome(table, name, what) for name in names)]
        )
    return "\n".join(
        f"| {' | '.join(line)} |" for line in dict.fromkeys(map(tuple, lines))
    )


def outcome(table, environment, what):
    """Minutes of a notebook or of the tests; what was not run stays a dash, what failed says so."""
    rows = table[
        (table["environment"] == environment) & (table["what"] == what)
    ].set_index("mode")
    shown = []
    for mode, form in {"smoke": "{}", "full": "({})", "tests": "{}"}.items():
        if mode in rows.index:
            row = rows.loc[mode]
            text = (
                f"{float(row['minutes']):.1f}"
                if row["outcome"] == "passed"
                else row["outcome"]
            )
            shown.append(
                form.format(
                    f"{row['outcome']}, {float(row['minutes']):.1f}"
                    if mode == "tests"
                    else text
                )
            )
    return " ".join(shown) or "–"


def render_cards(kinds):
    """Scores of weights that ship, those of seed 0, a line each."""
    table = pd.read_csv(RESULTS / "foundation_known.csv")
    shipped = table[table["seed"] == 0].set_index("kind")
    lines = ["| file | " + " | ".join(CARD) + " |", "|---" * (len(CARD) + 1) + "|"]
    for kind in kinds:
        cells = [cell(shipped.loc[[kind]], column) for column in CARD.values()]
        lines.append(f"| `known_{kind}.npz` | " + " | ".join(cells) + " |")
    return "\n".join(lines)


SHORT = (
    "in sound: fresh-draw obedience",
    "fresh-draw obedience",
    "swap obedience",
    "class-conditional samples",
    "reconstruction, dB RMS",
    "diversity (judges' embedding)",
    "sharpness of samples",
)
CARD = {"steps": "num_steps", **{title: COLUMNS[title] for title in SHORT}}
SHIPPED = ("autoencoder", "vae", "cvae", "cvaegan")
README, MODELS, LAB = (
    ROOT / "README.md",
    ROOT / "lib/cvae_music/weights/README.md",
    ROOT / "lib/cvae_lab/weights/README.md",
)
PARTS = {
    "scoreboard": (README, render_scores),
    "sound": (README, render_sound),
    "studio": (README, render_studio),
    "speed": (README, render_speed),
    "environments": (README, render_environments),
    "shipped models": (MODELS, lambda: render_cards(SHIPPED)),
    "deaf model": (LAB, lambda: render_cards(["deaf"])),
}


def main():
    written = {path: path.read_text(encoding="utf-8") for path, _ in PARTS.values()}
    made = dict(written)
    for name, (path, render) in PARTS.items():
        start, end = f"<!-- {name}: {BY}", f"<!-- end of {name} -->"
        before, rest = made[path].split(start)
        made[path] = f"{before}{start}\n{render()}\n{end}{rest.split(end)[1]}"
    behind = [
        path.relative_to(ROOT).as_posix()
        for path in made
        if made[path] != written[path]
    ]
    if "--check" in sys.argv:
        sys.exit(
            f"Out of step: {', '.join(behind)}. Run: python tools/readme_scoreboard.py"
            if behind
            else 0
        )
    for path, text in made.items():
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
