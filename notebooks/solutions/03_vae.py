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
# # Solutions to notebook 03
#
# <!-- links: made by tools/badges.py -->
# The notebook: [03 vae](../03_vae.ipynb)
# <!-- end of links -->
#
# Each can be read on its own after the cells that load the model.

# %% tags=["parameters"]
data = "known"
seed = 0
repository_zip = ""
num_clips = 2400
weights = "pretrained"
num_steps = 60  # of the short training in solution 3
num_full_steps = 1440
num_judge_steps = 400

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
import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from keras import ops

# %%
vae = lab.open_model("vae", features, session, weights, num_steps=num_full_steps)
judge = lab.open_judges(features, session, weights, num_steps=num_judge_steps)["cnn"]
test = features.arrays("test")[0][:240]
real_db = config.unscale(test)
real_ear = judge.embedding(test)
mean, log_var = vae.encode(test)


def distance(clips):
    """Fréchet distance to the test clips in the judge's ear."""
    return lab.frechet_distance(judge.embedding(np.clip(clips, -1.0, 1.0)), real_ear)

# %% [markdown]
# ## 1. Temperature
#
# A low temperature stays near the centres of the mixture: samples are more alike and less sharp. Above 1 they leave the
# places that the decoder knows. The Fréchet distance counts both faults.

# %%
rows = {}
for temperature in (0.5, 1.0, 1.5):
    drawn = vae.decode(
        vae.sample_latents([0] * 200, seed=seed, temperature=temperature)
    )
    rows[temperature] = {
        "sharpness over real": lab.sharpness_ratio(config.unscale(drawn), real_db),
        "diversity over real": lab.diversity_ratio(
            drawn, np.zeros(200), test, np.zeros(len(test))
        ),
        "Fréchet distance": distance(drawn),
    }
pd.DataFrame(rows).T.rename_axis("temperature").round(3)

# %% [markdown]
# ## 2. What each dimension is worth
#
# A dimension with a KL near zero has its mean near zero for every clip already: setting it to zero changes nothing. If
# the price is well spent, the dear dimensions are those that are missed most; the rank correlation tells.

# %%
whole = lab.reconstruction_rms_db(real_db[:16], config.unscale(vae.decode(mean[:16])))
growth = []
for dimension in range(vae.latent_dim):
    without = mean[:16].copy()
    without[:, dimension] = 0.0
    growth.append(
        lab.reconstruction_rms_db(real_db[:16], config.unscale(vae.decode(without)))
        - whole
    )

# %%
kl = lab.kl_per_dimension(mean, log_var)
is_global = np.arange(vae.latent_dim) < vae.global_dim
fig, ax = plt.subplots(figsize=(5.5, 3.4), layout="constrained")
for chosen, marker, label in (
    (is_global, "o", "whole clip"),
    (~is_global, "x", "one beat"),
):
    ax.plot(
        kl[chosen],
        np.array(growth)[chosen],
        marker,
        linestyle="",
        markersize=5,
        label=label,
    )
ax.set(xlabel="KL of the dimension (nats)", ylabel="error grows by (dB)")
ax.legend()
session.show_figure(
    fig,
    alt="Points of dimensions: the growth of the error against the KL of the dimension.",
)
print(
    f"rank correlation {pd.Series(kl).corr(pd.Series(growth), method='spearman'):.2f}"
)

# %% [markdown]
# ## 3. A price of your own
#
# So short a training shows the direction only: the dearer the latent, the fewer nats it holds. The linear warm-up begins
# without a price and reaches its full weight half-way.

# %%
warm_up = {"name": "linear", "weight": 10.0, "warmup_steps": num_steps // 2}
prices = {"3": 3.0, "30": 30.0, "up to 10": warm_up}
rows = {}
for name, kl_weight in prices.items():
    keras.utils.set_random_seed(seed)
    model = cm.VAE(config, kl=kl_weight, seed=seed)
    cm.train(model, features, num_steps, seed=seed, verbose=0)
    own_mean, own_log_var = model.encode(test)
    error = lab.reconstruction_rms_db(real_db, config.unscale(model.decode(own_mean)))
    rows[name] = {
        "KL (nats)": lab.kl_per_dimension(own_mean, own_log_var).sum(),
        "error (dB)": error,
    }
pd.DataFrame(rows).T.rename_axis("KL weight").round(2)

# %% [markdown]
# ## 4. KL between two diagonal Gaussians
#
# $$\mathrm{KL}_j = \tfrac12\left(\log\frac{s_j^2}{\sigma_j^2} + \frac{\sigma_j^2 + (\mu_j - m_j)^2}{s_j^2} - 1\right)$$

# %% tags=["exercise"]
def kl_between(mean, log_var, other_mean, other_log_var):
    """KL divergence of N(mean, exp(log_var)) from N(other_mean, exp(other_log_var)), per dimension, in nats."""
    wider = log_var - other_log_var
    apart = ops.square(mean - other_mean) / ops.exp(other_log_var)
    return 0.5 * (ops.exp(wider) + apart - 1.0 - wider)

# %% tags=["check"]
four = float(np.log(4.0))
cases = {
    "equal Gaussians": ((1.0, -0.5, 1.0, -0.5), 0.0),
    "against the prior": ((0.7, -1.0, 0.0, 0.0), 0.4289),
    "the same width, means two spreads apart": ((3.0, four, -1.0, four), 2.0),
    "one mean, half the spread": ((0.0, -four, 0.0, 0.0), 0.3181),
    "one mean, twice the spread": ((2.0, four, 2.0, 0.0), 0.8069),
    "neither alike": ((0.5, 0.2, -0.3, 0.9), 0.2284),
}
for name, (arguments, expected) in cases.items():
    got = float(kl_between(*arguments))
    verdict = (
        "right"
        if abs(got - expected) < 1e-3
        else f"not yet: expected {expected:.3f}, got {got:.3f}"
    )
    print(f"{name}: {verdict}")

# %% [markdown]
# <!-- links: made by tools/badges.py -->
# The notebook: [03 vae](../03_vae.ipynb)
# <!-- end of links -->
