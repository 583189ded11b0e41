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
# # What does a prior buy, and what does it cost?
#
# *To open this on Colab: File, Upload notebook, choose this file; put the zip of the project into the Files pane and
# set `repository_zip = "file:///content/<name of the zip>"` below.*
#
# **What you will hear at the end:** eight beats of music that nobody composed, drawn from random numbers; a slow walk
# from one piece to another; and the same piece rebuilt with and without a prior, so that you hear the price.
#
# **What you need to know:** what an autoencoder is (notebook 02), what a Gaussian is, and what a gradient is for.
# Every other term is defined where it first appears.
#
# > **Time:** 2 minutes on two CPU cores with the shipped weights and features from the cache. Last
# > full run: 2026-11-23.

# %% tags=["parameters"]
data = "known"  # or the path of a folder of genres, or of FMA
seed = 0
repository_zip = ""
num_clips = 2400  # known-factor music only
weights = "pretrained"  # or "train"; other music is always trained on
num_steps = 150  # of the short live training
num_full_steps = 1440  # of the full training, where no weights are loaded
num_judge_steps = 400  # of the judge, where none is loaded

# %% tags=["setup"]
# Finds the library, or fetches it: on Colab and Kaggle, give its address as `repository_zip` above.
import shutil
import sys
from pathlib import Path
from urllib.request import urlretrieve


def find_library():
    here, mounts = Path.cwd(), Path("/kaggle/input")
    near = [folder / "lib" for folder in (here, *here.parents)]
    far = [*here.glob("*/lib"), *mounts.glob("*/lib"), *mounts.glob("*/*/lib"), *mounts.glob("*/*/*/lib")]
    return [str(lib) for lib in near + far if (lib / "cvae_music").is_dir()]


if not find_library() and repository_zip:
    shutil.unpack_archive(urlretrieve(repository_zip, "cvae_music.zip")[0])
sys.path[:0] = find_library()[:1]

from cvae_lab.session import start_session

session = start_session(data, seed=seed)

# %%
import time

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import tensorflow as tf
from cvae_lab import evaluation
from cvae_lab.lessons import lesson, show_source
from cvae_lab.pretrained import fit_series_model, is_shipped, open_judges, open_model
from cvae_lab.scoreboard import evaluate_model
from cvae_lab.session import project_folder
from IPython.display import display
from keras import ops

from cvae_music import plots
from cvae_music.audio.inversion import to_audio
from cvae_music.config import AudioConfig
from cvae_music.data.features import build_features
from cvae_music.data.sources import open_collection
from cvae_music.models.density import LatentDensity
from cvae_music.models.losses import gaussian_kl, optimal_variance_nll
from cvae_music.models.schedules import get_schedule
from cvae_music.players import show_clips

# %% [markdown]
# Two small functions keep the notebook honest. `lesson` prints what we learned with numbers that a cell computed, so
# the sentence changes with your data. `show_source` prints code of the library: what you read is what runs.

# %%
config = AudioConfig()
features = build_features(open_collection(data, num_clips=num_clips, seed=seed), config, session.cache_dir)
test = features.subset("test")
rows = np.sort(np.random.default_rng(seed).permutation(len(test))[:1000])  # enough, also of a large collection
clips, genre = config.scale(test.log_mel[rows]), test.genre_index[rows]
real_db, tempos = config.unscale(clips), test.table["tempo"].to_numpy()[rows]

# %% [markdown]
# ## 1. An autoencoder has no idea where to sample
#
# An **autoencoder** turns a clip into a short list of numbers, the **latent** $z$, and back. Its training never says
# where latents should lie. To make something new we would have to pick a $z$, and we do not know which ones the
# decoder has ever seen.
#
# **Question.** Where do the autoencoder's latents lie? **Guess** the spread of the narrowest and of the widest
# dimension before you run the cell.

# %%
autoencoder = open_model("autoencoder", features, session, weights, num_steps=num_full_steps)

