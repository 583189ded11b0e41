"""Writes the tables of `lib/cvae_lab/results` into the README, docs/ and the cards of the weights.

    python tools/result_tables.py [--check]

`--check` writes nothing and fails where a page is out of step. A table stands between two comments that name it; what is
around them is written by hand. One measure has one name and one model has one name, in all tables.
"""

import csv
import fnmatch
import json
import re
import sys
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "lib" / "cvae_lab" / "results"
NOTEBOOKS = ROOT / "notebooks"
NOTHING = "–"

# Column of a table of results -> the name of its row. `{judge}` stands for both judges of log-mel clips.
MEASURES = {
    "sound_fresh": "fresh-draw obedience, in sound",
    "sound_swap": "swap obedience, in sound",
    "sound_class_conditional": "class-conditional samples, in sound",
    "sound_real": "real clips, in sound",
    "{judge}_fresh": "fresh-draw obedience, log-mel judges",
    "{judge}_swap": "swap obedience, log-mel judges",
    "{judge}_class_conditional": "class-conditional samples, log-mel judges",
    "{judge}_rebuilt": "rebuilt clips, log-mel judges",
    "{judge}_real": "real clips, log-mel judges",
    "chance": "chance",
    "reconstruction_rms_db": "error of a rebuilt clip (dB)",
    "diversity_log_mel": "diversity, log-mel",
    "{judge}_diversity": "diversity, judges' embedding",
    "cnn_frechet": "Fréchet distance",
    "cnn_frechet_real": "Fréchet distance of real training clips",
    "cnn_kernel": "kernel distance",
    "cas": "classification accuracy score",
    "kmeans_nmi": "k-means of the latents, NMI",
    "kmeans_ari": "k-means of the latents, ARI",
    "knn_accuracy": "genre named by 15 neighbours in z",
    "genre_probe_accuracy": "genre read off z by a probe",
    "active_units": "active units",
    "sharpness_sampled": "sharpness of new clips",
    "num_steps": "steps of training",
    "seconds": "seconds of training, beside other work",
    "parameters": "weights, in millions",
    "num_test_clips": "test clips",
    "num_sampled_clips": "new clips",
}
TAGGED = {
    "fresh": "fresh-draw obedience, outside networks",
    "swap": "swap obedience, outside networks",
    "class_conditional": "class-conditional samples, outside networks",
    "rebuilt": "rebuilt clips, outside networks",
    "real": "real clips, outside networks",
}
# What no model was trained with comes first, and the latents that do not know the genre
# come before those that do; sharpness, which models are trained with, comes last.
OBEDIENCE = (
    "sound_fresh",
    "sound_swap",
    "sound_class_conditional",
    "sound_real",
    "{judge}_fresh",
    "{judge}_swap",
    "{judge}_class_conditional",
)
SAMPLES = ("{judge}_diversity", "cnn_frechet", "cnn_kernel")
SIZE = ("num_steps", "num_test_clips", "num_sampled_clips")
FULL = (
    *OBEDIENCE,
    *("{judge}_rebuilt", "{judge}_real", "chance"),
    *("reconstruction_rms_db", "diversity_log_mel"),
    *SAMPLES,
    *("active_units", *SIZE, "sharpness_sampled"),
)
SECOND = (
    *OBEDIENCE,
    *("chance", "reconstruction_rms_db"),
    *SAMPLES,
    *("cnn_frechet_real", *SIZE, "sharpness_sampled"),
)
SMALL = (
    *OBEDIENCE[4:],
    *("chance", "cas", "reconstruction_rms_db"),
    *("kmeans_nmi", "kmeans_ari", "knn_accuracy", "genre_probe_accuracy"),
    *SAMPLES,
    *(*SIZE, "seconds", "parameters"),
)
CARD = (
    *("num_steps", "sound_fresh", "{judge}_fresh", "{judge}_swap"),
    *("{judge}_class_conditional", "reconstruction_rms_db"),
    *("{judge}_diversity", "sharpness_sampled"),
)
WHOLE = ("active_units", "seconds", *SIZE)
MILLIONS = ("parameters",)
JUDGES = ("cnn", "descriptors")

