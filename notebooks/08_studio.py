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
# # Can a generative model be played like an instrument?
#
# <!-- links: made by tools/badges.py -->
# Before: [07 comparison](07_comparison.ipynb).
# After: [09 discriminator](09_discriminator.ipynb).
# [Solutions](solutions/08_studio.ipynb) of the exercises.
#
# *No library, says the set-up cell? **On Colab,** set `repository_zip` below to the address of the project's zip, or
# drag the zip into the Files pane and set `"/content/<its name>"`. **On Kaggle,** choose Add Input and take the data set
# of the project, or switch Internet on and set `repository_zip`. **In VS Code or on a laptop,** keep this file in the
# project's folder, run `make lab` there, or `make setup` and choose `.venv` as the kernel.*
# <!-- end of links -->
#
# **What you will hear at the end:** whatever you ask for. It begins with a studio of ten lines: genre, seed, tempo. It
# ends with a large one: genres to mix, sliders for brightness, density, level and bass, a map to walk on, your own clip
# as another genre. The sections between take each control apart and measure whether it does what its name says.
#
# **What you need to know:** what a conditional VAE is, and that it *obeys* if judges hear the genre that was asked for
# (notebook 04). Every other term is defined where it first appears.
#
# > **Time:** 0.8 minutes on 2 CPU cores with the shipped weights and features from the cache. Last full run:
# > 2026-11-27. In a hurry? `make studio` opens the large studio alone in a browser.

# %% tags=["parameters"]
data = "known"  # or the path of a folder of genres, or of FMA
seed = 0
repository_zip = ""
num_clips = 2400  # known-factor music only
weights = "pretrained"  # or "train"; other music is always trained on
num_full_steps = 1440  # of the training, where no weights are loaded
num_judge_steps = 400  # of the judges, where none are loaded
num_judged = 8  # clips of each mix; three quarters as many of each genre for each slider

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
import itertools
import time

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

model = lab.open_model("cvae", features, session, weights, num_steps=num_full_steps)
judges = lab.open_judges(features, session, weights, num_steps=num_judge_steps)
test = features.subset("test")

# %% [markdown]
# ## 1. A studio in ten lines
#
# A clip is one line of code, `cm.make_clip`. Its arguments are what an instrument has for keys:
#
# - the **seed** says which latent is drawn: the idea. The same seed is the same idea, today and next year;
# - the **mix** is the genre, or several with weights: who plays it;
# - the **tempo** says how fast. Time is counted in beats in this series (notebook 01), so the model never hears a tempo.
#   It is applied when the frames are turned into sound.
#
# Three widgets, one function and a line that ties them together are a studio. Nothing plays until you press play.

# %% tags=["widget"]
genre = widgets.Dropdown(options=model.genres, description="genre")
idea = widgets.BoundedIntText(value=3, max=10**6, description="seed")
tempo = widgets.IntSlider(value=110, min=60, max=200, continuous_update=False, description="tempo")


def play(genre, seed, tempo):
    clip = cm.make_clip(model, genre=genre, seed=seed, tempo=tempo)
    cm.show_clips(clip, config)


output = widgets.interactive_output(play, {"genre": genre, "seed": idea, "tempo": tempo})
widgets.VBox([genre, idea, tempo, output])

# %% [markdown]
# **Guess** before you listen: if only the tempo changes, what else does? And if the same line is run twice? Without a
# running kernel, these four stand in for the widgets. Time is drawn in seconds, so that a tempo shows.

# %%
def as_shown(clip, label):
    return vars(clip) | {"label": label}


first, again = (
    cm.make_clip(model, genre=model.genres[0], seed=3, tempo=110) for _ in range(2)
)
other = cm.make_clip(model, genre=model.genres[0], seed=4, tempo=110)
swapped = cm.make_clip(
    model, genre=model.genres[-1], prior_genre=model.genres[0], seed=3, tempo=110
)
slower = cm.make_clip(model, genre=model.genres[0], seed=3, tempo=80)
four = {
    f"{first.genre}, 110 a minute": first,
    "another idea": other,
    f"as {swapped.genre}": swapped,
    "80 a minute": slower,
}
cm.show_clips(
    [as_shown(clip, label) for label, clip in four.items()],
    config,
    num_columns=2,
    seconds=True,
)

# %%
moved = [np.abs(first.log_mel - clip.log_mel).mean() for clip in (other, swapped, slower)]
lab.takeaway(
    f"Another seed changes the picture by {moved[0]:.1f} dB, another genre by {moved[1]:.1f}, another tempo by {moved[2]:.1f}.",
    {
        "The same line gives the same sound.": np.array_equal(first.samples, again.samples) and moved[2] == 0,
        "But the same line gives another sound: something is left to chance.": True,
    },
)  # fmt: skip

