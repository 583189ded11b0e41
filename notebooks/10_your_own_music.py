# ---
# jupyter:
#   accelerator: GPU
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
# # Can it learn my own music, and what will it cost?
#
# <!-- links: made by tools/badges.py -->
# Before: [09 discriminator](09_discriminator.ipynb).
# After: [11 back to sound](11_back_to_sound.ipynb).
# [Solutions](solutions/10_your_own_music.ipynb) of the exercises.
#
# *No library, says the set-up cell? **On Colab,** set `repository_zip` below to the address of the project's zip, or
# drag the zip into the Files pane and set `"/content/<its name>"`. **On Kaggle,** choose Add Input and take the data set
# of the project, or switch Internet on and set `repository_zip`. **In VS Code or on a laptop,** keep this file in the
# project's folder, run `make lab` there, or `make setup` and choose `.venv` as the kernel.*
# <!-- end of links -->
#
# **What you will hear at the end:** clips by a model that was trained here, on a folder of sound files, beside the
# files it learned from; and a studio to play it. As it stands, the folder is one that the notebook writes itself: WAV
# files, composed, as a person might have them. Put the path of yours in its place.
#
# **What you need to know:** what a conditional VAE is and what obedience means (notebook 04). Every other term is
# defined where it first appears.
#
# > **Time:** 1.1 minutes on 2 CPU cores for the rehearsal below. Last full run: 2026-11-27. For a real run, the
# > notebook tells you the time before it takes it.
#
# It is a **rehearsal** as long as you leave the parameters alone: a few tracks, a small model, a few minutes.
# Everything that can go wrong with your folder then goes wrong early and cheaply. When it has gone well, change three
# values for the real run: `num_tracks = 0`, `num_steps = 0`, and `size = "standard"` (or `"large"` on a GPU).

# %% tags=["parameters"]
data = "known"  # the path of your folder of genres, of FMA, or of arrays of spectrograms; "fma" finds it on Kaggle
seed = 0
repository_zip = ""
size = "quick"  # or "standard", or "large" on a GPU
num_tracks = 20  # of each genre; 0 for all
num_steps = 200  # of the training; 0 for as many as the size asks for
num_judge_steps = 120  # of the judges' training
subset = "small"  # of FMA; or "medium"
download = False  # fetch FMA through kagglehub, gigabytes, where no folder has it

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
import multiprocessing
import shutil
import time

import ipywidgets as widgets
import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import known_music

plan = lab.SIZES[size]
plan = dataclasses.replace(plan, num_steps=num_steps or plan.num_steps)
config = plan.config
home = session.output_dir / "own_music"
cache = session.cache_dir
if data == "known":  # the stand-in begins anew each time: there must be something to kill
    shutil.rmtree(home, ignore_errors=True)
    cache = home / "cache"

# %% [markdown]
# For music that one would rather not simulate in one's head, the lab says what a run costs, which settings are fastest
# on this machine, and how to go on after a stop.
#
# ## 1. What is in the folder?
#
# A folder of your own has one subfolder for each genre: `my_music/jazz/tune.mp3`. What a genre is, you decide: a band,
# a decade, a mood. Two are needed, and three tracks of each; some fifty of each make a model. Files named
# `<track>__00.wav`, `<track>__01.wav` are pieces of one track and stay together.
#
# Without a folder of yours, this cell writes one.

# %%
def compose_folder(folder, tracks, num_beats=32):
    """WAV files `<folder>/<genre>/<number>.wav`, composed from a table of factors; those that are there stay."""
    for row in tracks.to_dict("records"):
        path = folder / row["genre"] / f"{row['seed']}.wav"
        if not path.exists():
            cm.write_audio(
                path, known_music.compose(row, config.sample_rate, num_beats), config
            )
    return folder


music = data
if data == "known":
    tracks = known_music.draw_factors(
        len(known_music.GENRES) * (num_tracks or 50), seed
    )
    music = compose_folder(home / "music", tracks)

