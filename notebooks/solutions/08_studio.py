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
import numpy as np
import pandas as pd
from cvae_lab import evaluation
from cvae_lab.pretrained import open_judges, open_model
from IPython.display import display

from cvae_music.attributes import log_mel_attributes
from cvae_music.config import AudioConfig
from cvae_music.controls import SLIDERS, fit_controls, shipped_controls
from cvae_music.data.features import build_features
from cvae_music.data.sources import open_collection
from cvae_music.generation import draw_latent, make_clip, mix_weights, slerp
from cvae_music.players import player

# %%
config = AudioConfig()
features = build_features(open_collection(data, num_clips=num_clips, seed=seed), config, session.cache_dir)
model = open_model("cvae", features, session, weights, num_steps=num_full_steps)
judges = open_judges(features, session, weights, num_steps=num_judge_steps)
controls = shipped_controls(model) or fit_controls(model, features)

# %% [markdown]
# ## 1. The darkest clip that is still of its genre
#
# Draw seeds, pull the brightness slider down, decode without making sound, and keep what both judges still hear as
# the genre asked for.

# %%
genre, places, seeds = model.genres[0], (0.0, -1.0, -2.0, -3.0), range(2 * num_judged)
trials = [(k, place) for k in seeds for place in places]
label = mix_weights(model, genre)
drawn = [draw_latent(model, k, genre) for k in seeds]
latents = np.stack([controls.turn(drawn[k], {"brightness": place}, weights=label) for k, place in trials])
decoded = model.decode(latents, np.zeros(len(latents), int))
heard = np.all([judge.predict(decoded) == 0 for judge in judges.values()], axis=0)
hertz = log_mel_attributes(config.unscale(decoded), config)["brightness_hz"].where(heard)

# %%
if heard.any():
    chosen, place = trials[int(hertz.idxmin())]
    clip = make_clip(model, controls, seed=chosen, drawn_as=genre, mix=genre, sliders={"brightness": place})
    print(f"{heard.sum()} of {len(trials)} are heard as {genre} by both; the darkest has {hertz.min():.0f} Hz: "
          f"seed={chosen}, brightness {place:g}")
    display(player(clip.samples, config, f"the darkest {genre}", chosen))

# %% [markdown]
# ## 2. Without the pseudo-inverse
#
# The steps $d_k$ span the same space as the slopes $w_k$, so the slopes can be had back: the pseudo-inverse of the
# pseudo-inverse. A step along $w_k / \lVert w_k \rVert^2$ also raises attribute $k$ by one standard deviation, by the
# shortest way, and takes the others with it.

# %%
names = list(SLIDERS.values())
steps = np.stack([controls.directions[name][0] for name in names])  # of the first genre
slopes = np.linalg.pinv(steps).T
alone = {name: slope / (slope @ slope) for name, slope in zip(names, slopes, strict=True)}
test = features.subset("test")
rows = np.flatnonzero(test.genre_index == 0)[:num_judged]
starts, labels = model.encode(config.scale(test.log_mel[rows]))[0], test.genre_index[rows]


def changes(directions):
    """Change of each attribute from slider -1 to 1, in its standard deviations over the test split."""
    spread, table = log_mel_attributes(test.log_mel[:60], config).std(), {}
    for name, step in directions.items():
        ends = [log_mel_attributes(config.unscale(model.decode(starts + k * step, labels)), config) for k in (-1, 1)]
        table[name] = ((ends[1] - ends[0]).mean() / spread)[list(SLIDERS)]
    return pd.DataFrame(table).round(2)


# %%
print("pseudo-inverse", changes(dict(zip(names, steps, strict=True))), "shortest way", changes(alone), sep="\n")

# %% [markdown]
# The lengths of the two kinds of steps say what holding the others costs.

# %%
pd.DataFrame({"pseudo-inverse": np.linalg.norm(steps, axis=1),
              "shortest": [np.linalg.norm(step) for step in alone.values()]}, index=names).round(2)  # fmt: skip

# %% [markdown]
# ## 3. Half-way on the line and on the arc

# %%
ends = [np.stack([draw_latent(model, first + k, model.genres[0]) for k in range(20)]) for first in (100, 200)]
middles = {"ends": np.concatenate(ends), "line": (ends[0] + ends[1]) / 2, "arc": slerp(ends[0], ends[1], 0.5)}
rows = {}
for name, latents in middles.items():
    level = config.unscale(model.decode(latents, np.zeros(len(latents), int)))
    rows[name] = {"norm": np.linalg.norm(latents, axis=1).mean(), "sharpness (dB)": evaluation.sharpness(level),
                  "level (dB)": log_mel_attributes(level, config)["level_db"].mean()}  # fmt: skip
pd.DataFrame(rows).T.round(2)
