# ---
# jupyter:
#   accelerator: GPU
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
# <!-- links: made by tools/badges.py -->
# The notebook: [02 autoencoder](../02_autoencoder.ipynb)
# <!-- end of links -->
#
# This notebook needs no output of notebook 02. It uses 240 pieces of the embedded music in place of 2,400, which
# gives 24 test clips, so its numbers differ a little from those of notebook 02. With music of your own, or with
# `weights = "train"`, it trains an autoencoder for a short time only.

# %% tags=["parameters"]
data = "known"  # or the path of a folder of genres, or of FMA
seed = 0
repository_zip = ""
num_clips = 240  # known-factor music only
weights = "pretrained"  # or "train", as always with other music
num_steps = 120  # of the training, where no weights are loaded
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

model = lab.open_model("autoencoder", features, session, weights, num_steps=num_steps)
judge = lab.open_judges(features, session, weights, num_steps=num_judge_steps)["cnn"]

# %%
def latents_of(split, limit):
    """Latents, genre indices and levels in dB of at most `limit` clips of a split."""
    part = features.subset(split)
    rows = np.linspace(0, len(part) - 1, min(limit, len(part))).astype(int)
    levels = part.log_mel[rows].astype(np.float32)
    return model.encode(config.scale(levels)).mode(), part.genre_index[rows], levels


train, _, _ = latents_of("train", 500)
test, genre, real_db = latents_of("test", 100)
# Mean and standard deviation of each dimension; 1e-6 avoids a division by zero.
centre = train.mean(axis=0)
spread = train.std(axis=0) + 1e-6
rng = np.random.default_rng(seed)

# %%
def measure(latent):
    """The return error and the sharpness of decoded latents, as in notebook 02."""
    clips = model.decode(latent)
    # the decoded clips, encoded again
    back = model.encode(np.clip(clips, -1.0, 1.0)).mode()
    return {
        "return error": np.mean(((back - latent) / spread) ** 2),
        "sharpness": lab.sharpness_ratio(config.unscale(clips), real_db),
    }

# %% [markdown]
# ## 1. Leave the latents
#
# We add noise to the test latents. Its size is counted in spreads, the standard deviations of the dimensions over the
# training clips. The [return error](../glossary.md#return-error) says how far a latent comes back when its clip is
# decoded and encoded again. 0 is a perfect return.

# %%
sizes = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0)
noise = spread * rng.standard_normal(test.shape)
curve = pd.DataFrame({size: measure(test + size * noise) for size in sizes}).T
curve.rename_axis("noise (spreads of the latents)").round(3)

# %% tags=["fold"]
# @title Picture: return error and sharpness by size of the noise
fig, axes = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
for ax, name, kind in zip(axes, curve, (0, 4), strict=True):
    look = {"color": cm.COLOURS[kind], "marker": cm.MARKERS[kind]}
    ax.plot(curve.index, curve[name], **look)
    ax.set(xlabel="size of the noise (spreads)", ylabel=name, ylim=(0, None))
session.show_figure(
    fig,
    alt="The return error grows with the noise, and so does the sharpness, from 0.83 to 1.10.",
)

# %%
near = curve["return error"].loc[0.25]
far = curve["return error"].loc[1.0]
print(f"from a quarter of a spread to a whole one the return error grows {far / max(near, 1e-9):.0f} times")

# %% [markdown] tags=["lesson"]
# **What we learned.** The return error grows without a jump. From a quarter of a spread to a whole one, four times
# the noise, it grows 12 times (0.033 to 0.407). If it grew with the square of the noise, it would grow sixteen times.
# Sharpness gives no warning. Up to one spread it stays between 0.829 and 0.883. At two spreads it is 1.101, sharper
# than real clips, although the return error is 1.855.

# %% [markdown]
# ## 2. Swap the parts
#
# The global part comes first in the latent, then the local part of each beat. We cut the local parts in two: their
# mean over the beats, and the differences of the beats from this mean. So a latent has three parts.

# %%
def cut(latent):
    """Global part, mean of the beats, and differences of the beats from it."""
    # (clips, 32) and (clips, 8, 8)
    whole = latent[:, : model.global_dim]
    beats = latent[:, model.global_dim :].reshape(len(latent), model.num_slots, -1)
    mean = beats.mean(axis=1, keepdims=True)  # (clips, 1, 8)
    return whole, mean, beats - mean


def join(whole, mean, differences):
    """Latents of the three parts; undoes `cut`."""
    beats = (mean + differences).reshape(len(whole), -1)
    return np.concatenate([whole, beats], axis=1)