# %%
if data != "fma":
    found = lab.inspect_folder(music)
    print(found.text)
    if found.kind == "spectrograms":
        music = home / "sound"
        report = lab.spectrograms_to_sound(data, music, config)
        problems = report["problem"].replace("", np.nan).value_counts().to_dict()
        print(f"{(report['path'] != '').sum()} sounds; left out: {problems}")
whole = cm.open_collection(music, seed=seed, subset=subset, download=download)
collection = lab.take_tracks(whole, num_tracks, seed) if num_tracks else whole
collection.counts()

# %% [markdown]
# Those are files. A tenth of each genre's tracks is kept aside to test, a tenth to validate, and no track (in FMA: no
# artist) is on two sides.
#
# ### If it holds arrays
#
# The project that this series began with published a second data set beside FMA, its spectrograms
# (`oskaralbers/fma-stft-spectrograms` on Kaggle). Its page does not say how they are stored. Its notebooks say how they
# were made: ten seconds, a window of 1024 samples every 512, real and imaginary part as two channels. So `inspect_folder`
# looks: it opens `.npy` and `.npz` files, executes nothing that is in them, and tells from shapes and values what they
# hold; of HDF5 and PyTorch files it says how to convert them. Complex numbers hold the phase: such arrays become *sound*
# again, exactly, and then go the way of every other file. In a magnitude the phases must be guessed, and a picture of a
# spectrogram has lost too much.
#
# We store three tracks as the original stored its own. **Guess** by how many dB they differ after the way back.

