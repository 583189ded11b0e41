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
# # What does a network get to hear?
#
# <!-- links: made by tools/badges.py -->
# Previous: [00 play](00_play.ipynb).
# Next: [02 autoencoder](02_autoencoder.ipynb).
# [Solutions](solutions/01_prepare_audio.ipynb) of the exercises.
#
# *No library, says the set-up cell? **On Colab,** set `repository_zip` below to the address of the project's zip, or
# drag the zip into the Files pane and set `"/content/<its name>"`. **On Kaggle,** choose Add Input and take the data set
# of the project, or switch Internet on and set `repository_zip`. **In VS Code or on a laptop,** keep this file in the
# project's folder, run `make lab` there, or `make setup` and choose `.venv` as the kernel.*
# <!-- end of links -->
#
# **What you will hear at the end:** one clip of each genre, two of them after a trip into a picture and back to
# sound, and one at two other tempos, with its pitch unchanged.
#
# **What you need to know:** a little Python and NumPy, complex numbers, and what a frequency is. Other terms are
# defined where they first appear.
#
# > **Time:** 0.3 minutes on 2 CPU cores, and longer the first time. Last full run: 2026-11-29.
#
# You are asked to guess before each result. Code that draws is folded. The numbers in the text are those of the
# *embedded music* (`data = "known"`, section 1). With your own music, tables and figures change.

# %% tags=["parameters"]
data = "known"  # or the path of a folder of genres, or of FMA
seed = 0
repository_zip = ""
num_clips = 2400  # of the embedded music

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

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import display

# %% [markdown]
# `cm` is the library for notebooks of your own. `lab` measures and draws for this series.
#
# ## 1. The music
#
# A **collection** is a table with one row for each piece of music. The row says where the piece comes from, its
# genre, and its [split](glossary.md#split), which is its use: *train* for learning, *validation* for decisions,
# *test* for the final numbers.
#
# The embedded music comes from a small program of this project, the [composer](glossary.md#composer). For each
# piece it draws nine [factors](glossary.md#factor), such as tempo, key and brightness. Then it plays them with the
# drums, instruments and chords of one of six genres. The draws do not depend on the genre, so no genre is slower on
# average.
#
# `data` can also be a folder with one subfolder for each genre, or that of FMA (the Free Music Archive).

# %%
collection = cm.open_collection(data, num_clips=num_clips, seed=seed)
collection.counts()

# %% [markdown]
# A [clip](glossary.md#clip) is eight beats of music. One object holds the constants that decide what a network gets
# to hear of it. Sections 3 to 6 use them.

# %%
config = cm.AudioConfig()
config

# %% [markdown]
# `build_features` turns every clip into a picture, its **features**, and keeps it in a folder, the cache.

# %%
# A source is a piece of music; here each gives one clip.
features = cm.build_features(collection, config, session.cache_dir)

# %% [markdown]
# Listen to one test clip of each genre. *Chiptune* imitates old game consoles.

# %% tags=["fold"]
# @title Helper: one test clip of each genre, to see and to hear
def heard(row):
    """The sound, the picture, the tempo and a label of one row of a table."""
    clip = cm.load_window(row, config)  # reads the clip from its file or composes it
    return {
        "samples": clip.samples,
        "log_mel": clip.log_mel,
        "tempo": clip.tempo,
        "label": f"{row['genre']}, {clip.tempo:.0f} BPM",
    }


test_table = features.table[features.table["split"] == "test"]
chosen = test_table.groupby("genre").sample(1, random_state=seed).head(6)
names = list(chosen["genre"])
clips = [heard(row) for _, row in chosen.iterrows()]

# %% tags=["fold"]
# @title Picture and sound: a clip of each genre
seen = "Six log-mel spectrograms, each with its own pattern of drums and notes."
cm.show_clips(clips, config, name="01_genres", alt=seen)

# %% [markdown]
# BPM means beats a minute. The players do not make quiet clips louder. The table lists what each clip was composed
# from (on your own music, the tempo). Of two levels, the one nearer to 0 dB is louder.

# %% tags=["fold"]
# @title Table: the factors of these clips
meaning = {
    "tempo": "tempo (BPM)",
    "key": "key (semitones above C)",
    "mode": "mode (0 minor, 1 major)",
    "brightness": "brightness (0 to 1)",
    "density": "density (share of optional notes)",
    "progression": "chord sequence (number)",
    "pattern": "rhythm (number)",
    "register": "melody an octave higher (1 yes)",
    "level_db": "level (dB)",
}
factors = chosen.set_index("genre").filter(list(meaning)).dropna(axis=1)
factors.rename(columns=meaning).round(2).T

# %% [markdown]
# Now one more clip, without its name.

