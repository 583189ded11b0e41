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
# # Solutions to notebook 07
#
# <!-- links: made by tools/badges.py -->
# The notebook: [07 comparison](../07_comparison.ipynb)
# <!-- end of links -->
#
# Each can be read on its own after the cells that load the models.

# %% tags=["parameters"]
data = "known"
seed = 0
repository_zip = ""
num_clips = 2400
weights = "pretrained"
num_steps = 150
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
import dataclasses

import numpy as np
import pandas as pd
from IPython.display import display
from keras import ops
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score, normalized_mutual_info_score

train, train_genre = features.arrays("train")
clips, genre = features.arrays("test")
vae = lab.open_model("vae", features, session, weights, num_steps=num_full_steps)
cvae = lab.open_model("cvae", features, session, weights, num_steps=num_full_steps)
judges = lab.open_judges(features, session, weights, num_steps=num_judge_steps)
points = [vae.encode(part)[0] for part in (train, clips)]

# %% [markdown]
# ## 1. A schedule of your own
#
# The step is a whole number and has to become a float before it is divided.


# %% tags=["exercise"]
@dataclasses.dataclass
class Sigmoid(cm.Constant):
    """Weight rising along a logistic curve; half of it is reached after `middle` steps."""

    middle: float = 75.0
    width: float = 15.0

    def next_weight(self, step, last_weight, kl):
        place = (ops.cast(step, "float32") - self.middle) / self.width
        return self.weight * ops.sigmoid(place)


# %% tags=["check"]
steps = (0, 75, 150)
one = ops.ones(())
curve = Sigmoid(10.0)
got = [float(curve.next_weight(ops.convert_to_tensor(step), one, 0.0)) for step in steps]
expected = [10.0 / (1.0 + np.exp((75.0 - step) / 15.0)) for step in steps]
right = np.allclose(got, expected, rtol=1e-3)
numbers = f"expected {np.round(expected, 3).tolist()}, got {np.round(got, 3).tolist()}"
print("right" if right else f"not yet: {numbers}")

# %%
rates = {}
for name, kl in {"constant 10": 10.0, "sigmoid to 10": Sigmoid(10.0)}.items():
    size = {"width": 96, "depth": 1, "kl": kl}
    settings = {"num_steps": num_steps, "seed": seed, "changes": size}
    model, _ = lab.fit_model("cvae", features, **settings, verbose=0)
    rates[name] = float(lab.kl_per_dimension(*model.encode(clips)).sum())
print({name: f"{rate:.1f} nats" for name, rate in rates.items()})

# %% [markdown]
# No: the rate is 75.7 nats and not 20.3. In the last steps both weights are equal, but with the sigmoid half of the training
# had a small weight, and the model has not yet given everything back.
#
# ## 2. Three measures, and a rotation
#
# A rotation keeps the information and the KL to the prior. So a measure of disentanglement has to notice it where there is
# something to lose, and the toys have everything to lose.


# %%
def scores(latents, factors):
    """MIG, SAP and DCI; the trees of DCI learn on the first half of the clips."""
    half = len(latents) // 2
    first = factors[:half]
    second = factors[half:].reset_index(drop=True)
    trees = lab.dci(latents[:half], first, latents[half:], second)
    return {
        "MIG": lab.mutual_information_gap(latents, factors),
        "SAP": lab.separated_attribute_predictability(latents, factors),
        "DCI": trees["disentanglement"],
        "informativeness": trees["informativeness"],
    }


def rotated(latents):
    size = latents.shape[1]
    noise = np.random.default_rng(seed).standard_normal((size, size))
    return latents @ np.linalg.qr(noise)[0]


