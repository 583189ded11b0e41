"""How good are the clips of trained models? The measures of the field, in sound, as outside networks hear it.

    OMP_NUM_THREADS=1 python tests/benchmarks/quality.py --data FOLDER|known --models FILE... [--clips 240] [--heard 48]

One row in `lib/cvae_lab/results/quality.csv` for each model, kind of clips and network; rows of the same music are
replaced. The reference are clips of the test split, sent through features and back to sound as generated clips are, so
that all sides went the same way. Kinds of clips:

- `training clips`: what as many real clips score; no model does better, other than by luck;
- `new clips`: latents drawn for the genre asked for, as `make_clip` draws them;
- `fresh draws`: latents of all genres, decoded as the genre asked for;
- `rebuilt`: reconstructions of clips of the validation split.

Columns of the taggers: Fréchet distance and its value for endless sets, KAD, precision and recall, density and coverage,
and the accuracy of a classifier that tells generated from real clips (0.5 is perfect). Columns of the other networks:
share of clips whose tempo is heard as asked for (within 4 %; or an octave off), share of rebuilt clips with the key of
the original, and how far their notes agree. Rows of `near copies` say whether new clips lie nearer to training clips than
test clips do, in log-mel and as a network hears it.
"""

import argparse
import contextlib
import io
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import tagger
import transcription
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cvae_lab.measures.audio_obedience import TEMPO
from cvae_lab.measures.near_copies import near_copy_table
from cvae_lab.measures.scoreboard import balanced_genres, decode_clips
from cvae_lab.measures.scores import frechet_distance, kernel_distance
from cvae_lab.notebook.session import cache_folder
from cvae_music.audio.inversion import to_audio
from cvae_music.config import AudioConfig
from cvae_music.data.features import build_features
from cvae_music.data.sources import open_collection
from cvae_music.saving import load_model, preset_path

NEIGHBOURS = 5  # of precision, recall, density and coverage, as Naeem et al. have it
# Of the layers the one that most often finds the original of a rebuilt training clip among 300: 63 %; in log-mel, 86 % of
# them are nearer than 99 % of test clips are. So the ear is the weaker of the two tests.
COPY_EAR = ("MTT_vgg", "pool4")
TEMPI = (80.0, 160.0)  # asked for, from slowest to fastest


def frechet_at_infinity(first, second, seed=0, num_sizes=8, num_draws=3):
    """Fréchet distance extrapolated to endless sets: the line through distances of subsets against 1/n, at 0.

    Both sides are drawn at n clips, from half of all to all. It needs some 400 clips for 200 dimensions: with fewer clips
    than dimensions the distance is no line in 1/n, and the value is still too large.

    Source: Chong and Forsyth (2020), arXiv:1911.07023; Gui et al. (2024), arXiv:2311.01616, for audio. They draw one side.
    """
    rng = np.random.default_rng(seed)
    most = min(len(first), len(second))
    sizes = np.round(1.0 / np.linspace(1.0 / most, 2.0 / most, num_sizes)).astype(int)
    sizes = np.repeat(sizes, num_draws)
    found = [
        frechet_distance(*(x[rng.permutation(len(x))[:n]] for x in (first, second)))
        for n in sizes
    ]
    return float(np.polyfit(1.0 / sizes, found, 1)[1])


def precision_and_coverage(generated, real):
    """Precision, recall, density and coverage, by the package of Naeem et al.

    Sources: Kynkäänniemi et al. (2019), arXiv:1904.06991; Naeem et al. (2020), arXiv:2002.09797.
    """
    path = str(tagger.wheel("prdc==0.2"))
    if path not in sys.path:
        sys.path.append(path)
    from prdc import compute_prdc

    with contextlib.redirect_stdout(io.StringIO()):
        return compute_prdc(real, generated, nearest_k=NEIGHBOURS)