# %%
ae_latents = autoencoder.encode(features.arrays("train")[0])[0]
spreads, centres = ae_latents.std(axis=0), ae_latents.mean(axis=0)
lesson(
    f"The spread of the autoencoder's {autoencoder.latent_dim} latent dimensions runs from {spreads.min():.2f} to "
    f"{spreads.max():.2f}, their centres from {centres.min():.2f} to {centres.max():.2f}. "
    "Nothing tied them to a place that is known beforehand."
)

# %% [markdown]
# A **variational autoencoder** (VAE) fixes the place beforehand. It declares a **prior**, a distribution of latents
# chosen before any music is heard, here the unit Gaussian $p(z) = \mathcal N(0, I)$, and trains the encoder to keep
# its latents near it. Then a new clip is a draw from the prior, decoded.

# %% [markdown]
# ## 2. One inequality carries the whole model
#
# We want parameters under which the training clips are likely, so we want a large $\log p(x)$, where
#
# $$p(x) = \int p(x \mid z)\, p(z)\, dz .$$
#
# For almost every $z$ the clip $x$ is impossible, so averaging over draws of $p(z)$ would never hit the few latents
# that matter. The encoder proposes where to look: a distribution $q(z \mid x)$, the **posterior** of the clip.
# Multiply and divide by it, and read the integral as a mean over $q$:
#
# $$\log p(x) = \log \mathbb E_{q}\!\left[\frac{p(x \mid z)\, p(z)}{q(z \mid x)}\right]
# \;\ge\; \mathbb E_{q}\!\left[\log \frac{p(x \mid z)\, p(z)}{q(z \mid x)}\right]
# = \underbrace{\mathbb E_{q}[\log p(x \mid z)]}_{\text{reconstruction}}
# - \underbrace{\mathrm{KL}\big(q(z \mid x) \,\|\, p(z)\big)}_{\text{price of leaving the prior}} .$$
#
# The inequality is Jensen's: the logarithm of a mean is never below the mean of the logarithm. The right-hand side is
# the **evidence lower bound**, ELBO. The gap is $\mathrm{KL}(q(z \mid x) \| p(z \mid x))$, which is zero when the
# proposal is exactly the right one. **KL** is the Kullback–Leibler divergence, the mean of $\log q - \log p$ under
# $q$.
#
# **Question.** Is the bound tight when the proposal is right? A model with one number for $z$ and one for $x$ can be
# solved on paper: $p(z) = \mathcal N(0, 1)$, $p(x \mid z) = \mathcal N(2z, 0.25)$, so $p(x) = \mathcal N(0, 4.25)$.
# **Guess** how far below the truth the bound falls if the proposal's mean is off by 0.5.

# %%
def log_normal(value, mean, variance):
    return -0.5 * (np.log(2 * np.pi * variance) + (value - mean) ** 2 / variance)


x, slope, noise = 1.0, 2.0, 0.25
log_evidence = log_normal(x, 0.0, slope**2 + noise)
best_variance = 1.0 / (1.0 + slope**2 / noise)
best_mean = best_variance * slope * x / noise

# %%
means = np.linspace(-0.5, 1.5, 201)
likelihood = log_normal(x, slope * means, noise) - 0.5 * slope**2 * best_variance / noise  # mean over q
price = 0.5 * (means**2 + best_variance - 1.0 - np.log(best_variance))  # KL(q || p(z))
elbo = likelihood - price

# %%
fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
ax.plot(means, elbo, label="ELBO")
ax.axhline(log_evidence, color="0.3", linestyle="--", label="log p(x), the truth")
ax.plot(best_mean, elbo.max(), "o", label="the right proposal")
ax.set(xlabel="mean of the proposal q(z | x)", ylabel="nats")
ax.legend()
plots.show_figure(fig, "03_elbo", alt="The ELBO is a parabola below a flat dashed line and touches it at one point.")

# %%
off = elbo.max() - np.interp(best_mean + 0.5, means, elbo)
lesson(
    f"The truth is {log_evidence:.3f} nats, the bound with the right proposal {elbo.max():.3f}. With a mean that "
    "is off by "
    f"0.5 it loses {off:.2f} nats. Pushing the ELBO up improves the model and the proposal together."
)