# How a row is called in a table of results -> the name of its column here.
KINDS = {
    "autoencoder": "Autoencoder",
    "vae": "VAE",
    "deaf": "ConcatCVAE, deaf",
    "cvae": "ConditionalVAE",
    "cvaegan": "ConditionalVAEGAN",
}
WAYS = {
    "as it was": "ConditionalVAE",
    "detail": "with unsharp mask",
    "discriminator": "with discriminator",
    "discriminator and detail": "ConditionalVAEGAN",
}
EQUALS = {
    "PCA": "PCA",
    "AE": "small Autoencoder",
    "VAE": "small VAE",
    "CVAE": "small ConditionalVAE",
    "beta-CVAE": "small ConditionalVAE, KL weight 10",
}
MUSIC = {
    "known": "Composed music, six genres",
    "real": "Real music, four styles in folders",
    "real_music": "Real music, four styles in FMA's layout",
    "open_music": "Open music, four styles, split by artist: the presets `real_*`",
}


# Tables whose conditional models had the discrepancy and two classifiers.
WITH_DISCREPANCY = (
    "foundation_real_music",
    "comparison_real",
    "discriminator_known",
    "discriminator_real",
)
LEFT_TERM = (
    "The conditional models of this table had mechanisms that the library no longer "
    "has, the discrepancy and two classifiers ([changelog](../CHANGELOG.md))."
)


def read(name):
    """The rows of one table of results."""
    return pd.read_csv(RESULTS / f"{name}.csv")


def table(lines, gap=" "):
    """Markdown of a table whose first line is its head."""
    bar = f"{gap}|{gap}"
    head, *rows = [bar.join(["", *map(str, line), ""]).strip() for line in lines]
    return "\n".join([head, "|---" * len(lines[0]) + "|", *rows])


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
            return NOTHING
        values = rows[name].dropna()
        if name in MILLIONS:
            values = values / 1e6
        digits = 0 if name in WHOLE else 2
        text = f"{values.mean():.{digits}f}"
        is_same = name in MILLIONS or values.nunique() == 1 and name in WHOLE
        if len(values) > 1 and not is_same:
            text += f" ± {values.std():.{digits}f}"
        parts.append(text)
    counted = f" ({len(values)} of {len(rows)})" if len(values) < len(rows) else ""
    return " / ".join(parts) + counted


def is_before_kad(name):
    """Whether the card of the results names a table as one with the older kernel distance."""
    card = (RESULTS / "README.md").read_text(encoding="utf-8")
    listed = card.partition("At least these hold it:")[2].partition("until")[0]
    patterns = re.findall(r"`([^`]+)`", listed)
    return any(fnmatch.fnmatch(f"{name}.csv", pattern) for pattern in patterns)


def title_of(measure, name):
    """Title of a row; KAD and the older kernel distance differ in unit."""
    title = MEASURES[measure]
    if measure == "cnn_kernel" and is_before_kad(name):
        title += ", before KAD"
    return title


def draw(rows, column, titles, measures, name=""):
    """Draws one table in Markdown: models as columns, measures as rows."""
    models = [model for model in titles if model in set(rows[column])]
    parts = [rows[rows[column] == model] for model in models]
    lines = [["", *(titles[model] for model in models)]]
    lines.append(["trainings (seeds)", *map(len, parts)])
    for measure in measures:
        cells = [cell(part, measure) for part in parts]
        if set(cells) != {NOTHING}:
            lines.append([title_of(measure, name), *cells])
    return table(lines)


def earlier(rows, before_shift=False):
    """Says how many rows were measured before fresh draws; empty where none was."""
    prefix = "cnn_" if "cnn_fresh" in rows else ""
    asked = rows[rows[f"{prefix}class_conditional"].notna()]
    count = int(asked[f"{prefix}fresh"].isna().sum())
    if not count:
        return ""
    shift = " and before the class-mean shift (notebook 05)" if before_shift else ""
    return (
        f"\n\nNot measured again yet: {count} of the {len(asked)} rows of the csv file that "
        "this table shows of models with a label. They lack fresh draws, and their other "
        f"scores are by the rules before those of the [changelog](../CHANGELOG.md){shift}."
    )


