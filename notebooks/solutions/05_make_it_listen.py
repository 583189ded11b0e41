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
# # Solutions to notebook 05, make it listen
#
# <!-- links: made by tools/badges.py -->
# The notebook: [05 make it listen](../05_make_it_listen.ipynb)
# <!-- end of links -->
#
# This notebook needs no output of notebook 05. The embedded music has 192 training clips and 24 test clips here, a
# tenth of those of notebook 05, so the numbers differ. With music of your own, or with `weights = "train"`, the
# notebook trains a model for a short time only.

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
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from keras import ops

# %%
model = lab.open_model("cvae", features, session, weights, num_steps=num_full_steps)
judges = lab.open_judges(features, session, weights, num_steps=num_judge_steps)

# %% [markdown]
# ## 1. From genre to genre
#
# We decode twenty latents, drawn for the first genre, with eleven labels. Each label gives a share to another genre
# and the rest to the first. With the embedded music the first genre is house and the other one chiptune.

# %%
first = 0
second = model.num_genres // 2
ideas = model.sample_latents([first] * 20, seed=seed)
shares = np.linspace(0.0, 1.0, 11)
probabilities = []
for share in shares:
    # one row of genre weights for each latent
    label = np.zeros((20, model.num_genres))
    label[:, first] = 1.0 - share
    label[:, second] = share
    probabilities.append(judges["cnn"].predict_proba(model.decode(ideas, label)))
probabilities = np.array(probabilities)  # (11 shares, 20 latents, genres)

# %% [markdown]
# A mean over twenty latents could hide sudden changes of single ones, because each may change at another share. So
# the picture also has a thin line for each latent, and a column of the table the largest rise from one share to the
# next, of all the latents.

# %% tags=["fold"]
# @title Picture: the judge's probabilities along the sweep
fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
ax.plot(shares, probabilities[:, :, second], color="0.75", linewidth=0.7)
for index, style, colour in ((first, "o-", cm.COLOURS[0]), (second, "s--", cm.COLOURS[1])):
    mean = probabilities[:, :, index].mean(axis=1)
    ax.plot(shares, mean, style, color=colour, label=f"{model.genres[index]}, mean")
ax.plot([], [], color="0.75", label=f"{model.genres[second]}, each latent")
ax.set(xlabel=f"share of {model.genres[second]} in the label", ylabel="judge's probability")
ax.legend()
cm.show_figure(
    fig,
    alt="The mean probability of one genre falls and that of the other rises along smooth curves, which cross a little beyond one half. The thin lines of single latents rise about as smoothly, some earlier and some later.",
)

# %%
names = [model.genres[first], model.genres[second]]
sweep = pd.DataFrame(probabilities.mean(axis=1)[:, [first, second]], shares.round(1), names)
sweep["both"] = sweep.sum(axis=1)
rises = np.diff(probabilities[:, :, second], axis=0, prepend=np.nan)  # no rise to the first
sweep[f"largest rise of {names[1]}"] = rises.max(axis=1)
sweep.rename_axis(f"share of {names[1]}").round(2)

# %% [markdown]
# Yes, the change is gradual. In the mean house falls and chiptune rises along a smooth curve, most of all between
# shares of 0.3 and 0.7, and the curves cross between 0.5 and 0.6. Single latents change gradually too. Some do so
# earlier and some later, and from one share to the next no latent rises by more than 0.43.
#
# At a share of 0.5 both genres together get a probability of 0.79. The judge gives the rest to other genres, for
# which nobody asked. No training step had such a label. So `make_clip` decodes each genre with a whole label, and
# mixes the sounds and not the labels.
#
# ## 2. Half a shift
#
# The layer has two weights, the means and those of the discriminant. We multiply the means of the deaf model's layer,
# and leave the discriminant as it is. Factor 0 is the deaf model of notebook 04, factor 1 the mean shift of notebook
# 05. The error is that of test clips decoded as their own genre.

