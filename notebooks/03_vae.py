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
# # What does a prior buy, and what does it cost?
#
# <!-- links: made by tools/badges.py -->
# Before: [02 autoencoder](02_autoencoder.ipynb).
# After: [04 conditional vae](04_conditional_vae.ipynb).
# [Solutions](solutions/03_vae.ipynb) of the exercises.
#
# *No library, says the set-up cell? **On Colab,** set `repository_zip` below to the address of the project's zip, or
# drag the zip into the Files pane and set `"/content/<its name>"`. **On Kaggle,** choose Add Input and take the data set
# of the project, or switch Internet on and set `repository_zip`. **In VS Code or on a laptop,** keep this file in the
# project's folder, run `make lab` there, or `make setup` and choose `.venv` as the kernel.*
# <!-- end of links -->
#
# **What you will hear at the end:** eight beats that nobody composed, drawn where the textbook says and drawn where the
# music lies; a walk from one piece to another; and a clip rebuilt with and without a prior.
#
# **What you need to know:** the autoencoder of notebook 02, what a Gaussian is, and what a gradient is for. Every other
# term is defined where it first appears.
#
# > **Time:** 1.1 minutes on 2 CPU cores with the shipped weights and features from the cache, half of them for two
# > trainings of your own. Last full run: 2026-11-27.

# %% tags=["parameters"]
data = "known"  # or the path of a folder of genres, or of FMA
seed = 0
repository_zip = ""
num_clips = 2400  # known-factor music only
weights = "pretrained"  # or "train"; other music is always trained on
num_steps = 120  # of each of the two trainings in section 7
num_full_steps = 1440  # of the full training, where no weights are loaded
num_judge_steps = 400  # of the judge, where none is loaded

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
import inspect
from typing import Any, NamedTuple

import ipywidgets
import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import tensorflow as tf
from IPython.display import display
from keras import ops
from sklearn.mixture import GaussianMixture


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

# %%
train, _, _ = some_clips("train", 2000)
held, _, _ = some_clips("validation", 300)
test, test_genre, test_table = some_clips("test", 300)
real_db = config.unscale(test)

# %% [markdown]
# ## 1. A promise
#
# Notebook 02 ended with a wish. An autoencoder never says where its latents lie; to make something new we had to look
# afterwards. A **variational autoencoder** (VAE) declares the place beforehand: a **prior**, a distribution of latents
# chosen before any music is heard, here the unit Gaussian $p(z) = \mathcal N(0, I)$, and a term in the loss that pulls
# the encoder towards it. Then a new clip is a draw from the prior, decoded.
#
# That is the promise. In this notebook you write the model, and then measure what becomes of the promise. **Guess**
# now: of four sources of clips (autoencoder or VAE, drawn at a plain Gaussian or where a density was fitted), which
# comes closest to music, and which is the worst?

# %% [markdown]
# ## 2. One inequality carries the whole model
#
# We want parameters under which the training clips are likely: a large $\log p(x)$, where $p(x) = \int p(x \mid z)\,
# p(z)\, dz$. For almost every $z$ the clip $x$ is impossible, so averaging over draws of $p(z)$ would never hit the few
# that matter. The encoder proposes where to look: a distribution $q(z \mid x)$, the **posterior** of the clip. Multiply
# and divide by it, and read the integral as a mean over $q$:
#
# $$\log p(x) = \log \mathbb E_{q}\!\left[\frac{p(x \mid z)\, p(z)}{q(z \mid x)}\right]
# \;\ge\; \underbrace{\mathbb E_{q}[\log p(x \mid z)]}_{-\text{reconstruction loss}}
# - \underbrace{\mathrm{KL}\big(q(z \mid x) \,\|\, p(z)\big)}_{\text{price of leaving the prior}} .$$
#
# The inequality is Jensen's: the logarithm of a mean is never below the mean of the logarithm. The right-hand side is
# the **evidence lower bound**, ELBO; what it lacks is $\mathrm{KL}(q(z \mid x) \,\|\, p(z \mid x))$, nothing when the
# proposal is right. **KL** is the Kullback–Leibler divergence, the mean of $\log q - \log p$ under $q$. All are counted
# in **nats**, the unit of information that goes with the natural logarithm.
#
# **Question.** Is the bound tight when the proposal is right? A model with one number for $z$ and one for $x$ can be
# solved on paper: $p(z) = \mathcal N(0, 1)$, $p(x \mid z) = \mathcal N(2z, 0.25)$, so $p(x) = \mathcal N(0, 4.25)$. The
# mean over $q$ of a squared distance is the squared distance of the means plus the variance; that is the second term of
# `likelihood` below. **Guess** how far below the truth the bound falls if the proposal's mean is off by 0.5.

# %%
def log_normal(value, mean, variance):
    return -0.5 * (np.log(2 * np.pi * variance) + (value - mean) ** 2 / variance)

# %%
x = 1.0
slope = 2.0
scatter = 0.25
log_evidence = log_normal(x, 0.0, slope**2 + scatter)
best_variance = 1.0 / (1.0 + slope**2 / scatter)
best_mean = best_variance * slope * x / scatter
means = np.linspace(-0.5, 1.5, 201)
likelihood = (
    log_normal(x, slope * means, scatter) - 0.5 * slope**2 * best_variance / scatter
)  # mean over q
elbo = likelihood - 0.5 * (means**2 + best_variance - 1.0 - np.log(best_variance))

# %%
fig, ax = plt.subplots(figsize=(6, 2.8), layout="constrained")
ax.plot(means, elbo, color=cm.COLOURS[0], label="ELBO")
ax.axhline(log_evidence, color="0.3", linestyle="--", label="log p(x), the truth")
ax.plot(best_mean, elbo.max(), "o", color=cm.COLOURS[4], label="the right proposal")
ax.set(xlabel="mean of the proposal q(z | x)", ylabel="nats")
ax.legend()
session.show_figure(fig, "03_elbo", "The ELBO is a parabola below a dashed line and touches it at one point.")

# %%
tight = log_evidence - elbo.max()
off = elbo.max() - np.interp(best_mean + 0.5, means, elbo)
lab.takeaway(
    f"The right proposal lies {tight:.3f} nats below the truth, one that is off by a half {off:.2f}.",
    {
        "Pushing the bound up improves the model and the proposal together.": tight
        < 0.01
        < off,
        "The bound is not tight: look for a slip in the formula.": True,
    },
)

# %% [markdown]
# ## 3. The price, dimension by dimension
#
# The encoder will return two numbers for each latent dimension: a mean $\mu_j$ and the logarithm of a variance
# $\sigma_j^2$. Against the unit Gaussian the KL has a closed form,
#
# $$\mathrm{KL}_j = \tfrac12\left(\mu_j^2 + \sigma_j^2 - 1 - \log \sigma_j^2\right),$$
#
# zero only for $\mu_j = 0, \sigma_j = 1$: then the dimension says nothing about the clip.