# %% tags=["fold"]
# @title Helper: one validation clip
unnamed = features.table[features.table["split"] == "validation"]
unnamed = unnamed.sample(1, random_state=seed + 2).iloc[0]

# %% tags=["fold"]
# @title Sound: a clip without a name
cm.player(heard(unnamed)["samples"], config, "which genre is this?")

# %% tags=["fold"]
# @title Guess: its genre
lab.guess(
    "Which genre is the clip without a name?",
    unnamed["genre"],
    choices=list(features.genres),
)

# %% [markdown]
# ## 2. How to read the picture
#
# The pictures above are [log-mel](glossary.md#log-mel) spectrograms. Time runs from left to right, frequency from
# bottom to top, and bright means loud. The drawing shows one **bar** of a clip, its first four beats. (The axis of
# a figure counts the beats that have passed, so beat 1 begins at 0.)

# %% tags=["fold"]
# @title Drawing: how to read a log-mel
lab.drawing("read_log_mel")

# %% [markdown]
# Play the clip below and look for each part.
#
# - The **kick**, the bass drum, is bright and low. It comes on every beat here, and its pitch falls.
# - The **snare**, here a clap, is an upright stripe on beats two and four.
# - The **hi-hat** is such a stripe too, strongest at the top. It sounds between the beats.
# - The **bass** plays one low note at a time. Its lowest line is the pitch. The lines above are its *overtones*,
#   at whole multiples of that frequency.
# - A **chord** is a stack of many lines that begin together, because several notes sound at once.
# - The **melody** plays single notes above the chords. Its lines stand further apart, because its pitch is higher.
#
# Snare and hi-hat are short noises with many frequencies at once, so they look like upright stripes. A held note
# keeps its frequencies, so it looks like flat lines.

# %% tags=["fold"]
# @title Guess: kicks
lab.guess("How many kicks does the whole clip of eight beats have?", 8, "kicks")

# %% tags=["fold"]
# @title Picture and sound: the clip of the drawing, all eight beats
example_row = {
    "genre": "house",
    "seed": 8,
    "tempo": 90.0,
    "key": 9,
    "mode": 0,
    "brightness": 0.6,
    "density": 0.1,
    "progression": 1,
    "pattern": 0,
    "register": 1,
    "level_db": -20.0,
}
where = {"path": "", "start": 0.0, "clip_id": "drawn", "grid": "known"}
example = heard(example_row | where)
seen = "Eight beats: a bright low stripe on each beat, broad stripes on and between them."
cm.show_clips(example, config, name="01_example", alt=seen, num_columns=1)

# %% [markdown]
# ## 3. From samples to the picture, in four steps
#
# **Step one: samples.** Sound is a list of numbers, the pressure of the air measured at a fixed rate. We take the
# first of the clips above.

# %%
sound = clips[0]["samples"]
tempo = clips[0]["tempo"]
duration = len(sound) / config.sample_rate
print(f"{len(sound):,} samples, {config.sample_rate:,} a second: {duration:.2f} s")

# %% [markdown]
# **Step two: spectra.** A [frame](glossary.md#frame) is a moment at which we ask which frequencies sound. We place 16
# frames in each beat. At each frame we cut out $N = 2048$ samples around it (`n_fft`). The cuts are long and overlap,
# because a longer cut tells closer frequencies apart. We fade each in and out with a window $w$, and take the Fourier
# transform. It writes the cut as a sum of waves, one for each frequency bin $k$. Doing so at frame after frame is the
# **short-time Fourier transform** ([STFT](glossary.md#stft)):
#
# $$X_t[k] = \sum_{n=0}^{N-1} w[n]\; x\!\left[c_t - \tfrac N2 + n\right] e^{-2\pi i k n / N}$$
#
# Here $c_t$ is the sample at the centre of frame $t$. Each $X_t[k]$ is complex, because the exponential is a cosine and
# a sine in one. Its magnitude says how strongly the frequency $22050\,k / N$ Hz sounds. Its angle, the
# [phase](glossary.md#phase), says where in its swing the wave stands at that moment.
#
# A clip is a loop, so a cut that reaches beyond the end reads on at the beginning (`wrap`).

# %%
beat_times = np.linspace(0.0, duration, config.num_beats + 1)
frame_times = cm.beat_frame_times(beat_times, config)
# Fades in and out, because hard edges would add frequencies. Without its last value, a
# second zero, the window repeats every `n_fft` samples, as the waves of the bins do.
window = np.hanning(config.n_fft + 1)[:-1]


def stft(samples):
    centres = np.round(frame_times * config.sample_rate).astype(int)
    around = centres[:, None] + np.arange(config.n_fft) - config.n_fft // 2
    cut_out = np.take(samples, around, mode="wrap")  # (frames, N)
    # (frames, N / 2 + 1): of real samples, the other bins would be mirror images
    return np.fft.rfft(window * cut_out, axis=1)

