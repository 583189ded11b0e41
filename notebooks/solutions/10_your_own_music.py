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
# # Solutions to notebook 10, your own music
#
# <!-- links: made by tools/badges.py -->
# The notebook: [10 your own music](../10_your_own_music.ipynb)
# <!-- end of links -->
#
# This notebook can be run without notebook 10. If `data` is not a folder of yours, it composes a small folder first.
# The numbers in the text are those of this composed music.

# %% tags=["parameters"]
data = "known"  # or the path of a folder of genres, or of FMA
seed = 0
repository_zip = ""
num_tracks = 6  # of each genre

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

# %%
import dataclasses

import keras
import numpy as np
import pandas as pd

import known_music

# The folder: yours, or composed pieces of 32 beats, six a genre.
music = session.output_dir / "music_of_solutions" if data == "known" else data
if data == "known":
    for row in known_music.draw_factors(
        len(known_music.GENRES) * num_tracks, seed
    ).to_dict("records"):
        path = music / row["genre"] / f"{row['seed']}.wav"
        cm.write_audio(path, known_music.compose(row, config.sample_rate, 32), config)
collection = lab.take_tracks(cm.open_collection(music, seed=seed), num_tracks, seed)
files = lab.probe_files(collection, config)

# %% [markdown]
# ## 1. The error of an estimate
#
# The estimate is $N \bar x$, the number of all files times the mean of those that were read. Low and high end are two
# standard errors of the mean below and above it, also times $N$. `ddof=1` divides by $n - 1$ in the standard deviation.

# %% tags=["exercise"]
def total_of_all(values, population):
    """Estimate, low and high end of the sum over all files, a few of which were read."""
    left = max(0.0, 1.0 - len(values) / population)  # share of files that were not read
    error = np.std(values, ddof=1) / np.sqrt(len(values)) * np.sqrt(left)
    return tuple(population * (np.mean(values) + sign * error) for sign in (0, -2, 2))

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
# Is this range wide enough? Here we read every file, so we know the true sum of their clips. Then we draw twelve files
# 1,000 times, and look how often the range holds the true sum. Two standard errors should hold it in 19 draws of 20. We
# draw in two ways:
#
# - **at random**;
# - **spread over sizes**, which is close to what the probe of the notebook does: the files are sorted by size and cut
#   into twelve groups, and one file is drawn from each.

# %%
every = lab.probe_files(collection, config, num_sources=len(collection))
windows = every["train_windows"].to_numpy()  # from the smallest file to the largest
few = min(12, len(windows) - 1)
rng = np.random.default_rng(seed)
groups = np.array_split(windows, few)
draws = {
    "at random": lambda: rng.choice(windows, few, replace=False),
    "spread over sizes": lambda: np.array([rng.choice(group) for group in groups]),
}

# %%
table = {}
for name, draw in draws.items():
    ranges = np.array([total_of_all(draw(), len(windows)) for _ in range(1000)])
    # The columns of `ranges` are estimate, low and high end.
    holds = (ranges[:, 1] <= windows.sum()) & (windows.sum() <= ranges[:, 2])
    wrong = np.abs(ranges[:, 0] / windows.sum() - 1)  # as a share of the sum
    table[name] = {"ranges that hold": holds.mean(), "mean error": wrong.mean()}
counts = pd.Series(windows).value_counts().sort_index()
print("files by number of clips:", counts.to_dict())
pd.DataFrame(table).T.round(2)

# %% [markdown] tags=["lesson"]
# **What we learned.** No, the range is too narrow. It holds the sum in 53% of the random draws, where nineteen in
# twenty should. A draw spread over the sizes hardly helps (55%). The reason is in the counts: 31 files give 13 clips,
# but one file gives only 4, and one gives 29. A draw that misses these two finds almost no spread, so its range becomes
# too narrow. The estimate itself is good: its mean error is 0.04 of the sum.

# %% [markdown]
# ## 2. The cost of another size
#
# What would the standard size cost on this folder? `lab.time_steps` times three of its steps in the plainest setting:
# 32 clips a step, single precision, no XLA. `lab.estimate_cost` wants its results as a table of settings with one row
# chosen. It also wants a table of workers. We take one worker: its minutes are the mean time of a file, times the
# number of files.

# %%
size = lab.SIZES["standard"]
setting = lab.StepConfig()
times = lab.time_steps(size, collection.genres, setting, num_steps=3)
row = dataclasses.asdict(setting) | times | {"chosen": True}
minutes = files["seconds"].mean() * len(collection) / 60
workers = pd.DataFrame([{"workers": 1, "minutes": minutes, "chosen": True}])
steps = pd.DataFrame([row])
cost = lab.estimate_cost(collection, size, files, workers, steps, session.cache_dir)
cost.round(1)

# %% [markdown] tags=["lesson"]
# **What we learned.** On this machine the training of the standard size would take about 21.2 minutes, and the
# preparation 0.1. Memory and disk are enough (*fits*). The range of the minutes, 19.1 to 30.6, is too narrow, because
# the probe runs for seconds and other programs come and go during the training. Notebook 10 therefore halves its low
# end and doubles its high end (section 3). On another machine the numbers are others.

# %% [markdown]
# ## 3. Kill it yourself
#
# You stop the training by hand. Here a callback does it. It raises the `KeyboardInterrupt` of the stop button in the
# second pass of a small model. Then we call the same function again, and another callback notes the step at which it
# begins.

# %%
features = cm.build_features(collection, config, session.cache_dir, progress=False)
quick = dataclasses.replace(lab.SIZES["quick"], num_steps=12)
backup = session.output_dir / "models" / f"stopped-{seed}-{features.path.name}"
begun = []


def keep_training(stop_at=None):
    """Trains a new model for two passes, or goes on from the backup."""

    def press_stop(batch, logs):
        if int(model.optimizer.iterations) == stop_at:
            raise KeyboardInterrupt

    model = quick.new_model(features.genres, seed)
    note = keras.callbacks.LambdaCallback(
        on_train_begin=lambda logs: begun.append(int(model.optimizer.iterations)),
        on_train_batch_end=press_stop,
    )
    cm.train(
        model,
        features,
        2 * in_a_pass,  # steps; the next cell counts those of a pass
        seed=seed,
        backup_dir=backup,
        callbacks=[note],
        verbose=0,
    )


# %%
in_a_pass = len(features.subset("train")) // 32  # 32 clips a step
try:
    keep_training(stop_at=in_a_pass + 2)
except KeyboardInterrupt:
    print(f"stopped at step {in_a_pass + 2}")
keep_training()
print(f"it began at step {begun[-1]}; a pass has {in_a_pass} steps")

# %% [markdown] tags=["lesson"]
# **What we learned.** Stopped at step 11, the training went on from step 9, the end of the first pass. The backup is
# written there, so only the two steps after it were lost. A training that is stopped in its first pass has no backup,
# and begins at step 0 again.

# %% [markdown]
# <!-- links: made by tools/badges.py -->
# The notebook: [10 your own music](../10_your_own_music.ipynb)
# <!-- end of links -->
