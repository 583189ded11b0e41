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
# *To open this on Colab: File, Upload notebook, choose this file; put the zip of the project into the Files pane and
# set `repository_zip = "file:///content/<name of the zip>"` below.*
#
# **What you will hear at the end:** whatever you ask for. Section 8 is a studio: genres to mix, a seed to draw ideas
# from, sliders for brightness, density, level and bass, an exact tempo, a map to walk on, your own clip as another
# genre. The sections before it take each control apart, as a plain function, and measure whether it does what its
# name says.
#
# **What you need to know:** what a conditional VAE is and what *obedience* means (notebook 04). Every other term is
# defined where it first appears.
#
# > **Time:** 2 minutes on two CPU cores with the shipped weights and features from the cache. Last full run:
# > 2026-11-23. In a hurry? `make studio` opens section 8 alone in a browser.

# %% tags=["parameters"]
data = "known"  # or the path of a folder of genres, or of FMA
seed = 0
repository_zip = ""
num_clips = 2400  # known-factor music only
weights = "pretrained"  # or "train"; other music is always trained on
num_full_steps = 1440  # of the training, where no weights are loaded
num_judge_steps = 400  # of the judge, where none is loaded
num_judged = 8  # clips of each mix; half as many of each genre for each slider

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
import itertools
import time

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from cvae_lab.lessons import lesson, show_source
from cvae_lab.pretrained import open_judges, open_model
from cvae_lab.session import project_folder
from IPython.display import Image, display
from scipy.stats import spearmanr

from cvae_music import plots
from cvae_music.attributes import latent_effects, log_mel_attributes, measure_attributes
from cvae_music.audio.files import write_audio
from cvae_music.audio.inversion import to_audio
from cvae_music.config import AudioConfig
from cvae_music.controls import SLIDERS, attribute_directions, fit_controls, shipped_controls
from cvae_music.data.clips import load_clip, read_clip
from cvae_music.data.features import build_features
from cvae_music.data.sources import open_collection
from cvae_music.generation import draw_latent, encode_clip, make_clip, mix_weights, mixed_log_mel, slerp, walk
from cvae_music.players import player, show_clips
from cvae_music.studio.app import Studio

# %% [markdown]
# `lesson` prints what we learned with numbers that a cell computed, so the sentence changes with your data;
# `show_source` prints code of the library: what you read is what runs.

# %%
config = AudioConfig()
features = build_features(open_collection(data, num_clips=num_clips, seed=seed), config, session.cache_dir)
test = features.subset("test")

# %%
model = open_model("cvae", features, session, weights, num_steps=num_full_steps)
judges = open_judges(features, session, weights, num_steps=num_judge_steps)

# %% [markdown]
# Some controls need to be measured before they can be offered: which way in latent space is *brighter*? Those
# measurements, taken on the training split alone, are the model's `Controls`. They ship with the weights they belong
# to; for another model they are taken anew.

# %%
start = time.perf_counter()
controls = shipped_controls(model) or fit_controls(model, features)
print(f"controls of the weights {controls.fingerprint}, ready after {time.perf_counter() - start:.1f} s")

# %% [markdown]
# ## 1. A clip is a line of code
#
# An instrument should answer the same touch with the same sound. Everything the studio can set is an argument of one
# function, `make_clip`, and the same arguments give the same samples, to the last bit: the **seed** says which latent
# is drawn, the **tempo** when each frame is played, the rest moves the latent or the genre.
#
# Tempo is a control of a special kind. Time is counted in beats in this series (notebook 01), so the model never
# hears the tempo; it is applied when the frames are turned into sound, and is exact.

# %%
first = make_clip(model, controls, seed=3, mix=model.genres[0], tempo=110)
again = make_clip(model, controls, seed=3, mix=model.genres[0], tempo=110)
other = make_clip(model, controls, seed=4, mix=model.genres[0], tempo=110)
slower = make_clip(model, controls, seed=3, mix=model.genres[0], tempo=80)

