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
# # Why did the original play the same clip for everything?
#
# *To open this on Colab: File, Upload notebook, choose this file; put the zip of the project into the Files pane and
# set `repository_zip = "file:///content/<name of the zip>"` below.*
#
# **What you will hear:** clips "generated" by a recipe that once ran for days on a GPU: all of them are the same near
# silence. Beside them real clips, taken through the same path.
#
# **What you need to know:** the ELBO and its KL divergence (notebook 03). PCA at the level of "directions in which the
# data vary most".
#
# > **Time:** about 3 minutes on two CPU cores: a composition of 1,200 clips the first time, one training of 300 steps.
# > The tables come from `data/results`, made by `make sweeps`. Last full run: 2026-11-23.

# %% tags=["parameters"]
data = "known"  # or the path of a folder of genres, or of FMA
seed = 0
repository_zip = ""
num_clips = 2400  # known-factor music only
num_steps = 300  # of the live training; the shipped rows have 300

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
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from cvae_lab import collapse, collapse_cells, evaluation, sweeps
from cvae_lab.lessons import lesson, show_source
from IPython.display import HTML, display

from cvae_music import plots
from cvae_music.config import AudioConfig
from cvae_music.data.features import build_features
from cvae_music.data.sources import open_collection
from cvae_music.players import player

# %%
config = AudioConfig()
features = build_features(open_collection(data, num_clips=num_clips, seed=seed), config, session.cache_dir)
clips = {kind: collapse_cells.clips_of(features, kind) for kind in ("stft", "log_mel")}
for kind, parts in clips.items():
    print(kind, {split: parts[split][0].shape for split in ("train", "test")})

# %% [markdown]
# ## 1. What the original was fed
#
# The project that this series starts from trained a conditional VAE on the **complex STFT** of 10 s of music: real and
# imaginary parts of 513 bins in 862 frames. Each of the two was divided by 16 of its standard deviations, so that a
# typical cell has a variance of $1/256$. Its loss was
#
# $$\text{loss} = \sum (x - \hat x)^2 + \beta \, \mathrm{KL}, \qquad
# \beta = \min\big(0.1\, e^{0.25 (\text{epoch} - 11)},\; 2\big).$$
#
# Our small version keeps the window of 23 ms, the scaling, the loss, the ramp, the label as constant maps at the
# encoder's input and one concatenation at the latent, dropout and batch norm. It is smaller in everything else: pieces
# of 1.5 s up to 5.5 kHz, 64 latent dimensions, convolutions along time with frequencies as channels, 300 steps of 32.
# The pieces start at random moments, as songs cut anywhere do; on our bar lines all phases would begin alike.

# %%
show_source(collapse.complex_stft)
cells = clips["stft"]["train"][0].var(axis=0)
print(f"variance of a cell: mean {cells.mean():.5f} (1/256 is {1 / 256:.5f}), median {np.median(cells):.5f}")

# %%
def levels_of(parts):
    """Levels of complex STFT clips in dB, to be seen."""
    return collapse_cells.levels_db(parts, "stft", config)


def show_sounds(clips, labels, name, alt):
    fig, axes = plt.subplots(1, len(clips), figsize=(2.8 * len(clips) + 1, 2.8), sharey=True, layout="constrained")
    for ax, clip, label in zip(axes, levels_of(clips), labels, strict=True):
        image = ax.imshow(clip.T, origin="lower", aspect="auto", cmap="magma", vmin=-50, vmax=15, extent=(0, 1.49, 0, 5.5))
        ax.set(xlabel="time (s)", title=label)
    axes[0].set_ylabel("frequency (kHz)")
    fig.colorbar(image, ax=axes, label="level (dB)")
    plots.show_figure(fig, name, alt=alt)
    sounds = [collapse.stft_to_audio(clip, parts_scale) for clip in clips]
    display(HTML("".join(player(sound, config, label, seed).data for sound, label in zip(sounds, labels, strict=True))))


