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
# # Which model is best, and at what?
#
# *To open this on Colab: File, Upload notebook, choose this file; put the zip of the project into the Files pane and
# set `repository_zip = "file:///content/<name of the zip>"` below.*
#
# **What you will hear at the end:** a map of unseen clips where a click plays each one, as a VAE sorts them and as a
# conditional VAE does.
#
# **What you need to know:** autoencoder, VAE and conditional VAE (notebooks 02, 03 and 05). Every other term is defined
# where it first appears.
#
# > **Time:** about 3 minutes on two CPU cores with the shipped results; half of it is one training of the comparison,
# > done live. All of it: `python -m cvae_music.sweeps comparison_known`. Last full run: 2026-11-23.

# %% tags=["parameters"]
data = "known"  # or the path of a folder of genres, or of FMA
seed = 0
repository_zip = ""
num_clips = 2400  # known-factor music only
weights = "pretrained"  # or "train"; other music is always trained on
live_model = "VAE"  # the row of the scoreboard that is made here: AE, VAE, CVAE or beta-CVAE
num_steps = 360  # of each training of the comparison
num_full_steps = 1440  # of the models of the map, where no weights are loaded
num_judge_steps = 400  # of the judges, where none are loaded

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
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from cvae_lab import evaluation
from cvae_lab.beta_cells import MODELS, comparison_cells, measure_pca, measure_raw
from cvae_lab.clip_map import clip_map
from cvae_lab.clustering import check_alignment, cluster_scores
from cvae_lab.lessons import lesson
from cvae_lab.pretrained import is_shipped, open_judges, open_model
from cvae_lab.principal import PrincipalComponents
from cvae_lab.probes import classification_accuracy, genre_probe
from cvae_lab.sweeps import read_rows, run_cell
from IPython.display import display
from sklearn.manifold import TSNE

from cvae_music import plots
from cvae_music.audio.inversion import to_audio
from cvae_music.config import AudioConfig
from cvae_music.data.features import build_features
from cvae_music.data.sources import open_collection
from cvae_music.players import show_clips

# %%
config = AudioConfig()
features = build_features(open_collection(data, num_clips=num_clips, seed=seed), config, session.cache_dir)
train, test = features.subset("train"), features.subset("test")
clips, genre = features.arrays("test")
shipped = is_shipped(session, weights)

# %%
judges = open_judges(features, session, weights, num_steps=num_judge_steps)
display(features.counts())

# %% [markdown]
# ## 1. Five models and two kinds of raw features
#
# - **PCA**: the clip as coefficients of 96 principal components, with a Gaussian for each genre to draw from. No
#   network, and seconds to fit. Whatever a network is praised for, this should be beaten first.
# - **AE**: the autoencoder of notebook 02. It has no prior, so nothing can be drawn.
# - **VAE**: with a prior, without a label.
# - **CVAE**: with a label, and the two remedies that make it listen.
# - **beta-CVAE**: the same at $\beta = 10$.
#
# The networks have the same width, see the same clips in the same number of steps, and are trained with three seeds:
# equal budgets, not the best each could be. The full-size models are in the README. For clustering there are two
# baselines more: **log-mel statistics**, mean and standard deviation over time of each mel band, and **MFCC
# statistics**, the same of 20 cepstral coefficients, the classic of genre classification (Tzanetakis and Cook, 2002).
#
# **Guess** which model wins most columns.
#
# ## 2. One row made here
#
# A table that was computed elsewhere has to be believed. So one of its rows is made now, from nothing, and compared
# with the shipped one.

# %%
cells = [cell for cell in comparison_cells() if cell["name"] == live_model and cell["seed"] == seed % 3]
live = pd.Series(run_cell(cells[0] | {"num_steps": num_steps}, features, judges))
live.to_csv(session.output_dir / "07_live_row.csv")
print(f"{live_model}: {live['parameters']:,} weights, {live['seconds']:.0f} s of training")

# %%
stored = read_rows("comparison_known") if shipped else read_rows("comparison_real", session.output_dir / "results")
tolerance = {"reconstruction_rms_db": 0.3, "z_leak": 0.1, "knn_accuracy": 0.1, "kmeans_nmi": 0.2}
twins = stored[(stored["name"] == live_model) & (stored["seed"] == live["seed"])] if len(stored) else stored
if len(twins) and num_steps == 360 and num_clips == 2400:
    kept = twins.iloc[0]
    check = pd.DataFrame({"live": live[list(tolerance)], "shipped": kept[list(tolerance)], "tolerance": tolerance})
    display(check.astype(float).round(3))
    assert (np.abs(check["live"] - check["shipped"]) <= check["tolerance"]).all(), "this run is not the shipped one"

