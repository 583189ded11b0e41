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
# # How few numbers hold eight beats of music, and why can't we sample them?
#
# *To open this on Colab: File, Upload notebook, choose this file; put the zip of the project into the Files pane
# and set `repository_zip = "file:///content/<name of the zip>"` below.*
#
# **What you will hear at the end:** test clips beside what is left of them after a squeeze through a short list of numbers; a
# point half-way between two pieces; and what comes out when the list is filled at random, which is the reason
# for the next notebook.
#
# **What you need to know:** what a log-mel picture is (notebook 01), what a matrix product does, and that a network learns by
# following gradients. Every other term is defined where it first appears.
#
# > **Time:** 2 minutes on two CPU cores with the shipped weights and features from the cache.
# > Last full run: 2026-11-23.

# %% tags=["parameters"]
data = "known"  # or the path of a folder of genres, or of FMA
seed = 0
repository_zip = ""
num_clips = 2400  # known-factor music only
weights = "pretrained"  # or "train"; other music is always trained on
num_full_steps = 1440  # of the full training, where no weights are loaded
num_epochs = 30  # of the small networks in section 3

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
import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from cvae_lab import evaluation
from cvae_lab.lessons import lesson, show_source
from cvae_lab.pretrained import open_model
from keras import layers
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KNeighborsClassifier

from cvae_music.audio.files import write_audio
from cvae_music.audio.inversion import to_audio
from cvae_music.config import AudioConfig
from cvae_music.data.clips import load_clip
from cvae_music.data.features import build_features
from cvae_music.data.sources import open_collection
from cvae_music.models.networks import build_encoder
from cvae_music.players import show_clips
from cvae_music.plots import COLOURS, MARKERS, plot_history, plot_latent_map, plot_log_mel, show_figure

# %% [markdown]
# Two small functions keep the notebook honest. `lesson` prints what we learned with numbers that a cell computed, so
# the sentence changes with your data. `show_source` prints code of the library: what you read is what runs.

# %%
config = AudioConfig()
features = build_features(open_collection(data, num_clips=num_clips, seed=seed), config, session.cache_dir)


def some_clips(split, limit):
    """Clips of a split spread over it, `limit` at most: scaled pictures, genre indices, rows in the split."""
    part = features.subset(split)
    rows = np.linspace(0, len(part) - 1, min(limit, len(part))).astype(int)
    return config.scale(part.log_mel[rows]), part.genre_index[rows], rows

# %%
train, train_genre, _ = some_clips("train", 2000)
held, held_genre, _ = some_clips("validation", 300)
test, test_genre, test_rows = some_clips("test", 300)
num_cells = train[0].size
print(f"{len(train):,} training clips, {len(test)} test clips, {num_cells:,} numbers in each")

# %% [markdown]
# ## 1. How much of a clip is news?
#
# A clip is a picture of time by mel bands. Most of its numbers are no news: bass follows bass, the second bar repeats
# the first. If a short list $z$ is enough to rebuild the picture $x$ as $\hat x$, the rest was repetition. We
# measure what is lost as the **RMS error** in dB over all $D$ cells of all clips,
#
# $$\text{error} = \sqrt{\frac1D \sum_i (x_i - \hat x_i)^2} .$$
#
# **Question.** How large is the error with *no* numbers at all, when every clip is answered with the average clip?
# **Guess** in dB; the picture spans the range from floor to ceiling that the configuration sets.

# %%
def error_db(real, rebuilt):
    """RMS error in dB of scaled clips."""
    return evaluation.reconstruction_rms_db(real, rebuilt) * config.db_per_unit


average = train.mean(axis=0)
error_of_average = error_db(test, np.broadcast_to(average, test.shape))
lesson(f"Without a single number the error is {error_of_average:.1f} dB, of a range of {config.ceiling_db - config.floor_db:.0f} dB.")

# %% [markdown]
# ## 2. The baseline: a flat sheet
#
# **Principal component analysis** (PCA) finds the $k$ directions $W$ along which clips differ most. The list is where a clip
# lies along them, and the way back is a sum of these directions:
#
# $$z = W^\top (x - \mu), \qquad \hat x = \mu + W z .$$
#
# Among all *linear* ways to use $k$ numbers, none has a smaller squared error on the training clips. It is the baseline that
# everything later has to beat. **Guess** how many numbers halve the error above.

