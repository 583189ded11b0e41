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
# # Can one model play several genres, and does it obey?
#
# <!-- links: made by tools/badges.py -->
# Before: [03 vae](03_vae.ipynb).
# After: [05 posterior collapse](05_posterior_collapse.ipynb).
# [Solutions](solutions/04_conditional_vae.ipynb) of the exercises.
#
# *No library, says the set-up cell? **On Colab,** set `repository_zip` below to the address of the project's zip, or
# drag the zip into the Files pane and set `"/content/<its name>"`. **On Kaggle,** choose Add Input and take the data set
# of the project, or switch Internet on and set `repository_zip`. **In VS Code or on a laptop,** keep this file in the
# project's folder, run `make lab` there, or `make setup` and choose `.venv` as the kernel.*
# <!-- end of links -->
#
# **What you will hear at the end:** one idea played in every genre. On the way you hear a model that does not listen
# to the genre you ask for, build the one that does, and train it.
#
# **What you need to know:** what a VAE is, its prior and its KL divergence (notebook 03), and the networks of notebook
# 02. Every other term is defined where it first appears.
#
# > **Time:** 1.3 minutes on 2 CPU cores with the shipped weights and features from the cache; most of it goes into
# > two live trainings. Last full run: 2026-11-27.

# %% tags=["parameters"]
data = "known"  # or the path of a folder of genres, or of FMA
seed = 0
repository_zip = ""
num_clips = 2400  # known-factor music only
weights = "pretrained"  # or "train"; other music is always trained on
num_steps = 300  # of each of the two live trainings
num_full_steps = 1440  # of the full training, where no weights are loaded
num_judge_steps = 400  # of the judge, where none is loaded

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
features = cm.build_features(
    cm.open_collection(data, num_clips=num_clips, seed=seed), config, session.cache_dir
)

# %%
import re
import time

import ipywidgets as widgets
import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import HTML, display
from keras import layers, ops
from sklearn.neighbors import KNeighborsClassifier

# What notebooks 02 and 03 wrote:
from cvae_music import VAE, block, build_encoder, decode_layers, moving_average_matrix

SLOT_FRAMES = 16  # frames of one beat

# %% [markdown]
# ## 1. Listen to a model that does not listen
#
# A VAE of all genres draws whatever its latent $z$ happens to mean. A **conditional** VAE (Sohn, Lee and Yan, 2015)
# learns $p(x \mid z, g)$: its decoder gets the genre $g$, the **label**, beside the latent, and when we play we choose
# $g$. The encoder is not told: its latent shall serve for any label.
#
# Two such models ship with this notebook. One is told the genre in the way that comes to mind first; it is called
# *deaf*, and you will hear why. The other is called *cured*.

