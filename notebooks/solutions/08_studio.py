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
# # Solutions to notebook 08
#
# <!-- links: made by tools/badges.py -->
# The notebook: [08 studio](../08_studio.ipynb)
# <!-- end of links -->
#
# Each can be read on its own after the cells that load the model, the judges and the controls.

# %% tags=["parameters"]
data = "known"
seed = 0
repository_zip = ""
num_clips = 2400
weights = "pretrained"
num_full_steps = 1440
num_judge_steps = 400
num_judged = 8

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
import librosa
import numpy as np
import pandas as pd
from IPython.display import display

model = lab.open_model("cvae", features, session, weights, num_steps=num_full_steps)
judges = lab.open_judges(features, session, weights, num_steps=num_judge_steps)
controls = cm.shipped_controls(model) if lab.uses_shipped_weights(session, weights) else cm.fit_controls(model, features)

# %% [markdown]
# ## 1. The darkest clip that is still of its genre
#
# Draw seeds, pull the brightness slider down, decode without making sound, and keep what both judges still hear as
# the genre asked for.

# %%
genre = model.genres[0]
places = (0.0, -1.0, -2.0, -3.0)
seeds = range(2 * num_judged)
trials = [(number, place) for number in seeds for place in places]
drawn = [cm.draw_latent(model, number, genre) for number in seeds]
label = cm.genre_weights(model, genre)
latents = np.stack([controls.apply(drawn[number], {"brightness": place}, weights=label) for number, place in trials])
decoded = model.decode(latents, np.zeros(len(latents), int))
heard = np.all([judge.predict(decoded) == 0 for judge in judges.values()], axis=0)
hertz = cm.log_mel_attributes(config.unscale(decoded), config)["brightness_hz"].where(heard)

# %%
if heard.any():
    chosen, place = trials[int(hertz.idxmin())]
    clip = cm.make_clip(
        model, controls, seed=chosen, genre=genre, sliders={"brightness": place}
    )
    print(f"{heard.sum()} of {len(trials)} are heard as {genre} by both judges")
    print(f"the darkest has {hertz.min():.0f} Hz: seed={chosen}, brightness {place:g}")
    display(cm.player(clip.samples, config, f"the darkest {genre}", chosen))

# %% [markdown]
# ## 2. Without the pseudo-inverse
#
# The steps $d_k$ span the same space as the slopes $w_k$, so the pseudo-inverse of the steps gives the slopes back. A
# step along $w_k / \lVert w_k \rVert^2$ also raises attribute $k$ by one standard deviation. It does so by the shortest
# way, and takes the other attributes with it. We take the first genre, which is house.

# %%
names = list(cm.SLIDERS.values())
steps = np.stack([controls.attribute_directions[name][0] for name in names])  # (4, 96)
slopes = np.linalg.pinv(steps).T  # (4, 96)
shortest = slopes / np.square(slopes).sum(axis=1, keepdims=True)


def effects_of(steps):
    """Effects of steps on new clips of the first genre, in deviations over all genres."""
    directions = {
        name: np.tile(step, (model.num_genres, 1)).astype(np.float32)
        for name, step in zip(names, steps, strict=True)
    }
    change = cm.slider_effects(model, directions, num_clips=4 * num_judged, seed=seed + 1)[0]
    table = pd.DataFrame(change.T, names, names)
    return table.rename_axis("attribute").rename_axis("slider", axis=1)


# %%
print(effects_of(steps).round(2), "\n")
print(effects_of(shortest).round(2))

# %% [markdown]
# The first table is that of the pseudo-inverse, the second that of the shortest way; sliders go across. The lengths of the
# steps say what it costs to hold the other attributes.

# %%
lengths = {"pseudo-inverse": steps, "shortest": shortest}
pd.DataFrame({way: np.linalg.norm(each, axis=1) for way, each in lengths.items()}, names).round(2)

# %% [markdown] tags=["lesson"]
# **What we learned.** Without the pseudo-inverse each slider still moves its own attribute, and the steps are shorter (2.45
# in place of 3.39 for brightness). But the side effects of house grow. Brightness then moves the level by -4.14, more than
# the 2.61 of its own. The bass slider does not work either way: it moves the bass by 0.22 in place of 0.15, and the
# level by 3.73. In house the bass hardly varies, so no direction moves it far.

# %% [markdown]
# ## 3. A walk that loops
#
# A walk ends where it began if its last stop is its first. We make a second one that ends elsewhere, take the picture
# of both sounds, and measure the leap from frame to frame: where the walk begins again, and at the other bars of eight
# beats, where the pattern begins anew. The loop is without a seam if its leap is no larger than those that the music
# makes anyway.

# %%
stops = model.sample_latents([0, 0, 0], seed=seed + 5)
walks = {"ends where it began": np.concatenate([stops, stops[:1]]), "ends elsewhere": stops}
num_beats = 24
tempo = 110.0
times = np.arange(num_beats * config.frames_per_beat) / config.frames_per_beat * 60.0 / tempo
leaps = {}
for name, latents in walks.items():
    samples = cm.latent_walk(model, latents, cm.genre_weights(model, genre), num_beats, tempo, seed)
    level = cm.log_mel(samples, times, config, wrap=True)
    leap = np.abs(np.roll(level, -1, axis=0) - level).mean(axis=1)  # to the next frame, dB
    at_bars = leap[config.num_frames - 1 : -1 : config.num_frames]
    leaps[name] = {"at the loop": leap[-1], "at other bars": at_bars.mean()}
    display(cm.player(samples, config, f"a walk that {name}", seed, loop=True))

