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
# # How few numbers hold eight beats of music, and why can't we sample them?
#
# <!-- links: made by tools/badges.py -->
# Previous: [01 prepare audio](01_prepare_audio.ipynb).
# Next: [03 vae](03_vae.ipynb).
# [Solutions](solutions/02_autoencoder.ipynb) of the exercises.
#
# *No library, says the set-up cell? **On Colab,** set `repository_zip` below to the address of the project's zip, or
# drag the zip into the Files pane and set `"/content/<its name>"`. **On Kaggle,** choose Add Input and take the data set
# of the project, or switch Internet on and set `repository_zip`. **In VS Code or on a laptop,** keep this file in the
# project's folder, run `make lab` there, or `make setup` and choose `.venv` as the kernel.*
# <!-- end of links -->
#
# **What you will hear at the end:** test clips, the same clips rebuilt from a short list of numbers, and the sound
# of a random list. (*Sample* in the title means draw at random.)
#
# **What you need to know:** what a log-mel picture is (notebook 01), what a matrix product does, and how gradients
# train a network.
#
# Numbers in the text are those of the composed (embedded) music, tables and figures those of your run.
#
# > **Time:** 2.7 minutes on 2 CPU cores with the shipped weights and features from the cache. Last full run:
# > 2026-11-29.

# %% tags=["parameters"]
data = "known"  # or the path of a folder of genres, or of FMA
seed = 0
repository_zip = ""
num_clips = 2400  # of the embedded music
weights = "pretrained"  # or "train", as always with other music
num_epochs = 12  # of each small model, in sections 3 and 9
num_steps = 300  # of the training in section 7, a minute or two
num_full_steps = 1440  # of the full training, where no weights are loaded

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
import math

import ipywidgets
import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import tensorflow as tf
from keras import layers, ops
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KNeighborsClassifier

from cvae_music import ClipModel, DiagonalGaussian

# %% [markdown]
# Networks get levels on the scale of notebook 01, from −1 to 1.

# %%
def some_clips(split, limit):
    """At most `limit` clips of a split: scaled pictures, genre indices, table."""
    part = features.subset(split)
    rows = np.linspace(0, len(part) - 1, min(limit, len(part))).astype(int)
    table = part.table.iloc[rows].reset_index(drop=True)
    return config.scale(part.log_mel[rows]), part.genre_index[rows], table


train, train_genre, _ = some_clips("train", 2000)  # the embedded music has fewer
held, held_genre, _ = some_clips("validation", 300)  # held back from training
test, test_genre, test_table = some_clips("test", 300)
num_cells = train[0].size
print(f"{len(train):,} training clips, {len(test)} test clips")
print(f"{num_cells:,} numbers in each clip")

# %% [markdown]
# ## 1. How much of a clip can be predicted?
#
# Hits and notes repeat, so many numbers of a clip may be predictable from the others. We look for a short list of
# numbers $z$ from which the picture $x$ can be rebuilt as $\hat x$. The **RMS error** in dB, over all $N$ cells of all
# clips, says what is lost:
#
# $$\text{error} = \sqrt{\frac1N \sum_i (x_i - \hat x_i)^2} .$$
#
# With no numbers at all, the answer to every clip is the average of the training clips.

# %%
def error_db(real, rebuilt):
    """RMS error in dB of scaled clips, as they are heard: between floor and ceiling."""
    return lab.reconstruction_rms_db(config.unscale(real), config.unscale(rebuilt))


average = train.mean(axis=0)
average_error = error_db(test, np.broadcast_to(average, test.shape))
span = config.ceiling_db - config.floor_db

# %% tags=["fold"]
# @title Guess: the error of the average clip
lab.guess(
    f"Levels lie in a range of {span:.0f} dB. How large is the RMS error when every "
    "clip is answered with the average clip?",
    average_error,
    "dB",
)

# %%
print(f"no numbers at all: error {average_error:.1f} dB, of a range of {span:.0f} dB")

# %% [markdown]
# ## 2. The baseline: PCA
#
# **Principal component analysis** ([PCA](glossary.md#pca)) finds the $k$ directions $W$ along which clips differ most.
# The list $z$ says how far the clip $x$ lies from the average clip $\mu$ along each of them. The way back adds up the
# directions:
#
# $$z = W^\top (x - \mu), \qquad \hat x = \mu + W z .$$
#
# No other *linear* way to use $k$ numbers has a smaller squared error on the training clips.

# %%
num_directions = min(256, len(train) - 1)
pca = PCA(num_directions, svd_solver="randomized", random_state=seed)
pca.fit(train.reshape(len(train), -1))


def pca_rebuild(clips, size):
    """Clips from their first `size` numbers."""
    directions = pca.components_[:size]  # (size, 16384), W transposed
    latent = (clips.reshape(len(clips), -1) - pca.mean_) @ directions.T  # (clips, size)
    return (pca.mean_ + latent @ directions).reshape(clips.shape)

# %%
sizes = (1, 2, 4, 8, 16, 32, 64, 96, 128, 192, 256)
sizes = [size for size in sizes if size <= num_directions]
pca_test = pd.Series({size: error_db(test, pca_rebuild(test, size)) for size in sizes})
pca_train = pd.Series(
    {size: error_db(train, pca_rebuild(train, size)) for size in sizes}
)
enough = pca_test.index[pca_test < average_error / 2]
half_size = enough.min() if len(enough) else np.nan

# %% tags=["fold"]
# @title Guess: how many numbers halve the error
lab.guess(
    f"How many numbers does PCA need to halve the error of {average_error:.1f} dB? "
    f"It was tried with {', '.join(map(str, sizes))}.",
    half_size,
    "numbers",
)

# %% tags=["fold"]
# @title Table: error of PCA by size
errors = {"test clips": pca_test, "training clips": pca_train}
pd.DataFrame(errors).rename_axis("numbers").T.rename_axis("error (dB)", axis=0).round(2)

# %% [markdown]
# What does an error in dB sound like? Compare with the table: 2 numbers keep the beat, 32 add bands of pitch, and
# 192 add notes that change.

# %%
def heard(picture, label, tempo=110.0):
    """A scaled picture as something to look at and to listen to."""
    level = config.unscale(picture)
    samples = cm.to_audio(level, config, tempo, seed=seed)
    return {"log_mel": level, "samples": samples, "label": label, "tempo": tempo}


def squeezed(clip, size):
    """A test clip, rebuilt by PCA from `size` numbers."""
    about = test_table.iloc[clip]
    label = f"{about['genre']}, {size} numbers"
    return heard(pca_rebuild(test[[clip]], size)[0], label, about["tempo"])

# %% tags=["fold"]
# @title Sound: one clip from few and from many numbers
cm.show_clips(
    [squeezed(0, size) for size in sizes[1::4]],
    config,
    name="02_pca",
    alt="One clip rebuilt by PCA from 2, 32 and 192 numbers: first a beat, then bands, then lines.",
)