# %%
num_directions = min(256, len(train) - 1)
pca = PCA(num_directions, svd_solver="randomized", random_state=seed).fit(train.reshape(len(train), -1))


def pca_rebuild(clips, size):
    directions = pca.components_[:size]
    latent = (clips.reshape(len(clips), -1) - pca.mean_) @ directions.T
    return (pca.mean_ + latent @ directions).reshape(clips.shape)

# %%
sizes = [size for size in (1, 2, 4, 8, 16, 32, 64, 96, 128, 192, 256) if size <= num_directions]
pca_test = pd.Series({size: error_db(test, pca_rebuild(test, size)) for size in sizes}, name="test")
pca_train = pd.Series({size: error_db(train, pca_rebuild(train, size)) for size in sizes}, name="training")
pd.concat([pca_test, pca_train], axis=1).T.round(2)

# %%
fig, axes = plt.subplots(1, 4, figsize=(13, 2.8), sharey=True, layout="constrained")
pictures = {"original": test[0]} | {f"{size} numbers": pca_rebuild(test[:1], size)[0] for size in sizes[3:8:2]}
for ax, (title, picture) in zip(axes, pictures.items(), strict=False):
    image = plot_log_mel(config.unscale(picture), config, ax=ax, title=title)
    ax.label_outer()
fig.colorbar(image, ax=axes, label="level (dB)")
show_figure(fig, "02_pca", "A clip and three PCA versions: the beat comes first, the lines of the notes much later.")

# %%
half = pca_test.index[pca_test < error_of_average / 2]
lesson(
    f"{sizes[-1]} numbers in place of {num_cells:,} leave {pca_test.iloc[-1]:.2f} dB. The error is halved "
    f"{f'from {half[0]} numbers on' if len(half) else 'by none of these sizes'}. In the pictures above, what every beat "
    f"repeats comes with the first numbers, and what happens once comes last. On its training clips the error is {pca_train.iloc[-1]:.2f} dB: "
    "some directions fit clips that it has seen and no others."
)

# %% [markdown]
# ## 3. Bend the sheet
#
# PCA can only add pictures up. Moving a note up by one semitone is no addition, nor is doubling the density of the
# hi-hat: clips lie on a *curved* sheet. An **autoencoder** has two networks: the **encoder** turns a clip into the list $z$,
# called its **latent**, the **decoder** turns it back. Both learn together from the reconstruction error,
#
# $$\text{loss} = \frac1D \sum_i \big(x_i - \text{decoder}(\text{encoder}(x))_i\big)^2 .$$
#
# To see what bending buys, we begin small. The first step is PCA to as many directions as above; two small networks
# squeeze these further, and a straight path beside the bent one lets them start from what PCA can do.
# **Guess** at which size the bend helps most: 2, 8 or 32 numbers.

# %%
def build_small_autoencoder(size, num_inputs, width=256):
    """Two layers into `size` numbers, two layers back."""
    clip = keras.Input((num_inputs,))
    hidden = layers.Dense(width, activation="gelu")(layers.Dropout(0.1)(clip))
    latent = layers.Dense(size)(layers.Concatenate()([clip, layers.Dense(width, activation="gelu")(hidden)]))
    hidden = layers.Dense(width, activation="gelu")(latent)
    rebuilt = layers.Dense(num_inputs)(layers.Concatenate()([latent, layers.Dense(width, activation="gelu")(hidden)]))
    return keras.Model(clip, rebuilt)

# %%
unit = np.sqrt(pca.explained_variance_[0])  # brings the inputs to about 1
inputs = {name: pca.transform(clips.reshape(len(clips), -1)) / unit for name, clips in (("train", train), ("held", held), ("test", test))}