# %%
parts_scale = clips["stft"]["scale"]
stft_test, stft_genre = clips["stft"]["test"]
some = [int(np.flatnonzero(stft_genre == index)[0]) for index in np.unique(stft_genre)[:4]]
labels = [f"real, {features.genres[stft_genre[row]]}" for row in some]
show_sounds(stft_test[some], labels, "05_real_stft", "Four real clips as complex STFT, each with a pattern of its own.")

# %% [markdown]
# ## 2. A forecast, before any training
#
# Divide the loss by $\beta$ and compare with a Gaussian decoder of variance $s$, whose negative log-likelihood is
# $\frac{1}{2s}\sum (x-\hat x)^2$ plus a constant: they are the same for $s = \beta/2$. **Whoever sets $\beta$ beside
# a sum of squares has chosen a noise variance of $\beta / 2$ for every cell.**
#
# For a *linear* VAE the best solution is known (Lucas et al., 2019): it is PCA with a threshold. A principal direction
# with eigenvalue $\lambda$, the variance of the data along it, is kept if
#
# $$\lambda > \frac{\beta}{2},$$
#
# the largest first, at most as many as there are latent dimensions. The mean of a kept dimension then has the variance
# $1 - \frac{\beta / 2}{\lambda}$ over clips; a direction below the threshold costs more KL than it saves squares, and
# its latent dimension becomes noise. When no direction is above, all have **collapsed**.
#
# **Question.** How many of 64 latent dimensions survive at the original's $\beta = 2$, on complex STFT and on log-mel?
# **Guess** both. A hint: turning the phase of a partial turns its cells around zero, so their best linear prediction
# from anything is zero, and no direction gathers much variance.

# %%
spectra = {kind: collapse.pca_spectrum(parts["train"][0]) for kind, parts in clips.items()}
betas = {kind: np.array(values, float) for kind, values in collapse_cells.BETAS.items()}
num_latents = collapse_cells.NUM_LATENTS
forecast = pd.concat(
    pd.DataFrame({"features": kind, "beta": betas[kind],
                  "forecast": collapse.forecast_active_units(spectra[kind], betas[kind], num_latents)})
    for kind in spectra
)  # fmt: skip
forecast.to_csv(session.output_dir / "05_forecast.csv", index=False)  # written down before anything is trained

# %%
titles = {"stft": "complex STFT", "log_mel": "log-mel"}
fig, axes = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
for ax, (kind, values) in zip(axes, spectra.items(), strict=True):
    ax.loglog(np.arange(1, len(values[:256]) + 1), values[:256], color=plots.COLOURS[0])
    ax.axhline(1.0, color="0.2", linestyle="--", label="β/2 at the end of the ramp")
    ax.axhline(0.0064 / 2, color="0.2", linestyle=":", label="β/2 at its start")
    ax.axvline(num_latents, color=plots.COLOURS[4], linestyle="-.", label="latent dimensions")
    ax.set(xlabel="principal direction", title=titles[kind], ylim=(2e-3, 500))
axes[0].set_ylabel("variance along it (eigenvalue)")
axes[0].legend(fontsize="small")
plots.show_figure(fig, "05_spectra", alt="Spectra: complex STFT below the dashed line throughout, log-mel far above it.")

# %%
at_two = {kind: int(collapse.forecast_active_units(spectra[kind], 2.0, num_latents)) for kind in spectra}
above = {kind: int(np.sum(spectra[kind] > 1.0)) for kind in spectra}
lesson(
    f"At the end of the ramp the threshold is 1. The largest eigenvalue of complex STFT is "
    f"{spectra['stft'][0]:.2f}, that of log-mel {spectra['log_mel'][0]:.0f}. So the forecast for β = 2 is "
    f"{at_two['stft']} of {num_latents} latents on complex STFT and {at_two['log_mel']} on log-mel, where "
    f"{above['log_mel']} directions would have the right to live. The first direction carries "
    f"{spectra['stft'][0] / spectra['stft'].sum():.1%} of the variance of complex STFT and "
    f"{spectra['log_mel'][0] / spectra['log_mel'].sum():.1%} of log-mel: there the latents that should survive are "
    f"the first {num_latents} principal directions; on complex STFT none."
)

# %% [markdown]
# ## 3. The recipe, trained
#
# The cell below is one cell of the sweep behind the tables of this notebook, trained now.