# %% [markdown]
# Rounding differs between machines and grows over the training, hence tolerances and not equality. k-means gets the
# widest: it can settle on another grouping.
#
# ## 3. The scoreboard

# %%
if len(stored):
    rows = stored
else:
    once = [{"name": "raw features", **measure_raw({"seed": seed}, features, judges)}]
    once.append({"name": "PCA", "seed": seed, **measure_pca({"seed": seed}, features, judges)})
    rows = pd.DataFrame([*once, live.to_dict()])
models = [name for name in ("PCA", *MODELS) if name in set(rows["name"])]
raw = rows[rows["name"] == "raw features"].iloc[0]

# %%
def table(columns, digits=2):
    """Mean over the seeds, with the spread where there are several; a dash where a model has no such measure."""
    made = {}
    for title, column in columns.items():
        values = {name: rows[rows["name"] == name][column].dropna().astype(float) for name in models}
        made[title] = {
            name: "–" if not len(some) else f"{some.mean():.{digits}f}" + (f" ± {some.std():.{digits}f}" if len(some) > 1 else "")
            for name, some in values.items()
        }  # fmt: skip
    return pd.DataFrame(made, index=models)


def mean(name, column):
    return rows[rows["name"] == name][column].astype(float).mean()


# %%
display(table({"training (s)": "seconds", "weights": "parameters"}, 0).join(table({
    "reconstruction (dB RMS)": "reconstruction_rms_db", "sharpness, rebuilt": "sharpness_reconstruction",
    "sharpness, drawn": "sharpness_prior"})))  # fmt: skip

# %%
best = min(models, key=lambda name: mean(name, "reconstruction_rms_db"))
lesson(
    f"{best} rebuilds best, with {mean(best, 'reconstruction_rms_db'):.2f} dB; PCA reaches "
    f"{mean('PCA', 'reconstruction_rms_db'):.2f} dB after {mean('PCA', 'seconds'):.0f} s with "
    f"{mean('PCA', 'parameters') / 1e6:.1f} million numbers, {live_model} "
    f"{mean(live_model, 'reconstruction_rms_db'):.2f} dB after {mean(live_model, 'seconds'):.0f} s with "
    f"{mean(live_model, 'parameters') / 1e6:.1f} million."
)

# %% [markdown]
# Where a network loses to PCA after such a short training: is it the network, or the time? The models that ship
# are wider and saw four times the steps and twice the clips.

# %%
longer = read_rows("foundation_known") if shipped else pd.DataFrame()
if len(longer):
    errors = longer.groupby("kind")["reconstruction_rms_db"].mean()
    lesson(
        "Trained for longer, the error is " + ", ".join(f"{error:.2f} dB ({kind})" for kind, error in errors.items())
        + f", against {mean('PCA', 'reconstruction_rms_db'):.2f} dB of PCA. The order of this table is that of a small budget."
    )

# %% [markdown]
# ## 4. Generation
#
# **Obedience** to the label by two judges, for draws from the prior and for swapped labels (notebook 04).
# **Diversity** inside a genre over that of real clips. The **Fréchet** and the **kernel distance** compare clips drawn
# with real test clips in the embedding of the network judge; a small set makes the first too large, so the numbers of
# clips stand beside it. The **classification accuracy score** (CAS; Ravuri and Vinyals, 2019) turns the judge
# round: a classifier *learns from generated clips alone* and is tested on real ones. It is fooled neither by clips of
# the wrong genre nor by one good clip repeated.

# %%
generation = {f"{judge}, {what}": f"{judge}_{what}" for judge in judges for what in ("prior", "swap", "diversity")}
display(table(generation))
display(table({"Fréchet": "cnn_frechet", "kernel": "cnn_kernel", "CAS": "cas", "diversity, log-mel": "diversity_log_mel"}))
drawn, real_count = rows["num_prior_clips"].dropna(), rows["num_test_clips"].dropna()
print(f"N = {drawn.iloc[0]:.0f} drawn and {real_count.iloc[0]:.0f} real clips; CAS of 300 real training clips: {raw['cas']:.2f}")

# %%
labelled = [name for name in models if rows[rows["name"] == name]["cas"].notna().any()]
lesson(
    "A classifier that has heard only generated clips names real ones right in "
    + ", ".join(f"{mean(name, 'cas'):.0%} ({name})" for name in labelled)
    + f"; with as many real clips it is {raw['cas']:.0%}. Swapped labels are obeyed, by the network judge, in "
    + ", ".join(f"{mean(name, 'cnn_swap'):.0%} ({name})" for name in labelled) + "."
)