# %%
def as_shown(clip, label):
    return {"log_mel": clip.log_mel, "samples": clip.samples, "label": label, "seed": clip.seed, "tempo": clip.tempo}


show_clips([as_shown(first, "110 a minute"), as_shown(other, "another seed"), as_shown(slower, "80 a minute")], config)
seconds = [len(clip.samples) / config.sample_rate for clip in (first, slower)]
lesson(
    f"Made twice, the clip is the same: {np.array_equal(first.samples, again.samples)}. Another seed differs by "
    f"{np.abs(first.log_mel - other.log_mel).mean():.1f} dB on average. {config.num_beats} beats last {seconds[0]:.2f} s at "
    f"110 and {seconds[1]:.2f} s at 80 beats a minute, with the same log-mel frames: "
    f"{np.array_equal(first.log_mel, slower.log_mel)}."
)

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
shares = np.array([0.0, 0.25, 0.5, 0.75, 1.0])
pairs = list(itertools.combinations(range(model.num_genres), 2))[:15]  # all pairs of up to six genres


def mixed_clips(pair, share, number):
    """Scaled clips of two genres mixed, both ways, from latents drawn in the region of either."""
    drawn_in = np.array(pair)[np.arange(num_judged) % 2]
    latents = model.sample_latents(drawn_in, seed=seed + 1000 + number)
    mix = np.zeros((num_judged, model.num_genres), np.float32)
    mix[:, pair[0]], mix[:, pair[1]] = share, 1.0 - share
    return {"labels": model.decode(latents, mix), "sounds": config.scale(mixed_log_mel(model, latents, mix))}


# %%
rows = []
for number, pair in enumerate(pairs):
    for share in shares:
        for way, clips in mixed_clips(pair, share, number).items():
            for name, judge in judges.items():
                heard = judge.predict(clips)
                rows.append((way, name, share, np.mean(heard == pair[0]), np.mean(np.isin(heard, pair)), number))
mixes = pd.DataFrame(
    rows, columns=["mixed", "judge", "weight of the first", "heard as the first", "heard as either", "pair"]
)
mixes.groupby(["mixed", "judge", "weight of the first"])[["heard as the first", "heard as either"]].mean().unstack().round(2)

# %%
fig, ax = plt.subplots(figsize=(5, 3.2), layout="constrained")
for way, line in (("labels", ":"), ("sounds", "-")):
    for name, marker in zip(judges, plots.MARKERS, strict=False):
        part = mixes[(mixes["mixed"] == way) & (mixes["judge"] == name)]
        curve = part.groupby("weight of the first")["heard as the first"].mean()
        ax.plot(curve.index, curve, line, marker=marker, label=f"{way} mixed, {name}")
ax.set(xlabel="weight of the first genre", ylabel="share heard as the first genre")
ax.legend()
plots.show_figure(fig, "08_mix", alt="Share heard as the first genre against its weight: a jump for labels, a slope for sounds.")

# %%
half = mixes[mixes["weight of the first"] == 0.5]
either = half.groupby(["mixed", "judge"])["heard as either"].mean()
early = mixes[mixes["weight of the first"] == 0.25].groupby("mixed")["heard as the first"].mean()
moves = {way: spearmanr(part["weight of the first"], part["heard as the first"]).statistic for way, part in mixes.groupby("mixed")}
worst = half[half["mixed"] == "sounds"].groupby("pair")["heard as either"].mean()
lesson(
    f"Of {len(pairs) * num_judged} half-and-half clips, with labels mixed "
    + " and ".join(f"{either['labels', name]:.1%} ({name})" for name in judges)
    + " are heard as one of the two, with sounds mixed "
    + " and ".join(f"{either['sounds', name]:.1%} ({name})" for name in judges)
    + f". The share heard as the first grows with its weight: rank correlation {moves['labels']:.2f} and "
    f"{moves['sounds']:.2f}; at a quarter of the weight it is {early['labels']:.0%} and {early['sounds']:.0%}. The "
    f"hardest pair of sounds is {' and '.join(model.genres[k] for k in pairs[worst.idxmin()])} with {worst.min():.0%}. "
    "`make_clip` mixes sounds."
)