# %%
rng = np.random.default_rng(seed)
known = {"mode": rng.integers(0, 2, 1500)}
known |= {name: rng.random(1500) for name in lab.FACTORS[1:]}
known = pd.DataFrame(known)
plain = ((known - known.mean()) / known.std()).to_numpy()
found = {"the factors": scores(plain, known), "the factors, rotated": scores(rotated(plain), known)}
if all(name in features.table for name in lab.FACTORS):
    factors = features.subset("train").table[list(lab.FACTORS)].reset_index(drop=True)
    whole = cvae.encode(train)[0][:, : cvae.global_dim]
    found["CVAE, 32 dimensions"] = scores(whole, factors)
    found["CVAE, rotated"] = scores(rotated(whole), factors)
    found["CVAE, all 96 dimensions"] = scores(cvae.encode(train)[0], factors)
display(pd.DataFrame(found).T.round(3))

# %% [markdown]
# On the toys MIG, SAP and DCI all notice the rotation (0.962 to 0.274, 0.997 to 0.269, 0.998 to 0.480). Informativeness
# hardly does (1.000 to 0.979), because the information is the same and the trees only have to cut along other axes. The CVAE
# has little to lose: its MIG is 0.018 and, rotated, 0.007. So its axes are somewhat better than random ones and far
# from one factor a dimension. On all 96 dimensions MIG is 0.020, while DCI and informativeness rise a little,
# because the dimensions of single beats know something about the factors too.
#
# ## 3. Fewer components

# %%
boards = {}
for size in (4, 8, 32, 96):
    pca = lab.PCABaseline(size).fit(features)
    row = lab.evaluate_model(pca, features, judges, num_per_genre=20, seed=seed, max_clips=100)
    latents = [pca.encode(part)[0] for part in (train, clips)]
    clusters = lab.cluster_scores(latents[0], train_genre, latents[1], genre, num_boots=5)
    boards[size] = {
        "error (dB)": row["reconstruction_rms_db"],
        "fresh-draw obedience": row["cnn_fresh"],
        "class-conditional": row["cnn_class_conditional"],
        "sharpness, drawn": row["sharpness_sampled"],
        "k-means NMI": clusters.loc["kmeans_nmi", "score"],
    }
display(pd.DataFrame(boards).T.rename_axis("components").round(2))

# %% [markdown]
# With 8 components the error is 8.38 dB in place of 5.51, and the draws lose their sharpness (0.30 in place of 0.77).
# Class-conditional obedience (0.98) and the clusters (0.59) hold, because the first few components already separate these
# genres. With 4 components they fall too. Fresh draws stay at chance with any number, because PCA has no label.
#
# ## 4. Twice as many clusters

# %%
rows = {}
for number in (features.num_genres, 2 * features.num_genres, 4 * features.num_genres):
    k_means = KMeans(number, n_init=10, random_state=seed).fit(points[0])
    clusters = k_means.predict(points[1])
    rows[number] = {
        "ARI": adjusted_rand_score(genre, clusters),
        "NMI": normalized_mutual_info_score(genre, clusters),
    }
display(pd.DataFrame(rows).T.rename_axis("clusters").round(3))

# %% [markdown]
# With twice as many clusters both rise (NMI 0.687 to 0.832, ARI 0.538 to 0.617), because six clusters of k-means do not fall
# on six genres and twelve can follow them better. With 24 both fall, ARI to 0.372 and NMI to 0.730: ARI counts every pair
# of one genre that was parted, and NMI forgives it in part, since a cluster still tells the genre. If a finer grouping is
# as good for the purpose, NMI is fairer; if there should be one cluster a genre, ARI is.
#
# ## 5. Rows out of step
#
# The error names the rows. Without the check the scores look like those of a model that learned nothing.

# %%
order = np.random.default_rng(seed).permutation(len(clips))
try:
    lab.check_alignment(lambda part: vae.encode(part)[0], clips, points[1][order])
except ValueError as error:
    print(error)
kept = lab.cluster_scores(points[0], train_genre, points[1], genre, num_boots=5)
shuffled = lab.cluster_scores(points[0], train_genre, points[1][order], genre, num_boots=5)
display(pd.DataFrame({"in step": kept["score"], "shuffled": shuffled["score"]}).round(3))

# %% [markdown]
# <!-- links: made by tools/badges.py -->
# The notebook: [07 comparison](../07_comparison.ipynb)
# <!-- end of links -->