# %% [markdown]
# PCA is the control of this table. Its draws are told their genre by the Gaussian they come from, so *prior* obedience
# and CAS may be good without the decoder ever hearing a label. *Swap* obedience shows the difference: the genre of a
# PCA clip is in its coefficients, and no label can change it.
#
# A low CAS of a small CVAE may be a matter of detail: a probe that learned on blurred clips does not know sharp ones.
# **Guess** what the full-size CVAE reaches.

# %%
full = {kind.upper(): open_model(kind, features, session, weights, num_steps=num_full_steps) for kind in ("vae", "cvae")}
asked = np.sort(np.random.default_rng(seed).permutation(train.genre_index)[:300])
made = full["CVAE"].decode(full["CVAE"].sample_latents(asked, seed=seed), asked)
real_db, made_db = config.unscale(clips), config.unscale(made)

# %%
full_cas = classification_accuracy(made, asked, clips, genre, judges["descriptors"].embedding)
lesson(
    f"The CVAE of full size has a CAS of {full_cas:.2f} with a sharpness of {evaluation.sharpness_ratio(made_db, real_db):.2f}; "
    f"the small one has {mean('CVAE', 'cas'):.2f} with {mean('CVAE', 'sharpness_prior'):.2f}." if "CVAE" in models else
    f"The CVAE of full size has a CAS of {full_cas:.2f}."
)

# %% [markdown]
# ## 5. Clustering: do genres lie together?
#
# Now the latents as a description of music. Clusters are found without labels: k-means, and a mixture of Gaussians
# (GMM), with as many clusters as genres, fitted to training clips. On test clips we then ask how well clusters and
# genres agree:
#
# - **ARI**, adjusted Rand index: share of pairs on which both agree, corrected so that chance is 0;
# - **NMI**: mutual information of cluster and genre over the mean of their entropies;
# - **silhouette** of the genres: how much nearer a clip is to its own genre than to the next, from -1 to 1;
# - **kNN accuracy**: 15 nearest training clips vote.
#
# No label has entered the encoder of any model here; the CVAE's decoder and its penalties have seen labels. A score
# against labels is worth nothing once rows have been sorted on one side, so `check_alignment` encodes some clips
# again and compares; the sweep runs it for every model. Intervals hold the middle 95 % over resampled test clips.
#
# **Guess** the order: raw features, PCA, AE, VAE, CVAE.

# %%
measures = {"k-means ARI": "kmeans_ari", "k-means NMI": "kmeans_nmi", "GMM ARI": "gmm_ari", "GMM NMI": "gmm_nmi",
            "silhouette": "silhouette", "kNN": "knn_accuracy"}  # fmt: skip
described = {}
for name in ("log-mel statistics", "MFCC statistics"):
    described[name] = {f"{key}{end}": raw[f"{name}: {key}{end}"] for key in measures.values() for end in ("", "_low", "_high")}
for name in models:
    described[name] = rows[rows["name"] == name].mean(numeric_only=True)
described = pd.DataFrame(described).T

# %%
def with_interval(name, column):
    low, value, high = (described.loc[name, f"{column}{end}"] for end in ("_low", "", "_high"))
    return f"{value:.2f} [{low:.2f}, {high:.2f}]"


display(pd.DataFrame({title: {name: with_interval(name, column) for name in described.index} for title, column in measures.items()}))

# %%
fig, axes = plt.subplots(1, 3, figsize=(13, 3.6), sharey=True, layout="constrained")
height = np.arange(len(described))
for ax, title in zip(axes, ("k-means NMI", "GMM NMI", "kNN"), strict=True):
    value, low, high = (described[f"{measures[title]}{end}"].to_numpy(float) for end in ("", "_low", "_high"))
    ax.errorbar(value, height, xerr=np.clip([value - low, high - value], 0, None), fmt="o", capsize=3, color=plots.COLOURS[0])
    ax.set(xlabel=title, xlim=(-0.05, 1.05))
axes[0].set_yticks(height, described.index)
axes[0].invert_yaxis()
plots.show_figure(fig, "07_clustering", alt="Scores with intervals for raw features and models, one panel a measure.")