def two_sample_accuracy(generated, real, groups):
    """Balanced accuracy of a classifier that tells generated from real clips it has not seen, and its standard error.

    Logistic regression on five folds, which share no track: 0.5 is perfect, 1 means that every clip is found out.

    Source: Lopez-Paz and Oquab (2017), arXiv:1610.06545.

    Args:
        generated: Embeddings, shape `(num_generated, dimensions)`.
        real: Embeddings, shape `(num_real, dimensions)`.
        groups: Track of each real clip.
    """
    points = np.concatenate([generated, real])
    labels = np.repeat([0, 1], [len(generated), len(real)])
    groups = np.unique(groups, return_inverse=True)[1]
    groups = np.concatenate([np.arange(len(generated)) + len(real), groups])
    scores = cross_val_score(
        make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000)),
        points,
        labels,
        groups=groups,
        cv=StratifiedGroupKFold(5, shuffle=True, random_state=0),
        scoring="balanced_accuracy",
    )
    return float(scores.mean()), float(scores.std() / np.sqrt(len(scores)))


def compare_points(generated, real, groups):
    """The columns of a tagger."""
    accuracy, error = two_sample_accuracy(generated, real, groups)
    return {
        "clips": len(generated),
        "real_clips": len(real),
        "frechet": frechet_distance(generated, real),
        "frechet_infinity": frechet_at_infinity(generated, real),
        "kad": kernel_distance(generated, real),
        **precision_and_coverage(generated, real),
        "two_sample_accuracy": accuracy,
        "two_sample_error": error,
    }


def balanced_rows(part, num_per_genre, seed=0):
    """Rows of a split, at most so many of each genre."""
    rng = np.random.default_rng(seed)
    genres = part.genre_index
    chosen = [
        rng.permutation(np.flatnonzero(genres == genre))[:num_per_genre]
        for genre in np.unique(genres)
    ]
    return np.sort(np.concatenate(chosen))


def generated_clips(model, features, num_per_genre, seed=0):
    """Dictionary kind -> clips in dB, and the rows of the validation split that were rebuilt."""
    config = features.config
    asked, sources = balanced_genres(features.num_genres, num_per_genre, seed)
    part = features.subset("validation")
    rows = balanced_rows(part, num_per_genre, seed)
    mean = model.encode(config.scale(part.log_mel[rows]))[0]
    requests = {
        "new clips": (model.sample_latents(asked, seed=seed), asked),
        "fresh draws": (model.sample_latents(sources, seed=seed), asked),
        "rebuilt": (mean, part.genre_index[rows]),
    }
    if not model.num_genres:
        del requests["fresh draws"]
    made = {
        kind: config.unscale(decode_clips(model, *request))
        for kind, request in requests.items()
    }
    return made, rows


def to_sounds(levels, config, tempi=None):
    tempi = np.full(len(levels), TEMPO) if tempi is None else tempi
    return [
        to_audio(level, config, tempo, seed=seed)
        for seed, (level, tempo) in enumerate(zip(levels, tempi, strict=True))
    ]


def evenly(levels, count):
    """So many clips of all, evenly spread."""
    return levels[np.linspace(0, len(levels) - 1, min(count, len(levels))).astype(int)]


def tempo_row(levels, config, count):
    """Share of clips whose tempo is heard as asked for."""
    levels = evenly(levels, count)
    asked = np.random.default_rng(0).permutation(np.linspace(*TEMPI, len(levels)))
    heard = [
        transcription.hear_tempo_and_key(sound, config.sample_rate)[0]
        for sound in to_sounds(levels, config, asked)
    ]
    agree = {
        f"tempo_as_asked{ending}": np.mean(
            [
                transcription.tempo_agrees(one, want, octaves)
                for one, want in zip(heard, asked, strict=True)
            ]
        )
        for ending, octaves in (("", False), ("_or_octave", True))
    }
    return {"clips": len(levels)} | agree


