"""What `guidance` buys and costs: clips of one model, decoded with more and more of it.

    OMP_NUM_THREADS=2 python tests/benchmarks/guidance.py --data FOLDER --model real_cvae

writes a row for each split and each amount into `lib/cvae_lab/results/guidance.csv`: what the listeners of
`ablations.py` hear in swaps and fresh draws, what of a clip a swap keeps, and how far fresh draws are from music. The
amount is chosen on clips of the validation split, with `LISTENERS` but the last; the test split and the last report.
With `--mask` the model gets the unsharp mask of the second phase without its training, and " with mask" in its name.
"""

import argparse
import functools

import numpy as np
import pandas as pd
import tagger
from ablations import Panel, columns

from cvae_lab.measures.audio_obedience import swap_labels
from cvae_lab.measures.scoreboard import balanced_genres
from cvae_lab.notebook.session import cache_folder
from cvae_music.config import AudioConfig
from cvae_music.data.features import build_features
from cvae_music.data.sources import open_collection
from cvae_music.models.adversarial import ConditionalVAEGAN
from cvae_music.models.conditional import ConditionalVAE

RESULTS = tagger.RESULTS / "guidance.csv"


def measure(model, panel, guidance):
    """A row of measures of one model with so much guidance."""
    decode = functools.partial(model.decode, guidance=guidance)
    targets = swap_labels(panel.genres, panel.num_genres)
    latents = model.encode(panel.clips).mode()
    swapped = panel.to_sound(np.clip(decode(latents, targets), -1.0, 1.0))
    row = columns("swap", panel.shares(panel.hear(swapped), targets))
    row["kept_energy"], row["kept_chroma"] = panel.kept(swapped)
    asked, sources = balanced_genres(panel.num_genres, panel.num_per_genre)
    latents = model.sample_latents(sources, seed=0)
    fresh = panel.to_sound(np.clip(decode(latents, asked), -1.0, 1.0))
    heard = panel.hear(fresh)
    row |= columns("fresh", panel.shares(heard, asked))
    row |= columns("real", panel.ceilings)
    return row | panel.distances(heard, asked)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--data", default="known", help="known, or a folder of genres")
    add("--model", default="known_cvae", help="name of a preset, or a file")
    add("--guidance", nargs="+", type=float, default=[0.0, 0.5, 1.0, 1.5])
    add("--splits", nargs="+", default=["validation", "test"])
    add("--mask", action="store_true", help="with the mask of a ConditionalVAEGAN")
    options = parser.parse_args()
    collection = open_collection(options.data)
    features = build_features(collection, AudioConfig(), cache_folder())
    model = ConditionalVAE.from_preset(options.model)
    name = options.model
    if options.mask:
        model = ConditionalVAEGAN.from_cvae(model, features)
        name = f"{name} with mask"
    table = pd.read_csv(RESULTS) if RESULTS.exists() else pd.DataFrame()
    for split in options.splits:
        panel = Panel(features, split=split)
        for guidance in options.guidance:
            row = {"model": name, "split": split, "guidance": guidance}
            row |= measure(model, panel, guidance)
            table = pd.concat([table, pd.DataFrame([row])], ignore_index=True)
            table = table.drop_duplicates(["model", "split", "guidance"], keep="last")
            table.round(4).to_csv(RESULTS, index=False)
            print(pd.Series(row).to_string(), flush=True)


if __name__ == "__main__":
    main()
