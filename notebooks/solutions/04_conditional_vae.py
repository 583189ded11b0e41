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
# # Solutions to notebook 04
#
# Each can be read on its own after the cells that load the model and the judges.

# %% tags=["parameters"]
data = "known"
seed = 0
repository_zip = ""
num_clips = 2400
weights = "pretrained"
num_full_steps = 1440
num_judge_steps = 400

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
from cvae_lab.pretrained import open_judges, open_model
from cvae_lab.scoreboard import evaluate_model

from cvae_music import plots
from cvae_music.config import AudioConfig
from cvae_music.data.features import build_features
from cvae_music.data.sources import open_collection

features = build_features(open_collection(data, num_clips=num_clips, seed=seed), AudioConfig(), session.cache_dir)

# %%
model = open_model("cvae", features, session, weights, num_steps=num_full_steps)
judges = open_judges(features, session, weights, num_steps=num_judge_steps)

# %% [markdown]
# ## 1. Prior or fitted density
#
# The swap column stays: it takes its latents from real clips.


# %%
def plain_prior(asked, rng):
    return rng.standard_normal((len(asked), model.latent_dim))


rows = {
    name: evaluate_model(model, features, judges, num_per_genre=25, seed=seed, sampler=sampler, max_clips=100)
    for name, sampler in {"fitted density": None, "plain prior": plain_prior}.items()
}
columns = [f"{name}_{what}" for name in judges for what in ("prior", "swap", "diversity")] + ["sharpness_prior"]
pd.DataFrame(rows).loc[columns].round(3)

# %% [markdown]
# ## 2. From one genre to another

# %%
first, second = 0, model.num_genres // 2
ideas = model.sample_latents([first] * 20, seed=seed)
probabilities = []
for share in np.linspace(0.0, 1.0, 11):
    label = np.zeros((20, model.num_genres))
    label[:, first], label[:, second] = 1.0 - share, share
    probabilities.append(judges["cnn"].probabilities(model.decode(ideas, label)).mean(axis=0))
probabilities = np.array(probabilities)

# %%
fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
for index, style in ((first, "o-"), (second, "s--")):
    ax.plot(np.linspace(0.0, 1.0, 11), probabilities[:, index], style, label=model.genres[index])
ax.set(xlabel=f"share of {model.genres[second]} in the label", ylabel="judge's mean probability")
ax.legend()
plots.show_figure(fig, alt="The probability of one genre falls and of the other rises as the label is mixed.")

# %% [markdown]
# ## 3. Which stage listens to the label?
#
# Each FiLM layer's weights are set to zero in turn: that stage then hears neither the genre nor the global latent. The
# stage that costs most obedience is the one that decides most.

# %%
clips, genre = features.arrays("test")
clips, genre = clips[:60], genre[:60]
latent = model.encode(clips)[0]
asked = (genre + 1) % model.num_genres


def swap_obedience():
    return float(np.mean(judges["cnn"].predict(model.decode(latent, asked)) == asked))


# %%
scores = {"all stages": swap_obedience()}
for layer in model.decoder.layers:
    if layer.name.endswith("_film"):
        kept = layer.get_weights()
        layer.set_weights([np.zeros_like(weight) for weight in kept])
        scores[f"without {layer.name}"] = swap_obedience()
        layer.set_weights(kept)
pd.Series(scores, name="swap obedience").to_frame().round(3)