# %%
pd.DataFrame(leaps).T.round(2).rename_axis("leap (dB)")

# %% [markdown] tags=["lesson"]
# **What we learned.** The walk that ends where it began leaps by 6.37 dB at the loop, the walk that ends elsewhere by 14.94
# dB. So ends that meet make the seam much smaller. It is not gone: at other bars the walks leap by 3.21 and 4.96 dB.

# %% [markdown]
# ## 4. Style of one clip, chords of another
#
# There are two ways to take a style. The first is the layout of the latent: the global part of one clip, the beats of
# the other. The second gives the style the mean of the beats as well, so that the other clip keeps what differs from
# beat to beat.

# %%
def with_global_part(style, latent):
    whole = style[:, : model.global_dim]
    return np.concatenate([whole, latent[:, model.global_dim :]], axis=1)


def with_style(style, latent):
    step = style - latent
    of_beats = step[:, model.global_dim :].reshape(len(step), model.num_slots, -1)
    of_beats[:] = of_beats.mean(axis=1, keepdims=True)  # in place: a view of the step
    return latent + step


# %% [markdown]
# Timbre is measured as MFCC means (mel-frequency cepstral coefficients: the smooth shape of the spectrum), chords as
# chroma: how much of the sound is a C, a C sharp and so on. Energy and chroma of each beat are counted from their mean
# over the clip, so that they say what changes.

# %%
bands = librosa.mel_frequencies(n_mels=config.n_mels, fmin=config.fmin, fmax=config.fmax)
melodic = (bands > 100) & (bands < 2500)
pitch_class = np.round(librosa.hz_to_midi(bands)).astype(int) % 12
fold = melodic[:, None] * np.eye(12)[pitch_class]


def measured(latents, genre):
    """Measures decoded clips: a dict of name to array, a row a clip."""
    levels = config.unscale(model.decode(latents, genre))
    power = 10.0 ** (0.1 * levels)
    by_beat = power.reshape(len(power), config.num_beats, -1, config.n_mels).mean(axis=2)
    energy = 10.0 * np.log10(by_beat.sum(axis=2))
    chroma = np.sqrt(by_beat) @ fold
    chroma /= chroma.sum(axis=2, keepdims=True)
    mfcc = librosa.feature.mfcc(S=levels.transpose(0, 2, 1), n_mfcc=13)
    attributes = cm.log_mel_attributes(levels, config)
    return {
        "timbre": mfcc.mean(axis=2)[:, 1:],  # the first is the level
        "brightness": attributes[["brightness_hz"]].to_numpy(),
        "bass": attributes[["bass_db"]].to_numpy(),
        "level": attributes[["level_db"]].to_numpy(),
        "key (mean chroma)": chroma.mean(axis=1),
        "energy of each beat": energy - energy.mean(axis=1, keepdims=True),
        "chroma of each beat": chroma - chroma.mean(axis=1, keepdims=True),
    }


# %%
def agreement(first, second, genre):
    """Correlation over clips and values, after the mean of each genre is taken off."""
    centred = []
    for values in (first, second):
        means = np.stack([values[genre == k].mean(axis=0) for k in genre])
        centred.append((values - means).ravel())
    return np.corrcoef(*centred)[0, 1]


def follows(join, style, latent, genre):
    """How far the joined clips agree with the giver of the style, and with the other."""
    joined, styles, others = (
        measured(each, genre) for each in (join(style, latent), style, latent)
    )
    return {
        (giver, name): agreement(joined[name], values[name], genre)
        for giver, values in (("style", styles), ("other", others))
        for name in joined
    }


# %%
test = features.subset("test")
encoded = model.encode(config.scale(test.log_mel[:]))[0]
own = test.genre_index
rng = np.random.default_rng(seed)
style_rows, other_rows = rng.integers(len(encoded), size=(2, 2000))
same = own[style_rows] == own[other_rows]
columns = {}
for pairs, chosen in {"one genre": same, "two genres": ~same}.items():
    rows = np.flatnonzero(chosen & (style_rows != other_rows))[: 20 * num_judged]
    style, latent = encoded[style_rows[rows]], encoded[other_rows[rows]]
    for join in (with_global_part, with_style):
        found = follows(join, style, latent, own[style_rows[rows]])
        for giver in ("style", "other"):
            name = pairs, join.__name__, f"with the {giver}"
            columns[name] = {what: found[who, what] for who, what in found if who == giver}
pd.DataFrame(columns).round(2)

# %% [markdown] tags=["lesson"]
# **What we learned.** The global part is only half of the style. With two genres its timbre agrees 0.58 with the clip it
# came from and 0.45 with the clip that gave the beats. Once the mean of the beats goes with it, the
# timbre follows the style (0.94 against 0.01), and so do brightness, bass and most of the key. The chord of each beat
# stays with the other clip (0.64 against 0.07). Against it speaks the rhythm: the energy of each beat agrees only 0.22
# with the other clip, because what all beats share, their rhythm too, is part of the mean.
#
# `cm.make_clip(latent=…, style_from=…)` is the second way, and so is *style of* in the studio.

# %% [markdown]
# <!-- links: made by tools/badges.py -->
# The notebook: [08 studio](../08_studio.ipynb)
# <!-- end of links -->
