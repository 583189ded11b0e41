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
# # What does beta trade?
#
# <!-- links: made by tools/badges.py -->
# Before: [05 posterior collapse](05_posterior_collapse.ipynb).
# After: [07 comparison](07_comparison.ipynb).
# [Solutions](solutions/06_beta_cvae.ipynb) of the exercises.
#
# *No library, says the set-up cell? **On Colab,** set `repository_zip` below to the address of the project's zip, or
# drag the zip into the Files pane and set `"/content/<its name>"`. **On Kaggle,** choose Add Input and take the data set
# of the project, or switch Internet on and set `repository_zip`. **In VS Code or on a laptop,** keep this file in the
# project's folder, run `make lab` there, or `make setup` and choose `.venv` as the kernel.*
# <!-- end of links -->
#
# **What you will hear at the end:** one dimension of a latent turned from one end to the other, in three models that
# differ in nothing but $\beta$, each named from measurements.
#
# **What you need to know:** the KL divergence of a VAE (notebook 03), label obedience (notebook 04), and which latents
# survive a price (notebook 05). Every other term is defined where it first appears.
#
# > **Time:** 1.1 minutes on 2 CPU cores with the shipped results; most of it goes into three short live trainings.
# > The whole sweep is `make sweeps`. Last full run: 2026-11-27.

# %% tags=["parameters"]
data = "known"  # or the path of a folder of genres, or of FMA
seed = 0
repository_zip = ""
num_clips = 2400  # known-factor music only
weights = "pretrained"  # or "train"; other music is always trained on
num_steps = 150  # of each of the three live trainings; those of the sweep have 360

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
import dataclasses
import json

import ipywidgets as widgets
import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import display
from keras import ops
from scipy.stats import spearmanr

test = features.subset("test")
shipped = lab.uses_shipped_weights(session, weights)
has_factors = all(name in features.table for name in lab.FACTORS)
display(features.counts())

# %% [markdown]
# ## 1. One number, two bills
#
# The loss of the series is
#
# $$\text{loss} = \underbrace{-\log p(x \mid z, g)}_{\text{distortion}}
# + \beta \underbrace{\mathrm{KL}\big(q(z \mid x)\,\|\,p(z)\big)}_{\text{rate}} + \dots$$
#
# in nats, **summed over features and latent dimensions, averaged over the batch**. The **rate** is what the latent
# may say about a clip; the **distortion** is what the decoder still gets wrong after it was said. $\beta$ is the price
# of a nat of rate in nats of distortion: a model at $\beta = 10$ buys a nat only where it saves ten. With $\beta = 1$
# the sum is the bound of a VAE; other values make a **beta-VAE** (Higgins et al., 2017), here a conditional one.
#
# In code, $\beta$ is the argument `kl` of the models: a number, or a schedule whose `penalty` stands for
# $\beta\,\mathrm{KL}$ in the loss that you wrote in notebook 03.
#
# Two promises are made for a high $\beta$. It should make latents *simpler*: one dimension, one musical factor. And
# in a conditional model it should leave less room for the genre to hide in $z$. The first can be checked on music
# whose factors are known, such as our collection. **Guess** for each whether it holds, and what it costs.
#
# A warning about other people's betas: who takes means over pixels, or the squared error as it stands, has another
# unit, and values that look alike can differ by a factor of thousands. Our decoder has its optimal variance, so both
# terms are true nats.
#
# ## 2. Three models that differ in beta alone
#
# Small conditional VAEs of one size, trained here for the same steps on the same clips with the same seed, at three prices.

# %%
live_betas = (1.0, 10.0, 100.0)
live = {}
for beta in live_betas:
    changes = {"width": 96, "depth": 1, "kl": beta}
    live[beta], history = lab.fit_model(
        "cvae", features, num_steps=num_steps, seed=seed, changes=changes, verbose=0
    )