# %%
def as_the_original(samples, window=1024, hop=512):
    """Real and imaginary part as two channels, shape (2, 513, frames)."""
    frames = np.lib.stride_tricks.sliding_window_view(
        np.pad(samples, window // 2), window
    )[::hop]
    spectrum = np.fft.rfft(frames * np.hanning(window + 1)[:-1]).T
    return np.stack([spectrum.real, spectrum.imag]).astype(np.float32)


folder = home / "arrays" / "a genre"
folder.mkdir(parents=True, exist_ok=True)
pieces = [
    cm.load_audio(path, config, duration=10.0) for path in collection.table["path"][:3]
]
for number, samples in enumerate(pieces):
    np.save(folder / f"{number:06d}.npy", as_the_original(samples))
print(lab.inspect_folder(folder.parent).text)

# %%
back = lab.spectrograms_to_sound(
    folder.parent, home / "from_arrays", config, sample_rate=config.sample_rate
)
times = cm.seconds_frame_times(0.5, config)
differences = []
for samples, path in zip(pieces, back["path"], strict=True):
    levels = [
        cm.log_mel(sound, times, config)
        for sound in (samples, cm.load_audio(path, config))
    ]
    differences.append(np.abs(levels[0] - levels[1]).mean())
lab.takeaway(
    f"Through arrays and back, levels differ by {np.mean(differences):.2f} dB on average.",
    {
        "Complex arrays are as good as the recording.": np.mean(differences) < 0.5,
        "Something is lost.": True,
    },
)

# %% [markdown]
# ## 2. A few files, timed
#
# How many clips will the folder give, and how long will it take to make them? `probe_files` makes the features of a
# few files, spread from the smallest to the largest, and keeps the numbers. A training file is cut into clips of eight
# beats that overlap; in the other splits no second of music counts twice.
#
# **Guess** for a dozen of your files: seconds for one, and clips from one.

# %%
files = lab.probe_files(collection, config)
files.round(3)

# %%
lab.takeaway(
    f"A file takes {1000 * files['seconds'].mean():.0f} ms and gives {files['train_windows'].mean():.0f} training clips.",
    {
        "Every file that was read gave some.": (files["reason"] == "").all(),
        "Some gave none: the table says why.": True,
    },
)

# %% [markdown]
# From a few files to all of them is an estimate, and an estimate has an error. With $n$ of $N$ files read, their mean
# $\bar x$ and standard deviation $s$, the sum over all files is
#
# $$ N \Big( \bar x \pm 2\, \frac{s}{\sqrt n} \sqrt{1 - n/N} \Big). $$
#
# The last root is 0 when every file was read: then nothing is left to guess. Exercise 1 lets you write it.
#
# Several processes can share the work, but each takes seconds to start. **Guess** whether they pay for this folder.

# %%
workers = lab.probe_workers(collection, files, config)
workers.round(2)

# %% [markdown]
# ## 3. A few steps, timed
#
# The same training step can be computed in several ways:
#
# - **half precision**: layers compute with 16 bits a number and keep their weights in 32. Graphics cards have units for
#   `float16`; some processors know `bfloat16`;
# - **XLA** compiles the whole step into one program, which takes from seconds to minutes. It is said to be faster;
# - **a larger batch** keeps a large device busy. The same clips are then heard in fewer steps, so each must count:
#   below 640 steps, the fewest that a model of this series was trained with on real music, none is tried.
#
# Advice from another machine is of little use. This is what the probe found for the standard size on the one that the
# series was made on; on another, also with two cores, XLA was a third faster. **Guess** which way wins on yours.

# %%
elsewhere = lab.read_rows("settings_tried")
shown = ["batch_size", "precision", "jit_compile", "seconds_to_start", "steps_a_second", "minutes", "chosen"]
names = {"jit_compile": "XLA"}
elsewhere[["size", "device", *shown]].rename(columns=names).round(2)

# %% [markdown]
# So the probe trains each way for some steps on noise, and keeps what makes the *whole* training shorter, its start
# included. Where the whole takes less than two minutes, as in the rehearsal, XLA is not even tried: compiling would cost
# more than it can save.

# %%
num_train = files["train_windows"].mean() * (collection.table["split"] == "train").sum()
kept = home / "probe" / f"{size}-{plan.num_steps}.json"  # a run that goes on tomorrow must go on as it began
steps, setting = lab.probe_steps(plan, collection.genres, num_clips=num_train, path=kept)
steps[[*shown, "note"]].rename(columns=names).round(2)

# %%
plain = steps.iloc[0]
fastest = steps[steps["chosen"]].iloc[0]
gain = (
    fastest["steps_a_second"] * setting.batch_size / plain["steps_a_second"] / plain["batch_size"]
)
compiled = "compiled by XLA" if setting.jit_compile else "without XLA"
print(f"Chosen here: {setting.batch_size} clips a step, {setting.precision}, {compiled}.")
print(f"It hears {gain:.1f} times the clips that the plain way hears in the same time.")

# %% [markdown]
# Half precision is a matter of speed only if the model comes out as good. `lab.read_rows("half_precision")` holds the
# comparison on real music: the small model, three seeds each way. "–" is a measure that was not taken.

# %%
halves = lab.read_rows("half_precision").groupby("precision")
columns = {
    "reconstruction_rms_db": "error (dB)",
    "cnn_fresh": "fresh-draw obedience",
    "cnn_swap": "swap obedience",
    "cnn_diversity": "diversity",
    "sharpness_sampled": "sharpness of samples",
}
both = {"mean": halves[list(columns)].mean(), "spread": halves[list(columns)].std()}
table = pd.concat(both).rename(columns=columns)
table.style.format(precision=2, na_rep="–")

# %%
single, half = (both["mean"].loc[name] for name in ("float32", "mixed_bfloat16"))
apart = ((half - single).abs() / both["spread"].max()).dropna()
lab.takeaway(
    f"The error is {single['reconstruction_rms_db']:.2f} dB in single and "
    f"{half['reconstruction_rms_db']:.2f} in half precision.",
    {
        "No measure differs by more than seeds do.": (apart < 2).all(),
        "Some measure differs by more than seeds do: look before you choose.": True,
    },
)

# %% [markdown]
# ## 4. The bill
#
# Before anything starts: what will it take, and does it fit? *low* and *high* are the range of the error above; for the
# training, the fastest and the slowest step. Judging comes on top: a minute or two.
#
# **Run the notebook to here, and decide.** On a first visit with a folder of your own, this is the place to set
# `num_tracks = 0` and look again.

# %%
bill = lab.estimate_cost(collection, plan, files, workers, steps, cache)
bill.round(1)

# %%
num_clips = bill.loc["clips to train on", "estimate"]
minutes = bill.loc[["minutes to prepare", "minutes to train"], "estimate"].sum()
lab.takeaway(
    f"{num_clips:,.0f} clips to train on, in {minutes:.1f} minutes.",
    {
        "It fits on this machine.": not (bill["fits"] == "no").any(),
        "It does not fit: see the rows marked no. Take fewer tracks, or another disk (CVAE_MUSIC_CACHE).": True,
    },
)

# %% [markdown]
# ## 5. Preparation, killed and resumed
#
# Sessions on Colab and Kaggle end without asking, and laptops are closed. So everything that takes long is kept in
# parts on disk, and the same call goes on from there. Do not believe it: watch. A process of its own makes the
# features, and as soon as its first part is on disk we kill it the hard way, as a session's end would.

# %%
def parts_on_disk():
    return set(cache.glob("*/shard-*.json"))


worker = multiprocessing.get_context("spawn").Process(
    target=cm.build_features,
    args=(collection, config, cache),
    kwargs={"num_workers": 1, "progress": False},
)
before = parts_on_disk()
worker.start()
while worker.is_alive() and not parts_on_disk() - before:
    time.sleep(0.02)
worker.kill()
worker.join()
left = parts_on_disk() - before
print(
    f"exit code {worker.exitcode}, parts on disk: {sorted(path.name for path in left)}"
)

# %% [markdown]
# The second call is the one that you would have made anyway. Its progress bar begins where the other one died.

# %%
started = time.perf_counter()
num_workers = int(workers.loc[workers["chosen"], "workers"].iloc[0])
features = cm.build_features(collection, config, cache, num_workers=num_workers)
preparing = time.perf_counter() - started
features.counts()

# %%
lab.takeaway(
    f"When it was killed, {len(left)} part was done.",
    {
        "The second call made the rest.": len(left) > 0,
        "Either all was there from an earlier run, or it was killed too soon.": True,
    },
)

# %% [markdown]
# ## 6. Training, stopped and resumed
#
# After each pass over the training clips, `cm.train` backs up weights, the optimiser's averages, and where it was in
# order and noise. We press the stop button in the second pass; then the same function is called again, with a *new*
# model, as after a crash. (That the result is that of a training that was never stopped, up to rounding, takes two
# trainings to show. A test of the project does it.)

# %%
steps_in_all = setting.num_steps(plan)
name = f"{size}-{steps_in_all}x{setting.batch_size}-{setting.precision}-{seed}-{features.path.name}"
run = home / name
begun = []


def keep_training(stop_at=None):
    """Trains or goes on; at step `stop_at` somebody presses the stop button."""

    def press_stop(batch, logs):
        if int(model.optimizer.iterations) == stop_at:
            raise KeyboardInterrupt

    model = plan.new_model(features.genres, seed, setting.precision)
    note = keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: begun.append(int(model.optimizer.iterations)), on_train_batch_end=press_stop
    )
    cm.train(
        model, features, steps_in_all, batch_size=setting.batch_size, seed=seed, jit_compile=setting.jit_compile,
        backup_dir=run / "backup", callbacks=[lab.StepCSVLogger(run / "curve.csv"), note], verbose=0,
    )  # fmt: skip
    return model