# %% [markdown]
# ## 2. Mixing genres
#
# The label is a row of weights that sum to 1. In training the decoder only ever heard rows with a single 1. There are
# two ways to play half and half:
#
# - **mix the labels**: hand the decoder the row (0.5, 0.5) and see what it makes of it;
# - **mix the sounds**: decode the same latent as each genre, and add the powers by weight, as if two bands played one
#   idea on one beat.
#
# **Guess:** of clips asked to be half one genre and half another, how many will the judges hear as *one of the two*
# and not as a third, either way? And does the share heard as the first genre grow with its weight gradually, or in one
# jump?
#
# We take every pair of genres, draw latents from both regions, and turn the weight from 0 to 1.

# %%
pairs = np.array(list(itertools.combinations(range(model.num_genres), 2))[:15])  # all pairs of up to six genres
one, two = np.repeat(pairs, num_judged, axis=0).T
latents = model.sample_latents(np.where(np.arange(len(one)) % 2, two, one), seed=seed + 1000)


def mixed(share):
    """The clips of all pairs with this weight of the first genre, both ways, scaled as the judges expect."""
    mix = (share * np.eye(model.num_genres)[one] + (1 - share) * np.eye(model.num_genres)[two]).astype(np.float32)
    return {"labels": model.decode(latents, mix), "sounds": config.scale(cm.decode_mixture(model, latents, mix))}


# %%
shares = [0.0, 0.25, 0.5, 0.75, 1.0]
rows = []
for share in shares:
    for way, clips in mixed(share).items():
        for name, judge in judges.items():
            heard = judge.predict(clips)
            rows.append(
                (
                    way,
                    name,
                    share,
                    np.mean(heard == one),
                    np.mean((heard == one) | (heard == two)),
                )
            )
mixes = pd.DataFrame(
    rows, columns=["mixed", "judge", "weight", "heard as the first", "heard as either"]
)

# %%
fig, ax = plt.subplots(figsize=(5.6, 3.2), layout="constrained")
for (way, name), part in mixes.groupby(["mixed", "judge"]):
    kind = list(judges).index(name)
    line, colour = {"labels": (":", cm.COLOURS[4]), "sounds": ("-", cm.COLOURS[0])}[way]
    words = {"cnn": "network judge", "descriptors": "descriptor judge"}[name]
    ax.plot(
        part["weight"],
        part["heard as the first"],
        line,
        color=colour,
        marker=cm.MARKERS[kind],
        label=f"{way} mixed, {words}",
    )
ax.set(xlabel="weight of the first genre", ylabel="share heard as the first")
ax.legend(fontsize="small")
session.show_figure(
    fig,
    "08_mix",
    alt="Share of clips heard as the first genre against its weight, for labels mixed and for sounds mixed.",
)

# %%
found = mixes.groupby(["mixed", "weight"])[
    ["heard as the first", "heard as either"]
].mean()
either = {way: found.loc[(way, 0.5), "heard as either"] for way in ("labels", "sounds")}
lab.takeaway(
    f"Half and half, {either['labels']:.1%} of the mixed labels are heard as one of the two, {either['sounds']:.1%} of the mixed sounds.",
    {
        "Either way, a third genre is rare.": min(either.values()) > 0.95,
        "Half a label is at times a third genre.": either["labels"] < either["sounds"],
        "Two bands at once are at times a third genre.": True,
    },
)

# %%
early = {way: found.loc[(way, 0.25), "heard as the first"] for way in either}
lab.takeaway(
    f"At a quarter of the weight {early['labels']:.0%} of mixed labels are heard as the first, {early['sounds']:.0%} of mixed sounds.",
    {
        "Labels jump, sounds slide: `make_clip` mixes sounds.": early["labels"] < early["sounds"] - 0.03,
        "Both ways are alike here; `make_clip` mixes sounds.": abs(early["labels"] - early["sounds"]) <= 0.03,
        "Labels slide better here, though `make_clip` mixes sounds.": True,
    },
)

# %% [markdown]
# ## 3. What does one latent dimension do?
#
# Some controls have to be measured before they can be offered: which way in latent space is *brighter*? Those
# measurements, taken on the training split alone, are the model's **controls**. They ship with the weights they
# belong to; for another model they are taken anew.

# %%
controls = cm.shipped_controls(model) if lab.uses_shipped_weights(session, weights) else cm.fit_controls(model, features)
print(f"controls of the weights {controls.fingerprint}: sliders {', '.join(controls.attribute_directions)}")

