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
# # Does a discriminator make it sharp, and what does it cost?
#
# <!-- links: made by tools/badges.py -->
# Before: [08 studio](08_studio.ipynb).
# After: [10 your own music](10_your_own_music.ipynb).
# [Solutions](solutions/09_discriminator.ipynb) of the exercises.
#
# *No library, says the set-up cell? **On Colab,** set `repository_zip` below to the address of the project's zip, or
# drag the zip into the Files pane and set `"/content/<its name>"`. **On Kaggle,** choose Add Input and take the data set
# of the project, or switch Internet on and set `repository_zip`. **In VS Code or on a laptop,** keep this file in the
# project's folder, run `make lab` there, or `make setup` and choose `.venv` as the kernel.*
# <!-- end of links -->
#
# **What you will hear at the end:** the same latents, played by the conditional VAE of notebook 04, by the same model with
# its detail enlarged, and after a discriminator has told its decoder what looks painted.
#
# **What you need to know:** the conditional VAE, its listeners, prior and swap obedience (notebook 04), sharpness and
# the Fréchet distance (notebook 03). Every other term is defined where it first appears.
#
# > **Time:** 0.8 minutes on 2 CPU cores with the shipped weights; most of it goes into one live training. The whole
# > comparison is `python -m cvae_lab.studies.sweeps discriminator_known`. Last full run: 2026-11-27.

# %% tags=["parameters"]
data = "known"  # or the path of a folder of genres, or of FMA
seed = 0
repository_zip = ""
num_clips = 2400  # known-factor music only
weights = "pretrained"  # or "train"; other music is always trained on
num_steps = 60  # of the live training
num_full_steps = 1440  # of the first phase, where no weights are loaded; the second has a third of them

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
features = cm.build_features(cm.open_collection(data, num_clips=num_clips, seed=seed), config, session.cache_dir)

# %%
import ipywidgets as widgets
import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import tensorflow as tf
from IPython.display import display
from keras import layers, ops

from cvae_music import VAE, ConditionalVAE, moving_average_matrix  # what notebooks 02 to 04 wrote

# %% [markdown]
# ## 1. What is missing
#
# The student project that this series began with ended with one piece of advice: *add a discriminator*. A
# **discriminator** is a network that learns to tell real clips from made ones while the decoder learns to fool it
# (Goodfellow et al., 2014). Before we follow the advice, let us see what it should mend.
#
# A squared error is smallest for the average of all clips that fit. Where a decoder does not know on which frame a
# hi-hat falls, it paints a pale one on each. The contrast loss of notebook 02 softens this; the shipped model has it.
# **Sharpness** (notebook 03) measures what is left: how far levels stick out of their neighbours, as a share of what
# real clips have.

# %%
cvae = lab.open_model("cvae", features, session, weights, num_steps=num_full_steps)
test = features.subset("test")
rows = np.sort(np.random.default_rng(seed).permutation(len(test))[:200])
clips, genre = config.scale(test.log_mel[rows]), test.genre_index[rows]
latents, genres = cvae.encode(clips)[0], list(features.genres)
wanted = np.repeat(np.arange(len(genres)), 30)
draws = cvae.sample_latents(wanted, seed=seed)


# %%
def sharp(model, latents, genre):
    return lab.sharpness_ratio(config.unscale(model.decode(latents, genre)), config.unscale(clips))


rebuilt, new = sharp(cvae, latents, genre), sharp(cvae, draws, wanted)
lab.takeaway(
    f"Reconstructions have {rebuilt:.2f} of the sharpness of real clips, new clips {new:.2f}.",
    {"New clips lack most.": new < rebuilt < 1.0, "The rest of this notebook is about that gap.": True},
)

# %% [markdown]
# ## 2. First the cheap way: enlarge what is there
#
# Speech synthesis met the same blur, and had an answer long before there were discriminators: make what comes out vary as
# much as what should (the **global variance** of Toda and Tokuda, 2007). Ours takes what sticks out of its nine
# neighbours in frequency, and adds a share of it. Each band gets the share with which reconstructions of training clips
# vary as much about their surroundings as the clips do. Nothing is trained.