# %%
spectra = stft(sound)
apart = 1000 * (frame_times[1] - frame_times[0])
print(f"{len(frame_times)} frames, one every {apart:.1f} ms")
print(f"STFT: {spectra.shape[0]} frames x {spectra.shape[1]} frequencies")

# %% [markdown]
# The **power** is the squared magnitude. A sine wave of amplitude 1, the loudest that a file can hold, has the
# magnitude $\tfrac12 \sum_n w[n]$ at its own frequency (the other half is in the mirror image that `rfft` leaves
# out). We scale its power to 1:
#
# $$P_t[k] = \left(\frac{2}{\sum_n w[n]}\right)^{2} \left|X_t[k]\right|^2$$

# %%
power = (2.0 / window.sum()) ** 2 * np.abs(spectra) ** 2

# %% [markdown]
# **Step three: mel bands.** The ear hears the step from 200 to 300 Hz clearly and the step from 8,200 to 8,300 Hz
# hardly at all. The mel scale spaces frequencies as the ear does, $m(f) = 2595 \log_{10}(1 + f/700)$. We lay
# triangles $F$ at equal distances on that scale. Each rises from the centre of its lower neighbour to its own
# centre, and falls to the centre of its upper neighbour. What a triangle covers is a [mel
# band](glossary.md#mel-band).

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
# Each band adds up the power, weighted by its triangle: $M_t[b] = \sum_k F[b, k]\, P_t[k]$.

# %%
filters = mel_triangles(config)
mel = power @ filters.T
print(f"{filters.shape[1]} frequencies become {filters.shape[0]} bands")
print(f"from {config.fmin:.0f} to {config.fmax:.0f} Hz")
print("the library's triangles:", np.array_equal(filters, cm.mel_filters(config)))

# %% [markdown]
# **Step four: decibels.** The ear hears ratios. Ten times the power sounds about twice as loud at any level. A
# logarithm turns ratios into steps, measured in [decibels](glossary.md#decibel) (dB). Ten times the power is 10 dB
# more. Ten times the amplitude is a hundred times the power, so 20 dB. A fixed floor of −70 dB and a fixed ceiling
# of 0 dB close the scale:
#
# $$L_t[b] = \min\!\big(\text{ceiling},\, \max\!\big(\text{floor},\; 10 \log_{10} M_t[b]\big)\big)$$
#
# This is the log-mel.

# %%
level = 10.0 * np.log10(np.maximum(mel, 1e-10))  # zero has no logarithm
level = np.clip(level, config.floor_db, config.ceiling_db)
by_library = cm.log_mel(sound, frame_times, config, wrap=True)
difference = np.abs(level - by_library).max()
print(f"largest difference from the library's log_mel: {difference:.4f} dB")
print(f"{len(sound):,} samples have become {level.size:,} numbers")

# %% [markdown]
# Which picture would you hand to a network? Each number in it is a **cell**. In a squared error a few large cells
# outweigh all small ones, so a network would ignore these. We call a cell *visible* if it reaches a tenth of the way
# from the lowest to the highest value.

# %%
def visible(picture):
    """Share of the cells that reach a tenth of the range of the picture."""
    return np.mean(picture > picture.min() + 0.1 * np.ptp(picture))


shares = pd.Series(
    {
        "2. power": visible(power),
        "3. mel power": visible(mel),
        "4. log-mel": visible(level),
    },
    name="visible cells",
)

# %% tags=["fold"]
# @title Guess: what can be seen of the power
lab.guess(
    "Of the cells of step two, the power, how many percent are visible?",
    float(100 * shares["2. power"]),
    "%",
)

# %% tags=["fold"]
# @title Picture: the four steps
fig, axes = plt.subplots(1, 4, figsize=(14, 3), layout="constrained")
seconds = np.arange(len(sound)) / config.sample_rate
axes[0].plot(seconds, sound, linewidth=0.3, color=cm.COLOURS[0])
axes[0].set(title="1. samples", xlabel="time (s)", ylabel="amplitude", ylim=(-1, 1))
steps = (
    (axes[1], power, "2. power", "frequency bin"),
    (axes[2], mel, "3. mel power", "mel band"),
)
for ax, picture, title, unit in steps:
    drawn = ax.imshow(
        picture.T,
        origin="lower",
        aspect="auto",
        cmap="magma",
        extent=(0, config.num_beats, 0, picture.shape[1]),
    )
    fig.colorbar(drawn, ax=ax, label="power")
    ax.set(title=title, xlabel="time (beats)", ylabel=unit)
image = cm.plot_log_mel(level, config, ax=axes[3], title="4. log-mel")
fig.colorbar(image, ax=axes[3], label="level (dB)")
seen = "A waveform, two nearly black pictures, and a log-mel picture full of detail."
session.show_figure(fig, "01_four_steps", seen)

