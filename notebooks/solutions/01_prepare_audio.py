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
# # Solutions to notebook 01, prepare_audio
#
# This notebook stands alone: it makes the features of a small collection itself.

# %% tags=["parameters"]
data = "known"  # or the path of a folder of genres, or of FMA
seed = 0
repository_zip = ""
num_clips = 120  # known-factor music only

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
import dataclasses

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Markdown, display

from cvae_music.audio.analysis import beat_frame_times, log_mel
from cvae_music.audio.inversion import to_audio
from cvae_music.config import AudioConfig
from cvae_music.data.clips import load_clip
from cvae_music.data.features import build_features
from cvae_music.data.sources import open_collection
from cvae_music.players import show_clips
from cvae_music.plots import COLOURS, MARKERS, hertz_to_band, show_figure

# %%
config = AudioConfig()
features = build_features(open_collection(data, num_clips=num_clips, seed=seed), config, session.cache_dir)
test_table = features.table[features.table["split"] == "test"]
chosen = test_table.groupby("genre").sample(1, random_state=seed)[["genre", "tempo"]]


def frame_times(samples):
    """Moments of the frames of a clip of steady tempo."""
    return beat_frame_times(np.linspace(0.0, len(samples) / config.sample_rate, config.num_beats + 1), config)

# %% [markdown]
# ## 1. What do fewer mel bands cost?
#
# Errors in 32 bands and in 128 bands cannot be compared: fewer bands have less to get wrong. So the sound is made from few bands,
# and judged in 128.

# %%
def error_of(num_bands, samples, tempo):
    coarse, times = dataclasses.replace(config, n_mels=num_bands), frame_times(samples)
    back = to_audio(log_mel(samples, times, coarse, wrap=True), coarse, tempo, seed=seed)
    return np.abs(log_mel(back, times, config, wrap=True) - log_mel(samples, times, config, wrap=True)).mean()

# %%
bands = (16, 32, 64, 128)
errors = pd.DataFrame({
    row.genre: {num: error_of(num, load_clip(features, row.Index), row.tempo) for num in bands} for row in chosen.itertuples()
})  # fmt: skip
errors.rename_axis("mel bands").round(2)

# %%
fig, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
for number, genre in enumerate(errors):
    ax.semilogx(errors.index, errors[genre], base=2, color=COLOURS[number % 8], marker=MARKERS[number % 8], label=genre)
ax.set(xlabel="mel bands", ylabel="mean error (dB)", ylim=(0, None), xticks=bands, xticklabels=bands)
ax.legend(fontsize="small")
show_figure(fig, alt="For every genre the error falls as the number of mel bands grows.")

# %%
worse = (errors.loc[32] - errors.loc[128]).sort_values()
display(Markdown(
    f"From 128 to 32 bands {worse.index[-1]} loses most ({worse.iloc[-1]:.2f} dB), {worse.index[0]} least ({worse.iloc[0]:.2f} dB). "
    "Wide bands merge neighbouring overtones, so music of held notes suffers before music of drums."
))  # fmt: skip

# %% [markdown]
# ## 2. Break the grid
#
# Rolling a picture leaves its sound as it was and moves its beginning, as a cut at a random moment would.

# %%
def agreement(pictures):
    """Mean correlation between the pulses of two different clips."""
    pulses = [np.maximum(np.diff(picture.mean(axis=1)), 0.0) for picture in pictures]
    table = np.corrcoef(pulses)
    return np.mean(table[np.triu_indices(len(table), 1)])

# %%
rng = np.random.default_rng(seed)
rows = {}
for genre, members in features.table.groupby("genre"):
    pictures = [np.asarray(features.log_mel[index], np.float32) for index in members.index[:12]]
    rolled = [np.roll(picture, rng.integers(config.num_frames), axis=0) for picture in pictures]
    rows[genre] = {"on the beat": agreement(pictures), "anywhere": agreement(rolled)}
pd.DataFrame(rows).T.round(2)

# %%
means = pd.DataFrame(rows).T.mean()
display(Markdown(f"The agreement falls from {means['on the beat']:.2f} to {means['anywhere']:.2f}."))

# %% [markdown]
# ## 3. Compose with a brush
#
# Below 250 Hz live bass and bass drum. The floor means silence, so everything above is painted with it. The bars are swapped by a roll of four beats.

# %%
first = chosen.iloc[0]
level = np.asarray(features.log_mel[chosen.index[0]], np.float32)
low = level.copy()
low[:, int(hertz_to_band(250.0, config)) :] = config.floor_db
swapped = np.roll(level, 4 * config.frames_per_beat, axis=0)

# %%
clips = [
    {"log_mel": picture, "samples": to_audio(picture, config, first.tempo, seed=seed), "label": label, "tempo": first.tempo, "seed": seed}
    for label, picture in ((f"{first.genre}, bass and drums", low), (f"{first.genre}, bars swapped", swapped))
]
show_clips(clips, config, num_columns=2, alt="A picture that is black above 250 Hz, and one whose halves changed places.")
