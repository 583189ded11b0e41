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
# # Solutions to notebook 06, posterior collapse
#
# <!-- links: made by tools/badges.py -->
# The notebook: [06 posterior collapse](../06_posterior_collapse.ipynb)
# <!-- end of links -->
#
# Run the cells that load the clips first. After them, each solution can be read and run on its own. The numbers in the
# text are those of the embedded music.

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
# Each dimension pays the larger of two numbers: its KL in nats, and the bar of `bits` times $\ln 2$ nats. Below the bar
# the larger number is the bar, which is a constant. The gradient of a constant is zero. So the penalty does not push
# the KL of such a dimension towards 0, and only the reconstruction moves it. Above the bar the dimension pays its KL,
# as before.


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
# At which β does the first direction of log-mel vanish? By the forecast of section 3, a direction is kept while its
# eigenvalue λ is above β/2. So the first one vanishes at β = 2λ, with its own λ, the largest.
#
# Then `lab.fit_linear_vae` trains a linear VAE a tenth below this β and a tenth above it. One latent dimension is
# enough, because we ask for the first direction only. While it is kept, the posterior mean has the variance
# $1 - \beta / (2\lambda)$. At 0.9 times 2λ this is 0.1, which is above the 0.01 of an
# [active unit](../glossary.md#active-units).

# %%
eigenvalues = lab.pca_spectrum(features.arrays("train")[0])  # of the log-mel clips
first_vanishes_at = 2 * eigenvalues[0]
print(f"λ = {eigenvalues[0]:.1f}, β = {first_vanishes_at:.1f}")
variances = {}
for share in (0.9, 1.1):
    variances[share] = lab.fit_linear_vae(eigenvalues, share * first_vanishes_at, 1)[0]
    print(f"at {share} times this β the variance of the mean is {variances[share]:.4f}")
assert variances[0.9] > 0.01 > variances[1.1]  # kept below this β, lost above it

# %% [markdown] tags=["lesson"]
# **What we learned.** The largest eigenvalue is 300.7, so the first direction vanishes at β = 601.4. The linear VAE
# confirms it on both sides: a tenth below this β the variance is 0.1000, as computed, and a tenth above it is 0.0000.

# %% [markdown]
# ## 3. Four standard deviations instead of sixteen
#
# What changes if the STFT is divided by 4 standard deviations instead of 16? The clips become 4 times as large. So
# every variance, and every eigenvalue with it, should become 16 times as large.

# %%
stft = lab.clips_of(features, "stft")["train"][0]
spectrum = lab.pca_spectrum(stft)
# 200 clips are enough to see the factor.
louder = lab.pca_spectrum(4.0 * stft[:200]) / lab.pca_spectrum(stft[:200])
print(f"eigenvalues grow by a factor of {np.median(louder):.2f}")
for factor in (1, 16):
    kept = lab.forecast_active_units(factor * spectrum, 2.0, num_latents)
    print(f"forecast at β = 2, eigenvalues times {factor}: {int(kept)}")

# %% [markdown] tags=["lesson"]
# **What we learned.** The eigenvalues grow by a factor of 16.00. At β = 2 the forecast then keeps all 64 dimensions,
# and 0 without the change. The forecast compares λ with β/2, so clips that are four times as large have the same effect
# as a β divided by 16. A β therefore says little without the scale of the features.

# %% [markdown]
# ## 4. Aligned phases
#
# Does it matter where a piece begins? We cut one piece from each of 120 clips, first at the sample 0 of each, then at
# random samples. Section 3 says why this may matter: if phases differ from piece to piece, the variance is spread over
# very many directions.

# %%
rng = np.random.default_rng(seed)
rows = np.sort(rng.permutation(len(features))[:120])
sounds = [cm.load_window(features.table.iloc[row], config).samples for row in rows]
# 40,000 samples are 1.8 s.
starts = {"aligned": np.zeros(len(sounds), int), "random": rng.integers(0, 40_000, len(sounds))}
for name, begins in starts.items():
    pairs = zip(sounds, begins, strict=True)
    # A share does not depend on the scale, so the pieces stay as they are.
    values = lab.pca_spectrum(np.array([lab.complex_stft(sound, start) for sound, start in pairs]))
    print(f"{name}: the first direction has {values[0] / values.sum():.1%} of the variance")

# %% [markdown] tags=["lesson"]
# **What we learned.** With aligned pieces the first direction has 4.6 % of the variance, with random starts 2.2 %. The
# likely reason is how this music is made. A clip begins on a bar, and a drum plays the same samples at every hit,
# louder or softer. So at the first sample the hits have equal phases in all clips that begin with the same drum, and
# their cells vary together. At random starts the phases differ. Pieces that are cut from songs at random are of the
# second kind.

# %% [markdown]
# <!-- links: made by tools/badges.py -->
# The notebook: [06 posterior collapse](../06_posterior_collapse.ipynb)
# <!-- end of links -->