# %%
clips, genre = features.arrays("test")
codes = {beta: model.encode(clips) for beta, model in live.items()}
rate = {beta: float(lab.kl_per_dimension(*code).sum()) for beta, code in codes.items()}
rebuilt = {beta: config.unscale(model.decode(codes[beta][0], genre)) for beta, model in live.items()}
distortion = {beta: lab.reconstruction_rms_db(config.unscale(clips), made) for beta, made in rebuilt.items()}
pd.DataFrame({"rate (nats)": rate, "error of the means (dB)": distortion}).rename_axis("beta").round(2)

# %% [markdown]
# ## 3. The sweep: rate and distortion
#
# Three points do not make a curve. The table that ships has seven betas with three seeds, and three capacities
# (section 7) with one: the same small models, trained for 360 steps. `python -m cvae_lab.studies.sweeps beta_known` makes it again.
#
# **Question.** Along the sweep, does every nat of rate that is given up cost distortion? **Guess** the shape: a
# straight line, or steep at one end?

# %%
if shipped:
    rows = lab.read_rows("beta_known", features=features)
else:
    rows = lab.read_rows("beta_real", session.output_dir / "results", features)

# %%
if not len(rows):  # music of one's own, whose sweep has not been run: the live models alone
    judges = lab.open_judges(features, session, weights)
    measured = []
    for beta, model in live.items():
        row = {"value": beta, "schedule": "constant", "seed": seed}
        row |= lab.evaluate_model(model, features, judges).to_dict()
        measured.append(row | lab.measure_beta(model, features, seed))
    rows = pd.DataFrame(measured)
beta_rows = rows[rows["schedule"] == "constant"]
board = beta_rows.groupby("value").mean(numeric_only=True)
spread = beta_rows.groupby("value").std(numeric_only=True).fillna(0.0)

# %%
def table(columns, digits=2):
    """Mean and spread over the seeds, a row a beta; `columns` are words -> names."""
    text = {}
    for title, name in columns.items():
        pairs = zip(board[name], spread[name], strict=True)
        text[title] = [
            "–" if np.isnan(mean) else f"{mean:.{digits}f} ± {deviation:.{digits}f}"
            for mean, deviation in pairs
        ]
    return pd.DataFrame(text, index=board.index.rename("beta"))


words = {
    "rate (nats)": "rate",
    "of it, on the whole clip": "rate_whole",
    "active units": "active_units",
}
display(table(words, 0).join(table({"distortion (dB)": "distortion_db"})))

# %%
def draw_with_spread(ax, name, label, number):
    ax.errorbar(board.index, board[name], spread[name], color=cm.COLOURS[number], marker=cm.MARKERS[number], capsize=3, label=label)


fig, axes = plt.subplots(1, 2, figsize=(11, 3.8), layout="constrained")
axes[0].plot(board["rate"], board["distortion_db"], "-", color="0.7")
axes[0].plot(beta_rows["rate"].astype(float), beta_rows["distortion_db"].astype(float), "o", color=cm.COLOURS[0], label="sweep")
axes[0].plot(list(rate.values()), list(distortion.values()), "x", color=cm.COLOURS[4], label="live, fewer steps")
for beta, row in board.iterrows():
    axes[0].annotate(f"β {beta:g}", (row["rate"], row["distortion_db"]), textcoords="offset points", xytext=(6, 6))
axes[0].set(xlabel="rate (nats a clip)", ylabel="distortion (dB RMS)", xscale="log")
axes[0].legend()
draw_with_spread(axes[1], "rate", "rate", 0)
axes[1].set(xlabel="beta", ylabel="rate (nats a clip)", xscale="log", yscale="log")
session.show_figure(fig, "06_rate_distortion", alt="Distortion falls as the rate grows; the rate falls as beta grows.")

