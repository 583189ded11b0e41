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
# # What does a network get to hear, and can we get back to sound?
#
# <!-- links: made by tools/badges.py -->
# After: [02 autoencoder](02_autoencoder.ipynb).
# [Solutions](solutions/01_prepare_audio.ipynb) of the exercises.
#
# *No library, says the set-up cell? **On Colab,** set `repository_zip` below to the address of the project's zip, or
# drag the zip into the Files pane and set `"/content/<its name>"`. **On Kaggle,** choose Add Input and take the data set
# of the project, or switch Internet on and set `repository_zip`. **In VS Code or on a laptop,** keep this file in the
# project's folder, run `make lab` there, or `make setup` and choose `.venv` as the kernel.*
# <!-- end of links -->
#
# **What you will hear at the end:** one clip of each genre, the same clips after a trip into a picture of 128 by 128
# numbers and back, and one of them at any tempo, without a change of pitch, from as many frequency bands as you like.
#
# **What you need to know:** a little Python and NumPy, and what a frequency is. Every other term is defined where
# it first appears.
#
# > **Time:** 0.3 minutes on 2 CPU cores with the features in the cache. Last full run: 2026-11-27.
#
# Every section goes the same way: a question, your guess, code, a look and a listen, what we learned. Make the
# guess before you run the cell; it costs five seconds and doubles what you remember.

# %% tags=["parameters"]
data = "known"  # or the path of a folder of genres, or of FMA
seed = 0
repository_zip = ""
num_clips = 2400  # known-factor music only

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

# %%
import dataclasses
import tempfile
import time
from pathlib import Path

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import display

# %% [markdown]
# `cm` is the library that you can take into a notebook of your own, `lab` what this series measures with. `lab.takeaway`
# prints what we learned: a number that a cell has computed, and what it means, in words that depend on the number.
#
# ## 1. The music
#
# A **collection** is a table with one row for each piece of music: its genre, its split and its group. The default
# collection is composed by this project from a seed, in six genres. Set `data` to a folder with one subfolder for
# each genre, or to the folder of FMA (the Free Music Archive), and everything below runs on that music.

# %%
collection = cm.open_collection(data, num_clips=num_clips, seed=seed)
collection.counts()

# %% [markdown]
# What a network gets to hear is fixed by a handful of constants, kept in one frozen object. It is saved inside every
# cache and every model, and a model refuses features that were made with other constants.

# %%
config = cm.AudioConfig()
config

# %% [markdown]
# `build_features` turns the whole collection into pictures, the **features**. The first time it takes a minute on two
# cores.

# %%
features = cm.build_features(collection, config, session.cache_dir)

# %% [markdown]
# A **clip** is eight beats long. Let us listen to one test clip of each genre (six of them at most).
#
# **Question.** Can you name the genre with the label covered? **Guess** which two you would confuse.

# %%
def heard(row):
    """One row of the feature table with its sound, its picture and a title."""
    return vars(cm.load_window(row, config)) | {
        "label": f"{row['genre']}, {row['tempo']:.0f} BPM"
    }


test_table = features.table[features.table["split"] == "test"]
chosen = test_table.groupby("genre").sample(1, random_state=seed).head(6)
clips = [heard(row) for _, row in chosen.iterrows()]
names = list(chosen["genre"])

# %%
seen = "Six log-mel spectrograms, each with its own pattern of drums and notes."
cm.show_clips(clips, config, name="01_genres", alt=seen)
chosen.dropna(axis=1).drop(columns=["path", "group", "split"])

# %% [markdown]
# Each picture is read from left to right in time and from bottom to top in frequency. Bright vertical lines are
# drums: a short sound has all frequencies at once. Horizontal lines are notes: a held pitch and its overtones. The
# players do not normalise, so a quiet clip stays quiet. The table says which clips they are; for composed music it also
# lists the **factors** that each was composed from, such as key, density and brightness.
#
# ## 2. From samples to that picture, in four steps
#
# **Step one: samples.** Sound is a list of numbers, the pressure of the air measured at a fixed rate.