# %% [markdown]
# A **nat** is the unit of information that goes with the natural logarithm: one nat is 1.44 bits.
#
# ## 3. Reconstruction: a Gaussian that picks its own width
#
# The decoder returns a clip $\hat x$, and the likelihood says how a real clip scatters around it. We take a Gaussian
# with one variance $s$ shared by all $D$ cells of the spectrogram. With $d$ the mean squared error of a cell,
#
# $$-\log p(x \mid z) = \frac D2 \left(\log 2\pi s + \frac{d}{s}\right).$$
#
# Many VAEs fix $s$ without saying so: writing "sum of squares" fixes it at one half. But $s$ has a best value. Set
# the derivative to zero, $1/s - d/s^2 = 0$, and find $s = d$: the variance is the error itself. What remains is
#
# $$-\log p(x \mid z) = \frac D2 \left(\log 2\pi d + 1\right),$$
#
# the **sigma-VAE** (Rybkin, Daniilidis and Levine, 2021). No setting to tune, and a loss that keeps caring: because
# of the logarithm, ten per cent off the error is worth the same number of nats at 10 dB as at 3 dB.
#
# **Question.** What does a wrong fixed variance cost? **Guess** which direction is worse, too small or too large.

# %%
cells = config.num_frames * config.n_mels
distortion = (5.0 / config.db_per_unit) ** 2  # an error of 5 dB, in squared scaled units
variances = distortion * np.geomspace(0.2, 5.0, 101)
nats = 0.5 * cells * (np.log(2 * np.pi * variances) + distortion / variances)
library = float(optimal_variance_nll(distortion, cells))

# %%
fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
ax.semilogx(variances / distortion, nats, label="fixed variance")
ax.plot(1.0, library, "o", label="optimal variance (library)")
ax.set(xlabel="variance s over mean squared error d", ylabel="nats per clip")
ax.set_xticks([0.2, 0.5, 1, 2, 5], ["0.2", "0.5", "1", "2", "5"], minor=False)
ax.minorticks_off()
ax.legend()
plots.show_figure(fig, "03_variance", alt="The loss has one minimum, where the variance equals the squared error.")

# %%
lesson(
    f"The library's value, {library:,.0f} nats, is the lowest point of the curve, {nats.min():,.0f}. A variance "
    "five times "
    f"too small costs {nats[0] - nats.min():,.0f} nats, five times too large {nats[-1] - nats.min():,.0f}. Too small "
    "a variance makes every error look like a disaster, and the prior is then ignored."
)
show_source(optimal_variance_nll)

# %% [markdown]
# The value can be negative: it is the logarithm of a *density*, and densities exceed one where cells scatter little.
#
# ## 4. The price: KL, dimension by dimension
#
# The encoder returns a mean $\mu_j$ and a log-variance $\log\sigma_j^2$ for each latent dimension. Against a unit
# Gaussian the integral has a closed form:
#
# $$\mathrm{KL}_j = \tfrac12\left(\mu_j^2 + \sigma_j^2 - 1 - \log \sigma_j^2\right).$$
#
# It is zero only for $\mu_j = 0, \sigma_j = 1$: then the dimension says nothing about the clip. We write it in NumPy,
# compare it with the library's, and check the closed form by drawing from $q$.

# %%
rng = np.random.default_rng(seed)
mean, log_var = rng.normal(size=(64, 8)), rng.normal(size=(64, 8)) - 1.0
by_hand = 0.5 * (mean**2 + np.exp(log_var) - 1.0 - log_var)
difference = np.abs(by_hand - ops.convert_to_numpy(gaussian_kl(mean, log_var))).max()
draws = mean[0] + np.exp(0.5 * log_var[0]) * rng.standard_normal((200_000, 8))
log_ratio = log_normal(draws, mean[0], np.exp(log_var[0])) - log_normal(draws, 0.0, 1.0)

# %%
assert np.allclose(by_hand, gaussian_kl(mean, log_var), atol=1e-5)
lesson(
    f"By hand and library differ by at most {difference:.1e} nats. Drawing from q gives "
    f"{log_ratio.sum(axis=1).mean():.2f} "
    f"nats for the first clip, the closed form {by_hand[0].sum():.2f}."
)