# %%
family = [name for name in ("VAE", "CVAE", "beta-CVAE") if name in described.index]
simple = [name for name in described.index if "statistics" in name]
top, base = (max(names, key=lambda name: described.loc[name, "kmeans_nmi"]) for names in (family, simple))
apart = described.loc[top, "kmeans_nmi_low"] > described.loc[base, "kmeans_nmi_high"]
below = described.loc[top, "kmeans_nmi_high"] < described.loc[base, "kmeans_nmi_low"]
lesson(
    f"The best of the VAE family by k-means NMI is {top} with {with_interval(top, 'kmeans_nmi')}; the best raw feature is "
    f"{base} with {with_interval(base, 'kmeans_nmi')}. "
    + ("The VAE family is ahead." if apart else "The raw features are ahead." if below else "The intervals overlap: no winner.")
)

# %% [markdown]
# ### Why a CVAE's $z$ should not cluster by genre
#
# A VAE has one place to put everything that tells clips apart. Genre is among the largest differences there are, so
# its latents may well fall into groups, though nothing asks them to: the prior wants one round cloud.
#
# A conditional VAE is given the genre for free. Each nat of genre in $z$ is paid for a second time, and it contradicts
# the label when the label is changed. The discrepancy penalty pushes the latents of all genres onto one distribution.
# So low *clustering* scores are success in its rows.
#
# **z-leak** asks something harder: how often can a linear probe, *taught with labels*, name the genre from $z$? Clusters
# are found where the spread is large. A probe adds up small shifts over 96 dimensions, each too small for a penalty
# on distances to matter. **Guess** whether the two agree.

# %%
display(table({"z-leak": "z_leak", "k-means NMI": "kmeans_nmi", "kNN": "knn_accuracy", "swap obedience (cnn)": "cnn_swap"}))

# %%
leaks = {name: (mean(name, "z_leak"), mean(name, "kmeans_nmi")) for name in ("VAE", "CVAE", "beta-CVAE") if name in models}
lesson(
    "; ".join(f"{name}: k-means NMI {nmi:.2f}, probe {probe:.0%}" for name, (probe, nmi) in leaks.items())
    + f"; chance for the probe is {evaluation.chance(genre):.0%}. Where the probe is right and swapped labels are obeyed "
    "all the same, the genre is still in z, in directions the decoder has stopped using."
)

# %% [markdown]
# ## 6. A map to click on
#
# Two maps of the same unseen clips by models of full size. They are drawn by t-SNE (van der Maaten and Hinton, 2008),
# which keeps neighbours together and says nothing about large distances: read groups, not gaps.

# %%
shown = np.sort(np.random.default_rng(seed).permutation(len(clips))[:180])
latents = {name: model.encode(clips[shown])[0] for name, model in full.items()}
for name, model in full.items():
    check_alignment(lambda part, model=model: model.encode(part)[0], clips[shown], latents[name])