# %%
first = board.iloc[0]
last = board.iloc[-1]
monotone = (np.diff(board["rate"]) <= 0).all() and (np.diff(board["distortion_db"]) >= 0).all()
lab.takeaway(
    f"The cheapest nats ({first['rate']:.0f} of them) leave {first['distortion_db']:.1f} dB, the dearest {last['distortion_db']:.1f} dB.",
    {
        "Each rise of beta takes rate and gives distortion.": monotone and len(board) > 2,
        "Not every rise of beta does both: seeds or steps decide too.": True,
    },
)

# %% [markdown]
# ## 4. Which dimensions pay?
#
# The latent has 32 dimensions for the whole clip and 8 for each of 8 beats. A price does not take a little from each:
# a dimension whose last nat is not worth $\beta$ is given up, and has a KL near zero from then on. Below, every line
# is one $\beta$, its dimensions sorted.

# %%
fig, ax = plt.subplots(figsize=(8, 3.8), layout="constrained")
shades = plt.get_cmap("viridis")(np.linspace(0, 0.9, len(board)))
for number, beta in enumerate(board.index):
    stack = np.array(
        [json.loads(text) for text in beta_rows[beta_rows["value"] == beta]["kl_sorted"]]
    )
    ax.plot(
        stack.mean(axis=0),
        color=shades[number],
        label=f"β {beta:g}",
        linestyle=("-", "--", ":", "-.")[number % 4],
    )
ax.set(xlabel="latent dimension, largest KL first", ylabel="KL (nats)")
ax.set_yscale("symlog", linthresh=0.01)
ax.set_ylim(bottom=0.0)
ax.legend(ncols=2, fontsize="small")
session.show_figure(
    fig,
    "06_kl_per_dimension",
    alt="Sorted KL of the dimensions: a higher beta keeps fewer of them.",
)

# %%
share = board["rate_whole"] / board["rate"]
lab.takeaway(
    f"Of the nats, {share.iloc[0]:.0%} describe the whole clip at the lowest beta and {share.iloc[-1]:.0%} at the highest.",
    {
        "What belongs to single beats is given up first.": share.iloc[-1] > share.iloc[0] + 0.2,
        "Beats and whole clip are given up alike.": True,
    },
)

# %% [markdown]
# ## 5. Obedience, variety, and what $z$ gives away
#
# **z-leak** is the accuracy of a linear probe that names the genre of test clips from their latents. At chance,
# $z$ says nothing of the genre. High z-leak *and* high swap obedience mean that the genre is there and the decoder has
# learned not to look for it in $z$. **Fresh-draw obedience** asks for a genre with a latent drawn from the latents of all
# genres (notebook 04). **Diversity** and **sharpness** are generated over real, 1 is right. Two of these measures are no
# outside judges: the networks are trained with a contrast loss close to sharpness, and the judge of obedience learned from
# degraded clips as the model's own classifiers did. "–" was not measured. **Guess** at which beta the genre leaves $z$.

# %%
words = {
    "z-leak": "genre_probe_accuracy",
    "fresh-draw obedience": "cnn_fresh",
    "swap obedience": "cnn_swap",
    "class-conditional": "cnn_class_conditional",
    "diversity, log-mel": "diversity_log_mel",
    "diversity": "cnn_diversity",
    "sharpness, drawn": "sharpness_sampled",
}
display(table(words))
print(f"chance {board['chance'].iloc[0]:.2f}")

# %%
fig, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
for number, title in enumerate(("z-leak", "diversity", "diversity, log-mel", "sharpness, drawn")):
    draw_with_spread(ax, words[title], title, number)
ax.axhline(board["chance"].iloc[0], color="0.5", linestyle=":", label="chance, for the probe")
ax.set(xlabel="beta", ylabel="share, or generated over real", xscale="log", ylim=(0, 1.08))
ax.legend(fontsize="small")
session.show_figure(
    fig, "06_obedience", alt="z-leak stays high at every beta, diversity and sharpness fall."
)