# %% [markdown]
# A slider called "dimension 20" is no use to a player. To name a dimension, two questions can be asked:
#
# - **What does it hold?** The rank correlation of its posterior mean with an attribute of the clip, such as the
#   brightness. This is what most papers report.
# - **What does it do?** Turn it from two standard deviations below its mean to two above, leave all else as it is,
#   decode, and measure how much the attribute changed. This is what a slider does.
#
# Four attributes are defined in the next section. Three more: *register* is the middle of the notes' range, *noise* how
# flat the spectrum is, *punch* how steeply levels rise.
#
# **Guess** whether the two agree: does a dimension that holds much of an attribute also move it much?

# %%
words = {"level_db": "level", "brightness_hz": "brightness", "onsets_per_beat": "density", "bass_db": "bass",
         "register_hz": "register", "flatness_db": "noise", "punch_db": "punch"}  # fmt: skip
effects = cm.latent_effects(model, features, list(controls.dimensions), num_seeds=2 * num_judged).set_index("dimension")
does = effects.filter(like="effect_").rename(columns=lambda name: words[name.removeprefix("effect_")])
holds = lab.latent_correlations(model, features)[list(words)].rename(columns=words).loc[does.index, does.columns]

# %%
fig, ax = plt.subplots(figsize=(5.6, 3.4), layout="constrained")
for name, colour, marker in zip(does, cm.COLOURS, cm.MARKERS, strict=False):
    ax.scatter(holds[name].abs(), does[name].abs(), s=30, color=colour, marker=marker, label=name)
ax.set(xlabel="holds: rank correlation, without sign", ylabel="does: change (standard deviations)")
fig.legend(fontsize="small", loc="outside right upper")
session.show_figure(fig, "08_dimensions", alt="Six dimensions and seven attributes: how much of each a dimension holds against how far it moves it.")

# %%
dimension, name = holds.abs().stack().idxmax()
agreement = pd.DataFrame({"holds": holds.abs().stack(), "does": does.abs().stack()}).corr("spearman").iloc[0, 1]
lab.takeaway(
    f"Dimension {dimension} holds {name} (correlation {holds.loc[dimension, name]:+.2f}) and moves it by {does.loc[dimension, name]:+.2f}.",
    {
        "What it holds, it moves.": abs(does.loc[dimension, name]) >= 0.3,
        "To know where an attribute is written is not yet to have a handle on it.": True,
    },
)  # fmt: skip
print(f"rank correlation of holding and doing over all points of the figure: {agreement:.2f}")

# %% [markdown]
# ## 4. Sliders with a meaning
#
# So we look for a *direction* across all dimensions. An **attribute** is a number that can be measured on a clip:
#
# | slider | attribute | unit |
# |---|---|---|
# | brightness | spectral centroid: the mean frequency, weighted by amplitude | Hz |
# | density | onsets a beat | count |
# | level | mean power | dB |
# | bass | power below 160 Hz, over all power | dB |
#
# From latents of *training* clips we take random steps $\delta$, forwards and backwards, and measure how each
# attribute changes. A linear regression of the change on the step gives the slope $w_k$ of attribute $k$: the
# direction that moves it most. But a step along $w_k$ moves other attributes too. With all slopes as rows of $W$, the
# pseudo-inverse
#
# $$ D = W^\top (W W^\top)^{-1} $$
#
# has columns $d_k$ with $w_j \cdot d_k = 0$ for $j \neq k$ and $w_k \cdot d_k = 1$: a step that changes one attribute
# by one standard deviation and holds the others, as far as the decoder is linear. Each genre has its own directions.
#
# The library does it in these lines. The names come from it too; `log_mel_attributes` measures many decoded clips at
# once without making sound of them. The two small numbers, 0.05 and 0.001, are **ridges**: they keep a matrix that is
# hard to invert from giving huge steps.

# %%
from cvae_music import SLIDERS, log_mel_attributes


def _decoded_attributes(model, latents, genre):
    log_mel = model.audio_config.unscale(model.decode(latents, genre))
    return log_mel_attributes(log_mel, model.audio_config)


# %%
def attribute_directions(model, latents, genre, num_pairs=1500, seed=0):
    """Finds steps in latent space that raise one attribute by one deviation and hold the rest."""
    rng = np.random.default_rng(seed)
    names = list(SLIDERS)
    per_genre = []
    for label in range(max(1, model.num_genres)):
        own = np.arange(len(latents))
        if model.num_genres and np.any(genre == label):
            own = np.flatnonzero(genre == label)
        starts = latents[rng.choice(own, num_pairs)]
        steps = rng.standard_normal(starts.shape).astype(np.float32)
        labels = np.full(num_pairs, label)
        forwards = _decoded_attributes(model, starts + steps, labels)[names].to_numpy()
        backwards = _decoded_attributes(model, starts - steps, labels)[names].to_numpy()
        attribute_std = np.concatenate([forwards, backwards]).std(axis=0) + 1e-9
        change = (forwards - backwards) / 2.0 / attribute_std
        ridge = 0.05 * num_pairs * np.eye(steps.shape[1])
        slopes = np.linalg.solve(steps.T @ steps + ridge, steps.T @ change)
        gram = slopes.T @ slopes + 1e-3 * np.eye(len(names))
        per_genre.append(slopes @ np.linalg.inv(gram))
    by_slider = np.stack(per_genre).astype(np.float32)
    return {SLIDERS[name]: by_slider[:, :, k] for k, name in enumerate(names)}