# %% [markdown]
# ## 5. A gradient through a random draw
#
# The reconstruction term is a mean over draws of $z$. How does an error in the spectrogram tell the encoder to move
# $\mu$, when a dice roll lies between them? Put the dice outside:
#
# $$z = \mu + \sigma\,\varepsilon, \qquad \varepsilon \sim \mathcal N(0, 1).$$
#
# Now $z$ is an ordinary function of $\mu$ and $\sigma$, and the randomness is an input like any other. This is the
# **reparameterisation trick**. For $\mathbb E[z^2] = \mu^2 + \sigma^2$ we know both derivatives: $2\mu$, and
# $\sigma^2$ with respect to $\log\sigma^2$.

# %%
mu, log_variance = tf.Variable(0.7), tf.Variable(-1.0)
with tf.GradientTape() as tape:
    epsilon = tf.random.stateless_normal((100_000,), seed=(seed, 1))
    z = mu + tf.exp(0.5 * log_variance) * epsilon
    average = tf.reduce_mean(z**2)
slopes = [float(gradient) for gradient in tape.gradient(average, [mu, log_variance])]

# %%
vae = open_model("vae", features, session, weights, num_steps=num_full_steps)
lesson(
    f"The gradients through the draws are {slopes[0]:.3f} and {slopes[1]:.3f}; on paper they are "
    f"{2 * 0.7:.3f} and {np.exp(-1.0):.3f}. The library's version is one line:"
)
show_source(type(vae).sample_posterior)

# %% [markdown]
# ## 6. One loss, one step
#
# Put together, and with a weight on the price:
#
# $$\text{loss} = -\log p(x \mid z) + \beta\,\sum_j \mathrm{KL}_j .$$
#
# **Our convention for $\beta$:** both terms in nats, **summed over features and over latent dimensions, averaged over
# the batch**. With $\beta = 1$ the loss is the negative ELBO. Papers and code that take means instead of sums quote
# other values for the same model; the next cells print the exchange rate.
#
# This is the loss in full, and the two steps that Keras calls for each batch. Training and test share one loss, so
# they cannot drift apart.

# %%
show_source(type(vae).loss_terms, type(vae).train_step, type(vae).test_step)

# %%
batch = ops.convert_to_tensor(clips[:32]), ops.convert_to_tensor(genre[:32])
terms = {name: float(value) for name, value in vae.loss_terms(batch, training=False).items()}
mean, log_var = vae.encode(clips[:32])
kl_by_hand = 0.5 * np.sum(mean**2 + np.exp(log_var) - 1.0 - log_var, axis=1).mean()
display(pd.Series(terms, name="one batch").to_frame().round(3))

# %%
assert np.isclose(kl_by_hand, terms["kl"], rtol=1e-3)
lesson(
    f"KL by hand {kl_by_hand:.2f}, in the loss {terms['kl']:.2f} nats. The KL weight is {terms['kl_weight']:g}, "
    f"the schedule `{type(vae.schedule).__name__}`. A clip has {cells:,} cells and {vae.latent_dim} latent "
    f"dimensions, so code that averages over both with weight 1 means beta {cells / vae.latent_dim:,.0f} here, and "
    "code that "
    f"averages over cells only means beta {cells:,}."
)

# %% [markdown]
# One more term may hide in `reconstruction_terms`: with a `contrast_weight` above zero, the distortion also counts
# how far the *strength* of fine detail is from the target's. A squared error alone is smallest when uncertain detail
# is faded out, which the ear hears as blur.

# %%
lesson(f"This model's contrast weight is {vae.contrast_weight:g}.")
show_source(type(vae).reconstruction_terms)

