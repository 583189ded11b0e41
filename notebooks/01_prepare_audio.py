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
# *To open this on Colab: File, Upload notebook, choose this file; put the zip of the project into the Files pane
# and set `repository_zip = "file:///content/<name of the zip>"` below.*
#
# **What you will hear at the end:** one clip of each genre, the same clips after a trip into a picture of 128 by 128
# numbers and back, and one of them at two other tempos without a change of pitch.
#
# **What you need to know:** a little Python and NumPy, and what a frequency is. Every other term is defined where
# it first appears.
#
# > **Time:** 1 minute on two CPU cores with the features in the cache.
# > Last full run: 2026-11-23.
#
# Every section goes the same way: a question, your guess, code, a look and a listen, what we learned. Make the
# guess before you run the cell; it costs five seconds and doubles what you remember.

# %% tags=["parameters"]
data = "known"  # or the path of a folder of genres, or of FMA
seed = 0
repository_zip = ""
num_clips = 2400  # known-factor music only

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
import tempfile
import time

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from cvae_lab.lessons import lesson
from cvae_lab.session import project_folder
from IPython.display import HTML, display

from cvae_music.audio.analysis import beat_frame_times, log_mel, mel_filters, seconds_frame_times
from cvae_music.audio.files import write_audio
from cvae_music.audio.inversion import METHODS, LoopSTFT, to_audio
from cvae_music.config import AudioConfig
from cvae_music.data.clips import load_clip
from cvae_music.data.features import build_features
from cvae_music.data.sources import open_collection
from cvae_music.players import player, show_clips
from cvae_music.plots import COLOURS, MARKERS, plot_log_mel, show_figure

# %% [markdown]
# `lesson` prints what we learned, with numbers that a cell computed.
#
# ## 1. The music
#
# A **collection** is a table with one row for each piece of music: its genre, its split and its group. The default
# collection is composed by this library from a seed, in six genres. Set `data` to a folder with one subfolder for
# each genre, or to the folder of FMA (the Free Music Archive), and everything below runs on that music.

# %%
collection = open_collection(data, num_clips=num_clips, seed=seed)
collection.counts()

# %% [markdown]
# What a network gets to hear is fixed by a handful of constants, kept in one frozen object. It is saved inside every
# cache and every model, and a model refuses features that were made with other constants.

# %%
config = AudioConfig()
config

# %%
start = time.perf_counter()
features = build_features(collection, config, session.cache_dir)
first_seconds = time.perf_counter() - start

# %% [markdown]
# A **clip** is eight beats long. Let us listen to one test clip of each genre (six of them at most).
#
# **Question.** Can you name the genre with the label covered? **Guess** which two you would confuse.

# %%
test_table = features.table[features.table["split"] == "test"]
shown = list(test_table.groupby("genre").sample(1, random_state=seed).index[:6])


def as_clip(index):
    """One row of the feature table with its sound and its picture."""
    row = features.table.loc[index]
    label = f"{row['genre']}, {row['tempo']:.0f} BPM"
    picture = np.asarray(features.log_mel[index], np.float32)
    return {"samples": load_clip(features, index), "log_mel": picture, "label": label, "tempo": row["tempo"]}

# %%
originals = [as_clip(index) | {"seed": seed} for index in shown]
names = [features.table.loc[index, "genre"] for index in shown]
show_clips(originals, config, name="01_genres", alt="Six log-mel spectrograms, each with its own pattern of drums and notes.")
for genre, clip in zip(names, originals, strict=True):
    write_audio(session.clips_dir / f"01_original_{genre}.wav", clip["samples"], config)
features.table.loc[shown].dropna(axis=1).drop(columns=["path", "group", "split"])

# %% [markdown]
# Each picture is read from left to right in time and from bottom to top in frequency. Bright vertical lines are
# drums: a short sound has all frequencies at once. Horizontal lines are notes: a held pitch and its overtones.
# The players do not normalise, so a quiet clip stays quiet. The table below the players says which clips they are; for composed
# music it also lists the **factors** that each was composed from, such as key, density and brightness. The clips are
# kept as WAV files in the folder `clips` of the results.
#
# ## 2. From samples to that picture, in four steps
#
# **Step one: samples.** Sound is a list of numbers, the pressure of the air measured at a fixed rate.

# %%
sound, tempo = originals[0]["samples"], originals[0]["tempo"]
beat_times = np.linspace(0.0, len(sound) / config.sample_rate, config.num_beats + 1)
frame_times = beat_frame_times(beat_times, config)
print(f"{len(sound):,} samples at {config.sample_rate:,} a second: {beat_times[-1]:.2f} s, {config.num_beats} beats")
print(f"{len(frame_times)} frames, one every {1000 * (frame_times[1] - frame_times[0]):.1f} ms")

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
print(f"STFT: {spectra.shape[0]} frames x {spectra.shape[1]} frequencies, {spectra.dtype}")