# %%
leak = board["genre_probe_accuracy"].iloc[-1]
obeys = board["cnn_swap"].min()
lab.takeaway(
    f"At the highest beta a probe names the genre of {leak:.0%} of latents; swaps obey in {obeys:.0%} at worst.",
    {
        "It stays in z; the decoder has stopped asking for it.": leak > 0.5 and obeys > 0.8,
        "It stays in z, and at some beta it wins.": leak > 0.5,
        "A high price drives the genre out of z.": True,
    },
)

# %% [markdown]
# How can a latent of one nat give the genre away? A probe is taught with labels and adds up small shifts over 96 dimensions; a
# shift of a tenth of a standard deviation costs 0.005 nats and is no use to a decoder that has the label anyway. So z-leak alone is
# no fault, and the verdict is the pair: *readable, and unused*.

# %%
variety = board["diversity_log_mel"]
lab.takeaway(
    f"Diversity in log-mel goes from {variety.iloc[0]:.2f} at the lowest beta to {variety.iloc[-1]:.2f} at the highest.",
    {
        "A high price for rate is paid in variety.": variety.iloc[-1] < variety.iloc[0] - 0.1,
        "Variety hardly depends on it.": True,
    },
)

# %% [markdown]
# ## 6. Does beta disentangle?
#
# A latent is **disentangled** if each factor of the music has a dimension to itself. Three measures, each from 0 to 1:
#
# - **MIG** (Chen et al., 2018): for each factor, how far the best dimension is ahead of the second best, in mutual
#   information over the factor's entropy;
# - **SAP** (Kumar et al., 2018): the same with the squared correlation $R^2$;
# - **DCI** (Eastwood and Williams, 2018): trees predict each factor from all dimensions; *disentanglement* says
#   whether a dimension matters to one factor only, *informativeness* how well unseen clips are predicted.
#
# They are asked about mode, brightness, density, register and level. Not about tempo, which the beat grid removed from
# the features before any model saw them, nor about the key, which has no order. They look at the 32 dimensions of the
# whole clip.
#
# A measure needs its own ends first. We make three latents by hand: the factors themselves, pure noise, and the
# factors turned so that each dimension holds a bit of everything.

# %%
def scores(latents, factors):
    half = len(latents) // 2
    trees = lab.dci(
        latents[:half], factors[:half], latents[half:], factors[half:].reset_index(drop=True)
    )
    return {
        "MIG": lab.mutual_information_gap(latents, factors),
        "SAP": lab.separated_attribute_predictability(latents, factors),
        "DCI": trees["disentanglement"],
        "informativeness": trees["informativeness"],
    }


rng = np.random.default_rng(seed)
known = pd.DataFrame(
    {"mode": rng.integers(0, 2, 1500)} | {name: rng.random(1500) for name in lab.FACTORS[1:]}
)
plain = (known - known.mean()).to_numpy() / known.std().to_numpy()
turn = np.linalg.qr(rng.standard_normal((5, 5)))[0]
toys = {"factors": plain, "noise": rng.standard_normal((1500, 5)), "factors, turned": plain @ turn}
toy_scores = pd.DataFrame({name: scores(latents, known) for name, latents in toys.items()}).T
display(toy_scores.round(2))

# %% [markdown]
# The turned latents hold exactly as much as the plain ones. No loss that sees only the rate can prefer one to the
# other: a Gaussian prior looks the same from every side (Locatello et al., 2019). Whatever disentanglement there is
# comes from somewhere else, such as a posterior without correlations. **Guess** what the sweep says.

# %%
if has_factors:
    words = {
        "MIG": "mig",
        "SAP": "sap",
        "DCI": "dci_disentanglement",
        "informativeness": "dci_informativeness",
    }
    display(table(words, 3))

# %%
if has_factors:
    fig, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
    for number, (title, name) in enumerate(words.items()):
        draw_with_spread(ax, name, title, number)
        if title != "informativeness":
            ax.axhline(
                toy_scores.loc["factors, turned", title], color=cm.COLOURS[number], linestyle=":"
            )
    ax.set(xlabel="beta", ylabel="score (dotted: factors, turned)", xscale="log", ylim=(0, 0.5))
    ax.legend(fontsize="small")
    session.show_figure(
        fig, "06_disentanglement", alt="All scores lie below those of turned factors at every beta."
    )