# %%
cell = next(one for one in sweeps.sweep_cells("collapse_remedies") if one["features"] == "stft" and one["seed"] == 0)
cell = cell | {"num_steps": num_steps, "seed": seed}
model, seconds = collapse_cells.train_recipe(cell, clips["stft"], num_genres=features.num_genres)
print(cell["name"], cell["changes"], f"{seconds:.0f} s, {model.count_params():,} weights")

# %%
live = collapse_cells.score(model, "stft", clips["stft"], features, {})
display(pd.Series(live, name="original recipe").to_frame().T.round(3))

# %%
rng = np.random.default_rng(seed)
latents = rng.standard_normal((4, num_latents))
made = model.decode(latents, stft_genre[some])
labels = [f"generated, {features.genres[stft_genre[row]]}" for row in some]
show_sounds(made, labels, "05_collapsed", "Four generated clips of different genres: all the same, and near silent.")

# %%
loudness = 20 * np.log10(np.sqrt(np.mean(made**2)) / np.sqrt(np.mean(stft_test**2)))
lesson(
    f"{live['active_units']} active units of {num_latents}, a KL of {live['kl']:.2f} nats, diversity "
    f"{live['diversity']:.3f} (real clips: 1). Four latents and genres give clips {-loudness:.0f} dB below the level "
    f"of real ones. The reconstruction explains {live['explained']:.1%} of the variance: nothing was learned but "
    "the mean, and the mean of a phase is silence."
)

# %% [markdown]
# **Is my run normal?** The shipped row of this cell, and the tolerance: one active unit, 0.02 in diversity, 0.05 in the
# explained share. Another processor or library version rounds otherwise, and rounding grows over 300 steps.

# %%
remedies = sweeps.read_rows("collapse_remedies")
shipped = remedies[remedies["key"] == sweeps.cell_key(cell)]
tolerance = {"active_units": 1, "diversity": 0.02, "explained": 0.05}
if data == "known" and len(shipped):
    check = pd.DataFrame({"live": live, "shipped": shipped.iloc[0]}).loc[list(tolerance)].astype(float)
    check["tolerance"] = pd.Series(tolerance)
    display(check.round(4))
    assert num_clips != 2400 or ((check["live"] - check["shipped"]).abs() <= check["tolerance"]).all()

# %% [markdown]
# ## 4. Forecast against measurement, over a sweep of β
#
# Two models meet the forecast. The **linear VAE** is the control: trained by gradients from random weights, it has to
# find by itself what theory says. For a linear model the mean over clips and noise is a formula, so it trains in
# seconds. The **recipe's network** (convolutions and batch norm; no label, no dropout, β fixed) was trained for 300
# steps at each β, three seeds on log-mel, one on complex STFT; its rows ship.
#
# One more measure is needed. *Active units* count axes whose mean moves. A network that spreads one direction over many
# axes has many active units and still says one thing. **Active directions** count the eigenvalues of the covariance of
# the means that exceed the same 0.01; they do not care how the axes are turned.
#
# **Guess:** will the network use more or fewer than the forecast?

# %%
def linear_counts(kind):
    fits = [collapse.fit_linear_vae(spectra[kind], beta, num_latents, seed) for beta in betas[kind]]
    return [int(np.sum(variance > 0.01)) for variance in fits]


forecast["linear"] = np.concatenate([linear_counts(kind) for kind in spectra])

# %%
swept = sweeps.read_rows("collapse_beta")
measures = ["active_units", "active_directions", "kl", "explained"]
short = swept[swept["num_steps"] == collapse_cells.NUM_STEPS]
means = short.groupby(["features", "beta"])[measures].mean().reset_index()
table = forecast.merge(means, on=["features", "beta"], how="left")
display(table.round(2))

# %%
fig, axes = plt.subplots(1, 2, figsize=(10, 3.6), sharey=True, layout="constrained")
styles = {"linear": ("linear VAE", "s"), "active_units": ("network: active units", "^"),
          "active_directions": ("network: active directions", "o")}  # fmt: skip