# %%
near = min(30, (len(shown) - 1) // 3)
places = {name: TSNE(perplexity=near, init="pca", random_state=0).fit_transform(points) for name, points in latents.items()}
fig, axes = plt.subplots(1, 2, figsize=(12, 4.6), layout="constrained")
for ax, (name, points) in zip(axes, places.items(), strict=True):
    plots.plot_latent_map(points, genre[shown], features.genres, ax, f"latents of the {name}")
    ax.set(xlabel="t-SNE, first direction", ylabel="t-SNE, second direction")
plots.show_figure(fig, "07_latent_map", alt="Maps of the latents: genres in groups for the VAE, mixed for the CVAE.")

# %%
def share_between_genres(points):
    """Share of each dimension's variance that lies between the means of the genres; mean and largest."""
    centres = np.stack([points[genre[shown] == index].mean(axis=0) for index in genre[shown]])
    share = centres.var(axis=0) / points.var(axis=0)
    return share.mean(), share.max()


lesson(
    "Of the variance of a dimension, the genres' means account for "
    + " and ".join(
        f"{average:.0%} on average, {largest:.0%} at most ({name})"
        for name, (average, largest) in {name: share_between_genres(points) for name, points in latents.items()}.items()
    )
    + f"; random labels would give about {(features.num_genres - 1) / len(shown):.0%}."
)

# %% [markdown]
# With a running kernel, each button below is a clip near its place on the map of the VAE: hover for its genre, click to
# hear it as the model rebuilds it. The letters begin the genre's name. Without a kernel, the picture above and
# the players below are what there is.

# %%
def rebuilt(name, number):
    row = shown[number]
    return config.unscale(full[name].decode(latents[name][[number]], genre[[row]]))[0]


def sound(number):
    tempo = float(test.table["tempo"].iloc[shown[number]])
    return to_audio(rebuilt("VAE", number), config, tempo)


clip_map(places["VAE"], genre[shown], features.genres, sound, config)

# %%
centre = int(np.argmin(((latents["CVAE"] - latents["CVAE"].mean(axis=0)) ** 2).sum(axis=1)))
neighbours = {}
for name, points in latents.items():
    neighbours[name] = int(np.argsort(((points - points[centre]) ** 2).sum(axis=1))[1])
heard = {f"a clip, {features.genres[genre[shown[centre]]]}": centre}
heard |= {f"its neighbour by the {name}, {features.genres[genre[shown[number]]]}": number for name, number in neighbours.items()}
show_clips([{"log_mel": rebuilt("VAE", number), "samples": sound(number), "label": label} for label, number in heard.items()], config)

# %%
def neighbours_agree(points):
    distance = ((points[:, None] - points[None]) ** 2).sum(axis=2) + 1e9 * np.eye(len(points))
    return float(np.mean(genre[shown][distance.argmin(axis=1)] == genre[shown]))


lesson(
    "The nearest other clip is of the same genre in "
    + " and ".join(f"{neighbours_agree(points):.0%} of cases ({name})" for name, points in latents.items())
    + f"; chance is {evaluation.chance(genre):.0%}. The linear probe names the genre of "
    + " and ".join(f"{genre_probe(model, features):.0%} ({name})" for name, model in full.items()) + "."
)

# %% [markdown]
# ## 7. Real music
#
# Four styles, split by artist or track, intervals over resampled tracks: several clips of one track are one piece of
# evidence. Others report an NMI of 0.15 and an ARI of 0.11 for a VAE on genres of real music.

# %%
real = read_rows("comparison_real") if shipped else pd.DataFrame()
if len(real):
    real_raw = real[real["name"] == "raw features"].iloc[0]
    lines = {name: {key: real_raw[f"{name}: {key}"] for key in measures.values()} for name in simple}
    lines |= real[real["name"] != "raw features"].groupby("name", sort=False)[list(measures.values())].mean().T.to_dict()
    display(pd.DataFrame(lines).T.rename(columns={column: title for title, column in measures.items()}).round(3))

# %%
if len(real):
    columns = ["reconstruction_rms_db", "cnn_real", "cnn_prior", "cnn_swap", "cnn_diversity", "cas", "z_leak", "seconds"]
    display(real[real["name"] != "raw features"].groupby("name", sort=False)[columns].mean().round(2))
    scored = {name: (lines[name]["kmeans_nmi"], lines[name]["kmeans_ari"]) for name in family if name in lines}
    name = max(scored, key=lambda name: scored[name][0])
    lesson(
        f"On real music {name} reaches NMI {scored[name][0]:.3f} and ARI {scored[name][1]:.3f} by k-means (bar: 0.15 and 0.11); "
        + ", ".join(f"{other} {lines[other]['kmeans_nmi']:.3f} and {lines[other]['kmeans_ari']:.3f}" for other in simple) + "."
    )  # fmt: skip

# %% [markdown]
# ## Write the scoreboard down
#
# The README shows `data/results/comparison_known.csv`, which the sweep wrote and `tools/readme_scoreboard.py` turns
# into a table; nothing in it is typed. This run's table goes into its own folder.

# %%
rows.to_csv(session.output_dir / "07_comparison.csv", index=False)
print(f"{len(rows)} rows, {len(rows.columns)} columns")

# %% [markdown]
# ## Limits
#
# - Equal budgets are one choice of fairness. PCA has more numbers than any network here and needs no training; the
#   networks would go on improving.
# - Three seeds of training; the intervals of the clustering cover the choice of test clips only.
# - The embedding of a judge is where the distances are taken. A judge that knows six genres hears what separates
#   them, and is deaf to much else.
# - Genres of known-factor music are cleaner than any real ones. The real table is the one to expect from a folder of
#   your own.
#
# ## Exercises
#
# 1. Give PCA fewer components (`PrincipalComponents(features, 8)`). Which scores fall, and which rise?
# 2. Cluster into twice as many clusters as genres. What do ARI and NMI say now, and which of them is fairer?
# 3. Shuffle the rows of the latents and call `check_alignment`. Then score them without it.
#
# Solutions are in `solutions/07_comparison`. The cell below is yours.

# %%
points = PrincipalComponents(features, 8)
made = [points.encode(part)[0] for part in (features.arrays("train")[0], clips)]
mine = cluster_scores(made[0], train.genre_index, made[1], genre, num_boots=20)
display(mine.round(2))