# %% [markdown]
# ## 7. Six ways to charge the price
#
# Early in training the decoder is poor, so latents are not yet worth their price, and the encoder may learn to say
# nothing: **posterior collapse**, the subject of notebook 05. The usual cures change the price over time or with the
# KL itself. In this library they are one argument, `kl`: a number, a name, or a name with settings.
#
# **Question.** What does each one charge? We keep two posteriors fixed, a thin one of 40 nats and a rich one of 120,
# and let each schedule run. **Guess** which of the six ever charges the *thin* one more than the rich one.

# %%
choices = [
    {"name": "constant", "weight": 1.0}, {"name": "linear", "warmup_steps": 200},
    {"name": "cyclical", "cycle_steps": 100}, {"name": "free_bits", "bits": 1.0},
    {"name": "capacity", "capacity": 120.0, "growth_steps": 200, "weight": 1.0},
    {"name": "target_kl", "target": 80.0, "rate": 0.003},
]  # fmt: skip


def penalties(schedule, kl_per_dimension, steps=300):
    weight, total, curve = ops.convert_to_tensor(schedule.weight), ops.sum(kl_per_dimension), []
    for step in range(steps):
        weight = schedule.next_weight(step, weight, total)
        curve.append(float(schedule.penalty(kl_per_dimension, weight, step)))
    return np.array(curve)


# %%
shares = np.exp(-np.arange(96) / 20.0)  # some dimensions say much, most say little
latents = {f"{total} nats": ops.convert_to_tensor(total * shares / shares.sum(), "float32") for total in (40, 120)}
curves = {
    choice["name"]: {label: penalties(get_schedule(choice), kl) for label, kl in latents.items()} for choice in choices
}

# %%
fig, axes = plt.subplots(2, 3, figsize=(9, 4.5), sharex=True, sharey=True, layout="constrained")
for ax, (name, lines) in zip(axes.flat, curves.items(), strict=True):
    for (label, curve), style in zip(lines.items(), ("-", "--"), strict=True):
        ax.plot(curve, style, label=label)
    ax.set_title(name)
axes[0, 0].legend(title="KL of the posterior")
fig.supxlabel("training step")
fig.supylabel("added to the loss (nats)")
plots.show_figure(fig, "03_schedules", alt="Six panels of the penalty over 300 steps for a thin and a rich posterior.")

# %%
dearer = [name for name, lines in curves.items() if (lines["40 nats"] > lines["120 nats"]).any()]
lesson(
    f"At step 300 the thin posterior pays {curves['constant']['40 nats'][-1]:.0f} nats under a constant weight and "
    f"{curves['free_bits']['40 nats'][-1]:.0f} under free bits, which charges a floor for each dimension whether "
    "it is used or not. "
    f"Schedules that ever charge the thin one more: {', '.join(dearer) or 'none'}."
)

# %% [markdown]
# *Free bits* makes the first bits of each dimension cost nothing extra; *capacity* charges for the distance from a KL
# that grows; *target KL* is a controller that lowers the weight while the KL is too small and raises it while it is
# too large.
#
# ## 8. Is the latent used?
#
# A trained VAE can have collapsed without a sign in the sound of its reconstructions, so we measure:
#
# - **active units**: latent dimensions whose posterior mean moves from clip to clip, $\mathrm{Var}_x(\mu_j) > 0.01$;
# - **KL per dimension**, averaged over test clips;
# - **mutual information**: how many nats $z$ tells about *which* clip it came from,
#   $\mathbb E[\log q(z \mid x) - \log q(z)]$ with $q(z)$ the mixture over all test clips. It cannot exceed the
#   logarithm of their number.

# %%
mean, log_var = vae.encode(clips)
kl = evaluation.kl_per_dimension(mean, log_var)
active = mean.var(axis=0) > 0.01
information = evaluation.mutual_information(mean, log_var, seed=seed)

# %%
fig, ax = plt.subplots(figsize=(8, 3), layout="constrained")
plots.plot_kl_per_dimension(kl, ax, active)
plots.show_figure(fig, "03_kl_per_dimension", alt="Bars of KL in each latent dimension, falling from left to right.")