def kept_row(originals, rebuilt, config, count):
    """Share of rebuilt clips that keep the key, overlap of their notes, and that of notes of other clips."""
    pairs = [to_sounds(evenly(some, count), config) for some in (originals, rebuilt)]
    rate = config.sample_rate
    keys = [
        [transcription.hear_tempo_and_key(sound, rate)[1] for sound in side]
        for side in pairs
    ]
    notes = [
        [transcription.hear_notes(sound, rate) for sound in side] for side in pairs
    ]
    shifted = [notes[0], notes[1][1:] + notes[1][:1]]
    overlap, by_chance = (
        np.nanmean(
            [transcription.note_overlap(*pair) for pair in zip(*sides, strict=True)]
        )
        for sides in (notes, shifted)
    )
    return {
        "clips": len(keys[0]),
        "key_kept": np.mean(np.array(keys[0]) == np.array(keys[1])),
        "notes_kept": overlap,
        "notes_kept_by_chance": by_chance,
    }


def near_copy_rows(model, features, num_clips):
    """Rows of `near_copy_table`, in log-mel and as `COPY_EAR` hears it."""

    def describe(levels, config):
        sounds = to_sounds(levels, config)
        network, layer = COPY_EAR
        return tagger.hear(sounds, config.sample_rate, network)[layer]

    table = near_copy_table(model, features, num_clips=num_clips, describe=describe)
    table = table.rename(columns={"clips": "kind", "embedding": "network"})
    table["kind"] = "near copies: " + table["kind"]
    table["network"] = table["network"].replace("described", " ".join(COPY_EAR))
    return table.to_dict("records")


def measure(features, models, num_clips, num_heard):
    """Rows of `quality.csv`.

    Args:
        features: `FeatureSet`.
        models: Dictionary name -> model.
        num_clips: Clips of each kind.
        num_heard: Clips of each kind whose tempo, key and notes are heard; 0 leaves these networks out.
    """
    config = features.config
    num_per_genre = max(1, num_clips // features.num_genres)
    test = features.subset("test")
    rows = balanced_rows(test, num_per_genre)
    groups = test.table["group"].to_numpy()[rows]
    train = features.subset("train")
    training = train.log_mel[balanced_rows(train, num_per_genre)]
    sets = {("", "training clips"): np.asarray(training, np.float32)}
    originals = {}
    for name, model in models.items():
        made, validation = generated_clips(model, features, num_per_genre)
        originals[name] = features.subset("validation").log_mel[validation]
        sets |= {(name, kind): levels for kind, levels in made.items()}
        for row in near_copy_rows(model, features, num_clips):
            yield {"model": name} | row
    real = to_sounds(np.asarray(test.log_mel[rows], np.float32), config)
    for (name, kind), levels in sets.items():
        sounds = to_sounds(levels, config)
        about = {"model": name, "kind": kind}
        for network in tagger.LAYERS:
            points = (
                tagger.embed(some, config.sample_rate, network)
                for some in (sounds, real)
            )
            yield about | {"network": network} | compare_points(*points, groups)
        if num_heard:
            heard = tempo_row(levels, config, num_heard)
            if kind == "rebuilt":
                original = np.asarray(originals[name], np.float32)
                heard |= kept_row(original, levels, config, num_heard)
            yield about | {"network": "madmom, basic-pitch"} | heard


def write_rows(rows, path, music):
    """Writes rows of one music in place of older ones; returns them."""
    table = pd.DataFrame(rows).round(4)
    table.insert(0, "music", music)
    if path.exists():
        old = pd.read_csv(path)
        old = old[old["music"] != music].dropna(axis=1, how="all")
        pd.concat([table, old]).to_csv(path, index=False)
    else:
        table.to_csv(path, index=False)
    return table


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="a folder of genres, or known")
    parser.add_argument("--models", nargs="+", required=True, help="files, or presets")
    parser.add_argument("--clips", type=int, default=240, help="of each kind")
    parser.add_argument("--heard", type=int, default=48, help="0: no madmom")
    options = parser.parse_args()
    collection = open_collection(options.data)
    features = build_features(collection, AudioConfig(), cache_folder())
    models = {
        Path(one).stem: load_model(preset_path(one), features.config)
        for one in options.models
    }
    music = "known" if options.data == "known" else Path(options.data).name
    rows = measure(features, models, options.clips, options.heard)
    table = write_rows(rows, tagger.RESULTS / "quality.csv", music)
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