# %%
def gaussian_kl(mean, log_var):
    """Computes the KL divergence from the unit Gaussian of each dimension, in nats."""
    return 0.5 * (ops.square(mean) + ops.exp(log_var) - 1.0 - log_var)

# %%
rng = np.random.default_rng(seed)
mean = np.array([1.5, 0.0])
log_var = np.array([-2.0, 0.0])
drawn = mean + np.exp(0.5 * log_var) * rng.standard_normal((200_000, 2))
log_ratio = log_normal(drawn, mean, np.exp(log_var)) - log_normal(drawn, 0.0, 1.0)
by_formula = np.array(gaussian_kl(mean, log_var))
pd.DataFrame(
    {"closed form": by_formula, "mean over draws": log_ratio.mean(axis=0)}
).round(3)

# %% [markdown]
# ## 4. A gradient through a random draw
#
# The reconstruction term is a mean over draws of $z$. How does an error in the picture tell the encoder to move $\mu$,
# when a roll of dice lies between them? Put the dice outside:
#
# $$z = \mu + \sigma\,\varepsilon, \qquad \varepsilon \sim \mathcal N(0, 1).$$
#
# Now $z$ is an ordinary function of $\mu$ and $\sigma$, and the randomness is an input like any other: the
# **reparameterisation trick**. We test it on $\mathbb E[z^2] = \mu^2 + \sigma^2$, whose derivatives are known: $2\mu$,
# and $\sigma^2$ with respect to $\log\sigma^2$.

# %%
mu = tf.Variable(0.7)
log_variance = tf.Variable(-1.0)
with tf.GradientTape() as tape:
    epsilon = tf.random.stateless_normal((100_000,), seed=(seed, 1))
    average = tf.reduce_mean((mu + tf.exp(0.5 * log_variance) * epsilon) ** 2)
slopes = [float(gradient) for gradient in tape.gradient(average, [mu, log_variance])]
pd.DataFrame(
    {"through the draws": slopes, "on paper": [1.4, np.exp(-1.0)]},
    index=["mean", "log-variance"],
).round(3)

# %% [markdown]
# Mean, log-variance, draw and price belong together. We keep them in one small class, which is what the encoder will
# return. It unpacks as `mean, log_var = posterior`, and its **mode** is its most likely latent, the mean.

# %%
class DiagonalGaussian(NamedTuple):
    """A posterior of each clip: independent Gaussians, one for each latent dimension."""

    mean: Any
    log_var: Any

    def sample(self, seed=None):
        """Draws a latent of each clip by the reparameterisation trick."""
        noise = keras.random.normal(ops.shape(self.mean), seed=seed)
        return self.mean + ops.exp(0.5 * self.log_var) * noise

    def mode(self):
        """Returns the most likely latent of each clip, the mean."""
        return self.mean

    def kl(self):
        """Computes `gaussian_kl`, shape `(batch, latent_dim)`, in nats."""
        return gaussian_kl(self.mean, self.log_var)

# %%
posterior = DiagonalGaussian(np.float32([[1.5, 0.0]]), np.float32([[-2.0, 0.0]]))
print(
    "a draw", np.array(posterior.sample(seed=seed)), "price", np.array(posterior.kl())
)

# %% [markdown]
# ## 5. What else the model owns: a schedule and a density
#
# **A schedule** decides how much the price counts at each step, the **KL weight** $\beta$. `cm.get_schedule` makes one
# of a number or of a name with settings, and it has two methods: `next_weight` says what $\beta$ is now, `penalty` what
# is added to the loss, $\beta \sum_j \mathrm{KL}_j$. A number means `cm.Constant`. A **linear warm-up** begins at 0,
# since early in training the decoder is poor, a latent is not worth its price, and an encoder that finds this out may
# stop saying anything: **posterior collapse**, the subject of notebook 05, where the other schedules are put to work.

# %%
schedules = {
    "constant": cm.get_schedule(1.0),
    "linear warm-up": cm.get_schedule(
        {"name": "linear", "weight": 1.0, "warmup_steps": 200}
    ),
    "cyclical": cm.get_schedule(
        {"name": "cyclical", "weight": 1.0, "cycle_steps": 150}
    ),
}

# %%
steps = np.arange(0, 301, 5)
fig, ax = plt.subplots(figsize=(6, 2.6), layout="constrained")
for (name, schedule), style in zip(schedules.items(), ("-", "--", ":"), strict=True):
    ax.plot(steps, [float(schedule.next_weight(step, ops.ones(()), 0.0)) for step in steps], style, label=name)
ax.set(xlabel="training step", ylabel="KL weight")
ax.legend()
session.show_figure(fig, "03_schedules", "One weight stays at 1, one rises to 1 once, one rises twice.")

# %% [markdown]
# **A density** says where to draw. Before training it *is* the prior. After training it can be fitted to where the
# latents of the training clips came to lie: for each genre a mixture of Gaussians with shares $\pi_k$, means $m_k$ and
# covariances $C_k = L_k L_k^\top$ (this model has no label, so there is one mixture for all). A draw picks a Gaussian
# by its share and returns $m_k + t\, L_k\, \varepsilon$; the **temperature** $t$ scales how far from the typical it
# goes.
#
# It is a Keras layer so that it is saved with its model; nothing in it is trained by gradients. `fit` tries several
# numbers of Gaussians and keeps the one that makes held-out latents most likely.

# %%
MIXTURE_SIZES = (1, 2, 4, 8)  # numbers of Gaussians to try
CLIPS_PER_COMPONENT = 50  # at least