# %%
in_a_pass = len(features.subset("train")) // setting.batch_size
started = time.perf_counter()
if not (run / "model.keras").exists():
    try:
        keep_training(stop_at=in_a_pass + 3).save(run / "model.keras")
    except KeyboardInterrupt:
        print(
            f"stopped at step {in_a_pass + 3}; on disk: {sorted(path.name for path in run.iterdir())}"
        )

# %%
if not (run / "model.keras").exists():
    keep_training().save(run / "model.keras")
training = time.perf_counter() - started
model = cm.load_model(run / "model.keras", config)
print("steps at which it began:", begun)

# %%
lab.takeaway(
    f"Stopped at step {in_a_pass + 3}, it went on from step {max(begun, default=0)}.",
    {
        "A pass is the most that a stop can cost.": len(begun) == 2 and begun[1] > 0,
        "It is the model of an earlier run, found on disk.": not begun,
        "No pass was complete, so it began anew.": True,
    },
)

# %% [markdown]
# ## 7. Was the bill right?
#
# Now we know what came. The estimate promises counts and bytes to a factor of 1.5; times depend on what else the
# machine had to do. Memory is the most that this notebook has held so far.

# %%
counts = features.counts().sum()
came = pd.Series(
    {
        "clips to train on": counts["train"],
        "clips held out": counts["validation"] + counts["test"],
        "features on disk (MB)": sum(path.stat().st_size for path in features.path.iterdir()) / 1e6,
        "memory at most (MB)": lab.peak_memory() / 1e6,
        "minutes to prepare": preparing / 60 if left else np.nan,
        "minutes to train": training / 60 if begun else np.nan,
    }
)
came_true = bill.assign(came=came, factor=came / bill["estimate"])[
    ["estimate", "low", "high", "came", "factor"]
]
came_true.dropna().round(2)