# %% tags=["fold", "widget"]
# @title Slider: rebuild a test clip from as many numbers as you like
@ipywidgets.interact(
    numbers=ipywidgets.SelectionSlider(options=sizes, value=sizes[len(sizes) // 2]),
    clip=ipywidgets.IntSlider(0, 0, len(test) - 1, continuous_update=False),
)
def listen(numbers, clip):
    cm.show_clips(squeezed(clip, numbers), config)

# %% [markdown]
# More numbers help slowly. From 8 on, errors are smaller on training clips. Part of what PCA learned holds for them
# alone.

# %% [markdown]
# ## 3. A small autoencoder
#
# PCA adds up fixed pictures. A note at another pitch needs another picture, so PCA needs many numbers.
#
# An [**autoencoder**](glossary.md#autoencoder) has two networks. The **encoder** turns a clip into a short list of
# numbers, its [**latent**](glossary.md#latent) $z$. The **decoder** turns the latent back into a clip. Their common
# loss, the box *reconstruction* in the drawing, compares both clips. Notebooks 03 and 04 fill the grey outlines.

# %% tags=["fold"]
# @title Drawing: an autoencoder
lab.drawing("model_autoencoder")

# %% [markdown]
# The small autoencoder has dense layers only. The first looks at each beat alone, with the same weights for all, the
# second at the whole clip. GELU is a smooth ReLU.

# %%
def build_small(size):
    """Builds an encoder from a clip to `size` numbers, and a decoder back."""
    num_frames, num_bands = config.shape
    num_beats = num_frames // 16
    encoder = keras.Sequential(
        [
            keras.Input(config.shape),  # (batch, 128, 128)
            layers.Reshape((num_beats, 16 * num_bands)),  # (batch, 8, 2048)
            layers.Dense(96, activation="gelu"),  # (batch, 8, 96), each beat alone
            layers.Flatten(),  # (batch, 768)
            layers.Dense(size),  # (batch, size), the latent
        ]
    )
    decoder = keras.Sequential(
        [
            keras.Input((size,)),  # (batch, size)
            layers.Dense(num_beats * 96, activation="gelu"),  # (batch, 768)
            layers.Reshape((num_beats, 96)),  # (batch, 8, 96)
            layers.Dense(16 * num_bands),  # (batch, 8, 2048)
            layers.Reshape(config.shape),  # (batch, 128, 128)
        ]
    )
    return encoder, decoder

# %% [markdown]
# In `fit(clips, clips)` the input is also the answer. As PCA does, we first subtract the average clip.

# %%
unit = (train - average).std()  # dividing by it gives the levels spread 1


def train_small(size):
    """Trains a small autoencoder to give back what it is given."""
    keras.utils.set_random_seed(seed)
    both = keras.Sequential(build_small(size))
    num_small_steps = num_epochs * math.ceil(len(train) / 32)
    rate = keras.optimizers.schedules.CosineDecay(2e-3, num_small_steps)  # falls to 0
    both.compile(optimizer=keras.optimizers.Adam(rate), loss="mse")
    clips = (train - average) / unit
    both.fit(clips, clips, batch_size=32, epochs=num_epochs, verbose=0)
    return both


def small_rebuild(size, clips):
    """Clips through the small autoencoder of a size."""
    return small[size].predict((clips - average) / unit, verbose=0) * unit + average

# %%
small = {32: train_small(32)}  # size of the latent -> network

# %%
small_rebuilt = small_rebuild(32, test)
small_error = error_db(test, small_rebuilt)
same_pca = pca_rebuild(test, min(32, num_directions))
same_pca_error = error_db(test, same_pca)

# %% tags=["fold"]
# @title Guess: the small autoencoder against PCA
lab.guess(
    "Some seconds of training, 32 numbers: which has the smaller error on test clips?",
    "the network" if small_error < same_pca_error else "PCA",
    choices=["the network", "PCA"],
)

# %% tags=["fold"]
# @title Table: average clip, PCA and the small network
small_train_error = error_db(train, small_rebuild(32, train))
pd.DataFrame(
    {
        "numbers": [0, 32, 32],
        "error on test clips (dB)": [average_error, same_pca_error, small_error],
        "on training clips (dB)": [
            error_db(train, np.broadcast_to(average, train.shape)),
            error_db(train, pca_rebuild(train, min(32, num_directions))),
            small_train_error,
        ],
    },
    index=["average clip", "PCA", "small autoencoder"],
).round(2)

# %% tags=["fold"]
# @title Sound: a clip, from 32 numbers by PCA and by the small network
tempo = test_table["tempo"][0]
cm.show_clips(
    [
        heard(test[0], f"{test_table['genre'][0]}, all 16,384 numbers", tempo),
        heard(same_pca[0], "PCA, 32 numbers", tempo),
        heard(small_rebuilt[0], "small autoencoder, 32 numbers", tempo),
    ],
    config,
    name="02_small",
    alt="A clip with clear lines, and two blurred versions of it from 32 numbers, alike at first sight.",
)

# %% [markdown]
# With 32 numbers a short training beats PCA (6.60 against 6.70 dB).

# %% [markdown]
# ## 4. The networks of the series
#
# A dense layer has to learn a drum hit anew for every place in a beat. A **convolution** learns it once, because it
# slides the same weights along time.
#
# They work on [**tokens**](glossary.md#token), vectors that each describe a few frames. The numbers of a token are its
# [**channels**](glossary.md#channel). A [**residual block**](glossary.md#residual-block) computes something from its
# tokens and *adds* it to them.

# %% tags=["fold"]
# @title Drawing: the residual block
lab.drawing("residual_block")

# %% [markdown]
# Layer normalisation brings each token to mean 0 and spread 1. The convolution looks at a token and its two
# neighbours. A dense layer $A$ follows:
#
# $$u = (1 + s(c)) \odot \mathrm{norm}(x) + t(c), \qquad h = A\,\mathrm{gelu}(\mathrm{conv}\,u), \qquad \text{block}(x) = x + h .$$
#
# The gap in the drawing is the place of [**FiLM**](glossary.md#film) (Perez et al., 2018, arXiv:1709.07871), which only
# the decoder has (elsewhere $s = t = 0$). The [condition](glossary.md#condition) $c$ is a list of numbers about the
# whole clip. It becomes a scale $s$ and a shift $t$ for each channel, the same at all tokens.

# %%
def block(x, name, condition=None):
    """Adds a residual block of a convolution and a dense layer, modulated if asked."""
    width = x.shape[-1]  # x: (batch, tokens, width)
    # Every layer below but FiLM's keeps the shape (batch, tokens, width).
    h = layers.LayerNormalization(epsilon=1e-3, name=f"{name}_norm")(x)
    if condition is not None:  # (batch, 96)
        film = layers.Dense(2 * width, kernel_initializer="zeros", name=f"{name}_film")
        scale, shift = ops.split(film(condition)[:, None, :], 2, axis=-1)
        h = h * (1.0 + scale) + shift  # scale and shift: (batch, 1, width)
    h = layers.Conv1D(width, 3, padding="same", activation="gelu", name=f"{name}_conv")(
        h
    )
    small = keras.initializers.RandomNormal(stddev=0.01)
    h = layers.Dense(width, kernel_initializer=small, name=f"{name}_out")(h)
    return x + h  # (batch, tokens, width)

# %% [markdown]
# FiLM begins with zeros and the last layer near zero. A fresh block hands on nearly what it got, so a stack of them is
# trainable from the first step.

# %%
tokens = keras.Input((32, 64))
condition = keras.Input((16,))
one_block = keras.Model([tokens, condition], block(tokens, "demo", condition))
x = np.random.default_rng(seed).standard_normal((4, 32, 64)).astype(np.float32)
added = one_block([x, np.ones((4, 16))]) - x
print(f"a fresh block adds {np.std(added):.3f} to tokens of size {np.std(x):.2f}")
print(f"it has {one_block.count_params():,} weights")

# %% [markdown]
# ### The encoder
#
# The encoder cuts the picture into tokens of a quarter beat, merges them to half beats, and these to beats. The beats
# give the latent: 8 numbers for each beat, the [local](glossary.md#local-latent) part, and 32 for the whole clip, the
# [global](glossary.md#global-latent) part.

# %% tags=["fold"]
# @title Drawing: the encoder
lab.drawing("encoder")

# %%
def build_encoder(shape, global_dim, local_dim, width, depth, outputs_per_latent=1):
    """Builds the network from a clip to its latent, or to its posterior's parameters."""
    clip = keras.Input(shape, name="log_mel")  # (batch, 128, 128)
    # quarter beats: more tokens, so fewer channels
    x = layers.Conv1D(width - 32, 4, strides=4, name="patch")(clip)  # (batch, 32, 176)
    x = block(x, "quarter")  # (batch, 32, 176)
    x = layers.Conv1D(width, 2, strides=2, name="half_beat")(x)  # (batch, 16, 208)
    for index in range(depth):  # three blocks
        x = block(x, f"half_{index}")  # (batch, 16, 208)
    x = layers.LayerNormalization(epsilon=1e-3, name="norm")(x)  # (batch, 16, 208)
    # beats: (batch, 8, 128)
    beats = layers.Conv1D(128, 2, strides=2, activation="gelu", name="beat")(x)
    whole = layers.Dense(32, name="narrow")(beats)  # (batch, 8, 32)
    whole = layers.Flatten(name="whole")(whole)  # (batch, 256)
    whole = layers.Dense(128, activation="gelu", name="summary")(whole)  # (batch, 128)
    parts = []
    for index in range(outputs_per_latent):  # one here; a posterior (notebook 03) has two
        # global part: (batch, 32)
        parts.append(layers.Dense(global_dim, name=f"global_{index}")(whole))
        if local_dim:
            # local part: (batch, 8, 8), flattened to (batch, 64)
            local = layers.Dense(local_dim, name=f"local_{index}")(beats)
            parts.append(layers.Flatten()(local))
    return keras.Model(  # (batch, 128, 128) to (batch, 96)
        clip, layers.Concatenate(name="parameters")(parts), name="encoder"
    )

# %%
# The widths were found by trying.
encoder = build_encoder(config.shape, global_dim=32, local_dim=8, width=208, depth=3)
print(f"{encoder.count_params():,} weights")

# %% tags=["fold"]
# @title Table: shapes in the encoder
def shape_table(network, stages):
    """Names, meaning and shape of some stages of a network."""
    rows = {}
    for name, meaning in stages.items():
        shape = network.get_layer(name).output.shape[1:]
        rows[name] = {"meaning": meaning, "shape": " × ".join(map(str, shape))}
    return pd.DataFrame(rows).T.rename_axis("layer")


shape_table(
    encoder,
    {
        "log_mel": "frames × bands",
        "patch": "quarter beats × channels",
        "half_beat": "half beats × channels",
        "beat": "beats × channels",
        "global_0": "numbers of the whole clip",
        "local_0": "beats × numbers of each",
        "parameters": "the latent",
    },
)

# %% [markdown]
# ### The decoder
#
# The decoder goes the other way. A dense layer makes each token longer, and `Reshape` cuts it into two or four. The
# global part, `description` in the code, makes the first tokens and the condition of every block. The local part joins
# at its beat.

# %% tags=["fold"]
# @title Drawing: the decoder
lab.drawing("decoder")

# %%
SLOT_FRAMES = 16  # frames of one beat


def decode_layers(description, local, shape, width, depth):
    """Builds the decoder's trunk, from a clip's description and its beats to log-mel."""
    num_slots = shape[0] // SLOT_FRAMES  # 8 beats
    condition = layers.Dense(128, activation="gelu", name="condition_hidden")(
        description  # (batch, 32)
    )  # (batch, 128)
    condition = layers.Dense(96, activation="gelu", name="condition")(condition)
    x = layers.Dense(num_slots * 32, name="from_whole")(description)  # (batch, 256)
    x = layers.Reshape((num_slots, 32))(x)  # (batch, 8, 32): 32 numbers for each beat
    if local.shape[-1]:  # (batch, 64) becomes (batch, 8, 8)
        local = layers.Reshape((num_slots, local.shape[-1] // num_slots))(local)
        x = layers.Concatenate(name="beats")([x, local])  # (batch, 8, 40)
    x = layers.Dense(2 * width, name="beat")(x)  # (batch, 8, 416)
    x = layers.Reshape((num_slots * 2, width))(x)  # (batch, 16, 208): half beats
    for index in range(depth):
        x = block(x, f"half_{index}", condition)  # (batch, 16, 208)
    x = layers.Dense(2 * (width - 32), name="quarter")(x)  # (batch, 16, 352)
    x = layers.Reshape((num_slots * 4, width - 32))(x)  # (batch, 32, 176)
    for index in range(2):
        x = block(x, f"quarter_{index}", condition)  # (batch, 32, 176)
    x = layers.Dense(4 * shape[1], name="patch")(x)  # (batch, 32, 512)
    x = layers.Reshape(shape)(x)  # (batch, 128, 128): frames
    for index in range(2):
        x = block(x, f"frame_{index}", condition)  # (batch, 128, 128)
    return layers.Dense(shape[1], dtype="float32", name="log_mel")(x)  # same shape

# %%
def build_decoder(shape, global_dim, local_dim, width, depth):
    """Builds the network from a latent to scaled log-mel."""
    latent = keras.Input(
        (global_dim + shape[0] // SLOT_FRAMES * local_dim,), name="latent"
    )  # (batch, 96)
    whole = latent[:, :global_dim]  # (batch, 32); the rest is local: (batch, 64)
    log_mel = decode_layers(whole, latent[:, global_dim:], shape, width, depth)
    return keras.Model(latent, log_mel, name="decoder")

# %%
decoder = build_decoder(config.shape, global_dim=32, local_dim=8, width=208, depth=3)
there_and_back = decoder(encoder(test[:1]))
latent_size = encoder.output.shape[1]
print(f"{test[:1].shape} to {latent_size} numbers to {tuple(there_and_back.shape)}")
num_weights = encoder.count_params() + decoder.count_params()
print(f"{num_weights:,} weights, all of them still random")

# %% tags=["fold"]
# @title Table: shapes in the decoder
shape_table(
    decoder,
    {
        "latent": "the latent",
        "condition": "what every block is told",
        "beats": "beats × channels",
        "half_0_out": "half beats × channels",
        "quarter_0_out": "quarter beats × channels",
        "frame_0_out": "frames × channels",
        "log_mel": "frames × bands",
    },
)

# %% [markdown]
# ## 5. The loss: what training makes small
#
# First we ask for a small mean squared error $d$. Notebook 03 adds a term in [nats](glossary.md#nat), the unit of
# natural logarithms, so we write $d$ in nats too, as a [likelihood](glossary.md#likelihood). Each of the $D$ cells
# of a clip counts as a draw from a Gaussian around its rebuilt value, with one variance $\sigma^2$ for all:
#
# $$-\log p(x \mid z) = \frac D2 \Big(\log 2\pi\sigma^2 + \frac{d}{\sigma^2}\Big) .$$
#
# We may choose $\sigma^2$. The slope with respect to it is zero where $1/\sigma^2 = d/\sigma^4$, so the [best
# variance](glossary.md#optimal-variance) is $\sigma^2 = d$ (Rybkin et al., 2021, arXiv:2006.13202). With it,
#
# $$-\log p(x \mid z) = \frac D2 \big(\log 2\pi d + 1\big) \quad\text{nats.}$$

# %%
def optimal_variance_nll(distortion, num_values):
    """Computes the Gaussian negative log-likelihood at the best variance, in nats."""
    return 0.5 * num_values * (ops.log(2.0 * math.pi * (distortion + 1e-6)) + 1.0)

# %%
for error in (8.0, 4.0, 2.0):
    distortion = (error / config.db_per_unit) ** 2  # 35 dB are 1 on the scale from -1 to 1
    print(f"{error:.0f} dB: {optimal_variance_nll(distortion, num_cells):,.0f} nats")

# %% [markdown]
# Each halving of the error saves the same number of nats, $D \log 2$. A negative value is normal, because a density may
# exceed 1.
#
# Then we ask for detail. Where a network is unsure on which band a line lies, the smallest squared error is an average
# of the candidates, a blur. The [contrast loss](glossary.md#contrast-loss) therefore compares *how strong* the detail
# is, and not where it is. Detail $e$ (`mel_highpass`) is a level minus the average of the nine bands around it. Its
# strength in a block $b$ of 5 frames by 9 bands is $r_b(x) = \sqrt{\mathrm{mean}_b\, e^2}$:
#
# $$\text{contrast} = \mathrm{mean}_b \big(r_b(x) - r_b(\hat x)\big)^2 .$$

# %%
def moving_average_matrix(size, width):
    """Builds the matrix whose product with a signal is its moving average."""
    position = np.arange(size)
    distance = np.abs(position[:, None] - position[None, :])
    near = (distance <= width / 2).astype(np.float32)  # width 4 or 5: five values
    return near / near.sum(axis=1, keepdims=True)


def mel_highpass(log_mel):
    """Subtracts from each level the average of the nine bands around it."""
    average = moving_average_matrix(log_mel.shape[-1], 9)
    return log_mel - ops.matmul(log_mel, average.T)

# %%
print(moving_average_matrix(5, 3).round(2))
line = np.zeros((1, 1, 11), np.float32)
line[..., 5] = 9.0
print(np.array(mel_highpass(line))[0, 0].round(1))  # one line of 9: it stands out by 8

# %%
def contrast_loss(target, rebuilt):
    """Compares the strength of fine detail in blocks of 5 frames and 9 bands."""
    # one block at every second frame and every fourth band, so the blocks overlap
    over_time = moving_average_matrix(target.shape[1], 4)[2::2]  # (63, 128)
    over_bands = moving_average_matrix(target.shape[2], 8)[4::4].T  # (128, 31)

    def strength(log_mel):
        energy = ops.square(mel_highpass(log_mel))  # (batch, 128, 128)
        # 1e-5 keeps the slope of the root finite
        return ops.sqrt(ops.matmul(over_time, ops.matmul(energy, over_bands)) + 1e-5)

    return ops.mean(ops.square(strength(target) - strength(rebuilt)))

# %% [markdown]
# We test both losses on real clips, blurred over five bands or moved up by one.

# %%
blur = moving_average_matrix(config.n_mels, 5).T
spoiled = {"blurred": test @ blur, "moved by a band": np.roll(test, 1, axis=2)}
preference = {}
for name, clips in spoiled.items():
    preference[name] = {
        "squared error": np.mean((test - clips) ** 2),
        "contrast loss": float(contrast_loss(test, clips)),
    }
preference = pd.DataFrame(preference).T

# %% tags=["fold"]
# @title Guess: blurred or moved
lab.guess(
    "Which of the two has the smaller squared error?",
    preference["squared error"].idxmin(),
    choices=list(preference.index),
)

# %%
preference.round(4)

# %% [markdown]
# The squared error prefers the blurred clips, although their lines are smeared. The contrast loss prefers the moved
# clips, although every line is on the wrong band. Each of the two overlooks something, so training uses both.

# %% [markdown]
# ## 6. The model and its step
#
# The base class `ClipModel` checks shapes, works in batches (`encode`, `decode`), keeps metrics, and writes files.
# In notebook 03 the encoder answers with a Gaussian, the *posterior* of the clip. So `encode_posterior` returns a
# Gaussian here too, and `mode()` is its mean. Here the latent is one point, so the variance is next to nothing.

# %%
class Autoencoder(ClipModel):
    """Compresses a clip to a few numbers and rebuilds it; it has no prior to sample."""

    def __init__(
        self,
        audio_config=None,
        global_dim=32,
        local_dim=8,
        width=208,
        depth=3,
        contrast_weight=0.6,
        encoder=None,
        decoder=None,
        **kwargs,
    ):
        super().__init__(audio_config, **kwargs)
        self.global_dim = global_dim
        self.local_dim = local_dim
        self.width = width
        self.depth = depth
        self.contrast_weight = contrast_weight
        self.add_networks(encoder, decoder)

    def build_networks(self, *sizes):
        """Builds encoder and decoder; `sizes` are the arguments of `build_encoder`."""
        return build_encoder(*sizes), build_decoder(*sizes)

    def encode_posterior(self, log_mel, training=False):
        """Encodes clips; an autoencoder's posterior has next to no variance."""
        mean = self.encoder(log_mel, training=training)  # (batch, 96)
        # -20 is the logarithm of the variance
        return DiagonalGaussian(mean, ops.full_like(mean, -20.0))

    def decode_latent(self, latent, genre=None, training=False):
        """Decodes latents in a graph; the genre is for notebook 04."""
        return self.decoder(latent, training=training)  # (batch, 128, 128)

# %% [markdown]
# `reconstruction` is minus the log-likelihood. In `loss`, 0.6 times the contrast joins the squared error under the
# logarithm. With this term **`loss` is no likelihood** any more, so models are compared by `reconstruction`, in nats.

# %%
class Autoencoder(Autoencoder):  # goes on with the class above
    def reconstruction_losses(self, log_mel, rebuilt):
        """Compares clips with their reconstructions."""
        num_values = int(np.prod(self.audio_config.shape))
        squared_error = ops.mean(ops.square(log_mel - rebuilt))
        contrast = self.contrast_weight * contrast_loss(log_mel, rebuilt)
        return {
            "loss": optimal_variance_nll(squared_error + contrast, num_values),
            "reconstruction": optimal_variance_nll(squared_error, num_values),
            "rms_db": ops.sqrt(squared_error) * self.audio_config.db_per_unit,
        }

    def compute_losses(self, log_mel, genre=None, training=False):
        """Computes every term of the loss; training and evaluation share it."""
        latent = self.encode_posterior(log_mel, training).mode()  # (batch, 96)
        rebuilt = self.decode_latent(latent, genre, training)  # (batch, 128, 128)
        return self.reconstruction_losses(log_mel, rebuilt), rebuilt

# %% [markdown]
# Keras calls `train_step` for each batch. A *tape* records the computation and goes back over it for the gradient.
# The optimizer then moves the weights.

# %%
class Autoencoder(Autoencoder):
    def train_step(self, data):
        """Takes one step of gradient descent; returns the metrics so far."""
        log_mel, genre = self.unpack(data)  # by ClipModel, as is update_metrics
        with tf.GradientTape() as tape:
            losses, rebuilt = self.compute_losses(log_mel, genre, training=True)
            losses["loss"] += sum(self.losses)  # regularisers and add_loss; none here
            loss = self.optimizer.scale_loss(losses["loss"])  # for mixed precision only
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        return self.update_metrics(losses, log_mel, rebuilt)

    def test_step(self, data):
        """Computes the losses of one batch; returns the metrics so far."""
        log_mel, genre = self.unpack(data)
        losses, rebuilt = self.compute_losses(log_mel, genre, training=False)
        losses["loss"] += sum(self.losses)
        return self.update_metrics(losses, log_mel, rebuilt)

# %%
# From these settings section 8 builds the same model again.
class Autoencoder(Autoencoder):
    def get_config(self):
        """Returns the arguments of `__init__`, ready for `from_config`."""
        return {
            **super().get_config(),
            "global_dim": self.global_dim,
            "local_dim": self.local_dim,
            "width": self.width,
            "depth": self.depth,
            "contrast_weight": self.contrast_weight,
        }

# %% [markdown]
# ## 7. Train it
#
# The training clips come in batches of 32 and slightly **augmented**, for more variety: each is turned up or down
# by up to 3 dB, and a composed clip, a loop of two bars, may begin at its second bar.

# %%
keras.utils.set_random_seed(seed)
mine = Autoencoder(config, seed=seed)
batch_size = min(32, len(features.subset("train")))
batches = cm.make_dataset(features, "train", batch_size, seed=seed, augment=True)
watched = cm.make_dataset(features, "validation", batch_size)
log_mel, genre = next(iter(batches))
losses, _ = mine.compute_losses(log_mel)
print(log_mel.shape, {name: round(float(value), 2) for name, value in losses.items()})

# %% [markdown]
# The optimizer is **Adam**. Its learning rate **warms up** and then falls along a **cosine**. Random weights need small
# steps at first, because Adam does not know the usual size of the gradients yet. Small steps at the end let the weights
# settle. A gradient longer than 5 is **clipped** to that length. The model ends with a running **average** of its
# weights, because single steps jump about.

# %%
look_every = 20  # steps between two looks at the validation clips
num_looks = max(1, num_steps // look_every)
warmup = max(1, num_looks * look_every // 10)
schedule = keras.optimizers.schedules.CosineDecay(
    initial_learning_rate=5e-5,
    warmup_target=1e-3,
    warmup_steps=warmup,
    decay_steps=num_looks * look_every - warmup,
    alpha=0.02,
)
optimizer = keras.optimizers.Adam(
    schedule, global_clipnorm=5.0, use_ema=True, ema_momentum=0.97
)
mine.compile(optimizer=optimizer)

# %%
history = mine.fit(
    batches.repeat(),  # begins anew when all clips have been seen
    steps_per_epoch=look_every,
    epochs=num_looks,
    validation_data=watched,
    shuffle=False,
    verbose=0,
).history

# %%
def rebuild(model, clips):
    """Clips through encoder and decoder."""
    return model.decode(model.encode(clips).mode())


passes = num_looks * look_every * batch_size / len(train)
print(f"each training clip was seen {passes:.1f} times")
live = rebuild(mine, test)  # by the model that you trained
live_error = error_db(test, live)
same_size = pca_rebuild(test, min(mine.latent_dim, num_directions))
same_size_error = error_db(test, same_size)

# %% tags=["fold"]
# @title Guess: your model against PCA
lab.guess(
    f"The latent has {mine.latent_dim} numbers. Which has the smaller error on test "
    "clips: PCA with as many numbers, or your model after this short training?",
    "your model" if live_error < same_size_error else "PCA",
    choices=["your model", "PCA"],
)

# %% [markdown]
# Your model saw each clip five times, the small network of section 3 twelve times. Yours, at 7.69 dB, is behind both
# that network and PCA. In the picture its curves fall together. If the validation curve turned upwards, it would be
# learning clips by heart.

# %% tags=["fold"]
# @title Picture: error by step (training points are means of 20 steps, so they lag)
fig, ax = plt.subplots(figsize=(6.5, 3.2), layout="constrained")
steps = look_every * np.arange(1, len(history["rms_db"]) + 1)
for name, label, kind, line in (
    ("rms_db", f"training clips, mean of {look_every} steps", 0, "-"),
    ("val_rms_db", "validation clips", 4, "--"),
):
    look = {"color": cm.COLOURS[kind], "marker": cm.MARKERS[kind], "markersize": 4}
    ax.plot(steps, history[name], label=label, linestyle=line, **look)
ax.axhline(average_error, color="0.4", linestyle=":", label="average clip")
label = f"PCA, {mine.latent_dim} numbers"
ax.axhline(same_size_error, color="0.4", linestyle="-.", label=label)
ax.set(xlabel="steps of 32 clips", ylabel="error (dB)", ylim=(0, None))
ax.legend()
session.show_figure(
    fig,
    "02_learning",
    "Two curves that fall together from above the line of the average clip, and end above the line of PCA.",
)

# %%
print(f"after {num_looks * look_every} steps: {live_error:.2f} dB on test clips")
print(f"PCA with {mine.latent_dim} numbers: {same_size_error:.2f} dB")

# %% [markdown]
# ## 8. The shipped model
#
# The shipped model was trained longer, by `cm.train` with 1,440 steps, on **twice the clips**: 3,840 by the same
# composer, none of them yours. Its weights go into *your* class.

# %%
model = lab.open_model(
    "autoencoder", features, session, weights, num_steps=num_full_steps
)
twin = Autoencoder.from_config(model.get_config())
twin.set_weights(model.get_weights())
splits = {"train": train, "held": held, "test": test}
latents = {name: model.encode(clips).mode() for name, clips in splits.items()}
difference = np.abs(twin.encode(test).mode() - latents["test"]).max()  # 0: equal
print(f"largest difference between the latents: {difference:.1e}")

# %% [markdown]
# Blur is measured by the [**sharpness**](glossary.md#sharpness) of notebook 00, divided by that of real clips. Less
# than 1 is blur.

# %%
rebuilt = model.decode(latents["test"])
real_db = config.unscale(test)
model_error = error_db(test, rebuilt)


def sharpness_of(clips):
    """How far lines stand out along the mel axis, over that of real test clips."""
    return lab.sharpness_ratio(config.unscale(clips), real_db)


sharp = sharpness_of(rebuilt)
sharp_pca = sharpness_of(same_size)

# %% tags=["fold"]
# @title Guess: the error of the shipped model
lab.guess(
    f"PCA with {model.latent_dim} numbers leaves {same_size_error:.2f} dB. "
    "What does the shipped autoencoder leave?",
    model_error,
    "dB",
)

# %% [markdown]
# What are more clips worth to PCA? We also fit it on a quarter and on half of ours.

# %%
fewer = {}
for share in (4, 2, 1):
    part = train[::share]
    small_pca = PCA(min(model.latent_dim, len(part) - 1), random_state=seed)
    small_pca.fit(part.reshape(len(part), -1))
    latent = small_pca.transform(test.reshape(len(test), -1))
    again = small_pca.inverse_transform(latent).reshape(test.shape)
    fewer[f"PCA on {len(part):,} clips"] = error_db(test, again)

# %% tags=["fold"]
# @title Table: errors and sharpness, same number of latents
scores = pd.DataFrame({"error (dB)": fewer})
scores["sharpness"] = [np.nan] * (len(scores) - 1) + [sharp_pca]
scores.loc["yours"] = [live_error, sharpness_of(live)]
scores.loc["shipped autoencoder"] = [model_error, sharp]
scores = scores.round(2).rename_axis(f"{model.latent_dim} numbers a clip")
scores.astype(object).where(scores.notna(), "not measured")

# %% [markdown]
# The *round trip* is the real picture, turned into sound as the rebuilt ones are.

# %% tags=["fold"]
# @title Sound: a clip, its round trip, and three rebuilt versions
by_error = ((real_db - config.unscale(rebuilt)) ** 2).mean(axis=(1, 2)).argsort()
middle = by_error[len(by_error) // 2]
about = test_table.iloc[middle]
original = vars(cm.load_window(about, config)) | {"label": f"{about['genre']}, original"}
versions = {"round trip": test, "PCA": same_size, "yours": live, "shipped": rebuilt}
versions = [heard(clips[middle], name, about["tempo"]) for name, clips in versions.items()]
cm.show_clips(
    [original, *versions],
    config,
    name="02_rebuilt",
    alt="A clip and its round trip with clear lines; PCA and yours are blurred, the shipped one is sharper.",
)

# %% [markdown] tags=["lesson"]
# **What we learned.** With 96 numbers the shipped model leaves 4.67 dB, PCA 5.41 dB, and yours 7.69 dB. All three blur
# (sharpness 0.87, 0.75 and 0.58). PCA gains little from 960 to 1,920 clips (5.57 to 5.41 dB). For a network this was
# not measured.

# %% [markdown]
# ## 9. How few numbers?
#
# We train the small network of section 3 with 16, 32, 64 and 96 numbers.

# %%
small_sizes = (16, 32, 64, 96)
for size in small_sizes:
    if size not in small:
        small[size] = train_small(size)
small_clips = {size: small_rebuild(size, test) for size in small_sizes}

# %%
curve = {}
for size in small_sizes:
    curve[size] = {
        "PCA": error_db(test, pca_rebuild(test, min(size, num_directions))),
        "small network": error_db(test, small_clips[size]),
        "small network, training clips": error_db(train, small_rebuild(size, train)),
    }
curve = pd.DataFrame(curve).T.rename_axis("numbers")

# %% tags=["fold"]
# @title Guess: the error with six times the numbers
lab.guess(
    f"With 16 numbers the small network leaves {curve['small network'][16]:.2f} dB. "
    "What does it leave with 96?",
    curve["small network"][96],
    "dB",
)

# %% tags=["fold"]
# @title Table: error in dB by size of the latent
curve.T.round(2)

# %% tags=["fold"]
# @title Picture: error by size of the latent
fig, ax = plt.subplots(figsize=(6.5, 3.6), layout="constrained")
look = {"color": cm.COLOURS[0], "marker": cm.MARKERS[0]}
ax.plot(pca_test.index, pca_test, label="PCA", **look)
look = {"color": cm.COLOURS[2], "marker": cm.MARKERS[2], "linestyle": "--"}
ax.plot(curve.index, curve["small network"], label="small network", **look)
is_shipped = lab.uses_shipped_weights(session, weights)
full = "shipped, on twice the clips" if is_shipped else "full training"
for error, label, kind in (
    (live_error, "yours", 1),
    (model_error, full, 4),
):
    look = {"color": cm.COLOURS[kind], "marker": cm.MARKERS[kind], "markersize": 10}
    ax.plot(model.latent_dim, error, label=label, linestyle="", **look)
ax.axhline(average_error, color="0.4", linestyle=":", label="average clip")
ax.set_xscale("log", base=2)
ticks = [size for size in sizes if size != 192]  # too near to 256
ax.set_xticks(ticks, ticks)
ax.minorticks_off()
ax.set(xlabel="numbers in the latent", ylabel="error on test clips (dB)", ylim=(0, None))
ax.legend(fontsize="small", loc="lower left")
session.show_figure(
    fig,
    "02_error",
    "Errors fall with size; the small network is below PCA at 16 and 32 numbers and above it at 64 and 96.",
)

# %% tags=["fold"]
# @title Sound: one clip from 16, 32, 64 and 96 numbers
sounds = [heard(test[middle], f"{about['genre']}, all numbers", about["tempo"])]
for size in small_sizes:
    picture = small_clips[size][middle]
    sounds.append(heard(picture, f"small network, {size} numbers", about["tempo"]))
sounds.append(heard(rebuilt[middle], f"shipped, {model.latent_dim} numbers", about["tempo"]))
cm.show_clips(
    sounds,
    config,
    name="02_sizes",
    alt="One clip from 16 to 96 numbers: the hits stand from the start, more bands become clear with more numbers.",
)

# %% [markdown] tags=["lesson"]
# **What we learned.** Each step to more numbers lowers the error. With 16 numbers the small network is better than PCA
# (7.19 against 7.53 dB). With 96 it is worse (5.96 against 5.41 dB), even on its own training clips (5.64 dB). So it is
# too small, or it was trained too briefly.

# %% [markdown]
# ## 10. Do the numbers know the genre?
#
# The autoencoder was never told a genre. Is it in the latents anyway? A **nearest-neighbour** vote asks which genre the
# five training latents closest to a test latent have.

# %%
centre = latents["train"].mean(axis=0)
spread = latents["train"].std(axis=0) + 1e-6


def standard(latent):
    """Latents with each dimension at mean 0 and spread 1 over the training clips."""
    return (latent - centre) / spread


vote = KNeighborsClassifier(5).fit(standard(latents["train"]), train_genre)
accuracy = vote.score(standard(latents["test"]), test_genre)
chance = lab.chance(test_genre)

# %% tags=["fold"]
# @title Guess: the nearest-neighbour vote
lab.guess(
    f"Which share of the test clips gets the right genre? Chance is {chance:.0%}.",
    100 * accuracy,
    "%",
)

# %%
plane = PCA(2, random_state=seed).fit(standard(latents["train"]))
kept = plane.explained_variance_ratio_.sum()
print(f"right for {accuracy:.0%} of the test clips; chance is {chance:.0%}")
print(f"the plane below keeps {kept:.0%} of the variance of the latents")

# %% tags=["fold"]
# @title Picture: latents of test clips, along the two directions of largest spread
fig, ax = plt.subplots(figsize=(7, 4), layout="constrained")
points = plane.transform(standard(latents["test"]))
cm.plot_latent_map(points, test_genre, features.genres, ax, title="test clips")
ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), markerscale=1.5)
session.show_figure(
    fig,
    "02_latent_map",
    "Points of a genre lie together in patches, with gaps between some patches and overlaps between others.",
)

# %% [markdown]
# Genres overlap in the picture, because it shows two directions, while the vote uses all. This music makes it easy,
# because its genres differ by strict rules.

# %% [markdown]
# ## 11. Half-way between two clips
#
# The middle of a [walk](glossary.md#latent-walk) from latent $z_a$ to $z_b$ is $\frac12 (z_a + z_b)$, decoded. The dull
# alternative is a crossfade of the pictures, $\frac12 (\hat x_a + \hat x_b)$.

# %%
of_other_genre = by_error[test_genre[by_error] != test_genre[middle]]
other = of_other_genre[len(of_other_genre) // 2]
walk = model.decode((latents["test"][[middle]] + latents["test"][[other]]) / 2)
fade = (rebuilt[[middle]] + rebuilt[[other]]) / 2
apart = {
    "the two ends": error_db(rebuilt[[middle]], rebuilt[[other]]),
    "the two middles": error_db(walk, fade),
}

# %% tags=["fold"]
# @title Guess: how far the two middles are apart
lab.guess(
    f"The two ends are {apart['the two ends']:.1f} dB apart. "
    "How far is the middle of the walk from the middle of the crossfade?",
    apart["the two middles"],
    "dB",
)

# %% tags=["fold"]
# @title Picture: both middles and their difference
fig, axes = plt.subplots(1, 3, figsize=(12, 3.4), sharey=True, layout="constrained")
pictures = {"walk, middle": walk[0], "crossfade, middle": fade[0]}
for ax, (name, picture) in zip(axes, pictures.items(), strict=False):
    level = cm.plot_log_mel(config.unscale(picture), config, ax, title=name)
gap = cm.plot_log_mel(config.unscale(walk[0]), config, axes[2], title="walk − crossfade (red: walk louder)")
gap.set(data=(config.unscale(walk[0]) - config.unscale(fade[0])).T, cmap="RdBu_r")
gap.set_clim(-12, 12)
for ax in axes[1:]:
    ax.set_ylabel("")
fig.colorbar(level, ax=axes[1], label="level (dB)")
fig.colorbar(gap, ax=axes[2], label="difference (dB)")
session.show_figure(fig, "02_walk", "Two middles, much alike, and their difference.")

# %% tags=["fold"]
# @title Sound: both middles
ends = " and ".join(features.genres[test_genre[row]] for row in (middle, other))
cm.show_clips(
    [heard(walk[0], f"walk between {ends}"), heard(fade[0], f"crossfade between {ends}")],
    config,
    num_columns=2,
)

# %%
print({name: f"{distance:.1f} dB" for name, distance in apart.items()})
print(f"sharpness: walk {sharpness_of(walk):.2f}, crossfade {sharpness_of(fade):.2f}")

# %% [markdown]
# For this pair the two middles are 3.8 dB apart, the two ends 11.1 dB. The walk's is a little sharper (0.63 and 0.57).
# Notebook 03 compares many pairs.

# %% [markdown]
# ## 12. Fill the list at random
#
# If a latent makes a clip, a *random* latent should make a new one. We draw each dimension from a Gaussian of its own,
# with its centre and spread over the training clips. We call these draws the **box**, because its sides do not
# depend on each other.

# %%
rng = np.random.default_rng(seed)
box = centre + spread * rng.standard_normal((len(test), model.latent_dim))
draws = {"box": box}  # name -> latents
drawn = {"box": model.decode(box)}  # name -> clips

# %% tags=["fold"]
# @title Sound: two draws from the box
cm.show_clips(
    [heard(drawn["box"][number], f"box, draw {number}") for number in range(2)],
    config,
    name="02_box",
    num_columns=2,
    alt="Two draws from the box: every few beats the bands change, and hits have no regular pattern.",
)

# %% [markdown]
# The distance to the nearest training clip can be taken in dB, or in the inner numbers of a
# [**judge**](glossary.md#judge), a network that names genres. First a test: the average of all clips is a grey hum, so
# it must be *farther* from music than real clips.

# %%
judge = lab.open_judges(features, session, weights)["cnn"]


def nearest(points, references):
    """Distance of each point to the closest reference."""
    squares = (points**2).sum(axis=1)[:, None] + (references**2).sum(axis=1)
    squares = squares - 2.0 * points @ references.T
    return np.sqrt(np.maximum(squares.min(axis=1), 0.0))


def in_db(pictures):
    """Clips as points whose distance is the RMS difference in dB."""
    return config.unscale(pictures).reshape(len(pictures), -1) / np.sqrt(num_cells)


def in_judge(pictures):
    """Clips as the numbers in front of the judge's last layer."""
    return judge.embedding(np.clip(pictures, -1.0, 1.0))

# %%
train_in_judge = in_judge(train)
rulers = pd.DataFrame(index=["real validation clips", "average of all clips"])
rulers["in dB"] = [
    nearest(in_db(clips), in_db(train)).mean() for clips in (held, average[None])
]
rulers["to the judge"] = [
    nearest(in_judge(clips), train_in_judge).mean() for clips in (held, average[None])
]
rulers.round(2).rename_axis("distance to the nearest training clip")

# %% [markdown]
# In dB an average looks close to everything, so this ruler fails. The judge passes. We measure sharpness (1 is right)
# and three distances (smaller is better):
#
# - to the **nearest clip**, by the judge;
# - the [**return error**](glossary.md#return-error): the decoded clip is encoded again. Its squared distance from the
#   latent is divided by the variance of each dimension;
# - the [**Fréchet distance**](glossary.md#frechet-distance) to the test clips: the judge's numbers of both sets
#   count as Gaussians, compared by their means $m$ and covariances $C$:
#   $\lVert m_1 - m_2\rVert^2 + \mathrm{tr}\big(C_1 + C_2 - 2(C_1 C_2)^{1/2}\big)$.

# %%
def measure(clips, latent):
    """Sharpness, nearest clip, return error and Fréchet distance of decoded latents."""
    back = standard(model.encode(np.clip(clips, -1.0, 1.0)).mode())
    points = in_judge(clips)
    return {
        "sharpness": sharpness_of(clips),
        "nearest clip": nearest(points, train_in_judge).mean(),
        "return error": np.mean((back - standard(latent)) ** 2),
        "Fréchet distance": lab.frechet_distance(points, in_judge(test)),
    }


board = pd.DataFrame(
    {
        "real validation clips": measure(held, latents["held"]),
        "rebuilt clips": measure(model.decode(latents["held"]), latents["held"]),
        "box": measure(drawn["box"], box),
    }
).T
board.loc["real validation clips", "return error"] = np.nan  # nothing was decoded

# %%
# Two sets of real clips differ by chance, so even their Fréchet distance is not 0.
board.round(2)

# %% [markdown]
# To the judge the box is nearly as far from the nearest training clip as the grey hum. Sharpness shows little of this
# (0.78, rebuilt clips 0.89), because a clip can be sharp without being music.

# %% [markdown]
# ## 13. Holes, and a first remedy
#
# Each dimension of the box has the right centre and spread, but the draws ignore which values go *together*. If the
# training latents fill a small part of the space, most of the box lies outside it, in **holes** where the decoder was
# never trained.

# %%
real_points = standard(latents["train"])
box_points = standard(box)
far = {
    "test clips": nearest(standard(latents["test"]), real_points),
    "box": nearest(box_points, real_points),
}
ratio = np.median(far["box"]) / np.median(far["test clips"])
correlations = np.corrcoef(real_points.T)[np.triu_indices(model.latent_dim, 1)]
strongest = np.abs(correlations).max()

# %% tags=["fold"]
# @title Guess: how far the box is from the training latents
lab.guess(
    "How many times as far as a test clip is a draw of the box from the nearest training latent?",
    ratio,
    "times",
)

# %% tags=["fold"]
# @title Picture: the box and the training latents
fig, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
for name, points, look in (
    ("training clips", real_points, {"color": "0.6", "marker": "."}),
    ("box", box_points, {"color": cm.COLOURS[4], "marker": "x"}),
):
    axes[0].scatter(*plane.transform(points).T, s=14, label=name, **look)
for (name, distances), hatch, kind in zip(far.items(), ("", "//"), (0, 4), strict=True):
    look = {"color": cm.COLOURS[kind], "hatch": hatch, "alpha": 0.6}
    axes[1].hist(distances, bins=30, label=name, **look)
axes[0].set(title="two directions", xlabel="first direction", ylabel="second direction")
title = f"all {model.latent_dim} dimensions"
axes[1].set(title=title, xlabel="distance to the nearest training latent", ylabel="clips")
for ax in axes:
    ax.legend()
session.show_figure(
    fig,
    "02_holes",
    "Left: the box covers a small middle part of the cloud of training latents. "
    "Right: its distances to training latents are larger than those of test clips.",
)

# %%
first = plane.components_[:1].T  # the direction along which latents vary most
print(f"distance to training latents, box over test clips: {ratio:.1f}")
print(f"strongest correlation of two dimensions: {strongest:.2f}")
print(f"spread along the first direction: training {np.std(real_points @ first):.1f}")
print(f"spread along the first direction: box {np.std(box_points @ first):.1f}")

# %% [markdown]
# On the left the box seems to lie inside the cloud. But a direction adds up many dimensions. In training clips these
# vary together (two correlate by 0.84), so the sum has a large spread (3.9). In the box they partly cancel (1.0). On
# the right all 96 dimensions count, and nearly every draw is farther from the training latents than any test clip.
#
# A [**Gaussian mixture**](glossary.md#gaussian-mixture) can learn afterwards where the latents lie. It is a sum of $J$
# Gaussians with weights $\pi_j$, means $m_j$ and covariances $C_j$:
# $\sum_j \pi_j\, \mathcal N(z \mid m_j, C_j)$. We fit it to the training latents and draw from it (Ghosh et al.,
# 2020, arXiv:1903.12436). One Gaussian learns which values go together, several learn separate patches. We take the $J$
# that makes the validation latents most likely.

# %%
held_points = standard(latents["held"]).astype(np.float64)
mixtures = {}  # reg_covar below keeps every Gaussian from becoming too thin
for size in (1, 4, 8, 16):
    if size == 1 or size * 20 <= len(train):
        mixture = GaussianMixture(size, reg_covar=0.05, random_state=seed, max_iter=50)
        mixtures[size] = mixture.fit(real_points.astype(np.float64))
chosen = max(mixtures, key=lambda size: mixtures[size].score(held_points))

# %%
for name, size in (("one Gaussian", 1), (f"mixture of {chosen}", chosen)):
    sample, _ = mixtures[size].sample(len(test))  # sorted by component: shuffle them
    draws[name] = centre + spread * rng.permutation(sample)
    drawn[name] = model.decode(draws[name])
    board.loc[name] = measure(drawn[name], draws[name])
frechet = board["Fréchet distance"]
last = board.index[-1]
damage = frechet["box"] - frechet["rebuilt clips"]
repaired = (frechet["box"] - frechet[last]) / damage

# %%
print(f"{last}: {repaired:.0%} of the way from the box to rebuilt clips")
board.round(2)

# %% tags=["fold"]
# @title Sound: two draws from the mixture
cm.show_clips(
    [heard(drawn[last][number], f"{last}, draw {number}") for number in range(2)],
    config,
    name="02_mixture",
    num_columns=2,
    alt="Two draws from the mixture of Gaussians: clear hits at regular places, and lines.",
)

# %% [markdown] tags=["lesson"]
# **What we learned.** A draw of the box is 2.3 times as far from the training latents as a test clip, and its clips
# are far from music: their Fréchet distance is 47.8, that of rebuilt clips 6.0. One Gaussian goes more than half of
# the way back (23.1), the mixture 95 % (8.1). But the mixture's nearest clip is still at 4.53, that of real clips at
# 4.01, and it is no sharper than the box (0.78 and 0.78). We tried no more than 16 Gaussians.

# %% [markdown]
# The mixture comes afterwards, so the decoder was never trained on its draws. Notebook 03 asks the latents to lie
# where we want to sample *while* the networks learn. The distribution that they should have is called a prior.
#
# ## Is my run normal?
#
# These ranges are for the embedded music with shipped weights.

# %% tags=["fold"]
# @title Table: your run and the usual ranges
checks = pd.DataFrame(
    [
        ("error of the average clip (dB)", average_error, 10.0, 13.0),
        ("small network, 32 numbers (dB)", small_error, 5.5, 8.5),
        ("your model (dB)", live_error, 5.0, 9.0),
        ("shipped autoencoder (dB)", model_error, 2.0, 6.0),
        ("PCA's error less that of the shipped (dB)", same_size_error - model_error, 0.0, 4.0),
        ("sharpness of reconstructions", sharp, 0.6, 1.1),
        ("genre vote", accuracy, 0.6, 1.0),
        ("box over test clips, distance", ratio, 1.05, 4.0),
        ("repaired by the mixture", repaired, 0.1, 1.0),
    ],
    columns=["measure", "your run", "from", "to"],
)
normal = checks["your run"].between(checks["from"], checks["to"])
checks["normal"] = np.where(normal, "yes", "look")
checks.round(2)

# %% [markdown]
# All of this is one seed and one judge.
#
# ## Exercises
#
# 1. **Leave the latents** (5 minutes, easy). Add noise of growing size to the test latents. How does the return error
#    grow?
# 2. **Swap the parts** (15 minutes, medium). `hybrid` copies the latent of clip `middle` (section 8). Put the
#    global part of clip `other` (section 11) into it and listen. Then do so with the local part: first its mean over
#    the beats, then what each beat adds. Which part carries the sound, which the rhythm?
# 3. **A cooler box** (5 minutes, easy). Multiply the spread of the box by 0.5. What improves, what is lost?
# 4. **A loss of your own** (15 minutes, medium). Write a loss that compares the *steps* from each frame to the next. A
#    clip is a loop, so its last frame is followed by its first.

# %%
noise_size = 0.0  # exercise 1: try 0.25, 0.5, 1 and 2
noise = spread * rng.standard_normal(latents["test"].shape)
moved = latents["test"] + noise_size * noise
error = measure(model.decode(moved), moved)["return error"]
print(f"noise {noise_size}: return error {error:.2f}")

# %%
# exercise 2: take parts of latents["test"][other]
hybrid = latents["test"][middle].copy()
whole = hybrid[: model.global_dim]  # (32,)
beats = hybrid[model.global_dim :].reshape(model.num_slots, -1)  # (8, 8), a view
hybrid_clip = model.decode(hybrid[None])[0]

# %% tags=["fold"]
# @title Sound: the hybrid of exercise 2
cm.show_clips(heard(hybrid_clip, "hybrid"), config)

# %%
cooler = 1.0  # exercise 3: try 0.5
cool_latents = centre + cooler * (box - centre)
cool = measure(model.decode(cool_latents), cool_latents)
print({name: round(float(value), 2) for name, value in cool.items()})

# %% tags=["exercise"]
def onset_loss(target, rebuilt):
    """Mean squared difference between the steps of two batches of clips."""
    # exercise 4: compare steps, not levels; see ops.roll(x, -1, axis=1)
    return ops.mean(ops.square(target - rebuilt))

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
# ## Questions

# %% tags=["fold"]
# @title Question 1
lab.guess(
    "Why does a squared error lead to blur?",
    "because an average is never far from any candidate",
    choices=[
        "because the network has too few weights",
        "because an average is never far from any candidate",
        "because the mel bands are too wide",
    ],
)

# %% tags=["fold"]
# @title Question 2
lab.guess(
    "Each dimension of the box has the right centre and spread. What does the box lack?",
    "which values go together",
    choices=["enough variance", "which values go together", "a larger decoder"],
)

# %% tags=["fold"]
# @title Question 3
lab.guess(
    f"How many numbers does the latent of a shipped model have for each of the {model.num_slots} "
    "beats, without the global part?",
    model.local_dim,
    "numbers",
)

# %% [markdown] tags=["lesson"]
# ## The answer
#
# That depends on the error you accept. The average clip leaves 11.3 dB, a small network with 16 of 16,384 numbers 7.19
# dB. With 96, PCA leaves 5.41 dB and the shipped autoencoder 4.67 dB. Numbers drawn independently fail, because latents
# fill a small part of the space. The box is 2.3 times as far from training latents as test clips, and its Fréchet
# distance is 47.8 in place of 6.0. A mixture fitted afterwards brings it to 8.1.

# %% [markdown]
# <!-- links: made by tools/badges.py -->
# Previous: [01 prepare audio](01_prepare_audio.ipynb).
# Next: [03 vae](03_vae.ipynb).
# [Solutions](solutions/02_autoencoder.ipynb) of the exercises.
# <!-- end of links -->
