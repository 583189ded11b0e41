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
# # Solutions to notebook 06
#
# <!-- links: made by tools/badges.py -->
# The notebook: [06 posterior collapse](../06_posterior_collapse.ipynb)
# <!-- end of links -->
#
# Each can be read on its own after the cells that load the clips.

# %% tags=["parameters"]
data = "known"
seed = 0
repository_zip = ""
num_clips = 2400

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
import math

import numpy as np
from keras import ops

num_latents = lab.NUM_LATENTS

# %% [markdown]
# ## 1. Free bits
#
# Below the bar the larger of the two is the bar, which is a constant. Its gradient is zero, so nothing presses a dimension
# whose KL is below `bits`. Above the bar it is the KL as before.


# %% tags=["exercise"]
def free_bits_penalty(kl_per_dimension, weight, bits):
    """Penalty in nats of KL divergences of shape `(latent_dim,)`."""
    return weight * ops.sum(ops.maximum(kl_per_dimension, bits * math.log(2.0)))


# %% tags=["check"]
trial = np.array([0.0, 0.1, 0.3, 2.0], "float32")
schedule = cm.get_schedule({"name": "free_bits", "weight": 2.0, "bits": 0.5})
expected = float(schedule.penalty(trial, 2.0, 0))
got = float(free_bits_penalty(trial, 2.0, 0.5))
correct = abs(got - expected) < 1e-4
print("right" if correct else f"not yet: expected {expected:.4f} nats, got {got:.4f}")

# %% [markdown]
# ## 2. Where the first direction vanishes
#
# It vanishes where β/2 reaches its eigenvalue, that is at β = 2λ. (The bar of 0.01 for an active unit moves this by one per
# cent.) With one latent dimension the optimiser has nothing else to find.

# %%
eigenvalues = lab.pca_spectrum(features.arrays("train")[0])
first_vanishes_at = 2 * eigenvalues[0]
print(f"λ = {eigenvalues[0]:.1f}, β = {first_vanishes_at:.1f}")
variances = {}
for share in (0.9, 1.1):
    variances[share] = lab.fit_linear_vae(eigenvalues, share * first_vanishes_at, 1)[0]
    print(f"at {share} times this β the variance of the mean is {variances[share]:.4f}")
assert variances[0.9] > 0.01 > variances[1.1]

# %% [markdown]
# ## 3. Four standard deviations instead of sixteen
#
# Dividing by a quarter multiplies the clips by 4 and every variance by 16. At the same β = 2 far more directions are above
# the threshold. The scale of the features and β are one and the same setting.

# %%
stft = lab.clips_of(features, "stft")["train"][0]
spectrum = lab.pca_spectrum(stft)
louder = lab.pca_spectrum(4.0 * stft[:200]) / lab.pca_spectrum(stft[:200])
print(f"eigenvalues grow by a factor of {np.median(louder):.2f}")
for factor in (1, 16):
    kept = lab.forecast_active_units(factor * spectrum, 2.0, num_latents)
    print(f"forecast at β = 2, eigenvalues times {factor}: {int(kept)}")

# %% [markdown]
# ## 4. Aligned phases
#
# Clips of this collection begin on a bar, and a drum begins with the same samples each time. At start 0 the phases of the
# first hits agree between clips, so their cells vary together and the first direction grows. Pieces that are cut from
# songs at random do not have this advantage.

# %%
rng = np.random.default_rng(seed)
rows = np.sort(rng.permutation(len(features))[:120])
sounds = [cm.load_window(features.table.iloc[row], config).samples for row in rows]
starts = {"aligned": np.zeros(len(sounds), int), "random": rng.integers(0, 40_000, len(sounds))}
for name, begins in starts.items():
    pairs = zip(sounds, begins, strict=True)
    values = lab.pca_spectrum(np.array([lab.complex_stft(sound, start) for sound, start in pairs]))
    print(f"{name}: the first direction has {values[0] / values.sum():.1%} of the variance")

# %% [markdown]
# <!-- links: made by tools/badges.py -->
# The notebook: [06 posterior collapse](../06_posterior_collapse.ipynb)
# <!-- end of links -->
