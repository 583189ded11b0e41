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
# This notebook stands alone. With music of your own, or with `weights = "train"`, it trains a model for a short time
# only.

# %% tags=["parameters"]
data = "known"  # or the path of a folder of genres, or of FMA
seed = 0
repository_zip = ""
num_clips = 240  # known-factor music only
weights = "pretrained"  # or "train"; other music is always trained on
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

from cvae_music import genre_discrepancy, multiquadric_kernel

# %%
model = lab.open_model("cvae", features, session, weights, num_steps=num_full_steps)
judges = lab.open_judges(features, session, weights, num_steps=num_judge_steps)

# %% [markdown]
# ## 1. Without the density
#
# The swap rows do not change: they take their latents from real clips.

# %%
def plain_prior(asked, rng):
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
columns.append("sharpness_sampled")
pd.DataFrame(scores).loc[columns].round(3)

# %% [markdown]
# ## 2. From genre to genre

# %%
first = 0
second = model.num_genres // 2
ideas = model.sample_latents([first] * 20, seed=seed)
shares = np.linspace(0.0, 1.0, 11)
probabilities = []
for share in shares:
    label = np.zeros((20, model.num_genres))
    label[:, first] = 1.0 - share
    label[:, second] = share
    probabilities.append(
        judges["cnn"].predict_proba(model.decode(ideas, label)).mean(axis=0)
    )
probabilities = np.array(probabilities)

# %%
fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
for index, style, colour in ((first, "o-", cm.COLOURS[0]), (second, "s--", cm.COLOURS[1])):
    ax.plot(shares, probabilities[:, index], style, color=colour, label=model.genres[index])
ax.set(xlabel=f"share of {model.genres[second]} in the label", ylabel="judge's mean probability")
ax.legend()
session.show_figure(fig, alt="The probability of one genre falls and of the other rises as the label is mixed.")

# %% [markdown]
# ## 3. Deafen the stages
#
# FiLM weights of zero leave a stage without the genre and without the global latent. What is left is the entrance, which
# is told once, like the deaf model.

# %%
clips, genre = features.arrays("test")
latent = model.encode(clips).mode()
asked = (genre + 1) % model.num_genres
stages = [layer for layer in model.decoder.layers if layer.name.endswith("_film")]
kept = [layer.get_weights() for layer in stages]
scores = []
for num_deaf in range(len(stages) + 1):
    for layer in stages[:num_deaf]:
        layer.set_weights([np.zeros_like(weight) for weight in layer.get_weights()])
    scores.append(
        lab.label_obedience(judges["cnn"], model.decode(latent, asked), asked)
    )
for layer, values in zip(stages, kept, strict=True):
    layer.set_weights(values)
pd.Series(scores, name="swap obedience").rename_axis(
    "stages deafened"
).to_frame().T.round(3)

# %%
lab.takeaway(
    f"Swap obedience {scores[0]:.2f} with all stages, {scores[-1]:.2f} with none.",
    {
        "What cured it is the training: a decoder that has to listen can do so at the entrance.": scores[
            -1
        ]
        > 0.8,
        "It needs its stages.": True,
    },
)

# %% [markdown]
# ## 4. A loss: the discrepancy of two sets
#
# The mean over pairs of different points leaves out the diagonal, where every point meets itself. No point of one set is
# a point of the other, so the matrix across keeps its diagonal.

# %% tags=["exercise"]
def discrepancy(first, second):
    """Squared maximum mean discrepancy of two sets of points, shapes (n, dim) and (m, dim), a scalar."""

    def inside(points):
        count = len(points)
        return ops.sum(multiquadric_kernel(points, points) * (1.0 - ops.eye(count))) / (
            count * (count - 1.0)
        )

    return (
        inside(first)
        + inside(second)
        - 2.0 * ops.mean(multiquadric_kernel(first, second))
    )

# %% tags=["check"]
rng = np.random.default_rng(1)
cases = {"the same place": (60, 0.0), "moved": (60, 2.0), "five points": (5, 1.0)}
for name, (count, shift) in cases.items():
    first, second = rng.standard_normal((2, count, 3)).astype("float32") + np.float32(
        [[[shift]], [[0.0]]]
    )
    expected = float(
        genre_discrepancy(first[None], np.ones((count, 1), "float32"), second[None])
    )
    got = float(discrepancy(first, second))
    print(
        f"{name}: {'right' if abs(got - expected) < 1e-4 else f'not yet: expected {expected:.4f}, got {got:.4f}'}"
    )

# %% [markdown]
# <!-- links: made by tools/badges.py -->
# The notebook: [04 conditional vae](../04_conditional_vae.ipynb)
# <!-- end of links -->