# %% [markdown]
# ## 3. What does one latent dimension do?
#
# A slider called "dimension 20" is no use to a player. To name a dimension we ask two different questions:
#
# - **What does it hold?** The rank correlation of its posterior mean with the recorded factors and with measured
#   attributes of the clips. This is what most papers report.
# - **What does it do?** Turn it by two standard deviations down and up, leave all else as it is, decode, and measure
#   how much each attribute changed. This is what a slider does.
#
# **Guess** whether the two agree.

# %%
dimensions = list(controls.dimensions)
effects = latent_effects(model, features, dimensions, num_ideas=2 * num_judged)
effects[["dimension", "kl", "name", *effects.filter(like="does_")]].round(2)

# %%
held, done = effects.filter(like="holds_").abs(), effects.filter(like="does_").abs()
strongest = held.stack().idxmax()
row = effects.loc[strongest[0]]
meant = {"brightness": "brightness_hz", "density": "onsets_per_beat", "level": "level_db", "register": "register_hz"}
same = "does_" + meant.get(strongest[1][6:], strongest[1][6:])
lesson(
    f"Dimension {row['dimension']} holds {strongest[1][6:]} with a rank correlation of {row[strongest[1]]:+.2f}. The "
    f"largest thing any of these dimensions does is {done.to_numpy().max():.2f} standard deviations. "
    + (f"Turned alone, that dimension moves {same[5:]} by {row[same]:+.2f}. " if same in effects else "")
    + "A latent says one thing in several dimensions at once: to know where brightness is written is not yet to have "
    "a handle on it."
)

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
# by one standard deviation and holds the others, as far as the decoder is linear.
#
# **Guess:** is the way to *busier* the same for strings and for drums? The decoder is told the genre, so it is free to
# read the same latent differently in each. We fit the directions of each genre by themselves and look at the cosine
# between those of two genres: 1 if they point the same way, 0 if they have nothing in common.

# %%
show_source(attribute_directions)

# %%
alike = {}
for slider, steps in controls.directions.items():
    units = steps / np.linalg.norm(steps, axis=1, keepdims=True)
    alike[slider] = (units @ units.T)[np.triu_indices(len(units), 1)]
closest, furthest = (pick(alike, key=lambda slider: alike[slider].mean()) for pick in (max, min))
lesson(
    f"Between two genres, the directions of {closest} have a cosine of {alike[closest].mean():.2f} on average, those of "
    f"{furthest} {alike[furthest].mean():.2f}. So the studio turns a slider along the directions of the genres it "
    "plays, by their weights in the mix."
)

# %% [markdown]
# The measuring during the fit is done on log-mel, since that is quick. **The test is another matter**: clips of the
# test split that no fit has seen, turned into *sound*, measured by librosa. For each clip we set the slider to five
# places and ask for the rank correlation between place and measurement: 1 if each step up raised it, 0 if the slider
# does nothing of the kind. We also look at what it did to the *other* attributes. Every genre has the same number of
# clips: some have little to give, as strings that hardly play fewer notes.

