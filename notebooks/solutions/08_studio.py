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
    print(
        f"{heard.sum()} of {len(trials)} are heard as {genre} by both; the darkest has {hertz.min():.0f} Hz: "
        f"seed={chosen}, brightness {place:g}"
    )
    display(cm.player(clip.samples, config, f"the darkest {genre}", chosen))

# %% [markdown]
# ## 2. Without the pseudo-inverse
#
# The steps $d_k$ span the same space as the slopes $w_k$, so the slopes can be had back: the pseudo-inverse of the
# pseudo-inverse. A step along $w_k / \lVert w_k \rVert^2$ also raises attribute $k$ by one standard deviation, by the
# shortest way, and takes the others with it.

# %%
names = list(cm.SLIDERS.values())
steps = np.stack([controls.attribute_directions[name][0] for name in names])  # of the first genre
slopes = np.linalg.pinv(steps).T
alone = {name: slope / (slope @ slope) for name, slope in zip(names, slopes, strict=True)}
test = features.subset("test")
rows = np.flatnonzero(test.genre_index == 0)[:num_judged]
starts = model.encode(config.scale(test.log_mel[rows]))[0]
labels = test.genre_index[rows]


def changes(directions):
    """Change of each attribute (rows) from slider -1 to 1 (columns), in its standard deviations over the test split."""
    spread = cm.log_mel_attributes(test.log_mel[:60], config).std()
    table = {}
    for name, step in directions.items():
        ends = [
            cm.log_mel_attributes(config.unscale(model.decode(starts + k * step, labels)), config)
            for k in (-1, 1)
        ]
        table[name] = ((ends[1] - ends[0]).mean() / spread)[list(cm.SLIDERS)]
    return pd.DataFrame(table).rename(index=cm.SLIDERS).round(2)


# %%
print(
    "pseudo-inverse",
    changes(dict(zip(names, steps, strict=True))),
    "shortest way",
    changes(alone),
    sep="\n",
)

# %% [markdown]
# The lengths of the two kinds of steps say what holding the others costs.

# %%
pd.DataFrame(
    {
        "pseudo-inverse": np.linalg.norm(steps, axis=1),
        "shortest": [np.linalg.norm(step) for step in alone.values()],
    },
    index=names,
).round(2)

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
    leap = np.abs(np.roll(level, -1, axis=0) - level).mean(axis=1)  # from each frame to the next, dB
    leaps[name] = {"at the loop": leap[-1], "at other bars": leap[config.num_frames - 1 : -1 : config.num_frames].mean()}
    display(cm.player(samples, config, f"a walk that {name}", seed, loop=True))

# %%
pd.DataFrame(leaps).T.round(2).rename_axis("leap (dB)")

# %% [markdown]
# <!-- links: made by tools/badges.py -->
# The notebook: [08 studio](../08_studio.ipynb)
# <!-- end of links -->
