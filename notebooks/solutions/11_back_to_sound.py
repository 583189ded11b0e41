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
# # Solutions to notebook 11, back to sound
#
# <!-- links: made by tools/badges.py -->
# The notebook: [11 back to sound](../11_back_to_sound.ipynb)
# <!-- end of links -->
#
# This notebook can be run without notebook 11. It makes the features of a smaller collection, so its clip is another
# one, and the numbers differ from those of notebook 11. The text has the numbers of the embedded music.

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
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

is_test = features.table["split"] == "test"
# One test clip, its frames and its true magnitudes, as in section 1 of the notebook.
rows = features.table[is_test].groupby("genre").sample(1, random_state=seed)
clip = cm.load_window(rows.iloc[0], config)
loop, mel_power = cm.frame_grid(clip.log_mel, config, clip.tempo)
magnitude = np.abs(loop.forward(np.resize(clip.samples, loop.length)))

# %% [markdown]
# The two functions of the notebook that the exercises use, `turns` and `curve`. The
# [mismatch](../glossary.md#mismatch) is 0 for a perfect sound and 1 for silence.

# %%
def turns(angle):
    """How far an angle is from the nearest whole turn, in turns: 0 to 0.5."""
    return np.abs(angle / (2 * np.pi) - np.round(angle / (2 * np.pi)))


def curve(magnitude, start, momentum, rounds):
    """Mismatch after each number of rounds of fast Griffin–Lim."""
    begin = loop.with_phases(magnitude, start(magnitude, loop, np.random.default_rng(seed)))
    made = (cm.fast_griffin_lim(magnitude, begin, loop, number, momentum) for number in rounds)
    return [
        np.linalg.norm(np.abs(loop.forward(each)) - magnitude) / np.linalg.norm(magnitude)
        for each in made
    ]

# %% [markdown]
# ## 1. Half of PGHI
#
# Is the mismatch lower than from random phases? The phase is $2\pi k c_t / N$. The outer product computes it for all
# frames (rows, with their centres $c_t$) and all bins (columns, $k$) at once.

# %% tags=["exercise"]
def turning_phases(magnitude, loop, rng):
    """Exercise 1: each bin has turned at its own frequency since the first sample."""
    return (
        2 * np.pi * np.outer(loop.centres, np.arange(magnitude.shape[1])) / loop.n_fft
    )

# %% tags=["check"]
found = turning_phases(magnitude, loop, np.random.default_rng(seed))
expected = (
    2 * np.pi * np.outer(loop.centres, np.arange(magnitude.shape[1])) / config.n_fft
)
is_right = np.shape(found) == magnitude.shape and turns(found - expected).max() < 0.01
example = np.ravel(found)[: 2 * magnitude.shape[1]][-1] / (2 * np.pi)
wanted = f"not yet: expected {expected[1, -1] / (2 * np.pi):.2f} turns in frame 1 of the last bin, got {example:.2f}"
print("right" if is_right else wanted)
for number in (0, 8):
    print(
        f"mismatch after {number} rounds: {curve(magnitude, turning_phases, 0.99, [number])[0]:.3f}"
    )

# %% [markdown]
# Random phases on the same clip, for comparison:

# %%
left = {}
for name, start in (("turning", turning_phases), ("random", cm.random_phases)):
    left[name] = dict(zip((0, 8), curve(magnitude, start, 0.99, [0, 8]), strict=True))
pd.DataFrame(left).T.rename_axis("start").round(3)

# %% [markdown] tags=["lesson"]
# **What we learned.** Yes, it is lower. Without a round this start leaves a mismatch of 0.483, random phases 0.657.
# After eight rounds the lead is small (0.174 against 0.188). The whole of PGHI leaves much less on the clip of notebook
# 11 (the last table of section 4 there). So most of what it gains comes from its other half, the slope of the
# magnitudes.

# %% [markdown]
# ## 2. How much momentum?
#
# Where is the best momentum? We try ten, each for 32 rounds from the same random phases.

# %%
momenta = np.array([0.0, 0.25, 0.5, 0.75, 0.9, 0.99, 1.1, 1.25, 1.5, 2.0])
left = [curve(magnitude, cm.random_phases, momentum, [32])[0] for momentum in momenta]
fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
ax.plot(momenta, left, color=cm.COLOURS[0], marker=cm.MARKERS[0])
ax.set(xlabel="momentum", ylabel="mismatch after 32 rounds", ylim=(0, None))
session.show_figure(
    fig, alt="The mismatch falls until a momentum near one, is highest at 1.50, and is a little lower at 2.00."
)

# %%
pd.Series(left, index=momenta, name="mismatch").to_frame().T.round(3)

# %% [markdown] tags=["lesson"]
# **What we learned.** Of the ten, the best are 0.90 and 0.99, which both leave 0.064. Above one the mismatch rises
# quickly. A momentum of 1.10 leaves 0.14. One of 2.00 leaves 0.218, which is more than no momentum leaves (0.152). This
# is one clip and one random start.

# %% [markdown]
# ## 3. One click
#
# Which way smears the click, and why are zero phases right here? A click holds all frequencies at one moment. Their
# waves peak together at the centre of the frame, so their true phases there are zero. Music is different. There zero
# phases make a click of *every* frame, and we hear a buzz (section 2 of notebook 11).
#
# We paint one loud frame and make it sound in all six ways of the library. A sharp click has nearly all of its energy
# close to its loudest sample. So we measure the share of the energy that lies within a millisecond of it.

# %%
def sharpness_of_click(samples):
    """Share of the energy within a millisecond of the loudest sample."""
    middle = np.abs(samples).argmax()
    around = config.sample_rate // 1000  # samples in a millisecond
    return np.sum(samples[middle - around : middle + around] ** 2) / np.sum(samples**2)


click = np.full(config.shape, config.floor_db, np.float32)
click[64] = -30.0  # dB, in all bands of one frame; the others stay silent
made = {name: cm.to_audio(click, config, clip.tempo, seed, name) for name in cm.METHODS}
shares = {name: sharpness_of_click(samples) for name, samples in made.items()}

# %%
print({name: f"{share:.0%}" for name, share in shares.items()})
cm.player(made["learned_bands"], config, "the click, by default")

# %% [markdown] tags=["lesson"]
# **What we learned.** Griffin–Lim smears the click. It begins with random phases, and after its rounds only 25% of the
# energy lies within a millisecond, or 38% in the fast variant. With zero phases it is 97%, because they are the true
# ones here. By default (`learned_bands`) it is 94%, a little less than by PGHI alone (98%).

# %% [markdown]
# <!-- links: made by tools/badges.py -->
# The notebook: [11 back to sound](../11_back_to_sound.ipynb)
# <!-- end of links -->