for ax, kind in zip(axes, ("log_mel", "stft"), strict=True):
    part = table[table["features"] == kind].sort_values("beta")
    ax.semilogx(part["beta"], part["forecast"], "k-", label="forecast")
    for number, (column, (label, marker)) in enumerate(styles.items()):
        ax.semilogx(part["beta"], part[column], marker + ":", color=plots.COLOURS[number], label=label)
    ax.set(xlabel="β", title=titles[kind])
axes[0].set_ylabel(f"of {num_latents} latent dimensions")
axes[0].legend(fontsize="small")
plots.show_figure(fig, "05_forecast", alt="Counts against beta: the linear VAE on the forecast line, the network off it.")

# %%
def agreement(kind, column):
    part = table[table["features"] == kind].dropna(subset=[column])
    off = part[column] - part["forecast"]
    rank = part[column].corr(part["forecast"], "spearman") if part[column].nunique() > 1 else np.nan
    return {"features": titles[kind], "model": styles[column][0], "rank correlation": rank,
            "count error": off.abs().sum() / part["forecast"].sum(), "direction": off.sum() / part["forecast"].sum()}  # fmt: skip


agreements = pd.DataFrame([agreement(kind, column) for kind in ("log_mel", "stft") for column in styles])
display(agreements.round(3))

# %%
def sentence(row):
    side = "too many" if row["direction"] > 0 else "too few"
    rank = f"{row['rank correlation']:.2f}" if np.isfinite(row["rank correlation"]) else "undefined, as the count never changes"
    return (f"{row['model']} on {row['features']}: rank correlation {rank}, count error {row['count error']:.0%} ({side} by {abs(row['direction']):.0%} on balance)")  # fmt: skip


lesson("; ".join(sentence(row) for _, row in agreements.iterrows()) + ".")

# %% [markdown]
# Is it a matter of time? One β, with up to eight times as many steps:

# %%
at_24 = swept[(swept["features"] == "log_mel") & (swept["beta"] == 24)]
longer = at_24.groupby("num_steps")[[*measures, "forecast", "mutual_information"]].mean()
display(longer.round(2))

# %% [markdown]
# The count error is the sum of the absolute differences over the sum of the forecast. Theory speaks about the *best*
# linear model. A network departs from it for reasons of its own. It need not turn its axes to the principal directions,
# and then one direction counts as several active units. It has to *find* directions by gradients, the strong ones
# first, and 300 steps end before the weak ones are found. And it can bend: one latent may drive several
# directions. The forecast is the map of what can survive, not a promise that training gets there.
#
# ## 5. One change at a time
#
# Now every cure that the literature names, each as one change to the recipe, at the same number of steps, clips and
# latents, three seeds each. Once with complex STFT, once with log-mel, which is itself the first cure:
#
# - **optimal variance** (Rybkin et al., 2021): the noise variance is the error itself, weight 1, instead of β/2;
# - **linear warm-up** (Bowman et al., 2016) and **cyclical** (Fu et al., 2019): the weight ramps to 2 once, or four times;
# - **free bits** (Kingma et al., 2016): the first half bit of each dimension costs nothing extra;
# - **capacity** (Burgess et al., 2018): the KL is held at a target that rises to 25 nats;
# - **target KL**: a controller steers the weight until the KL is 50 nats (after Shao et al., 2020);
# - **mean batch norm** (Zhu et al., 2020): posterior means are normalised to a spread of 0.5, so the KL cannot vanish;
# - **aggressive encoder** (He et al., 2019): in the first half, three of four steps train the encoder alone;
# - **latent at every stage** (Dieng et al., 2019): $z$ enters every stage of the decoder, not the first alone.
#
# The last row is the default of the series at the same budget: log-mel, optimal variance, latent and label at every
# stage of a residual network, and the two remedies of section 6.
#
# **The rule, stated before the table is read.** Candidates are models with at least 8 active units, diversity of at
# least 0.5, and prior and swap obedience of at least 0.9 of the judge's accuracy on real clips, in the mean over the seeds.
# Among the candidates the smallest reconstruction error in dB wins. The variants of section 6 are held to the same rule.