# %%
told = came_true["factor"][
    ["clips to train on", "clips held out", "features on disk (MB)"]
]
worst = np.exp(np.abs(np.log(told)).max())
lab.takeaway(
    f"Of clips and bytes, the worst estimate was wrong by a factor of {worst:.2f}.",
    {
        "The bill was right.": worst < 1.5,
        "The bill was wrong: the files differ more than a dozen can tell.": True,
    },
)

# %% [markdown]
# ## 8. Is my run normal?
#
# It is the first thing that everybody asks. The grey bands are runs that were normal: on real music, four styles from
# game soundtracks, three seeds of each size. Time is counted in steps, since a pass is of another length for everybody.
#
# - The **error** falls fast, then slowly. If it stays where it began, look at `features.report`, then at the levels of
#   the clips: silence and noise both end here. How high it lies depends on the music.
# - The **KL divergence** rises from nothing and stays high. If it falls back to nothing, the latent is unused (notebook
#   05).
# - The **swap loss** falls far below a blind guess (dotted): the model's classifiers hear the genre that was asked for. If it stays
#   there while the KL grows, the label is ignored; or nobody could tell your genres apart.

# %%
normal = lab.read_rows("normal_real").query("size == @size")
curve = pd.read_csv(run / "curve.csv")
units = {"rms_db": "error (dB)", "kl": "KL (nats)", "swap": "swap loss (nats)"}
fig, axes = plt.subplots(1, 3, figsize=(11, 3), layout="constrained")
for ax, (metric, unit) in zip(axes, units.items(), strict=True):
    low, high = lab.reference_range(normal, metric, curve["step"])
    ax.fill_between(curve["step"], low, high, color="0.8", label="normal, real music")
    ax.plot(curve["step"], curve[metric], ".-", color=cm.COLOURS[0], label="your run")
    ax.set(xlabel="step", ylabel=unit, ylim=(0, None))
axes[2].axhline(
    np.log(features.num_genres), color="0.3", linestyle=":", label="blind guess"
)
axes[2].legend(fontsize="small")
seen = "Error, KL divergence and swap loss by step, over grey bands of normal runs."
session.show_figure(fig, "10_normal", seen)