# %% [markdown]
# The **power** is the squared magnitude. We scale it so that a sine wave of amplitude 1, the loudest that a file
# can hold, has power 1:
#
# $$P_t[k] = \left(\frac{2}{\sum_n w[n]}\right)^{2} \left|X_t[k]\right|^2$$

# %%
power = (2.0 / window.sum()) ** 2 * np.abs(spectra) ** 2

# %% [markdown]
# **Step three: mel bands.** The ear tells 200 from 300 Hz with ease and 8,200 from 8,300 Hz hardly at all. The **mel
# scale** spaces frequencies as the ear does, $m(f) = 2595 \log_{10}(1 + f/700)$. We lay triangular filters $F$ at
# equal distances on that scale and add up what falls into each:
#
# $$M_t[b] = \sum_k F[b, k]\, P_t[k]$$

# %%
filters = mel_filters(config)
mel = power @ filters.T
print(f"{filters.shape[1]} frequencies become {filters.shape[0]} bands, {config.fmin:.0f} to {config.fmax:.0f} Hz")

# %% [markdown]
# **Step four: decibels.** The ear hears ratios: ten times the power sounds about twice as loud, whether it is a whisper
# or a drum kit. A logarithm turns ratios into steps, and a fixed floor and ceiling close the scale:
#
# $$L_t[b] = \min\!\big(\text{ceiling},\, \max\!\big(\text{floor},\; 10 \log_{10} M_t[b]\big)\big)$$

# %%
level = np.clip(10.0 * np.log10(np.maximum(mel, 1e-10)), config.floor_db, config.ceiling_db)
by_library = log_mel(sound, frame_times, config, wrap=True)
assert np.allclose(level, by_library, atol=0.05)
print(f"largest difference to the library's log_mel: {np.abs(level - by_library).max():.4f} dB")

# %% [markdown]
# **Question.** Which of the four would you hand to a network? **Guess** how much of the picture can be seen at all in
# step two, where the numbers are powers.

# %%
fig, axes = plt.subplots(1, 4, figsize=(14, 3), layout="constrained")
axes[0].plot(np.arange(len(sound)) / config.sample_rate, sound, linewidth=0.3, color=COLOURS[0])
axes[0].set(title="1. samples", xlabel="time (s)", ylabel="amplitude", ylim=(-1, 1))
for ax, picture, title, unit in ((axes[1], power, "2. power", "frequency bin"), (axes[2], mel, "3. mel power", "mel band")):
    ax.imshow(picture.T, origin="lower", aspect="auto", cmap="magma", extent=(0, config.num_beats, 0, picture.shape[1]))
    ax.set(title=title, xlabel="time (beats)", ylabel=unit)
image = plot_log_mel(level, config, ax=axes[3], title="4. log-mel")
fig.colorbar(image, ax=axes[3], label="level (dB)")
show_figure(fig, "01_four_steps", "A waveform, two nearly black pictures, and a log-mel picture full of detail.")

# %%
def visible(picture):
    """Share of the cells that reach a tenth of the way from the lowest to the highest value."""
    return np.mean(picture > picture.min() + 0.1 * np.ptp(picture))


lesson(
    f"Of the mel powers {visible(mel):.1%} reach a tenth of the way up their range, of the log-mel levels {visible(level):.0%}. "
    f"A clip of {len(sound):,} samples has become {level.size:,} numbers, and nearly all of them say something."
)

# %% [markdown]
# ## 3. Why not the complex spectrum?
#
# The STFT with its phases can be turned back into sound exactly. The project that this series grew from fed real and imaginary
# parts to its network, for that reason. Its network learned to answer everything with the same clip. One cause can
# be shown without any network.
#
# **Question.** Delay the sound by one millisecond. No ear can tell. **Guess** how far apart a squared error puts the
# two, if silence instead of the sound counts as 100 %.