# %%
columns = ["explained", "rms_db", "kl", "mutual_information", "active_units", "active_directions", "diversity",
           "real", "rebuilt", "prior", "swap", "seconds"]  # fmt: skip
grouped = remedies.groupby(["features", "name"], sort=False)[columns]
ablation, spread, runs = grouped.mean(), grouped.std(), grouped.size()
display(ablation.assign(seeds=runs).round(2))

# %% [markdown]
# `explained` is the share of the test clips' variance that the reconstruction explains, `rms_db` its error in levels.
# `prior` and `swap` are label obedience, `real` and `rebuilt` the ceilings: the judge on real test clips and on
# reconstructions. New latents come from one Gaussian for each genre, fitted to the training latents. On log-mel the
# shipped network judges; complex STFT does not fit it, so a logistic regression on the mean and spread of each band
# stands in. The spread over the seeds:

# %%
display(spread.round(2))


# %%
def is_candidate(rows):
    return (
        (rows["active_units"] >= 8) & (rows["diversity"] >= 0.5)
        & (rows["prior"] >= 0.9 * rows["real"]) & (rows["swap"] >= 0.9 * rows["real"])
    )  # fmt: skip


candidates = ablation[is_candidate(ablation)].sort_values("rms_db")
winner = candidates.index[0] if len(candidates) else ("none", "no model passes")
print(candidates[["rms_db", "active_units", "diversity", "prior", "swap", "seconds"]].round(3).to_string() or "no candidate")

# %%
fig, axes = plt.subplots(1, 3, figsize=(11, 4.6), sharey=True, layout="constrained")
names = list(dict.fromkeys(remedies["name"]))[::-1]
for ax, column in zip(axes, ("active_directions", "diversity", "swap"), strict=True):
    for kind, marker, colour in (("stft", "x", plots.COLOURS[4]), ("log_mel", "o", plots.COLOURS[0])):
        part = ablation.loc[kind][column] if kind in ablation.index else {}
        at = [name for name in names if name in part]
        ax.plot([part[name] for name in at], [names.index(name) for name in at], marker, color=colour, label=titles[kind])
    ax.set(xlabel=column.replace("_", " "), yticks=range(len(names)), yticklabels=names)
axes[2].legend(fontsize="small")
plots.show_figure(fig, "05_remedies", alt="Three columns of points: each remedy's active directions, diversity, obedience.")

# %%
def words(kind, name):
    row = ablation.loc[(kind, name)]
    return (f"{name} on {titles[kind]} has {row['active_units']:.0f} active units, {row['active_directions']:.0f} directions, "
            f"diversity {row['diversity']:.2f}, and explains {row['explained']:.0%}")  # fmt: skip


pairs = [("stft", "original recipe"), ("log_mel", "original recipe"), ("stft", "mean batch norm"), ("stft", "optimal variance")]
lesson("; ".join(words(*pair) for pair in pairs if pair in ablation.index) + f". By the rule the winner is: {winner[1]}"
       + (f", {ablation.loc[winner, 'rms_db']:.2f} dB." if len(candidates) else "."))  # fmt: skip

# %% [markdown]
# Read the batch-norm row with care. Its active units are active *by construction*: the normalisation forces the mean of
# every dimension to move. Whether the decoder uses them shows in the explained share and in the diversity. A measure
# that a method fixes by its definition says nothing about the method.
#
# ## 6. The second collapse: a healthy latent, a deaf decoder
#
# Now a model in which nothing seems wrong: log-mel, optimal variance, latent and label at every stage. Its KL is high and
# its units are active. Yet the genre can be read from the latent, so the decoder need not listen to its label. Only
# *swap* shows it: the latent of a real clip, decoded with another genre. Two remedies of notebook 05, each alone and both: the
# **discrepancy** makes the latents of every genre look like the prior, so that they no longer tell the genre; the
# **listeners** ask for the other genre to be heard. For comparison a larger β, which only makes the latent poorer.

# %%
swaps = sweeps.read_rows("collapse_label")
columns = ["kl", "active_units", "rms_db", "diversity", "real", "rebuilt", "prior", "swap", "seconds"]
second = swaps.groupby("name", sort=False)[columns].agg(["mean", "std"])
display(second.xs("mean", axis=1, level=1).round(3))