# %%
if has_factors:
    best = board["mig"].max()
    turned_mig = toy_scores.loc["factors, turned", "MIG"]
    lab.takeaway(
        f"The best MIG of the sweep is {best:.3f}; noise has {toy_scores.loc['noise', 'MIG']:.2f}, factors that were turned "
        f"{turned_mig:.2f}.",
        {
            "No beta gives a factor a dimension of its own.": best < turned_mig,
            "Some beta orders the latent better than chance does.": True,
        },
    )

# %%
if has_factors:
    name = "dci_disentanglement"
    default = 1.0 if 1.0 in board.index else board.index[0]
    top = board[name].idxmax()
    gain = board.loc[top, name] - board.loc[default, name]
    noise = np.hypot(spread.loc[top, name], spread.loc[default, name])
    order = spearmanr(beta_rows["value"].astype(float), beta_rows[name].astype(float))[0]
    lab.takeaway(
        f"DCI gains {gain:.3f} at its best beta ({top:g}); over the sweep its rank correlation with beta is {order:.2f}.",
        {
            "A small gain at one price, and no trend.": gain > 2 * noise and abs(order) < 0.5,
            "A gain that grows with the price.": gain > 2 * noise and order >= 0.5,
            "No gain beyond the seeds' spread, or a falling trend.": True,
        },
    )

# %% [markdown]
# Read informativeness beside the other scores. A model that has given up most of its dimensions can look well ordered because there
# is little left to order: where informativeness falls, a gain in the other columns was bought by forgetting.
#
# ## 7. Capacity in place of a price
#
# Burgess et al. (2018) set the rate and not its price: $\gamma\,|\mathrm{KL} - C|$, with a capacity $C$ that grows
# during training, so that the most useful nats come first. **Question.** At equal rate, does it rebuild better?

# %%
capacity = rows[rows["schedule"] == "capacity"]
if len(capacity) and len(board) > 1:
    means = capacity.groupby("value").mean(numeric_only=True)
    by_rate = board.sort_values("rate")
    extra = means["distortion_db"] - np.interp(means["rate"], by_rate["rate"], by_rate["distortion_db"])
    display(means[["rate", "distortion_db"]].assign(extra=extra).rename_axis("capacity (nats)").rename(
        columns={"rate": "rate (nats)", "distortion_db": "distortion (dB)", "extra": "more than by a price (dB)"}).round(2))  # fmt: skip
    lab.takeaway(
        f"At equal rate a capacity costs {extra.min():.2f} to {extra.max():.2f} dB more than a price does.",
        {
            "In so short a training the price buys better nats.": extra.min() > -0.05 and extra.max() > 0.1,
            "The capacity buys better nats.": extra.max() < -0.05,
            "Neither is better at every rate.": True,
        },
    )

# %% [markdown]
# ## 8. Turn a dimension at three betas
#
# Pictures of latent traversals persuade at first sight: the eye finds a name for anything. So the name comes first, from
# measurements. `cm.latent_effects` turns one dimension from two standard deviations below its mean to two above, on a
# dozen clips, and measures what changes. Then we look at the *change* between the two ends, and listen to them.

# %%
names = {
    beta: cm.latent_effects(model, features).head(3).reset_index(drop=True)
    for beta, model in live.items()
}
for beta, found in names.items():
    print(f"β {beta:g}")
    display(found[["dimension", "kl", "name"]].round(2))

# %%
start = config.scale(test.log_mel[:1])
label = int(test.genre_index[0])


def turned(beta, rank, amount):
    """One clip with a dimension moved by `amount` standard deviations; dB log-mel."""
    latent = live[beta].encode(start)[0]
    dimension = int(names[beta]["dimension"][rank])
    latent[:, dimension] += amount * codes[beta][0][:, dimension].std()
    return config.unscale(live[beta].decode(latent, [label]))[0]

