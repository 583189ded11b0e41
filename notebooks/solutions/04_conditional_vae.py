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
# # Solutions to notebook 04, conditional VAE
#
# <!-- links: made by tools/badges.py -->
# The notebook: [04 conditional vae](../04_conditional_vae.ipynb)
# <!-- end of links -->
#
# This notebook needs no output of notebook 04. The embedded music has 24 test clips here in place of 240, so the
# numbers differ a little, and one clip changes a share by 0.04. With music of your own, or with `weights = "train"`,
# the notebook trains a model for a short time only.

# %% tags=["parameters"]
data = "known"  # or the path of a folder of genres, or of FMA
seed = 0
repository_zip = ""
num_clips = 240  # known-factor music only
weights = "pretrained"  # or "train", as always with other music
num_full_steps = 240  # of the training, where no weights are loaded
num_judge_steps = 200  # of the judge, where none is loaded

# %% tags=["setup"]
import sys
from glob import glob
from importlib.util import find_spec as find

sys.path = ["lib", "../lib", "../../lib", *sys.path, *glob("*/lib"), *glob("/kaggle/input/**/lib", recursive=True)]
find("cvae_lab") or repository_zip and get_ipython().run_line_magic("pip", f"install -q --no-deps {repository_zip}")
_ = find("cvae_lab") or sys.exit("No library: Colab, set repository_zip; Kaggle, Add Input; VS Code, laptop: make lab")

# %%
import cvae_lab as lab
import cvae_music as cm

session = lab.start_session(data, seed=seed)
config = cm.AudioConfig()
features = cm.build_features(
    cm.open_collection(data, num_clips=num_clips, seed=seed), config, session.cache_dir
)

# %%
import numpy as np
import pandas as pd

# %%
model = lab.open_model("cvae", features, session, weights, num_steps=num_full_steps)
judges = lab.open_judges(features, session, weights, num_steps=num_judge_steps)

# %% [markdown]
# ## 1. Without the density
#
# `plain_prior` is the `draw` of the exercise. It draws from the prior $\mathcal N(0, I)$, whatever the genres. The
# swap rows cannot change, because their latents come from real clips.

# %%
def plain_prior(asked, rng):
    """Draws a latent from N(0, I) for each genre in the list."""
    return rng.standard_normal((len(asked), model.latent_dim))


scores = {
    name: lab.evaluate_model(
        model,
        features,
        judges,
        num_per_genre=25,
        seed=seed,
        sampler=sampler,
        max_clips=100,
    )
    for name, sampler in {"fitted density": None, "plain prior": plain_prior}.items()
}
measures = ("fresh", "class_conditional", "swap", "diversity")
columns = [f"{name}_{what}" for name in judges for what in measures]
columns += ["sharpness_sampled", "cnn_frechet"]
pd.DataFrame(scores).loc[columns].round(3)

# %% [markdown]
# Little of the fresh-draw obedience is due to the fitted density. By the network it is 1.000 with the density and
# 0.993 without (`cnn_fresh`), which is one clip of 150. By the second judge it is 0.920 in place of 0.993, which is 11
# clips. With the prior the fresh and the class-conditional rows are equal, because both decode the same latents.
#
# Sharpness does not tell the two apart (0.785 and 0.783). Of diversity the judges disagree: draws from the prior are
# more diverse to the network (1.008 against 0.924; 1 is right), less to the second judge (0.761 against 0.917).
# As in notebook 03, the Fréchet distance in the last row (`cnn_frechet`) speaks for the density: 29.718 and 37.815
# at the prior. (It compares 150 drawn clips with 24 test clips, so both are larger than with more test clips.)
#
# ## 2. Which stage?
#
# We set the FiLM layers to zero one after the other, from the entrance to the picture. The mean shift is off. Each
# test clip is asked for as the next genre of the list.

# %%
clips, genre = features.arrays("test")
latent = model.encode(clips).mode()
asked = (genre + 1) % model.num_genres
stages = [layer for layer in model.decoder.layers if layer.name.endswith("_film")]
kept = model.get_weights()  # put back at the end
# Zero means switch the mean shift off.
model.mean_shift.set_weights(
    [np.zeros_like(value) for value in model.mean_shift.get_weights()]
)

# %%
scores = []
for num_deaf in range(len(stages) + 1):
    for layer in stages[:num_deaf]:
        layer.set_weights([np.zeros_like(value) for value in layer.get_weights()])
    played = np.clip(model.decode(latent, asked), -1.0, 1.0)
    scores.append(lab.label_obedience(judges["cnn"], played, asked))
model.set_weights(kept)
names = ["none", *(layer.name.removesuffix("_film") for layer in stages)]
pd.Series(scores, pd.Index(names, name="last stage cut"), name="swap obedience").round(2)

# %% [markdown]
# The first stage costs most, four of the 24 clips (0.92 to 0.75). The others cost at most two clips each, and with all
# cut 0.54 are left. A stage is cut together with all stages before it, so this does not say what a stage is worth
# alone.
#
# With every stage cut, the label still enters at `from_whole`. Notebook 04 has the same cut in section 4 (entrance
# left, mean shift off). There obedience is 0.49, on ten times as many clips.
#
# ## 3. Write the score
#
# We first take the mean within each genre asked for, then the mean over genres. So a rare genre counts as much as a
# common one.


# %% tags=["exercise"]
def share_heard(heard, asked):
    """Share of clips heard as the genre asked for, averaged over genres."""
    hits = heard == asked
    return np.mean([hits[asked == index].mean() for index in np.unique(asked)])


# %% tags=["check"]
cases = {
    "all genres equally often": ([0, 1, 2, 2], [0, 1, 2, 2]),
    "a rare genre": ([0, 0, 0, 0, 0], [0, 0, 0, 0, 1]),
    "some right": ([0, 2, 1, 1, 2, 0], [0, 0, 1, 1, 1, 2]),
}
expected = [1.0, 0.5, (1 / 2 + 2 / 3 + 0) / 3]
for (name, (heard_there, asked_there)), right in zip(
    cases.items(), expected, strict=True
):
    got = float(share_heard(np.array(heard_there), np.array(asked_there)))
    verdict = "right" if abs(got - right) < 1e-6 else "not yet"
    print(f"{name}: {verdict}, expected {right:.3f}, got {got:.3f}")

# %% [markdown]
# <!-- links: made by tools/badges.py -->
# The notebook: [04 conditional vae](../04_conditional_vae.ipynb)
# <!-- end of links -->