# %% [markdown]
# The controls took 1,500 steps a genre. **Guess:** does a tenth of that find the same directions? Two directions are
# compared by the cosine of their angle: 1 if they point the same way, 0 if they have nothing in common.

# %%
starts_as = np.array([model.genres.index(name) for name in controls.table["genre"]])
quick = attribute_directions(model, controls.latents, starts_as, num_pairs=150)


def unit(steps):
    return steps / np.linalg.norm(steps, axis=-1, keepdims=True)


kept = {
    slider: (unit(quick[slider]) * unit(steps)).sum(axis=-1).mean()
    for slider, steps in controls.attribute_directions.items()
}
lab.takeaway(
    f"Directions from a tenth of the steps have cosines of {min(kept.values()):.2f} to {max(kept.values()):.2f} with the controls'.",
    {
        "Too few: a slope for every dimension takes many steps.": min(kept.values()) < 0.7,
        "Nearly the way; more steps average noise away.": min(kept.values()) < 0.95,
        "A tenth would have been enough.": True,
    },
)

# %% [markdown]
# **Guess:** is the way to *busier* the same for strings and for drums? The decoder is told the genre, so it is free to
# read the same latent differently in each.

# %%
alike = {}
for slider, steps in controls.attribute_directions.items():
    alike[slider] = (unit(steps) @ unit(steps).T)[np.triu_indices(len(steps), 1)].mean()
closest = max(alike, key=alike.get)
furthest = min(alike, key=alike.get)
lab.takeaway(
    f"Between two genres, directions of {closest} have a cosine of {alike[closest]:.2f}, those of {furthest} {alike[furthest]:.2f}.",
    {
        "So a slider follows the genres it plays, by their weights.": alike[furthest] < 0.8,
        "One direction would do for all genres.": True,
    },
)

# %% [markdown]
# ### Do they do what they say?
#
# The fit measured log-mel, since that is quick. **The test is another matter**: clips of the test split that no fit has
# seen, turned into *sound*, measured in the sound by librosa. Each slider is set to four places; we ask for the rank
# correlation of place and measurement for each clip: 1 if each step up raised it, 0 if the slider does nothing of the
# kind. We also look at what it did to the *other* attributes. Every genre has the same number of clips, though some have
# little to give, as strings that hardly play fewer notes.
#
# The fit took its standard deviations from clips at the ends of the random steps, one genre at a time. The table below
# counts in standard deviations over test clips of all genres, so from -2 to 2 need not make 4: look at the signs, and
# down each column at what is large.