# %%
fig, axes = plt.subplots(
    3, 3, figsize=(11, 6.6), sharex=True, sharey=True, layout="constrained"
)
for pictures, beta in zip(axes, live, strict=True):
    ends = [turned(beta, 0, amount) for amount in (-2.0, 2.0)]
    for ax, clip, title in zip(
        pictures, (*ends, ends[1] - ends[0]), ("-2 sd", "+2 sd", "change"), strict=True
    ):
        image = cm.plot_log_mel(clip, config, ax, title=f"β {beta:g}: {title}")
        if title == "change":
            image.set(cmap="RdBu_r", clim=(-12, 12))
            change = image
        else:
            level = image
        ax.label_outer()
fig.colorbar(level, ax=axes[:, :2], label="level (dB)")
fig.colorbar(change, ax=axes[:, 2], label="change (dB)")
session.show_figure(
    fig,
    "06_traversals",
    alt="The strongest dimension at three betas, both ends and their difference, a beta a row.",
)

# %% tags=["widget"]
def hear(beta, rank, amount):
    what = f"β {beta:g}, {names[beta]['name'][rank - 1]}, {amount:+g} sd"
    samples = cm.to_audio(turned(beta, rank - 1, amount), config)
    cm.show_clips({"log_mel": turned(beta, rank - 1, amount), "samples": samples, "label": what, "tempo": 110.0}, config)


prices = widgets.ToggleButtons(options=list(live), description="beta")
ranks = widgets.IntSlider(value=1, min=1, max=3, description="dimension")
amounts = widgets.FloatSlider(value=2.0, min=-3.0, max=3.0, step=0.5, continuous_update=False, description="sd")
turned_by_hand = widgets.interact(hear, beta=prices, rank=ranks, amount=amounts)

# %%
ends = []
for beta in live:
    for amount in (-2.0, 2.0):
        clip = turned(beta, 0, amount)
        ends.append({"log_mel": clip, "samples": cm.to_audio(clip, config), "label": f"β {beta:g}, {amount:+g} sd", "tempo": 110.0})
cm.show_clips(ends, config, num_columns=2)

# %%
moved = {beta: float(np.abs(turned(beta, 0, 2.0) - turned(beta, 0, -2.0)).mean()) for beta in live}
low = min(live)
high = max(live)
lab.takeaway(
    f"Turned, the strongest dimension changes a clip by {moved[low]:.1f} dB at the lowest beta, {moved[high]:.1f} at the highest.",
    {
        "The fewer dimensions are left, the more one does.": moved[high] >= 1.1 * moved[low],
        "At a high price even the strongest does less.": moved[high] < 0.9 * moved[low],
        "One dimension does about as much at any price.": True,
    },
)

# %% [markdown]
# ## 9. The same for real music
#
# Four styles from a folder, one seed, numbers only: the recordings cannot be shipped. There are no known factors, so
# no disentanglement. Judges are weaker here; their accuracy on real clips is in the last column.

# %%
real = lab.read_rows("beta_real") if shipped else pd.DataFrame()
if len(real):
    words = {
        "rate": "rate (nats)",
        "distortion_db": "distortion (dB)",
        "genre_probe_accuracy": "z-leak",
        "cnn_fresh": "fresh-draw obedience",
        "cnn_swap": "swap obedience",
        "cnn_diversity": "diversity",
        "cnn_real": "judge on real clips",
    }
    real = real.set_index("value")
    real_table = real[list(words)].rename(columns=words).rename_axis("beta")
    display(real_table.style.format(precision=2, na_rep="–"))