def fit_small(size):
    keras.utils.set_random_seed(seed)
    model = build_small_autoencoder(size, num_directions)
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(2e-3, num_epochs * len(train) // 32)), loss="mse")
    history = model.fit(
        inputs["train"], inputs["train"], epochs=num_epochs, batch_size=32, verbose=0,
        validation_data=(inputs["held"], inputs["held"]),
    )  # fmt: skip
    return model, history.history

# %%
small_sizes = (2, 8, 32)
small = {size: fit_small(size) for size in small_sizes}

# %% [markdown]
# ### Is my run normal?
#
# Each curve should fall fast at first and then slowly. The horizontal lines are PCA with as many numbers, on validation clips: a dashed
# curve that ends above its line has not been trained for long enough. Dropout acts in training only, so the dashed curve may
# stay below the solid one. A dashed curve that turns upwards while the solid one falls would mean that clips are learned by heart.

# %%
fig, axes = plt.subplots(1, 3, figsize=(11, 3), layout="constrained")
for ax, size in zip(axes, small_sizes, strict=True):
    left = pca_rebuild(held, num_directions) - pca_rebuild(held, size)
    plot_history(small[size][1], ax, unit="squared error (training units)")
    ax.axhline(np.mean(np.sum(left**2, axis=(1, 2))) / unit**2 / num_directions, color="0.4", linestyle="-.", label="PCA, validation")
    ax.set(title=f"{size} numbers", yscale="log")
    ax.legend()
show_figure(fig, "02_small_training", "Three falling curves; dash-dotted lines mark what PCA reaches with as many numbers.")

# %%
def small_rebuild(size):
    coefficients = np.asarray(small[size][0](inputs["test"], training=False)) * unit
    return pca.inverse_transform(coefficients).reshape(test.shape)


small_test = pd.Series({size: error_db(test, small_rebuild(size)) for size in small_sizes}, name="bent")
bending = pd.concat([pca_test[list(small_sizes)].rename("flat (PCA)"), small_test], axis=1)
bending["gain (dB)"] = bending["flat (PCA)"] - bending["bent"]
bending.rename_axis("numbers").round(2)

# %%
gains = ", ".join(f"{gain:.2f} dB at {size}" for size, gain in bending["gain (dB)"].items())
lesson(
    f"Bending lowers the error by {gains} numbers (a negative gain means that PCA wins). Seen the other way round: bent lists of {small_sizes[-1]} "
    f"numbers come to {small_test.iloc[-1]:.2f} dB, for which PCA needs {np.interp(-small_test.iloc[-1], -pca_test, pca_test.index):.0f}. "
    "PCA is a strong opponent: always measure it first."
)

# %% [markdown]
# ## 4. The autoencoder of this series
#
# The series' networks work on the picture itself. Time is their axis and mel bands are their channels: a **convolution** looks at a few
# neighbouring moments at once and uses the same weights at every moment. The latent has two parts. A *global* part describes the whole
# clip; a *local* part gives each beat a few numbers of its own. Here is the encoder, from the library:

# %%
show_source(build_encoder)

# %% [markdown]
# The decoder runs the other way: from beats to half beats, quarter beats and single frames, and the global part scales and shifts
# every block on the way. It stands next to the encoder in `networks.py`.

# %%
model = open_model("autoencoder", features, session, weights, num_steps=num_full_steps)
print(
    f"{model.latent_dim} numbers: {model.global_dim} for the clip, {model.local_dim} for each of {config.num_beats} beats; "
    f"{model.count_params():,} weights"
)

# %% [markdown]
# **Question.** How does it compare with PCA that may use as many numbers? **Guess** before you look.

# %%
latents = {name: model.encode(clips)[0] for name, clips in (("train", train), ("held", held), ("test", test))}
rebuilt = model.decode(latents["test"])
real_db, rebuilt_db = config.unscale(test), config.unscale(rebuilt)
model_error = error_db(test, rebuilt)
same_size = pca_rebuild(test, min(model.latent_dim, num_directions))
same_size_error = error_db(test, same_size)

# %%
fig, ax = plt.subplots(figsize=(6.5, 3.6), layout="constrained")
ax.semilogx(pca_test.index, pca_test, color=COLOURS[0], marker=MARKERS[0], base=2, label="PCA")
ax.plot(small_test.index, small_test, color=COLOURS[1], marker=MARKERS[1], label="small networks")
ax.plot(model.latent_dim, model_error, color=COLOURS[4], marker=MARKERS[7], markersize=12, linestyle="", label="autoencoder")
ax.axhline(error_of_average, color="0.4", linestyle=":", label="average clip")
ax.set(xlabel="numbers in the latent", ylabel="error on test clips (dB)", ylim=(0, None))
ax.set_xticks(2 ** np.arange(9), 2 ** np.arange(9))
ax.legend()
show_figure(fig, "02_error", "Error falls with the number of latents; the autoencoder's star against PCA's curve.")

# %%
sharp = {name: evaluation.sharpness_ratio(config.unscale(part), real_db) for name, part in (("pca", same_size), ("ae", rebuilt))}
lesson(
    f"With {model.latent_dim} numbers the autoencoder's error is {model_error:.2f} dB, that of PCA {same_size_error:.2f} dB. **Sharpness**, how far lines "
    f"stand out along the mel axis relative to real clips (1 is right, less is blur), is {sharp['ae']:.2f} against {sharp['pca']:.2f}."
)

# %% [markdown]
# Now listen. All three versions of a clip: the recording, the recording after the trip into a picture and back, and the picture rebuilt
# by the autoencoder. The second is the fair comparison, since the first never lost its phases. We take the clip with the
# median error and the one with the largest.

# %%
clip_errors = np.sqrt(((real_db - rebuilt_db) ** 2).mean(axis=(1, 2)))
order = clip_errors.argsort()
test_table = features.subset("test").table.iloc[test_rows].reset_index(drop=True)


def as_clip(picture_db, label, tempo=110.0, samples=None):
    samples = to_audio(picture_db, config, tempo, seed=seed) if samples is None else samples
    name = label.replace(",", "").replace(" ", "_")
    write_audio(session.clips_dir / f"02_{name}.wav", samples, config)
    return {"log_mel": picture_db, "samples": samples, "label": label, "tempo": tempo, "seed": seed}

# %%
heard = []
for row in (order[len(order) // 2], order[-1]):
    about = test_table.loc[row]
    name, tempo = about["genre"], about["tempo"]
    recording = load_clip(features.subset("test"), int(test_rows[row]))
    heard.append(as_clip(real_db[row], f"{name}, original", tempo, recording))
    heard.append(as_clip(real_db[row], f"{name}, round trip", tempo))
    heard.append(as_clip(rebuilt_db[row], f"{name}, rebuilt", tempo))
show_clips(heard, config, name="02_rebuilt", alt="Two clips, each as original, after the round trip, and rebuilt with softer detail.")

# %%
bands = {"lower half of the bands": slice(0, config.n_mels // 2), "upper half": slice(config.n_mels // 2, None)}
by_band = {name: evaluation.reconstruction_rms_db(real_db[..., part], rebuilt_db[..., part]) for name, part in bands.items()}
by_genre = pd.Series(clip_errors).groupby(test_table["genre"]).mean().sort_values()
lesson(
    f"The two clips have errors of {clip_errors[order[len(order) // 2]]:.1f} and {clip_errors[order[-1]]:.1f} dB. Best rebuilt is {by_genre.index[0]} ({by_genre.iloc[0]:.1f} dB), worst {by_genre.index[-1]} ({by_genre.iloc[-1]:.1f} dB). "
    + ", ".join(f"{name}: {value:.2f} dB" for name, value in by_band.items()) + "."
)

# %% [markdown]
# ## 5. What do the numbers know?
#
# Nobody told the autoencoder about genres. **Question.** Are they in the latents anyway? We look at the plane of the two directions in which
# the latents vary most, and ask a **nearest-neighbour** vote: which genre do the five training latents closest to a test latent have?
# **Guess** the share of right answers.

# %%
centre, spread = latents["train"].mean(axis=0), latents["train"].std(axis=0) + 1e-6


def standard(latent):
    """Latents with each dimension at mean 0 and spread 1 over the training clips."""
    return (latent - centre) / spread


plane = PCA(2, random_state=seed).fit(standard(latents["train"]))
vote = KNeighborsClassifier(5).fit(standard(latents["train"]), train_genre)
accuracy = vote.score(standard(latents["test"]), test_genre)

# %%
fig, ax = plt.subplots(figsize=(6.5, 4.5), layout="constrained")
plot_latent_map(plane.transform(standard(latents["test"])), test_genre, features.genres, ax, title="test clips")
show_figure(fig, "02_latent_map", "Points of the same genre lie together in patches with gaps and overlaps between them.")

# %%
shares = plane.explained_variance_ratio_.sum()
lesson(
    f"The vote is right for {accuracy:.0%} of the test clips, where chance is {evaluation.chance(test_genre):.0%}. The plane shows {shares:.0%} "
    "of what varies; the rest happens in directions that we do not see."
)

# %% [markdown]
# ## 6. Between two clips
#
# A list of numbers can be mixed. With latents $z_a$ and $z_b$, walk from one to the other, $z_s = (1 - s)\, z_a + s\, z_b$, and decode.
# The dull alternative is a crossfade of the two pictures, $(1 - s)\, x_a + s\, x_b$.
#
# **Question.** Which half-way point sounds like a piece of its own? We listen to one pair, and measure many: how sharp each step is,
# and how far from the nearest *real* clip. **Guess** which of the two stays closer to real music in the middle.

# %%
flat_train = train.reshape(len(train), -1)
train_squares = (flat_train**2).sum(axis=1)


def nearest_real_db(clips):
    """RMS distance of each scaled clip to the closest training clip, in dB."""
    flat = clips.reshape(len(clips), -1)
    squares = (flat**2).sum(axis=1)[:, None] + train_squares - 2.0 * flat @ flat_train.T
    return np.sqrt(np.maximum(squares.min(axis=1), 0.0) / num_cells) * config.db_per_unit

# %%
def between(rows_a, rows_b, num_steps):
    """Walks and crossfades, each of shape `(pairs, steps, frames, bands)`."""
    steps = np.linspace(0.0, 1.0, num_steps)[:, None]
    lists = (1 - steps) * latents["test"][rows_a, None] + steps * latents["test"][rows_b, None]
    walks = model.decode(lists.reshape(-1, model.latent_dim)).reshape(*lists.shape[:2], *test.shape[1:])
    fades = (1 - steps[..., None]) * rebuilt[rows_a, None] + steps[..., None] * rebuilt[rows_b, None]
    return {"walk": walks, "crossfade": fades}


first = order[len(order) // 2]
second = next(row for row in order[len(order) // 2 :] if test_genre[row] != test_genre[first])
ends = [features.genres[test_genre[row]] for row in (first, second)]
one_pair = between([first], [second], 5)

# %%
fig, axes = plt.subplots(2, 5, figsize=(13, 4.6), sharex=True, sharey=True, layout="constrained")
for row, (name, pictures) in zip(axes, one_pair.items(), strict=True):
    for number, ax in enumerate(row):
        image = plot_log_mel(config.unscale(pictures[0, number]), config, ax=ax, title=f"{name}, s = {number / 4:.2f}")
        ax.label_outer()
fig.colorbar(image, ax=axes, label="level (dB)")
show_figure(fig, "02_walk", "Above a walk in latent space, below a crossfade; they share their ends and differ in the middle.")

# %%
shuffled = np.random.default_rng(seed).permutation(len(test))[:80]
pairs = [(a, b) for a, b in zip(shuffled[::2], shuffled[1::2], strict=False) if test_genre[a] != test_genre[b]]
many = between(*np.transpose(pairs), 5)
table = {}
for name, pictures in many.items():
    table[f"{name}, sharpness"] = [evaluation.sharpness_ratio(config.unscale(part), real_db) for part in np.moveaxis(pictures, 1, 0)]
    table[f"{name}, nearest real clip (dB)"] = [nearest_real_db(part).mean() for part in np.moveaxis(pictures, 1, 0)]
table = pd.DataFrame(table, index=np.linspace(0.0, 1.0, 5)).T
table.rename_axis(columns="s").round(2)

# %%
middle = [as_clip(config.unscale(pictures[0, 2]), f"half-way by {name}") for name, pictures in one_pair.items()]
show_clips(middle, config, num_columns=2)
half_way = table[0.5]
lesson(
    f"You hear the middle between {ends[0]} and {ends[1]}. Over {len(pairs)} pairs the half-way point of the walk is {half_way['walk, nearest real clip (dB)']:.2f} dB "
    f"from the nearest real clip, that of the crossfade {half_way['crossfade, nearest real clip (dB)']:.2f} dB; the ends are "
    f"{table.loc['walk, nearest real clip (dB)', 0.0]:.2f} dB away. Sharpness is {half_way['walk, sharpness']:.2f} and {half_way['crossfade, sharpness']:.2f}, at the ends "
    f"{table.loc['walk, sharpness', 0.0]:.2f}."
    + " The middle of the walk is further from real music than its ends: nobody taught the autoencoder what lies between clips."
    * bool(half_way["walk, nearest real clip (dB)"] > table.loc["walk, nearest real clip (dB)", [0.0, 1.0]].max())
)

# %% [markdown]
# ## 7. Fill the list at random
#
# If a latent makes a clip, a *random* latent should make a new one. The first idea that comes to mind: take the centre and the spread of each dimension
# over the training clips, and draw each dimension from a Gaussian of its own. We call it the **box**.
#
# **Question.** Is a draw from the box music? **Guess**, then listen.

# %%
rng = np.random.default_rng(seed)
num_draws = len(test)
draws = {"box": centre + spread * rng.standard_normal((num_draws, model.latent_dim))}
drawn = {"box": model.decode(draws["box"])}
sampled = [as_clip(config.unscale(drawn["box"][number]), f"box, draw {number}") for number in range(2)]
show_clips(sampled, config, name="02_box", num_columns=2, alt="Two draws from the box: notes and hits at odd places, no steady beat.")

# %% [markdown]
# What we hear should be measurable. Four measures, each beside that of reconstructions and of real clips:
#
# - **sharpness**, as above;
# - distance to the **nearest real clip**;
# - **way home**: encode the decoded clip again. If the decoder made a clip that the encoder knows, it lands near the latent it came from. The squared
#   distance over the spread of the training latents is 0 for a perfect return, and 1 or more when the way home is lost;
# - **Fréchet distance** between two crowds: their means $m$ and covariances $C$ in the first PCA directions,
#   $\lVert m_1 - m_2\rVert^2 + \mathrm{tr}\big(C_1 + C_2 - 2(C_1 C_2)^{1/2}\big)$. It is 0 for crowds that are alike on average and in how they vary.

# %%
def crowd(clips, num_directions=32):
    """Where clips lie along the first PCA directions, in dB."""
    flat = clips.reshape(len(clips), -1) - pca.mean_
    return flat @ pca.components_[:num_directions].T * (config.db_per_unit / np.sqrt(num_cells))


def measure(clips, latent):
    home = standard(model.encode(clips)[0]) - standard(latent)
    return {
        "sharpness": evaluation.sharpness_ratio(config.unscale(clips), real_db),
        "nearest real clip (dB)": nearest_real_db(clips).mean(),
        "way home": np.mean(home**2),
        "Fréchet distance": evaluation.frechet_distance(crowd(clips), crowd(test)),
    }

# %%
measured = {
    "real validation clips": measure(held, latents["held"]) | {"way home": np.nan},
    "reconstructions": measure(rebuilt, latents["test"]),
    "box": measure(drawn["box"], draws["box"]),
}
board = pd.DataFrame(measured).T
board.round(2)

# %%
box, recon = board.loc["box"], board.loc["reconstructions"]
lesson(
    f"The box loses its way home ({box['way home']:.2f}, reconstructions {recon['way home']:.2f}); its crowd is {box['Fréchet distance']:.1f} away from that of "
    f"test clips, reconstructions {recon['Fréchet distance']:.1f} and real validation clips {board.loc['real validation clips', 'Fréchet distance']:.1f}. "
    f"It is {box['nearest real clip (dB)']:.1f} dB from the nearest real clip, where another real clip is {board.loc['real validation clips', 'nearest real clip (dB)']:.1f}. "
    f"Its sharpness, {box['sharpness']:.2f} beside {recon['sharpness']:.2f}, shows how little one measure says: nonsense can be sharp."
)

# %% [markdown]
# ## 8. Holes
#
# Each dimension of the box has the right centre and the right spread. What it does not know is which values go *together*. The training latents fill a
# thin, bent part of the space, and most of the box lies between its folds: in **holes**, where the decoder was never asked for anything.
#
# **Question.** How far is a draw from the nearest training latent, compared with a real clip of the test split? **Guess** the ratio.

# %%
def distance_to_training(latent):
    distances, _ = vote.kneighbors(standard(latent), n_neighbors=1)
    return distances[:, 0] / np.sqrt(model.latent_dim)


far = {"test clips": distance_to_training(latents["test"]), "box": distance_to_training(draws["box"])}

# %%
fig, axes = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
for (name, latent), colour, marker in zip({"training clips": latents["train"], "box": draws["box"]}.items(), ("0.6", COLOURS[4]), ".x", strict=True):
    axes[0].scatter(*plane.transform(standard(latent)).T, s=12, color=colour, marker=marker, label=name)
axes[0].set(xlabel="first direction", ylabel="second direction")
for (name, distances), hatch, colour in zip(far.items(), ("", "//"), (COLOURS[0], COLOURS[4]), strict=True):
    axes[1].hist(distances, bins=30, alpha=0.6, hatch=hatch, color=colour, label=name)
axes[1].set(xlabel="distance to the nearest training latent", ylabel="clips")
for ax in axes:
    ax.legend()
show_figure(fig, "02_holes", "Box draws huddle in the middle of the cloud, yet are further from any training latent than test clips are.")

# %%
correlation = np.corrcoef(standard(latents["train"]).T)
strongest = np.abs(correlation[np.triu_indices(model.latent_dim, 1)])
lesson(
    f"A draw from the box is {np.median(far['box']) / np.median(far['test clips']):.1f} times as far from the nearest training latent as a test clip. "
    f"Pairs of dimensions that the box takes for independent are correlated by up to {strongest.max():.2f}; {np.mean(strongest > 0.2):.0%} of the pairs exceed 0.2."
)

# %% [markdown]
# ## 9. A first remedy
#
# If we cannot know beforehand where the latents lie, we can look afterwards: fit a density to the latents of the training clips and draw from that. A
# **Gaussian mixture** describes a cloud as a sum of $J$ Gaussians with weights $\pi_j$, means $m_j$ and full covariances $C_j$,
#
# $$q(z) = \sum_{j=1}^{J} \pi_j\, \mathcal N(z \mid m_j, C_j) .$$
#
# This is called **ex-post density estimation** (Ghosh et al., 2020, arXiv:1903.12436). With $J = 1$ it learns the correlations; with more, several patches.
# The validation latents choose $J$. **Guess** how much of the damage it repairs.

# %%
points = {name: standard(latent).astype(np.float64) for name, latent in latents.items()}  # covariances need the digits
mixtures = {
    size: GaussianMixture(size, reg_covar=0.05, random_state=seed, max_iter=50).fit(points["train"])
    for size in (1, 2, 4, 8) if size * 20 <= len(train)
}  # fmt: skip
scores = pd.Series({size: mixture.score(points["held"]) for size, mixture in mixtures.items()})
chosen = scores.idxmax()
scores.rename_axis("Gaussians").to_frame("nats per validation latent").T.round(1)

# %%
for name, size in (("one Gaussian", 1), (f"mixture of {chosen}", chosen)):
    drawn_points, _ = mixtures[size].sample(num_draws)  # sorted by component, so they are shuffled
    draws[name] = centre + spread * rng.permutation(drawn_points)
    drawn[name] = model.decode(draws[name])
    board.loc[name] = measure(drawn[name], draws[name])
board.round(2)

# %%
last = board.index[-1]
sampled = [as_clip(config.unscale(drawn[last][number]), f"{last}, draw {number}") for number in range(2)]
show_clips(sampled, config, name="02_mixture", num_columns=2, alt="Two draws from the mixture, with clearer beats than those of the box.")

# %%
repaired = (board.loc["box"] - board.loc[last]) / (board.loc["box"] - board.loc["reconstructions"])
lesson(
    f"The {last} repairs {repaired['way home']:.0%} of the way home and {repaired['Fréchet distance']:.0%} of the Fréchet distance; knowing the correlations alone "
    f"(one Gaussian) takes the latter from {board.loc['box', 'Fréchet distance']:.1f} to {board.loc['one Gaussian', 'Fréchet distance']:.1f}. "
    f"Sharpness stays at {board.loc[last, 'sharpness']:.2f}, below the {recon['sharpness']:.2f} of reconstructions."
)

# %% [markdown]
# A patch put on afterwards: the autoencoder is still free to fold its latents as it likes, and the mixture has to follow with few clips in many dimensions.
# It would be better to ask for latents that lie where we want to sample *while* the networks learn. That demand is called a prior, and an autoencoder with a prior
# is a **variational autoencoder**: notebook 03.
#
# ## Is my run normal?
#
# The ranges are those of the embedded music with shipped weights. On other music the errors are larger; what should hold everywhere is the order.

# %%
checks = pd.DataFrame(
    [
        ("error of the average clip (dB)", error_of_average, 10.0, 13.0),
        ("autoencoder below PCA of the same size (dB)", same_size_error - model_error, 0.0, 4.0),
        ("autoencoder, error (dB)", model_error, 2.0, 6.0),
        ("sharpness of reconstructions", sharp["ae"], 0.6, 1.1),
        ("genre vote", accuracy, 0.6, 1.0),
        ("box over test clips, distance to training", np.median(far["box"]) / np.median(far["test clips"]), 1.05, 4.0),
        ("repaired by the mixture, Fréchet distance", repaired["Fréchet distance"], 0.1, 1.0),
    ],
    columns=["measure", "your run", "from", "to"],
)
checks["normal"] = np.where(checks["your run"].between(checks["from"], checks["to"]), "yes", "look")
checks.round(2)

# %% [markdown]
# An autoencoder that does not beat PCA was trained for too few steps, or on too few clips: `num_full_steps` is the knob. An error that is small on training clips and large
# on test clips means that it has learned clips by heart.
#
# ## What to take along
#
# - Music of eight beats is far smaller than its picture. PCA shows it, and PCA is the number to beat.
# - A network that bends keeps more in the same list, and its lists can be mixed.
# - Rebuilding well does not mean sampling well: between the latents there are holes.
# - A density fitted afterwards helps. A prior during training is the subject of the next notebook.
#
# ## Exercises
#
# 1. **Turn a knob.** How far may you leave a real latent before the way home is lost? Add noise of growing size to the test latents and draw the curve.
# 2. **Swap the parts.** Give one clip's global part to another clip's local part, decode, and listen: which of the two carries rhythm, which the sound?
# 3. **A cooler box.** Multiply the spread of the box by 0.5 and measure again. Which measures improve, and what do you lose?
#
# Solutions are in `solutions/02_autoencoder`.

# %%
noise_size = 0.0  # exercise 1: try 0.25, 0.5, 1 and 2
moved = latents["test"] + noise_size * spread * rng.standard_normal(latents["test"].shape)
print(f"noise {noise_size}: way home {measure(model.decode(moved), moved)['way home']:.2f}")

# %%
hybrid = latents["test"][first].copy()  # exercise 2: take the part after model.global_dim from latents["test"][second]
hybrid_db = config.unscale(model.decode(hybrid[None]))[0]
write_audio(session.clips_dir / "02_hybrid.wav", to_audio(hybrid_db, config, 110.0), config)

# %%
cooler = 1.0  # exercise 3: try 0.5
cool_latents = centre + cooler * (draws["box"] - centre)
print({name: round(float(value), 2) for name, value in measure(model.decode(cool_latents), cool_latents).items()})
