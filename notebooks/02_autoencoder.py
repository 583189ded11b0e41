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
# Before: [01 prepare audio](01_prepare_audio.ipynb).
# After: [03 vae](03_vae.ipynb).
# [Solutions](solutions/02_autoencoder.ipynb) of the exercises.
#
# *No library, says the set-up cell? **On Colab,** set `repository_zip` below to the address of the project's zip, or
# drag the zip into the Files pane and set `"/content/<its name>"`. **On Kaggle,** choose Add Input and take the data set
# of the project, or switch Internet on and set `repository_zip`. **In VS Code or on a laptop,** keep this file in the
# project's folder, run `make lab` there, or `make setup` and choose `.venv` as the kernel.*
# <!-- end of links -->
#
# **What you will hear at the end:** test clips beside what is left of them after a squeeze through a short list of
# numbers; a point half-way between two pieces; and what comes out when the list is filled at random, which is the
# reason for the next notebook.
#
# **What you need to know:** what a log-mel picture is (notebook 01), what a matrix product does, and that a network
# learns by following gradients. Every other term is defined where it first appears.
#
# > **Time:** 1 minute on 2 CPU cores with the shipped weights and features from the cache. Last full run: 2026-11-27.

# %% tags=["parameters"]
data = "known"  # or the path of a folder of genres, or of FMA
seed = 0
repository_zip = ""
num_clips = 2400  # known-factor music only
weights = "pretrained"  # or "train"; other music is always trained on
num_steps = 300  # of the training in section 5, about a minute
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

from cvae_music import (  # faster, with equal results
    ClipModel,
    DiagonalGaussian,
    FusedAdam,
    accelerate,
)

# %% [markdown]
# `lab.takeaway`, which you will meet below, prints what we learned with numbers that a cell has computed: on your own
# music the sentence changes with them.

# %%
def some_clips(split, limit):
    """Clips of a split spread over it, `limit` at most: scaled pictures, genre indices, rows of the table."""
    part = features.subset(split)
    rows = np.linspace(0, len(part) - 1, min(limit, len(part))).astype(int)
    return (
        config.scale(part.log_mel[rows]),
        part.genre_index[rows],
        part.table.iloc[rows].reset_index(drop=True),
    )


train, train_genre, _ = some_clips("train", 2000)
held, held_genre, _ = some_clips("validation", 300)
test, test_genre, test_table = some_clips("test", 300)
num_cells = train[0].size
print(
    f"{len(train):,} training clips, {len(test)} test clips, {num_cells:,} numbers in each"
)

# %% [markdown]
# ## 1. How much of a clip is news?
#
# A clip is a picture of time by mel bands. Most of its numbers are no news: bass follows bass, the second bar repeats
# the first. If a short list $z$ is enough to rebuild the picture $x$ as $\hat x$, the rest was repetition. What is
# lost we measure as the **RMS error** in dB over all $D$ cells of all clips,
#
# $$\text{error} = \sqrt{\frac1D \sum_i (x_i - \hat x_i)^2} .$$
#
# **Question.** How large is the error with *no* numbers at all, when every clip is answered with the average clip?
# **Guess** in dB.

# %%
def error_db(real, rebuilt):
    """RMS error in dB of scaled clips, as they are heard: between floor and ceiling."""
    return lab.reconstruction_rms_db(config.unscale(real), config.unscale(rebuilt))


average = train.mean(axis=0)
average_error = error_db(test, np.broadcast_to(average, test.shape))
span = config.ceiling_db - config.floor_db
lab.takeaway(
    f"Without a single number the error is {average_error:.1f} dB, of a range of {span:.0f} dB.",
    {
        "Clips have much in common.": average_error < span / 4,
        "These clips differ widely: there is much to say.": True,
    },
)

# %% [markdown]
# ## 2. The baseline: a flat sheet
#
# **Principal component analysis** (PCA) finds the $k$ directions $W$ along which clips differ most. The list is where
# a clip lies along them, and the way back is a sum of these directions:
#
# $$z = W^\top (x - \mu), \qquad \hat x = \mu + W z .$$
#
# Among all *linear* ways to use $k$ numbers, none has a smaller squared error on the training clips. It is the
# baseline that everything later has to beat. **Guess** how many numbers halve the error above.

# %%
num_directions = min(256, len(train) - 1)
pca = PCA(num_directions, svd_solver="randomized", random_state=seed).fit(
    train.reshape(len(train), -1)
)


def pca_rebuild(clips, size):
    """Clips from their first `size` numbers."""
    directions = pca.components_[:size]
    latent = (clips.reshape(len(clips), -1) - pca.mean_) @ directions.T
    return (pca.mean_ + latent @ directions).reshape(clips.shape)

# %%
sizes = [size for size in (1, 2, 4, 8, 16, 32, 64, 96, 128, 192, 256) if size <= num_directions]
pca_test = pd.Series({size: error_db(test, pca_rebuild(test, size)) for size in sizes}, name="test clips")
pca_train = pd.Series({size: error_db(train, pca_rebuild(train, size)) for size in sizes}, name="training clips")
pd.concat([pca_test, pca_train], axis=1).T.rename_axis("error (dB)").round(2)

# %%
half = pca_test.index[pca_test < average_error / 2]
lab.takeaway(
    f"{sizes[-1]} numbers leave {pca_test.iloc[-1]:.2f} dB.",
    {
        f"The error is halved from {half.min()} numbers on.": len(half) > 0,
        "None of these sizes halves the error.": True,
    },
)

# %% [markdown]
# What does an error in dB sound like? Three stops stand below; the slider after them rebuilds any test clip from as
# many numbers as you choose. **Question.** From how many on do you hear the beat, the bass, the tune?

# %%
def heard(picture, label, tempo=110.0):
    """A scaled picture as something to look at and to listen to."""
    level = config.unscale(picture)
    return {"log_mel": level, "samples": cm.to_audio(level, config, tempo, seed=seed), "label": label, "tempo": tempo}