# %%
places = np.array([-2.0, -1.0, 1.0, 2.0])
num_each = max(1, 3 * num_judged // 4)
tried = np.concatenate(
    [np.flatnonzero(test.genre_index == k)[:num_each] for k in range(features.num_genres)]
)
starts = model.encode(config.scale(test.log_mel[tried]))[0]
named = [features.genres[k] for k in test.genre_index[tried]]


def measured(**settings):
    """Librosa's measurements of the clips at each place of a control, with the number of the clip and the place."""
    ((control, values),) = settings.items()
    rows = []
    for (number, start), value in itertools.product(enumerate(starts), values):
        turned = {"tempo": value} if control == "tempo" else {"sliders": {control: value}}
        clip = cm.make_clip(model, controls, latent=start, genre=named[number], **turned)
        rows.append(
            {
                "clip": number,
                "place": value,
                **lab.measure_attributes(clip.samples, config, clip.tempo),
            }
        )
    return pd.DataFrame(rows)


# %%
tables = {slider: measured(**{slider: places}) for slider in SLIDERS.values()}

# %%
def rank_correlations(table, attribute):
    """Spearman's correlation with the place for each clip; 0 for a clip where the attribute does not move."""
    return table.groupby("clip").apply(lambda part: part["place"].corr(part[attribute], "spearman"), include_groups=False).fillna(0.0)


own = pd.DataFrame({slider: rank_correlations(tables[slider], attribute) for attribute, slider in SLIDERS.items()})
pd.DataFrame({"rank correlation": own.mean(), "standard error": own.sem()}).round(2)

# %%
spread = cm.log_mel_attributes(test.log_mel[:240], config).std()
far = {slider: table.groupby("place")[list(SLIDERS)].mean() for slider, table in tables.items()}
change = pd.DataFrame({slider: (mean.loc[2.0] - mean.loc[-2.0]) / spread[list(SLIDERS)] for slider, mean in far.items()})
fig, ax = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
image = ax.imshow(change, cmap="PuOr", vmin=-2, vmax=2, aspect="auto")
for (y, x), value in np.ndenumerate(change.to_numpy()):
    ax.text(x, y, f"{value:+.1f}", ha="center", va="center", color="white" if abs(value) > 1.0 else "black")
ax.set_xticks(range(len(change.columns)), change.columns)
ax.set_yticks(range(len(change.index)), [SLIDERS[name] for name in change.index])
ax.set(xlabel="slider, from -2 to 2", ylabel="attribute in the sound")
fig.colorbar(image, ax=ax, label="change (standard deviations)", extend="both")
session.show_figure(fig, "08_sliders", alt="Table of changes: four sliders across, the four attributes measured in the sound down.")

# %%
wanted = np.diag(change)
others = np.abs(change.to_numpy() - np.diag(np.diag(change)))
lab.takeaway(
    f"On {len(tried)} unseen clips, the worst slider's rank correlation is {own.mean().min():.2f}, the largest side effect "
    f"{(others / wanted).max():.0%} of the effect.",
    {
        "Each slider does mostly what its name says.": own.mean().min() >= 0.8 and (others / wanted).max() < 1,
        "Each slider moves its attribute, and others with it.": own.mean().min() >= 0.8,
        "Not every slider does what its name says.": True,
    },
)  # fmt: skip

# %% [markdown]
# Look and listen: one unseen clip with its brightness down, as it was, and up.

# %%
def brightened(place, label):
    clip = cm.make_clip(
        model, controls, latent=starts[0], genre=named[0], sliders={"brightness": place}
    )
    return as_shown(clip, label) | {"seed": None}


cm.show_clips(
    [brightened(-2, "brightness -2"), brightened(0, "as it was"), brightened(2, "brightness 2")],
    config,
)

# %% [markdown]
# The tempo is exact by construction: eight beats have the length they must have, to a sample. Whether it is *heard* is
# another question. We let librosa find it by ear; like people, it may tap at half or at double speed.

# %%
by_ear = measured(tempo=[80.0, 160.0])
octaves = np.log2(by_ear["tempo_bpm"] / by_ear["place"])
near = {"at once": np.abs(octaves) < 0.07, "folded": np.abs(octaves - np.round(octaves)) < 0.07}  # 0.07 octaves are 5 %
lab.takeaway(
    f"Librosa hears the tempo asked for in {near['at once'].mean():.0%} of clips, in {near['folded'].mean():.0%} if half and "
    "double are right.",
    {
        "The beat is there; which one counts is taste.": near["folded"].mean() > 0.9 > near["at once"].mean(),
        "The tempo is heard as asked.": near["at once"].mean() >= 0.9,
        "In some clips no clear beat is left to hear.": True,
    },
)

# %% [markdown]
# ## 5. A map
#
# The latent has too many dimensions to look at. The map shows the two directions along which real clips differ most
# (the first two principal components), each clip a point. A cursor moves the *current* latent within this plane and
# leaves everything the map does not show as it was, so that the sound stays a sound: in the middle of the plane, with
# nothing added, every clip is an average.
#
# **Guess:** are the genres in groups on the map?

# %%
points = controls.points
low, high = np.quantile(points, [0.1, 0.9], axis=0)
corners = [(x, y) for y in (high[1], low[1]) for x in (low[0], high[0])]  # the upper two, then the lower two
fig, ax = plt.subplots(figsize=(5.4, 4.2), layout="constrained")
cm.plot_latent_map(points, starts_as, model.genres, ax)
ax.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize="small")
for number, (x, y) in enumerate(corners, start=1):
    ax.plot(x, y, "+", color="black", markersize=16, markeredgewidth=2)
    ax.annotate(str(number), (x, y), (6, 6), textcoords="offset points", weight="bold")
session.show_figure(fig, "08_map", alt="Points of real clips in a plane, a colour and a marker for each genre, and four numbered places.")

# %%
distance = np.square(points[:, None] - points[None]).sum(axis=2) + 1e9 * np.eye(len(points))
neighbour = np.mean(starts_as[distance.argmin(axis=1)] == starts_as)
chance = np.mean(starts_as[:, None] == starts_as[None])
lab.takeaway(
    f"The nearest other point is of the same genre in {neighbour:.0%} of cases; chance is {chance:.0%}.",
    {
        "The map is one of sound, and the genre is chosen beside it.": neighbour < chance + 0.15,
        "Genres keep to their regions of the map.": True,
    },
)