# %% [markdown]
# First we listen. `cm.make_clip(model, latent=b, style_from=a)` takes the global part *and* the mean of the beats
# from clip $a$. Together we call them the *style*. The differences of the beats come from clip $b$. Beside it we play
# a hybrid that has the global part of clip $a$ and everything else of clip $b$.

# %%
first = 0
second = int(np.flatnonzero(genre != genre[0])[0])
a = test[first]
b = test[second]
names = [features.genres[genre[row]] for row in (first, second)]
clips = {
    f"{names[0]}, rebuilt": cm.make_clip(model, latent=a),
    f"{names[1]}, rebuilt": cm.make_clip(model, latent=b),
    f"global part of {names[0]} alone": cm.make_clip(
        model, latent=np.concatenate([a[: model.global_dim], b[model.global_dim :]])
    ),
    f"style of {names[0]}": cm.make_clip(model, latent=b, style_from=a),
}

# %% tags=["fold"]
# @title Sound: two clips, and two ways to mix them
# No seed is shown, because none drew these clips.
shown = [{**vars(clip), "label": label, "seed": None} for label, clip in clips.items()]
cm.show_clips(
    shown,
    config,
    num_columns=2,
    alt="Four pictures: two rebuilt clips, the second with the global part of the first, and the second with the style of the first. The last looks like the first.",
)

# %% [markdown]
# With the global part alone the hybrid resembles neither clip. With the style it looks nearly like the first.
#
# Then we measure, on pairs of test clips of different genres, ten with the embedded music. Each hybrid takes some
# parts from clip $a$ and the rest from clip $b$. We compute a property of both clips and of the hybrid, as vectors
# $a$, $b$ and $h$. A number says how far the property has moved from $b$ (0) to $a$ (1):
#
# $$\frac{\langle h - b,\, a - b\rangle}{\lVert a - b\rVert^2} .$$
#
# Here $\langle\cdot,\cdot\rangle$ is the inner product. Numerator and denominator are summed over all pairs.

# %%
def properties(latent):
    """Properties of decoded latents that can be heard, one row for each clip."""
    level = config.unscale(model.decode(latent))  # (clips, 128, 128)
    # how much louder each frame is than the one before: (clips, 128)
    rises = np.maximum(level - np.roll(level, 1, axis=1), 0.0).mean(axis=2)
    # the mean spectrum of each beat: (clips, 8, 128)
    of_beats = level.reshape(len(level), model.num_slots, -1, config.n_mels).mean(axis=2)
    changes = of_beats - of_beats.mean(axis=1, keepdims=True)
    # the rises in the 16 frames of a beat, averaged over beats: (clips, 16)
    rhythm = rises.reshape(len(level), model.num_slots, -1).mean(axis=1)
    return {
        "level": level.mean(axis=(1, 2))[:, None],
        "sound (mean spectrum)": level.mean(axis=1),
        "rhythm in a beat": rhythm,
        "changes from beat to beat": changes.reshape(len(level), -1),
    }

# %%
rows = rng.permutation(len(test))
half = len(rows) // 2
pairs = np.stack([rows[:half], rows[half : 2 * half]])
pairs = pairs[:, genre[pairs[0]] != genre[pairs[1]]]
parts_a, parts_b = (cut(test[row]) for row in pairs)
all_a, all_b = (properties(test[row]) for row in pairs)
takes = {  # numbers of the parts that come from a
    "global part": (0,),
    "mean of the beats": (1,),
    "differences of the beats": (2,),
    "global part and mean (style)": (0, 1),
}
shares = {}
for name, taken in takes.items():
    hybrid = join(*[(parts_a if part in taken else parts_b)[part] for part in range(3)])
    got = properties(hybrid)
    shares[name] = {}  # how far each property has moved
    for heard in got:
        way = all_a[heard] - all_b[heard]
        moved = np.sum((got[heard] - all_b[heard]) * way)
        shares[name][heard] = moved / np.sum(way**2)

# %%
pd.DataFrame(shares).T.rename_axis("taken from a").round(2)

# %% [markdown] tags=["lesson"]
# **What we learned.** No part alone carries the sound or the rhythm. The mean of the beats moves the sound most
# (0.64; the global part 0.30). The global part moves the rhythm inside a beat most (0.69; the mean 0.36). Together,
# as the style, they move the sound by 0.94, the rhythm by 0.95 and the level by 0.99. So `style_from` takes both. The
# differences of the beats carry what changes from beat to beat (0.73), such as chords, and hardly any sound or rhythm
# (0.05 and 0.00). But the style moves these changes too (0.33), so the parts are not cleanly apart. The pairs are
# few.