def titled(name):
    music = name.partition("_")[2]
    return f"**{MUSIC.get(music, f'Real music, {music}')}** (`{name}.csv`)\n\n"


def render_study(study, column, titles, measures):
    """One table for each music of a study, composed music first."""
    parts = []
    for path in sorted(RESULTS.glob(f"{study}_*.csv")):
        name = path.stem
        rows = read(name)
        known = rows[rows[column].isin(titles)]
        text = titled(name) + draw(known, column, titles, measures, name)
        if "raw features" in set(rows[column]):
            text += f"\n\n{raw_line(rows)}"
        is_old = name in ("foundation_real_music", "comparison_real")
        if name in WITH_DISCREPANCY:
            text += f"\n\n{LEFT_TERM}"
        parts.append(text + earlier(known, before_shift=is_old))
    return "\n\n".join(parts)


def raw_line(rows):
    """What raw features reach, in one sentence."""
    raw = rows[rows[rows.columns[1]] == "raw features"].iloc[0]
    names = ("log-mel statistics", "MFCC statistics")
    parts = [
        f"{name} {raw[f'{name}: kmeans_nmi']:.2f} and {raw[f'{name}: kmeans_ari']:.2f}"
        for name in names
    ]
    return (
        f"Raw features for comparison, k-means NMI and ARI: {', '.join(parts)}. The "
        f"classification accuracy score of as many real clips is {raw['cas']:.2f}."
    )


def heard_outside(rows, column):
    """What each of the two networks says, the mean over seeds."""
    means = [cell(rows[rows["tagger"] == name], column) for name in ("MTT", "MSD")]
    return NOTHING if NOTHING in means else " / ".join(means)


def render_taggers():
    """Draws what two networks from outside hear in models of real music."""
    rows = read("obedience_taggers")
    phases = {"first": KINDS["cvae"], "second": KINDS["cvaegan"]}
    columns = {}
    for phase, title in phases.items():
        part = rows[rows["model"].str.startswith(phase)]
        columns[title] = part[part["without"].isna()]
        columns[f"{title}, shift off"] = part[part["without"] == "shift"]
    lines = [["", *columns]]
    lines.append(
        ["trainings (seeds)", *(p["model"].nunique() for p in columns.values())]
    )
    for column, title in TAGGED.items():
        cells = [heard_outside(part, column) for part in columns.values()]
        if set(cells) != {NOTHING}:
            lines.append([title, *cells])
    text = f"**{MUSIC['real']}** (`obedience_taggers.csv`)\n\n{table(lines)}"
    return f"{text}\n\n{LEFT_TERM}{earlier(rows)}"


# Measures of an ablation: columns of `ablations.csv`, and their heading.
ABLATED = {
    "swap": "swap obedience, outside networks",
    "swap_unshifted": "the same, shift off",
    "fresh": "fresh-draw obedience, outside networks",
    "fresh_unshifted": "the same, shift off",
    "kept_energy": "energy by beat that a swap keeps",
    "kept_chroma": "chroma by beat that a swap keeps",
    "rms_db_shifted": "error of a clip as it is played back (dB)",
    "sharpness": "sharpness of new clips",
    "diversity_MTT_vgg": "diversity, MTT_vgg",
    "kernel_MTT_vgg": "kernel distance, MTT_vgg",
}
SIZES = {"small": "small models of 720 steps", "full": "full size, 1,344 steps"}