# %%
last = curve["step"].max()
third = len(curve) // 3
low, high = lab.reference_range(normal, "rms_db", [last])
error = curve["rms_db"].iloc[-1]
lab.takeaway(
    f"At step {last} the error is {error:.1f} dB.",
    {
        "It lies above the runs on real music: other music, other levels.": bool(error > high[0]),
        "It lies among the runs on real music.": bool(low[0] <= error <= high[0]),
        "It lies below the runs on real music: this music repeats itself more.": bool(error < low[0]),
        "No run of this size and length is known.": True,
    },
)
signs = {
    "error": error < 0.95 * curve["rms_db"].iloc[third],
    "KL": curve["kl"].iloc[-1] > max(5.0, 0.8 * curve["kl"].iloc[third]),
    "swap loss": curve["swap"].iloc[-1] < 0.6 * np.log(features.num_genres),
}
lab.takeaway(
    f"Of three signs of health, {sum(signs.values())} are there.",
    {
        "Wherever the curves lie, they have the right shape.": all(signs.values()),
        f"Look at: {', '.join(name for name, is_good in signs.items() if not is_good)}.": True,
    },
)

# %% [markdown]
# ## 9. What can be expected of it?
#
# Two judges of different make learn the genres from the training split, and say what they hear: in real test clips
# (the *ceiling*), in clips of a genre that was asked for while the latent comes from any genre (*fresh draws*), in test
# clips played as another genre (*swap*), and in clips whose latent was drawn for the genre asked for
# (*class-conditional*, where the latent may give the answer and not the label). *Sharpness* and *diversity* are generated
# over real: 1 is right. Neither kind is an outside opinion: the model is trained with a contrast loss close to sharpness,
# and the judges learn from degraded clips as its classifiers do. Judges and scores are kept on disk as well, so that a
# stop here costs nothing twice.

# %%
judges = lab.open_judges(features, session, "train", num_steps=num_judge_steps)
score_path = run / "scores.csv"
if not score_path.exists():
    lab.evaluate_model(model, features, judges, seed=seed).to_csv(
        score_path, header=["score"]
    )
score = pd.read_csv(score_path, index_col=0)["score"]
lab.obedience_table(score, judges).round(2)

# %% [markdown]
# Beside it, what the series has reached with the size that ships, over three seeds: on composed music, and on the real
# music of the grey bands. **Guess** which rows a few minutes come near to.

# %%
rows = {
    "reconstruction_rms_db": "error (dB)",
    "cnn_real": "judge on real clips",
    "cnn_fresh": "fresh-draw obedience",
    "cnn_swap": "swap obedience",
    "descriptors_swap": "swap obedience, second judge",
    "cnn_diversity": "diversity",
    "sharpness_reconstruction": "sharpness, rebuilt",
    "sharpness_sampled": "sharpness, new clips",
}
tables = [
    lab.read_rows(f"foundation_{name}").query("kind == 'cvae'")
    for name in ("known", "real_music")
]
known, real = (table.mean(numeric_only=True) for table in tables)
board = pd.DataFrame(
    {"your run": score, "standard, composed music": known, "standard, real music": real}
)
board.loc[list(rows)].rename(rows).style.format(precision=2, na_rep="–")

# %%
sharp = board.loc["sharpness_sampled"]
composed = sharp["standard, composed music"]
lab.takeaway(
    f"Sharpness of new clips: yours {sharp['your run']:.2f}; at full size "
    f"{sharp['standard, real music']:.2f} on real music, {composed:.2f} on composed.",
    {
        "Detail is what minutes do not buy.": sharp["your run"] < composed,
        "Yours is as sharp as composed music at full size.": True,
    },
)
can_tell = score["cnn_real"] >= (1 + score["chance"]) / 2
lab.takeaway(
    f"Swaps obey in {score['cnn_swap']:.0%}, against {score['cnn_real']:.0%} of real clips that the judge knows.",
    {
        "It listens to the label.": can_tell and score["cnn_swap"] > 0.8 * score["cnn_real"],
        "Nobody can tell these genres apart yet.": not can_tell,
        "It listens, but not always.": score["cnn_swap"] > (1 + score["chance"]) / 3,
        "It does not listen yet.": True,
    },
)