# %%
places = np.array([-2.0, -1.0, 0.0, 1.0, 2.0])
num_each = max(1, num_judged // 2)
tried = np.concatenate([np.flatnonzero(test.genre_index == k)[:num_each] for k in range(features.num_genres)])
latents, genre = model.encode(config.scale(test.log_mel[tried]))[0], test.genre_index[tried]
spread = log_mel_attributes(test.log_mel[:240], config).std()


def try_slider(slider):
    """Librosa's measurements of every clip at every place of a slider, with clip and place."""
    rows = []
    for number, (latent, index) in enumerate(zip(latents, genre, strict=True)):
        for place in places:
            turned = {"start": latent, "mix": model.genres[index], "sliders": {slider: place}}
            clip = make_clip(model, controls, **turned)
            rows.append({"clip": number, "place": place, **measure_attributes(clip.samples, config, clip.tempo)})
    return pd.DataFrame(rows)


# %%
tables = {slider: try_slider(slider) for slider in SLIDERS.values()}


def rank_correlations(table, attribute):
    """Spearman's correlation with the place for each clip; 0 for a clip where the attribute does not move."""
    return np.array([spearmanr(part["place"], part[attribute]).statistic if part[attribute].std() else 0.0
                     for _, part in table.groupby("clip")])  # fmt: skip


correlation = pd.DataFrame({s: {a: rank_correlations(tables[s], a).mean() for a in SLIDERS} for s in tables})
correlation.round(2)

# %%
change = pd.DataFrame({slider: {attribute: (
    table[table["place"] == 2.0][attribute].mean() - table[table["place"] == -2.0][attribute].mean()) / spread[attribute]
    for attribute in SLIDERS} for slider, table in tables.items()})  # fmt: skip
fig, ax = plt.subplots(figsize=(6.4, 3.2), layout="constrained")
limit = np.abs(change.to_numpy()).max()
image = ax.imshow(change, cmap="PuOr", vmin=-limit, vmax=limit)
for (y, x), value in np.ndenumerate(change.to_numpy()):
    ax.text(x, y, f"{value:+.1f}", ha="center", va="center", color="white" if abs(value) > 0.7 * limit else "black")
ax.set_xticks(range(len(change.columns)), change.columns)
ax.set_yticks(range(len(change.index)), change.index)
ax.set(xlabel="slider, from -2 to 2", ylabel="attribute in the sound")
fig.colorbar(image, ax=ax, label="change (standard deviations)")
plots.show_figure(fig, "08_sliders", alt="Each slider moves its own attribute most; table of changes in standard deviations.")

# %% [markdown]
# The tempo is tried the same way. It is exact by construction; librosa has to find it by ear, and may hear half or
# double.

# %%
tempos = np.array([80.0, 100.0, 120.0, 140.0, 160.0])
by_ear = pd.DataFrame(
    {"clip": number, "place": tempo, **measure_attributes(clip.samples, config, tempo)}
    for number, (latent, index) in enumerate(zip(latents, genre, strict=True)) for tempo in tempos
    for clip in [make_clip(model, controls, start=latent, mix=model.genres[index], tempo=tempo)]
)  # fmt: skip
octave = np.log2(by_ear["tempo_bpm"] / by_ear["place"])
within = np.abs(octave - np.round(octave)) < 0.07  # 5 %, up to a factor of two

# %%
own = {slider: rank_correlations(tables[slider], attribute) for attribute, slider in SLIDERS.items()}
by_ear["folded"] = by_ear["tempo_bpm"] / 2.0 ** np.round(octave)
own["tempo"] = rank_correlations(by_ear, "tempo_bpm")
own["tempo, half and double taken as the same"] = rank_correlations(by_ear, "folded")
lesson(
    f"On {len(tried)} unseen clips, measured in the sound by librosa, the rank correlation of slider and attribute is "
    + ", ".join(f"{found.mean():.2f} ± {found.std() / len(found) ** 0.5:.2f} ({name})" for name, found in own.items())
    + f", mean and standard error over the clips. {sum(found.mean() >= 0.8 for found in own.values())} of {len(own)} reach 0.8. The tempo librosa hears is within 5 % of the "
    f"one asked for in {within.mean():.0%} of the clips, if half and double count as right; the length of the clip is "
    "exact in all."
)

# %% [markdown]
# Look and listen: one unseen clip with its brightness down, as it was, and up.

# %%
def turned(place):
    clip = make_clip(model, controls, start=latents[0], mix=model.genres[genre[0]], sliders={"brightness": place})
    return as_shown(clip, f"brightness {place:+g}")


show_clips([turned(place) for place in (-2, 0, 2)], config)

# %% [markdown]
# ## 5. A map
#
# The latent has too many dimensions to look at. The map shows the two directions along which real clips differ most
# (the first two principal components), each clip a point. A cursor moves the *current* latent within this plane and
# leaves everything the map does not show as it was, so that the sound stays a sound: in the middle of the plane, with
# nothing added, every clip is an average.

# %%
points = controls.points
order = [list(features.genres).index(name) for name in controls.table["genre"]]
latent = draw_latent(model, seed)
corners = np.quantile(points, [0.1, 0.9], axis=0)
walk_on_map = [(x, y) for x in corners[:, 0] for y in corners[:, 1]]
fig, ax = plt.subplots(figsize=(5.4, 4.2), layout="constrained")
plots.plot_latent_map(points, np.array(order), features.genres, ax)
for number, (x, y) in enumerate(walk_on_map, start=1):
    ax.plot(x, y, "+", color="black", markersize=16, markeredgewidth=2)
    ax.annotate(str(number), (x, y), (6, 6), textcoords="offset points", weight="bold")
plots.show_figure(fig, "08_map", alt="Points of real clips, genres well mixed, and four numbered places.")

# %%
placed = [make_clip(model, controls, seed=seed, mix=model.genres[0], at=at) for at in walk_on_map]
show_clips([as_shown(clip, f"place {k}") for k, clip in enumerate(placed, start=1)], config, num_columns=4)
heights = log_mel_attributes(np.stack([clip.log_mel for clip in placed]), config)
lesson(
    f"From left to right the brightness goes from {heights['brightness_hz'][:2].mean():.0f} to "
    f"{heights['brightness_hz'][2:].mean():.0f} Hz and the level from {heights['level_db'][:2].mean():.1f} to "
    f"{heights['level_db'][2:].mean():.1f} dB. The genres lie on top of each other, as notebook 04 wanted it: the map "
    "is one of sound, and the genre is chosen beside it."
)

# %% [markdown]
# ## 6. From one sound to another
#
# A straight line between two latents passes nearer to the origin than either, where clips are bland. **Spherical
# interpolation** walks along the arc instead. `walk` does it over time: it plays one long clip whose latent moves
# from the first sound to the second while the beat goes on, and the genre weights move along.

# %%
ends = np.stack([draw_latent(model, seed + 1), draw_latent(model, seed + 2, drawn_as=model.genres[-1])])
line = 0.5 * ends[0] + 0.5 * ends[1]
arc = slerp(ends[0], ends[1], 0.5)
pair_weights = np.stack([mix_weights(model, name) for name in (model.genres[0], model.genres[-1])])
samples = walk(model, ends, pair_weights, num_beats=32, tempo=120.0, seed=seed)

# %%
lesson(
    f"The ends have norms {np.linalg.norm(ends[0]):.1f} and {np.linalg.norm(ends[1]):.1f}; half-way the line has "
    f"{np.linalg.norm(line):.1f}, the arc {np.linalg.norm(arc):.1f}. The walk below lasts "
    f"{len(samples) / config.sample_rate:.1f} s for 32 beats at 120."
)
player(samples, config, f"from {model.genres[0]} to {model.genres[-1]} in 32 beats", seed)

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
write_audio(mine, np.tile(load_clip(test, 0), 3), config)
clip = read_clip(mine, config)
latent = encode_clip(model, mine)
print(f"{clip.tempo:.1f} beats a minute (made with {test.table['tempo'][0]:.1f}), tracked: {clip.is_tracked}")

# %%
def heard_as(name):
    return as_shown(make_clip(model, controls, start=latent, mix=name, tempo=clip.tempo), f"as {name}")


source, target = test.table["genre"][0], next(g for g in model.genres if g != test.table["genre"][0])
recorded = {"log_mel": clip.log_mel, "samples": clip.samples, "label": "the recording", "tempo": clip.tempo}
ceiling = {**recorded, "samples": to_audio(clip.log_mel, config, clip.tempo), "label": "ceiling: features and back"}
show_clips([recorded, ceiling, heard_as(source), heard_as(target)], config, num_columns=4)

# %%
asked = [source, target]
scaled = config.scale(np.stack([heard_as(name)["log_mel"] for name in asked]))
verdict = {name: [features.genres[k] for k in judge.predict(scaled)] for name, judge in judges.items()}
lesson(
    f"Asked for {asked[0]} and {asked[1]}, the judges hear "
    + " and ".join(f"{', '.join(names)} ({judge})" for judge, names in verdict.items())
    + f". The reconstruction is {np.abs(heard_as(source)['log_mel'] - clip.log_mel).mean():.1f} dB from the recording "
    "on average."
)

# %% [markdown]
# ## 8. The studio
#
# Everything above, with widgets. Nothing plays until you press play, nothing repeats unless you ask, and the level is
# the one the model gave (where it would clip it is turned down, and the studio says so). Each slider has a number
# beside it to type into; the Tab and arrow keys reach all of it. Under the picture stands the line of code that makes
# the clip again.
#
# **Without a running kernel** you see the last clip in place of the controls, and pictures of the studio below.

# %%
studio = Studio(model, controls, session.output_dir / "studio")
studio

# %%
if data == "known":
    for picture in ("08_studio", "08_studio_mix", "08_studio_morph", "08_studio_own_clip"):
        path = (project_folder() or session.output_dir) / "figures" / f"{picture}.png"
        if path.exists():
            display(Image(path, width=900, alt=f"The studio in a browser, {picture[3:].replace('_', ' ')}."))

# %% [markdown]
# Is it quick enough to play? From moving a control to having the samples, without drawing the picture:

# %%
def milliseconds(**settings):
    start = time.perf_counter()
    make_clip(model, controls, **settings)
    return 1000 * (time.perf_counter() - start)


eight = [milliseconds(seed=k, tempo=110.0, mix=model.genres[k % model.num_genres]) for k in range(15)]
start = time.perf_counter()
studio.swap(model.genres[-1])
whole = 1000 * (time.perf_counter() - start)
lesson(
    f"{config.num_beats} beats take {np.median(eight):.0f} ms (median of {len(eight)}) to become sound; with the picture, "
    f"the map, and the history a genre swap took {whole:.0f} ms here. `tests/benchmarks/studio.py` measures it on a "
    "quiet machine."
)

# %% [markdown]
# ## Limits
#
# - A direction is right on average. For one clip, at the end of a slider, the decoder may be far from linear: density
#   pushed up in a clip without room for more notes becomes something else.
# - The attributes are measured quantities, not words: a "brighter" clip has a higher spectral centroid, whatever a
#   musician may mean by bright.
# - Where two attributes go together in all of the music (little bass *is* bright, here), the pseudo-inverse needs a
#   long step to move one of them alone, and long steps leave the region where clips lie.
# - A mix is two genres at once on one beat, not a genre between them: that, nobody has composed for the model to learn.
# - Beat tracking of your own clip may start on the off-beat or at half tempo. Change "from (s)" to move it.
#
# ## Exercises
#
# 1. In the studio: find a seed and settings for the darkest possible clip that the judges still hear as the genre you
#    asked for. Copy its line of code here and prove it.
# 2. Leave out the pseudo-inverse: use $w_k / \lVert w_k \rVert^2$ as the step. What happens to the table of changes?
# 3. Morph in a straight line in place of the arc, and measure level and sharpness half-way for twenty pairs.
#
# Solutions are in `solutions/08_studio`. The cell below is yours.

# %%
clip = make_clip(model, controls, seed=0, mix=model.genres[0], sliders={"brightness": -3.0})
heard = judges["cnn"].predict(config.scale(clip.log_mel[None]))[0]
print(f"{measure_attributes(clip.samples, config, clip.tempo)['brightness_hz']:.0f} Hz, heard as {features.genres[heard]}")
