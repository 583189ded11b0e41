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
# # Solutions to notebook 01, prepare audio
#
# <!-- links: made by tools/badges.py -->
# The notebook: [01 prepare audio](../01_prepare_audio.ipynb)
# <!-- end of links -->
#
# This notebook needs no output of notebook 01, because it makes the features of a small collection itself. It has 120
# pieces in place of 2,400, so its numbers differ a little from those of notebook 01.

# %% tags=["parameters"]
data = "known"  # or the path of a folder of genres, or of FMA
seed = 0
repository_zip = ""
num_clips = 120  # known-factor music only

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

# One test clip and its picture, for solutions 1 and 3.
row = features.table[features.table["split"] == "test"].iloc[0]
clip = cm.load_window(row, config)
level = clip.log_mel
tempo = clip.tempo

# %% [markdown]
# ## 1. The way back from the scale
#
# Solve $s = 2\,(L - \text{floor}) / (\text{ceiling} - \text{floor}) - 1$ for $L$:
#
# $$L = \frac{s + 1}{2}\,(\text{ceiling} - \text{floor}) + \text{floor} .$$
#
# `config.unscale` computes this too. It also clips the result to the range from floor to ceiling, because a model may
# give numbers outside $[-1, 1]$.

# %% tags=["exercise"]
def decibels(scaled):
    """Exercise 1: levels in dB of numbers in [-1, 1]."""
    return (scaled + 1.0) / 2.0 * (
        config.ceiling_db - config.floor_db
    ) + config.floor_db

# %% tags=["check"]
found = decibels(config.scale(level))
expected = level[40, 20]
print(
    "right"
    if np.allclose(found, level, atol=0.01)
    else f"not yet: expected {expected:.2f} dB in frame 40 of band 20, got {found[40, 20]:.2f}"
)

# %% [markdown]
# ## 2. Break the grid
#
# The exercise rolls the pictures of the last genre. Here we do it for all genres. A clip is a loop, so a rolled
# picture holds the same sound and begins at another moment. `pulse` and `agreement` are those of notebook 01.

# %%
def pulse(picture):
    """Rise of the mean level from each frame to the next."""
    return np.maximum(np.diff(picture.mean(axis=1)), 0.0)


def agreement(pictures):
    """Mean correlation between the pulses of two different clips."""
    table = np.corrcoef([pulse(picture) for picture in pictures])
    return np.mean(table[np.triu_indices(len(table), 1)])

# %%
rng = np.random.default_rng(seed)
rows = {}
# One clip of each piece, at most 12 of a genre.
for genre, members in features.table.drop_duplicates("source_id").groupby("genre"):
    pictures = [
        np.asarray(features.log_mel[index], np.float32) for index in members.index[:12]
    ]
    rolled = [
        np.roll(picture, rng.integers(config.num_frames), axis=0)
        for picture in pictures
    ]
    rows[genre] = {"on the beat": agreement(pictures), "anywhere": agreement(rolled)}
moved = pd.DataFrame(rows).T
moved.round(2)

# %%
before, after = moved.mean().round(2) + 0.0  # + 0.0 makes 0.0 of -0.0
print(f"mean correlation on the beat grid: {before:.2f}, rolled at random: {after:.2f}")

# %% [markdown]
# The mean correlation falls from 0.80 to 0.00, and for the last genre, strings, from 0.80 to 0.01. So the pulses
# agree because the clips begin at the same beat: things begin in the same columns. Rolled at random, they do so no
# longer.

# %% [markdown]
# ## 3. Compose with a brush
#
# The bass drum and the pitches of the bass lie below 250 Hz. The floor means silence. So each band whose triangle has
# its peak above 250 Hz is set to the floor.
#
# This leaves bass and bass drum, without the overtones of the bass. Snare and hi-hat are lost, because their bands
# are also those of chords and melody. A rule for whole bands cannot separate them. To keep some of them, leave the
# frames of their hits unpainted; a little of the chords then sounds too.
#
# A clip has two bars of four beats, so a roll by four beats swaps the bars. The unchanged clip goes the same way back to
# sound, for comparison.

# %%
# The frequency bin of each peak, times the hertz of one bin.
peak_hertz = cm.mel_filters(config).argmax(axis=1) * config.sample_rate / config.n_fft
low = level.copy()
low[:, peak_hertz > 250.0] = config.floor_db
swapped = np.roll(level, 4 * config.frames_per_beat, axis=0)

# %%
painted = {
    f"{row['genre']}, unchanged": level,
    f"{row['genre']}, bass and bass drum": low,
    f"{row['genre']}, bars swapped": swapped,
}
clips = [
    {
        "log_mel": picture,
        "samples": cm.to_audio(picture, config, tempo, seed),
        "label": label,
        "tempo": tempo,
    }
    for label, picture in painted.items()
]
seen = "A clip; the same, black above 250 Hz; and the same with its halves in each other's place."
cm.show_clips(clips, config, alt=seen)

# %% [markdown]
# <!-- links: made by tools/badges.py -->
# The notebook: [01 prepare audio](../01_prepare_audio.ipynb)
# <!-- end of links -->