# %% [markdown]
# So expect, of a real run on real music: the genre, the beat and the character of the sound; not the detail of a
# recording. Fifty tracks of a genre are few, and a model that hears them for hours learns them by heart: the validation
# error then rises while the training error falls. More music is the cure, not more steps.
#
# ## 10. Listen, and play
#
# First a test clip as it is, then new ones by the model, in the tempo of the test clip.

# %%
real_one = cm.load_window(features.subset("test").table.iloc[0], config)
new = [
    cm.make_clip(model, genre=genre, seed=seed, tempo=real_one.tempo)
    for genre in features.genres[:3]
]
heard = vars(real_one) | {"label": "a real test clip"}
cm.show_clips(
    [heard, *(vars(clip) | {"label": f"new, {clip.genre}"} for clip in new)],
    config,
    num_columns=2,
)

# %% [markdown]
# The ten lines of notebook 08 are a studio for your model too.

# %% tags=["widget"]
genre = widgets.Dropdown(options=model.genres, description="genre")
idea = widgets.BoundedIntText(value=3, max=10**6, description="seed")
tempo = widgets.IntSlider(value=110, min=60, max=200, continuous_update=False, description="tempo")


def play(genre, seed, tempo):
    clip = cm.make_clip(model, genre=genre, seed=seed, tempo=tempo)
    cm.show_clips(clip, config)


output = widgets.interactive_output(play, {"genre": genre, "seed": idea, "tempo": tempo})
widgets.VBox([genre, idea, tempo, output])

# %% [markdown]
# The large one, with sliders, a map, morphs and your own clips, takes its measurements first:
#
# ```python
# controls = cm.fit_controls(model, features)
# cm.Studio(model, controls)
# ```
#
# ## 11. Take it with you
#
# `model.keras` goes on training where it stands. For playing, a file in half precision is a seventh of that. **Guess**
# whether the difference can be heard.

# %%
cm.save_compact(model, run / "model.npz")
again = cm.load_model(run / "model.npz")
pair = [cm.make_clip(each, genre=model.genres[0], seed=seed).log_mel for each in (model, again)]
megabytes = {path.name: path.stat().st_size / 1e6 for path in sorted(run.glob("model.*"))}
difference = np.abs(pair[0] - pair[1]).mean()
lab.takeaway(
    f"{megabytes['model.keras']:.1f} MB or {megabytes['model.npz']:.1f} MB; their clips differ by {difference:.2f} dB.",
    {"Nobody will hear that.": difference < 0.5, "That can be heard: keep the large file.": True},
)

# %% [markdown]
# Anywhere else, with the project installed from its zip or folder:
#
# ```python
# import cvae_music as cm
#
# model = cm.load_model("model.npz")
# clip = cm.make_clip(model, genre=model.genres[0], tempo=110, seed=3)
# cm.write_audio("clip.mp3", clip.samples, model.audio_config)
# ```
#
# ## 12. The real run: a GPU, FMA, more than one machine
#
# - **Your folder.** `num_tracks = 0`, `num_steps = 0`, `size = "standard"`; run to the bill, then the rest.
# - **FMA on Kaggle.** Attach `imsparsh/fma-free-music-archive-small-medium`, set `data = "fma"`, `subset = "small"` or
#   `"medium"`, and a GPU in the settings. On Colab, `download = True` fetches it through kagglehub: 30 GB, so look at
#   the disk first. FMA's own split is kept, artists on one side each.
# - **A large model.** `size = "large"` hears sixteen beats and has wider and deeper networks. No table of this series
#   stands behind it: its scores are yours to find.
# - **More than one machine.** Preparation spreads over a cluster, features stream from shards, and training runs on
#   several devices: `data/shards` and `examples/multi_worker` hold it, and the map in `lib/README.md` says where.