# %%
if len(real):
    swaps = real["cnn_swap"]
    varied = real["cnn_diversity"]
    obeys_more = swaps.iloc[-1] > swaps.iloc[0]
    varies_less = varied.iloc[-1] < varied.iloc[0]
    lab.takeaway(
        f"On real music swap obedience goes from {swaps.iloc[0]:.2f} to {swaps.iloc[-1]:.2f} "
        f"while diversity ends at {varied.iloc[-1]:.2f}.",
        {
            "There beta does buy obedience, and pays with variety.": obeys_more and varies_less,
            "There beta does not buy obedience.": True,
        },
    )

# %% [markdown]
# What buys obedience without that price are the classifiers of notebook 04.
#
# ## Is my run normal?
#
# What the trainings of the sweep reported, all seeds: the lowest and the highest value of each measure. Your live models had fewer
# steps: expect a lower rate and a larger distortion than in the rows of their betas.

# %%
normal = {"rate": "rate (nats)", "distortion_db": "distortion (dB)", "active_units": "active units", "seconds": "training (s)"}
normal = {name: title for name, title in normal.items() if name in beta_rows}
display(beta_rows.groupby("value")[list(normal)].agg(["min", "max"]).astype(float).round(2).rename(columns=normal).rename_axis("beta"))

# %% [markdown]
# ## What to take along
#
# - $\beta$ is a price. What it buys is fewer nats, what it costs is distortion and variety.
# - It does not order the latent: a price looks the same from every side.
# - It does not take the genre out of $z$ either. Whether the decoder *uses* what is in $z$ is another question, with another cure.
#
# ## Limits
#
# - Small models and short trainings, so that three seeds fit: the shape of the curves is the message, not the last dB.
# - A high $\beta$ also weakens every other term of the loss beside it. The classifiers and the discrepancy keep their
#   weights along the sweep, and may decide where the rate no longer does.
# - Three measures, five factors: a model can be well ordered along factors that nobody recorded.
# - Names of dimensions come from attributes that we chose to measure. "Fine detail" means none of them moved.
#
# ## Exercises
#
# 1. *15 minutes, medium.* A schedule of your own. `Sigmoid` below should raise the weight along a logistic curve,
#    $w / (1 + e^{(m - s) / b})$ at step $s$, with middle $m$ and width $b$. Write it with `keras.ops`; the cell after it checks.
# 2. *10 minutes, easy.* Train with your schedule: `lab.fit_model("cvae", features, num_steps=150, changes={"kl": Sigmoid(10.0)})`. Is the rate at the
#    end that of $\beta = 10$?
# 3. *10 minutes, easy.* Score MIG on all 96 dimensions (`lab.disentanglement_row(..., whole_only=False)`). Why does it fall?
# 4. *20 minutes, hard.* Turn the latents of a live model by a random rotation, as with the toys: what happens to each measure?
#
# Solutions are in `solutions/06_beta_cvae`. Notebook 07 sets all models of the series side by side.

# %% tags=["exercise"]
@dataclasses.dataclass
class Sigmoid(cm.Constant):
    """Weight rising along a logistic curve; half of it is reached after `middle` steps."""

    middle: float = 75.0
    width: float = 15.0

    def next_weight(self, step, last_weight, kl):
        return ops.zeros_like(last_weight) + self.weight  # yours: a constant so far

# %% tags=["check"]
found = [float(Sigmoid(10.0).next_weight(ops.convert_to_tensor(step), keras.ops.ones(()), 0.0)) for step in (0, 75, 150)]
expected = [10.0 / (1.0 + np.exp((75.0 - step) / 15.0)) for step in (0, 75, 150)]
right = np.allclose(found, expected, rtol=1e-3)
print("right" if right else f"not yet: expected {np.round(expected, 3).tolist()}, got {np.round(found, 3).tolist()}")

# %% [markdown]
# <!-- links: made by tools/badges.py -->
# Before: [05 posterior collapse](05_posterior_collapse.ipynb).
# After: [07 comparison](07_comparison.ipynb).
# [Solutions](solutions/06_beta_cvae.ipynb) of the exercises.
# <!-- end of links -->