# %%
cured = lab.open_model("cvae", features, session, weights, num_steps=num_full_steps)
deaf = lab.open_model("deaf", features, session, weights, num_steps=num_full_steps // 2)
judges = lab.open_judges(features, session, weights, num_steps=num_judge_steps)

# %%
models = {"deaf": deaf, "cured": cured}
genres = list(features.genres)
test = features.subset("test")
rows = np.sort(np.random.default_rng(seed).permutation(len(test))[:300])  # enough, also of a large collection
clips = config.scale(test.log_mel[rows])
genre = test.genre_index[rows]
table = test.table.iloc[rows].reset_index(drop=True)
latents = {name: model.encode(clips).mode() for name, model in models.items()}

# %% [markdown]
# We take a real test clip, encode it, and ask both models to play its latent as *another* genre. At the right end
# stands a real clip of the genre asked for. **Guess** what a model does that is told one genre by the label and hears
# another in the latent.


# %%
def asked_for(name, row, wanted):
    """The latent of a real clip, played by one of the models as the genre that is wanted."""
    clip = cm.make_clip(models[name], latent=latents[name][row], genre=wanted, tempo=table["tempo"][row])
    return vars(clip) | {"label": f"{name}: {table['genre'][row]} as {wanted}", "seed": None}


def real(row):
    return vars(cm.load_window(table.iloc[row], config)) | {"label": f"real {table['genre'][row]}"}


# %%
first, last = (int(np.flatnonzero(genre == index)[0]) for index in (genre.min(), genre.max()))
wanted = genres[genre[last]]
compared = [real(first), asked_for("deaf", first, wanted), asked_for("cured", first, wanted), real(last)]
cm.show_clips(
    compared, config, name="04_deaf_or_cured", num_columns=4,
    alt="Four spectrograms: the deaf model repeats the first clip, the cured one resembles the genre asked for.",
)

# %% [markdown]
# Turn it yourself. Without *swap* the latent is drawn where those of the genre asked for lie.


# %% tags=["widget"]
@widgets.interact(model=list(models), asked=genres, seed=widgets.IntSlider(0, 0, 9, continuous_update=False), swap=True)
def listen(model, asked, seed, swap):
    row = np.random.default_rng(seed).choice(np.flatnonzero(table["genre"] != asked))
    drawn = cm.make_clip(models[model], genre=asked, seed=seed)
    cm.show_clips(asked_for(model, row, asked) if swap else drawn, config)


# %% [markdown]
# ## 2. Two ways to fail, and only one of them shows
#
# 1. **Posterior collapse**: the decoder ignores $z$, and every clip of a genre is the same. The KL divergence falls to
#    zero, which any training log shows.
# 2. **Condition collapse**: the decoder ignores the *label*. The encoder hears the clip, and the clip sounds of its
#    genre; if $z$ carries the genre, the loss is as good without the label. In training the two always agree. When we
#    play, they need not.
#
# The second hides behind healthy figures, so we have to ask with a latent and a label that disagree. **Label
# obedience** is the share of generated clips that a judge assigns to the genre asked for:
#
# - **fresh draws**: $z$ is drawn from where the model's latents of *all* genres lie, so it does not depend on the genre
#   asked for;
# - **swap**: $z$ comes from a real test clip of another genre. This is the hard one;
# - **class-conditional**: $z$ is drawn from where latents of the genre asked for lie, as `make_clip` does.
#
# The third cannot find a model that ignores its label. A latent of the genre asked for already says the genre, so such a
# model plays the right one and scores about 1. With fresh draws it scores **chance**, one over the number of genres.
# Fresh-draw obedience is therefore the score that we quote.
#
# Two judges of different kind decide: a small network on the log-mel, and logistic regression on descriptors such as
# brightness and onsets. Both learned from the training split only, on blurred copies too, so that blur is no genre to
# them. A score means nothing alone. It is averaged over genres, and its **ceilings** are the judge on real clips and on
# reconstructions.

# %%
other = (genre + 1 + np.arange(len(genre)) % (len(genres) - 1)) % len(
    genres
)  # another genre for every clip


def swap_shares(model, judge=judges["cnn"]):
    """Obedience of swapped clips, and the share heard as the genre the latent came from."""
    swapped = model.decode(model.encode(clips).mode(), other)
    swapped = np.clip(swapped, -1.0, 1.0)  # what leaves the range is not heard
    obeys = lab.label_obedience(judge, swapped, other)
    return obeys, lab.label_obedience(judge, swapped, genre)

# %%
def obedience_of(model, judge, latent, asked):
    """Share of clips that the judge assigns to the genre asked for, averaged over genres."""
    played = np.clip(model.decode(latent, asked), -1.0, 1.0)
    return lab.label_obedience(judge, played, asked)


def all_scores(model, judge):
    number = 4 * len(genres)
    asked = np.repeat(np.arange(len(genres)), number)
    sources = np.tile(np.arange(len(genres)), number)  # for each genre asked for, every genre equally often
    swap, stays = swap_shares(model, judge)
    return {
        "fresh draws": obedience_of(model, judge, model.sample_latents(sources, seed=seed), asked),
        "swap": swap,
        "swap, genre stays": stays,
        "class-conditional": obedience_of(model, judge, model.sample_latents(asked, seed=seed), asked),
        "reconstructions": obedience_of(model, judge, model.encode(clips).mode(), genre),
        "real clips": lab.label_obedience(judge, clips, genre),
        "chance": 1 / len(genres),
    }

# %%
scores = {
    (name, kind): all_scores(model, judge)
    for name, model in models.items()
    for kind, judge in judges.items()
}
heard = pd.DataFrame(scores).T.rename_axis(["model", "judge"])
display(heard.round(3))

# %%
def log(model):
    mean, log_var = model.encode(clips)
    rebuilt = config.unscale(model.decode(mean, genre))
    return {
        "KL (nats)": lab.kl_per_dimension(mean, log_var).sum(),
        "active units": lab.active_units(mean),
        "error (dB)": lab.reconstruction_rms_db(config.unscale(clips), rebuilt),
    }


logs = pd.DataFrame({name: log(model) for name, model in models.items()}).T
display(logs.round(2))
agree, fresh, swap = heard.loc[
    ("deaf", "cnn"), ["class-conditional", "fresh draws", "swap"]
]
lab.takeaway(
    f"The deaf model: {agree:.0%} right when latent and label agree, {fresh:.0%} with fresh draws, {swap:.0%} on swaps.",
    {
        "No training log shows it.": agree > 0.8
        and max(fresh, swap) < 0.5
        and logs.loc["deaf", "active units"] > 8,
        "It listens in part.": fresh < 0.9 or swap < 0.9,
        "On this music it listens.": True,
    },
)

# %% [markdown]
# ## 3. First step: the label appended once
#
# The label reaches the decoder as a row of genre weights that sum to 1, for the second of three genres $(0, 1, 0)$. The
# first idea is to append it to $z$ at the entrance, and to hope:


# %%
def build_concatenating_decoder(shape, global_dim, local_dim, width, depth, num_genres):
    """Builds a decoder whose first layer alone gets the label."""
    num_slots = shape[0] // 16
    latent = keras.Input((global_dim + num_slots * local_dim,), name="latent")
    genre = keras.Input((num_genres,), name="genre_weights")
    x = layers.Concatenate()([latent, genre])
    x = layers.Dense(96, activation="gelu", name="entrance")(x)
    x = layers.Dense(num_slots * 2 * width, name="half_beats")(x)
    x = layers.Reshape((num_slots * 2, width))(x)
    for index in range(depth):
        x = block(x, f"half_{index}")
    x = layers.Dense(2 * (width - 32), name="quarter")(x)
    x = layers.Reshape((num_slots * 4, width - 32))(x)
    for index in range(2):
        x = block(x, f"quarter_{index}")
    x = layers.Dense(4 * shape[1], name="patch")(x)
    x = layers.Reshape(shape)(x)
    for index in range(2):
        x = block(x, f"frame_{index}")
    x = layers.Dense(shape[1], dtype="float32", name="log_mel")(x)
    return keras.Model([latent, genre], x, name="decoder")

# %% [markdown]
# We call it once, and then take the deaf model apart: turn one of the decoder's two inputs at a time. How far does the
# output move, in dB?

# %%
sizes = (config.shape, cured.global_dim, cured.local_dim, cured.width, cured.depth)  # 32, 8, 208, 3 as shipped
told_once = build_concatenating_decoder(*sizes, len(genres))
print(told_once([latents["deaf"][:2], np.eye(len(genres))[:2]]).shape, f"{told_once.count_params():,} weights")


# %%
def distance(first, second):
    return float(np.sqrt(((first - second) ** 2).mean(axis=(-2, -1))).mean())


def moved(model, latent):
    """How far another label, and another latent, moves what the decoder plays, in dB."""
    played = [config.unscale(model.decode(latent, np.full(len(latent), index))) for index in range(len(genres))]
    grid = np.stack(played)  # genres, latents, frames, bands
    return distance(grid, np.roll(grid, 1, axis=0)), distance(grid, np.roll(grid, 1, axis=1))


# %%
moves = pd.DataFrame(
    {name: moved(model, latents[name][:24]) for name, model in models.items()}
).T
moves.columns = ["another label (dB)", "another latent (dB)"]
display(moves.round(1))
lab.takeaway(
    f"Another label moves the deaf decoder by {moves.iloc[0, 0]:.1f} dB, another latent by {moves.iloc[0, 1]:.1f}; the "
    f"cured one's label moves it by {moves.iloc[1, 0]:.1f}.",
    {
        "The decoder hardly reacts to the label.": moves.iloc[0, 0]
        < 0.5 * min(moves.iloc[0, 1], moves.iloc[1, 0]),
        "The deaf one listens less.": moves.iloc[0, 0] < moves.iloc[1, 0],
        "Here both listen.": True,
    },
)

# %% [markdown]
# ## 4. Second step: the label at every stage
#
# A layer that is told can forget; so tell all of them. The blocks of notebook 02 already have the door: their input is
# scaled and shifted by **FiLM** (Perez et al., 2018),
#
# $$h' = h \odot \big(1 + s(c)\big) + t(c) ,$$
#
# with a scale $s$ and a shift $t$ for each channel, made of the description $c$ of the whole clip. All that is new is
# that the label becomes part of $c$, as 64 numbers.


# %%
def build_conditional_decoder(shape, global_dim, local_dim, width, depth, num_genres):
    """Builds the network from a latent and a genre to scaled log-mel."""
    latent = keras.Input(
        (global_dim + shape[0] // SLOT_FRAMES * local_dim,), name="latent"
    )
    genre = keras.Input((num_genres,), name="genre_weights")
    # 64 numbers a genre, twice as many as global latents: the label has weight among them.
    embedding = layers.Dense(64, use_bias=False, name="genre_embedding")(genre)
    whole = latent[:, :global_dim]
    description = layers.Concatenate(name="description")([whole, embedding])
    log_mel = decode_layers(description, latent[:, global_dim:], shape, width, depth)
    return keras.Model([latent, genre], log_mel, name="decoder")

# %% [markdown]
# We build it, put the cured model's weights in, and ask each stage: how much do its scales and shifts change with
# another label, how much with another latent? **Guess** whether it reacts early or late.

# %%
told = build_conditional_decoder(*sizes, len(genres))
told.set_weights(cured.decoder.get_weights())
stages = [layer.name for layer in told.layers if layer.name.endswith("_film")]
films = keras.Model(told.inputs, [told.get_layer(name).output for name in stages])
some = latents["cured"][:24]
num = len(genres)
inputs = [np.repeat(some, num, axis=0), np.tile(np.eye(num), (len(some), 1))]
values = [
    np.reshape(value, (len(some), num, -1))
    for value in films.predict(inputs, verbose=0)
]
spread = pd.DataFrame(
    {
        "label": [value.std(axis=1).mean() for value in values],
        "latent": [value.std(axis=0).mean() for value in values],
    },
    index=stages,
)

# %%
fig, ax = plt.subplots(figsize=(7.5, 2.8), layout="constrained")
for shift, name, hatch in ((-0.2, "label", ""), (0.2, "latent", "///")):
    bars = {"hatch": hatch, "edgecolor": "white", "color": cm.COLOURS[shift > 0], "label": f"another {name}"}
    ax.bar(np.arange(len(stages)) + shift, spread[name], 0.4, **bars)
words = {"half": "half beats", "quarter": "quarter beats", "frame": "frames"}
titles = [f"{words[kind]} {int(number) + 1}" for kind, number, _ in (name.split("_") for name in stages)]
ax.set_xticks(range(len(stages)), titles, rotation=20)
ax.set(ylabel="change of scale and shift", xlabel="stage, from the entrance to the picture")
fig.legend(fontsize="small", loc="outside upper center", ncols=2)
session.show_figure(fig, "04_film", alt="At every stage bars for another label and for another latent, side by side.")
listening = int((spread["label"] > spread["latent"]).sum())
lab.takeaway(
    f"At {listening} of {len(stages)} stages another label changes more than another latent.",
    {
        "The cured model is told everywhere, and reacts everywhere.": listening == len(stages),
        "It reacts at some stages more than at others.": listening > 0,
        "The latent speaks louder than the label.": True,
    },
)

# %% [markdown]
# ## 5. Third step: take the genre out of $z$
#
# Told everywhere, a decoder *can* listen. It has to only if $z$ does not say the genre already. If the latents of every
# genre had one and the same distribution, nobody could read the genre off them. So we add a penalty: a distance
# between the latents of each genre in the batch and draws of the prior. The **maximum mean discrepancy** (Gretton et
# al., 2012) compares two sets of points $A$ and $B$ by a **kernel** $k$, a similarity between two points:
#
# $$\mathrm{MMD}^2 = \underbrace{\overline{k(a, a')}}_{\text{inside } A}
# + \underbrace{\overline{k(b, b')}}_{\text{inside } B}
# - 2\,\underbrace{\overline{k(a, b)}}_{\text{across}} ,$$
#
# with bars for means over pairs of different points. It is zero if both sets come from one distribution; the estimate
# may fall a little below. The kernel is the inverse multiquadric at several widths $c_s$,
# $k(a, b) = \frac1S\sum_s \frac{c_s}{c_s + \lVert a - b\rVert^2}$.


# %%
def multiquadric_kernel(first, second, scales=(0.2, 0.5, 1.0, 2.0, 5.0)):
    """Computes the inverse multiquadric kernel of all pairs, averaged over scales."""
    first_norm = ops.sum(ops.square(first), axis=-1)[..., :, None]
    second_norm = ops.sum(ops.square(second), axis=-1)[..., None, :]
    products = ops.matmul(first, ops.swapaxes(second, -1, -2))
    distance = ops.maximum(first_norm + second_norm - 2.0 * products, 0.0)
    widths = [2.0 * first.shape[-1] * scale for scale in scales]
    return sum(width / (width + distance) for width in widths) / len(widths)

# %%
here = np.zeros((1, 2), np.float32)
there = np.array([[0, 0], [1, 0], [3, 0], [30, 0]], np.float32)
print(
    "similarity at distances 0, 1, 3 and 30:",
    np.round(multiquadric_kernel(here, there)[0], 3),
)

# %% [markdown]
# In training, genres share a batch, and a clip has one latent for the whole and one for each beat. So we compute one
# kernel matrix for all clips, without the diagonal, and let genre weights pick the pairs: in `einsum`, `s` counts the
# latents of a clip, `n` and `m` clips, `g` genres.


# %%
def genre_discrepancy(latent, genre_weights, noise):
    """Estimates how far each genre's latents are from the prior, averaged over genres."""
    count = ops.sum(genre_weights, axis=0)
    num_noise = noise.shape[-2]
    pairs = multiquadric_kernel(latent, latent)
    pairs = pairs * (1.0 - ops.eye(ops.shape(latent)[-2]))
    within = ops.einsum("snm,ng,mg->sg", pairs, genre_weights, genre_weights)
    within = within / ops.maximum(count * (count - 1.0), 1.0)
    across = multiquadric_kernel(latent, noise)
    across = ops.einsum("snm,ng->sg", across, genre_weights)
    across = across / (ops.maximum(count, 1.0) * num_noise)
    prior = multiquadric_kernel(noise, noise) * (1.0 - ops.eye(num_noise))
    prior = ops.sum(prior, axis=(-2, -1)) / (num_noise * (num_noise - 1.0))
    enough = ops.cast(count >= 2.0, within.dtype)
    each = ops.mean(within + prior[:, None] - 2.0 * across, axis=0)
    return ops.sum(each * enough) / ops.maximum(ops.sum(enough), 1.0)

# %% [markdown]
# **Question.** Two genres of 200 clips in two dimensions: on top of each other, or each on its own side, while both
# together still look much like the prior. **Guess** whether the second gives a large number.

# %%
rng = np.random.default_rng(seed)
sides = np.repeat([0, 1], 200)
noise = rng.standard_normal((1, 400, 2)).astype("float32")
same = rng.standard_normal((400, 2)).astype("float32")
apart = (same * [0.4, 1.0] + np.where(sides, 0.9, -0.9)[:, None] * [1.0, 0.0]).astype("float32")
pairs = {"same place": (same, np.eye(2)[sides]), "each on its side": (apart, np.eye(2)[sides]),
         "no genres": (apart, np.ones((400, 1)))}
toys = {name: float(genre_discrepancy(x[None], np.float32(label), noise)) for name, (x, label) in pairs.items()}

# %%
fig, axes = plt.subplots(
    1, 2, figsize=(8, 3.4), sharex=True, sharey=True, layout="constrained"
)
for ax, (name, points) in zip(
    axes, {"same place": same, "each on its side": apart}.items(), strict=True
):
    cm.plot_latent_map(
        points, sides, ["genre A", "genre B"], ax, f"{name}: {toys[name]:.4f}"
    )
session.show_figure(
    fig,
    "04_discrepancy",
    alt="Two clouds of points: mixed on the left, side by side on the right.",
)
lab.takeaway(
    f"At one place the discrepancy is {toys['same place']:.3f}, apart {toys['each on its side']:.3f}; without the "
    f"genres it would be {toys['no genres']:.3f}.",
    {
        "It has to be taken genre by genre.": toys["each on its side"]
        > 5 * abs(toys["no genres"]),
        "These draws do not show it: try another seed.": True,
    },
)

# %% [markdown]
# And the two models? Their method `discrepancy`, which you write in section 7, adds up the whole clip's part and the
# beats' part.


# %%
def measured_discrepancy(model):
    mean, log_var = model.encode(clips)
    draws = mean + np.exp(0.5 * log_var) * np.random.default_rng(seed).standard_normal(
        mean.shape
    )
    return float(
        model.discrepancy(
            ops.cast(draws, "float32"), np.eye(len(genres), dtype="float32")[genre]
        )
    )


found = {name: measured_discrepancy(model) for name, model in models.items()}
lab.takeaway(
    f"On test clips: {found['deaf']:.3f} for the deaf model, {found['cured']:.3f} for the cured one.",
    {
        "The penalty has pulled the genres over each other.": found["cured"]
        < 0.5 * found["deaf"],
        "The penalty has done little here.": True,
    },
)

# %% [markdown]
# ## 6. Fourth step: two classifiers that listen
#
# Equal latents on training clips may not be enough: the latents of a track the encoder has never heard may still tell
# its genre. So the last step asks for obedience itself. Half of the latents are decoded with *another* label, and two
# small genre classifiers, which are trained beside the model, judge these clips. Their cross-entropy is a loss.


# %%
def build_classifier(shape, num_genres):
    """Builds a small genre classifier, which ignores the mean level of a clip."""
    clip = keras.Input(shape, name="log_mel")
    x = clip - ops.mean(clip, axis=(1, 2), keepdims=True)
    for width, name in ((64, "onsets"), (96, "quarter_beats"), (96, "half_beats")):
        convolve = layers.Conv1D(
            width, 4, strides=2, padding="same", activation="relu", name=name
        )
        x = convolve(x)
    deviation = ops.sqrt(ops.var(x, axis=1) + 1e-3)
    x = layers.Concatenate(name="statistics")([ops.mean(x, axis=1), deviation])
    x = layers.Dropout(0.3, seed=0, name="dropout")(x)
    logits = layers.Dense(num_genres, dtype="float32", name="logits")(x)
    return keras.Model(clip, logits, name="classifier")

# %% [markdown]
# A network that is asked to please another finds tricks. So all that the classifiers hear is **augmented**: blurred (by
# the averaging matrices of notebook 02), louder or softer, noisy, one stretch of time and one of bands masked (Park et
# al., 2019). A trick that needs one exact detail then fails.


# %%
def augment_for_critics(log_mel, seed):
    """Blurs, amplifies, masks and adds noise to clips, and keeps their genre."""
    each = (ops.shape(log_mel)[0], 1, 1)
    over_time = moving_average_matrix(log_mel.shape[1], 3)
    over_bands = moving_average_matrix(log_mel.shape[2], 7).T
    blurred = ops.matmul(over_time, ops.matmul(log_mel, over_bands))
    share = keras.random.uniform(each, seed=seed)
    gain = keras.random.uniform(each, -0.17, 0.17, seed=seed)
    noise = keras.random.uniform(ops.shape(log_mel), -0.1, 0.1, seed=seed)
    augmented = log_mel + share * (blurred - log_mel) + gain + noise
    time = np.linspace(0.0, 1.0, log_mel.shape[1], dtype=np.float32)[:, None]
    band = np.linspace(0.0, 1.0, log_mel.shape[2], dtype=np.float32)
    masked = False
    for position, longest in ((time, 0.3), (band, 0.4)):
        start = keras.random.uniform(each, -0.5 * longest, 1.0, seed=seed)
        length = keras.random.uniform(each, 0.0, longest, seed=seed)
        masked |= (position >= start) & (position < start + length)
    return ops.where(masked, ops.mean(augmented, axis=(1, 2), keepdims=True), augmented)

# %%
generator = keras.random.SeedGenerator(seed)
tempo = table["tempo"][first]
augmented = config.unscale(np.array(augment_for_critics(clips[[first]], generator))[0])
sound = cm.to_audio(augmented, config, tempo, seed=seed)
cm.show_clips([compared[0], {"log_mel": augmented, "samples": sound, "label": "augmented", "tempo": tempo}], config)

# %% [markdown]
# How far a network is from the truth is a **cross-entropy**: the negative log of the probability it gives to the right
# genre. **Guess** its value for somebody who knows nothing of six genres.


# %%
def cross_entropy(labels, logits):
    """Computes the mean cross-entropy of logits, in nats."""
    each = keras.losses.categorical_crossentropy(labels, logits, from_logits=True)
    return ops.mean(each)

# %%
one_hot = np.eye(len(genres), dtype="float32")
nothing = float(cross_entropy(one_hot[genre], 0.0 * one_hot[genre]))
print(f"{nothing:.2f} nats, the logarithm of {len(genres)}")

# %% [markdown]
# The first **classifier** learns from real clips and reconstructions; it is soon content with a few cues of the new genre
# laid over the old one. The second, the **adversarial classifier**, is also taught where swapped clips *came from*, and
# goes on hearing the old genre until it is gone. Two rules keep the game honest. No gradient of the classifiers' own loss
# reaches the model (`stop_gradient`). And the model is judged by *frozen* copies, whose weights are constants, so it
# cannot lower its loss by teaching the classifiers to be content.


# %%
def frozen_call(network, inputs):
    """Calls a network whose weights get no gradients."""
    trainable = [ops.stop_gradient(value) for value in network.trainable_variables]
    others = network.non_trainable_variables
    return network.stateless_call(trainable, others, inputs, training=False)[0]


# %% [markdown]
# We ask the cured model's two classifiers about the swaps of both models.


# %%
def classifier_loss(swapped):
    """Mean cross-entropy of the two classifiers for the genres asked for, in nats."""
    both = (cured.classifier, cured.adversarial_classifier)
    return np.mean([cross_entropy(one_hot[other], frozen_call(network, swapped)) for network in both])


swaps = {name: augment_for_critics(models[name].decode(latents[name], other), generator) for name in models}
opinions = {name: classifier_loss(swapped) for name, swapped in swaps.items()}
lab.takeaway(
    f"To the classifiers the deaf model's swaps are {opinions['deaf']:.2f} nats off, the cured one's "
    f"{opinions['cured']:.2f}; a blind guess is {nothing:.2f}.",
    {
        "Worse than a blind guess: they hear the old genre.": opinions["deaf"] > nothing > opinions["cured"],
        "They prefer the cured one.": opinions["deaf"] > opinions["cured"],
        "They cannot tell the two apart.": True,
    },
)

# %% [markdown]
# **What is left in the latent.** Traces of the genre, such as loudness, stay in $z$. The classifiers ignore loudness, so
# the decoder keeps them. The last layer goes to the cause:
#
# $$z' = z + \sum_g \big(w_g - p(g \mid z)\big)\, \mu_g ,$$
#
# with the weights $w$ of the genre asked for, each genre's mean latent $\mu_g$, and a guess $p(g \mid z)$ of the genre
# the latent came from, by **linear discriminant analysis** (LDA; Fisher, 1936). No training step changes this layer:
# `train` measures it at the end.


# %%
class ClassMeanShift(keras.layers.Layer):
    """Exchanges the mean of a latent's own genre for that of the genre asked for."""

    def __init__(self, num_genres, latent_dim, **kwargs):
        kwargs.setdefault("trainable", False)
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.num_genres = num_genres
        self.latent_dim = latent_dim
        self.build()

    def build(self, input_shape=None):
        means = (self.num_genres, self.latent_dim)
        lda = (self.latent_dim + 1, self.num_genres)
        self.means = self.add_weight(means, "zeros", name="means")
        self.lda_weights = self.add_weight(lda, "zeros", name="lda_weights")

    def fit(self, model, features):
        """Measures each genre's mean latent, and the discriminant that tells them apart."""
        clips, genre = features.arrays("train")
        latents = model.encode(clips).mode()
        means = np.zeros(self.means.shape)
        for index in np.unique(genre):
            means[index] = latents[genre == index].mean(axis=0)
        covariance = np.cov(latents - means[genre], rowvar=False)
        covariance = covariance + 0.02 * np.eye(self.latent_dim)
        slopes = np.linalg.solve(covariance, means.T)
        offsets = -0.5 * np.sum(means.T * slopes, axis=0)
        self.means.assign(means)
        self.lda_weights.assign(np.vstack([slopes, offsets]))

    def call(self, latent, genre_weights):
        """Shifts latents."""
        logits = ops.matmul(latent, self.lda_weights[:-1]) + self.lda_weights[-1]
        source = ops.softmax(logits)
        return latent + ops.matmul(genre_weights - source, self.means)

    def get_config(self):
        """Returns the arguments of `__init__`, ready for `from_config`."""
        return {
            **super().get_config(),
            "num_genres": self.num_genres,
            "latent_dim": self.latent_dim,
        }

# %% [markdown]
# **Guess** how often LDA names the genre of a *test* clip from its latent.

# %%
mover = ClassMeanShift(len(genres), cured.latent_dim)
mover.fit(cured, features)
guessed = np.argmax(
    latents["cured"] @ mover.lda_weights[:-1] + mover.lda_weights[-1], axis=1
)

# %% [markdown]
# A clip 3 dB louder than its genre's mean should, played as another genre, be 3 dB louder than *that* one's. How far are
# swapped clips from it, with the layer off and on?


# %%
def mean_level(scaled):
    return config.db_per_unit * scaled.mean(axis=(1, 2))


train_clips, train_genre = features.arrays("train")
typical = np.array(
    [mean_level(train_clips[train_genre == k]).mean() for k in range(len(genres))]
)
right = typical[other] + mean_level(clips) - typical[genre]
off = {}
for name, factor in (("shift off", 0.0), ("shift on", 1.0)):
    cured.mean_shift.set_weights([factor * value for value in mover.get_weights()])
    wrong = np.abs(mean_level(cured.decode(latents["cured"], other)) - right)
    off[name] = pd.Series(wrong).groupby(np.take(genres, other)).mean()
off = pd.DataFrame(off)
display(off.round(1))
before, after = off.mean()
lab.takeaway(
    f"LDA names {np.mean(guessed == genre):.0%} of the genres; swaps are {before:.1f} dB off, shifted {after:.1f} dB.",
    {
        "The genre was still there, and the decoder played it.": after < before
        and np.mean(guessed == genre) > lab.chance(genre) + 0.2,
        "Here nothing was left to move.": True,
    },
)

# %% [markdown]
# On real music it decides: there networks from outside, asked by notebook 09, hear the old genre without it.
#
# ## 7. `class ConditionalVAE(VAE)`
#
# Now all of it in one class. Its loss is that of notebook 03 with two terms more,
#
# $$\text{loss} = -\log p(x \mid z, g) + \beta\,\mathrm{KL} + w\,\mathrm{MMD}^2_{\text{genres}}
# + v\,\mathrm{CE}\big(\text{classifiers}(\hat x_{g'}), g'\big) ,$$
#
# in nats, **summed over features and latent dimensions, averaged over the batch**; $\beta$ is the KL weight (`kl`, 1),
# $w$ the `discrepancy_weight`, $v$ the `swap_weight`, and $\hat x_{g'}$ a clip decoded with another label $g'$. (As in
# notebook 02 the contrast is added to the squared error inside the first term.) The step is inherited.
#
# First what the model owns. `decode_latent` shifts latents when it plays, not when it is trained.


# %%
class ConditionalVAE(VAE):
    """VAE whose decoder is given the genre at every stage and is trained to obey it."""

    metric_names = (*VAE.metric_names, "discrepancy", "swap")

    def __init__(
        self,
        audio_config=None,
        genres=(),
        discrepancy_weight=3000.0,
        swap_weight=600.0,
        source_weight=0.5,
        **kwargs,
    ):
        if len(set(genres)) != len(genres) or len(genres) < 2:
            found = f"{type(self).__name__} got genres={list(genres)}"
            expected = "two different names or more; a model of one genre is a VAE"
            raise ValueError(f"{found}; expected {expected}.")
        super().__init__(audio_config, genres=genres, **kwargs)
        self.discrepancy_weight = discrepancy_weight
        self.swap_weight = swap_weight
        self.source_weight = source_weight
        shape = self.audio_config.shape
        self.classifier = build_classifier(shape, self.num_genres)
        self.adversarial_classifier = build_classifier(shape, self.num_genres)
        self.classifier.trainable = swap_weight > 0
        self.adversarial_classifier.trainable = swap_weight > 0
        self.mean_shift = ClassMeanShift(self.num_genres, self.latent_dim)

    def build_networks(self, *sizes):
        encoder = build_encoder(*sizes, outputs_per_latent=2)
        return encoder, build_conditional_decoder(*sizes, self.num_genres)

    def genre_weights(self, genre):
        """Returns rows of weights `(batch, num_genres)` of indices or such rows."""
        if len(genre.shape) == 2:
            return genre
        return ops.one_hot(ops.cast(genre, "int32"), self.num_genres)

    def decode_latent(self, latent, genre=None, training=False):
        weights = self.genre_weights(genre)
        if not training:
            latent = self.mean_shift(latent, weights)
        return self.decoder([latent, weights], training=training)


# %% [markdown]
# Then the sum of the losses. `elbo_losses` of notebook 03 gives those of a VAE, the latents drawn and the clips rebuilt.
# The classifiers' own loss is added too; it reaches their weights alone.


# %%
class ConditionalVAE(ConditionalVAE):
    def compute_losses(self, log_mel, genre=None, training=False):
        weights = self.genre_weights(genre)
        losses, latent, rebuilt = self.elbo_losses(log_mel, weights, training)
        losses["discrepancy"] = self.discrepancy(latent, weights, training)
        losses["loss"] += self.discrepancy_weight * losses["discrepancy"]
        losses["swap"] = 0.0
        if self.swap_weight:
            classifier_loss, losses["swap"] = self.swap_losses(
                log_mel, rebuilt, latent, weights, training
            )
            losses["loss"] += self.swap_weight * losses["swap"] + classifier_loss
        return losses, rebuilt

    def discrepancy(self, latent, genre_weights, training=False):
        """Adds the discrepancies of the global latents and of those of single beats."""
        seed = self.noise if training else self.validation_noise
        whole = latent[None, :, : self.global_dim]
        local = latent[:, self.global_dim :]
        local = ops.reshape(local, (-1, self.num_slots, self.local_dim))
        local = ops.transpose(local, (1, 0, 2))  # a slot is compared with the same slot
        total = 0.0
        for part in (whole, local):
            if part.shape[-1]:
                shape = (part.shape[0], 128, part.shape[-1])
                noise = keras.random.normal(shape, seed=seed)
                total += genre_discrepancy(part, genre_weights, noise)
        return total


# %% [markdown]
# Last the swaps: every second latent is decoded with a label that is moved on by a random number of genres.


# %%
class ConditionalVAE(ConditionalVAE):
    def swap_losses(self, log_mel, rebuilt, latent, genre_weights, training):
        """Decodes half of the latents with another label and has them classified."""
        seed = self.noise if training else self.validation_noise
        steps = keras.random.randint((), 1, self.num_genres, seed=seed)
        sources = genre_weights[::2]
        targets = ops.roll(sources, steps, axis=1)
        swapped = self.decode_latent(latent[::2], targets, training)
        swapped = augment_for_critics(swapped, seed)
        inputs = ops.concatenate([log_mel, ops.stop_gradient(rebuilt)])
        inputs = augment_for_critics(inputs, seed)
        labels = ops.tile(genre_weights, (2, 1))

        logits = self.classifier(inputs, training=training)
        classifier_loss = cross_entropy(labels, logits)
        both = ops.concatenate([inputs, ops.stop_gradient(swapped)])
        logits = self.adversarial_classifier(both, training=training)
        count = ops.shape(labels)[0]
        source_loss = cross_entropy(sources, logits[count:])
        classifier_loss += cross_entropy(labels, logits[:count])
        classifier_loss += self.source_weight * source_loss

        swap_loss = 0.5 * (
            cross_entropy(targets, frozen_call(self.classifier, swapped))
            + cross_entropy(targets, frozen_call(self.adversarial_classifier, swapped))
        )
        return classifier_loss, swap_loss

    def get_config(self):
        return {
            **super().get_config(),
            "discrepancy_weight": self.discrepancy_weight,
            "swap_weight": self.swap_weight,
            "source_weight": self.source_weight,
        }


# %% [markdown]
# **Is it the model that ships?** With the shipped weights inside, yours must play the same to the last digit.

# %%
mine = ConditionalVAE(config, genres)
mine.set_weights(cured.get_weights())
print("as indices", np.array(mine.genre_weights(np.array([0, 1]))).tolist())
print(
    "the same clips:",
    np.array_equal(
        mine.decode(latents["cured"], other), cured.decode(latents["cured"], other)
    ),
)

# %% [markdown]
# And the deaf one is this class with everything taken out again: the label once, no discrepancy, no classifiers, and a
# latent at a tenth of its price, in which there is room for the genre.


# %%
class ConcatCVAE(ConditionalVAE):
    """Conditional VAE without any term that makes it use its label."""

    def __init__(
        self,
        audio_config=None,
        genres=(),
        kl=0.1,
        discrepancy_weight=0.0,
        swap_weight=0.0,
        **kwargs,
    ):
        kwargs |= {"discrepancy_weight": discrepancy_weight, "swap_weight": swap_weight}
        super().__init__(audio_config, genres, kl=kl, **kwargs)

    def build_networks(self, *sizes):
        """Builds encoder and decoder; `sizes` are the arguments of `build_encoder`."""
        encoder = build_encoder(*sizes[:5], outputs_per_latent=2)
        return encoder, build_concatenating_decoder(*sizes, self.num_genres)

# %%
mine = ConcatCVAE(config, genres)
mine.set_weights(deaf.get_weights())
print(
    "the same clips:",
    np.array_equal(
        mine.decode(latents["deaf"], other), deaf.decode(latents["deaf"], other)
    ),
)

# %% [markdown]
# ## 8. Train it, twice
#
# Smaller, for a minute each: once with the label at every stage and *nothing* else, once with all steps. `cm.train` is
# what trained the shipped models. It trains as you did in notebooks 02 and 03, then fits the density, one for each
# genre, and `ClassMeanShift`.
#
# **Guess** which comes first: obedience, or sharp detail?

# %%
small = {"width": 96, "depth": 1, "global_dim": 32, "local_dim": 4}
live = {}
histories = {}
obeyed = {}
seconds = {}


def train_live(name, **changes):
    keras.utils.set_random_seed(seed)
    model = ConditionalVAE(config, genres, seed=seed, **small, **changes)
    obeyed[name] = []
    start = time.perf_counter()

    def ask(epoch, logs):
        obeyed[name].append(swap_shares(model)[0])
        print(
            f"{name}, epoch {epoch + 1}: error {logs['rms_db']:.1f} dB, swap obedience {obeyed[name][-1]:.2f}"
        )

    asking = keras.callbacks.LambdaCallback(on_epoch_end=ask)
    histories[name] = cm.train(
        model, features, num_steps, seed=seed, callbacks=[asking], verbose=0
    )
    live[name] = model
    seconds[name] = time.perf_counter() - start


# %%
train_live("FiLM alone", discrepancy_weight=0.0, swap_weight=0.0)

# %%
train_live("all steps")

# %% [markdown]
# The same latent as in section 1, asked for the same genre, by the two models of a minute:

# %%
models |= live
latents |= {name: model.encode(clips).mode() for name, model in live.items()}
cm.show_clips([asked_for(name, first, wanted) for name in live], config)

# %% [markdown]
# The curves of the second training; dotted and grey, a run with another seed (embedded music only). A classifiers' loss that
# stays near that of a blind guess while the KL grows is a condition collapse in the making.

# %%
reference = lab.read_rows("reference_cvae").to_dict("list") if data == "known" else None
panels = {"rms_db": "dB", "kl": "nats per clip", "swap": "nats"}
fig, axes = plt.subplots(2, 2, figsize=(10, 6), layout="constrained")
for ax, (name, unit) in zip(axes.flat, panels.items(), strict=False):
    cm.plot_history(histories["all steps"], ax, names=(name,), reference=reference, unit=unit)
last_ax = axes[1, 1]
for (name, values), style, colour in zip(obeyed.items(), ("s--", "o-"), cm.COLOURS, strict=False):
    last_ax.plot(range(1, len(values) + 1), values, style, color=colour, label=name)
last_ax.axhline(1 / len(genres), color="0.4", linestyle=":", label="chance")
last_ax.set(xlabel="epoch", ylabel="swap obedience", ylim=(0, 1.05), xticks=range(1, len(values) + 1))
last_ax.legend(fontsize="small", loc=(0.68, 0.62))
session.show_figure(fig, "04_live_training", alt="By epoch: error, KL, classifiers' loss; swap obedience of two trainings.")

# %%
ends = {name: swap_shares(model)[0] for name, model in live.items()}
lab.takeaway(
    f"After {sum(seconds.values()) / 60:.1f} minutes: swap obedience {ends['FiLM alone']:.2f} with FiLM alone, "
    f"{ends['all steps']:.2f} with all steps.",
    {
        "Obedience comes long before detail.": ends["all steps"]
        > max(0.9, ends["FiLM alone"] + 0.1),
        "The other steps help.": ends["all steps"] > ends["FiLM alone"],
        "A minute was too short to see it.": True,
    },
)

# %% [markdown]
# ## 9. What does each step buy?
#
# From here on we import it. Each step alone was trained
# three times, as small as your two and for 300 steps, on the embedded music; the rows ship with the project. Hatched bars
# are the two full-size models of this notebook.

# %%
words = {"label once, cheap latent": "label once, KL weight 0.1", "label once": "label once, KL weight 1",
         "plain": "FiLM alone", "beta 5": "FiLM, KL weight 5", "discrepancy": "FiLM, discrepancy",
         "listener": "FiLM, classifiers", "discrepancy and listener": "all steps"}
steps = lab.read_rows("collapse_label").groupby("name")["swap"].agg(["mean", "min", "max"]).loc[list(words)]
display(steps.rename(words).round(2))

# %%
names = ["deaf, full size", *words.values(), "cured, full size"]
full = [heard.loc[("deaf", "cnn"), "swap"], heard.loc[("cured", "cnn"), "swap"]]
fig, ax = plt.subplots(figsize=(8, 3.8), layout="constrained")
ax.barh([0, len(names) - 1], full, color=cm.COLOURS[1], hatch="///", edgecolor="white", label="full size, above")
spans = [steps["mean"] - steps["min"], steps["max"] - steps["mean"]]
places = range(1, len(names) - 1)
ax.barh(places, steps["mean"], xerr=spans, capsize=3, color=cm.COLOURS[0], label="small, mean and range of three seeds")
ax.axvline(heard.loc[("cured", "cnn"), "real clips"], color="0.2", linestyle="--", label="judge on real clips")
ax.axvline(heard.loc[("cured", "cnn"), "chance"], color="0.2", linestyle=":", label="chance")
ax.set(yticks=range(len(names)), yticklabels=names, xlabel="swap obedience")
ax.invert_yaxis()
fig.legend(fontsize="small", loc="outside upper center", ncols=2)
session.show_figure(fig, "04_steps", alt="Bars of swap obedience, from the deaf model through each step to the cured one.")

# %%
mean = steps["mean"]
lab.takeaway(
    f"Small models obey in {mean['label once']:.2f} when told once, {mean['plain']:.2f} with FiLM alone, "
    f"{mean['discrepancy and listener']:.2f} with all steps.",
    {
        "Each step up is a step up in obedience.": mean["label once"]
        < mean["plain"]
        < mean["discrepancy and listener"],
        "What decides is the last step, not the place of the label.": mean["plain"]
        < mean["discrepancy and listener"],
        "Here the steps buy nothing.": True,
    },
)
lab.takeaway(
    f"Each alone: discrepancy {mean['discrepancy']:.2f}, classifiers {mean['listener']:.2f}, a dear latent "
    f"{mean['beta 5']:.2f}.",
    {
        "Even a dearer latent helps: it has less room for the genre.": mean["beta 5"]
        > mean["plain"],
        "A dearer latent does not help.": True,
    },
)

# %% [markdown]
# ## 10. Real music
#
# On music composed by a program the discrepancy nearly does it alone. Real music is where it is decided: four styles,
# no track in two splits, the same measure. (Nothing of it can be played here: the tracks are not ours.) **Guess** what
# the model with label at every stage and discrepancy scores without the classifiers.

# %%
tried = (
    lab.read_rows("listeners_real").groupby("name", sort=False).mean(numeric_only=True)
)
trained = lab.read_rows("foundation_real_music").groupby("kind").mean(numeric_only=True)
words = {
    "no listener": "no classifiers",
    "two listeners, no sceptic": "two classifiers, none adversarial",
    "listener and sceptic (default)": "both classifiers",
}
real_music = pd.concat(
    [
        tried.loc[list(words)].rename(words),
        trained.rename({"cvae": "all steps, full size"}),
    ]
)
columns = {
    "cnn_fresh": "fresh draws",
    "cnn_swap": "swap",
    "cnn_rebuilt": "reconstructions",
    "cnn_real": "real clips",
}
real_music = real_music.reindex(columns=[*columns, "chance"])
real_music = real_music.dropna(axis=1, how="all")  # a column that was not measured
display(real_music.rename(columns=columns).round(2))

# %%
fig, ax = plt.subplots(figsize=(8, 2.8), layout="constrained")
for shift, name, hatch in ((-0.2, "cnn_fresh", "///"), (0.2, "cnn_swap", "")):
    if name not in real_music:
        continue
    bars = {"hatch": hatch, "edgecolor": "white", "color": cm.COLOURS[shift > 0], "label": columns[name]}
    ax.barh(np.arange(len(real_music)) + shift, real_music[name], 0.4, **bars)
for name, marker, label in (("cnn_real", "D", "judge on real clips"), ("chance", "o", "chance")):
    ax.scatter(real_music[name], range(len(real_music)), color="black", marker=marker, zorder=3, label=label)
ax.set(yticks=range(len(real_music)), yticklabels=real_music.index, xlabel="obedience on real music")
ax.invert_yaxis()
fig.legend(fontsize="small", loc="outside upper center", ncols=4)
session.show_figure(fig, "04_real_music", alt="Bars of obedience on real music, with and without classifiers.")

# %%
swap = real_music["cnn_swap"]
lab.takeaway(
    f"Real music: swap obedience {swap['no classifiers']:.2f} without classifiers, {swap['both classifiers']:.2f} with "
    f"both, {swap['all steps, full size']:.2f} at full size.",
    {
        "They make the difference.": swap["both classifiers"]
        > swap["no classifiers"] + 0.3,
        "They make little difference.": True,
    },
)

# %% [markdown]
# The first three rows are one seed, small, on the validation split; the last is three on the test split.
# A model can pass its ceiling: what it plays is more typical.
#
# ## 11. Is the genre out of $z$?
#
# Section 5 set out to remove it. We ask $z$ in two ways: does the majority of a clip's 15 nearest neighbours name its
# genre? And does a **linear probe**, a logistic regression on the latents of training clips?


# %%
def vote(latent):
    neighbours = KNeighborsClassifier(min(16, len(latent) - 1)).fit(latent, genre)
    near = neighbours.kneighbors(return_distance=False)[:, :15]  # without the clip itself
    return np.mean([np.bincount(genre[row], minlength=len(genres)).argmax() for row in near] == genre)


def shift(latent):
    """How far a genre's mean lies from the middle, in standard deviations, in a typical dimension."""
    means = np.stack([latent[genre == index].mean(axis=0) for index in np.unique(genre)])
    return np.mean(means.std(axis=0) / (latent - means[np.unique(genre, return_inverse=True)[1]]).std(axis=0))


# %%
pair = ("deaf", "cured")
inside = pd.DataFrame({"neighbours": [vote(latents[name]) for name in pair],
                       "probe": [lab.genre_probe(models[name], features) for name in pair],
                       "swap obedience": [heard.loc[(name, "cnn"), "swap"] for name in pair],
                       "shift in one dimension": [shift(latents[name]) for name in pair]}, index=pair)
display(inside.round(3))

# %%
row = inside.loc["cured"]
by_chance = lab.chance(genre)
lab.takeaway(
    f"From the cured z neighbours name {row['neighbours']:.0%} of genres, a probe {row['probe']:.0%}; swaps obey in "
    f"{row['swap obedience']:.0%}.",
    {
        "The genre is still there; the decoder no longer takes it from z.": row["probe"]
        > by_chance + 0.3
        and row["swap obedience"] > 0.9,
        "The genre has left z.": row["probe"] < by_chance + 0.1,
        "The genre is there, and the decoder still uses some of it.": True,
    },
)

# %% [markdown]
# How can a probe find what neighbours miss? The last column says how far a genre lies from the middle in one dimension.
# Distances, which neighbours and the discrepancy go by, hardly notice small shifts. A probe adds them up: $d$ standard
# deviations in each of $n$ dimensions are $d\sqrt n$ along the best direction. So the penalty of section 5 can leave
# the genre in $z$, faint, and the LDA of section 6 finds it. What counts is what the decoder does with it, and only swap
# obedience measures that.
#
# ## 12. One idea in every genre
#
# Each **row** is one latent, each **column** one genre. Along a row, try to name what is shared before you listen:
# where chords change, how dense it is, which beats are stressed.

# %%
shown = genres[:6]
ideas = cured.sample_latents(np.zeros(2, int), seed=seed)
played = [
    [cm.make_clip(cured, latent=idea, genre=name) for name in shown] for idea in ideas
]
size = (2.4 * len(shown) + 1, 4.6)
fig, axes = plt.subplots(
    2, len(shown), figsize=size, sharex=True, sharey=True, layout="constrained"
)
for row, (pictures, clips_of_row) in enumerate(zip(axes, played, strict=True)):
    for column, (ax, clip) in enumerate(zip(pictures, clips_of_row, strict=True)):
        image = cm.plot_log_mel(
            clip.log_mel, config, ax, title=None if row else clip.genre
        )
        ax.set(xlabel="", ylabel="" if column else f"latent {row + 1}")
fig.colorbar(image, ax=axes, label="level (dB)")
fig.supxlabel("time (beats)" if config.grid == "beats" else "time (s)")
fig.supylabel("frequency (Hz, mel scale)")
session.show_figure(
    fig,
    "04_same_latent_every_genre",
    alt="Two latents in rows, each decoded in every genre.",
)

# %%
HTML(
    "".join(
        cm.player(clip.samples, config, f"latent 1 as {clip.genre}").data
        for clip in played[0]
    )
)

# %% [markdown]
# A label is a row of weights, so half of one genre and half of another can be asked for, which the decoder never heard.
# **Guess:** two bands at once, or a third band?

# %%
pair = [genres[0], genres[len(genres) // 2]]
half = np.tile(one_hot[[genres.index(name) for name in pair]].mean(axis=0), (24, 1))
blends = cured.decode(cured.sample_latents(np.zeros(24, int), seed=seed), half)
level = config.unscale(blends[0])
label = f"half {pair[0]}, half {pair[1]}"
cm.show_clips({"log_mel": level, "samples": cm.to_audio(level, config, 110.0, seed=seed), "label": label}, config)
opinion = pd.Series(judges["cnn"].predict_proba(blends).mean(axis=0), genres)
rest = 1.0 - opinion[pair].sum()
lab.takeaway(
    f"Over 24 latents the judge hears {opinion[pair[0]]:.0%} {pair[0]}, {opinion[pair[1]]:.0%} {pair[1]}, the rest "
    "something else.",
    {
        "Half a label is a place between the two.": opinion[pair].min() > 0.1 and rest < 0.4,
        "Half a label is a place of its own.": rest >= 0.4,
        "Half a label falls to one side.": True,
    },
)

# %% [markdown]
# ## 13. Clips and scores to keep
#
# Two clips of every genre as WAV, and one table of scores. **Diversity** is the mean distance between two generated clips
# of a genre over that of two real ones (0 is collapse); **sharpness**, how strongly lines stand out, over real.

# %%
for name in genres:
    for number in range(2):
        clip = cm.make_clip(cured, genre=name, seed=seed + number)
        stem = re.sub(r"[^\w-]+", "_", name)
        cm.write_audio(
            session.clips_dir / f"04_{stem}_seed{clip.seed}.wav", clip.samples, config
        )
written = sorted(path.name for path in session.clips_dir.glob("04_*.wav"))
print(f"{len(written)} clips:", ", ".join(written))

# %%
limits = {"max_clips": 60, "num_per_genre": 20, "seed": seed}
scores = {
    name: lab.evaluate_model(model, features, judges, **limits)
    for name, model in models.items()
}
board = pd.DataFrame(scores).T.rename_axis("model")
board.insert(0, "seconds", pd.Series(seconds))
board.to_csv(session.output_dir / "scoreboard.csv")

# %%
columns = {
    "cnn_fresh": "fresh draws",
    "cnn_swap": "swap",
    "cnn_class_conditional": "class-conditional",
    "descriptors_fresh": "fresh draws, second judge",
    "descriptors_swap": "swap, second judge",
    "reconstruction_rms_db": "error (dB)",
    "kl": "KL (nats)",
    "active_units": "active units",
    "cnn_diversity": "diversity",
    "sharpness_sampled": "sharpness of samples",
    "seconds": "seconds",
}
display(board[list(columns)].rename(columns=columns).T.round(2))

# %% [markdown]
# ## Is my run normal?
#
# Ranges of the embedded music. On other music the order should hold: deaf, FiLM alone, all steps.

# %%
ranges = [
    ("deaf model, swap obedience", heard.loc[("deaf", "cnn"), "swap"], 0.0, 0.1),
    ("cured model, swap obedience", heard.loc[("cured", "cnn"), "swap"], 0.97, 1.0),
    ("live, FiLM alone, swap obedience", ends["FiLM alone"], 0.3, 0.9),
    ("live, all steps, swap obedience", ends["all steps"], 0.9, 1.0),
    (
        "live, all steps, error (dB)",
        board.loc["all steps", "reconstruction_rms_db"],
        7.5,
        10.0,
    ),
    ("live, all steps, KL (nats)", board.loc["all steps", "kl"], 30.0, 120.0),
    ("live, minutes for both", sum(seconds.values()) / 60, 0.3, 5.0),
]
checks = pd.DataFrame(ranges, columns=["measure", "your run", "from", "to"])
checks["normal"] = np.where(
    checks["your run"].between(checks["from"], checks["to"]), "yes", "look"
)
checks.round(2)

# %% [markdown]
# ## What to take along
#
# - A label the decoder *can* ignore, it will, as soon as the latent says the same. Healthy KL and active units show
#   nothing of it: ask with a latent and a label that disagree.
# - A latent that was drawn for the genre asked for hides this fault; draw it from all genres.
# - Tell every stage; take the genre out of the latent; let classifiers listen; move what is left.
#
# **Limits.** A judge is not a listener: both judges can be satisfied by a caricature of a genre; diversity and your
# ears are there to notice. The classifiers train on something near the swap score, so the judges are of another make and
# see real music only. A trait that one genre has alone becomes part of its label, and no swap can move it. Sharpness
# below 1 is the price of a squared error: notebook 09.
#
# ## Exercises
#
# 1. **Without the density** (5 minutes, easy). Sample at the plain prior $\mathcal N(0, I)$ (`evaluate_model(...,
#    sampler=...)`). How much of the fresh-draw obedience is due to the fitted density?
# 2. **From genre to genre** (10 minutes, easy). Sweep the half label of section 12 in steps of a tenth for twenty
#    latents and plot the judge's mean probabilities. Is the change gradual or sudden?
# 3. **Deafen the stages** (5 minutes, easy). Set the FiLM weights of more and more stages of the cured model to zero.
#    How many does it need to obey? The answer says what in section 9 cured it.
# 4. **A loss** (15 minutes, medium). Write the discrepancy of two sets of points from its formula in section 5, with
#    means over pairs of *different* points. The cell below it says whether yours is right.
#
# Solutions are in `solutions/04_conditional_vae`. Next: notebook 05 asks why the project that this series began with
# collapsed, with both collapses at once.

# %%
num_deaf = 0  # exercise 3: try 3, then all of them
deafened = cm.ConditionalVAE(config, genres)
deafened.set_weights(cured.get_weights())
for stage in stages[:num_deaf]:
    layer = deafened.decoder.get_layer(stage)
    layer.set_weights([np.zeros_like(weight) for weight in layer.get_weights()])
print(
    f"swap obedience with {num_deaf} of {len(stages)} stages deafened: {swap_shares(deafened)[0]:.2f}"
)


# %% tags=["exercise"]
def discrepancy(first, second):
    """Squared maximum mean discrepancy of two sets of points, shapes (n, dim) and (m, dim), a scalar."""
    return ops.mean(
        multiquadric_kernel(first, first)
    )  # exercise 4: the other two means, and no point with itself


# %% tags=["check"]
rng = np.random.default_rng(1)
cases = {"the same place": (60, 0.0), "moved": (60, 2.0), "five points": (5, 1.0)}
for name, (count, shift) in cases.items():
    first, second = rng.standard_normal((2, count, 3)).astype("float32") + np.float32([[[shift]], [[0.0]]])
    expected = float(genre_discrepancy(first[None], np.ones((count, 1), "float32"), second[None]))
    got = float(discrepancy(first, second))
    print(f"{name}: {'right' if abs(got - expected) < 1e-4 else f'not yet: expected {expected:.4f}, got {got:.4f}'}")

# %% [markdown]
# <!-- links: made by tools/badges.py -->
# Before: [03 vae](03_vae.ipynb).
# After: [05 posterior collapse](05_posterior_collapse.ipynb).
# [Solutions](solutions/04_conditional_vae.ipynb) of the exercises.
# <!-- end of links -->
