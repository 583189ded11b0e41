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
# # Solutions to notebook 07
#
# <!-- links: made by tools/badges.py -->
# The notebook: [07 comparison](../07_comparison.ipynb)
# <!-- end of links -->
#
# Each can be read on its own after the cells that load the model.

# %% tags=["parameters"]
data = "known"
seed = 0
repository_zip = ""
num_clips = 2400
weights = "pretrained"
num_judge_steps = 400
num_full_steps = 1440

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
import numpy as np
import pandas as pd
from IPython.display import display
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

train, train_genre = features.arrays("train")
clips, genre = features.arrays("test")
vae = lab.open_model("vae", features, session, weights, num_steps=num_full_steps)
judges = lab.open_judges(features, session, weights, num_steps=num_judge_steps)
points = [vae.encode(part)[0] for part in (train, clips)]

# %% [markdown]
# ## 1. Fewer components
#
# The error grows and the draws lose their detail; class-conditional obedience and the clusters hold out longest, because
# the first few components already separate these genres. Fresh draws stay at chance with any number: PCA has no label.

# %%
boards = {}
for size in (4, 8, 32, 96):
    pca = lab.PCABaseline(size).fit(features)
    row = lab.evaluate_model(pca, features, judges, num_per_genre=20, seed=seed, max_clips=100)
    found = lab.cluster_scores(pca.encode(train)[0], train_genre, pca.encode(clips)[0], genre, num_boots=5)["score"]
    scores = row[["reconstruction_rms_db", "cnn_fresh", "cnn_class_conditional", "cnn_swap", "sharpness_sampled"]]
    boards[size] = scores.to_dict() | found.to_dict()
display(pd.DataFrame(boards).T.rename_axis("components").round(2))

# %% [markdown]
# ## 2. Twice as many clusters
#
# A genre that falls into two clusters keeps its clusters pure. NMI forgives that in part, since a cluster still tells the
# genre; ARI counts every pair of one genre that was parted. If a finer grouping is as good for the purpose, NMI is
# fairer; if there should be one cluster a genre, ARI is. Both reach 1 only where clusters and genres are the same.

# %%
rows = {}
for number in (features.num_genres, 2 * features.num_genres, 4 * features.num_genres):
    clusters = (
        KMeans(number, n_init=10, random_state=seed).fit(points[0]).predict(points[1])
    )
    rows[number] = {
        "ARI": adjusted_rand_score(genre, clusters),
        "NMI": normalized_mutual_info_score(genre, clusters),
    }
display(pd.DataFrame(rows).T.rename_axis("clusters").round(3))

# %% [markdown]
# ## 3. Rows out of step
#
# The error names the rows. Without the check the scores look like those of a model that learned nothing.

# %%
order = np.random.default_rng(seed).permutation(len(clips))
try:
    lab.check_alignment(lambda part: vae.encode(part)[0], clips, points[1][order])
except ValueError as error:
    print(error)
kept = lab.cluster_scores(points[0], train_genre, points[1], genre, num_boots=5)[
    "score"
]
shuffled = lab.cluster_scores(
    points[0], train_genre, points[1][order], genre, num_boots=5
)["score"]
display(pd.DataFrame({"in step": kept, "shuffled": shuffled}).round(3))

# %% [markdown]
# <!-- links: made by tools/badges.py -->
# The notebook: [07 comparison](../07_comparison.ipynb)
# <!-- end of links -->