# %%
placed = [cm.make_clip(model, controls, seed=seed, genre=model.genres[0], map_position=place) for place in corners]
cm.show_clips([as_shown(clip, f"place {k}") for k, clip in enumerate(placed, start=1)], config, num_columns=2)
heights = cm.log_mel_attributes(np.stack([clip.log_mel for clip in placed]), config)
across = (heights[1::2].mean() - heights[::2].mean()) / spread
upwards = (heights[:2].mean() - heights[2:].mean()) / spread
strongest = {"right": across.abs().idxmax(), "up": upwards.abs().idxmax()}
lab.takeaway(
    f"To the right, {words[strongest['right']]} changes most ({across[strongest['right']]:+.1f} standard deviations); upwards, "
    f"{words[strongest['up']]} ({upwards[strongest['up']]:+.1f}).",
    {
        "The axes have a sound, and nobody chose it.": min(across.abs().max(), upwards.abs().max()) > 0.5,
        "Not every axis has a sound that these attributes can name.": True,
    },
)

# %% [markdown]
# ## 6. From one sound to another
#
# Half-way between two latents, a straight line stands nearer to the origin than they do. **Spherical interpolation**
# walks along the arc instead and stays as far out as its ends: between $a$ and $b$ at an angle $\theta$,
#
# $$ z(s) = \frac{\sin((1 - s)\theta)}{\sin\theta}\, \hat a + \frac{\sin(s\theta)}{\sin\theta}\, \hat b, $$
#
# with $\hat a, \hat b$ scaled to length 1, and the length of $z(s)$ going evenly from that of $a$ to that of $b$.
#
# **Guess:** can it be heard? *Sharpness* measures how far lines and edges stand out of their surroundings (notebook 02);
# a bland clip has little.

# %%
ends = [model.sample_latents([0] * 4 * num_judged, seed=seed + k) for k in (1, 2)]
middles = {"ends": np.concatenate(ends), "line": (ends[0] + ends[1]) / 2, "arc": cm.slerp(*ends, 0.5)}
sharp = {way: lab.sharpness(config.unscale(model.decode(z, np.zeros(len(z), int)))) for way, z in middles.items()}
lengths = {way: np.linalg.norm(z, axis=1).mean() for way, z in middles.items()}
print("mean length of the latents:", {way: round(float(length), 1) for way, length in lengths.items()})
lab.takeaway(
    f"The sharpness is {sharp['ends']:.2f} dB at the ends, half-way {sharp['line']:.2f} on the line and {sharp['arc']:.2f} on the arc.",
    {
        "The arc loses less.": sharp["ends"] > sharp["arc"] > sharp["line"] + 0.02,
        "Nothing to choose between them by this measure.": abs(sharp["arc"] - sharp["line"]) <= 0.02,
        "The arc keeps all of it.": sharp["arc"] > sharp["line"],
        "The line is sharper here.": True,
    },
)

# %% [markdown]
# `cm.make_morph` walks over time: one long clip whose latent goes along the arc from the first sound to the second while
# the beat goes on, and the genre weights go along. Each end is a dictionary of what `make_clip` takes.

# %%
opening = {"seed": 1, "genre": model.genres[0]}
closing = {"seed": 2, "genre": model.genres[-1]}
samples = cm.make_morph(model, controls, opening, closing, num_beats=32, tempo=120.0)
cm.player(
    samples,
    config,
    f"from {model.genres[0]} (seed 1) to {model.genres[-1]} (seed 2) in 32 beats",
)

# %% [markdown]
# ## 7. A clip of your own
#
# Your own music takes the same road as the training clips: find the beats, cut eight, compute the log-mel, encode.
# The encoder is not told a genre, so any recording will do; what is far from the training music comes back as the
# nearest thing the model can say. Always compare with the **ceiling**: the clip sent through the features and back to
# sound, without a model. What is lost there, no model can bring back.
#
# The stand-in here is a test clip, written to an MP3 file and played three times over, as a recording would be. Put
# the path of a file of yours in its place.

# %%
mine = session.clips_dir / "stand_in.mp3"
cm.write_audio(
    mine, np.tile(cm.load_window(test.table.iloc[0], config).samples, 3), config
)
recording = cm.load_first_window(mine, config)
encoded = cm.encode_clip(model, mine)
print(
    f"{recording.tempo:.1f} beats a minute (made with {test.table['tempo'].iloc[0]:.1f}), tracked: {recording.is_tracked}"
)

# %%
source = test.table["genre"].iloc[0]
target = next(name for name in model.genres if name != source)
asked = {name: cm.make_clip(model, latent=encoded, genre=name, tempo=recording.tempo) for name in (source, target)}
back = cm.to_audio(recording.log_mel, config, recording.tempo)
beats = np.linspace(0.0, config.seconds(recording.tempo), config.num_beats + 1)
heard_back = cm.log_mel(back, cm.beat_frame_times(beats, config), config, wrap=True)  # the picture of that sound

