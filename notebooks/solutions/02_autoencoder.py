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
# This notebook stands alone. With music of your own, or with `weights = "train"`, it trains an autoencoder for a short
# time only.

# %% tags=["parameters"]
data = "known"  # or the path of a folder of genres, or of FMA
seed = 0
repository_zip = ""
num_clips = 240  # known-factor music only
weights = "pretrained"  # or "train"; other music is always trained on
num_steps = 120  # of the training, where no weights are loaded

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

# %%
def latents_of(split, limit):
    """Latents, genre indices and levels in dB of clips spread over a split."""
    part = features.subset(split)
    rows = np.linspace(0, len(part) - 1, min(limit, len(part))).astype(int)
    levels = part.log_mel[rows].astype(np.float32)
    return model.encode(config.scale(levels)).mode(), part.genre_index[rows], levels


train, _, _ = latents_of("train", 500)
test, genre, real_db = latents_of("test", 100)
centre = train.mean(axis=0)
spread = train.std(axis=0) + 1e-6
rng = np.random.default_rng(seed)

# %%
def measure(latent):
    """Way home and sharpness of decoded latents, as in the notebook."""
    clips = model.decode(latent)
    home = (model.encode(np.clip(clips, -1.0, 1.0)).mode() - latent) / spread
    return {
        "way home": np.mean(home**2),
        "sharpness": lab.sharpness_ratio(config.unscale(clips), real_db),
    }

# %% [markdown]
# ## 1. How far may you leave a real latent?

# %%
sizes = (0.0, 0.1, 0.25, 0.5, 1.0, 2.0)
noise = spread * rng.standard_normal(test.shape)
curve = pd.DataFrame({size: measure(test + size * noise) for size in sizes}).T
fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
for name, colour, marker in zip(curve, cm.COLOURS, cm.MARKERS, strict=False):
    ax.plot(curve.index, curve[name], color=colour, marker=marker, label=name)
ax.set(
    xlabel="size of the noise (spreads of the latents)", ylabel="way home; sharpness"
)
ax.legend()
session.show_figure(
    fig, alt="The squared distance of the way home grows with the size of the noise."
)

# %%
near = curve["way home"].loc[0.25]
far = curve["way home"].loc[1.0]
times = far / max(near, 1e-9)
lab.takeaway(
    f"From a quarter of a spread of noise to a whole one the way home grows {times:.0f} times.",
    {
        "Less than the square of the step: no sharp edge.": times <= 16,
        "More than the square of the step: an edge.": True,
    },
)

# %% [markdown]
# ## 2. Swap the parts
#
# The global part comes first in the latent, then the local parts of all beats.

# %%
first = 0
second = int(np.flatnonzero(genre != genre[0])[0])
swap = test[[first, second]].copy()
swap[:, model.global_dim :] = test[[second, first], model.global_dim :]
names = [features.genres[genre[row]] for row in (first, second)]
labels = [*names, f"global {names[0]}, local {names[1]}", f"global {names[1]}, local {names[0]}"]
clips = [cm.make_clip(model, latent=latent) for latent in (*test[[first, second]], *swap)]
shown = [{**vars(clip), "label": label, "seed": None} for clip, label in zip(clips, labels, strict=True)]
cm.show_clips(shown, config, num_columns=2, alt="Two rebuilt clips, and the two made from their swapped parts.")

# %%
own = lab.reconstruction_rms_db(clips[2].log_mel, clips[0].log_mel)
foreign = lab.reconstruction_rms_db(clips[2].log_mel, clips[1].log_mel)
lab.takeaway(
    f"The hybrid is {own:.1f} dB from the clip that gave its global part, {foreign:.1f} dB from the other.",
    {
        "The global part decides most of it.": own < foreign,
        "The local part decides most of it.": True,
    },
)

# %% [markdown]
# ## 3. A cooler box

# %%
box = centre + spread * rng.standard_normal(test.shape)
table = {}
for share in (1.0, 0.75, 0.5, 0.25):
    cooler = centre + share * (box - centre)
    decoded = config.unscale(model.decode(cooler))
    clip_spread = np.sqrt(np.mean(np.var(decoded, axis=0))) / np.sqrt(
        np.mean(np.var(real_db, axis=0))
    )
    table[share] = measure(cooler) | {"variety": clip_spread}
table = pd.DataFrame(table).T.rename_axis("share of the spread")
table.round(3)

# %%
home = table["way home"]
variety = table["variety"]
lab.takeaway(
    f"Half the spread brings the way home to {home.loc[0.5] / home.loc[1.0]:.0%} and the variety to "
    f"{variety.loc[0.5] / variety.loc[1.0]:.0%} of the box's.",
    {
        "Safer and more alike: near the centre lies the average clip.": home.loc[0.5]
        < home.loc[1.0]
        and variety.loc[0.5] < variety.loc[1.0],
        "On this music a cooler box is not the safer one.": True,
    },
)

# %% [markdown]
# ## 4. A loss of your own
#
# The step from each frame to the next is `roll(x, -1) - x`; rolling puts the first frame behind the last, as in a loop.

# %% tags=["exercise"]
def onset_loss(target, rebuilt):
    """Mean squared difference between the steps of two batches of clips, shape (clips, frames, bands)."""
    lost = target - rebuilt  # steps of a difference are the difference of the steps
    return ops.mean(ops.square(ops.roll(lost, -1, axis=1) - lost))

# %% tags=["check"]
hit = np.eye(4, dtype=np.float32)[
    :, None, :, None
]  # hit[k]: one clip of four frames and one band, a hit in frame k
cases = {
    "the same clip": (hit[1], hit[1], 0.0),
    "the clip turned up": (hit[1], hit[1] + 0.5, 0.0),
    "a missing hit": (hit[1], 0.0 * hit[1], 0.5),
    "a late hit": (hit[1], hit[2], 1.5),
    "a missing last hit": (hit[3], 0.0 * hit[3], 0.5),
}
for name, (target, answer, expected) in cases.items():
    got = float(onset_loss(target, answer))
    verdict = (
        "right"
        if abs(got - expected) < 1e-5
        else f"not yet: expected {expected:.2f}, got {got:.2f}"
    )
    print(f"{name}: {verdict}")

# %% [markdown]
# To train with it, override one method of the class: the loss then has a third wish, and everything else stays.

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
