"""Trains the live model of notebook 04 with another seed: the curve of "Is my run normal?"."""

import re
import sys
from pathlib import Path

import pandas as pd

from cvae_lab.collapse_study import SERIES_SIZE
from cvae_lab.series import fit_model
from cvae_lab.session import cache_folder
from cvae_lab.sweeps import shipped_folder
from cvae_music.config import AudioConfig
from cvae_music.data.features import build_features
from cvae_music.data.sources import open_collection

ROOT = Path(__file__).resolve().parents[1]
LIVE = {"04_conditional_vae": ("cvae", SERIES_SIZE)}  # kind, and what is not its default
SEED = 1  # of the weights and the noise; the clips are those of the notebooks


def parameter(notebook, name):
    """Whole number that a notebook's parameters cell gives to `name`."""
    text = (ROOT / "notebooks" / f"{notebook}.py").read_text(encoding="utf-8")
    return int(re.search(rf"^{name} = (\d+)", text, re.MULTILINE).group(1))


for notebook in sys.argv[1:] or LIVE:
    kind, changes = LIVE[notebook]
    collection = open_collection("known", num_clips=parameter(notebook, "num_clips"), seed=0)
    features = build_features(collection, AudioConfig(), cache_folder())
    settings = {"num_steps": parameter(notebook, "num_steps"), "seed": SEED, "changes": changes}
    _, history = fit_model(kind, features, **settings, verbose=2)
    path = shipped_folder() / f"reference_{kind}.csv"
    pd.DataFrame(history.history).round(4).to_csv(path, index=False)
    print(f"wrote {path.name}")