def render_ablations():
    """Draws one table for each music and size: variants as rows."""
    rows = read("ablations")
    parts = []
    for (music, size), part in rows[rows["size"] != "given"].groupby(["music", "size"]):
        real = " / ".join(cell(part.head(1), f"real_{name}") for name in OUTSIDE)
        lines = [["variant", "seeds", *ABLATED.values()]]
        ways = (
            "all",
            "without",
            "with",
        )  # the library's model first, what left it last
        order = sorted(
            part["variant"].unique(), key=lambda name: ways.index(name.split()[0])
        )
        for variant in order:
            seeds = part[part["variant"] == variant]
            cells = []
            for measure in ABLATED:
                names = [measure]
                if f"{measure}_{OUTSIDE[0]}" in part:
                    names = [f"{measure}_{name}" for name in OUTSIDE]
                cells.append(" / ".join(cell(seeds, name) for name in names))
            lines.append([variant, len(seeds), *cells])
        title = MUSIC[music].partition(":")[0]
        text = f"**{title}, {SIZES[size]}** (`ablations.csv`); real clips {real}"
        parts.append(f"{text}\n\n{table(lines)}")
    return "\n\n".join(parts)


def render_sound():
    """How close and how fast each way from log-mel to sound is: composed / real music."""
    whole = read("inversion_whole").set_index(["method", "music"])
    heard = read("inversion_tagger").set_index(["sound", "music"])
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
    whole["speed"] = 1.0 / whole["seconds"]

    def both(rows, name, column, digits):
        values = [rows.loc[(name, music), column] for music in ("known", "real")]
        return " / ".join(f"{value:.{digits}f}" for value in values)

    lines = [["way", *measures, "tagger's distance", "times real time, processor"]]
    for name, title in names.items():
        cells = [both(whole, name, *measure) for measure in measures.items()]
        cells.append(both(heard, name, "paired", 2))
        lines.append([title, *cells, both(whole, name, "speed", 0)])
    for name, title in others.items():
        cells = [NOTHING] * len(measures)
        lines.append([title, *cells, both(heard, name, "paired", 2), NOTHING])
    return table(lines)


def render_site():
    """Median milliseconds from what is done on the front page to its sound."""
    lines = [["done", "ready after (ms)", "of the processor (ms)", "limit (ms)"]]
    for row in read("site_timings").itertuples():
        times = row.wall_ms, row.processor_ms, row.goal_ms
        shown = [NOTHING if pd.isna(time) else f"{time:,.0f}" for time in times]
        lines.append([row.what, *shown])
    return table(lines)


def render_studio():
    """Median milliseconds from a control's change to what it makes."""
    lines = [["changed", "sound", "ready after (ms)", "limit (ms)"]]
    for row in read("studio_timings").itertuples():
        lines.append(
            [row.what, row.sound, f"{row.wall_ms:,.0f}", f"{row.goal_ms:,.0f}"]
        )
    return table(lines)


def short(value):
    """Three digits of a number, or the whole of a larger one."""
    if not isinstance(value, float):
        return str(value)
    if value != value:
        return NOTHING
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def render_speed(name):
    """A table of the benchmark of speed as it is."""
    rows = read(f"speed_{name}")
    return table(
        [rows.columns, *(map(short, line) for line in rows.itertuples(index=False))]
    )


def render_environments():
    rows = pd.read_csv(RESULTS / "environments.csv", dtype=str).fillna("")
    return draw_environments(rows)


def draw_environments(rows):
    """Versions in each environment, then minutes in smoke mode and, in brackets, of a whole run."""
    names = list(dict.fromkeys(rows["environment"]))
    if not names:
        return "Not run yet."
    packages = ("tensorflow", "keras", "numpy", "librosa", "ipython", "ipywidgets")
    lines = [["", *names]]
    for column in ("python", *packages):
        found = [rows[rows["environment"] == name][column] for name in names]
        lines.append([column, *(" / ".join(dict.fromkeys(each)) for each in found)])

    def place(what):
        return what == "tests", what.partition("/")[2], what

    for what in sorted(set(rows["what"]), key=place):
        cells = [outcome(rows, name, what) for name in names]
        lines.append([what.replace("_", " "), *cells])
    return table(lines)


def outcome(rows, environment, what):
    """Minutes of a notebook or of the tests; what was not run stays a dash, what failed says so."""
    is_this = (rows["environment"] == environment) & (rows["what"] == what)
    rows = rows[is_this].set_index("mode")
    shown = []
    for mode in ("smoke", "full", "tests"):
        if mode not in rows.index:
            continue
        row = rows.loc[mode]
        minutes = f"{float(row['minutes']):.1f}"
        if mode == "tests":
            text = f"{row['outcome']}, {minutes}"
        else:
            text = minutes if row["outcome"] == "passed" else row["outcome"]
        shown.append(f"({text})" if mode == "full" else text)
    return " ".join(shown) or NOTHING