# %%
deaf = lab.open_model("deaf", features, session, weights, num_steps=num_full_steps)
deaf.mean_shift.fit(deaf, features)
means, discriminant = deaf.mean_shift.get_weights()
clips, genre = features.arrays("test")
asked = (genre + 1) % deaf.num_genres
latents = deaf.encode(clips).mode()


def measured(factor):
    """Swap obedience, and error of clips as their own genre, in dB."""
    deaf.mean_shift.set_weights([factor * means, discriminant])
    swapped = np.clip(deaf.decode(latents, asked), -1.0, 1.0)
    own = np.clip(deaf.decode(latents, genre), -1.0, 1.0)
    error = config.db_per_unit * np.sqrt(((own - clips) ** 2).mean(axis=(1, 2))).mean()
    obeys = lab.label_obedience(judges["cnn"], swapped, asked)
    return {"swap obedience": obeys, "error (dB)": error}


factors = [0.0, 0.5, 1.0, 1.5, 2.0]
halves = pd.DataFrame([measured(factor) for factor in factors], index=factors)
halves.rename_axis("factor").round(2)

# %% tags=["fold"]
# @title Picture: obedience and error against the factor
fig, axes = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
for ax, column, colour in zip(axes, halves, cm.COLOURS, strict=False):
    ax.plot(factors, halves[column], "o-", color=colour)
    ax.set(xlabel="factor of the means", ylabel=column)
cm.show_figure(
    fig,
    alt="Left, swap obedience against the factor of the means; right, the error of clips decoded as their own genre.",
)

# %% [markdown]
# Half a shift makes the deaf model obey in 0.54 of swaps, a whole one in 0.88, and one and a half in 0.96. (Notebook 05
# has ten times the clips to fit the shift to, and a whole one reaches 0.96 there.) The error does not change: asked for
# its own genre, the layer adds $w_g - p(g \mid z)$ times a mean, and on this music the guess $p$ is nearly 1. So these
# numbers allow 1.5 as well as 2. On recordings the guess is wrong more often, and a larger factor would cost error.
#
# ## 3. Which genre was it?
#
# Bayes' rule divides the density of each genre by the sum over genres. All genres count as equally frequent. Far from
# every mean all densities underflow: they are rounded to zero, and zero divided by zero is no number. So we subtract
# the largest exponent from all of them first. This multiplies every density by the same factor, so the quotient does
# not change.
#
# The mean shift gives the same result. In the exponent the term $-\tfrac12\, z^\top C^{-1} z$ is the same for all
# genres, so it cancels too. What is left are the slopes and offsets of the layer.


# %% tags=["exercise"]
def source_probability(latent, means, covariance):
    """p(g | z) of latents (n, dim), by Bayes' rule; shape (n, genres)."""
    away = latent[:, None] - means  # (n, genres, dim)
    # C⁻¹ times each difference, (n, genres, dim)
    solved = np.einsum("ngd,de->nge", away, np.linalg.inv(covariance))
    exponent = -0.5 * np.sum(solved * away, axis=-1)  # (n, genres)
    density = np.exp(exponent - exponent.max(axis=1, keepdims=True))
    return density / density.sum(axis=1, keepdims=True)


# %% tags=["check"]
rng = np.random.default_rng(1)
covariance = np.array([[1.0, 0.6], [0.6, 2.0]])
means = np.array([[0.0, 0.0], [2.0, 1.0], [-1.0, 2.0]])  # of three genres
slopes = np.linalg.solve(covariance, means.T)
offsets = -0.5 * np.sum(means.T * slopes, axis=0)
for name, factor in {"near": 1.0, "far away": 100.0}.items():
    points = factor * rng.standard_normal((50, 2))
    expected = np.array(ops.softmax(points @ slopes + offsets))
    got = source_probability(points, means, covariance)
    worst = np.abs(got - expected).max()
    print(f"{name}: {'right' if worst < 1e-4 else 'not yet'}, worst error {worst:.4f}")

# %% [markdown]
# <!-- links: made by tools/badges.py -->
# The notebook: [05 make it listen](../05_make_it_listen.ipynb)
# <!-- end of links -->