# %%
rows = {}
for name, each in lab.SIZES.items():
    kilobytes = 2 * np.prod(each.config.shape) / 1e3
    parameters = each.new_model(features.genres).count_params() / 1e6
    rows[name] = (
        each.config.num_beats,
        kilobytes,
        parameters,
        each.num_steps,
        each.batch_size,
    )
columns = ["beats", "kB a clip", "parameters (millions)", "steps", "clips a step"]
pd.DataFrame.from_dict(rows, orient="index", columns=columns).round(1)

# %% [markdown]
# The measures of the rehearsal on its own folder, with ranges from several runs of this notebook. With other music, or
# other parameters, read them as orders of magnitude.

# %%
ranges = [
    ("worst estimate of clips and bytes, factor", worst, 1.0, 1.5),
    ("error at the end of training (dB)", error, 5.0, 11.0),
    ("KL at the end (nats)", curve["kl"].iloc[-1], 30.0, 150.0),
    (
        "swap loss at the end, over a blind guess",
        curve["swap"].iloc[-1] / np.log(features.num_genres),
        0.0,
        0.6,
    ),
    ("swap obedience, first judge", score["cnn_swap"], 0.6, 1.0),
    ("sharpness of new clips", score["sharpness_sampled"], 0.3, 0.8),
]
checks = pd.DataFrame(ranges, columns=["measure", "your run", "from", "to"])
checks["normal"] = np.where(
    checks["your run"].between(checks["from"], checks["to"]), "yes", "look"
)
checks.round(2)

# %% [markdown]
# ## What to take along
#
# - A rehearsal on a few tracks finds out in minutes what a night would have told you in the morning.
# - An estimate without its error is a guess. A dozen files, spread over their sizes, say much about thousands.
# - Which setting is fastest is a property of the machine: measure, do not believe.
# - What takes long must survive a kill, and you have seen it killed.
#
# ## Limits
#
# - The probe assumes that the rest of the folder is like its sample. A folder of symphonies with a dozen ring tones in
#   it will surprise it.
# - Times are those of the moment. A shared machine is slower an hour later.
# - The judges learn from your own tracks: two genres that nobody can tell apart have a low ceiling, and no model can
#   pass it.
# - A model learns what the files hold, rights included. Train on music that you may use so.
#
# ## Exercises
#
# 1. **The error of an estimate** (10 minutes, medium). Write the formula of section 2. The cell below it says whether
#    yours is right.
# 2. **A bill for another size** (5 minutes, easy). What would the standard size cost on your folder? `time_steps` times
#    one setting, and `estimate_cost` takes a table of one row with `chosen=True`.
# 3. **Kill it yourself** (5 minutes, easy). Choose a new `seed`, press the stop button while section 6 trains, restart
#    the kernel, run all. At which step did it begin?
#
# Solutions are in `solutions/10_your_own_music`. Next: notebook 11, back to sound, asks how a picture becomes sound
# again.

# %% tags=["exercise"]
def total_of_all(values, population):
    """Estimate, low and high end of the sum over `population` files, of which a few were read."""
    estimate = population * np.mean(values)  # exercise 1: the range is missing
    return estimate, estimate, estimate

# %% tags=["check"]
cases = {
    "two of ten": ([2.0, 4.0], 10, 8 * 5**0.5),
    "four of four": ([1.0, 2.0, 3.0, 6.0], 4, 0.0),
}
for name, (values, population, spread) in cases.items():
    expected = population * np.mean(values) + np.array([0.0, -spread, spread])
    got = np.array(total_of_all(np.array(values), population), float)
    is_right = np.allclose(got, expected)
    print(
        f"{name}: {'right' if is_right else f'not yet: expected {expected.round(2)}, got {got.round(2)}'}"
    )

# %% [markdown]
# <!-- links: made by tools/badges.py -->
# Before: [09 discriminator](09_discriminator.ipynb).
# After: [11 back to sound](11_back_to_sound.ipynb).
# [Solutions](solutions/10_your_own_music.ipynb) of the exercises.
# <!-- end of links -->
