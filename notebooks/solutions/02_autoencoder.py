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
# # Solutions to notebook 02, autoencoder
#
# This notebook stands alone. With music of your own, or with `weights = "train"`, it trains an autoencoder for a short time only.

# %% tags=["parameters"]
data = "known"  # or the path of a folder of genres, or of FMA
seed = 0
repository_zip = ""
num_clips = 240  # known-factor music only
weights = "pretrained"  # or "train"; other music is always trained on
num_steps = 120  # of the training, where no weights are loaded

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
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from cvae_lab import evaluation
from cvae_lab.pretrained import open_model
from IPython.display import Markdown, display

from cvae_music.audio.inversion import to_audio
from cvae_music.config import AudioConfig
from cvae_music.data.features import build_features
from cvae_music.data.sources import open_collection
from cvae_music.players import show_clips
from cvae_music.plots import COLOURS, MARKERS, show_figure

# %%
config = AudioConfig()
features = build_features(open_collection(data, num_clips=num_clips, seed=seed), config, session.cache_dir)
model = open_model("autoencoder", features, session, weights, num_steps=num_steps)

# %%
def latents_of(split, limit):
    """Latents and genre indices of clips spread over a split."""
    part = features.subset(split)
    rows = np.linspace(0, len(part) - 1, min(limit, len(part))).astype(int)
    return model.encode(config.scale(part.log_mel[rows]))[0], part.genre_index[rows], part.log_mel[rows].astype(np.float32)


train, _, _ = latents_of("train", 500)
test, genre, real_db = latents_of("test", 100)
centre, spread = train.mean(axis=0), train.std(axis=0) + 1e-6
rng = np.random.default_rng(seed)

# %%
def measure(latent):
    """Way home and sharpness of decoded latents, as in the notebook."""
    clips = model.decode(latent)
    home = (model.encode(clips)[0] - latent) / spread
    return {"way home": np.mean(home**2), "sharpness": evaluation.sharpness_ratio(config.unscale(clips), real_db)}

# %% [markdown]
# ## 1. How far may you leave a real latent?

# %%
sizes = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0)
noise = spread * rng.standard_normal(test.shape)
curve = pd.DataFrame({size: measure(test + size * noise) for size in sizes}).T
fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
for name, colour, marker in zip(curve, COLOURS, MARKERS, strict=False):
    ax.plot(curve.index, curve[name], color=colour, marker=marker, label=name)
ax.set(xlabel="size of the noise (spreads of the latents)", ylabel="way home; sharpness")
ax.legend()
show_figure(fig, alt="The squared distance of the way home grows with the size of the noise.")

# %%
near, far = curve["way home"].loc[0.25], curve["way home"].loc[1.0]
display(Markdown(
    f"With a quarter of a spread of noise the way home is {near:.3f}, with a whole spread {far:.3f}: "
    f"{far / max(near, 1e-9):.0f} times as much for 4 times the step, where 16 times would be in proportion to its square."
))  # fmt: skip

# %% [markdown]
# ## 2. Swap the parts
#
# The global part comes first in the latent, then the local parts of all beats.

# %%
first, second = 0, int(np.flatnonzero(genre != genre[0])[0])
swap = test[[first, second]].copy()
swap[:, model.global_dim :] = test[[second, first], model.global_dim :]
pictures = config.unscale(model.decode(np.concatenate([test[[first, second]], swap])))
names = [features.genres[genre[row]] for row in (first, second)]
labels = [*names, f"global {names[0]}, local {names[1]}", f"global {names[1]}, local {names[0]}"]

# %%
clips = [
    {"log_mel": picture, "samples": to_audio(picture, config, 110.0, seed=seed), "label": label, "tempo": 110.0, "seed": seed}
    for label, picture in zip(labels, pictures, strict=True)
]
show_clips(clips, config, num_columns=2, alt="Two rebuilt clips, and the two made from their swapped parts.")

# %%
def gap(a, b):
    return evaluation.reconstruction_rms_db(pictures[a], pictures[b])


display(Markdown(
    f"The clip with the global part of {names[0]} and the local part of {names[1]} is {gap(2, 0):.1f} dB from the {names[0]} clip and {gap(2, 1):.1f} dB from the "
    f"{names[1]} clip: the {'global' if gap(2, 0) < gap(2, 1) else 'local'} part decides more of the picture."
))  # fmt: skip

# %% [markdown]
# ## 3. A cooler box

# %%
box = centre + spread * rng.standard_normal(test.shape)
table = {}
for share in (1.0, 0.75, 0.5, 0.25):
    cooler = centre + share * (box - centre)
    decoded = config.unscale(model.decode(cooler))
    clip_spread = np.sqrt(np.mean(np.var(decoded, axis=0))) / np.sqrt(np.mean(np.var(real_db, axis=0)))
    table[share] = measure(cooler) | {"variety": clip_spread}
table = pd.DataFrame(table).T.rename_axis("share of the spread")
table.round(3)

# %%
display(Markdown(
    f"At half the spread the way home improves from {table['way home'].loc[1.0]:.2f} to {table['way home'].loc[0.5]:.2f}, and the variety of the clips (their spread in dB, over that "
    f"of real clips) falls from {table['variety'].loc[1.0]:.2f} to {table['variety'].loc[0.5]:.2f}: near the centre everything is the average clip."
))  # fmt: skip