# %%
later = np.roll(sound, config.sample_rate // 1000)
complex_error = np.sum(np.abs(stft(later) - spectra) ** 2) / np.sum(np.abs(spectra) ** 2)
level_change = np.abs(log_mel(later, frame_times, config, wrap=True) - level).mean()
lesson(
    f"In the complex spectrum the error of the delayed sound is {complex_error:.0%} of the error of silence; "
    f"the log-mel levels move by {level_change:.2f} dB on average."
)

# %% [markdown]
# Now be a network that knows the magnitudes perfectly and the phases not at all. It may answer with the right magnitudes times
# a factor $a$, at phases drawn at random. Its expected squared error, over that of silence, is
#
# $$\frac{\mathbb E\,\big|X - a|X|e^{i\varphi}\big|^2}{|X|^2} = 1 + a^2 ,$$
#
# because the mixed term averages out. Without phases the same answer costs $(1 - a)^2$.
# **Guess** which loudness $a$ each error likes best.

# %%
factors = np.linspace(0.0, 1.2, 25)
phases = np.exp(2j * np.pi * np.random.default_rng(seed).random(spectra.shape))
total = np.sum(np.abs(spectra) ** 2)
complex_cost = np.array([np.sum(np.abs(spectra - a * np.abs(spectra) * phases) ** 2) / total for a in factors])
magnitude_cost = (1.0 - factors) ** 2

# %%
fig, ax = plt.subplots(figsize=(6, 3), layout="constrained")
ax.plot(factors, complex_cost, color=COLOURS[4], marker=MARKERS[0], markersize=4, label="complex, phases unknown")
ax.plot(factors, magnitude_cost, color=COLOURS[0], marker=MARKERS[1], markersize=4, label="magnitude only")
ax.set(xlabel="loudness a of the answer", ylabel="squared error (silence = 1)")
ax.legend()
show_figure(fig, "01_phase", "The complex error is smallest at loudness zero, the magnitude error at loudness one.")

# %%
lesson(
    f"With unknown phases the best loudness is {factors[complex_cost.argmin()]:.1f}: silence. Without phases it is "
    f"{factors[magnitude_cost.argmin()]:.1f}. A network that cannot know the phases is taught to be silent, so we leave them out, "
    "and find some on the way back."
)

# %% [markdown]
# ## 4. One scale for all, or one for each file?
#
# Networks like inputs near $[-1, 1]$. Much code gets there by stretching each file from its own minimum to its own maximum.
# We use two fixed constants instead, the floor and the ceiling of the configuration:
#
# $$s = \frac{2\,(L - \text{floor})}{\text{ceiling} - \text{floor}} - 1$$
#
# **Question.** What becomes of silence under each? We take the clip, the clip 20 dB softer, and the faint hiss that is left when a
# recorder runs in an empty room. **Guess** which of the three a network could tell apart.

# %%
deep = dataclasses.replace(config, floor_db=-100.0)  # deep enough to see the hiss at all
hiss = 10 ** (-65 / 20) * np.random.default_rng(seed).standard_normal(len(sound)).astype(np.float32)
inputs = {"music": sound, "20 dB softer": 0.1 * sound, "hiss of silence": hiss}


def per_file(samples):
    """Stretches a file from its own minimum to its own maximum."""
    found = log_mel(samples, frame_times, deep, wrap=True)
    return 2.0 * (found - found.min()) / np.ptp(found) - 1.0


def fixed(samples):
    return config.scale(log_mel(samples, frame_times, config, wrap=True))

# %%
fig, axes = plt.subplots(2, 3, figsize=(10, 4.6), sharex=True, sharey=True, layout="constrained")
for row, (name, scaling) in zip(axes, {"per file": per_file, "fixed": fixed}.items(), strict=True):
    for ax, (label, samples) in zip(row, inputs.items(), strict=True):
        image = plot_log_mel(config.unscale(scaling(samples)), config, ax=ax, title=f"{name}: {label}")
        ax.label_outer()
fig.colorbar(image, ax=axes, label="what the network gets, as dB")
show_figure(fig, "01_scaling", "Stretched per file, silence is a bright texture; on the fixed scale it is black.")

# %%
table = pd.DataFrame({
    label: {"per file, mean": per_file(samples).mean(), "per file, spread": per_file(samples).std(),
            "fixed, mean": fixed(samples).mean(), "fixed, spread": fixed(samples).std()}
    for label, samples in inputs.items()
}).T  # fmt: skip
display(table.round(3))
lesson(
    f"Stretched per file, silence arrives with a spread of {table.loc['hiss of silence', 'per file, spread']:.2f}, music with "
    f"{table.loc['music', 'per file, spread']:.2f}: silence has become a kind of music. On the fixed scale its spread is "
    f"{table.loc['hiss of silence', 'fixed, spread']:.2f}, and 20 dB softer lowers the mean by "
    f"{table.loc['music', 'fixed, mean'] - table.loc['20 dB softer', 'fixed, mean']:.2f}."
)

# %% [markdown]
# There is a second trap in the first way: to get back from $[-1, 1]$ to a level you need that file's own two numbers, and for
# a clip that a model has invented they do not exist.
#
# ## 5. Seconds or beats?
#
# The usual grid puts frames at equal distances in seconds. Ours puts them at equal distances in **beats**: so many frames to the beat
# whatever the tempo, which travels beside the clip as one number. Composed music knows its beats. In recordings librosa's beat tracker
# finds them; where it finds no steady beat, a fixed grid of 120 beats a minute stands in, and the table says so.

# %%
features.table.drop_duplicates("source_id")["grid"].value_counts().rename("sources").to_frame()

# %% [markdown]
# **Question.** Take the slowest and the fastest test clip of one genre. On which grid do their columns mean the
# same? **Guess** how many of the eight beats of the slow clip fit into its picture on the left.

# %%
in_seconds = AudioConfig(grid="seconds")


def seconds_picture(samples):
    return log_mel(samples, seconds_frame_times(0.0, in_seconds), in_seconds, wrap=True)


same_genre = test_table[test_table["genre"] == names[0]].sort_values("tempo")
pair = [as_clip(same_genre.index[0]), as_clip(same_genre.index[-1])]

# %%
fig, axes = plt.subplots(2, 2, figsize=(10, 4.8), sharey=True, layout="constrained")
for row, clip in zip(axes, pair, strict=True):
    plot_log_mel(seconds_picture(clip["samples"]), in_seconds, ax=row[0], title=clip["label"])
    image = plot_log_mel(clip["log_mel"], config, ax=row[1], tempo=clip["tempo"], title=clip["label"])
    beats_in_view = np.arange(0.0, in_seconds.seconds(), 60.0 / clip["tempo"])
    row[0].vlines(beats_in_view, 0, 12, color="white", linewidth=2)
    row[1].vlines(np.arange(config.num_beats), 0, 12, color="white", linewidth=2)
fig.colorbar(image, ax=axes, label="level (dB)")
show_figure(fig, "01_grids", "White beat marks stand apart in the left pictures and below each other in the right ones.")

# %% [markdown]
# The white marks are the beats. Does it matter in numbers? For several clips of each genre we take the **pulse**, the rise of
# the mean level from frame to frame, and correlate the pulses of every two clips of a genre: 1 means that things happen at the
# same columns, 0 that they do not. Both grids begin on a beat, which flatters the grid in seconds.

# %%
def pulse(picture):
    return np.maximum(np.diff(picture.mean(axis=1)), 0.0)


def agreement(pictures):
    """Mean correlation between the pulses of two different clips."""
    table = np.corrcoef([pulse(picture) for picture in pictures])
    return np.mean(table[np.triu_indices(len(table), 1)])

# %%
rows = {}
for genre, members in test_table.groupby("genre"):
    chosen = members.index[np.linspace(0, len(members) - 1, min(10, len(members))).astype(int)]
    if len(chosen) > 1:
        sounds = [load_clip(features, index) for index in chosen]
        on_beats = [np.asarray(features.log_mel[index], np.float32) for index in chosen]
        rows[genre] = {"seconds": agreement(map(seconds_picture, sounds)), "beats": agreement(on_beats), "clips": len(chosen)}
grids = pd.DataFrame(rows).T
grids.round(2)

# %%
lesson(
    f"On the grid in seconds two clips of a genre agree to {grids['seconds'].mean():.2f}, on the beat grid to "
    f"{grids['beats'].mean():.2f}. On the beat grid a network does not have to spend numbers on when each beat falls."
)

# %% [markdown]
# Two gifts come with it: an eight-beat clip of steady music can be looped, and tempo becomes a control of its own, which we use below.
# Music without a beat gains nothing, and a tracker that errs does harm. `AudioConfig(grid="seconds")` keeps the old way
# open everywhere in this series. What the tracker does not know is which beat begins a bar: on recordings, clips may start on any beat.
#
# ## 6. The way back
#
# Three things were thrown away: fine frequency (bands instead of bins), whatever lies below the floor, and phase.
# `to_audio` fills them in. First `mel_to_linear` finds a spectrum that is nowhere negative and has the given mel bands. How the power of a
# band spreads over the bins inside it is a guess; either a curve through the bands with its peaks sharpened, or the answer of a small
# network, the **vocoder**, which has seen what music usually does there (it ships with the library, `vocoder.py`). It also says how far off it
# expects to be: hiss cannot be foreseen, so what is uncertain is filled with noise (`phases.as_noise`). Then come the phases,
# classically by **Griffin–Lim**: make sound from the magnitudes $A$ and any phases, take its STFT, keep the phases, put the magnitudes back, repeat:
#
# $$X \leftarrow A \cdot \frac{\mathrm{STFT}(\mathrm{ISTFT}(X))}{\left|\mathrm{STFT}(\mathrm{ISTFT}(X))\right|}$$
#
# Overlapping frames share samples, so not every picture of phases belongs to a sound; each round moves towards one that does.
# **Fast Griffin–Lim** also goes on in the direction of the last round. Both begin with random phases.
#
# **PGHI** (phase-gradient heap integration) begins better. For a Gaussian window the phase $\varphi$ can be read off the magnitudes $A$, up to a
# constant: over frames $t$ of step $h$ and bins $k$ of a window of $N$ samples,
#
# $$\frac{\partial\varphi}{\partial t} = \frac{2\pi h k}{N} + \frac{h N}{\gamma}\,\frac{\partial \log A}{\partial k},
# \qquad \frac{\partial\varphi}{\partial k} = -\frac{\gamma}{h N}\,\frac{\partial \log A}{\partial t},$$
#
# with $\gamma \approx 0.256\,N^2$ for our window. The sums run from loud cells to faint ones (the next cell comes off a heap), so that the
# errors of cells nobody hears do not spread.
#
# At the end, a few rounds of our own: **hold the bands**. The magnitude of every bin was a guess, the bands are known. So these rounds scale each
# bin only by what its bands lack, and leave the lines inside a band to what the phases agree on.
#
# **Question.** How far is the picture of the result from the picture that we started from? **Guess** in dB, and how many rounds it takes.

# %%
def picture_of(samples):
    """Log-mel picture of eight beats of any length, and of nothing else."""
    beats = np.linspace(0.0, len(samples) / config.sample_rate, config.num_beats + 1)
    return log_mel(samples, beat_frame_times(beats, config), config, wrap=True)


def round_trip(picture, tempo, **options):
    """Sound of a log-mel picture, and the picture of that sound on the beat grid of the tempo."""
    samples = to_audio(picture, config, tempo, seed=seed, **options)
    return samples, picture_of(samples)

# %%
rounds = [0, 1, 2, 4, 8, 16, 32]
curves = {"griffin_lim": "Griffin–Lim", "fast_griffin_lim": "fast Griffin–Lim", "pghi_griffin_lim": "PGHI, then fast Griffin–Lim"}
errors = {
    method: [np.abs(round_trip(level, tempo, num_iterations=num, method=method)[1] - level).mean() for num in rounds]
    for method in curves
}

# %%
fig, ax = plt.subplots(figsize=(6, 3.4), layout="constrained")
for number, (method, label) in enumerate(curves.items()):
    ax.plot(np.arange(len(rounds)), errors[method], marker=MARKERS[number], color=COLOURS[number], label=label)
held = np.abs(round_trip(level, tempo)[1] - level).mean()
ax.axhline(held, color=COLOURS[3], linestyle="--", label="the default: vocoder, PGHI, 8 rounds, 6 that hold the bands")
ax.set(xlabel="rounds", ylabel="mean error (dB)", ylim=(0, None), xticks=np.arange(len(rounds)), xticklabels=rounds)
ax.legend(fontsize="small")
show_figure(fig, "01_griffin_lim", "Three falling curves; the one that starts with PGHI is lowest at first, and a dashed line lies below all.")

# %% [markdown]
# More rounds help at first, then the curves are flat: what remains is not the fault of the phases, but of magnitudes that were guessed.
# The dashed line is the library's default.
#
# **Question.** What does each method cost, and what does it sound like? **Guess** which of them you could name by ear. We time all of them on
# up to three clips, on the processor's clock. Beside the error in the bands stands the distance from the magnitudes of the
# original clip, all bins of them, as a share of their size.

# %%
def magnitudes(samples):
    around = LoopSTFT(np.arange(0, len(samples), 512), len(samples), config.n_fft)
    return np.abs(around.forward(samples))


def measure(clip, method):
    start = time.process_time()
    samples, picture = round_trip(clip["log_mel"], clip["tempo"], method=method)
    seconds, wanted = time.process_time() - start, magnitudes(clip["samples"])
    # A tracked tempo is rounded, so a recorded clip may differ from its copy by some samples.
    made = magnitudes(np.resize(samples, len(clip["samples"])))
    return {
        "method": method, "mean error (dB)": np.abs(picture - clip["log_mel"]).mean(),
        "distance of magnitudes": np.linalg.norm(made - wanted) / np.linalg.norm(wanted),
        "times real time": len(samples) / config.sample_rate / seconds,
    }  # fmt: skip

# %%
measured = pd.DataFrame([measure(clip, method) for clip in originals[:3] for method in METHODS])
by_method = measured.groupby("method", sort=False).median()
display(by_method.round({"mean error (dB)": 2, "distance of magnitudes": 3, "times real time": 0}))

# %%
def zoom(samples):
    """Level of each bin below 3 kHz over the first two beats, in dB."""
    spectrum = np.abs(np.fft.rfft(frames_around(samples) * window, axis=1)) * 2 / window.sum()
    return 20 * np.log10(np.maximum(spectrum[:, :280], 1e-4))


def frames_around(samples):
    centres = np.arange(0, len(samples) // 4, 128)
    return np.take(samples, centres[:, None] + np.arange(config.n_fft) - config.n_fft // 2, mode="wrap")


tried = {"original": sound} | {method: round_trip(level, tempo, method=method)[0] for method in METHODS}

# %%
fig, axes = plt.subplots(2, 4, figsize=(13, 5), sharex=True, sharey=True, layout="constrained")
for ax, (method, samples) in zip(axes.flat, tried.items(), strict=False):
    image = ax.imshow(zoom(samples).T, origin="lower", aspect="auto", cmap="magma", vmin=-70, vmax=-10, extent=(0, 2, 0, 3.0))
    ax.set(title=method, xlabel="time (beats)", ylabel="frequency (kHz)")
    ax.label_outer()
fig.colorbar(image, ax=axes, label="level (dB)")
show_figure(fig, "01_methods", "Two beats in fine detail: zero phase cuts drum hits into even stripes, the others draw thicker lines than the original, the vocoder the thinnest.")
display(HTML("".join(player(samples, config, method).data for method, samples in tried.items())))

# %%
usual = "learned_bands"  # what `to_audio` does by default
best, drawn, common = (by_method.loc[name] for name in (usual, "pghi_bands", "fast_griffin_lim"))
lesson(
    f"The default, `{usual}`, leaves {best['mean error (dB)']:.2f} dB and runs {best['times real time']:.0f} times faster than "
    f"the music plays; 32 rounds of fast Griffin–Lim leave {common['mean error (dB)']:.2f} dB at {common['times real time']:.0f} times. Zero phase leaves "
    f"{by_method.loc['zero_phase', 'mean error (dB)']:.2f} dB: every frame pulls the sound together at its centre, which is heard as a buzz and seen as stripes. "
    f"From the original's magnitudes the same way without the vocoder is {drawn['distance of magnitudes']:.0%} away, with it "
    f"{best['distance of magnitudes']:.0%}: some of what was lost with the bands can be guessed by who has heard much music."
)

# %% [markdown]
# So bands and phases are one question. **Guess** what helps more: twice the bands, or twice the frames?

# %%
def measure_features(clip, n_mels, frames_per_beat, n_fft=config.n_fft):
    finer = dataclasses.replace(
        config, n_mels=n_mels, frames_per_beat=frames_per_beat, num_frames=8 * frames_per_beat, n_fft=n_fft
    )
    times = beat_frame_times(np.linspace(0.0, len(clip["samples"]) / config.sample_rate, 9), finer)
    # The vocoder knows 128 bands only, so all are compared without it.
    samples = to_audio(log_mel(clip["samples"], times, finer, wrap=True), finer, clip["tempo"], seed=seed, method="pghi_bands")
    wanted, made = magnitudes(clip["samples"]), magnitudes(np.resize(samples, len(clip["samples"])))
    return {
        "bands": n_mels, "frames a beat": frames_per_beat, "window": n_fft, "numbers a clip": finer.num_frames * n_mels,
        "distance of magnitudes": np.linalg.norm(made - wanted) / np.linalg.norm(wanted),
    }  # fmt: skip

# %%
choices = [(96, 16), (128, 16), (192, 16), (256, 16), (128, 8), (128, 32), (128, 32, config.n_fft // 2)]
design = pd.DataFrame([measure_features(clip, *choice) for clip in originals[:3] for choice in choices])
design = design.groupby(["bands", "frames a beat", "window", "numbers a clip"]).median()
design.round(3)

# %%
distance = design["distance of magnitudes"].droplevel("numbers a clip")
long, short = config.n_fft, config.n_fft // 2
ours, bands, frames, both = (distance[key] for key in [(128, 16, long), (256, 16, long), (128, 32, long), (128, 32, short)])
lesson(
    f"From {ours:.3f}, twice the bands lead to {bands:.3f}, twice the frames to {frames:.3f}, twice the frames of half the window to {both:.3f}; each "
    f"doubles the numbers that a model has to get right. The vocoder knows what to expect between 128 bands and brings them to {best['distance of magnitudes']:.3f}, "
    f"where {distance[192, 16, long]:.3f} is what half as many bands again give. The series stays with 128 by 128, which two cores can learn. With a GPU, change "
    "`n_mels` and hear for yourself."
)

# %% [markdown]
# Whose ear counts? The distance above sees fine frequency and little else. A network that was trained to tag a million songs (musicnn, by Pons and
# Serra, 2019) hears otherwise. `tests/benchmarks/inversion.py` asked it how far each way moves a clip; 1 is the distance between two clips of one style:

# %%
said = "128 bands, HTK mel, window {}, {} frames a beat".format
asked = {
    "more of the same music": "another eight beats of the same piece", "magnitudes from 128 bands, true phases": "bands lost, phases kept",
    "griffin_lim": "Griffin–Lim, 32 rounds", "pghi_bands": "PGHI, no vocoder", "learned_bands": "the default",
    "256 bands, HTK mel, window 2048, 16 frames a beat": "no vocoder, twice the bands",
    said(2048, 32): "no vocoder, twice the frames", said(1024, 32): "no vocoder, twice the frames of half the window",
}  # fmt: skip
stored = (project_folder() or Path()) / "data" / "results" / "inversion_tagger.csv"
if stored.is_file():
    heard = pd.read_csv(stored).pivot_table(index="sound", columns="music", values="paired").loc[list(asked)].rename(index=asked)
    display(heard.round(2))
    drawn, ours, short, same = (heard.loc[asked[name]] for name in ("pghi_bands", "learned_bands", said(1024, 32), "more of the same music"))
    lesson(
        f"On known-factor and on real music the vocoder brings the tagger's distance from {drawn['known']:.2f} and {drawn['real']:.2f} to {ours['known']:.2f} and "
        f"{ours['real']:.2f}; another eight beats of the same piece are {same['known']:.2f} and {same['real']:.2f} away. Twice the frames of half the window, which "
        f"the distance of magnitudes called worse, give {short['known']:.2f} and {short['real']:.2f}: for twice the numbers, time counts more than frequency."
    )

# %% [markdown]
# Now a round trip for every genre, by the default:

# %%
back, errors_by_genre = [], {}
for genre, clip in zip(names, originals, strict=True):
    samples, picture = round_trip(clip["log_mel"], clip["tempo"])
    difference = picture - clip["log_mel"]
    errors_by_genre[genre] = {"mean error (dB)": np.abs(difference).mean(), "RMS error (dB)": np.sqrt((difference**2).mean())}
    back.append(clip | {"samples": samples, "log_mel": picture, "label": f"{genre}, there and back"})
    write_audio(session.clips_dir / f"01_back_{genre}.wav", samples, config)
round_trips = pd.DataFrame(errors_by_genre).T
round_trips.round(2)

# %%
order = round_trips["mean error (dB)"].to_numpy().argsort()
compared = [clips[place] for place in (order[0], order[-1]) for clips in (originals, back)]
show_clips(compared, config, name="01_back", num_columns=2)
lesson(
    f"Best and worst of the genres are above. The mean error is {round_trips['mean error (dB)'].mean():.2f} dB, from "
    f"{round_trips['mean error (dB)'].min():.2f} ({names[order[0]]}) to {round_trips['mean error (dB)'].max():.2f} "
    f"({names[order[-1]]}). No model in this series can sound better than this, since all of them come back the same way."
)

# %% [markdown]
# Listen to each pair: attacks are a little softer, held notes waver. From here on, when we judge a
# model by ear, we play real clips through this same trip first.
#
# **Question.** A record played faster also sounds higher. Does our clip, if we resynthesise it at another tempo?

# %%
tempos = (80.0, 150.0)
other = [originals[0] | {"tempo": t, "label": f"{names[0]}, at {t:.0f} BPM"} for t in tempos]
means = []
for clip in other:
    clip["samples"], clip["log_mel"] = round_trip(level, clip["tempo"])
    means.append(clip["log_mel"].mean(axis=0))
    write_audio(session.clips_dir / f"01_{names[0]}_{clip['tempo']:.0f}_bpm.wav", clip["samples"], config)
show_clips(other, config, name="01_tempo", num_columns=2)

# %%
expected = [round(config.num_beats * 60.0 / t * config.sample_rate) for t in tempos]
assert [len(clip["samples"]) for clip in other] == expected
lesson(
    f"The two clips are {expected[0]:,} and {expected[1]:,} samples long, exact to the sample. Their mean spectra differ by "
    f"{np.abs(means[0] - means[1]).mean():.2f} dB; between {names[0]} and {names[-1]} that figure is "
    f"{np.abs(level.mean(axis=0) - originals[-1]['log_mel'].mean(axis=0)).mean():.2f} dB. The tempo moved, the pitch stayed."
)

# %% [markdown]
# ## 7. What the other notebooks can rely on
#
# `build_features` returns the same thing for every source of music, the **data contract**:
#
# - a table with one row a clip: where it came from, its genre, split, group, tempo and grid, and the factors it was composed from
#   where these are known;
# - an array of log-mel pictures on disk, read when it is used, so that a collection may be larger than the memory;
# - a report of what was left out, and why.

# %%
columns = ["clip_id", "genre", "split", "group", "start", "end", "tempo", "grid"]
display(features.table[columns].sample(4, random_state=seed), features.counts())

# %% [markdown]
# A **split** says what a clip may be used for: *train* for learning, *validation* for decisions, *test* for the final number. A **group** is
# a track or an artist, and no group is in two splits. If half of a track is learned and the other half tested, memory looks like
# understanding.
#
# The cache is named after everything it depends on: files, constants, and the code that made it. So it is either right
# or made again, and an interrupted run goes on where it stopped.
# **Guess** how long the second call takes.

# %%
start = time.perf_counter()
again = build_features(collection, config, session.cache_dir, progress=False)
cached_seconds = time.perf_counter() - start
shared = features.table.groupby("group")["split"].nunique().max()
megabytes = sum(path.stat().st_size for path in again.path.iterdir()) / 2**20

# %%
from cvae_music.data.extraction import ExtractionSettings, extract_source

sources = collection.table.sample(9, random_state=seed).to_dict("records")
extract_source(sources[0], config, ExtractionSettings())  # the first call compiles the beat tracker
start = time.perf_counter()
num_extracted = sum(len(extract_source(source, config, ExtractionSettings())[0]) for source in sources[1:])
rate = num_extracted / (time.perf_counter() - start)

# %%
lesson(
    f"The first call above took {first_seconds:.1f} s, the second {cached_seconds:.2f} s. {len(features):,} clips take {megabytes:.0f} MB. "
    f"One core extracts {rate:.0f} clips a second. The largest number of splits that share a group is {shared}."
)

# %% [markdown]
# ## 8. What bad files do
#
# Real collections hold files that are empty, cut off, silent, or not music at all. **Question.** What should happen to them?
# **Guess** what the library does with each of these eight.

# %%
def make_bad_folder(root):
    """Two genres of three good tracks each, and eight files that are not fit for use."""
    good, attic, lonely = np.tile(sound, 3), root / "attic", root / "lonely"
    for folder in (root / "first", root / "second", attic, lonely):
        folder.mkdir(parents=True)
    for number in range(6):
        write_audio(root / ("first", "second")[number % 2] / f"good {number}.wav", np.roll(good, number * 5000), config)
    write_audio(root / "lost.wav", good, config)
    write_audio(lonely / "only one.wav", good, config)
    write_audio(attic / "silence.wav", 0.0 * good, config)
    write_audio(attic / "half a second.wav", good[: config.sample_rate // 2], config)
    write_audio(attic / "cut off.flac", good, config)
    (attic / "cut off.flac").write_bytes((attic / "cut off.flac").read_bytes()[:20000])
    (attic / "empty.mp3").write_bytes(b"")
    (attic / "a letter.wav").write_text("Dear listener, this is text. " * 50)
    (attic / "cover.jpg").write_bytes(b"not a picture either")

# %%
with tempfile.TemporaryDirectory() as folder:
    root = Path(folder) / "music"
    make_bad_folder(root)
    checked = build_features(open_collection(root), config, Path(folder) / "cache", num_workers=1, progress=False)
with pd.option_context("display.max_colwidth", None):
    display(checked.report)

# %%
lesson(
    f"{len(checked.report)} files are in the report, each with its reason; {checked.table['source_id'].nunique()} good ones went through. "
    f"Nothing stopped the run, and nothing became a genre of its own. In your collection {len(features.report)} files were left out."
)
if len(features.report):
    display(features.report.head(10))

# %% [markdown]
# ## 9. Is my run normal?
#
# The ranges below are those of the embedded music on ordinary machines. For recorded music the rate counts clips from whole files, beat tracking included.

# %%
ranges = pd.DataFrame(
    [
        ("round trip, mean error (dB)", round_trips["mean error (dB)"].mean(), 0.15, 0.7),
        ("round trip, largest of a genre (dB)", round_trips["mean error (dB)"].max(), 0.2, 1.2),
        ("agreement of pulses, beats over seconds", grids["beats"].mean() - grids["seconds"].mean(), 0.1, 0.9),
        ("second call of build_features (s)", cached_seconds, 0.0, 2.0),
        ("clips a second and core", rate, 10.0, 400.0),
        ("splits that share a group", float(shared), 1.0, 1.0),
    ],
    columns=["measure", "your run", "from", "to"],
)
ranges["normal"] = np.where(ranges["your run"].between(ranges["from"], ranges["to"]), "yes", "look")
ranges.round(2)

# %% [markdown]
# A rate far below the range means that other programs use the cores. A round trip far above it means that constants were changed:
# try the exercise on mel bands. If the report lists files that play well elsewhere, convert one to WAV and try again.
#
# ## What to take along
#
# - A network gets a picture of eight beats: levels in dB, in mel bands, on one scale for all music.
# - Phases are left out because a squared error turns unknown phases into silence.
# - Time is counted in beats, so columns mean the same in every clip, and tempo is a number beside it.
# - The way back costs what section 6 measured, before any model has touched the sound.
#
# **Next:** notebook 02 asks how few numbers such a picture can be packed into.
#
# ## Exercises
#
# 1. **Turn a knob.** What do fewer mel bands cost? Change `n_mels` below to 32 and to 64 and listen to the result. Which genre suffers
#    first?
# 2. **Break the grid.** Shift every clip by a random number of frames (`np.roll`) and compute the agreement again. How far does it fall?
# 3. **Compose with a brush.** The picture can be edited before it becomes sound. Make the clip play its bass and drums alone, or swap its
#    two bars.
#
# Solutions are in `solutions/01_prepare_audio`.

# %%
n_mels = 128  # exercise 1: try 32 and 64
coarse = dataclasses.replace(config, n_mels=n_mels)
coarse_sound = to_audio(log_mel(sound, frame_times, coarse, wrap=True), coarse, tempo)
coarse_error = np.abs(log_mel(coarse_sound, frame_times, config, wrap=True) - level).mean()
print(f"{n_mels} bands: {coarse_error:.2f} dB mean error, measured in {config.n_mels} bands")

# %%
shifted = [picture for picture in on_beats]  # exercise 2: roll each picture by a random number of frames
print(f"agreement: {agreement(shifted):.2f}")

# %%
painted = level.copy()  # exercise 3: change the picture, shape (frames, bands), then listen
painted_sound = to_audio(painted, config, tempo)
write_audio(session.clips_dir / "01_painted.wav", painted_sound, config)
