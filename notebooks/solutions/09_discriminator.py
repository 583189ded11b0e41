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
# # Solutions to notebook 09
#
# <!-- links: made by tools/badges.py -->
# The notebook: [09 discriminator](../09_discriminator.ipynb)
# <!-- end of links -->
#
# Each can be read on its own after the cells that load the model.

# %% tags=["parameters"]
data = "known"
seed = 0
repository_zip = ""
num_clips = 2400
num_steps = 60

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
collection = cm.open_collection(data, num_clips=num_clips, seed=seed)
features = cm.build_features(collection, config, session.cache_dir)

# %%
import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from keras import layers, ops

cvae = lab.open_model("cvae", features, session)

# %% [markdown]
# ## 1. A discriminator that is blind to detail
#
# The same layers on the levels alone.

# %%
def build_blind(shape, num_genres, width=16):
    clip = keras.Input(shape)
    genre = keras.Input((num_genres,))
    x = clip[..., None]
    features = []
    for index, channels in enumerate((width, 2 * width, 4 * width, 4 * width)):
        size, stride = (4, 2) if index < 3 else (3, 1)
        convolve = layers.Conv2D(
            channels, size, stride, "same", kernel_initializer="he_normal"
        )
        x = convolve(x)
        x = ops.maximum(x, 0.2 * x)
        features.append(x)
    embedding = (
        layers.Dense(4 * width, use_bias=False)(genre)[:, None, None]
        / (4 * width) ** 0.5
    )
    logits = layers.Dense(1)(x)[..., 0] + ops.sum(x * embedding, axis=-1)
    return keras.Model([clip, genre], [logits, *features])

# %%
def learn(discriminator):
    """Losses of a discriminator against reconstructions of a decoder that stands still."""
    optimizer = keras.optimizers.Adam(1e-3, beta_1=0.5)
    optimizer.build(discriminator.weights)

    @tf.function
    def step(log_mel, genre):
        weights = cvae.genre_weights(genre)
        rebuilt = cvae.decode_latent(cvae.encode_posterior(log_mel).mode(), weights)
        with tf.GradientTape() as tape:
            real_logits = discriminator([log_mel, weights])[0]
            fake_logits = discriminator([rebuilt, weights])[0]
            loss = ops.mean(ops.relu(1.0 - real_logits)) + ops.mean(
                ops.relu(1.0 + fake_logits)
            )
        optimizer.apply(
            tape.gradient(loss, discriminator.weights), discriminator.weights
        )
        return loss

    batches = cm.make_dataset(features, "train", seed=seed).take(num_steps)
    return [float(step(log_mel, genre)) for log_mel, genre in batches]

# %%
fig, ax = plt.subplots(figsize=(6, 2.6), layout="constrained")
for name, build in {
    "sees detail": cm.build_discriminator,
    "levels alone": build_blind,
}.items():
    keras.utils.set_random_seed(seed)
    ax.plot(learn(build(config.shape, len(features.genres))), label=name)
ax.set(xlabel="step", ylabel="hinge loss")
ax.legend(frameon=False)
session.show_figure(
    fig,
    name="09_blind",
    alt="Loss over steps of two discriminators; the one that sees detail falls first.",
)

# %% [markdown]
# ## 2. Least squares in place of the hinge
#
# It pulls logits to 1 and to $-1$ from both sides; the hinge is content beyond.

# %% tags=["exercise"]
def least_squares(real_logits, fake_logits):
    """Loss of the discriminator from its logits of real clips and of fakes."""
    return ops.mean(ops.square(real_logits - 1.0)) + ops.mean(
        ops.square(fake_logits + 1.0)
    )

# %% tags=["check"]
real_logits = np.array([0.5, 1.0], np.float32)
fake_logits = np.array([-1.0, 0.0], np.float32)
found = float(least_squares(real_logits, fake_logits))
expected = 0.125 + 0.5
is_right = abs(found - expected) < 1e-5
print("right" if is_right else f"not yet: expected {expected}, got {found:.3f}")

# %% [markdown]
# ## 3. Without real clips under a wrong label
#
# `adversarial_losses` computes `fake_loss` from all four groups: `fake_logits[: 3 * count]` there leaves the fourth out. The weights
# of a whole training show the rest. Look at *swap* in `lab.evaluate_model` before and after, over more than one seed: on
# one alone the difference may be chance.

# %% [markdown]
# <!-- links: made by tools/badges.py -->
# The notebook: [09 discriminator](../09_discriminator.ipynb)
# <!-- end of links -->