def render_cards(kinds):
    """Scores of weights that ship, those of seed 0, a line each."""
    rows = read("foundation_known")
    shipped = rows[rows["seed"] == 0].set_index("kind")
    lines = [["file", *(MEASURES[column] for column in CARD)]]
    for kind in kinds:
        cells = [cell(shipped.loc[[kind]], column) for column in CARD]
        lines.append([f"`known_{kind}.npz`", *cells])
    return table(lines)


# What the README says about a notebook, by its topic: what its reader writes, and what they hear.
SERIES = {
    "play": ("nothing", "a blind test"),
    "prepare_audio": ("log-mel pictures", "one clip, any tempo"),
    "autoencoder": ("an autoencoder", "music from 96 numbers"),
    "vae": ("sampling, KL", "beats nobody composed"),
    "conditional_vae": ("label, swap test", "deaf and cured"),
    "make_it_listen": ("mean shift", "one idea, every genre"),
    "posterior_collapse": ("the failed recipe", "one clip for everything"),
    "comparison": ("a schedule", "a map of clips"),
    "studio": ("a ten-line studio", "mixes, morphs"),
    "discriminator": ("a discriminator", "sharper clips"),
    "your_own_music": (NOTHING, "your music"),
    "back_to_sound": ("fast Griffin-Lim", "buzz, hiss, sound"),
}
PATHS = {
    "listener": ("prepare_audio", "conditional_vae", "studio"),
    "model builder": (
        *("autoencoder", "vae", "conditional_vae", "make_it_listen"),
        *("posterior_collapse", "comparison", "discriminator"),
    ),
    "audio": ("prepare_audio", "back_to_sound"),
    "own music": ("conditional_vae", "your_own_music"),
}


def lessons():
    """Topic -> path of the notebook, in the order of the series."""
    return {path.stem[3:]: path for path in sorted(NOTEBOOKS.glob("[0-9]*.py"))}


def link(path):
    return f"[{path.stem[:2]}](notebooks/{path.stem}.ipynb)"


def question(path):
    """The title of a notebook."""
    return re.search(r"^# # (.+)$", path.read_text(encoding="utf-8"), re.M)[1]


def published_minutes():
    """Notebook -> minutes of its last published run."""
    with open(RESULTS / "published_runs.csv", newline="", encoding="utf-8") as file:
        return {row["notebook"]: float(row["minutes"]) for row in csv.DictReader(file)}


def render_series():
    """The notebooks, and paths through them."""
    found, minutes = lessons(), published_minutes()
    if missing := sorted(set(found) - set(SERIES)):
        raise SystemExit(f"No line for {missing}; add one to SERIES of {__file__}.")
    lines = [["", "question", "you write", "you hear", "min"]]
    for topic, path in found.items():
        spent = minutes.get(path.stem)
        time = NOTHING if spent is None else f"{spent:.1f}"
        lines.append([link(path), question(path), *SERIES[topic], time])
    paths = []
    for reader, topics in PATHS.items():
        steps = [link(found[topic]) for topic in topics if topic in found]
        paths.append(f"{reader} {'·'.join(steps)}")
    return f"{table(lines, gap='')}\n\nAfter 00: {'; '.join(paths)}."


def render_start():
    """The commands of a laptop, with their minutes."""
    minutes = [m for name, m in published_minutes().items() if "/" not in name]
    studio = read("studio_timings").set_index("what")["wall_ms"].iloc[0] / 1000
    # A run in which every notebook was timed on a quiet machine, or no number.
    is_timed = len(minutes) == len(lessons())
    spent = f", {sum(minutes):.0f} minutes" if is_timed else ""
    return f"""```sh
make studio   # play, after {studio:.0f} seconds
make lab      # the notebooks
make run      # all of them{spent}
make test     # the tests
make run DATA=~/music   # learns music/<genre>/*.mp3
```"""