# %%
shares.map("{:.1%}".format).to_frame()

# %% [markdown]
# In the power a few loud cells use up the whole range, and adding up frequencies to mel bands helps little. The
# logarithm makes most cells visible, so the network gets the log-mel. The mel bands have a price: two frequencies in
# one band cannot be told apart.

# %% [markdown]
# ## 4. Why not the complex spectrum?
#
# The STFT with its phases can be turned back into sound exactly. An earlier project therefore gave it to a network,
# which learned to answer everything with the same clip. One cause can be shown without any network.
#
# Delay the sound by one millisecond. No listener can tell. We compute the squared error between the two spectra.
# Silence as the answer has an error, too, the power of the sound. It counts as 100 %.

# %%
later = np.roll(sound, config.sample_rate // 1000)
total = np.sum(np.abs(spectra) ** 2)
complex_error = np.sum(np.abs(stft(later) - spectra) ** 2) / total
later_level = cm.log_mel(later, frame_times, config, wrap=True)
level_change = np.abs(later_level - level).mean()
silence_change = np.abs(config.floor_db - level).mean()

# %% tags=["fold"]
# @title Guess: the price of a millisecond
lab.guess(
    "Silence has an error of 100 %. How many percent has the delayed sound?",
    float(100 * complex_error),
    "%",
)

# %% tags=["fold"]
# @title Numbers: the price of a millisecond
print(f"squared error of the complex spectrum: {complex_error:.0%} of that of silence")
print(f"mean change of the levels in the log-mel: {level_change:.2f} dB")
print(f"the same for silence in place of the sound: {silence_change:.1f} dB")

# %% [markdown]
# That is worse than silence, because a millisecond is half a swing at 500 Hz. There the delayed wave is minus the
# first, so their difference has four times the power. At 1,000 Hz the difference is zero, and below 167 Hz it has less
# power than the sound. The 183 % are the mean over all frequencies, weighted by the power of *this* clip. A clip that
# is mostly bass can stay below 100 %.
#
# The next argument holds for any clip. A network knows the magnitudes perfectly and the phases not at all. It answers
# with the right magnitudes times a loudness $a$, at phases drawn at random. Its expected squared error, divided by that
# of silence, is
#
# $$\frac{\mathbb E\,\big|X - a|X|e^{i\varphi}\big|^2}{|X|^2} = 1 + a^2 ,$$
#
# because the mixed term, $-2a\cos(\varphi - \arg X)$, averages to zero. If only magnitudes count, the same answer costs
# $(1 - a)^2$.

# %%
loudness = np.linspace(0.0, 1.2, 25)
rng = np.random.default_rng(seed)
phases = np.exp(2j * np.pi * rng.random(spectra.shape))
magnitude = np.abs(spectra)
complex_cost = np.array(
    [np.sum(np.abs(spectra - a * magnitude * phases) ** 2) / total for a in loudness]
)
magnitude_cost = (1.0 - loudness) ** 2

# %% tags=["fold"]
# @title Guess: the best loudness
lab.guess(
    "Phases unknown: at which loudness a, from 0 to 1.2, is the squared error smallest?",
    float(loudness[complex_cost.argmin()]),
)

# %% tags=["fold"]
# @title Picture: error by loudness
fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
costs = {"complex, phases unknown": complex_cost, "magnitude only": magnitude_cost}
looks = ((cm.COLOURS[4], cm.MARKERS[0]), (cm.COLOURS[0], cm.MARKERS[1]))
for (label, cost), (colour, marker) in zip(costs.items(), looks, strict=True):
    ax.plot(loudness, cost, color=colour, marker=marker, markersize=4, label=label)
ax.set(xlabel="loudness a of the answer", ylabel="squared error (silence = 1)")
ax.set_title(r"complex $1 + a^2$ on average, magnitude $(1 - a)^2$", fontsize="medium")
ax.legend()
seen = "The complex error is smallest at loudness zero, the magnitude error at one."
session.show_figure(fig, "01_phase", seen)

# %% tags=["fold"]
# @title Numbers: the best loudness
print(f"best loudness with unknown phases: {loudness[complex_cost.argmin()]:.1f}")
print(f"best loudness without phases: {loudness[magnitude_cost.argmin()]:.1f}")

# %% [markdown] tags=["lesson"]
# **What we learned.** For this clip a delay that nobody hears costs 183 % of what silence costs, so the squared error
# of the complex spectrum prefers silence to the right sound. In the log-mel the same delay changes levels by 0.22 dB,
# silence by 18.1 dB. A network that cannot predict phases minimises the complex error of any clip by staying silent,
# at loudness 0.0. So we leave the phases out, and must find them again before we can listen (section 7).

# %% [markdown]
# ## 5. One scale for all, or one for each file?
#
# Networks work best with inputs near $[-1, 1]$. Much code gets there by stretching each file from its own minimum to
# its own maximum. We use two fixed constants instead, the floor and the ceiling:
#
# $$s = \frac{2\,(L - \text{floor})}{\text{ceiling} - \text{floor}} - 1$$
#
# We compare both ways on the clip, the clip 20 dB softer, and the faint hiss of a recorder in an empty room. The
# standard deviation of the scaled numbers, their **spread**, says how much there is to see. It is 0 if the network gets
# the same number in every cell.

# %%
deep = dataclasses.replace(config, floor_db=-100.0)  # so low that hiss lies above it
noise = np.random.default_rng(seed).standard_normal(len(sound))
# -65 dB in all. No single band reaches -74 dB, so all lie below our floor of -70.
# The upper bands are wider and collect more of it.
hiss = (10 ** (-65 / 20) * noise).astype(np.float32)
inputs = {"music": sound, "20 dB softer": 0.1 * sound, "hiss of silence": hiss}


def per_file(samples):
    """Stretches a file from its own minimum to its own maximum."""
    found = cm.log_mel(samples, frame_times, deep, wrap=True)
    return 2.0 * (found - found.min()) / np.ptp(found) - 1.0


def fixed(samples):
    """Scales with the floor and the ceiling of the configuration."""
    return config.scale(cm.log_mel(samples, frame_times, config, wrap=True))

# %%
ways = {"per file": per_file, "fixed": fixed}
scaled = {
    name: {label: way(samples) for label, samples in inputs.items()}
    for name, way in ways.items()
}
spread = pd.DataFrame(scaled).map(np.std)

# %% tags=["fold"]
# @title Guess: what stretching makes of hiss
ratio = spread.loc["hiss of silence", "per file"] / spread.loc["music", "per file"]
lab.guess(
    "Stretched per file, how large is the spread of the hiss, in percent of that of the "
    "music?",
    float(100 * ratio),
    "%",
)

# %% tags=["fold"]
# @title Picture: three inputs on two scales
fig, axes = plt.subplots(
    2, 3, figsize=(10, 4.6), sharex=True, sharey=True, layout="constrained"
)
for row, (name, pictures) in zip(axes, scaled.items(), strict=True):
    for ax, (label, picture) in zip(row, pictures.items(), strict=True):
        image = ax.imshow(
            picture.T,
            origin="lower",
            aspect="auto",
            cmap="magma",
            vmin=-1.0,
            vmax=1.0,
            extent=(0, config.num_beats, 0, config.n_mels),
        )
        ax.set(title=f"{name}: {label}", xlabel="time (beats)", ylabel="mel band")
        ax.label_outer()
fig.colorbar(image, ax=axes, label="what the network gets")
seen = "Stretched per file, silence is a bright texture; on the fixed scale it is black."
session.show_figure(fig, "01_scaling", seen)

# %%
spread.astype(float).round(2).rename_axis("spread of the numbers")

# %% [markdown]
# Stretched per file, hiss has nearly the spread of music, so silence looks like a kind of music to the network. The
# softer clip even has a larger one, because its levels span a smaller range, which is stretched more. To turn stretched
# numbers back into levels you need the minimum and the maximum of the file, and a clip that a network makes has none.
# The fixed scale costs something too: the quiet parts of the softer clip fall below the floor.

# %% [markdown]
# ## 6. Seconds or beats?
#
# The usual grid places a frame every 23 ms, or 512 samples (`hop_length`). Our [beat grid](glossary.md#beat-grid)
# places 16 in each **beat**, at any tempo. The tempo travels beside the clip as one number.

# %% tags=["fold"]
# @title Drawing: a grid of seconds and a grid of beats
lab.drawing("beat_grid")

# %% [markdown]
# Composed music knows its beats. In recordings, the beat tracker of the library librosa finds them. Where it finds
# no steady beat, a fixed grid of 120 beats a minute stands in (column `grid` of `features.table`).
#
# We take the slowest and the fastest test clip of one genre, and draw both on both grids.

# %%
in_seconds = cm.AudioConfig(grid="seconds")
second_times = cm.seconds_frame_times(0.0, in_seconds)


def seconds_picture(samples):
    return cm.log_mel(samples, second_times, in_seconds, wrap=True)


same_genre = test_table[test_table["genre"] == names[0]].sort_values("tempo")
pair = [heard(same_genre.iloc[place]) for place in (0, -1)]
beats_that_fit = in_seconds.seconds() * pair[0]["tempo"] / 60.0
print(f"a picture on the grid of seconds covers {in_seconds.seconds():.2f} s")
print(f"the slow clip has {pair[0]['tempo']:.0f} beats a minute")

# %% tags=["fold"]
# @title Guess: beats that fit
lab.guess(
    "How many beats of the slow clip fit into its picture on the grid of seconds?",
    float(beats_that_fit),
    "beats",
)

# %% tags=["fold"]
# @title Picture: a slow and a fast clip on both grids
fig, axes = plt.subplots(2, 2, figsize=(10, 4.8), sharey=True, layout="constrained")
for row, clip in zip(axes, pair, strict=True):
    title = f"{clip['label']}: frames in "
    left = seconds_picture(clip["samples"])
    cm.plot_log_mel(left, in_seconds, ax=row[0], title=title + "seconds")
    image = cm.plot_log_mel(
        clip["log_mel"], config, ax=row[1], tempo=clip["tempo"], title=title + "beats"
    )
    beats_in_view = np.arange(0.0, in_seconds.seconds(), 60.0 / clip["tempo"])
    row[0].vlines(beats_in_view, 0, 12, color="white", linewidth=2)
    row[1].vlines(np.arange(config.num_beats), 0, 12, color="white", linewidth=2)
fig.colorbar(image, ax=axes, label="level (dB)")
seen = "White beat marks: at different places on the left, below each other on the right."
session.show_figure(fig, "01_grids", seen)

# %% [markdown]
# The white marks at the lower edge are the beats.
#
# The **pulse** of a clip is the rise of its mean level (over all bands) from one frame to the next. It is high
# where something begins. We take up to ten clips of each genre and correlate the pulses of every two of them. A
# correlation of 1 means that things begin in the same columns, and 0 that they do not.

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
    places = np.linspace(0, len(members) - 1, min(10, len(members))).astype(int)
    several = members.iloc[places]
    sounds = [cm.load_window(row, config).samples for _, row in several.iterrows()]
    on_beats = [np.asarray(features.log_mel[i], np.float32) for i in several.index]
    on_seconds = [seconds_picture(samples) for samples in sounds]
    rows[genre] = {"seconds": agreement(on_seconds), "beats": agreement(on_beats)}
grids = pd.DataFrame(rows).T
grids.loc["mean"] = grids.mean()
grids.round(2)

# %% [markdown] tags=["lesson"]
# **What we learned.** Between two clips of a genre the pulses correlate 0.01 on the grid of seconds and 0.81 on the
# beat grid. So on the beat grid a network need not learn where each beat falls. The correlation is lowest for reggae
# (0.69), probably because its rhythms differ most. The numbers hold for music whose beats are known. A tracker that
# errs may do harm, and music without a beat gains nothing; `AudioConfig(grid="seconds")` is there for it.

# %% [markdown]
# The beat grid also lets eight beats loop, and makes the tempo a control of its own. It does not say which beat begins
# a bar, so clips of recordings may start on any beat.
#
# ## 7. The way back
#
# The picture has lost fine frequency, everything below the floor, and the phase. `cm.to_audio` estimates them
# (notebook 11). What does the trip cost? We make sound of each picture, take the picture of that sound, and compare
# the two pictures. They show wrong phases only in part, so we also listen.

# %%
def picture_of(samples):
    """Log-mel of a sound that lasts eight beats."""
    beats = np.linspace(0.0, len(samples) / config.sample_rate, config.num_beats + 1)
    times = cm.beat_frame_times(beats, config)
    return cm.log_mel(samples, times, config, wrap=True)


def there_and_back(clip, tempo, label):
    """The clip made from its picture alone, at this tempo."""
    samples = cm.to_audio(clip["log_mel"], config, tempo, seed=seed)
    log_mel = picture_of(samples)
    return {"samples": samples, "log_mel": log_mel, "tempo": tempo, "label": label}

# %%
back = [there_and_back(clip, clip["tempo"], "made of its picture") for clip in clips]
lost = {
    name: np.abs(made["log_mel"] - clip["log_mel"]).mean()
    for name, made, clip in zip(names, back, clips, strict=True)
}
lost = pd.Series(lost, name="mean error (dB)").rename_axis("genre")

# %% tags=["fold"]
# @title Guess: the cost of the trip
lab.guess(
    "By how many dB do the two pictures differ, on average over cells and genres?",
    float(lost.mean()),
    "dB",
)

# %% tags=["fold"]
# @title Table: the cost of the trip
cost = lost.astype(float).round(2)
cost.loc["mean"] = round(float(lost.mean()), 2)
cost.to_frame()

# %% tags=["fold"]
# @title Picture and sound: the best and the worst trip
order = lost.to_numpy().argsort()
fig, axes = plt.subplots(2, 3, figsize=(11, 5), sharey=True, layout="constrained")
for row, place in zip(axes, (order[0], order[-1]), strict=True):
    clip = clips[place]
    made = back[place]
    cm.plot_log_mel(clip["log_mel"], config, ax=row[0], title=clip["label"])
    image = cm.plot_log_mel(made["log_mel"], config, ax=row[1], title=made["label"])
    changed = row[2].imshow(
        (made["log_mel"] - clip["log_mel"]).T,
        origin="lower",
        aspect="auto",
        cmap="RdBu_r",
        vmin=-6,
        vmax=6,
        extent=image.get_extent(),
    )
    row[2].set(title="difference", xlabel="time (beats)")
    plt.setp(row[1:], ylabel="")
fig.colorbar(image, ax=axes[:, 1], label="level (dB)")
fig.colorbar(changed, ax=axes[:, 2], label="change (dB)")
seen = "Two clips, the same after the trip, and the change: scattered cells, most louder."
session.show_figure(fig, "01_back", seen)
for place in (order[0], order[-1]):
    name = clips[place]["label"]
    display(
        cm.player(clips[place]["samples"], config, name),
        cm.player(back[place]["samples"], config, f"{name}, made of its picture"),
    )

# %% [markdown]
# In the third column, red cells came back louder. Probably gaps between notes fill up a little. Listen to each pair for
# notes that begin more softly or waver. From here on, when we judge a model by ear, real clips make the same trip
# first, so both have its faults.
#
# A record played faster also sounds higher. What happens to our clip at another tempo? We make it at 80 and at 150
# BPM, and compare the mean level of each band. Higher notes would fall into other bands. The yardstick is a clip of
# another genre.

# %%
slow, fast = (
    there_and_back(clips[0], bpm, f"{names[0]}, at {bpm:.0f} BPM")
    for bpm in (80.0, 150.0)
)
mean_spectrum = {
    name: clip["log_mel"].mean(axis=0)
    for name, clip in (("slow", slow), ("fast", fast), ("other", clips[-1]))
}
shift = np.abs(mean_spectrum["slow"] - mean_spectrum["fast"]).mean()
between = np.abs(mean_spectrum["slow"] - mean_spectrum["other"]).mean()
print(f"mean spectra of the two tempos differ by {shift:.2f} dB")
print(f"those of {names[0]} and {names[-1]} by {between:.2f} dB")

# %% tags=["fold"]
# @title Picture and sound: one clip at two tempos, in seconds
seen = "The same picture twice; at 80 BPM it is nearly twice as wide as at 150."
cm.show_clips(
    [slow, fast], config, name="01_tempo", alt=seen, num_columns=2, seconds=True
)

# %% [markdown] tags=["lesson"]
# **What we learned.** The trip changes levels by 0.36 dB on average over six clips, and by 0.47 dB for the worst. That
# is little, but no model of this series can sound better, because everything comes back this way. The tempo moves
# without the pitch: two tempos of a clip differ by 0.25 dB, clips of two genres by 9.57 dB. The picture does not hold
# the tempo, so a note fades in the same number of beats at any tempo; a real instrument would not do that.

# %% [markdown]
# ## 8. Something to turn: tempo and number of bands
#
# How many bands can you take away before you hear it? Turn the controls and listen. (Where Python is not running,
# the figure below stands in.)

# %% tags=["fold", "widget"]
# @title Turn: tempo and number of bands
@widgets.interact(
    bpm=widgets.IntSlider(110, 60, 200, 5, continuous_update=False), num_bands=[128, 64, 32, 16]
)
def turn(bpm, num_bands):
    coarse = dataclasses.replace(config, n_mels=num_bands)
    picture = cm.log_mel(sound, frame_times, coarse, wrap=True)
    made = {"log_mel": picture, "samples": cm.to_audio(picture, coarse, bpm, seed=seed), "tempo": bpm}
    cm.show_clips(made | {"label": f"{num_bands} bands, {bpm} BPM"}, coarse, seconds=True)

# %% [markdown]
# In numbers: we make the sound from fewer bands, and compare its picture of 128 bands with that of the clip.

# %%
def from_bands(num_bands):
    """The first clip, made of this many bands, and its picture in the usual 128."""
    coarse = dataclasses.replace(config, n_mels=num_bands)
    picture = cm.log_mel(sound, frame_times, coarse, wrap=True)
    samples = cm.to_audio(picture, coarse, tempo, seed=seed)
    label = f"made of {num_bands} bands"
    log_mel = picture_of(samples)
    return {"samples": samples, "log_mel": log_mel, "label": label, "tempo": tempo}

# %%
# The error with 128 bands is a little larger than in section 7, because `frame_times`
# rounds to whole samples.
coarser = {num_bands: from_bands(num_bands) for num_bands in (16, 32, 64, 128)}
by_bands = pd.Series(
    {num: np.abs(clip["log_mel"] - level).mean() for num, clip in coarser.items()},
    name="mean error (dB)",
)
by_bands.astype(float).round(2).rename_axis("bands").to_frame()

# %% tags=["fold"]
# @title Picture and sound: made of 16 and of 64 bands (with 128: section 3, step 4)
seen = "From 16 bands the clip is a blur of stripes; from 64 its notes are back."
shown = [coarser[num_bands] for num_bands in (16, 64)]
cm.show_clips(shown, config, name="01_bands", alt=seen, num_columns=2)

# %% [markdown]
# Pitch suffers first, because neighbouring notes fall into one band. The rhythm can still be heard from 16 bands. We
# compare pictures of 128 bands, so we cannot see what 128 bands lose; notebook 11 measures that on real music.

# %% [markdown]
# ## Is my run normal?
#
# The ranges below are those of the embedded music.

# %% tags=["fold"]
# @title Table: your run beside the normal ranges
gain = grids.loc["mean", "beats"] - grids.loc["mean", "seconds"]
ranges = pd.DataFrame(
    [
        ("there and back, mean error (dB)", lost.mean(), 0.15, 0.7),
        ("there and back, largest of a genre (dB)", lost.max(), 0.2, 1.2),
        ("correlation of pulses, beats minus seconds", gain, 0.6, 0.9),
        ("1 ms of delay, squared error (silence = 1)", complex_error, 0.5, 2.5),
    ],
    columns=["measure", "your run", "from", "to"],
)
inside = ranges["your run"].between(ranges["from"], ranges["to"])
ranges["normal"] = np.where(inside, "yes", "look")
ranges.round(2)

# %% [markdown]
# **Next:** notebook 02 asks how few numbers such a picture can be packed into.
#
# ## Exercises
#
# 1. **The way back from the scale** (5 minutes). Solve the formula of section 5 for $L$, so that numbers in $[-1, 1]$
#    become levels in dB. The cell below the function checks it.
# 2. **Break the grid** (5 minutes). `on_beats` holds the pictures of the last genre. Shift each by a random number of
#    frames (`np.roll`) and compute the correlation of the pulses again. How far does it fall?
# 3. **Compose with a brush** (15 minutes). A picture can be edited before it becomes sound. Silence all bands that peak
#    above 250 Hz (`filters.argmax(axis=1)` is the bin of each peak), or swap the two bars.

# %% tags=["exercise"]
def decibels(scaled):
    """Exercise 1: levels in dB of numbers in [-1, 1]."""
    return np.zeros_like(scaled)  # replace this line

# %% tags=["check"]
found = decibels(config.scale(level))
expected = level[40, 20]
print(
    "right"
    if np.allclose(found, level, atol=0.01)
    else f"not yet: expected {expected:.2f} dB in frame 40 of band 20, got {found[40, 20]:.2f}"
)

# %%
# Exercise 2: roll each picture, shape (frames, bands), along axis 0.
shifted = list(on_beats)
print(f"correlation of the pulses, {genre}: {agreement(shifted):.2f}")

# %%
# Exercise 3: change the picture, shape (frames, bands), then listen.
# Silence is `config.floor_db`, and a bin is `config.sample_rate / config.n_fft` Hz wide.
painted = level.copy()
painted_sound = cm.to_audio(painted, config, tempo)
cm.player(painted_sound, config, f"{names[0]}, painted")

# %% [markdown]
# ## Questions

# %% tags=["fold"]
# @title Question: columns
lab.guess(
    "One clip has 90 BPM, one 150. On the beat grid, whose picture has more columns?",
    "both have the same",
    choices=["the slow one's", "the fast one's", "both have the same"],
)

# %% tags=["fold"]
# @title Question: a softer clip
lab.guess(
    "You turn a clip down to a tenth of its amplitude. By how many dB do those levels "
    "fall that stay above the floor?",
    20,
    "dB",
)

# %% tags=["fold"]
# @title Question: what is lost
lab.guess(
    "Which of these can nobody read from the picture any more?",
    "the phases",
    choices=["the loudness", "the phases", "the rhythm", "the pitch of the bass"],
)

# %% [markdown] tags=["lesson"]
# ## The answer
#
# A network gets a picture of eight beats: 128 frames by 128 mel bands, levels from −70 to 0 dB, scaled to [−1, 1].
# Phases are left out, because a network that cannot predict them does best by silence. On the beat grid the
# pulses of two clips correlate 0.81, on a grid of seconds 0.01. The way back to sound changes levels by 0.36 dB.
# No model here can sound better.

# %% [markdown]
# <!-- links: made by tools/badges.py -->
# Previous: [00 play](00_play.ipynb).
# Next: [02 autoencoder](02_autoencoder.ipynb).
# [Solutions](solutions/01_prepare_audio.ipynb) of the exercises.
# <!-- end of links -->