# %%
ceiling = {
    "samples": back,
    "log_mel": heard_back,
    "label": "ceiling, no model",
    "tempo": recording.tempo,
}
rebuilt = [
    as_shown(clip, f"as {name}") | {"seed": None} for name, clip in asked.items()
]
cm.show_clips(
    [as_shown(recording, "the recording"), ceiling, *rebuilt], config, num_columns=2
)
lost, off = (
    np.abs(level - recording.log_mel).mean()
    for level in (heard_back, asked[source].log_mel)
)
lab.takeaway(
    f"The ceiling is {lost:.1f} dB from the recording, the clip as {source} {off:.1f} dB.",
    {
        "What is lost here, the model loses.": lost < 0.5 * off,
        "The way back to sound loses much of it already.": True,
    },
)

# %%
scaled = config.scale(np.stack([clip.log_mel for clip in asked.values()]))
verdicts = np.array([judge.predict(scaled) for judge in judges.values()])  # judges by clips
obeyed = int((verdicts == [model.genres.index(name) for name in asked]).sum())
lab.takeaway(
    f"Asked for {source} and for {target}, {obeyed} of {verdicts.size} verdicts of the judges are the genre asked for.",
    {
        "Your idea, another band.": obeyed == verdicts.size,
        "The genre is not always heard.": obeyed > 0,
        "The label does not reach this clip.": True,
    },
)

# %% [markdown]
# ## 8. The studio
#
# Everything above, with widgets. Nothing plays until you press play. From then on a change goes on playing at the same
# place of the bar, so that you can compare by ear; *stay silent after a change* ends that. The level is the one the
# model gave (where it would clip it is turned down, and the studio says so). A click on the map plays there. Each slider
# has a number beside it to type into; the Tab and arrow keys reach all of it. *Style of* gives the clip the timbre of a
# second seed or of a clip of your own, and leaves it its changes of chord (exercise 4). Under the picture stands the line
# of code that makes the clip again. In a notebook of your own, two lines are enough: `import cvae_music as cm`, then
# `cm.Studio.from_preset("known_cvae")`.
#
# **Without a running kernel** you see the last clip in place of the controls, and pictures of the studio below.

# %%
studio = cm.Studio(model, controls)
studio

# %%
pictures = {
    "08_studio": "The studio in a browser: an idea of house with its spectrogram, its line of code and the map.",
    "08_studio_mix": "The studio playing half jazz, half strings: two genre sliders are up.",
    "08_studio_morph": "The studio after a morph from house to reggae, with its code and links to the files.",
    "08_studio_own_clip": "The studio with an uploaded clip played as chiptune.",
}
if data == "known" and lab.project_folder():
    for name, alt in pictures.items():
        cm.show_picture(lab.project_folder() / "figures" / f"{name}.png", alt=alt)

# %% [markdown]
# ### Recordings in place of composed music
#
# All you heard so far was composed. The preset `real_cvae` is a model of the same class, trained on 149 openly licensed
# recordings of four styles. Below it plays one idea in each of them. It is far from music: a third of its detail is missing, and
# networks from outside hear the style asked for in five or six of ten new clips (the table in `docs/results.md`).
# `cm.Studio.from_preset("real_cvae")` plays it. The musicians are named in `lib/cvae_music/weights/ATTRIBUTION.md`.

# %%
real_model = cm.ConditionalVAE.from_preset("real_cvae")
played = [cm.make_clip(real_model, seed=5, genre=name, prior_genre="folk") for name in real_model.genres]
cm.show_clips([as_shown(clip, clip.genre) for clip in played], real_model.audio_config, num_columns=2)

# %% [markdown]
# Is it quick enough to play? We measure from the line of code to the samples, without drawing. Your machine may be
# busy with other work: `tests/benchmarks/studio.py` measures every control on a quiet one, and keeps its table in
# `lib/cvae_lab/results/studio_timings.csv`.

# %%
taken = []
for number in range(15):
    start = time.perf_counter()
    clip = cm.make_clip(
        model, seed=number, genre=model.genres[number % model.num_genres]
    )
    taken.append(time.perf_counter() - start)
faster = len(clip.samples) / config.sample_rate / np.median(taken)
lab.takeaway(
    f"{config.num_beats} beats become sound {faster:.0f} times faster than they last.",
    {
        "Quick enough to turn a control and listen.": faster > 2,
        "Hardly quicker than the sound: the wait is felt.": faster > 1,
        "Slower than the sound: the machine is busy, or small.": True,
    },
)

