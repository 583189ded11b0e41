# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Solutions to notebook 06
#
# Each can be read on its own after the cells that load the model.

# %% tags=["parameters"]
data = "known"
seed = 0
repository_zip = ""
num_clips = 2400
weights = "pretrained"
num_steps = 360
num_full_steps = 1440

# %% tags=["setup"]
# Finds the library, or fetches it: on Colab and Kaggle, give its address as `repository_zip` above.
import shutil
import sys
from pathlib import Path
from urllib.request import urlretrieve


def find_library():
    here, mounts = Path.cwd(), Path("/kaggle/input")
    near = [folder / "lib" for folder in (here, *here.parents)]
    far = [*here.glob("*/lib"), *mounts.glob("*/lib"), *mounts.glob("*/*/lib"), *mounts.glob("*/*/*/lib")]
    return [str(lib) for lib in near + far if (lib / "cvae_music").is_dir()]


if not find_library() and repository_zip:
    shutil.unpack_archive(urlretrieve(repository_zip, "cvae_music.zip")[0])
sys.path[:0] = find_library()[:1]

from cvae_lab.session import start_session

session = start_session(data, seed=seed)

# %%
import numpy as np
import pandas as pd
from cvae_lab.beta_cells import beta_cells
from cvae_lab.disentanglement import (
    FACTORS,
    dci,
    disentanglement_row,
    mutual_information_gap,
    separated_attribute_predictability,
)
from cvae_lab.pretrained import fit_series_model, open_model
from IPython.display import display

from cvae_music.attributes import latent_effects, strongest_latents
from cvae_music.config import AudioConfig
from cvae_music.data.features import build_features
from cvae_music.data.sources import open_collection

config = AudioConfig()
features = build_features(open_collection(data, num_clips=num_clips, seed=seed), config, session.cache_dir)
has_factors = all(name in features.table for name in FACTORS)

# %%
model = open_model("cvae", features, session, weights, num_steps=num_full_steps)

# %% [markdown]
# ## 1. Another beta, other names
#
# The highest beta of the sweep but one. Where the price is high, few dimensions are left. Compare the names and the KL
# of those that are.

# %%
cell = next(cell for cell in beta_cells() if cell["value"] == 100.0 and cell["seed"] == 0)
other, _ = fit_series_model("cvae", features, num_steps=num_steps, seed=0, changes=cell["changes"], verbose=0)
for name, candidate in {"beta 1, full size": model, cell["name"]: other}.items():
    effects = latent_effects(candidate, features, strongest_latents(candidate, features, 4, whole_only=True))
    print(name)
    display(effects[["dimension", "kl", "name"]].round(2))

# %% [markdown]
# ## 2. All 96 dimensions
#
# Each beat has its own 8 dimensions, filled by one and the same network. What one of them says of the level, its
# counterpart in the next beat says too: the second best dimension is nearly as good as the best, and the gap closes.
# DCI's disentanglement does not mind copies, its completeness does.

# %%
if has_factors:
    both = {f"whole only: {only}": disentanglement_row(model, features, whole_only=only) for only in (True, False)}
    display(pd.DataFrame(both).T.round(3))

# %% [markdown]
# ## 3. A random rotation
#
# The information is the same to the last bit and the prior cannot tell the two apart; MIG and SAP fall unless there was
# nothing to lose, while informativeness stays near what it was (trees cut along axes, so it falls a little).

# %%
def scores(found):
    (latents, factors), (held, held_factors) = found
    row = {"mig": mutual_information_gap(latents, factors), "sap": separated_attribute_predictability(latents, factors)}
    return row | dci(latents, factors, held, held_factors)


def rotated_scores(candidate):
    turn = np.linalg.qr(np.random.default_rng(seed).standard_normal((candidate.global_dim, candidate.global_dim)))[0]
    found, turned = [], []
    for split in ("train", "test"):
        part = features.subset(split)
        latents = candidate.encode(config.scale(part.log_mel))[0][:, : candidate.global_dim]
        found.append((latents, part.table[list(FACTORS)]))
        turned.append((latents @ turn, part.table[list(FACTORS)]))
    return {"as trained": scores(found), "turned": scores(turned)}


# %%
if has_factors:
    display(pd.DataFrame(rotated_scores(other)).T.round(3))
