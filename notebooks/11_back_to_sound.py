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
# # How does a picture become sound?
#
# <!-- links: made by tools/badges.py -->
# Before: [10 your own music](10_your_own_music.ipynb).
# [Solutions](solutions/11_back_to_sound.ipynb) of the exercises.
#
# *No library, says the set-up cell? **On Colab,** set `repository_zip` below to the address of the project's zip, or
# drag the zip into the Files pane and set `"/content/<its name>"`. **On Kaggle,** choose Add Input and take the data set
# of the project, or switch Internet on and set `repository_zip`. **In VS Code or on a laptop,** keep this file in the
# project's folder, run `make lab` there, or `make setup` and choose `.venv` as the kernel.*
# <!-- end of links -->
#
# **What you will hear at the end:** one clip brought back from its picture in six ways, from a buzz to something close
# to the original, as a loop without a seam.
#
# **What you need to know:** notebook 01 (log-mel pictures, the short-time Fourier transform, phase). No model is
# needed here.
#
# > **Time:** 0.2 minutes on 2 CPU cores. Last full run: 2026-11-27.
#
# The other notebooks call `cm.to_audio` and listen. Here we take it apart, and you write its core,
# `fast_griffin_lim`, as the library runs it. Make your guess before each cell.

# %% tags=["parameters"]
data = "known"  # or the path of a folder of genres, or of FMA
seed = 0
repository_zip = ""
num_clips = 240  # known-factor music only

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
import time

import ipywidgets as widgets
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import HTML, display

from cvae_music import mel_filters, mel_to_stft_weights, stft_scale

TINY = 1e-10  # keeps divisions finite

# %% [markdown]
# ## 1. What is missing
#
# A log-mel picture has lost three things: the **phases**, the **fine frequency** inside each band, and what lay below
# the floor. The last is gone. We look for the other two one after the other, and begin with the phases: up to
# section 4 we keep the true magnitudes of all frequencies and pretend to have forgotten the phases alone.

# %%
rows = features.table[features.table["split"] == "test"].groupby("genre").sample(1, random_state=seed).head(6)
clips = [cm.load_window(row, config) for _, row in rows.iterrows()]
genres = list(rows["genre"])
chosen = 0  # another number, another genre
clip = clips[chosen]
genre = genres[chosen]

# %% [markdown]
# `frame_grid` says where the frames of a picture stand in the sound, 16 to the beat (more at slow tempos).
# `LoopSTFT`, which it returns, knows two ways: `forward` from samples $x$ to spectra $X$, and `inverse` back, by
# **overlap-add**: each frame becomes a piece of sound, is faded with the window $w$ once more and added at its place;
# where several frames overlap, the sum is divided by the sum of the squared windows.
#
# $$x[n] = \frac{\sum_t w[n - c_t]\; x_t[n - c_t]}{\sum_t w[n - c_t]^2}$$

# %%
loop, mel_power = cm.frame_grid(clip.log_mel, config, clip.tempo)
sound = np.resize(clip.samples, loop.length)  # a tracked tempo is rounded: a recording may be some samples longer
truth = loop.forward(sound)
magnitude = np.abs(truth)
print(f"{genre}: {magnitude.shape[0]} frames x {magnitude.shape[1]} frequencies")
print(f"windows of {config.n_fft} samples, one every {loop.length / len(loop.centres):.0f}")

# %% [markdown]
# **Question.** If we keep the phases, what does the sound lose on its way there and back? **Guess** in dB below full
# scale.

# %%
gap = 20 * np.log10(np.abs(loop.inverse(truth) - sound).max() + TINY)
lab.takeaway(
    f"With its true phases the sound comes back with an error of {gap:.0f} dB.",
    {
        "Nothing but the phases stands between these magnitudes and their sound.": gap < -80,
        "At this tempo frames hardly overlap, which already costs something.": True,
    },
)

# %% [markdown]
# ## 2. Zero, or random: buzz and hiss
#
# The two cheapest guesses: all phases are zero, so that every frame swings together at its centre; or all are drawn
# at random, evenly from the circle. Both functions are the library's own. They get the magnitudes, the loop, and a
# generator of random numbers.

# %%
def zero_phases(magnitude, loop, rng):
    """Every frame swings together at its centre."""
    return np.zeros_like(magnitude)