def means(name, column):
    """Means over the seeds of a table, by the name of a row."""
    return read(name).groupby(column).mean(numeric_only=True)


def render_findings():
    """Five sentences, each with its numbers and the notebook that measures them."""
    full = means("foundation_known", "kind")
    small = means("comparison_known", "name")
    second = means("discriminator_known", "name")
    beta = means("beta_known", "value").loc[[0.3, 300.0]]
    cures = read("collapse_remedies").query("features == 'stft'")
    dims = cures[cures["name"] == "original recipe"]["active_units"].max()
    explained = cures["explained"].max()
    sharper = second["sharpness_sampled"] - second["sharpness_sampled"]["as it was"]
    error = small["reconstruction_rms_db"]
    said = [
        (
            ("make_it_listen", "conditional_vae"),
            "**Does it obey?** Told the genre once, a network plays it in "
            f"{full['sound_fresh']['deaf']:.0%} of new clips, chance "
            f"{full['chance']['deaf']:.0%}; made to listen, "
            f"{full['sound_fresh']['cvae']:.0%} ([table](docs/results.md#full-size)).",
        ),
        (
            ("posterior_collapse",),
            f"**Why did the first attempt play one clip for everything?** It kept {dims:.0f} latent dimensions; "
            f"{cures['name'].nunique() - 1} known remedies explain {explained:.2%} of the sound.",
        ),
        (
            ("comparison",),
            f"**What does beta trade?** From {beta.index[0]:g} to {beta.index[1]:g} it costs "
            f"{beta['distortion_db'].diff().iloc[1]:.1f} dB of error.",
        ),
        (
            ("comparison",),
            f"**Is a network needed?** PCA rebuilds clips with {error['PCA']:.1f} dB of error, a small "
            f"autoencoder {error['AE']:.1f}, a large one "
            f"{full['reconstruction_rms_db']['autoencoder']:.1f}.",
        ),
        (
            ("discriminator",),
            "**Does a discriminator sharpen?** It adds "
            f"{sharper['discriminator']:.2f} of music's sharpness; an unsharp mask, "
            f"untrained, {sharper['detail']:.2f}.",
        ),
    ]
    found = lessons()
    lines = []
    for topics, sentence in said:
        topic = next(topic for topic in topics if topic in found)
        lines.append(f"- {link(found[topic])} {sentence}")
    return "\n".join(lines)


# What is reached: column of the scores -> that of the best possible, or its value.
BEST = {
    "sound_fresh": "sound_real",
    "sound_swap": "sound_real",
    "reconstruction_rms_db": 0,
    "diversity_log_mel": 1,
    "sharpness_sampled": 1,
}
REACHED = (
    ("foundation_known", "kind", "cvae"),
    ("foundation_open_music", "kind", "cvaegan"),
)
OUTSIDE = ("MSD_musicnn", "MSD_vgg", "MTT_vgg")  # the last was used for no choice


def render_reached():
    """What the studio plays in six rows, means over seeds, each beside what to aim at."""
    lines = [["", "composed", "aim", "real", "aim"]]
    models = [means(name, column).loc[model] for name, column, model in REACHED]
    for column, best in BEST.items():
        line = [MEASURES[column]]
        for scores in models:
            value = scores.get(column)
            ceiling = scores[best] if isinstance(best, str) else best
            line += [NOTHING if value != value else f"{value:.2f}", f"{ceiling:.2f}"]
        lines.append(line)
    guided = read("guidance").query("model == 'real_cvaegan' and split == 'test'")
    heard = guided.set_index("guidance").loc[1.0]  # as the preset plays
    scores = [
        " / ".join(f"{heard[f'{kind}_{name}']:.2f}" for name in OUTSIDE)
        for kind in ("swap", "real")
    ]
    lines.insert(3, [TAGGED["swap"], NOTHING, NOTHING, *scores])
    return table(lines, gap="")