# %%
lesson(
    f"{evaluation.active_units(mean)} of {vae.latent_dim} dimensions are active. The KL is {kl.sum():.1f} nats: "
    f"{kl[: vae.global_dim].sum():.1f} in the {vae.global_dim} dimensions about the whole clip, the rest in those of "
    f"single beats. Mutual information is {information:.2f} nats, its bound log {len(clips)} = "
    f"{np.log(len(clips)):.2f}: "
    "near the bound, every clip can be told from every other by its latent."
)

# %% [markdown]
# The latent has two parts: some dimensions describe the whole clip, others a single beat each. Rhythm and chords
# change from beat to beat; the sound of the instruments does not.
#
# ## 9. Train one yourself
#
# **Question.** How far does a short training come? **Guess** its error in dB beside that of the loaded model.

# %%
start = time.perf_counter()
live, history = fit_series_model("vae", features, num_steps=num_steps, seed=seed, verbose=2)
seconds = time.perf_counter() - start

# %% [markdown]
# ### Is my run normal?
#
# The dotted grey curves are a run of this cell with another seed, kept in `data/reference` (drawn for the embedded
# music only). Yours need not coincide. Signs of health: the loss falls in every epoch, faster at first; the KL is far
# from zero; the validation curve (dashed) stays near the training curve. A KL that falls to zero and stays there is a
# collapse. A loss that jumps up is a learning rate too high; a loss that is not a number stops the training with a
# message.

# %%
table = pd.DataFrame(history.history)
table.to_csv(session.output_dir / "03_live_training.csv", index=False)
kept = (project_folder() or session.output_dir) / "data" / "reference" / "03_live_training.csv"
reference = pd.read_csv(kept).to_dict("list") if data == "known" and kept.exists() else None
fig, axes = plt.subplots(1, 3, figsize=(11, 3), layout="constrained")
for ax, name, unit in zip(axes, ("loss", "kl", "rms_db"), ("nats per clip", "nats per clip", "dB"), strict=True):
    plots.plot_history(history, ax, names=(name,), reference=reference, unit=unit)
plots.show_figure(fig, "03_live_training", alt="Loss and error fall over the epochs, the KL settles above zero.")

# %%
last = table.iloc[[-1]].T.set_axis(["this run"], axis=1)
if reference:
    last["reference"] = pd.DataFrame(reference).iloc[-1]
    last["this over reference"] = last["this run"] / last["reference"]
display(last.round(2))

# %%
live_rebuilt = config.unscale(live.decode(live.encode(clips)[0]))
vae_rebuilt = config.unscale(vae.decode(mean))
live_error = evaluation.reconstruction_rms_db(real_db, live_rebuilt)
lesson(
    f"{seconds:.0f} seconds of training reach an error of {live_error:.2f} dB on test clips; the "
    f"{'shipped' if is_shipped(session, weights) else 'fully trained'} model has "
    f"{evaluation.reconstruction_rms_db(real_db, vae_rebuilt):.2f} dB."
)

# %% [markdown]
# ## 10. What the prior buys: new music
#
# Now the promise: draw $z$, decode, listen. Four ways to draw, all measured in the same way:
#
# 1. the VAE at its **prior** $\mathcal N(0, I)$;
# 2. the VAE at a **fitted density**: a mixture of Gaussians laid over the latents of the training clips after
#    training. Where the latents really lie is called the aggregate posterior, and training brings it only near the
#    prior;
# 3. the autoencoder at a Gaussian with the centre and spread of each of its dimensions;
# 4. the autoencoder at a fitted mixture of the same kind as in 2, the fairest comparison.
#
# The measure: embed samples and real test clips in what a judge of genres hears, take each set as a Gaussian, and
# compute the **Fréchet distance** between the two,
# $\lVert m_1 - m_2\rVert^2 + \mathrm{tr}\big(C_1 + C_2 - 2 (C_1 C_2)^{1/2}\big)$. Smaller is better, and real
# validation clips give the floor. **Sharpness** is how strongly lines stand out along the mel axis, over the same in
# real clips: 1 is right. **Diversity** is the mean distance between two samples over that between two real clips.
#
# **Guess** the order of the four before you look.

# %%
judge = open_judges(features, session, weights, num_steps=num_judge_steps)["cnn"]