class LatentDensity(keras.layers.Layer):
    """A Gaussian mixture of latents for each genre, saved with its model."""

    def __init__(self, num_genres, latent_dim, num_components=8, **kwargs):
        kwargs.setdefault("trainable", False)
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.num_genres = num_genres
        self.latent_dim = latent_dim
        self.num_components = num_components
        self.build()

    def build(self, input_shape=None):
        shape = (self.num_genres, self.num_components)
        size = self.latent_dim
        self.shares = self.add_weight(shape, "zeros", name="shares")
        self.means = self.add_weight((*shape, size), "zeros", name="means")
        self.factors = self.add_weight((*shape, size, size), "zeros", name="factors")
        self.shares.assign(
            np.eye(1, self.num_components).repeat(self.num_genres, axis=0)
        )
        self.factors.assign(np.broadcast_to(np.eye(size), (*shape, size, size)))

    def fit(self, latents, genre, held_latents, held_genre, seed=0):
        """Fits every mixture, its size chosen by the likelihood of held-out latents."""
        shares = np.array(self.shares)
        means = np.array(self.means)
        factors = np.array(self.factors)
        chosen = []
        for index in range(self.num_genres):
            rows = latents[genre == index]
            held = held_latents[held_genre == index]
            if len(rows) < 2:
                chosen.append(0)
                continue
            most = min(self.num_components, max(1, len(rows) // CLIPS_PER_COMPONENT))
            fits = [
                GaussianMixture(size, reg_covar=0.02, random_state=seed, max_iter=60)
                for size in MIXTURE_SIZES
                if size <= most
            ]
            for mixture in fits:
                mixture.fit(rows)
            judged = held if len(held) else rows
            best = max(fits, key=lambda mixture: mixture.score(judged))
            size = best.n_components
            shares[index] = np.pad(best.weights_, (0, self.num_components - size))
            means[index, :size] = best.means_
            factors[index, :size] = np.linalg.cholesky(best.covariances_)
            chosen.append(size)
        self.set_weights([shares, means, factors])
        return chosen

# %% [markdown]
# `sample` draws with NumPy. `call` does the same inside a TensorFlow graph, for genres that are given as rows of
# weights; notebook 09 needs it.

# %%
class LatentDensity(LatentDensity):
    def sample(self, genre, rng, temperature=1.0):
        """Draws one latent for each genre index."""
        shares = np.array(self.shares, np.float64)
        means = np.array(self.means)
        factors = np.array(self.factors)
        latents = np.empty((len(genre), self.latent_dim), np.float32)
        for row, index in enumerate(genre):
            share = shares[index] / shares[index].sum()
            component = rng.choice(len(share), p=share)
            noise = factors[index, component] @ rng.standard_normal(self.latent_dim)
            latents[row] = means[index, component] + temperature * noise
        return latents

    def call(self, genre_weights, seed=None):
        """Draws one latent for each row of genre weights, inside a graph."""
        logits = ops.log(ops.matmul(genre_weights, self.shares) + 1e-9)
        component = keras.random.categorical(logits, 1, seed=seed)[:, 0]
        component = ops.one_hot(component, self.num_components)
        chosen = genre_weights[:, :, None] * component[:, None, :]
        mean = ops.tensordot(chosen, self.means, 2)
        factor = ops.tensordot(chosen, self.factors, 2)
        noise = keras.random.normal(ops.shape(mean), seed=seed)
        return mean + ops.einsum("bij,bj->bi", factor, noise)

    def get_config(self):
        """Returns the arguments of `__init__`, ready for `from_config`."""
        return {
            **super().get_config(),
            "num_genres": self.num_genres,
            "latent_dim": self.latent_dim,
            "num_components": self.num_components,
        }

# %% [markdown]
# Try it in two dimensions, on points that form two bars: it starts as the prior and learns the bars.

# %%
bars = rng.standard_normal((600, 2)) @ np.array([[1.0, 0.9], [0.0, 0.2]]) + rng.choice(
    [-2.0, 2.0], (600, 1)
) * [1, -1]
density = LatentDensity(1, 2)
whole = np.zeros(600, int)
draws = {"before": density.sample(whole, rng)}
sizes = density.fit(bars[:500], whole[:500], bars[500:], whole[500:])
draws[f"after: {sizes[0]} Gaussians"] = density.sample(whole, rng)
draws["temperature 0.3"] = density.sample(whole, rng, temperature=0.3)

# %%
fig, axes = plt.subplots(1, 3, figsize=(9, 2.8), sharex=True, sharey=True, layout="constrained")
for ax, (name, points) in zip(axes, draws.items(), strict=True):
    ax.plot(*bars.T, ".", color="0.75", label="latents")
    ax.plot(*points.T, ".", markersize=3, color=cm.COLOURS[0], label="draws")
    ax.set(title=name, xlabel="first dimension")
axes[0].legend()
session.show_figure(fig, "03_density", "Draws cover a disc before the fit, two bars after it, their centres at 0.3.")

# %% [markdown]
# ## 6. The model
#
# From notebook 02 come the networks and the class `Autoencoder`; the VAE changes what is different, and inherits the
# rest. Its methods, from the top:
#
# - `build_networks`: the encoder returns twice as many numbers, means and log-variances;
# - `encode_posterior`: the log-variance $v$ goes through a soft bound, $5 \tanh\frac{v + 3}5 - 3$, which hardly
#   changes it near $-3$ and never lets it leave $(-8, 2)$. Without a bound one training saw its KL jump from 80 to 257
#   nats within an epoch;
# - `elbo_losses` draws a latent as in section 4, takes `reconstruction_losses`, written in 02, and adds the penalty
#   $\beta \sum_j \mathrm{KL}_j$ to the loss. When it validates, it draws from a generator that begins anew each time,
#   so that two validations of one model give one number;
# - `sample_latents` draws from the density.
#
# **Our convention for $\beta$:** both terms in nats, **summed over cells and over latent dimensions, averaged over the
# batch**. With $\beta = 1$, `reconstruction` + `kl` is the negative ELBO. The `loss` is a little more, since training
# also asks for contrast (notebook 02). Code that takes means in place of sums quotes another number for the same model.

# %%
# The first three you wrote in notebook 02.
from cvae_music import Autoencoder, build_decoder, build_encoder, get_schedule


# %%
class VAE(Autoencoder):
    """Variational autoencoder with an optimal-variance Gaussian decoder."""

    metric_names = ("loss", "reconstruction", "rms_db", "kl", "kl_weight")
    outputs_per_latent = 2

    def __init__(self, audio_config=None, kl=1.0, **kwargs):
        super().__init__(audio_config, **kwargs)
        self.kl = get_schedule(kl)
        first = keras.initializers.Constant(self.kl.weight)
        self.kl_weight = self.add_weight((), first, name="kl_weight", trainable=False)
        num_mixtures = max(1, self.num_genres)
        self.latent_density = LatentDensity(num_mixtures, self.latent_dim)

    def build_networks(self, *sizes):
        return build_encoder(*sizes, outputs_per_latent=2), build_decoder(*sizes)

    def encode_posterior(self, log_mel, training=False):
        parameters = self.encoder(log_mel, training=training)
        mean, log_var = ops.split(ops.cast(parameters, "float32"), 2, axis=-1)
        # Bounded to (-8, 2): unbounded, the KL once went from 80 to 257 nats in an epoch.
        return DiagonalGaussian(mean, 5.0 * ops.tanh((log_var + 3.0) / 5.0) - 3.0)

    def elbo_losses(self, log_mel, genre, training):
        """Computes the loss of a VAE."""
        posterior = self.encode_posterior(log_mel, training)
        latent = posterior.sample(self.noise if training else self.validation_noise)
        rebuilt = self.decode_latent(latent, genre, training)
        kl_per_dimension = ops.mean(posterior.kl(), axis=0)
        kl = ops.sum(kl_per_dimension)
        step = 0 if self.optimizer is None else self.optimizer.iterations
        if training:
            next_weight = self.kl.next_weight(step, self.kl_weight.value, kl)
            self.kl_weight.assign(next_weight)
        kl_weight = ops.convert_to_tensor(self.kl_weight)
        losses = self.reconstruction_losses(log_mel, rebuilt)
        losses["kl"] = kl
        losses["kl_weight"] = kl_weight
        losses["loss"] += self.kl.penalty(kl_per_dimension, kl_weight, step)
        return losses, latent, rebuilt

    def compute_losses(self, log_mel, genre=None, training=False):
        losses, _, rebuilt = self.elbo_losses(log_mel, genre, training)
        return losses, rebuilt

    def sample_latents(self, genre, seed=0, temperature=1.0):
        """Draws latents of new clips from the fitted density, before that the prior."""
        genre = np.asarray(genre, np.int32)
        if not self.num_genres:
            genre = np.zeros_like(genre)
        rng = np.random.default_rng(seed)
        return self.latent_density.sample(genre, rng, temperature)

    def get_config(self):
        return {**super().get_config(), "kl": self.kl.get_config()}

# %% [markdown]
# There is no `train_step` in it. That of `Autoencoder` asks for `compute_losses`, whichever class it belongs to, and the
# loss of a VAE is all that a VAE's step needs. Here it is again, as it is inherited:

# %%
print(inspect.getsource(VAE.train_step))
fresh = VAE(config, seed=seed)
losses, _ = fresh.compute_losses(test[:8])
losses = {name: float(value) for name, value in losses.items()}
pd.Series(losses, name="before training").to_frame().T.round(2)

# %% [markdown]
# ## 7. Train it, at two prices
#
# As in notebook 02: Adam with a warm-up and a cosine decay of the learning rate, gradients clipped at length 5, weights
# averaged over the last tenth of the run, clips up to 3 dB louder or softer, loops beginning at any bar. The KL weight
# is constant, once 1 and once 10. At the end `cm.fit_latent_density` draws one latent from the posterior of each
# training clip and calls your `fit` with them.
#
# **Question.** What does the tenfold price change? **Guess** the direction for the KL, and for the error in dB.

# %%
look_every = 15  # steps
num_looks = max(1, num_steps // look_every)
batch_size = min(32, len(features.subset("train")))


def trained(kl):
    """A VAE after the short training, and its curves."""
    keras.utils.set_random_seed(seed)
    model = VAE(config, kl=kl, seed=seed)
    cm.compile_model(model, num_looks * look_every)
    clips = cm.make_dataset(
        features, "train", batch_size, seed=seed, augment=True
    ).repeat()
    watched = cm.make_dataset(features, "validation", batch_size)
    plan = {
        "steps_per_epoch": look_every,
        "epochs": num_looks,
        "validation_data": watched,
    }
    run = model.fit(clips, **plan, shuffle=False, verbose=0)
    cm.fit_latent_density(model, features, seed)
    return model, pd.DataFrame(run.history)

# %%
live = {}
curves = {}
for kl in (1.0, 10.0):
    live[kl], curves[kl] = trained(kl)

# %%
fig, axes = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
for (kl, curve), colour in zip(curves.items(), cm.COLOURS, strict=False):
    steps = look_every * np.arange(1, len(curve) + 1)
    for ax, name in zip(axes, ("rms_db", "kl"), strict=True):
        ax.plot(steps, curve[name], color=colour, marker=".", label=f"KL weight {kl:g}, training")
        ax.plot(steps, curve[f"val_{name}"], color=colour, linestyle="--", label=f"KL weight {kl:g}, validation")
axes[0].set(xlabel="steps of 32 clips", ylabel="error (dB)")
axes[1].set(xlabel="steps of 32 clips", ylabel="KL (nats)")
axes[0].legend()
session.show_figure(fig, "03_live_training", "Errors fall, lower at weight 1; the KL rises at weight 1, stays low at 10.")

# %%
cheap, dear = (curves[kl].iloc[-1] for kl in (1.0, 10.0))
lab.takeaway(
    f"At the tenfold price the latent holds {dear['kl']:.0f} nats in place of {cheap['kl']:.0f}; the error differs by "
    f"{dear['val_rms_db'] - cheap['val_rms_db']:+.2f} dB.",
    {
        "It says less, and rebuilds worse.": dear["kl"] < cheap["kl"]
        and dear["val_rms_db"] > cheap["val_rms_db"],
        "It says less, at no loss.": dear["kl"] < cheap["kl"],
        "The price has not bitten yet: train longer.": True,
    },
)

# %% [markdown]
# ## 8. From here on we import it
#
# The shipped VAE is the class above with weight 1, after 1,440 steps. The proof: its weights go into *your* class.

# %%
vae = lab.open_model("vae", features, session, weights, num_steps=num_full_steps)
autoencoder = lab.open_model(
    "autoencoder", features, session, weights, num_steps=num_full_steps
)
twin = VAE.from_config(vae.get_config())
twin.set_weights(vae.get_weights())
mean, log_var = vae.encode(test)
same = np.abs(twin.encode(test[:8]).mode() - mean[:8]).max()
print(f"largest difference of the latents: {same:.1e}")

# %% [markdown]
# **Question.** Where along a dimension would the ELBO put a clip, and how wide? We take one test clip and the dimension
# with the largest KL, move the posterior's mean or change its spread, decode 16 draws, and add up the two terms:
# likelihood and KL, without the contrast. All other dimensions stay where the encoder put them. **Guess** what makes a
# wide posterior expensive, and what a narrow one.

# %%
per_dimension = np.array(gaussian_kl(mean, log_var)).mean(axis=0)
example = len(test) // 2
chosen = int(per_dimension[: vae.global_dim].argmax())
dice = rng.standard_normal(16)
dice = (dice - dice.mean()) / dice.std()
told_mean = mean[example, chosen]
told_spread = np.exp(0.5 * log_var[example, chosen])

# %%
def two_terms(shift, spread):
    """Reconstruction and KL, in nats, with one dimension of the example's posterior moved and as wide as asked."""
    latent = np.repeat(mean[[example]], len(dice), axis=0)
    latent[:, chosen] += shift + spread * dice
    clips = np.repeat(test[[example]], len(dice), axis=0)
    losses = vae.reconstruction_losses(clips, vae.decode(latent))
    price = gaussian_kl(*np.float32([told_mean + shift, 2.0 * np.log(spread)]))
    return float(losses["reconstruction"]), float(price)

# %%
spreads = told_spread * np.geomspace(0.2, 10.0, 22)
shifts = np.linspace(-0.5, 0.5, 21)
best = np.array(two_terms(0.0, told_spread))
by_spread = np.array([two_terms(0.0, spread) for spread in spreads]) - best
by_shift = np.array([two_terms(shift, told_spread) for shift in shifts]) - best

# %%
fig, axes = plt.subplots(1, 2, figsize=(9.5, 3.1), layout="constrained")
for ax, where, table in zip(axes, (spreads, shifts), (by_spread, by_shift), strict=True):
    ax.plot(where, table[:, 0], "--", label="reconstruction")
    ax.plot(where, table[:, 1], ":", label="KL")
    ax.plot(where, table.sum(axis=1), "-", label="both")
    ax.axhline(0.0, color="0.8", zorder=0)
axes[0].plot(told_spread, 0.0, "o", color="k", label="the encoder's answer")
axes[1].plot(0.0, 0.0, "o", color="k")
axes[0].set(xscale="log", xlabel="spread of the posterior", ylabel="change of the loss (nats)", ylim=(-5, 15))
axes[1].set(xlabel="mean of the posterior, moved by", ylabel="change of the loss (nats)")
axes[0].legend()
session.show_figure(fig, "03_posterior", "Narrow costs KL, wide costs reconstruction; the lowest sum lies between.")

# %%
lowest = spreads[by_spread.sum(axis=1).argmin()]
lab.takeaway(
    f"The lowest sum is at a spread of {lowest:.3f}; the encoder says {told_spread:.3f}, where the prior has 1.",
    {
        "A narrow place: this music is worth its price.": 0.5 < lowest / told_spread < 2
        and told_spread < 0.2,
        "A wide place: this dimension says little.": 0.5 < lowest / told_spread < 2,
        "The encoder misses the best width for this clip.": True,
    },
)
# %%
saved = -by_shift.sum(axis=1).min()
moved = shifts[by_shift.sum(axis=1).argmin()]
lab.takeaway(
    f"Moving the mean by {moved:+.2f} would save this clip {saved:.0f} nats.",
    {
        "One encoder answers for all clips, so its answer for one is not the best.": saved
        > 1,
        "The encoder's mean is as good as any.": True,
    },
)

# %% [markdown]
# Turn both yourself, and hear the mean; below it, the temperature. Readers without sliders have the figure above and
# the clips beneath.

# %%
def turn(shift, spread):
    nats = np.array(two_terms(shift, spread)) - best
    print(
        f"change in nats: reconstruction {nats[0]:+.1f}, KL {nats[1]:+.1f}, both {nats.sum():+.1f}"
    )
    latent = mean[example].copy()
    latent[chosen] += shift
    display(
        cm.player(
            cm.make_clip(vae, latent=latent, tempo=110.0).samples,
            config,
            f"moved by {shift:+.2f}",
        )
    )


def warm(temperature, number):
    clip = cm.make_clip(vae, seed=number, temperature=temperature)
    return {**vars(clip), "label": f"temperature {temperature:g}"}


def draw_at(temperature, number):
    cm.show_clips(warm(temperature, number), config)

# %%
cooler_to_hotter = [warm(temperature, seed) for temperature in (0.3, 1.0, 1.7)]
cm.show_clips(
    cooler_to_hotter,
    config,
    "03_temperature",
    "One seed at three temperatures: more changes when hot.",
)

# %% tags=["widget"]
slider = ipywidgets.FloatSlider
later = {"continuous_update": False}
spread = ipywidgets.FloatLogSlider(told_spread, min=-2.5, max=0.0, **later)
turns = ipywidgets.interactive(turn, shift=slider(0.0, min=-3.0, max=3.0, step=0.05, **later), spread=spread)
number = ipywidgets.IntSlider(seed, 0, 50, **later)
heat = ipywidgets.interactive(draw_at, temperature=slider(1.0, min=0.0, max=2.0, **later), number=number)
display(turns, heat)

# %% [markdown]
# ## 9. Is the prior where the music is?
#
# Draw a training clip, then a latent from its posterior: what comes out is distributed as the **aggregate posterior**
# $q(z) = \frac1N \sum_n q(z \mid x_n)$. That is what the decoder has been trained on. Draws from the prior are music
# only if $q(z)$ looks like $p(z)$. The loss never compares the two; it compares each clip's own posterior with the
# prior. Hoffman and Johnson (2016) took this term apart:
#
# $$\frac1N \sum_n \mathrm{KL}\big(q(z \mid x_n) \,\|\, p(z)\big)
# = \underbrace{I(n; z)}_{\text{which clip it was}}
# + \underbrace{\mathrm{KL}\big(q(z) \,\|\, p(z)\big)}_{\text{the gap}} .$$
#
# The first part, the **mutual information**, is what a latent is for: the mean of $\log q(z \mid x_n) - \log q(z)$ over
# draws. It cannot exceed $\log N$: that many nats name one of $N$ clips. **Guess** how the KL is divided.

# %%
train_mean, train_log_var = vae.encode(train)
cloud = train_mean + np.exp(0.5 * train_log_var) * rng.standard_normal(
    train_mean.shape
)  # draws of q(z)
total = np.array(gaussian_kl(train_mean, train_log_var)).sum(axis=1).mean()
information = lab.mutual_information(train_mean, train_log_var, seed=seed)
narrow = np.exp(0.5 * train_log_var).mean() / cloud.std(axis=0).mean()
lab.takeaway(
    f"Of {total:.0f} nats, {information:.2f} tell which clip it was. A clip's cloud has {narrow:.3f} of all spread.",
    {
        "No clouds overlap; the rest is gap.": information > 0.98 * np.log(len(train))
        and total > 2 * information,
        "Clouds overlap; the larger part is gap.": total > 2 * information,
        "Most of it is information; the gap is the smaller part.": True,
    },
)

# %% [markdown]
# Part of that gap is owed to having only $N$ clips: islands that never touch are far from any smooth density. What
# would remain with all the music in the world? For *any* density $m$ the mean of $\log m(z) - \log p(z)$ over draws of
# new clips is at most the gap, so a density that predicts new clips proves a part of it. We let $m$ know more and more
# of $q(z)$: first its **centres and spreads**, then its **correlations** (a Gaussian with the full covariance $C$),
# then its **clusters** (the fitted mixture, measured on test clips).

# %%
def log_mixture(density, latents):
    """Logarithm of the first mixture at latents, less the constant that the prior has too."""
    parts = []
    mixture = [value[0] for value in density.get_weights()]  # shares, means, factors
    for share, mean, factor in zip(*mixture, strict=True):
        if share > 0:
            whitened = np.linalg.solve(factor.astype(np.float64), (latents - mean).T)
            parts.append(np.log(share) - np.log(np.diag(factor)).sum() - 0.5 * (whitened**2).sum(axis=0))
    return np.logaddexp.reduce(parts)

# %%
def known_parts(model):
    """Nats of the gap between prior and aggregate posterior that each step of knowledge proves."""
    mean, log_var = model.encode(train)
    covariance = np.cov(mean, rowvar=False) + np.diag(np.exp(log_var).mean(axis=0))
    centre = mean.mean(axis=0)
    variance = np.diag(covariance)
    plain = 0.5 * (centre**2 + variance - 1.0 - np.log(variance)).sum()
    together = 0.5 * (np.log(variance).sum() - np.linalg.slogdet(covariance)[1])
    mean, log_var = model.encode(test)
    new = mean + np.exp(0.5 * log_var) * np.random.default_rng(seed).standard_normal(
        mean.shape
    )
    proved = (
        log_mixture(model.latent_density, new) + 0.5 * (new**2).sum(axis=1)
    ).mean()
    return {
        "centres and spreads": plain,
        "correlations": together,
        "clusters": max(0.0, proved - plain - together),
    }

# %%
gap = known_parts(vae)
fig, axes = plt.subplots(1, 2, figsize=(11, 3.6), width_ratios=(1, 1.7), layout="constrained")
image = axes[0].imshow(np.abs(np.corrcoef(cloud, rowvar=False)), cmap="cividis", vmin=0, vmax=1)
fig.colorbar(image, ax=axes[0], label="correlation, without its sign")
axes[0].set(xlabel="latent dimension", ylabel="latent dimension")
nats = np.array([*gap.values(), total - sum(gap.values())])
names = [*gap, "gap or information"]
hatches = ("", "//", "..", "xx")
for name, width, left, hatch, colour in zip(names, nats, np.cumsum(nats) - nats, hatches, cm.COLOURS, strict=False):
    label = f"{name}: {width:.0f}"
    axes[1].barh(0, width, 0.8, left, color=colour, hatch=hatch, edgecolor="white", label=label)
axes[1].set(xlabel="nats of the KL in the loss", yticks=[], ylim=(-0.5, 1.2))
axes[1].legend(loc="upper left", ncols=2)
session.show_figure(fig, "03_gap", "Left: beats' dimensions correlate with those of other beats. Right: parts of the KL.")

# %%
lab.takeaway(
    f"At least {sum(gap.values()):.0f} nats are gap: {gap['centres and spreads']:.0f} for centres and spreads, "
    f"{gap['correlations']:.0f} for correlations.",
    {
        "Dimensions move together, which the prior denies.": gap["correlations"]
        > sum(gap.values()) / 2,
        "The prior has the wrong place and width.": gap["centres and spreads"]
        > sum(gap.values()) / 2,
        "No single fault explains it.": True,
    },
)

# %% [markdown]
# Is such a gap audible? We draw from five places that know as much as the parts above, in the VAE and, as a control, in
# the autoencoder, which never heard of a prior. For the autoencoder we fit your `LatentDensity` in the same way. The
# measure is the **Fréchet distance** of notebook 02, in a judge's ear, between 300 draws and the test clips. With so
# few clips it is never 0: the dotted line below says what real clips reach.

# %%
judge = lab.open_judges(features, session, weights, num_steps=num_judge_steps)["cnn"]
autoencoder.latent_density = LatentDensity(1, autoencoder.latent_dim)
num_gaussians = cm.fit_latent_density(autoencoder, features, seed)

# %%
def places(model, number=300):
    """Latents from five places; each knows more of where the training latents lie."""
    mean, log_var = model.encode(train)
    rng = np.random.default_rng(seed)
    cloud = mean + np.exp(0.5 * log_var) * rng.standard_normal(mean.shape)
    centre = cloud.mean(axis=0)
    noise = rng.standard_normal((number, model.latent_dim))
    blended = rng.standard_normal((number, len(cloud))) @ (
        cloud - centre
    )  # has the covariance of the cloud
    return {
        "declared prior": noise,
        "+ centres, spreads": centre + cloud.std(axis=0) * noise,
        "+ correlations": centre + blended / np.sqrt(len(cloud)),
        "+ clusters (density)": model.latent_density.sample(np.zeros(number, int), rng),
        "the clouds": cloud[rng.choice(len(cloud), number)],
    }

# %%
real_ear = judge.embedding(test)


def distance(clips):
    """Fréchet distance to the test clips in the judge's ear."""
    return lab.frechet_distance(judge.embedding(np.clip(clips, -1.0, 1.0)), real_ear)

# %%
models = {"VAE": vae, "autoencoder": autoencoder}
latents = {name: places(model) for name, model in models.items()}
board = pd.DataFrame({
    name: {place: distance(models[name].decode(drawn)) for place, drawn in found.items()}
    for name, found in latents.items()
})
floor = distance(held)
board.rename_axis("drawn from").round(1)

# %%
fig, ax = plt.subplots(figsize=(7, 3), layout="constrained")
for (name, column), colour, marker in zip(board.items(), cm.COLOURS, cm.MARKERS, strict=False):
    ax.plot(column.index, column, color=colour, marker=marker, label=name)
ax.axhline(floor, color="0.4", linestyle=":", label="real validation clips")
ax.set(ylabel="Fréchet distance", ylim=(0, None))
ax.legend()
session.show_figure(fig, "03_places", "For both models the distance falls step by step from the prior to the density.")

# %%
at_prior = board["VAE"]["declared prior"]
at_density = board["VAE"]["+ clusters (density)"]
lab.takeaway(
    f"At its prior the VAE is {at_prior:.1f} from music, at the density {at_density:.1f}; real clips {floor:.1f}.",
    {
        "The declared prior is the wrong place to draw from.": at_prior
        > 2 * at_density,
        "The fitted density helps.": at_prior > at_density,
        "On this music the prior is no worse than the density.": True,
    },
)
# %%
box = board["autoencoder"]["+ centres, spreads"]
patched = board["autoencoder"]["+ clusters (density)"]
lab.takeaway(
    f"The autoencoder has {box:.1f} at its own centres and spreads, {patched:.1f} at its density.",
    {
        "So at this price the prior bought no better samples.": at_prior > 0.8 * box
        and abs(at_density - patched) < 3,
        "The prior bought better samples.": at_prior < 0.8 * box
        or at_density < patched - 3,
        "Samples of the autoencoder are better.": True,
    },
)

# %% [markdown]
# Listen: the VAE at its prior, then at its density, and the autoencoder at its own.

# %%
def sounding(model, latent, label, tempo=110.0):
    """A latent as something to look at and to listen to."""
    return {**vars(cm.make_clip(model, latent=latent, tempo=tempo, seed=seed)), "label": label, "seed": None}


sources = [("VAE", "declared prior"), ("VAE", "+ clusters (density)"), ("autoencoder", "+ clusters (density)")]
clips = [
    sounding(models[name], latents[name][place][draw], f"{name}, {place.split()[-1].strip('()')}, {draw + 1}")
    for draw in range(2)
    for name, place in sources
]
cm.show_clips(clips, config, name="03_samples", alt="Draws of the prior are busy and uneven; the others keep a beat.")

# %% [markdown]
# Why does training not close such a gap? Ask what it is worth. By the formula of notebook 02 the reconstruction loss of
# a clip with $D$ cells falls by $D \log(d_1 / d_2)$ nats when its error falls from $d_1$ to $d_2$ dB. So $n$ nats are
# worth $d\,(1 - e^{-n/D})$ dB. **Guess** how many dB pay for the whole gap.

# %%
cells = config.num_frames * config.n_mels
proved = sum(gap.values())
rebuilt = {
    name: model.decode(model.encode(test).mode()) for name, model in models.items()
}
error = {
    name: lab.reconstruction_rms_db(real_db, config.unscale(clips))
    for name, clips in rebuilt.items()
}
worth = error["VAE"] * -np.expm1(-proved / cells)
lab.takeaway(
    f"All {proved:.0f} nats of the gap weigh as much as {worth:.3f} dB of error.",
    {
        "At weight 1 the loss has better things to do than to close it.": worth < 0.1,
        "The loss should feel that: train longer.": True,
    },
)

# %% [markdown]
# Your two trainings say what a higher price does to the gap.

# %%
by_weight = pd.DataFrame(
    {
        kl: {
            "KL (nats)": np.array(gaussian_kl(*model.encode(test))).sum(axis=1).mean(),
            "gap proved (nats)": sum(known_parts(model).values()),
            "error (dB)": lab.reconstruction_rms_db(
                real_db, config.unscale(model.decode(model.encode(test).mode()))
            ),
            "Fréchet distance, prior": distance(
                model.decode(places(model)["declared prior"])
            ),
            "Fréchet distance, density": distance(
                model.decode(places(model)["+ clusters (density)"])
            ),
        }
        for kl, model in live.items()
    }
).T
by_weight.rename_axis("KL weight").round(2)

# %%
ratio = by_weight["Fréchet distance, prior"] / by_weight["Fréchet distance, density"]
lab.takeaway(
    f"The tenfold price brings the gap from {by_weight['gap proved (nats)'][1.0]:.0f} to "
    f"{by_weight['gap proved (nats)'][10.0]:.0f} nats.",
    {
        "Prior and density come together, but farther from music: notebook 06 weighs that trade.": ratio[
            10.0
        ]
        < ratio[1.0]
        and by_weight["Fréchet distance, density"].is_monotonic_increasing,
        "Prior and density come together.": ratio[10.0] < ratio[1.0],
        "In so short a training the prior comes no closer.": True,
    },
)

# %% [markdown]
# ## 10. A walk between two pieces
#
# It is often said that a VAE fills the space between clips with music. We walk half-way from one test clip to another
# of a different genre, in both models: along the **straight line** between the latents, and along the **arc**
# (`cm.slerp`) that stays as far from the origin as they are: the mean of two independent vectors is shorter than
# either, by about $\sqrt 2$. Beside them lie the crossfade of the two rebuilt pictures, and walks inside a genre. As
# notebook 02 found, distances in dB favour averages, so we measure in the judge's ear.

# %%
first = np.random.default_rng(seed).permutation(len(test))
second = np.roll(first, 1)
mixed = test_genre[first] != test_genre[second]
same = np.array(
    [rng.choice(np.flatnonzero(test_genre == genre)) for genre in test_genre]
)


def half_way(name, a, b):
    """Middles between rows `a` and `b` of the test clips."""
    latent = models[name].encode(test).mode()
    straight = 0.5 * (latent[a] + latent[b])
    arc = cm.slerp(latent[a], latent[b], 0.5)
    middles = {
        "straight line": models[name].decode(straight),
        "arc": models[name].decode(arc),
    }
    return middles | {"crossfade": 0.5 * (rebuilt[name][a] + rebuilt[name][b])}

# %%
middles = {name: half_way(name, first[mixed], second[mixed]) for name in models}
inside = {name: half_way(name, np.arange(len(test)), same)["arc"] for name in models}
walks = pd.DataFrame({name: {way: distance(clips) for way, clips in ways.items()} for name, ways in middles.items()})
walks.loc["arc, inside a genre"] = {name: distance(clips) for name, clips in inside.items()}
walks.rename_axis("half-way by").round(1)

# %%
line, arc, fade = walks["VAE"][["straight line", "arc", "crossfade"]]
lab.takeaway(
    f"Half-way on the arc the distance is {arc:.1f}, on the line {line:.1f}, by crossfade {fade:.1f}.",
    {
        "The walk is nearer to music, the arc most; between genres none is music.": arc
        < line
        < fade
        and arc > 2 * floor,
        "The walk is nearer to music than the crossfade.": min(arc, line) < fade,
        "The crossfade is no farther from music.": True,
    },
)

# %%
lab.takeaway(
    f"On the autoencoder's arc it is {walks['autoencoder']['arc']:.1f}.",
    {
        "The prior did not fill the space between: clouds this narrow do not reach that far.": arc
        > 0.8 * walks["autoencoder"]["arc"]
        and narrow < 0.2,
        "The VAE's space is better filled.": arc < 0.8 * walks["autoencoder"]["arc"],
        "The two are alike.": True,
    },
)

# %% [markdown]
# And sharpness? A fair comparison starts from the same pictures: the average of two *originals* has lines that no
# decoder here ever drew.

# %%
originals = 0.5 * (test[first[mixed]] + test[second[mixed]])
compared = middles["VAE"] | {
    "average of the originals": originals,
    "rebuilt, no walk": rebuilt["VAE"],
}
sharp = {
    way: lab.sharpness_ratio(config.unscale(clips), real_db)
    for way, clips in compared.items()
}
lab.takeaway(
    f"Half-way sharpness is {sharp['straight line']:.2f}, of the rebuilt ends' average {sharp['crossfade']:.2f}, of "
    f"the originals' average {sharp['average of the originals']:.2f}.",
    {
        "The decoder sharpens what it mixes.": sharp["straight line"]
        > sharp["crossfade"],
        "The decoder mixes no sharper than an average.": True,
    },
)

# %%
start = first[mixed][0]
end = second[mixed][0]
names = [features.genres[test_genre[row]] for row in (start, end)]
labels = [f"from {names[0]}", "half-way on the arc", f"to {names[1]}"]
stops = [cm.slerp(mean[start], mean[end], share) for share in (0.0, 0.5, 1.0)]
clips = [sounding(vae, latent, label) for label, latent in zip(labels, stops, strict=True)]
level = config.unscale(middles["VAE"]["crossfade"][0])
clips.append({"log_mel": level, "samples": cm.to_audio(level, config, 110.0), "label": "crossfade", "tempo": 110.0})
cm.show_clips(clips, config, "03_walk", "Two pieces, between them the middle of the arc, then a crossfade.", 4)

# %% [markdown]
# ## 11. What the prior costs
#
# Textbooks say: detail. Clouds that overlap make the decoder answer with an average, and an average is blurred. Both
# models were trained for the same steps on the same clips with the same loss, but for the prior. **Guess** how many dB
# it costs. Beside it stands how far three VAEs of different seeds lie apart, from the table of the models that ship.

# %%
seeds = lab.read_rows("foundation_known").query("kind == 'vae'")[
    "reconstruction_rms_db"
]
cost = pd.DataFrame(
    {
        "error (dB)": error,
        "sharpness": {
            name: lab.sharpness_ratio(config.unscale(clips), real_db)
            for name, clips in rebuilt.items()
        },
    }
)
display(cost.round(3))
extra = error["VAE"] - error["autoencoder"]
lab.takeaway(
    f"The prior changes the error by {extra:+.2f} dB, to {error['VAE']:.2f}; three seeds span {np.ptp(seeds):.2f}.",
    {
        "At this price it costs nothing: clouds that do not overlap blur nothing.": extra
        < np.ptp(seeds)
        and narrow < 0.2,
        "It costs nothing that another seed would not.": extra < np.ptp(seeds),
        "It costs detail.": True,
    },
)

# %%
typical = int(np.sqrt(((test - rebuilt["VAE"]) ** 2).mean(axis=(1, 2))).argsort()[len(test) // 2])
about = test_table.iloc[typical]
clips = [{**vars(cm.load_window(about, config)), "label": f"{about['genre']}, recording"}]
for name, model in models.items():
    clips.append(sounding(model, model.encode(test[[typical]]).mode()[0], f"{name}, rebuilt", about["tempo"]))
cm.show_clips(clips, config, name="03_cost", alt="A recording beside what the VAE and the autoencoder rebuild.")

# %% [markdown]
# ## Is my run normal?
#
# The ranges are those of the embedded music with shipped weights. A KL that falls to zero and stays there is a
# collapse; a loss that jumps up is a learning rate too high.

# %%
checks = pd.DataFrame(
    [
        ("your VAE, weight 1: error (dB)", by_weight["error (dB)"][1.0], 7.5, 11.0),
        ("your VAE, weight 1: KL (nats)", by_weight["KL (nats)"][1.0], 100.0, 260.0),
        ("your VAE, weight 10: KL (nats)", by_weight["KL (nats)"][10.0], 20.0, 70.0),
        ("shipped VAE: error (dB)", error["VAE"], 4.0, 5.2),
        ("shipped VAE: KL (nats)", total, 250.0, 370.0),
        ("shipped VAE: active dimensions", lab.active_units(mean), 90, 96),
        ("Fréchet distance at the prior", at_prior, 35.0, 65.0),
        ("Fréchet distance at the density", at_density, 5.0, 12.0),
    ],
    columns=["measure", "your run", "from", "to"],
)
checks["normal"] = np.where(
    checks["your run"].between(checks["from"], checks["to"]), "yes", "look"
)
checks.round(2)

# %% [markdown]
# ## What to take along
#
# - A VAE is an autoencoder whose latents are Gaussians, with one more term in the loss. Reparameterisation makes it
#   trainable, the rest is inherited.
# - The loss prices each clip's posterior. It never looks at the aggregate posterior, which is where samples must come
#   from: measure the gap, and draw from a fitted density while there is one.
# - What a prior buys depends on its price against the number of cells. A small KL weight mostly measures, in nats, what
#   each dimension carries; a large one forces latents towards the Gaussian.
#
# **Limits.** One judge, one architecture, eight beats. The proved gap is a lower bound; the true one lies between it
# and the KL. And you cannot ask this model for a genre: a draw is whatever the latent happens to mean. Notebook 04
# gives the decoder a label, and measures whether it obeys.
#
# ## Exercises
#
# 1. **Temperature** (5 minutes, easy). Draw at 0.5, 1 and 1.5 and measure sharpness and the Fréchet distance. What does
#    a low temperature trade?
# 2. **What each dimension is worth** (15 minutes, medium). Set one dimension at a time to zero in 16 test clips and
#    measure how much the error grows. Plot it against the dimension's KL.
# 3. **A price of your own** (10 minutes, easy). Put 3 or 30 in place of 10 in section 7, or a linear warm-up. Which gap
#    and which error do you get?
# 4. **A loss** (15 minutes, medium). Write the KL between two arbitrary diagonal Gaussians, per dimension. It is what a
#    VAE with a learned prior would charge. The cell below it says whether yours is right.
#
# Solutions are in `solutions/03_vae`.

# %%
temperature = 1.0  # exercise 1: try 0.5 and 1.5
cool = vae.decode(vae.sample_latents([0] * 200, seed=seed, temperature=temperature))
print(
    f"temperature {temperature}: sharpness {lab.sharpness_ratio(config.unscale(cool), real_db):.2f}, ",
    end="",
)
print(f"Fréchet distance {distance(cool):.1f}")

# %%
without = mean[:16].copy()
without[:, 0] *= 1.0  # exercise 2: 0.0 here, and a loop over the dimensions
print(
    f"error {lab.reconstruction_rms_db(real_db[:16], config.unscale(vae.decode(without))):.3f} dB"
)

# %% tags=["exercise"]
def kl_between(mean, log_var, other_mean, other_log_var):
    """KL divergence of N(mean, exp(log_var)) from N(other_mean, exp(other_log_var)), per dimension, in nats."""
    return gaussian_kl(
        mean, log_var
    )  # exercise 4: this is right only for the unit Gaussian

# %% tags=["check"]
four = float(np.log(4.0))
cases = {
    "equal Gaussians": ((1.0, -0.5, 1.0, -0.5), 0.0),
    "against the prior": ((0.7, -1.0, 0.0, 0.0), 0.4289),
    "the same width, means two spreads apart": ((3.0, four, -1.0, four), 2.0),
    "one mean, half the spread": ((0.0, -four, 0.0, 0.0), 0.3181),
    "one mean, twice the spread": ((2.0, four, 2.0, 0.0), 0.8069),
    "neither alike": ((0.5, 0.2, -0.3, 0.9), 0.2284),
}
for name, (arguments, expected) in cases.items():
    got = float(kl_between(*arguments))
    verdict = (
        "right"
        if abs(got - expected) < 1e-3
        else f"not yet: expected {expected:.3f}, got {got:.3f}"
    )
    print(f"{name}: {verdict}")

# %% [markdown]
# <!-- links: made by tools/badges.py -->
# Before: [02 autoencoder](02_autoencoder.ipynb).
# After: [04 conditional vae](04_conditional_vae.ipynb).
# [Solutions](solutions/03_vae.ipynb) of the exercises.
# <!-- end of links -->