def squeezed(clip, size):
    tempo = test_table["tempo"][clip]
    return heard(pca_rebuild(test[[clip]], size)[0], f"{test_table['genre'][clip]}, {size} numbers", tempo)


stops = [squeezed(0, size) for size in sizes[1::4]]
cm.show_clips(stops, config, name="02_pca", alt="One clip from few and from many numbers: the beat comes first.")

# %% tags=["widget"]
@ipywidgets.interact(
    numbers=ipywidgets.SelectionSlider(
        options=sizes, value=sizes[len(sizes) // 2], continuous_update=False
    ),
    clip=ipywidgets.IntSlider(0, 0, len(test) - 1, continuous_update=False),
)
def listen(numbers, clip):
    cm.show_clips(squeezed(clip, numbers), config)

# %% [markdown]
# ## 3. Bend the sheet: write the networks
#
# PCA can only add pictures up. Moving a note up by one semitone is no addition, nor is doubling the hi-hat: clips lie
# on a *curved* sheet. An **autoencoder** has two networks: the **encoder** turns a clip into the list $z$, called its
# **latent**, the **decoder** turns it back. You write both now. What you write is what the library runs, line for
# line.
#
# Time is their axis, mel bands are their channels. They work on **tokens**, vectors that each describe a few frames,
# and their brick is a residual block: it *adds* something to its tokens. A convolution looks at a token and its two
# neighbours. A GELU, which is a smooth ReLU, and a dense layer $A$ follow. Before them, norm brings each token to mean 0
# and spread 1:
#
# $$\text{block}(x) = x + A\,\mathrm{gelu}(\mathrm{conv}\,h), \qquad h = (1 + s(c)) \odot \mathrm{norm}(x) + t(c) .$$
#
# The second half is **FiLM**, feature-wise linear modulation (Perez et al., 2018, arXiv:1709.07871). A condition $c$,
# here a description of the whole clip, becomes a scale $s$ and a shift $t$ for each channel, the same at all tokens.
# With a scale it can open or close a channel everywhere at once: "this clip has a hi-hat". The decoder gets it in
# *every* block, so that no stage can do without it; in notebook 04 the genre comes in by the same door.

# %%
def block(x, name, condition=None):
    """Adds a residual block of a convolution and a dense layer, modulated if asked."""
    width = x.shape[-1]
    h = layers.LayerNormalization(epsilon=1e-3, name=f"{name}_norm")(x)
    if condition is not None:
        film = layers.Dense(2 * width, kernel_initializer="zeros", name=f"{name}_film")
        scale, shift = ops.split(film(condition)[:, None, :], 2, axis=-1)
        h = h * (1.0 + scale) + shift  # one scale and shift a channel, for all tokens
    h = layers.Conv1D(width, 3, padding="same", activation="gelu", name=f"{name}_conv")(
        h
    )
    small = keras.initializers.RandomNormal(stddev=0.01)
    h = layers.Dense(width, kernel_initializer=small, name=f"{name}_out")(h)
    return x + h

# %% [markdown]
# Both starting values matter. FiLM begins with zeros, so every scale is 1 and every shift 0, and the last layer
# begins near zero, so a fresh block hands on nearly what it got. A stack of them is then easy to train.

# %%
tokens = keras.Input((32, 64))
condition = keras.Input((16,))
one_block = keras.Model([tokens, condition], block(tokens, "demo", condition))
x = np.random.default_rng(seed).standard_normal((4, 32, 64)).astype(np.float32)
added = one_block([x, np.ones((4, 16))]) - x
print(
    f"a fresh block adds {np.std(added):.3f} to tokens of size {np.std(x):.2f}; {one_block.count_params():,} weights"
)

# %% [markdown]
# The encoder cuts the picture into tokens of a quarter beat, merges them to half beats, and again to beats. From the
# beats come the two parts of the latent. The *local* part gives each beat a few numbers of its own; the *global* part
# describes the whole clip. `outputs_per_latent` stays 1 here; notebook 03 asks for two.

# %%
def build_encoder(shape, global_dim, local_dim, width, depth, outputs_per_latent=1):
    """Builds the network from a clip to its latent, or to its posterior's parameters."""
    clip = keras.Input(shape, name="log_mel")  # (batch, 128, 128)
    x = layers.Conv1D(width - 32, 4, strides=4, name="patch")(clip)  # (batch, 32, 176)
    x = block(x, "quarter")
    x = layers.Conv1D(width, 2, strides=2, name="half_beat")(x)  # (batch, 16, 208)
    for index in range(depth):
        x = block(x, f"half_{index}")
    x = layers.LayerNormalization(epsilon=1e-3, name="norm")(x)
    beats = layers.Conv1D(128, 2, strides=2, activation="gelu", name="beat")(x)
    whole = layers.Dense(32, name="narrow")(beats)  # (batch, 8, 32)
    whole = layers.Flatten(name="whole")(whole)
    whole = layers.Dense(128, activation="gelu", name="summary")(whole)
    parts = []
    for index in range(outputs_per_latent):
        parts.append(layers.Dense(global_dim, name=f"global_{index}")(whole))
        if local_dim:
            local = layers.Dense(local_dim, name=f"local_{index}")(beats)
            parts.append(layers.Flatten()(local))
    return keras.Model(
        clip, layers.Concatenate(name="parameters")(parts), name="encoder"
    )

# %%
encoder = build_encoder(config.shape, global_dim=32, local_dim=8, width=208, depth=3)
stages = ["log_mel", "patch", "half_beat", "beat", "global_0", "local_0", "parameters"]
pd.DataFrame(
    {name: {"shape": str(encoder.get_layer(name).output.shape[1:])} for name in stages}
)

# %% [markdown]
# The decoder runs the other way: beats become half beats, quarter beats, frames, with blocks in between. From the
# global numbers come both the first tokens and the condition of every block; the local numbers join at their beat.

# %%
SLOT_FRAMES = 16  # frames of one beat


def decode_layers(description, local, shape, width, depth):
    """Builds the decoder's trunk, from a clip's description and its beats to log-mel."""
    num_slots = shape[0] // SLOT_FRAMES
    condition = layers.Dense(128, activation="gelu", name="condition_hidden")(
        description
    )
    condition = layers.Dense(96, activation="gelu", name="condition")(condition)
    x = layers.Dense(num_slots * 32, name="from_whole")(description)
    x = layers.Reshape((num_slots, 32))(x)  # (batch, 8, 32)
    if local.shape[-1]:
        local = layers.Reshape((num_slots, local.shape[-1] // num_slots))(local)
        x = layers.Concatenate(name="beats")([x, local])  # (batch, 8, 40)
    x = layers.Dense(2 * width, name="beat")(x)
    x = layers.Reshape((num_slots * 2, width))(x)  # half beats: (batch, 16, 208)
    for index in range(depth):
        x = block(x, f"half_{index}", condition)
    x = layers.Dense(2 * (width - 32), name="quarter")(x)
    x = layers.Reshape((num_slots * 4, width - 32))(x)  # (batch, 32, 176)
    for index in range(2):
        x = block(x, f"quarter_{index}", condition)
    x = layers.Dense(4 * shape[1], name="patch")(x)
    x = layers.Reshape(shape)(x)  # frames: (batch, 128, 128)
    for index in range(2):
        x = block(x, f"frame_{index}", condition)
    return layers.Dense(shape[1], dtype="float32", name="log_mel")(x)

# %%
def build_decoder(shape, global_dim, local_dim, width, depth):
    """Builds the network from a latent to scaled log-mel."""
    latent = keras.Input(
        (global_dim + shape[0] // SLOT_FRAMES * local_dim,), name="latent"
    )
    whole = latent[:, :global_dim]
    log_mel = decode_layers(whole, latent[:, global_dim:], shape, width, depth)
    return keras.Model(latent, log_mel, name="decoder")

# %%
decoder = build_decoder(config.shape, global_dim=32, local_dim=8, width=208, depth=3)
there_and_back = decoder(encoder(test[:1]))
print(
    f"{test[:1].shape} to {encoder.output.shape[1]} numbers to {tuple(there_and_back.shape)}"
)
print(
    f"{encoder.count_params() + decoder.count_params():,} weights, all of them random yet"
)

# %% [markdown]
# ## 4. Say what you want: the loss
#
# The first thing to ask for is a small mean squared error $d$. We write it as a likelihood, since the next notebook
# adds a second term and the two must be in one unit. Let each cell be a Gaussian around the rebuilt value. The
# variance that makes the clips most likely is $d$ itself, and with that (Rybkin et al., 2021, arXiv:2006.13202)
#
# $$-\log p(x \mid z) = \frac D2 \big(\log 2\pi d + 1\big) \quad\text{nats.}$$

# %%
def optimal_variance_nll(distortion, num_values):
    """Computes the Gaussian negative log-likelihood at the best variance, in nats."""
    return 0.5 * num_values * (ops.log(2.0 * math.pi * (distortion + 1e-6)) + 1.0)

# %%
errors = np.array([8.0, 4.0, 2.0])
nats = [
    float(optimal_variance_nll((error / config.db_per_unit) ** 2, num_cells))
    for error in errors
]
pd.Series(
    nats, index=[f"{error:.0f} dB" for error in errors], name="nats"
).to_frame().T.round(0)

# %% [markdown]
# Each halving of the error saves the same number of nats, $D \log 2$, however small the error is already. A negative
# value is normal: a density may exceed 1.
#
# The second thing to ask for is detail. Where a network is unsure on which band a line lies, the smallest squared
# error is a blur over all candidates. So we also compare *how strong* the detail is, without asking where exactly it
# is. Detail is what sticks out of its neighbours along the mel axis, $e = x - \bar x$, and its strength in a block
# $b$ of 4 frames by 8 bands is $r_b(x) = \sqrt{\mathrm{mean}_b\, e^2}$:
#
# $$\text{contrast} = \mathrm{mean}_b \big(r_b(x) - r_b(\hat x)\big)^2 .$$
#
# `mel_highpass` leaves the detail, each level less the average of nine bands around it. All averages are matrix
# products, many times faster than pooling.

# %%
def moving_average_matrix(size, width):
    """Builds the matrix whose product with a signal is its moving average."""
    position = np.arange(size)
    distance = np.abs(position[:, None] - position[None, :])
    near = (distance <= width / 2).astype(np.float32)
    return near / near.sum(axis=1, keepdims=True)


def mel_highpass(log_mel):
    """Subtracts from each level the average of the nine bands around it."""
    average = moving_average_matrix(log_mel.shape[-1], 9)
    return log_mel - ops.matmul(log_mel, average.T)

# %%
print(moving_average_matrix(5, 3).round(2))
line = np.zeros((1, 1, 11), np.float32)
line[..., 5] = 9.0
print(np.array(mel_highpass(line))[0, 0])  # one line of 9 dB: it stands out by 8

# %%
def contrast_loss(target, rebuilt):
    """Compares the strength of fine detail in blocks of 4 frames and 8 bands."""
    over_time = moving_average_matrix(target.shape[1], 4)[2::2]
    over_bands = moving_average_matrix(target.shape[2], 8)[4::4].T

    def strength(log_mel):
        energy = ops.square(mel_highpass(log_mel))
        return ops.sqrt(ops.matmul(over_time, ops.matmul(energy, over_bands)) + 1e-5)

    return ops.mean(ops.square(strength(target) - strength(rebuilt)))

# %% [markdown]
# A test before use: real clips blurred over five bands, against the same clips moved up by one band, with every line
# intact. **Guess** which of the two the squared error prefers.

# %%
spoiled = {"blurred": test @ moving_average_matrix(config.n_mels, 5).T, "moved": np.roll(test, 1, axis=2)}
preference = pd.DataFrame({
    name: {"squared error": np.mean((test - clips) ** 2), "contrast loss": float(contrast_loss(test, clips))}
    for name, clips in spoiled.items()
})
preference.round(4)

# %%
times = preference["blurred"] / preference["moved"]
lab.takeaway(
    f"Blurred clips have {times['squared error']:.2f} times the squared error of moved ones, and "
    f"{times['contrast loss']:.1f} times the contrast loss.",
    {
        "Squared error asks for blur, contrast for lines.": times["squared error"]
        < 1
        < times["contrast loss"],
        "The contrast loss asks for lines more strongly.": times["squared error"]
        < times["contrast loss"],
        "On these clips the contrast loss does not help.": True,
    },
)

# %% [markdown]
# ## 5. The model and its step
#
# Now the class. Its base `ClipModel` teaches nothing: it checks shapes, feeds NumPy arrays in batches (`encode`,
# `decode`), unpacks batches, keeps the metrics, and writes and reads files. An autoencoder's latent has no spread, so
# `encode_posterior` returns a variance of next to nothing beside the mean, and the genre passes through unused;
# notebooks 03 and 04 fill these places.

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
        mean = self.encoder(log_mel, training=training)
        return DiagonalGaussian(mean, ops.full_like(mean, -20.0))

    def decode_latent(self, latent, genre=None, training=False):
        """Decodes latents in a graph."""
        return self.decoder(latent, training=training)

# %% [markdown]
# `class Autoencoder(Autoencoder)` goes on with the class above. There are two losses. `reconstruction` is the
# likelihood alone; with it models are compared. `loss`, which training makes small, is the same formula with 0.6 times
# the contrast added to the squared error.

# %%
class Autoencoder(Autoencoder):
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
        latent = self.encode_posterior(log_mel, training).mode()
        rebuilt = self.decode_latent(latent, genre, training)
        return self.reconstruction_losses(log_mel, rebuilt), rebuilt

# %% [markdown]
# `train_step` is what Keras calls for each batch. A *tape* records the computation, goes back over it for the
# gradient of the loss by every weight, and the optimizer moves the weights.

# %%
class Autoencoder(Autoencoder):
    def train_step(self, data):
        """Takes one step of gradient descent; returns the metrics so far."""
        log_mel, genre = self.unpack(data)
        with tf.GradientTape() as tape:
            losses, rebuilt = self.compute_losses(log_mel, genre, training=True)
            losses["loss"] += sum(self.losses)  # regularisers and add_loss
            loss = self.optimizer.scale_loss(losses["loss"])  # mixed precision
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        return self.update_metrics(losses, log_mel, rebuilt)

    def test_step(self, data):
        """Computes the losses of one batch; returns the metrics so far."""
        log_mel, genre = self.unpack(data)
        losses, rebuilt = self.compute_losses(log_mel, genre, training=False)
        losses["loss"] += sum(self.losses)
        return self.update_metrics(losses, log_mel, rebuilt)

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
# The training clips come in batches of 32, in a new order each time, and a little **augmented**: each clip is turned
# up or down by up to 3 dB, and a composed clip, being a loop, may begin at its second bar. That is free variety:
# nobody hears another piece in it.

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
# The optimizer is **Adam**, with three habits. The learning rate **warms up** over the first tenth of the steps and
# then falls along a **cosine**: careful at first, fast, then fine. A gradient longer than 5 is **clipped** to that
# length, so one odd batch cannot throw the weights away. And the model ends with an **average** of its last weights
# (about the last tenth of the run), which lie in the middle of where single steps jump about.
# `FusedAdam` is Adam in fewer operations and `accelerate` writes out the slope of GELU; both save time and change no
# result.

# %%
def compile_model(model, num_steps, learning_rate=1e-3, jit_compile="auto"):
    """Compiles a model with Adam, warm-up, cosine decay, clipping and averaging."""
    warmup = max(1, num_steps // 10)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.05 * learning_rate,
        max(1, num_steps - warmup),
        alpha=0.02,
        warmup_target=learning_rate,
        warmup_steps=warmup,
    )
    momentum = max(0.0, min(0.995, 1.0 - 10.0 / max(1, num_steps)))
    optimizer = FusedAdam(
        schedule, global_clipnorm=5.0, use_ema=True, ema_momentum=momentum
    )
    # Built now: a restored backup finds its moments and averages in a built optimizer.
    optimizer.build(model.trainable_variables)
    # Keras starts averages at zero, and keeps zero where loss scaling skips all steps.
    averages = optimizer._model_variables_moving_average
    for average, weight in zip(averages, model.trainable_variables, strict=True):
        average.assign(weight)
    accelerate(model)
    model.compile(optimizer=optimizer, jit_compile=jit_compile)

# %%
look_every = 20  # steps
num_looks = max(1, num_steps // look_every)
compile_model(mine, num_looks * look_every)
history = mine.fit(
    batches.repeat(), steps_per_epoch=look_every, epochs=num_looks, validation_data=watched, shuffle=False, verbose=0
).history

# %% [markdown]
# **Is my run normal?** The curves should fall fast, then slowly, and lie together: a dashed curve that turns upwards
# while the solid one falls would mean that clips are learned by heart. **Guess** whether a minute beats PCA.

# %%
fig, ax = plt.subplots(figsize=(6.5, 3.2), layout="constrained")
steps = look_every * np.arange(1, len(history["rms_db"]) + 1)
ax.plot(steps, history["rms_db"], color=cm.COLOURS[0], marker=".", label="training clips")
ax.plot(steps, history["val_rms_db"], color=cm.COLOURS[4], marker=".", linestyle="--", label="validation clips")
same_size = pca_rebuild(test, min(mine.latent_dim, num_directions))
same_size_error = error_db(test, same_size)
ax.axhline(same_size_error, color="0.4", linestyle="-.", label=f"PCA, {mine.latent_dim} numbers")
ax.axhline(average_error, color="0.4", linestyle=":", label="average clip")
ax.set(xlabel="steps of 32 clips", ylabel="error (dB)", ylim=(0, None))
ax.legend()
session.show_figure(fig, "02_learning", "Two falling curves that lie together, and lines for the average clip and PCA.")

# %%
live = mine.decode(mine.encode(test).mode())
live_error = error_db(test, live)
lab.takeaway(
    f"After {num_looks * look_every} steps the error is {live_error:.2f} dB, that of PCA with as many numbers "
    f"{same_size_error:.2f} dB.",
    {
        "A minute is not enough: PCA knows the best flat sheet at once.": live_error
        > same_size_error,
        "A minute is enough to pass PCA.": True,
    },
)

# %% [markdown]
# ## 6. From here on we import it
#
# The weights that ship come from `cm.train`, which compiles as you did, trains for 1,440 steps, keeps a backup on
# disk and stops if the loss is no longer a number. First the proof that nothing is hidden: the shipped weights go
# into *your* class.

# %%
model = lab.open_model("autoencoder", features, session, weights, num_steps=num_full_steps)
twin = Autoencoder.from_config(model.get_config())
twin.set_weights(model.get_weights())
latents = {name: model.encode(clips).mode() for name, clips in (("train", train), ("held", held), ("test", test))}
print(f"largest difference of the latents: {np.abs(twin.encode(test).mode() - latents['test']).max():.1e}")

# %% [markdown]
# **Question.** How does the shipped one compare with PCA that may use as many numbers? **Guess** before you look.

# %%
rebuilt = model.decode(latents["test"])
real_db = config.unscale(test)
rebuilt_db = config.unscale(rebuilt)
model_error = error_db(test, rebuilt)
fig, ax = plt.subplots(figsize=(6.5, 3.4), layout="constrained")
ax.semilogx(pca_test.index, pca_test, color=cm.COLOURS[0], marker=cm.MARKERS[0], base=2, label="PCA")
for error, label, kind in ((live_error, "yours, after a minute", 1), (model_error, "shipped autoencoder", 4)):
    look = {"color": cm.COLOURS[kind], "marker": cm.MARKERS[kind], "markersize": 11, "linestyle": ""}
    ax.plot(model.latent_dim, error, label=label, **look)
ax.axhline(average_error, color="0.4", linestyle=":", label="average clip")
ax.set(xlabel="numbers in the latent", ylabel="error on test clips (dB)", ylim=(0, None))
ax.set_xticks(2 ** np.arange(9), 2 ** np.arange(9))
ax.legend()
session.show_figure(fig, "02_error", "PCA's error falls with the number of latents; two markers show the autoencoders.")

# %%
lab.takeaway(
    f"With {model.latent_dim} numbers the error is {model_error:.2f} dB, that of PCA {same_size_error:.2f} dB.",
    {
        "Bending pays, once it has had time to learn.": model_error < same_size_error,
        "The flat sheet wins: more steps or clips are needed.": True,
    },
)

# %% [markdown]
# Blur is a second thing to measure. **Sharpness** says how far lines stand out along the mel axis, over that of real
# clips: 1 is right, less is blur. Then listen: the recording, the recording after the trip into a picture and back
# (the fair comparison, since it has lost its phases too), and three rebuilt pictures. It is the clip of median error.

# %%
def sharpness_of(clips):
    """How far lines stand out along the mel axis, over that of real test clips."""
    return lab.sharpness_ratio(config.unscale(clips), real_db)


sharp_pca = sharpness_of(same_size)
sharp = sharpness_of(rebuilt)
by_error = np.sqrt(((real_db - rebuilt_db) ** 2).mean(axis=(1, 2))).argsort()
middle = by_error[len(by_error) // 2]
about = test_table.iloc[middle]
recording = cm.load_window(about, config)
versions = {"round trip": test, "PCA, same size": same_size, "yours, after a minute": live, "shipped": rebuilt}
clips = [{**vars(recording), "label": f"{about['genre']}, recording"}]
clips += [heard(pictures[middle], label, about["tempo"]) for label, pictures in versions.items()]
cm.show_clips(clips, config, name="02_rebuilt", alt="A recording, its round trip, three rebuilt versions.")

# %%
lab.takeaway(
    f"Sharpness is {sharp:.2f} for the autoencoder and {sharp_pca:.2f} for PCA.",
    {
        "Both blur, PCA more.": sharp_pca < sharp < 1,
        "Both blur, PCA less.": max(sharp, sharp_pca) < 1,
        "What is sharper than real clips is noise.": True,
    },
)

# %% [markdown]
# ## 7. What do the numbers know?
#
# Nobody told the autoencoder about genres. **Question.** Are they in the latents anyway? We look at the plane in
# which the latents vary most, and ask a **nearest-neighbour** vote: which genre do the five training latents closest
# to a test latent have? **Guess** the share of right answers.

# %%
centre = latents["train"].mean(axis=0)
spread = latents["train"].std(axis=0) + 1e-6


def standard(latent):
    """Latents with each dimension at mean 0 and spread 1 over the training clips."""
    return (latent - centre) / spread


plane = PCA(2, random_state=seed).fit(standard(latents["train"]))
vote = KNeighborsClassifier(5).fit(standard(latents["train"]), train_genre)
accuracy = vote.score(standard(latents["test"]), test_genre)
chance = lab.chance(test_genre)

# %%
fig, ax = plt.subplots(figsize=(6.5, 4.2), layout="constrained")
cm.plot_latent_map(
    plane.transform(standard(latents["test"])),
    test_genre,
    features.genres,
    ax,
    title="test clips",
)
session.show_figure(
    fig,
    "02_latent_map",
    "Points of a genre lie together, in patches with gaps and overlaps between them.",
)
lab.takeaway(
    f"The vote is right for {accuracy:.0%} of the test clips; chance is {chance:.0%}.",
    {
        "The genre is in the numbers, though nobody asked for it.": accuracy
        > (1 + chance) / 2,
        "Some of the genre is in the numbers.": accuracy > chance + 0.05,
        "The numbers say next to nothing of the genre.": True,
    },
)

# %% [markdown]
# ## 8. Between two clips
#
# A list of numbers can be mixed. With latents $z_a$ and $z_b$, walk from one to the other,
# $z_s = (1 - s)\, z_a + s\, z_b$, and decode. The dull alternative is a crossfade of the two pictures,
# $(1 - s)\, \hat x_a + s\, \hat x_b$.
#
# **Question.** Which half-way point sounds like a piece of its own? Listen, then **guess** which is nearer to real
# music.

# %%
def between(a, b, share):
    """Walk and crossfade between rows `a` and `b` of the test clips, `share` of the way along."""
    walk = model.decode((1 - share) * latents["test"][a] + share * latents["test"][b])
    return {"walk": walk, "crossfade": (1 - share) * rebuilt[a] + share * rebuilt[b]}


other = next(row for row in by_error[len(by_error) // 2 :] if test_genre[row] != test_genre[middle])
fig, axes = plt.subplots(2, 5, figsize=(13, 4.6), sharex=True, sharey=True, layout="constrained")
for column, share in enumerate(np.linspace(0.0, 1.0, 5)):
    for ax, (name, pictures) in zip(axes[:, column], between([middle], [other], share).items(), strict=True):
        image = cm.plot_log_mel(config.unscale(pictures[0]), config, ax, title=f"{name}, s = {share:.2f}")
        ax.label_outer()
fig.colorbar(image, ax=axes, label="level (dB)")
session.show_figure(fig, "02_walk", "Above a walk, below a crossfade: the same ends, and middles much alike.")

# %%
ends = " and ".join(features.genres[test_genre[row]] for row in (middle, other))
half_way = between([middle], [other], 0.5).items()
cm.show_clips(
    [heard(pictures[0], f"{name} between {ends}") for name, pictures in half_way],
    config,
    num_columns=2,
)

# %% [markdown]
# To measure nearness we need a ruler: the distance of a clip to the closest training clip. Take two. One is the RMS
# distance in dB. The other is taken in the ear of a **judge**, a small network that was trained to name genres, also
# of blurred and noisy copies, so that blur matters little to it (notebook 04 tells how). Its ear is the numbers in
# front of its last layer.
#
# Each ruler must first pass a control: the *average of all training clips*, a grey hum that is no music, must be
# farther from music than real clips that nothing was trained on.

# %%
judge = lab.open_judges(features, session, weights)["cnn"]


def nearest(points, references):
    """Distance of each point to the closest reference."""
    squares = (
        (points**2).sum(axis=1)[:, None]
        + (references**2).sum(axis=1)
        - 2.0 * points @ references.T
    )
    return np.sqrt(np.maximum(squares.min(axis=1), 0.0))


def in_db(pictures):
    return config.unscale(pictures).reshape(len(pictures), -1) / np.sqrt(num_cells)


def in_ear(pictures):
    return judge.embedding(np.clip(pictures, -1.0, 1.0))


rulers = {"in dB": (in_db, in_db(train)), "to the judge": (in_ear, in_ear(train))}

# %%
shuffled = np.random.default_rng(seed).permutation(len(test))
by_genre = shuffled[np.argsort(test_genre[shuffled], kind="stable")]  # neighbours are of one genre
mixed, alike = (rows[: len(test) // 2 * 2].reshape(-1, 2).T for rows in (shuffled, by_genre))
mixed = mixed[:, test_genre[mixed[0]] != test_genre[mixed[1]]]
alike = alike[:, test_genre[alike[0]] == test_genre[alike[1]]]
compared = {"real clips": held, "average of all clips": average[None]}
compared |= {f"middle of the {name}": pictures for name, pictures in between(*mixed, 0.5).items()}
compared["middle of the walk, one genre"] = between(*alike, 0.5)["walk"]

# %%
distance = {
    name: {ruler: nearest(view(clips), seen) for ruler, (view, seen) in rulers.items()}
    for name, clips in compared.items()
}
table = (
    pd.DataFrame(distance)
    .T.map(np.mean)
    .assign(sharpness=[sharpness_of(clips) for clips in compared.values()])
)
table.rename_axis("distance to the nearest training clip").round(2)

# %%
times = table.loc["average of all clips"] / table.loc["real clips"]
lab.takeaway(
    f"The average of all clips is {times['in dB']:.2f} times as far as real clips in dB, "
    f"{times['to the judge']:.2f} times to the judge.",
    {
        "In dB averages are near to everything: that ruler fails.": times["in dB"]
        < 1
        < times["to the judge"],
        "Both rulers pass.": min(times["in dB"], times["to the judge"]) > 1,
        "The judge's ear fails: trust no distance here.": True,
    },
)

# %% [markdown]
# In dB an average always has it good. For any clip $c$,
#
# $$\textstyle \big|c - \frac{a+b}2\big|^2 = \frac12|c-a|^2 + \frac12|c-b|^2 - \frac14|a-b|^2 :$$
#
# averaging two pictures brings them closer to *everything*, the more so the less they have in common. A crossfade is
# such an average, whatever it sounds like. So for this question we ask the judge.

# %%
walk, fade = (
    distance[f"middle of the {name}"]["to the judge"] for name in ("walk", "crossfade")
)
nearer = np.mean(fade - walk) > 2 * np.std(fade - walk) / np.sqrt(
    len(walk)
)  # by more than two standard errors
real = table.loc["real clips", "to the judge"]
lab.takeaway(
    f"To the judge the middle of the walk is {walk.mean():.2f} from music, of the crossfade {fade.mean():.2f}, "
    f"a real clip {real:.2f}.",
    {
        "The walk is a little nearer; neither is music.": nearer
        and walk.mean() > 1.2 * real,
        "The walk is nearer, and close to music.": nearer,
        "It hears no difference between the two that exceeds chance.": True,
    },
)

# %%
one_genre = table.loc["middle of the walk, one genre", "to the judge"]
lab.takeaway(
    f"Inside one genre the middle of the walk is {one_genre:.2f} from music.",
    {
        "There a walk stays among music; between genres it crosses empty land.": one_genre
        < 1.2 * real
        < walk.mean(),
        "There too it stays nearer than between two genres.": one_genre < walk.mean(),
        "That is no nearer than between two genres.": True,
    },
)

# %% [markdown]
# How different are the two ways at all? Send the crossfade through the *encoder* and see where it lands.

# %%
landed = standard(
    model.encode(np.clip(between(*mixed, 0.5)["crossfade"], -1.0, 1.0)).mode()
)
start, end = (standard(latents["test"][rows]) for rows in mixed)
missed = np.sqrt(
    np.mean((landed - (start + end) / 2) ** 2) / np.mean((start - end) ** 2)
)
lab.takeaway(
    f"The crossfade's latent misses the middle of the walk by {missed:.0%} of the distance between the ends.",
    {
        "Nearly linear: the walk is a crossfade, tidied by the decoder.": missed < 0.25,
        "The encoder bends: walk and crossfade go different ways.": True,
    },
)

# %% [markdown]
# ## 9. Fill the list at random
#
# If a latent makes a clip, a *random* latent should make a new one. The first idea: take the centre and the spread of
# each dimension over the training clips, and draw each from a Gaussian of its own. We call it the **box**.
#
# **Question.** Is a draw from the box music? **Guess**, then listen.

# %%
rng = np.random.default_rng(seed)
draws = {"box": centre + spread * rng.standard_normal((len(test), model.latent_dim))}
drawn = {"box": model.decode(draws["box"])}
clips = [heard(drawn["box"][number], f"box, draw {number}") for number in range(2)]
cm.show_clips(clips, config, name="02_box", num_columns=2, alt="Two draws from the box: hits at odd places.")

# %% [markdown]
# What we hear should be measurable. Beside sharpness and the nearest clip in the judge's ear we take
#
# - the **way home**: encode the decoded clip again. If the decoder made a clip that the encoder knows, it lands near
#   the latent it came from. The squared distance over the spread is 0 for a perfect return, and 1 when it is lost;
# - the **Fréchet distance** between two crowds of clips, one here the test clips: from their means $m$ and
#   covariances $C$ in the judge's ear, $\lVert m_1 - m_2\rVert^2 + \mathrm{tr}\big(C_1 + C_2 - 2(C_1 C_2)^{1/2}\big)$.
#   It is 0 for crowds that are alike on average and in how they vary. The row of real clips says how small it can get
#   with so few clips.

# %%
def measure(clips, latent):
    home = standard(model.encode(np.clip(clips, -1.0, 1.0)).mode()) - standard(latent)
    ear = in_ear(clips)
    return {
        "sharpness": sharpness_of(clips),
        "nearest clip": nearest(ear, rulers["to the judge"][1]).mean(),
        "way home": np.mean(home**2),
        "Fréchet distance": lab.frechet_distance(ear, in_ear(test)),
    }


board = pd.DataFrame(
    {
        "real validation clips": measure(held, latents["held"]) | {"way home": np.nan},
        "rebuilt clips": measure(model.decode(latents["held"]), latents["held"]),
        "box": measure(drawn["box"], draws["box"]),
    }
).T
board.round(2)

# %%
box = board.loc["box"]
kept = board.loc["rebuilt clips"]
lost = box["Fréchet distance"] > 2 * kept["Fréchet distance"]
lab.takeaway(
    f"The box's crowd is {box['Fréchet distance']:.1f} from music, that of rebuilt clips "
    f"{kept['Fréchet distance']:.1f}; its sharpness is {box['sharpness']:.2f}.",
    {
        "One measure says little: nonsense can be sharp.": lost
        and box["sharpness"] > 0.8 * kept["sharpness"],
        "The box loses the music, and its lines too.": lost,
        "On this music the box is hardly worse than rebuilt clips.": True,
    },
)

# %% [markdown]
# ## 10. Holes, and a first remedy
#
# Each dimension of the box has the right centre and spread. What it does not know is which values go *together*. The
# training latents fill a thin, bent part of the space, and most of the box lies between its folds: in **holes**,
# where the decoder was never asked for anything. **Question.** How far is a draw from the nearest training latent,
# compared with a real test clip? **Guess** the ratio.

# %%
clouds = {"training clips": latents["train"], "box": draws["box"], "test clips": latents["test"]}
looks = {"training clips": ("0.6", "."), "box": (cm.COLOURS[4], "x"), "test clips": (cm.COLOURS[0], "o")}
far = {name: nearest(standard(clouds[name]), standard(latents["train"])) for name in ("test clips", "box")}
fig, axes = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
for name in ("training clips", "box"):
    colour, marker = looks[name]
    axes[0].scatter(*plane.transform(standard(clouds[name])).T, s=12, color=colour, marker=marker, label=name)
for (name, distances), hatch in zip(far.items(), ("", "//"), strict=True):
    axes[1].hist(distances, bins=30, alpha=0.6, color=looks[name][0], hatch=hatch, label=name)
axes[0].set(xlabel="first direction", ylabel="second direction")
axes[1].set(xlabel="distance to the nearest training latent", ylabel="clips")
for ax in axes:
    ax.legend()
session.show_figure(fig, "02_holes", "The box seems to lie in the cloud, yet far from its points.")

# %%
ratio = np.median(far["box"]) / np.median(far["test clips"])
strongest = np.abs(
    np.corrcoef(standard(latents["train"]).T)[np.triu_indices(model.latent_dim, 1)]
).max()
lab.takeaway(
    f"A draw is {ratio:.1f} times as far from training latents as a test clip. Dimensions that it takes for "
    f"independent correlate up to {strongest:.2f}.",
    {"It falls into holes.": ratio > 1.1, "No holes to be seen.": True},
)

# %% [markdown]
# If we cannot know beforehand where the latents lie, we can look afterwards: fit a density to the training latents
# and draw from that. A **Gaussian mixture** describes a cloud as a sum of $J$ Gaussians with weights $\pi_j$, means
# $m_j$ and full covariances $C_j$, $q(z) = \sum_j \pi_j\, \mathcal N(z \mid m_j, C_j)$. This is **ex-post density
# estimation** (Ghosh et al., 2020, arXiv:1903.12436). With $J = 1$ it learns the correlations; with more, several
# patches. The validation latents choose $J$. **Guess** how much of the damage it repairs.

# %%
points = {
    name: standard(latent).astype(np.float64) for name, latent in latents.items()
}  # covariances need the digits
mixtures = {
    size: GaussianMixture(size, reg_covar=0.05, random_state=seed, max_iter=50).fit(
        points["train"]
    )
    for size in (1, 4, 8)
    if size * 20 <= len(train)
}
chosen = max(mixtures, key=lambda size: mixtures[size].score(points["held"]))
for name, size in (("one Gaussian", 1), (f"mixture of {chosen}", chosen)):
    sample, _ = mixtures[size].sample(
        len(test)
    )  # sorted by component, so they are shuffled
    draws[name] = centre + spread * rng.permutation(sample)
    drawn[name] = model.decode(draws[name])
    board.loc[name] = measure(drawn[name], draws[name])
board.round(2)

# %%
last = board.index[-1]
clips = [heard(drawn[last][number], f"{last}, draw {number}") for number in range(2)]
cm.show_clips(
    clips,
    config,
    name="02_mixture",
    num_columns=2,
    alt="Two draws from the mixture of Gaussians.",
)
frechet = board["Fréchet distance"]
repaired = (frechet["box"] - frechet[last]) / (
    frechet["box"] - frechet["rebuilt clips"]
)
lab.takeaway(
    f"The {last} goes {repaired:.0%} of the way from the box to rebuilt clips, to {frechet[last]:.1f}.",
    {
        "Most of the damage is repaired, afterwards and from outside.": lost
        and repaired > 0.5,
        "Part of the damage is repaired.": lost and repaired > 0,
        "It repairs nothing.": lost,
        "There was little to repair.": True,
    },
)

# %% [markdown]
# A patch put on afterwards: the autoencoder is still free to fold its latents as it likes, and the mixture has to
# follow with few clips in many dimensions. It would be better to ask for latents that lie where we want to sample
# *while* the networks learn. That demand is called a prior, and an autoencoder with a prior is a **variational
# autoencoder**.
#
# ## Is my run normal?
#
# The ranges are those of the embedded music with shipped weights. On other music errors are larger; the order should
# hold.

# %%
checks = pd.DataFrame(
    [
        ("error of the average clip (dB)", average_error, 10.0, 13.0),
        ("your model after a minute (dB)", live_error, 5.0, 9.0),
        ("shipped autoencoder (dB)", model_error, 2.0, 6.0),
        (
            "shipped autoencoder below PCA of the same size (dB)",
            same_size_error - model_error,
            0.0,
            4.0,
        ),
        ("sharpness of reconstructions", sharp, 0.6, 1.1),
        ("genre vote", accuracy, 0.6, 1.0),
        ("box over test clips, distance to training latents", ratio, 1.05, 4.0),
        ("repaired by the mixture, Fréchet distance", repaired, 0.1, 1.0),
    ],
    columns=["measure", "your run", "from", "to"],
)
checks["normal"] = np.where(
    checks["your run"].between(checks["from"], checks["to"]), "yes", "look"
)
checks.round(2)

# %% [markdown]
# A shipped autoencoder that does not beat PCA was trained for too few steps, or on too few clips: `num_full_steps` is
# the knob. An error that is small on training clips and large on test clips means that clips were learned by heart.
#
# ## What to take along
#
# - PCA is strong and costs seconds: measure it first. A network needs steps before its bend can pay.
# - An encoder, a decoder, a loss and a step of five lines are a whole model.
# - Test your ruler on something that is certainly bad. A distance between pictures favours averages.
# - Rebuilding well does not mean sampling well: between the latents there are holes. A density fitted afterwards
#   helps.
#
# **Limits.** One seed, one judge, and clips of eight beats. How far walk and crossfade differ is a finding about this
# model on this music, not a law.
#
# ## Exercises
#
# 1. **Turn a knob** (5 minutes, easy). How far may you leave a real latent before the way home is lost? Add noise of
#    growing size to the test latents and draw the curve.
# 2. **Swap the parts** (10 minutes, easy). Give one clip's global part to another clip's local part, decode, and
#    listen: which of the two carries the rhythm, which the sound?
# 3. **A cooler box** (5 minutes, easy). Multiply the spread of the box by 0.5 and measure again. Which measures
#    improve, and what do you lose?
# 4. **A loss of your own** (15 minutes, medium). Rhythm is change: write a loss that compares the *steps* from each
#    frame to the next. A clip is a loop, so its last frame is followed by its first. The cell below it says whether
#    yours is right.
#
# Solutions are in `solutions/02_autoencoder`. Next: notebook 03 writes the variational autoencoder on top of this
# class.

# %%
noise_size = 0.0  # exercise 1: try 0.25, 0.5, 1 and 2
moved = latents["test"] + noise_size * spread * rng.standard_normal(
    latents["test"].shape
)
print(
    f"noise {noise_size}: way home {measure(model.decode(moved), moved)['way home']:.2f}"
)

# %%
hybrid = latents["test"][
    middle
].copy()  # exercise 2: take the part after model.global_dim from latents["test"][other]
cm.show_clips(heard(model.decode(hybrid[None])[0], "hybrid"), config)

# %%
cooler = 1.0  # exercise 3: try 0.5
cool_latents = centre + cooler * (draws["box"] - centre)
print(
    {
        name: round(float(value), 2)
        for name, value in measure(model.decode(cool_latents), cool_latents).items()
    }
)

# %% tags=["exercise"]
def onset_loss(target, rebuilt):
    """Mean squared difference between the steps of two batches of clips, shape (clips, frames, bands)."""
    return ops.mean(
        ops.square(target - rebuilt)
    )  # exercise 4: compare steps, not levels; see ops.roll(x, -1, axis=1)

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
# <!-- links: made by tools/badges.py -->
# Before: [01 prepare audio](01_prepare_audio.ipynb).
# After: [03 vae](03_vae.ipynb).
# [Solutions](solutions/02_autoencoder.ipynb) of the exercises.
# <!-- end of links -->