# %%
ae_density = LatentDensity(1, autoencoder.latent_dim)
held = autoencoder.encode(features.arrays("validation")[0])[0]
ae_density.fit(ae_latents, np.zeros(len(ae_latents)), held, np.zeros(len(held)), seed=seed)


def at_gaussian(centre, spread):
    return lambda asked, rng: centre + spread * rng.standard_normal((len(asked), len(centre)))


ways = {
    "VAE, prior": (vae, at_gaussian(np.zeros(vae.latent_dim), 1.0)),
    "VAE, fitted density": (vae, lambda asked, rng: vae.latent_density.sample(0 * asked, rng)),
    "autoencoder, Gaussian": (autoencoder, at_gaussian(centres, spreads)),
    "autoencoder, fitted density": (autoencoder, lambda asked, rng: ae_density.sample(0 * asked, rng)),
}

# %%
rows = {
    name: evaluate_model(model, features, {"cnn": judge}, seed=seed, sampler=sampler, max_clips=300)
    for name, (model, sampler) in ways.items()
}
columns = {"cnn_frechet": "Fréchet distance", "sharpness_prior": "sharpness", "diversity_log_mel": "diversity"}
board = pd.DataFrame(rows).T[list(columns)].rename(columns=columns)

# %%
heard = [judge.embedding(part) for part in (features.arrays("validation")[0][:300], clips[:300])]
floor = evaluation.frechet_distance(*heard)
num_drawn = int(next(iter(rows.values()))["num_prior_clips"])
display(board.round(3))
frechet = board["Fréchet distance"]
lesson(
    f"Best by Fréchet distance: {frechet.idxmin()}, at {frechet.min():.1f}; worst: "
    f"{frechet.idxmax()}, at {frechet.max():.1f}; real validation clips: "
    f"{floor:.1f}. "
    f"Each from {num_drawn} draws against {len(heard[1])} test clips."
)

# %% [markdown]
# Look and listen. Two draws of the prior, two of the fitted density, two of the autoencoder at its Gaussian, all at
# the same tempo and with the levels that the models gave them.

# %%
def as_clip(log_mel, label, tempo=110.0, clip_seed=None):
    samples = to_audio(log_mel, config, tempo)
    return {"log_mel": log_mel, "samples": samples, "label": label, "tempo": tempo, "seed": clip_seed}


def draw(name, number):
    model, sampler = ways[name]
    latent = sampler(np.zeros(1, int), np.random.default_rng(number))
    return as_clip(config.unscale(model.decode(latent))[0], name, clip_seed=number)


# %%
chosen = list(ways)[:3]
drawn = [draw(name, seed + number) for number in range(2) for name in chosen]
show_clips(drawn, config, "03_samples", alt="Two samples each of the VAE's prior, its density, and the autoencoder.")

# %% [markdown]
# ## 11. A walk between two pieces
#
# Because neighbours in latent space were decoded during training (each clip is a cloud, not a point), the space
# between clips holds music too. We walk a straight line from one test clip to another of a different genre,
# $z_t = (1 - t)\,\mu_a + t\,\mu_b$.
#
# **Guess:** does the middle sound like two pieces at once, or like one piece between them?

# %%
first, second = 0, int(np.flatnonzero(genre != genre[0])[0])
path = np.linspace(0.0, 1.0, 5)[:, None]
walk = config.unscale(vae.decode((1 - path) * mean[first] + path * mean[second]))
fig, axes = plt.subplots(1, 5, figsize=(13, 2.8), sharey=True, layout="constrained")
for ax, step, share in zip(axes, walk, path[:, 0], strict=True):
    image = plots.plot_log_mel(step, config, ax=ax, title=f"t = {share:.2f}")
    ax.label_outer()
fig.colorbar(image, ax=axes, label="level (dB)")
plots.show_figure(fig, "03_walk", alt="Five spectrograms that change step by step from one piece into another.")