# %%
sound = clips[0]["samples"]
tempo = clips[0]["tempo"]
beat_times = np.linspace(0.0, len(sound) / config.sample_rate, config.num_beats + 1)
frame_times = cm.beat_frame_times(beat_times, config)
print(
    f"{len(sound):,} samples at {config.sample_rate:,} a second: {beat_times[-1]:.2f} s, {config.num_beats} beats"
)
print(
    f"{len(frame_times)} frames, one every {1000 * (frame_times[1] - frame_times[0]):.1f} ms"
)

# %% [markdown]
# **Step two: spectra.** A **frame** is a moment at which we ask which frequencies sound. We cut out $N$ samples around
# it, fade them in and out with a window $w$, and take the Fourier transform. Doing so at frame after frame is the
# **short-time Fourier transform** (STFT):
#
# $$X_t[k] = \sum_{n=0}^{N-1} w[n]\; x\!\left[c_t - \tfrac N2 + n\right] e^{-2\pi i k n / N}$$
#
# with $c_t$ the sample at the centre of frame $t$. Each $X_t[k]$ is a complex number: its magnitude says how
# strongly frequency $k$ sounds, its angle (the **phase**) where in its swing it stands at that moment.

# %%
window = np.hanning(config.n_fft + 1)[:-1]


def stft(samples):
    centres = np.round(frame_times * config.sample_rate).astype(int)
    around = centres[:, None] + np.arange(config.n_fft) - config.n_fft // 2
    return np.fft.rfft(window * np.take(samples, around, mode="wrap"), axis=1)

# %%
spectra = stft(sound)
print(
    f"STFT: {spectra.shape[0]} frames x {spectra.shape[1]} frequencies, {spectra.dtype}"
)

# %% [markdown]
# The **power** is the squared magnitude. We scale it so that a sine wave of amplitude 1, the loudest that a file
# can hold, has power 1:
#
# $$P_t[k] = \left(\frac{2}{\sum_n w[n]}\right)^{2} \left|X_t[k]\right|^2$$

# %%
power = (2.0 / window.sum()) ** 2 * np.abs(spectra) ** 2

# %% [markdown]
# **Step three: mel bands.** The ear tells 200 from 300 Hz with ease and 8,200 from 8,300 Hz hardly at all. The **mel
# scale** spaces frequencies as the ear does, $m(f) = 2595 \log_{10}(1 + f/700)$. We lay triangles $F$ at equal
# distances on that scale: each rises from the centre of its lower neighbour to its own, and falls to that of its
# upper one. The library's `mel_filters` does the same, remembers its answer, and warns of triangles without a frequency.