# %% [markdown]
# ## Is my run normal?
#
# The ranges are those of the embedded music with shipped weights. On other music the judges are worse and the sliders
# act on fewer clips; the length of a clip is exact everywhere.

# %%
checks = pd.DataFrame(
    [
        ("mixed sounds heard as one of the two", either["sounds"], 0.97, 1.0),
        ("rank correlation of the worst slider", own.mean().min(), 0.75, 1.0),
        ("tempo heard, half and double taken as right", near["folded"].mean(), 0.85, 1.0),
        ("same genre next on the map", neighbour, 0.1, 0.35),
        ("clip of your own, rebuilt (dB)", off, 2.0, 6.0),
        (
            "seconds of 8 beats at 80 a minute",
            len(slower.samples) / config.sample_rate,
            5.999,
            6.001,
        ),
    ],
    columns=["measure", "your run", "from", "to"],
)
checks["normal"] = np.where(checks["your run"].between(checks["from"], checks["to"]), "yes", "look")
checks.round(3)

# %% [markdown]
# ## What to take along
#
# - Everything a studio can set is an argument of one function, and a studio is that function with widgets around it.
# - What a latent *holds* and what it *does* are two questions. A slider needs the second.
# - A direction that moves one attribute and holds the others is a regression and a pseudo-inverse, one for each genre.
# - A control is worth what a test on unseen clips, measured in the sound, says of it.
#
# ## Limits
#
# - A direction is right on average. For one clip, at the end of a slider, the decoder may be far from linear: density
#   pushed up in a clip without room for more notes becomes something else.
# - The attributes are measured quantities, not words: a "brighter" clip has a higher spectral centroid, whatever a
#   musician may mean by bright.
# - Where two attributes go together in all of the music, the pseudo-inverse needs a long step to move one of them alone,
#   and long steps leave the region where clips lie.
# - A mix is two genres at once on one beat, not a genre between them: that, nobody has composed for the model to learn.
# - Beat tracking of your own clip may start on the off-beat or at half tempo. In the studio, change "from (s)" to move it.
#
# ## Exercises
#
# 1. *15 minutes, medium.* In the studio: find a seed and settings for the darkest possible clip that the judges still hear
#    as the genre you asked for. Copy its line of code here and prove it.
# 2. *20 minutes, hard.* Leave out the pseudo-inverse: use $w_k / \lVert w_k \rVert^2$ as the step. What happens to the table
#    of changes?
# 3. *10 minutes, easy.* With `cm.latent_walk`, play a walk through three latents that ends where it began, as a loop. Is the leap
#    from its end to its beginning larger than the others?
# 4. *20 minutes, medium.* Play the style of one clip with the chords of another. The latent is `model.global_dim` numbers
#    of the whole clip, then `model.local_dim` for each beat. **Guess** which of the two carries the timbre, and measure it. Then write
#    `with_style`: the global part, and the *mean* of the beats, come from the first latent; how each beat differs from
#    that mean comes from the second. The cell below it says whether yours is right.
#
# Solutions are in `solutions/08_studio`. The cell below is yours. **Next:** everything you have heard was levels first and
# sound after. Notebook 11, back to sound, asks how the phases get there. Notebooks 09 and 10 come later.

# %%
clip = cm.make_clip(
    model, controls, seed=0, genre=model.genres[0], sliders={"brightness": -3.0}
)
heard = judges["cnn"].predict(config.scale(clip.log_mel[None]))[0]
brightness = lab.measure_attributes(clip.samples, config, clip.tempo)["brightness_hz"]
print(f"{brightness:.0f} Hz, heard as {features.genres[heard]}")

# %% tags=["exercise"]
def with_style(style, latent):
    """Joins the style of one latent with the changes from beat to beat of another."""
    beats = latent[model.global_dim :].reshape(model.num_slots, -1)  # a row a beat
    return np.concatenate([style[: model.global_dim], beats.ravel()])  # exercise 4

# %% tags=["check"]
style, changes = (cm.draw_latent(model, number, model.genres[0]) for number in (1, 2))
asked = cm.make_clip(model, latent=changes, style_from=style, genre=model.genres[0])
mine = cm.make_clip(model, latent=with_style(style, changes), genre=model.genres[0])
off = np.abs(mine.log_mel - asked.log_mel).mean()
print("right" if off < 0.01 else f"not yet: {off:.1f} dB from make_clip(style_from=...)")
cm.show_clips([as_shown(asked, "style of seed 1") | {"seed": 2}, as_shown(mine, "yours") | {"seed": 2}], config)

# %% [markdown]
# <!-- links: made by tools/badges.py -->
# Before: [07 comparison](07_comparison.ipynb).
# After: [09 discriminator](09_discriminator.ipynb).
# [Solutions](solutions/08_studio.ipynb) of the exercises.
# <!-- end of links -->