# %%
names = [features.genres[genre[index]] for index in (first, second)]
middle = as_clip(walk[2], f"half-way from {names[0]} to {names[1]}")
show_clips([as_clip(walk[0], f"start: {names[0]}"), middle, as_clip(walk[4], f"end: {names[1]}")], config)
average = real_db[[first, second]].mean(axis=0)
lesson(
    f"Half-way between {names[0]} and {names[1]} the sharpness is {evaluation.sharpness(walk[2]):.2f} dB; the two "
    "ends have "
    f"{evaluation.sharpness(walk[0]):.2f} and {evaluation.sharpness(walk[4]):.2f}, and the plain average of the "
    "two original "
    f"spectrograms {evaluation.sharpness(average):.2f}."
)

# %% [markdown]
# ## 12. What the prior costs: detail
#
# The posterior of each clip is a cloud, and clouds overlap. Where two clips claim the same $z$, the best answer under
# a squared error is their average, and an average is blurred. The autoencoder pays no such price.
#
# **Guess** how many dB the prior costs.

# %%
measures = {
    "reconstruction error (dB)": "reconstruction_rms_db",
    "sharpness of reconstructions": "sharpness_reconstruction",
    "sharpness of samples": "sharpness_prior",
}
compared_rows = pd.DataFrame({name: rows[f"{name}, fitted density"] for name in ("autoencoder", "VAE")}).T
cost = compared_rows[list(measures.values())].set_axis(list(measures), axis=1)
display(cost.round(3))

# %%
index = int(np.argsort(np.sqrt(((real_db - vae_rebuilt) ** 2).mean(axis=(1, 2))))[len(clips) // 2])  # a typical clip
ae_rebuilt = config.unscale(autoencoder.decode(autoencoder.encode(clips[[index]])[0]))[0]
versions = {"real": real_db[index], "autoencoder": ae_rebuilt, "VAE": vae_rebuilt[index]}
compared = [
    as_clip(log_mel, f"{features.genres[genre[index]]}, {name}", tempos[index]) for name, log_mel in versions.items()
]
show_clips(compared, config, "03_cost", alt="A real clip beside its reconstructions by the autoencoder and by the VAE.")

# %%
errors, sharp = cost["reconstruction error (dB)"], cost["sharpness of reconstructions"]
lesson(
    f"The prior changes the error from {errors['autoencoder']:.2f} to {errors['VAE']:.2f} dB and the sharpness of "
    "reconstructions "
    f"from {sharp['autoencoder']:.2f} to {sharp['VAE']:.2f}. In return the Fréchet distance of samples from the "
    "declared "
    f"prior is {board.loc['VAE, prior', 'Fréchet distance']:.1f}, where the autoencoder's Gaussian gives "
    f"{board.loc['autoencoder, Gaussian', 'Fréchet distance']:.1f}."
)

# %% [markdown]
# ## Limits
#
# - **You cannot ask for a genre.** A draw is whatever the latent happens to mean; you may draw ten times before one
#   is what you wanted. Notebook 04 gives the decoder a label, and measures whether it obeys.
# - All sound comes back through Griffin–Lim, which guesses the phase. The "real" clip above went the same way, so
#   that the comparison is of models and not of phases.
# - The Fréchet distance depends on its judge and on the number of clips. Use it to compare rows of one table, not
#   tables.
# - One seed. A difference smaller than what another seed would change is not a difference.
#
# ## Exercises
#
# 1. Draw with the temperatures 0.5, 1 and 1.5 (`vae.sample_latents([0] * 50, temperature=...)`) and measure sharpness
#    and diversity. What does a low temperature trade?
# 2. Set one latent dimension at a time to zero in all test clips and measure how much the reconstruction error grows.
#    Plot it against the KL of the dimension. What do you expect of an inactive one?
# 3. Write the KL between two arbitrary diagonal Gaussians, and check that it becomes `gaussian_kl` when the second is
#    the prior.
#
# Solutions are in `solutions/03_vae`. The cell below is yours.

# %%
temperature = 0.5
latent = vae.sample_latents([0] * 20, seed=seed, temperature=temperature)
print(f"temperature {temperature}: sharpness {evaluation.sharpness(config.unscale(vae.decode(latent))):.2f} dB")