# %%
def mel_triangles(config):
    """Triangles on the mel scale, shape `(bands, frequencies)`, peak 1."""
    bins = np.fft.rfftfreq(config.n_fft, 1.0 / config.sample_rate)
    hertz = np.array([config.fmin, config.fmax])
    lowest, highest = 2595.0 * np.log10(1.0 + hertz / 700.0)
    mels = np.linspace(lowest, highest, config.n_mels + 2)
    edges = 700.0 * (10.0 ** (mels / 2595.0) - 1.0)[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    return np.maximum(0.0, np.minimum(rising, falling)).astype(np.float32)

# %% [markdown]
# What falls into each triangle is added up: $M_t[b] = \sum_k F[b, k]\, P_t[k]$.

# %%
filters = mel_triangles(config)
assert np.array_equal(filters, cm.mel_filters(config))
mel = power @ filters.T
print(
    f"{filters.shape[1]} frequencies become {filters.shape[0]} bands, {config.fmin:.0f} to {config.fmax:.0f} Hz"
)

# %% [markdown]
# **Step four: decibels.** The ear hears ratios: ten times the power sounds about twice as loud, whether it is a whisper
# or a drum kit. A logarithm turns ratios into steps, and a fixed floor and ceiling close the scale:
#
# $$L_t[b] = \min\!\big(\text{ceiling},\, \max\!\big(\text{floor},\; 10 \log_{10} M_t[b]\big)\big)$$
#
# That is all of it. The library's `log_mel` does the same four steps, and the difference is printed.

# %%
level = np.clip(
    10.0 * np.log10(np.maximum(mel, 1e-10)), config.floor_db, config.ceiling_db
)
by_library = cm.log_mel(sound, frame_times, config, wrap=True)
assert np.allclose(level, by_library, atol=0.05)
print(
    f"largest difference from the library's log_mel: {np.abs(level - by_library).max():.4f} dB"
)
print(f"{len(sound):,} samples have become {level.size:,} numbers")

# %% [markdown]
# **Question.** Which of the four would you hand to a network? **Guess** how much of the picture can be seen at all in
# step two, where the numbers are powers.

# %%
fig, axes = plt.subplots(1, 4, figsize=(14, 3), layout="constrained")
axes[0].plot(np.arange(len(sound)) / config.sample_rate, sound, linewidth=0.3, color=cm.COLOURS[0])
axes[0].set(title="1. samples", xlabel="time (s)", ylabel="amplitude", ylim=(-1, 1))
steps = ((axes[1], power, "2. power", "frequency bin"), (axes[2], mel, "3. mel power", "mel band"))
for ax, picture, title, unit in steps:
    ax.imshow(
        picture.T,
        origin="lower",
        aspect="auto",
        cmap="magma",
        extent=(0, config.num_beats, 0, picture.shape[1]),
    )
    ax.set(title=title, xlabel="time (beats)", ylabel=unit)
image = cm.plot_log_mel(level, config, ax=axes[3], title="4. log-mel")
fig.colorbar(image, ax=axes[3], label="level (dB)")
session.show_figure(
    fig,
    "01_four_steps",
    "A waveform, two nearly black pictures, and a log-mel picture full of detail.",
)

# %%
def visible(picture):
    """Share of the cells that reach a tenth of the way from the lowest to the highest value."""
    return np.mean(picture > picture.min() + 0.1 * np.ptp(picture))


lab.takeaway(
    f"A tenth of their range is reached by {visible(mel):.1%} of the mel powers, "
    f"by {visible(level):.0%} of the levels.",
    {
        "The logarithm shows what the powers hide.": visible(level) > 3 * visible(mel),
        "This clip is even: its powers show much too.": True,
    },
)

# %% [markdown]
# ## 3. Why not the complex spectrum?
#
# The STFT with its phases can be turned back into sound exactly. The project that this series grew from fed real and
# imaginary parts to its network, for that reason. Its network learned to answer everything with the same clip. One
# cause can be shown without any network.
#
# **Question.** Delay the sound by one millisecond. No ear can tell. **Guess** how far apart a squared error puts the
# two, if silence instead of the sound counts as 100 %.

# %%
later = np.roll(sound, config.sample_rate // 1000)
complex_error = np.sum(np.abs(stft(later) - spectra) ** 2) / np.sum(np.abs(spectra) ** 2)
level_change = np.abs(cm.log_mel(later, frame_times, config, wrap=True) - level).mean()
lab.takeaway(
    f"The delay costs {complex_error:.0%} of what silence costs in the complex spectrum, "
    f"and {level_change:.2f} dB in the levels.",
    {
        "The complex error hears what no ear does: it prefers silence.": complex_error > 1.0,
        "The complex error hears what no ear does.": complex_error > 0.2,
        "This sound is so low that a millisecond hardly turns its phases.": True,
    },
)

# %% [markdown]
# Now be a network that knows the magnitudes perfectly and the phases not at all. It may answer with the right
# magnitudes times a factor $a$, at phases drawn at random. Its expected squared error, over that of silence, is
#
# $$\frac{\mathbb E\,\big|X - a|X|e^{i\varphi}\big|^2}{|X|^2} = 1 + a^2 ,$$
#
# because the mixed term averages out. Without phases the same answer costs $(1 - a)^2$.
# **Guess** which loudness $a$ each error likes best.

# %%
factors = np.linspace(0.0, 1.2, 25)
phases = np.exp(2j * np.pi * np.random.default_rng(seed).random(spectra.shape))
total = np.sum(np.abs(spectra) ** 2)
complex_cost = np.array(
    [np.sum(np.abs(spectra - a * np.abs(spectra) * phases) ** 2) / total for a in factors]
)
magnitude_cost = (1.0 - factors) ** 2

# %%
fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
ax.plot(
    factors,
    complex_cost,
    color=cm.COLOURS[4],
    marker=cm.MARKERS[0],
    markersize=4,
    label="complex, phases unknown",
)
ax.plot(
    factors,
    magnitude_cost,
    color=cm.COLOURS[0],
    marker=cm.MARKERS[1],
    markersize=4,
    label="magnitude only",
)
ax.set(xlabel="loudness a of the answer", ylabel="squared error (silence = 1)")
ax.legend()
session.show_figure(
    fig,
    "01_phase",
    "The complex error is smallest at loudness zero, the magnitude error at loudness one.",
)

# %%
best_loudness = factors[complex_cost.argmin()]
without = factors[magnitude_cost.argmin()]
lab.takeaway(
    f"With unknown phases the best loudness is {best_loudness:.1f}, without phases {without:.1f}.",
    {
        "Who cannot know the phases is taught to be silent. So we leave them out.": best_loudness < 0.15,
        "These phases were lucky; another seed teaches silence.": True,
    },
)

# %% [markdown]
# ## 4. One scale for all, or one for each file?
#
# Networks like inputs near $[-1, 1]$. Much code gets there by stretching each file from its own minimum to its own
# maximum. We use two fixed constants instead, the floor and the ceiling of the configuration:
#
# $$s = \frac{2\,(L - \text{floor})}{\text{ceiling} - \text{floor}} - 1$$
#
# **Question.** What becomes of silence under each? We take the clip, the clip 20 dB softer, and the faint hiss that
# is left when a recorder runs in an empty room. **Guess** which of the three a network could tell apart.

# %%
deep = dataclasses.replace(config, floor_db=-100.0)  # deep enough to see the hiss at all
hiss = 10 ** (-65 / 20) * np.random.default_rng(seed).standard_normal(len(sound)).astype(np.float32)
inputs = {"music": sound, "20 dB softer": 0.1 * sound, "hiss of silence": hiss}


def per_file(samples):
    """Stretches a file from its own minimum to its own maximum."""
    found = cm.log_mel(samples, frame_times, deep, wrap=True)
    return 2.0 * (found - found.min()) / np.ptp(found) - 1.0


def fixed(samples):
    return config.scale(cm.log_mel(samples, frame_times, config, wrap=True))

# %%
fig, axes = plt.subplots(
    2, 3, figsize=(10, 4.6), sharex=True, sharey=True, layout="constrained"
)
for row, (name, scaling) in zip(
    axes, {"per file": per_file, "fixed": fixed}.items(), strict=True
):
    for ax, (label, samples) in zip(row, inputs.items(), strict=True):
        image = cm.plot_log_mel(
            config.unscale(scaling(samples)), config, ax=ax, title=f"{name}: {label}"
        )
        ax.label_outer()
fig.colorbar(image, ax=axes, label="what the network gets, as dB")
session.show_figure(
    fig,
    "01_scaling",
    "Stretched per file, silence is a bright texture; on the fixed scale it is black.",
)

# %%
spread = pd.DataFrame(
    {
        label: {"per file": per_file(samples).std(), "fixed": fixed(samples).std()}
        for label, samples in inputs.items()
    }
).T
display(spread.round(2).rename_axis("spread of the numbers"))
quiet = spread.loc["hiss of silence"]
loud = spread.loc["music"]
confused = quiet["per file"] > 0.5 * loud["per file"] and quiet["fixed"] < 0.05
lab.takeaway(
    f"Per file, hiss arrives with a spread of {quiet['per file']:.2f}, music with {loud['per file']:.2f}; "
    f"on the fixed scale, hiss has {quiet['fixed']:.2f}.",
    {
        "Per file, silence becomes a kind of music.": confused,
        "So this music differs from hiss on either scale.": True,
    },
)

# %% [markdown]
# There is a second trap in the first way: to get back from $[-1, 1]$ to a level you need that file's own two numbers,
# and for a clip that a model has invented they do not exist.
#
# ## 5. Seconds or beats?
#
# The usual grid puts frames at equal distances in seconds. Ours puts them at equal distances in **beats**: so many
# frames to the beat whatever the tempo, which travels beside the clip as one number. Composed music knows its beats.
# In recordings librosa's beat tracker finds them; where it finds no steady beat, a fixed grid of 120 beats a minute
# stands in, and the column `grid` of the table says so.
#
# **Question.** Take the slowest and the fastest test clip of one genre. On which grid do their columns mean the
# same? **Guess** how many of the eight beats of the slow clip fit into its picture on the left.

# %%
in_seconds = cm.AudioConfig(grid="seconds")


def seconds_picture(samples):
    return cm.log_mel(
        samples, cm.seconds_frame_times(0.0, in_seconds), in_seconds, wrap=True
    )


same_genre = test_table[test_table["genre"] == names[0]].sort_values("tempo")
pair = [heard(same_genre.iloc[place]) for place in (0, -1)]

# %%
fig, axes = plt.subplots(2, 2, figsize=(10, 4.8), sharey=True, layout="constrained")
for row, clip in zip(axes, pair, strict=True):
    title = f"{clip['label']}: frames in "
    cm.plot_log_mel(
        seconds_picture(clip["samples"]), in_seconds, ax=row[0], title=title + "seconds"
    )
    image = cm.plot_log_mel(
        clip["log_mel"], config, ax=row[1], tempo=clip["tempo"], title=title + "beats"
    )
    beats_in_view = np.arange(0.0, in_seconds.seconds(), 60.0 / clip["tempo"])
    row[0].vlines(beats_in_view, 0, 12, color="white", linewidth=2)
    row[1].vlines(np.arange(config.num_beats), 0, 12, color="white", linewidth=2)
fig.colorbar(image, ax=axes, label="level (dB)")
seen = "White beat marks stand apart in the left pictures and below each other in the right ones."
session.show_figure(fig, "01_grids", seen)

# %% [markdown]
# The white marks are the beats. Does it matter in numbers? For ten clips of each genre we take the **pulse**, the
# rise of the mean level from frame to frame, and correlate the pulses of every two of them: 1 means that things
# happen at the same columns, 0 that they do not. Both grids begin on a beat, which flatters the grid in seconds.

# %%
def pulse(picture):
    return np.maximum(np.diff(picture.mean(axis=1)), 0.0)


def agreement(pictures):
    """Mean correlation between the pulses of two different clips."""
    table = np.corrcoef([pulse(picture) for picture in pictures])
    return np.mean(table[np.triu_indices(len(table), 1)])

# %%
rows = {}
for genre, members in features.table.drop_duplicates("source_id").groupby("genre"):
    several = members.iloc[
        np.linspace(0, len(members) - 1, min(10, len(members))).astype(int)
    ]
    sounds = [cm.load_window(row, config).samples for _, row in several.iterrows()]
    on_beats = [
        np.asarray(features.log_mel[index], np.float32) for index in several.index
    ]
    rows[genre] = {
        "seconds": agreement(map(seconds_picture, sounds)),
        "beats": agreement(on_beats),
    }
grids = pd.DataFrame(rows).T
grids.round(2)

# %%
on_seconds = grids["seconds"].mean()
on_the_beat = grids["beats"].mean()
lab.takeaway(
    f"Two clips of a genre agree to {on_seconds:.2f} in seconds, to {on_the_beat:.2f} in beats.",
    {
        "On beats, a network spends no numbers on when each beat falls.": on_the_beat > on_seconds + 0.1,
        "In this music beats bring little: the tracker errs, or there is no common rhythm.": True,
    },
)

# %% [markdown]
# Two gifts come with it: an eight-beat clip of steady music can be looped, and tempo becomes a control of its own,
# which we use below. Music without a beat gains nothing, and a tracker that errs does harm;
# `AudioConfig(grid="seconds")` keeps the old way open everywhere in this series. What the tracker does not know is
# which beat begins a bar: on recordings, clips may start on any beat.
#
# ## 6. The way back
#
# Three things were thrown away: fine frequency (bands instead of bins), whatever lies below the floor, and phase.
# `cm.to_audio` fills them in with good guesses. How it does so, and why bad guesses buzz or hiss, is the subject of
# notebook 11; here we ask what it costs.
#
# **Question.** We send each clip into its picture, make sound of the picture, and take the picture of that sound.
# **Guess** how far the two pictures are apart, in dB, and which genre suffers most.

# %%
def picture_of(samples):
    """Log-mel picture of eight beats of any length."""
    beats = np.linspace(0.0, len(samples) / config.sample_rate, config.num_beats + 1)
    return cm.log_mel(samples, cm.beat_frame_times(beats, config), config, wrap=True)


def there_and_back(clip, tempo, label):
    """The clip made from its picture alone, at this tempo."""
    samples = cm.to_audio(clip["log_mel"], config, tempo, seed=seed)
    return clip | {
        "samples": samples,
        "log_mel": picture_of(samples),
        "tempo": tempo,
        "label": label,
    }

# %%
back = [there_and_back(clip, clip["tempo"], "made of its picture") for clip in clips]
errors = [
    np.abs(made["log_mel"] - clip["log_mel"]).mean()
    for made, clip in zip(back, clips, strict=True)
]
lost = pd.Series(errors, names)
lost.round(2).rename("mean error (dB)").to_frame()

# %%
order = lost.to_numpy().argsort()
compared = [group[place] for place in (order[0], order[-1]) for group in (clips, back)]
cm.show_clips(compared, config, name="01_back", num_columns=2)
lab.takeaway(
    f"The trip costs {lost.mean():.2f} dB, at most {lost.max():.2f} ({names[order[-1]]}).",
    {
        "Little; yet no model here can sound better, since all come back this way.": lost.max() < 1.0,
        "That is much: before you blame a model, listen to this trip.": True,
    },
)

# %% [markdown]
# Listen to each pair for softer attacks and for held notes that waver. From here on, when we judge a
# model by ear, we play real clips through this same trip first.
#
# **Question.** A record played faster also sounds higher. Does our clip, if we make its sound at another tempo? The
# pictures below count seconds, so that the two tempos look different.

# %%
slow, fast = (
    there_and_back(clips[0], new, f"{names[0]}, at {new:.0f} BPM")
    for new in (80.0, 150.0)
)
cm.show_clips([slow, fast], config, name="01_tempo", num_columns=2, seconds=True)
shift, between = (
    np.abs(slow["log_mel"].mean(axis=0) - other["log_mel"].mean(axis=0)).mean()
    for other in (fast, clips[-1])
)

# %%
lab.takeaway(
    f"The mean spectra of the two tempos differ by {shift:.2f} dB, those of two genres by {between:.2f}.",
    {
        "The tempo moved, the pitch stayed.": shift < 0.25 * between,
        "So part of the sound changed with the tempo.": True,
    },
)

# %% [markdown]
# ## 7. Something to turn: tempo and number of bands
#
# **Question.** How few bands can you take away before you mind? **Guess**, then turn. (Where no kernel is running,
# the figure below the cell stands in.)

# %% tags=["widget"]
@widgets.interact(tempo=widgets.IntSlider(110, 60, 200, 5, continuous_update=False), num_bands=[128, 64, 32, 16])
def turn(tempo, num_bands):
    coarse = dataclasses.replace(config, n_mels=num_bands)
    picture = cm.log_mel(sound, frame_times, coarse, wrap=True)
    made = {"log_mel": picture, "samples": cm.to_audio(picture, coarse, tempo, seed=seed), "tempo": tempo}
    cm.show_clips(made | {"label": f"{num_bands} bands, {tempo} BPM"}, coarse, seconds=True)

# %%
def from_bands(num_bands):
    """The first clip, made of this many bands, and its picture in the usual 128."""
    coarse = dataclasses.replace(config, n_mels=num_bands)
    samples = cm.to_audio(
        cm.log_mel(sound, frame_times, coarse, wrap=True), coarse, tempo, seed=seed
    )
    return {
        "samples": samples,
        "log_mel": picture_of(samples),
        "label": f"made of {num_bands} bands",
        "tempo": tempo,
    }


coarser = [from_bands(num_bands) for num_bands in (16, 32, 64)]
seen = "From 16 bands the clip is a blur of stripes; from 64 its notes are back."
cm.show_clips(coarser, config, name="01_bands", alt=seen)

# %%
few, more = (np.abs(clip["log_mel"] - level).mean() for clip in (coarser[0], coarser[2]))
lab.takeaway(
    f"Sixteen bands bring the clip back with an error of {few:.1f} dB, sixty-four with {more:.1f}.",
    {
        "Fewer bands cost pitch first: notes melt into their neighbours.": few > 1.5 * more,
        "This clip has so few notes that bands hardly matter to it.": True,
    },
)

# %% [markdown]
# ## 8. What the other notebooks can rely on
#
# `build_features` returns the same thing for every source of music, the **data contract**:
#
# - a table with one row a clip: where it came from, its genre, split, group, tempo and grid, and the factors it was
#   composed from where these are known;
# - an array of log-mel pictures on disk, read when it is used, so that a collection may be larger than the memory;
# - a report of what was left out, and why.

# %%
columns = ["clip_id", "genre", "split", "group", "start", "end", "tempo", "grid"]
display(features.table[columns].sample(4, random_state=seed), features.counts())

# %% [markdown]
# A **split** says what a clip may be used for: *train* for learning, *validation* for decisions, *test* for the final
# number. A **group** is a track or an artist, and no group is in two splits. If half of a track is learned and the
# other half tested, memory looks like understanding.
#
# The cache is named after everything it depends on: files, constants, and the code that made it. So it is either right
# or made again, and an interrupted run goes on where it stopped. **Guess** how long a second call takes.

# %%
start = time.perf_counter()
again = cm.build_features(collection, config, session.cache_dir, progress=False)
cached_seconds = time.perf_counter() - start
shared = features.table.groupby("group")["split"].nunique().max()
lab.takeaway(
    f"The second call found {len(again):,} clips in {cached_seconds:.2f} s; a group is in {shared} split at most.",
    {
        "So nothing is both learned and tested.": shared == 1,
        "That must be one, or the test rewards memory.": True,
    },
)

# %% [markdown]
# ## 9. What bad files do
#
# Real collections hold files that are empty, cut off, silent, or not music at all. We write such a collection.
# **Question.** What should happen to it? **Guess** what the library does with each file, and with the genre `attic`,
# which holds no good one.

# %%
def make_bad_folder(root):
    """Two genres of three good tracks each, and files that are not fit for use."""
    good = np.tile(sound, 3)
    attic = root / "attic"
    lonely = root / "lonely"
    for folder in (root / "first", root / "second", attic, lonely):
        folder.mkdir(parents=True)
    for number in range(6):
        place = root / ("first", "second")[number % 2] / f"good {number}.wav"
        cm.write_audio(place, np.roll(good, number * 5000), config)
    cm.write_audio(root / "lost.wav", good, config)
    cm.write_audio(lonely / "only one.wav", good, config)
    cm.write_audio(attic / "silence.wav", 0.0 * good, config)
    cm.write_audio(attic / "half a second.wav", good[: config.sample_rate // 2], config)
    cm.write_audio(attic / "cut off.flac", good, config)
    (attic / "cut off.flac").write_bytes((attic / "cut off.flac").read_bytes()[:20000])
    (attic / "empty.mp3").write_bytes(b"")
    (attic / "a letter.wav").write_text("Dear listener, this is text. " * 50)
    (attic / "cover.jpg").write_bytes(b"not a picture either")

# %%
with tempfile.TemporaryDirectory() as folder:
    root = Path(folder) / "music"
    make_bad_folder(root)
    checked = cm.build_features(
        cm.open_collection(root),
        config,
        Path(folder) / "cache",
        num_workers=1,
        progress=False,
    )
    bad_files = sum((root / name).is_file() for name in checked.report["path"])
with pd.option_context("display.max_colwidth", None):
    display(checked.report)

# %%
good_files = checked.table["source_id"].nunique()
bad_genres = len(checked.report) - bad_files
lab.takeaway(
    f"The report names {bad_files} bad files and {bad_genres} genre without a good one; "
    f"{good_files} good files remain.",
    {
        "Nothing stopped the run, nothing became a genre of its own.": checked.genres == ("first", "second"),
        "Yet a bad folder became a genre: look at it.": True,
    },
)
print(f"In your collection {len(features.report)} things were left out.")

# %% [markdown]
# ## 10. Is my run normal?
#
# The ranges below are those of the embedded music on ordinary machines.

# %%
ranges = pd.DataFrame(
    [
        ("there and back, mean error (dB)", lost.mean(), 0.15, 0.7),
        ("there and back, largest of a genre (dB)", lost.max(), 0.2, 1.2),
        ("agreement of pulses, beats over seconds", on_the_beat - on_seconds, 0.1, 0.9),
        ("second call of build_features (s)", cached_seconds, 0.0, 2.0),
        ("splits that share a group", float(shared), 1.0, 1.0),
    ],
    columns=["measure", "your run", "from", "to"],
)
ranges["normal"] = np.where(
    ranges["your run"].between(ranges["from"], ranges["to"]), "yes", "look"
)
ranges.round(2)

# %% [markdown]
# An error far above the range means that constants were changed: the widget shows what fewer bands do. If the
# report lists files that play well elsewhere, convert one to WAV and try again.
#
# ## What to take along
#
# - A network gets a picture of eight beats: levels in dB, in mel bands, on one scale for all music.
# - Phases are left out because a squared error turns unknown phases into silence.
# - Time is counted in beats, so columns mean the same in every clip, and tempo is a number beside it.
# - The way back costs what section 6 measured, before any model has touched the sound.
#
# **Limits.** A picture of 128 bands cannot hold everything: what the guesses between bands cost on real music is
# measured in notebook 11. A beat grid needs music with a beat.
#
# **Next:** notebook 02 asks how few numbers such a picture can be packed into. Notebook 11 (back to sound) can be
# read right after this one, by those who want to know what `to_audio` does.
#
# ## Exercises
#
# 1. **The way back from the scale** (5 minutes, easy). Turn the formula of section 4 round: levels in dB from numbers
#    in $[-1, 1]$. The cell below yours says whether it is right.
# 2. **Break the grid** (5 minutes, easy). Shift every clip by a random number of frames (`np.roll`) and compute the
#    agreement again. How far does it fall?
# 3. **Compose with a brush** (15 minutes, medium). The picture can be edited before it becomes sound. Make the clip
#    play its bass and drums alone, or swap its two bars.
#
# Solutions are in `solutions/01_prepare_audio`.

# %% tags=["exercise"]
def decibels(scaled):
    """Exercise 1: levels in dB of numbers in [-1, 1]."""
    return np.zeros_like(scaled)  # replace this line

# %% tags=["check"]
found = decibels(config.scale(level))[40, 20]
expected = level[40, 20]
is_right = np.allclose(decibels(config.scale(level)), level, atol=0.01)
print("right" if is_right else f"not yet: expected {expected:.2f} dB in frame 40 of band 20, got {found:.2f}")

# %%
shifted = [picture for picture in on_beats]  # exercise 2: roll each picture by a random number of frames
print(f"agreement of {genre}: {agreement(shifted):.2f}")

# %%
painted = level.copy()  # exercise 3: change the picture, shape (frames, bands), then listen
painted_sound = cm.to_audio(painted, config, tempo)
cm.write_audio(session.clips_dir / "01_painted.wav", painted_sound, config)
cm.player(painted_sound, config, f"{names[0]}, painted")

# %% [markdown]
# <!-- links: made by tools/badges.py -->
# After: [02 autoencoder](02_autoencoder.ipynb).
# [Solutions](solutions/01_prepare_audio.ipynb) of the exercises.
# <!-- end of links -->