# %%
def detail(scaled):
    """What sticks out: levels minus their average over nine bands, of clips `(batch, num_frames, n_mels)`."""
    return scaled - ops.matmul(scaled, moving_average_matrix(scaled.shape[-1], 9).T)


class UnsharpMask(keras.layers.Layer):
    """Enlarges what sticks out of its surroundings until it varies as much as in music; does nothing until it is fitted."""

    def __init__(self, n_mels, **kwargs):
        super().__init__(trainable=False, dtype="float32", **kwargs)
        self.gain = self.add_weight(name="gain", shape=(n_mels,), initializer="zeros")
        self.built = True

    def fit(self, model, features):
        """Shares with which reconstructions vary as much about their surroundings as the clips do."""
        clips, genre = (part[:: 1 + len(part) // 1000] for part in features.arrays("train"))
        self.gain.assign(ops.zeros_like(self.gain))
        rebuilt = model.decode(model.encode(clips)[0], genre)
        spread = [np.sqrt(np.mean(np.square(detail(part)), axis=(0, 1))) for part in (clips, rebuilt)]
        self.gain.assign(np.maximum(spread[0] / spread[1] - 1.0, 0.0))

    def call(self, picture):
        return picture + self.gain * detail(picture)


# %% [markdown]
# `cm.go_on` makes the model of section 4 from a trained one and fits this layer. **Guess** the error in dB: is a
# reconstruction nearer to its clip when its detail is as strong as the clip's?

# %%
detailed = cm.go_on(cvae, features)
models = {"as it was": cvae, "detail enlarged": detailed}
both = pd.DataFrame(
    {
        name: {
            "sharpness of new clips": sharp(model, draws, wanted),
            "sharpness of reconstructions": sharp(model, latents, genre),
            "error (dB)": lab.reconstruction_rms_db(
                config.unscale(clips), config.unscale(model.decode(latents, genre))
            ),
        }
        for name, model in models.items()
    }
)
display(both.round(2))
first, second = both.loc["sharpness of new clips"]
lab.takeaway(
    f"Sharpness of new clips: {first:.2f} before, {second:.2f} with detail enlarged by {detailed.detail.gain.numpy().mean():.0%}.",
    {
        "The error rises: detail in the wrong place costs double.": second > first
        and both.iloc[2, 1] > both.iloc[2, 0],
        "And the error does not rise.": second > first,
        "It did not help.": True,
    },
)

# %% [markdown]
# ## 3. A discriminator that sees the blur
#
# Ours is convolutional and judges **patches** (Isola et al., 2017): each of its 16 x 16 verdicts sees 38 frames of
# 38 bands, so a few thousand clips give it millions of examples and it cannot learn clips by heart. It is told the
# label by **projection** (Miyato and Koyama, 2018): the verdict is a bias plus the product of the features with an
# embedding of the genre. And it is told where it is: two channels for the place in the beat, one for the band.
#
# What matters most is that it sees `detail`. Our first discriminator saw the levels alone and went on
# guessing, since blur is a small part of a level's variance. Given the level minus its average over nine bands, five
# times enlarged, it had it within 60. Exercise 1 lets you repeat that.


# %%
def build_discriminator(shape, num_genres, width=16):
    """Clip and genre to one verdict for each patch, high where it looks real, and the features of four layers."""
    clip, genre = keras.Input(shape, name="log_mel"), keras.Input((num_genres,), name="genre_weights")
    beat = np.pi / 8 * np.arange(shape[0])[:, None]
    place = np.broadcast_arrays(np.sin(beat), np.cos(beat), np.linspace(-1.0, 1.0, shape[1]))
    level = clip[..., None]
    place = ops.zeros_like(level) + np.stack(place, -1).astype("float32")
    x = layers.Concatenate()([level, 5.0 * detail(clip)[..., None], place])
    features = []
    for index, channels in enumerate((width, 2 * width, 4 * width, 4 * width)):
        size, step = (4, 2) if index < 3 else (3, 1)
        x = layers.Conv2D(channels, size, step, "same", kernel_initializer="he_normal", name=f"patch_{index}")(x)
        x = ops.maximum(x, 0.2 * x)  # leaky ReLU
        features.append(x)
    named = layers.Dense(4 * width, use_bias=False, name="genre")(genre)[:, None, None] / (4 * width) ** 0.5
    verdict = layers.Dense(1, name="real")(x)[..., 0] + ops.sum(x * named, axis=-1)
    return keras.Model([clip, genre], [verdict, *features], name="discriminator")


# %% [markdown]
# Both sides play for the **hinge loss**: the discriminator wants verdicts above 1 on real clips and below $-1$ on wrong ones,
#
# $$L_D = \mathbb{E}\,[1 - D(x, g)]_+ + \mathbb{E}\,[1 + D(\tilde x, \tilde g)]_+ , \qquad L_G = -\mathbb{E}\, D(\tilde x, \tilde g),$$
#
# the decoder wants them high. Four kinds of clips are wrong: reconstructions, clips with a changed label, new clips, and
# *real* clips with a wrong label (Reed et al., 2016). The last group makes it listen to the label: without it, whatever
# is sharp passes. Beside the verdict we use what the discriminator sees on the way: **feature matching** (Larsen et
# al., 2016) asks that a reconstruction looks to its layers as its original does.


# %%
def adversarial_losses(discriminator, real, wrong):
    """The losses of both sides, and how far reconstructions are from their clips in what the discriminator sees."""
    verdict, *wanted = discriminator(list(real))
    doubt, *seen = discriminator(list(wrong))
    count = ops.shape(doubt)[0] // 4
    pairs = [(ops.stop_gradient(there[::2]), here[:count]) for there, here in zip(wanted, seen, strict=True)]
    apart = [ops.mean(ops.abs(there - here)) / ops.mean(ops.abs(there)) for there, here in pairs]
    adversary = ops.mean(ops.relu(1.0 - verdict)) + ops.mean(ops.relu(1.0 + doubt))
    return {"adversary": adversary, "fooled": -ops.mean(doubt[: 3 * count]), "matching": sum(apart) / len(apart)}


# %% [markdown]
# New clips come from the mixtures of Gaussians that were fitted to the latents (notebook 03). A training step must draw
# from them inside its graph:


# %%
def draw_latents(density, weights, noise):
    """Latents of new clips from a `LatentDensity`; `weights` are one-hot rows of genres."""
    shares, means, factors = (ops.convert_to_tensor(value) for value in density.weights)
    component = keras.random.categorical(ops.log(ops.matmul(weights, shares) + 1e-9), 1, seed=noise)[:, 0]
    chosen = weights[:, :, None] * ops.one_hot(component, shares.shape[1])[:, None, :]
    mean, factor = (ops.tensordot(chosen, values, 2) for values in (means, factors))
    return mean + ops.einsum("bij,bj->bi", factor, keras.random.normal(ops.shape(mean), seed=noise))


# %% [markdown]
# ## 4. The model, with two optimisers
#
# The model goes on from a trained one, in a **second phase** as in RAVE (Caillon and Esling, 2021). The encoder is
# frozen: what a latent means stays, and so does the density of latents. The likelihood stays in the loss at
# 0.3 of its weight, as an anchor; the listeners go on as before.
#
# The genre shift of notebook 04 moves every latent, in training too; at the end `cm.train` fits `UnsharpMask` to what the duel
# left.
#
# One tape records one forward pass. From it come two gradients: that of the decoder's loss, for the decoder, and that of
# the discriminator's loss, for the discriminator. Each goes to its own optimiser.


# %%
class ConditionalVAEGAN(ConditionalVAE):
    metric_names = (*VAE.metric_names, "swap", "adversary", "fooled", "matching")

    def __init__(
        self, audio_config=None, genres=(), likelihood_weight=0.3, adversary_weight=600.0, matching_weight=1000.0,
        adversary_rate=1e-3, **kwargs,
    ):  # fmt: skip
        super().__init__(audio_config, genres, **kwargs)
        self.likelihood_weight, self.adversary_weight = likelihood_weight, adversary_weight
        self.matching_weight, self.adversary_rate = matching_weight, adversary_rate
        self.detail = UnsharpMask(self.audio_config.n_mels)
        self.discriminator = build_discriminator(self.audio_config.shape, self.num_genres)
        # What is trainable belongs to the first optimiser: the decoder and the listeners.
        self.encoder.trainable = self.discriminator.trainable = False
        self.adversary_optimizer = keras.optimizers.Adam(adversary_rate, beta_1=0.5)
        self.adversary_optimizer.build(self.discriminator.weights)

    def decode_latent(self, latent, genre=None, training=False):
        weights = self.genre_weights(genre)
        picture = self.decoder([self.shift(latent, weights), weights], training=training)
        return picture if training else self.detail(picture)

    def loss_terms(self, data, training):
        log_mel, weights = data[0], self.genre_weights(data[1])
        terms, latent, rebuilt = self.elbo_terms((log_mel, weights), training)
        lesson, terms["swap"] = self.listen(log_mel, rebuilt, latent, weights, training)
        asked = ops.roll(weights[::2], keras.random.randint((), 1, self.num_genres, seed=self.noise), axis=1)
        latents = ops.concatenate([latent[::2], draw_latents(self.latent_density, asked, self.noise)])
        made = self.decode_latent(latents, ops.tile(asked, (2, 1)), training)
        wrong = ops.concatenate([rebuilt[::2], made, log_mel[::2]])
        told = ops.concatenate([weights[::2], ops.tile(asked, (3, 1))])
        terms |= adversarial_losses(self.discriminator, (log_mel, weights), (wrong, told))
        terms["loss"] = self.likelihood_weight * terms["loss"] + self.swap_weight * terms["swap"] + lesson
        terms["loss"] += self.adversary_weight * terms["fooled"] + self.matching_weight * terms["matching"]
        return terms

    def train_step(self, data):
        with tf.GradientTape(persistent=True) as tape:
            terms = self.loss_terms(data, training=True)
            loss = self.optimizer.scale_loss(terms["loss"])
        ours, theirs = self.trainable_variables, self.discriminator.weights
        self.optimizer.apply(tape.gradient(loss, ours), ours)
        self.adversary_optimizer.apply(tape.gradient(terms["adversary"], theirs), theirs)
        return self.track(terms)


# %% [markdown]
# Our class, our training, one minute of it. `cm.go_on` makes the library's class; its code is what you see above, so we let
# it build and train that one. A callback keeps every step: the two sides of a duel are told apart by their curves.


# %%
class EveryStep(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.rows = []

    def on_train_batch_end(self, batch, logs=None):
        self.rows.append(logs)


keras.utils.set_random_seed(seed)
live, every = cm.go_on(cvae, features, seed=seed), EveryStep()
history = cm.train(live, features, num_steps, learning_rate=5e-4, seed=seed, callbacks=[every], verbose=0)

# %%
told = pd.DataFrame(every.rows)
fig, axes = plt.subplots(1, 3, figsize=(10, 2.6), layout="constrained")
for ax, name, title in zip(
    axes, ("adversary", "fooled", "matching"), ("discriminator", "decoder", "features apart"), strict=True
):
    ax.plot(1 + np.arange(len(told)), told[name], color=cm.COLOURS[0])
    ax.set(title=title, xlabel="step", ylabel="mean loss so far")
session.show_figure(
    fig, name="09_duel", alt="Three curves over the steps of the live training: discriminator, decoder, features."
)

# %% [markdown]
# At 2 the discriminator guesses: a hinge of 1 on each side. Below, it has learned to see. A curve that falls to 0 would mean that the
# decoder has lost; one that stays at 2, that there is nobody to learn from.
#
# ## 5. Listen
#
# From here on we import it: the shipped model had 480 steps. Each line is *one* latent: the model of notebook 04, with its
# detail enlarged, and after the duel.

# %%
gan = lab.open_model("cvaegan", features, session, weights, num_steps=num_full_steps)
models |= {"after the duel": gan}


def three(asked, number):
    start = cvae.sample_latents([genres.index(asked)], seed=number)[0]
    made = {name: vars(cm.make_clip(model, latent=start, genre=asked)) for name, model in models.items()}
    return [clip | {"label": f"{asked}, {name}", "seed": None} for name, clip in made.items()]


cm.show_clips(
    [clip for number, asked in enumerate(genres[:3]) for clip in three(asked, number)], config, name="09_threes",
    num_columns=3, alt="Spectrograms of one latent in each row: lines and hits are crisper with detail and after the duel.",
)  # fmt: skip


# %% tags=["widget"]
@widgets.interact(asked=genres, number=widgets.IntSlider(0, 0, 9, continuous_update=False))
def compare(asked, number):
    cm.show_clips(three(asked, number), config)


# %%
sharper = {name: sharp(model, draws, wanted) for name, model in models.items()}
lab.takeaway(
    f"The same latents: sharpness {sharper['as it was']:.2f}, detail enlarged {sharper['detail enlarged']:.2f}, after the "
    f"duel {sharper['after the duel']:.2f}.",
    {
        "The advice was good.": sharper["after the duel"] > sharper["as it was"],
        "Here the duel did not help.": True,
    },
)

# %% [markdown]
# ## 6. What did it cost, and would less have done?
#
# Rows of one sweep, each from models of three seeds: as they **were**, and without the **shift** of notebook 04; with
# **detail**; then 480 steps in three ways: **trained longer** as before, against the features of a **random**
# discriminator that never learns, and against the **discriminator**, whose row without detail says what the duel did alone.
# The judges are those of the series; they trained none of these models.
#
# **In sound** is another measure: clips go back to samples, real ones too, and a logistic regression on descriptors of
# the *samples*, level included, that learned from real training clips names their genre. Its ceiling is what it scores
# on real test clips that went the same way. *Fréchet of music* is what real training clips score against the test clips:
# distances of few clips never reach 0. The last column is the seconds of going on.

# %%
columns = {
    "sharpness_prior": "sharpness", "cnn_frechet": "Fréchet", "cnn_frechet_real": "Fréchet of music",
    "cnn_kernel": "kernel", "cnn_diversity": "diversity",
    "cnn_swap": "swap", "sound_swap": "swap in sound", "sound_prior": "prior in sound", "sound_real": "ceiling in sound",
    "reconstruction_rms_db": "error (dB)", "seconds": "seconds",
}  # fmt: skip


def means_of(name):
    rows = lab.read_rows(name)
    means = rows.groupby("name")[list(columns)].mean().rename(columns=columns)
    return means.assign(seeds=rows.groupby("name").size()).sort_values("sharpness")


known = means_of("discriminator_known")
display(known.round(2))

# %%
before, after, whole = known.loc["as it was"], known.loc["discriminator"], known.loc["discriminator and detail"]
lab.takeaway(
    f"Embedded music, the duel alone: sharpness {before['sharpness']:.2f} to {after['sharpness']:.2f}, kernel distance times "
    f"{after['kernel'] / before['kernel']:.2f}.",
    {
        "Sharper, and nearer to music.": after["sharpness"] > before["sharpness"]
        and after["kernel"] < before["kernel"],
        "Not both.": True,
    },
)

# %%
rivals = known.loc[["trained longer", "random features", "detail"]]
longer, random_ones, cheap = rivals["sharpness"]
lab.takeaway(
    f"Rivals: sharpness {longer:.2f} trained longer, {random_ones:.2f} with random features, {cheap:.2f} with detail.",
    {
        "The one that costs nothing is the sharpest.": rivals["sharpness"].idxmax() == "detail"
        and cheap > after["sharpness"],
        "None replaces somebody who learns to see.": rivals["sharpness"].max() < after["sharpness"],
        "Less would have done.": True,
    },
)

# %% [markdown]
# The same on **real music**, four styles, where it matters. (Nothing of it can be played here: the tracks are not ours.)

# %%
real = means_of("discriminator_real")
display(real.round(2))

# %%
least, before, after = real["Fréchet of music"].iloc[0], *real.loc[["as it was", "detail"], "Fréchet"]
lab.takeaway(
    f"Fréchet distance {before:.1f} as it was, {after:.1f} with detail; real training clips score {least:.1f}.",
    {
        "More than half of the way to music, and no step was trained.": after - least < 0.5 * (before - least),
        "Nearer to music.": after < before,
        "No nearer.": True,
    },
)

# %%
swaps = real["swap in sound"] / real["ceiling in sound"]
lab.takeaway(
    f"Real music, swaps in sound over their ceiling: {swaps['without shift']:.2f} without the shift, "
    f"{swaps['as it was']:.2f} with it, {swaps['discriminator and detail']:.2f} after the duel.",
    {
        "The shift helps, and detail costs nothing.": swaps["without shift"]
        < swaps["as it was"]
        <= swaps["discriminator and detail"],
        "The shift helps, detail costs.": swaps["without shift"] < swaps["as it was"],
        "Here neither is seen.": True,
    },
)

# %% [markdown]
# A share above 1 says that swaps are more typical of a genre than test clips are. Are our own descriptors fooled? We asked
# two networks from outside, trained to tag songs on MagnaTagATune (MTT) and the Million Song Dataset (MSD), about the models
# of real music (`tests/benchmarks/tagger.py`, means of three seeds). The *second* phase is the one against the discriminator;
# a layer in the column *without* is off.

# %%
taggers = lab.read_rows("obedience_taggers").fillna({"without": "nothing"})
taggers["phase"] = np.where(taggers["model"].str.startswith("second"), "second", "first")
shares = taggers.groupby(["tagger", "phase", "without"])[["real", "rebuilt", "swap", "prior"]].mean()
display(shares.round(2))

# %%
first = (shares["swap"] / shares["real"]).xs("first", level="phase").unstack()
lab.takeaway(
    f"Swaps over what these networks say of real clips: {first['shift'].mean():.2f} without the shift, "
    f"{first['nothing'].mean():.2f} with it.",
    {
        "They hear the old genre until the latent is moved.": (first["nothing"] > first["shift"]).all(),
        "One of them hears it.": (first["nothing"] > first["shift"]).any(),
        "They do not hear it.": True,
    },
)

# %% [markdown]
# ## Is my run normal?
#
# - In the live training the discriminator's loss begins near 2 and falls slowly; if it is below 0.5 after 60 steps, lower
#   `adversary_rate`.
# - The reconstruction error rises: the decoder no longer plays for it alone.
# - A loss of NaN stops the training with the last good weights in place, as always.
#
# ## What to take along
#
# - A discriminator sees what it is shown. Enlarge what is small and matters.
# - Four wrong kinds, two optimisers, one tape; a frozen encoder keeps latents, density and controls valid.
# - Measures have blind spots where their makers had them. Ask somebody from outside, then find the reason.
#
# ## Limits
#
# - Choices were made on this real music, with two tagging networks and descriptors of the samples as ears: for
#   this model they are no outside judges any more.
# - The discriminator judges two beats at a time. Nobody asks it whether eight beats make a phrase.
#
# ## Exercises
#
# 1. *10 minutes, easy.* Copy `build_discriminator` as `build_blind`, without `detail`. Train both for 60 steps against a decoder that stands still. Which
#    falls below a loss of 1 first?
# 2. *10 minutes, medium.* Least squares (Mao et al., 2017) in place of the hinge: write `least_squares` below,
#    $\mathbb{E}(D - 1)^2 + \mathbb{E}(\tilde D + 1)^2$. The cell after it checks.
# 3. *20 minutes, hard.* Leave the real clips with a wrong label out of `adversarial_losses`. Does swap obedience fall?
#
# **Next:** notebook 11 asks how a picture becomes sound again.


# %% tags=["exercise"]
def least_squares(verdict, doubt):
    """Loss of the discriminator from its verdicts on real and on wrong clips."""
    return ops.zeros(())  # yours


# %% tags=["check"]
verdict, doubt = np.array([0.5, 1.0], np.float32), np.array([-1.0, 0.0], np.float32)
found, expected = float(least_squares(verdict, doubt)), 0.125 + 0.5
print("right" if abs(found - expected) < 1e-5 else f"not yet: expected {expected}, got {found:.3f}")

# %% [markdown]
# <!-- links: made by tools/badges.py -->
# Before: [08 studio](08_studio.ipynb).
# After: [10 your own music](10_your_own_music.ipynb).
# [Solutions](solutions/09_discriminator.ipynb) of the exercises.
# <!-- end of links -->