def random_phases(magnitude, loop, rng):
    """Phases drawn evenly from the circle."""
    return rng.random(magnitude.shape, np.float32) * np.float32(2.0 * np.pi)

# %% [markdown]
# **Question.** What do they sound like? **Guess** which of them buzzes, and which hisses.

# %%
def hear(sounds):
    display(
        HTML(
            "".join(
                cm.player(samples, config, name).data
                for name, samples in sounds.items()
            )
        )
    )


def with_start(start):
    """Spectra with the magnitudes of the clip, and phases as `start` guesses them."""
    return loop.with_phases(
        magnitude, start(magnitude, loop, np.random.default_rng(seed))
    )

# %%
sounds = {"original": sound}
sounds["zero phases"] = loop.inverse(with_start(zero_phases))
sounds["random phases"] = loop.inverse(with_start(random_phases))
hear(sounds)

# %% [markdown]
# To see why, look at a tenth of a second. The dotted lines are the centres of the frames.

# %%
inner = slice(len(magnitude) // 4, -len(magnitude) // 4)
middle = loop.centres[inner][magnitude[inner].sum(axis=1).argmax()]
shown = slice(middle - 1100, middle + 1100)
milliseconds = np.arange(-1100, 1100) * 1000 / config.sample_rate
centres = (loop.centres - middle) * 1000 / config.sample_rate
highest = max(np.abs(samples[shown]).max() for samples in sounds.values())
fig, axes = plt.subplots(
    3, 1, figsize=(9, 4.6), sharex=True, sharey=True, layout="constrained"
)
for ax, (name, samples), colour in zip(axes, sounds.items(), cm.COLOURS, strict=False):
    ax.plot(milliseconds, samples[shown], color=colour, linewidth=0.8)
    ax.vlines(centres[np.abs(centres) < 50], -1, 1, color="0.5", linestyle=":")
    ax.set(title=name, ylabel="amplitude", ylim=(-1.1 * highest, 1.1 * highest))
axes[-1].set_xlabel("time (ms)")
seen = "Zero phases gather the sound in pulses at the dotted lines, random phases spread it and make it weaker."
session.show_figure(fig, "11_phases", seen)

# %% [markdown]
# With zero phases the waves of all frequencies meet at the centre of each frame and cancel in between: a pulse a
# frame, some thirty a second, which is heard as a **buzz**. With random phases neighbouring frames contradict each
# other. Where they overlap they partly cancel, differently at each moment and frequency: the sound loses level, and a
# steady note trembles like noise, which is heard as a **hiss**. Two numbers say it: the share of the energy in the
# quarter of the time nearest to the centres (a quarter would be fair), and the level against the original.

# %%
def crowding(samples, loop):
    """Share of the energy in the quarter of the time that is nearest to the centres of frames."""
    place = np.arange(loop.length) / (loop.length / len(loop.centres))
    near = np.abs((place + 0.5) % 1.0 - 0.5) < 0.125
    return np.sum(samples[near] ** 2) / np.sum(samples**2)


def level_change(samples):
    return 10 * np.log10(np.sum(samples**2) / np.sum(sound**2))

# %%
crowded = crowding(sounds["zero phases"], loop)
weaker = level_change(sounds["random phases"])
lab.takeaway(
    f"Zero phases crowd {crowded:.0%} of the energy near the centres; "
    f"random phases change the level by {weaker:.1f} dB.",
    {
        "Too much agreement buzzes, too little hisses.": crowded > 0.3 and weaker < -2,
        "On this clip one fault hardly shows: try another.": True,
    },
)

# %% [markdown]
# ## 3. Phases that agree: Griffin–Lim
#
# Overlapping frames share samples, so most pictures of phases belong to no sound at all: make sound of them, take its
# STFT, and you get other spectra. Call that trip $P(X) = \mathrm{STFT}(\mathrm{ISTFT}(X))$. **Griffin and Lim**
# repeat it: keep the phases that come back, put the wanted magnitudes $A$ in their place:
#
# $$X \leftarrow A \cdot \frac{P(X)}{|P(X)|}$$
#
# The **fast** variant also goes on in the direction of the last round, with a momentum $\alpha$ a little below one:
#
# $$Y_n = P(X_{n-1}), \qquad X_n = A \cdot \frac{Z_n}{|Z_n|} \quad\text{with}\quad Z_n = Y_n + \alpha\,(Y_n - Y_{n-1})$$
#
# In the code below $Y_n$ is `new`, $Y_{n-1}$ is `last` and $Z_n$ is `ahead`. With `momentum=0` it is the original of
# 1984. Line for line, this is what every clip of this series goes through.

# %%
def fast_griffin_lim(magnitude, start, loop, rounds=32, momentum=0.99):
    """Sound with these magnitudes, from rounds that make the phases of overlapping frames agree."""
    spectra = start
    last = None
    for _ in range(rounds):
        new = loop.forward(loop.inverse(spectra))
        ahead = new if last is None else new + momentum * (new - last)
        spectra = ahead * (magnitude / np.maximum(np.abs(ahead), 1e-10))
        last = new
    return loop.inverse(spectra)

# %%
sounds["Griffin–Lim"] = fast_griffin_lim(
    magnitude, with_start(random_phases), loop, momentum=0.0
)
sounds["fast Griffin–Lim"] = fast_griffin_lim(
    magnitude, with_start(random_phases), loop
)
by_library = cm.fast_griffin_lim(magnitude, with_start(random_phases), loop)
assert np.array_equal(sounds["fast Griffin–Lim"], by_library)
hear(sounds)

# %% [markdown]
# How good is it? The **mismatch** compares the magnitudes of a sound with those we wanted: 0 is perfect, 1 is as
# wrong as silence.
#
# $$\text{mismatch} = \frac{\big\lVert\, |\mathrm{STFT}(x)| - A \,\big\rVert}{\lVert A \rVert}$$

# %%
def mismatch(samples, magnitude):
    return np.linalg.norm(np.abs(loop.forward(samples)) - magnitude) / np.linalg.norm(
        magnitude
    )


plain = mismatch(sounds["Griffin–Lim"], magnitude)
fast = mismatch(sounds["fast Griffin–Lim"], magnitude)
lab.takeaway(
    f"After the same number of rounds the mismatch is {plain:.3f} without momentum, {fast:.3f} with it.",
    {
        "Momentum costs nothing and gains much.": fast < 0.8 * plain,
        "On this clip momentum gains little.": fast <= plain,
        "On this clip momentum overshoots.": True,
    },
)

# %% [markdown]
# ## 4. Phases read off the magnitudes: PGHI
#
# Rounds repair a bad start. Can we begin better? A steady wave in frequency bin $k$ turns by $2\pi h k / N$ from one
# frame to the next, $h$ samples later, with $N$ samples in a window. A real wave stands somewhere beside the centre
# of a bin, and then its neighbours differ in magnitude: the slope of the magnitudes tells how far beside. For a
# Gaussian window that is exact:
#
# $$\frac{\partial\varphi}{\partial t} = \frac{2\pi h k}{N} + \frac{h N}{\gamma}\,\frac{\partial \log A}{\partial k},
# \qquad \frac{\partial\varphi}{\partial k} = -\frac{\gamma}{h N}\,\frac{\partial \log A}{\partial t},$$
#
# with $t$ counted in frames and $\gamma \approx 0.256\,N^2$ for our window, which is nearly Gaussian. So a picture of
# magnitudes knows its phases, up to one constant.
#
# **Question.** Does that hold for music? We have the true phases, so let us look: by how many turns does each
# formula miss the step of the phase from a frame to the next, in the loud cells? **Guess**; a blind guess misses by a
# quarter of a turn.

# %%
def turns(angle):
    """How far an angle is from the nearest whole turn, in turns: 0 to 0.5."""
    return np.abs(angle / (2 * np.pi) - np.round(angle / (2 * np.pi)))


following = np.roll(truth, -1, axis=0)
steps = np.diff(np.append(loop.centres, loop.length))[:, None]  # h
slope = np.gradient(np.log(np.maximum(magnitude, 1e-4 * magnitude.max())), axis=1)
own = 2 * np.pi * steps * np.arange(magnitude.shape[1]) / config.n_fft
leaning = steps / (0.256 * config.n_fft) * (slope + np.roll(slope, -1, axis=0)) / 2

# %%
stepped = np.angle(following * np.conj(truth))  # what the phases really did
loud = np.minimum(magnitude, np.abs(following)) > 0.03 * magnitude.max()
missed = {"by the bin's frequency": turns(stepped - own)[loud]}
missed["and the slope of the magnitudes"] = turns(stepped - own - leaning)[loud]
fig, ax = plt.subplots(figsize=(7, 2.8), layout="constrained")
for (name, values), colour, hatch in zip(
    missed.items(), cm.COLOURS, ("", "///"), strict=False
):
    ax.hist(
        values,
        bins=np.linspace(0, 0.5, 51),
        color=colour,
        alpha=0.6,
        hatch=hatch,
        label=name,
    )
ax.set(xlabel="missed by (turns)", ylabel="loud cells")
ax.legend()
seen = "With the slope of the magnitudes nearly all errors are below a tenth of a turn; without it they are spread out."
session.show_figure(fig, "11_gradient", seen)

# %%
alone, read = (np.median(values) for values in missed.values())
lab.takeaway(
    f"The bin's frequency misses the phase by {alone:.3f} turns, with the slope of the magnitudes by {read:.3f}.",
    {
        "The phases were hidden in the magnitudes.": read < 0.5 * alone,
        "This clip is too noisy to read its phases off.": True,
    },
)

# %% [markdown]
# **PGHI** (phase-gradient heap integration) adds these steps up. It starts at the loudest cell and always goes on
# from the loudest cell that has a phase (it comes off a heap), so that errors made in faint cells stay where nobody
# hears them. The loop of our frames is closed: the last frame is a neighbour of the first. `cm.phase_gradient_integration`
# does it in compiled loops.

# %%
start = with_start(cm.phase_gradient_integration)
sounds["PGHI"] = loop.inverse(start)
sounds["PGHI, then 8 rounds"] = fast_griffin_lim(magnitude, start, loop, rounds=8)
hear(
    {
        name: sounds[name]
        for name in ("original", "fast Griffin–Lim", "PGHI", "PGHI, then 8 rounds")
    }
)

# %%
def judged(samples):
    return mismatch(samples, magnitude), crowding(samples, loop), level_change(samples)


columns = ["mismatch", "energy near centres", "level (dB)"]
pd.DataFrame(
    [judged(samples) for samples in sounds.values()], list(sounds), columns
).round(3)

# %% [markdown]
# **Question.** How many rounds are enough, from each start? **Guess** where the curves become flat.

# %%
def curve(magnitude, start, momentum, rounds):
    begin = loop.with_phases(
        magnitude, start(magnitude, loop, np.random.default_rng(seed))
    )
    return [
        mismatch(fast_griffin_lim(magnitude, begin, loop, number, momentum), magnitude)
        for number in rounds
    ]


rounds = [0, 1, 2, 4, 8, 16, 32, 64]
curves = {
    "Griffin–Lim, random start": curve(magnitude, random_phases, 0.0, rounds),
    "fast Griffin–Lim, random start": curve(magnitude, random_phases, 0.99, rounds),
    "fast Griffin–Lim, PGHI start": curve(
        magnitude, cm.phase_gradient_integration, 0.99, rounds
    ),
}

# %%
fig, ax = plt.subplots(figsize=(7, 3.2), layout="constrained")
for (name, values), colour, marker in zip(
    curves.items(), cm.COLOURS, cm.MARKERS, strict=False
):
    ax.plot(np.arange(len(rounds)), values, color=colour, marker=marker, label=name)
ax.set(
    xlabel="rounds",
    ylabel="mismatch",
    ylim=(0, None),
    xticks=np.arange(len(rounds)),
    xticklabels=rounds,
)
ax.legend()
seen = "Three falling curves: the one that starts with PGHI is lowest, the one without momentum is highest."
session.show_figure(fig, "11_rounds", seen)

# %%
plain, fast, from_pghi = curves.values()
saves = from_pghi[4] < fast[6]
falling = fast[7] < 0.9 * fast[6] and plain[7] < 0.9 * plain[6]
lab.takeaway(
    f"Eight rounds from PGHI leave {from_pghi[4]:.3f}; thirty-two from random phases leave {fast[6]:.3f}, "
    f"sixty-four {fast[7]:.3f}.",
    {
        "A good start saves rounds; the other curves are not flat yet.": saves and falling,
        "A good start saves rounds; more rounds bring little.": saves,
        "On this clip the start matters less than the rounds.": True,
    },
)

# %% [markdown]
# Turn it yourself: what does a momentum of two do? Zero phases are a start too. (The figure above stands in where no
# kernel is running.)

# %% tags=["widget"]
starts = {"random": random_phases, "zero": zero_phases, "PGHI": cm.phase_gradient_integration}
slider = widgets.IntSlider(4, 0, 64, continuous_update=False)


@widgets.interact(rounds=slider, momentum=[0.99, 0.0, 0.5, 2.0], start=list(starts))
def turn(rounds, momentum, start):
    samples = fast_griffin_lim(magnitude, with_start(starts[start]), loop, rounds, momentum)
    title = f"{start} start, {rounds} rounds, momentum {momentum}: mismatch {mismatch(samples, magnitude):.3f}"
    display(cm.player(samples, config, title))

# %% [markdown]
# ## 5. The frequencies inside a band
#
# Now the truth is taken away: all we have is the power of 128 bands. `mel_to_linear` finds a spectrum that has these
# bands. Each round multiplies every frequency by what its bands lack ($F$ holds the mel filters, $M$ the wanted
# bands, $B$ spreads bands over frequencies):
#
# $$P \leftarrow P \cdot \left(\frac{M}{P F^\top}\, B\right)$$
#
# Many spectra have the same bands; which one comes out depends on the start. By default it is a curve drawn through
# the bands with its peaks sharpened. The other start is an answer of the **vocoder**, a small network that has seen
# what music usually does inside a band. It ships with the library.
#
# **Question.** How far are these magnitudes from the true ones? **Guess** which parts of the spectrum the network
# gets right.

# %%
guessed = np.sqrt(cm.mel_to_linear(mel_power, config)) * stft_scale(config)
spread, uncertainty = cm.shipped_vocoder(config).spread(mel_power)
learned = np.sqrt(cm.mel_to_linear(mel_power, config, start=spread)) * stft_scale(
    config
)
far = [
    np.linalg.norm(found - magnitude) / np.linalg.norm(magnitude)
    for found in (guessed, learned)
]

# %%
# halfway between two beats, below 2 kHz
frame = 5 * config.frames_per_beat // 2
low = slice(3, 190)
hertz = np.arange(magnitude.shape[1]) * config.sample_rate / config.n_fft
fig, ax = plt.subplots(figsize=(9, 3.4), layout="constrained")
for name, found, colour, style in (
    ("true", magnitude, "0.6", "-"),
    ("curve", guessed, cm.COLOURS[0], "--"),
    ("vocoder", learned, cm.COLOURS[4], "-"),
):
    level = 20 * np.log10(found[frame, low] / stft_scale(config) + 1e-5)
    ax.plot(hertz[low], level, style, color=colour, label=name)
ax.set(
    xlabel="frequency (Hz)", ylabel="level (dB)", title="one frame", ylim=(-75, None)
)
ax.legend()
seen = "The true spectrum has sharp peaks; the dashed curve is broader, the vocoder's follows the peaks more closely."
session.show_figure(fig, "11_inside_bands", seen)

# %%
lab.takeaway(
    f"The curve is {far[0]:.2f} of the true magnitudes away, the vocoder's answer {far[1]:.2f}.",
    {
        "Some of what the bands lost can be guessed by who has heard much music.": far[1] < 0.7 * far[0],
        "On this music the vocoder has little to add.": far[1] <= far[0],
        "The vocoder was trained on other music, and here it errs.": True,
    },
)

# %% [markdown]
# Guessed magnitudes have a second price. Section 4 asked for magnitudes that some sound has. A guess belongs to no
# sound, so rounds cannot reach a mismatch of zero any more.

# %%
falls = []
for wanted in (magnitude, guessed):
    before, after = curve(wanted, random_phases, 0.99, [32, 64])
    falls.append(1 - after / before)
lab.takeaway(
    f"Thirty-two more rounds take {falls[0]:.0%} off the mismatch with true magnitudes, "
    f"{falls[1]:.0%} with guessed ones.",
    {
        "No sound has guessed magnitudes, so that curve flattens first.": 0.01 < falls[1] < 0.7 * falls[0],
        "The curve of the guess is flat already.": falls[1] <= 0.01,
        "Up to here both fall alike.": True,
    },
)

# %% [markdown]
# So the last rounds ask for less: **hold the bands**. The bands are known, the lines inside them are not; these
# rounds scale a frequency only by what its bands lack, and leave the rest to what the phases agree on. Again the
# library's own lines: `held` are the frames whose bands we know.

# %%
def project_to_mel(samples, mel_power, loop, config, rounds):
    """Brings the bands closer to those wanted; phases and lines inside the bands stay free."""
    wanted = mel_power * stft_scale(config) ** 2
    for _ in range(rounds):
        spectra = loop.forward(samples)
        held = spectra[:: len(spectra) // len(wanted)]
        found = (held.real**2 + held.imag**2) @ mel_filters(config).T
        held *= np.sqrt(
            np.clip(wanted / np.maximum(found, TINY), 1e-4, 1e4) @ mel_to_stft_weights(config)
        )
        samples = loop.inverse(spectra)
    return samples

# %%
def picture_of(samples):
    """Log-mel picture of eight beats of any length."""
    beats = np.linspace(0.0, len(samples) / config.sample_rate, config.num_beats + 1)
    return cm.log_mel(samples, cm.beat_frame_times(beats, config), config, wrap=True)


start = loop.with_phases(
    learned, cm.phase_gradient_integration(learned, loop, np.random.default_rng(seed))
)
before = fast_griffin_lim(learned, start, loop, rounds=8)
after = project_to_mel(
    before, mel_power[:: len(mel_power) // len(clip.log_mel)], loop, config, rounds=6
)
errors = [
    np.abs(picture_of(samples) - clip.log_mel).mean() for samples in (before, after)
]

# %%
lab.takeaway(
    f"Six rounds that hold the bands bring the picture's error from {errors[0]:.2f} to {errors[1]:.2f} dB.",
    {
        "Ask for what you know, and leave free what you guessed.": errors[1] < 0.9 * errors[0],
        "On this clip there was nothing left to gain.": True,
    },
)

# %% [markdown]
# ## 6. Why hiss comes back as buzz
#
# One thing is still wrong, and it is best heard on a sound that is all hiss. Nobody can foresee how noise fluctuates,
# so the best guess of its magnitudes is smooth. But PGHI reads phases off magnitudes, and smooth magnitudes are those
# of a pulse. **Guess** what white noise sounds like after its trip.

# %%
hiss = 0.05 * np.random.default_rng(seed).standard_normal(loop.length).astype(
    np.float32
)
words = {
    "zero_phase": "zero phases",
    "griffin_lim": "Griffin–Lim",
    "fast_griffin_lim": "fast Griffin–Lim",
    "pghi": "PGHI",
    "pghi_bands": "PGHI, 8 rounds, 6 that hold the bands",
    "learned_bands": "the same with the vocoder (default)",
}
hisses = {"white noise": hiss}
for name in ("pghi", "pghi_bands", "learned_bands"):
    hisses[words[name]] = cm.to_audio(picture_of(hiss), config, clip.tempo, seed, name)
hear(hisses)

# %% [markdown]
# The vocoder has a second output, its **uncertainty** $u$: how far its own answer will be off. Of noise it must say
# that it does not know. Where $u$ is high, the magnitudes are multiplied by those of white noise $R$, more or less
# according to a share $s(u)$ between 0 and 1, and where the noise outweighs the rest its phases hold:
#
# $$A \leftarrow A \cdot \left(\frac{|R|}{\mathrm{rms}(R)}\right)^{s(u)}$$

# %%
pure, _, drawn, made = (crowding(samples, loop) for samples in hisses.values())
lab.takeaway(
    f"Near the centres lie {pure:.0%} of the noise's energy, {drawn:.0%} after PGHI, {made:.0%} with the vocoder.",
    {
        "Who knows what it does not know makes noise of it, not a buzz.": abs(made - pure) < 0.5 * abs(drawn - pure),
        "Here the vocoder's noise still buzzes.": True,
    },
)

# %% [markdown]
# ## 7. All ways compared
#
# **Question.** By error and by seconds, which way would you take? Three measures: the error of the picture (dB); the
# distance from the true magnitudes; and **times real time**, the seconds of sound made in one second by the clock.

# %%
def measured(clip, method):
    start = time.perf_counter()
    samples = cm.to_audio(clip.log_mel, config, clip.tempo, seed, method)
    seconds = time.perf_counter() - start
    around = cm.frame_grid(clip.log_mel, config, clip.tempo)[0]
    wanted, found = (
        np.abs(around.forward(np.resize(made, around.length)))
        for made in (clip.samples, samples)
    )
    return {
        "way": words[method],
        "error (dB)": np.abs(picture_of(samples) - clip.log_mel).mean(),
        "distance": np.linalg.norm(found - wanted) / np.linalg.norm(wanted),
        "times real time": len(samples) / config.sample_rate / seconds,
    }

# %%
tried = {
    words[method]: cm.to_audio(clip.log_mel, config, clip.tempo, seed, method)
    for method in cm.METHODS
}
here = pd.DataFrame([measured(each, method) for each in clips for method in cm.METHODS])
here = here.groupby("way", sort=False).median()
hear({"original": sound} | tried)
here.round({"error (dB)": 2, "distance": 3, "times real time": 0})

# %%
zero = here.loc[words["zero_phase"]]
default = here.loc[words["learned_bands"]]
lab.takeaway(
    f"The default leaves {default['error (dB)']:.2f} dB, zero phases {zero['error (dB)']:.2f}; "
    f"it makes {default['times real time']:.0f} seconds of sound in one.",
    {
        "The best is fast enough to play with.": here["error (dB)"].idxmin() == default.name and default.iloc[2] > 1,
        "On this music or machine another way may suit you better.": True,
    },
)

# %% [markdown]
# The table above is your machine, now, with whatever else it does. The project ships the same measures on 24 clips of
# the embedded music and 24 of real music, one thread of an idle machine (`python tests/benchmarks/inversion.py`); the
# page `docs/speed.md` quotes these:

# %%
whole = lab.read_rows("inversion_whole")
whole["times real time"] = (
    1.0 / whole["seconds"]
).round()  # the table holds seconds of work for a second of sound
columns = ["log-mel error (dB)", "distance from the true magnitudes", "times real time"]
ways = whole[whole["method"].isin(words)].assign(way=whole["method"].map(words))
ways.pivot_table(index="way", columns="music", values=columns, sort=False).round(2)

# %% [markdown]
# Whose ear counts? Distances see fine frequency and little else. A network that was trained to tag a million songs
# (musicnn, by Pons and Serra, 2019) hears otherwise. The benchmark asked it how far each way moves a clip; 1 is the
# distance between two clips of one style:

# %%
form = "128 bands, HTK mel, window {}, {} frames a beat".format
asked = words | {
    "more of the same music": "another eight beats of the same piece",
    "magnitudes from 128 bands, true phases": "bands lost, phases kept",
    "256 bands, HTK mel, window 2048, 16 frames a beat": "no vocoder, twice the bands",
    form(2048, 32): "no vocoder, twice the frames",
    form(1024, 32): "no vocoder, twice the frames of half the window",
}
tagger = lab.read_rows("inversion_tagger").pivot_table(
    index="sound", columns="music", values="paired"
)
heard = tagger.reindex(list(asked)).rename(index=asked)
heard.sort_values("real", ascending=False).round(2)

# %%
twice = "256 bands, HTK mel, window 2048, 16 frames a beat"
ours, bands, short = (
    heard.loc[asked[name], "real"] for name in ("learned_bands", twice, form(1024, 32))
)
lab.takeaway(
    f"To the tagger real music is {ours:.2f} away by default; twice the bands give {bands:.2f}, "
    f"twice as many, shorter frames {short:.2f}.",
    {
        "This ear asks for time, not for frequency.": short < min(ours, bands),
        "This ear does not ask for more time.": True,
    },
)

# %% [markdown]
# The series stays with 128 bands and 16 frames a beat, which two cores can learn. With a GPU, change the constants of
# `AudioConfig` and hear for yourself.
#
# ## 8. Loops
#
# Every clip here is a loop, and so is the way back: the STFT reads past the end into the beginning, overlap-add wraps
# round, and PGHI treats the last frame as a neighbour of the first. **Question.** What would be lost without that? We
# make the clip between two beats of silence, as ordinary tools would, cut it out, and play both in a loop. **Guess**
# where you hear the difference.

# %%
beat = round(60.0 / clip.tempo * config.sample_rate)
padding = ((config.frames_per_beat, config.frames_per_beat), (0, 0))
alone = cm.to_audio(
    np.pad(clip.log_mel, padding, constant_values=config.floor_db),
    config,
    clip.tempo,
    seed,
)
loops = {"made as a loop": cm.to_audio(clip.log_mel, config, clip.tempo, seed)}
loops["made alone"] = alone[beat : beat + loop.length]
display(
    HTML(
        "".join(
            cm.player(samples, config, name, loop=True).data
            for name, samples in loops.items()
        )
    )
)

# %%
seam = [
    np.abs(picture_of(samples) - clip.log_mel)[[-2, -1, 0, 1]].mean()
    for samples in loops.values()
]
lab.takeaway(
    f"At the seam the error is {seam[0]:.2f} dB for the loop, {seam[1]:.2f} for the clip made alone.",
    {
        "A circle has no seam.": seam[0] < 0.7 * seam[1],
        "This clip is so soft at its ends that no seam shows.": True,
    },
)

# %% [markdown]
# Tempo is exact to the sample for the same reason: frames stand at equal shares of the loop, whatever its length. At
# slow tempos they would stand too far apart to overlap; `frame_grid` then puts frames in between, whose levels are
# interpolated.
#
# ## 9. Is my run normal?

# %%
ranges = pd.DataFrame(
    [
        ("mismatch, fast Griffin–Lim", fast[6], 0.03, 0.12),
        ("mismatch, PGHI and 8 rounds", from_pghi[4], 0.01, 0.06),
        ("phase read off, median error (turns)", read, 0.003, 0.03),
        ("error of the default (dB)", default["error (dB)"], 0.15, 0.7),
        ("energy near centres, noise by the default", made, 0.23, 0.3),
        ("times real time, default", default["times real time"], 2.0, 200.0),
    ],
    columns=["measure", "your run", "from", "to"],
)
ranges["normal"] = np.where(
    ranges["your run"].between(ranges["from"], ranges["to"]), "yes", "look"
)
ranges.round(3)

# %% [markdown]
# The ranges are those of the embedded music. A speed below the range means that other programs use the cores.
#
# ## What to take along
#
# - Phases that agree too well buzz, phases that contradict each other hiss; Griffin–Lim makes them agree with the
#   sound.
# - Magnitudes know most of their phases: PGHI reads them off and saves rounds.
# - What the bands lost must be guessed. A guess that also says where it does not know can fill these places with noise.
# - Frames on a circle make loops without a seam, at any tempo.
#
# **Limits.** On real music the vocoder helps less than on the embedded music: compare the two columns of distances in
# the shipped table. It knows one set of bands at one sample rate; with another `AudioConfig`, `to_audio` goes on
# without it.
#
# **Next:** this notebook is a side path. Notebook 02 goes on from 01, and asks how few numbers a picture can be
# packed into.
#
# ## Exercises
#
# 1. **Half of PGHI** (10 minutes, medium). Write a start of phases from the bins' own frequencies alone: at the
#    centre $c_t$ of a frame, bin $k$ has turned by $2\pi k c_t / N$. The cell below yours says whether it is right.
#    Then try it as a start: is it better than random phases after no round? After eight?
# 2. **How much momentum?** (5 minutes, easy). With the function `curve`, draw the mismatch after 32 rounds over
#    momenta from 0 to 2. Where is the best, and what happens above one?
# 3. **One click** (10 minutes, medium). The last cell paints a picture that is at the floor everywhere but for one
#    frame, and sends it back in three ways. Which one smears the click, and why are the zero phases, which buzzed in
#    section 2, at home here?
#
# Solutions are in `solutions/11_back_to_sound`.

# %% tags=["exercise"]
def turning_phases(magnitude, loop, rng):
    """Exercise 1: each bin has turned at its own frequency since the first sample."""
    return np.zeros_like(magnitude)  # replace this line

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

# %%
click = np.full(config.shape, config.floor_db, np.float32)
click[64] = -30.0  # exercise 3
tested = ("zero_phase", "fast_griffin_lim", "learned_bands")
hear(
    {words[name]: cm.to_audio(click, config, clip.tempo, seed, name) for name in tested}
)

# %% [markdown]
# <!-- links: made by tools/badges.py -->
# Before: [10 your own music](10_your_own_music.ipynb).
# [Solutions](solutions/11_back_to_sound.ipynb) of the exercises.
# <!-- end of links -->