# %%
fig, ax = plt.subplots(figsize=(7, 2.8), layout="constrained")
middle, width = second["swap"]["mean"][::-1], second["swap"]["std"][::-1].fillna(0.0)
ax.barh(range(len(middle)), middle, xerr=width, color=plots.COLOURS[5], capsize=3)
ax.axvline(evaluation.chance(features.subset("test").genre_index), color="0.3", linestyle=":", label="chance")
ax.axvline(second["real"]["mean"].mean(), color="0.2", linestyle="--", label="judge on real clips")
ax.set(yticks=range(len(middle)), yticklabels=middle.index, xlabel="swap obedience")
fig.legend(fontsize="small", loc="outside upper center", ncols=2)
plots.show_figure(fig, "05_second_collapse", alt="Bars of swap obedience: low without remedies, high with them.")

# %%
def told(name):
    row = second.loc[name]
    return (f"{name}: KL {row['kl']['mean']:.0f} nats, {row['active_units']['mean']:.0f} active units, swap obedience "
            f"{row['swap']['mean']:.2f} ± {row['swap']['std']:.2f}")  # fmt: skip


lesson("; ".join(told(name) for name in second.index) + ". To hear the deaf model beside the cured one, open notebook 04.")

# %% [markdown]
# **The verdict over both tables.** The default of the series has both remedies. Do the variants with fewer pass as well?

# %%
alike = second.xs("mean", axis=1, level=1).drop(index="discrepancy and listener", errors="ignore")
contest = pd.concat([ablation.loc["log_mel"], alike])
contest = contest[is_candidate(contest)].sort_values("rms_db")
noise = second["rms_db"]["std"].max() if len(swaps) > len(second) else np.nan
display(contest[["rms_db", "diversity", "prior", "swap", "kl", "seconds"]].round(3))

# %%
best, default = contest.iloc[0], contest.loc["series default"] if "series default" in contest.index else None
verdict = "The default of the series passes the rule and wins." if contest.index[0] == "series default" else (
    f"By the letter of the rule the winner is *{contest.index[0]}* with {best['rms_db']:.2f} dB and swap obedience "
    f"{best['swap']:.2f}; the default of the series has "
    + (f"{default['rms_db']:.2f} dB and {default['swap']:.2f}." if default is not None else "not passed.")
)  # fmt: skip
lesson(f"{verdict} The largest spread of the error over seeds in this table is {noise:.2f} dB.")

# %% [markdown]
# What one remedy more costs in dB on this clear-cut music is small, and what it costs in time is not: the listeners
# double it. They are in the default for music whose genres are less clear-cut than these six: notebook 06 has the
# same choice on recordings (section 9). On music of your own, measure before you leave them out.
#
# ## What to take along
#
# 1. A sum of squares with a weight on the KL is a statement about noise. Compare β/2 with the spectrum of your features
#    before you train: it costs seconds.
# 2. Features decide more than schedules do. Phase has no mean worth predicting.
# 3. Count directions as well as units, and look at the outputs: KL and active units can be healthy in a model that
#    is deaf to its label, and forced to look healthy in one that is deaf to everything.
#
# ## Exercises
#
# 1. **A knob.** At which β does the *first* direction of log-mel die? Read it off the spectrum, then let
#    `collapse.fit_linear_vae` confirm it on both sides.
# 2. **A parameter.** Divide the STFT by 4 standard deviations instead of 16: how do the eigenvalues change, and what is
#    the forecast at β = 2?
# 3. **A few lines.** Aligned phases: give `complex_stft` the start 0 for every clip. Compose 120 clips, compare the
#    share of the first direction with that at random starts, and explain.
#
# The solutions are in `notebooks/solutions`.

# %%
first_dies_at = None  # exercise 1: your β here
if first_dies_at is not None:
    print([int(np.sum(collapse.fit_linear_vae(spectra["log_mel"], first_dies_at * k, num_latents) > 0.01)) for k in (0.9, 1.1)])