GUIDED = {  # measures of `guidance.csv`, and their heading
    "swap": "swap obedience, outside networks",
    "fresh": "fresh-draw obedience, outside networks",
    "kept_energy": "energy by beat that a swap keeps",
    "kept_chroma": "chroma by beat that a swap keeps",
    "kernel": "kernel distance of fresh draws, outside networks",
    "diversity": "diversity of fresh draws, outside networks",
}


def outside_cells(row, measures):
    """Cells of one model; a measure that each outside network has gets three numbers."""
    cells = []
    for measure in measures:
        names = [f"{measure}_{name}" for name in OUTSIDE]
        names = names if names[0] in row else [measure]
        cells.append(" / ".join(f"{row[name]:.2f}" for name in names))
    return cells


def render_guidance():
    """Draws one table for each split: models and amounts of guidance as rows."""
    parts = []
    for split, part in read("guidance").groupby("split", sort=False):
        lines = [["model", "guidance", *GUIDED.values()]]
        for _, row in part.sort_values(["model", "guidance"]).iterrows():
            about = row["model"], f"{row['guidance']:g}"
            lines.append([*about, *outside_cells(row, GUIDED)])
        real = " / ".join(f"{part[f'real_{name}'].iloc[0]:.2f}" for name in OUTSIDE)
        parts.append(
            f"**{split.capitalize()} clips** (`guidance.csv`); real clips {real}\n\n{table(lines)}"
        )
    return "\n\n".join(parts)


TUNED = {  # measures of `fine_tuning.csv`, and their heading
    "rms_db": "error of rebuilt validation clips (dB)",
    "swap": "swap obedience, outside networks",
    "fresh": "fresh-draw obedience, outside networks",
    "kept_chroma": "chroma by beat that a swap keeps",
    "diversity_MTT_vgg": "diversity, MTT_vgg",
    "kernel_MTT_vgg": "kernel distance, MTT_vgg",
}


def render_fine_tuning():
    """Draws a table: trainings from new weights and from a preset as rows."""
    rows = read("fine_tuning")
    lines = [
        ["begins with", "steps", "least error during training (dB)", *TUNED.values()]
    ]
    for _, row in rows.iterrows():
        best = min(json.loads(row["validation_curve_db"]))
        cells = [row["start"], f"{row['num_steps']:,}", f"{best:.2f}"]
        lines.append([*cells, *outside_cells(row, TUNED)])
    real = " / ".join(f"{rows[f'real_{name}'].iloc[0]:.2f}" for name in OUTSIDE)
    return f"**{rows['music'].iloc[0].capitalize()}** (`fine_tuning.csv`); real clips {real}\n\n{table(lines)}"


HEARERS = (
    "MSD_musicnn",
    "MTT_vgg",
)  # of `quality.csv`; the last was used for no choice
COMPARED = {  # measures of each hearer, and their heading
    "frechet_infinity": "Fréchet distance, n → ∞",
    "kad": "kernel distance",
    "precision": "precision",
    "recall": "recall",
    "density": "density",
    "coverage": "coverage",
    "two_sample_accuracy": "told from real",
}
HEARD = {  # measures of madmom and basic-pitch
    "tempo_as_asked": "tempo as asked",
    "tempo_as_asked_or_octave": "or an octave off",
    "key_kept": "key kept",
    "notes_kept": "notes kept",
    "notes_kept_by_chance": "notes kept by chance",
}
COPIED = {
    "median_ratio": "median ratio",
    "below_1": "below 1 %",
    "below_5": "below 5 %",
}


def quality_table(rows, title):
    """Markdown of what two networks say of each kind of clips; a pair of numbers is both."""
    lines = [["clips", "n", *COMPARED.values()]]
    for (model, kind), part in rows.groupby(["model", "kind"], sort=False):
        heard = part.set_index("network")
        if not set(HEARERS) <= set(heard.index):
            continue
        cells = [
            " / ".join(f"{heard.at[name, measure]:.2f}" for name in HEARERS)
            for measure in COMPARED
        ]
        lines.append([f"{kind}, `{model}`" if model else kind, len_of(heard), *cells])
    return f"**{title}** (`quality.csv`)\n\n{table(lines)}"


