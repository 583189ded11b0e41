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
# # Solutions to notebook 03
#
# Each can be read on its own after the cells that load the model.

# %% tags=["parameters"]
data = "known"
seed = 0
repository_zip = ""
num_clips = 2400
weights = "pretrained"
num_full_steps = 1440

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
from cvae_lab.pretrained import open_model

from cvae_music import plots
from cvae_music.config import AudioConfig
from cvae_music.data.features import build_features
from cvae_music.data.sources import open_collection
from cvae_music.models.losses import gaussian_kl

config = AudioConfig()
features = build_features(open_collection(data, num_clips=num_clips, seed=seed), config, session.cache_dir)
clips = features.arrays("test")[0][:100]
real_db = config.unscale(clips)

# %%
vae = open_model("vae", features, session, weights, num_steps=num_full_steps)

# %% [markdown]
# ## 1. Temperature
#
# A low temperature stays near the centres of the mixture: samples are more alike. Compare with 1, the music's
# own spread.

# %%
rows = {}
for temperature in (0.5, 1.0, 1.5):
    drawn = config.unscale(vae.decode(vae.sample_latents([0] * 50, seed=seed, temperature=temperature)))
    rows[temperature] = {
        "sharpness over real": evaluation.sharpness_ratio(drawn, real_db),
        "diversity over real": evaluation.diversity_ratio(drawn, np.zeros(50), real_db, np.zeros(len(real_db))),
    }
pd.DataFrame(rows).T.rename_axis("temperature").round(3)

# %% [markdown]
# ## 2. What each dimension is worth
#
# A dimension with a KL near zero has its mean near zero for every clip already: setting it to zero changes nothing.

# %%
mean, log_var = vae.encode(clips[:16])
whole = evaluation.reconstruction_rms_db(real_db[:16], config.unscale(vae.decode(mean)))
growth = []
for dimension in range(vae.latent_dim):
    without = mean.copy()
    without[:, dimension] = 0.0
    growth.append(evaluation.reconstruction_rms_db(real_db[:16], config.unscale(vae.decode(without))) - whole)

# %%
kl = evaluation.kl_per_dimension(mean, log_var)
fig, ax = plt.subplots(figsize=(5, 3.4), layout="constrained")
ax.plot(kl, growth, "o", markersize=4)
ax.set(xlabel="KL of the dimension (nats)", ylabel="error grows by (dB)")
plots.show_figure(fig, alt="Points of dimensions: the growth of the error against the KL of the dimension.")
print(f"rank correlation {pd.Series(kl).corr(pd.Series(growth), method='spearman'):.2f}")


# %% [markdown]
# ## 3. KL between two diagonal Gaussians
#
# $$\mathrm{KL}_j = \tfrac12\left(\log\frac{s_j^2}{\sigma_j^2} + \frac{\sigma_j^2 + (\mu_j - m_j)^2}{s_j^2} - 1\right)$$

# %%
def kl_between(mean, log_var, other_mean, other_log_var):
    ratio = np.exp(log_var - other_log_var)
    return 0.5 * (ratio + (mean - other_mean) ** 2 / np.exp(other_log_var) - 1.0 - (log_var - other_log_var))


# %%
difference = np.abs(kl_between(mean, log_var, 0.0, 0.0) - np.array(gaussian_kl(mean, log_var))).max()
assert difference < 1e-3
print(f"largest difference to the library: {difference:.1e} nats")