# %% [markdown]
# ## 3. A cooler box
#
# The box draws each dimension from a Gaussian with the centre and the spread of the training latents. We pull these
# draws towards the centre. *Variety* is the standard deviation of levels over clips, divided by that of real test
# clips, so 1 is right. The Fréchet distance to the test clips is that of notebook 02. Here it compares 24 clips with 24,
# and few clips make it large. So only its rows can be compared with each other.

# %%
box = centre + spread * rng.standard_normal(test.shape)
real_variety = np.sqrt(np.mean(np.var(real_db, axis=0)))
real_in_judge = judge.embedding(config.scale(real_db))
table = {}
for share in (1.0, 0.75, 0.5, 0.25):
    cooler = centre + share * (box - centre)
    clips = np.clip(model.decode(cooler), -1.0, 1.0)
    spread_of_levels = np.sqrt(np.mean(np.var(config.unscale(clips), axis=0)))
    table[share] = measure(cooler) | {
        "variety": spread_of_levels / real_variety,
        "Fréchet distance": lab.frechet_distance(judge.embedding(clips), real_in_judge),
    }
table = pd.DataFrame(table).T.rename_axis("share of the spread")
table.round(3)

# %% [markdown] tags=["lesson"]
# **What we learned.** Half the spread improves the return error (0.323 to 0.099). It costs variety (0.769 to 0.516)
# and sharpness (0.774 to 0.571). A quarter of the spread costs more of both (0.328 and 0.450), so clips near the
# centre are blurred and much alike. The Fréchet distance agrees: it grows from 79.265 to 109.366 at half the spread
# and to 156.844 at a quarter.

# %% [markdown]
# ## 4. A loss of your own
#
# The step from each frame to the next is `ops.roll(x, -1, axis=1) - x`. The roll puts the next frame in the place of
# each, and the first frame in that of the last, as in a loop.

# %% tags=["exercise"]
def onset_loss(target, rebuilt):
    """Mean squared difference between the steps of two batches of clips."""
    lost = target - rebuilt  # steps of a difference are the difference of the steps
    return ops.mean(ops.square(ops.roll(lost, -1, axis=1) - lost))

# %% tags=["check"]
hit = np.eye(4, dtype=np.float32)[:, None, :, None]  # hit[k]: one band, a hit in frame k
cases = {
    "the same clip": (hit[1], hit[1], 0.0),
    "the clip turned up": (hit[1], hit[1] + 0.5, 0.0),
    "a missing hit": (hit[1], 0.0 * hit[1], 0.5),
    "a late hit": (hit[1], hit[2], 1.5),
    "a missing last hit": (hit[3], 0.0 * hit[3], 0.5),
}
for name, (target, answer, expected) in cases.items():
    got = float(onset_loss(target, answer))
    right = abs(got - expected) < 1e-5
    verdict = "right" if right else "not yet"
    print(f"{name}: expected {expected:.2f}, got {got:.2f}: {verdict}")

# %% [markdown]
# A late hit costs three times as much as a missing one (1.50 and 0.50). The reason is the step between the two
# frames, which rises where it should fall. So it is wrong by 2, which counts fourfold when squared.
#
# To train with this loss, override one method of the class. The loss then has one more term, and everything else
# stays. The term is a mean, while the rest of the loss is in nats and summed over 16,384 cells. So the term gets a
# weight, here 10,000; others are worth a try. As in notebook 02, a loss with such a term is no likelihood any more.
#
# We do not train here. To see that the class works, we compute the losses of eight test clips with random weights, so
# the error is large.

# %%
class OnsetAutoencoder(cm.Autoencoder):
    """An autoencoder that is also asked for the right steps from frame to frame."""

    def reconstruction_losses(self, log_mel, rebuilt):
        losses = super().reconstruction_losses(log_mel, rebuilt)
        losses["loss"] += 1e4 * onset_loss(log_mel, rebuilt)
        return losses


eager = OnsetAutoencoder(config, seed=seed)
log_mel, _ = next(iter(cm.make_dataset(features, "test", 8)))
losses, _ = eager.compute_losses(log_mel)
print({name: round(float(value), 1) for name, value in losses.items()})

# %% [markdown]
# <!-- links: made by tools/badges.py -->
# The notebook: [02 autoencoder](../02_autoencoder.ipynb)
# <!-- end of links -->