def len_of(heard):
    """Number of clips that the first hearer got."""
    return f"{heard.at[HEARERS[0], 'clips']:.0f}"


def plain_table(rows, measures, first):
    """Markdown of columns as they are, a line a row; a dash where a number is missing."""
    lines = [[first, *measures.values()]]
    for _, row in rows.iterrows():
        name = f"{row['kind']}, `{row['model']}`" if row["model"] else row["kind"]
        cells = [
            NOTHING if pd.isna(row[measure]) else f"{row[measure]:.2f}"
            for measure in measures
        ]
        lines.append([name, *cells])
    return table(lines)


def render_quality():
    """Draws three tables for each music: distances, what is heard, near copies."""
    parts = []
    rows = read("quality").fillna({"model": ""})
    for music, part in rows.groupby("music", sort=False):
        title = MUSIC[music].partition(":")[0]
        copies = part["kind"].str.startswith("near copies")
        heard = part[part["network"] == "madmom, basic-pitch"]
        parts += [
            quality_table(part[~copies], title),
            plain_table(heard, HEARD, "heard by madmom and basic-pitch"),
            plain_table(
                part[copies].assign(
                    kind=part["kind"].str.removeprefix("near copies: ")
                    + ", "
                    + part["network"]
                ),
                COPIED,
                "near copies",
            ),
        ]
    return "\n\n".join(parts)


README = ROOT / "README.md"
DOCS = ROOT / "docs"
MODELS = ROOT / "lib/cvae_music/weights/README.md"
LAB = ROOT / "lib/cvae_lab/weights/README.md"
SPEED = ("extraction", "beats", "scaling", "pipeline", "sound", "start", "step")
SHIPPED = ("autoencoder", "vae", "cvae", "cvaegan")
PARTS = {  # name of a part -> the page it stands on, and what makes it
    "findings": (README, render_findings),
    "start": (README, render_start),
    "series": (README, render_series),
    "reached": (README, render_reached),
    "full-size": (
        DOCS / "results.md",
        lambda: render_study("foundation", "kind", KINDS, FULL),
    ),
    "outside-networks": (DOCS / "results.md", render_taggers),
    "ablations": (DOCS / "results.md", render_ablations),
    "guidance": (DOCS / "results.md", render_guidance),
    "fine-tuning": (DOCS / "results.md", render_fine_tuning),
    "quality": (DOCS / "results.md", render_quality),
    "second-phase": (
        DOCS / "results.md",
        lambda: render_study("discriminator", "name", WAYS, SECOND),
    ),
    "small-models": (
        DOCS / "results.md",
        lambda: render_study("comparison", "name", EQUALS, SMALL),
    ),
    "sound": (DOCS / "speed.md", render_sound),
    "studio": (DOCS / "speed.md", render_studio),
    "site": (DOCS / "speed.md", render_site),
    **{
        f"speed-of-{name}": (DOCS / "speed.md", lambda name=name: render_speed(name))
        for name in SPEED
    },
    "environments": (DOCS / "environments.md", render_environments),
    "shipped-models": (MODELS, lambda: render_cards(SHIPPED)),
    "deaf-model": (LAB, lambda: render_cards(["deaf"])),
}


def main():
    written = {path: path.read_text(encoding="utf-8") for path, _ in PARTS.values()}
    made = dict(written)
    for name, (path, render) in PARTS.items():
        start, end = (
            f"<!--made-by-tools/result_tables.py:{name}-->",
            f"<!--end-of-{name}-->",
        )
        before, rest = made[path].split(start)
        made[path] = f"{before}{start}\n{render()}\n{end}{rest.split(end)[1]}"
    behind = [path for path in made if made[path] != written[path]]
    if "--check" in sys.argv:
        names = ", ".join(path.relative_to(ROOT).as_posix() for path in behind)
        command = "python tools/result_tables.py"
        sys.exit(f"Out of step: {names}. Run: {command}" if behind else 0)
    for path in behind:
        path.write_text(made[path], encoding="utf-8")


if __name__ == "__main__":
    main()
