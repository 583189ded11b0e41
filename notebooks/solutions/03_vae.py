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
# # Solutions to notebook 03, VAE
#
# <!-- links: made by tools/badges.py -->
# The notebook: [03 vae](../03_vae.ipynb)
# <!-- end of links -->
#
# Each solution can be read on its own, after the cells that load the models. The clips are those of notebook 03.
# Solution 3 trains three models for a short time.

# %% tags=["parameters"]
data = "known"  # or the path of a folder of genres, or of FMA
seed = 0
repository_zip = ""
num_clips = 2400  # of the embedded music
weights = "pretrained"  # or "train", as always with other music
num_steps = 60  # of each training in solution 3
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
import keras
import numpy as np
import pandas as pd
from IPython.display import display
from keras import ops

# %%
vae = lab.open_model("vae", features, session, weights, num_steps=num_full_steps)
autoencoder = lab.open_model(
    "autoencoder", features, session, weights, num_steps=num_full_steps
)
judge = lab.open_judges(features, session, weights, num_steps=num_judge_steps)["cnn"]
test = features.arrays("test")[0][:240]
real_db = config.unscale(test)
real_features = judge.embedding(test)
mean, log_var = vae.encode(test)


def distance(clips):
    """Fréchet distance to the test clips in the judge's features."""
    found = judge.embedding(np.clip(clips, -1.0, 1.0))
    return lab.frechet_distance(found, real_features)

# %% [markdown]
# ## 1. Temperature
#
# We draw 200 latents from the fitted density at each temperature. Sharpness and diversity are divided by those of
# real clips, so 1 is right. A smaller Fréchet distance is better.

# %%
rows = {}
for temperature in (0.5, 1.0, 1.5):
    # One mixture serves all genres, number 0.
    drawn = vae.sample_latents([0] * 200, seed=seed, temperature=temperature)
    clips = vae.decode(drawn)
    # Diversity is measured inside genres; here all clips count as one.
    no_genre = np.zeros(200), np.zeros(len(test))
    rows[temperature] = {
        "sharpness over real": lab.sharpness_ratio(config.unscale(clips), real_db),
        "diversity over real": lab.diversity_ratio(clips, no_genre[0], test, no_genre[1]),
        "Fréchet distance": distance(clips),
    }
pd.DataFrame(rows).T.rename_axis("temperature").round(3)

# %% [markdown]
# A low temperature improves none of the three. At 0.5 draws lie nearer to the centres of the mixture. Sharpness falls
# from 0.795 to 0.639 and diversity from 0.872 to 0.730, and the Fréchet distance grows from 9.117 to 14.255. At 1.5
# clips are sharper (0.930) and differ as much as real ones (1.007). But the distance grows too, to 12.349, probably
# because draws leave the places that the decoder knows. So 1 is the best of these temperatures by distance.
#
# ## 2. Bits
#
# Both models get the same rounding. With $b$ bits each dimension has $2^b$ values at equal steps, from its lowest to
# its highest value over the training clips. The line below the table gives the KL of the VAE, averaged over
# dimensions, in nats and in bits.

# %%
def error_at(model, latent):
    return lab.reconstruction_rms_db(real_db, config.unscale(model.decode(latent)))


def rounded(latent, low, high, bits):
    """Latents on a grid of 2**bits values in each dimension."""
    step = (high - low) / (2**bits - 1)
    return low + step * np.round((latent - low) / step)


# %%
train = features.arrays("train")[0]
rows = {}
for name, model in {"VAE": vae, "autoencoder": autoencoder}.items():
    known = model.encode(train).mode()
    latent = model.encode(test).mode()
    exact = error_at(model, latent)
    limits = known.min(axis=0), known.max(axis=0)
    rows[name] = {
        bits: error_at(model, rounded(latent, *limits, bits)) - exact
        for bits in (2, 3, 4, 5)
    }
display(pd.DataFrame(rows).rename_axis("bits").add_prefix("error added (dB), ").round(2))
nats = lab.kl_per_dimension(mean, log_var).mean()
print(f"mean KL of a dimension: {nats:.1f} nats, which is {nats / np.log(2):.1f} bits")

# %% [markdown]
# The error begins to grow between five and four bits: with five it grows by 0.03 dB, with four by 0.13, in both
# models. With three it grows by 0.54 dB in the VAE and by 0.59 in the autoencoder.
#
# The KL of the VAE is 4.7 bits for an average dimension. (The 3.2 nats are rounded, so dividing them by $\ln 2$ gives
# a little less.) So here the KL is a good measure of how exactly a number has to be known. But the autoencoder needs as
# many bits, although nothing counted them in its training.

# %% [markdown]
# ## 3. A KL weight of your own
#
# These trainings have 60 steps, half as many as `trained` of section 6, so they show the direction only. `warm_up` gets
# half its steps too. It would reach weight 1 after 100 steps in place of 200. In both notebooks the training ends before
# that, at a weight of about 0.6.

# %%
warm_up = {"name": "linear", "weight": 1.0, "warmup_steps": 100}
schedules = {"3": 3.0, "30": 30.0, "warm_up": warm_up}
rows = {}
for name, kl in schedules.items():
    keras.utils.set_random_seed(seed)
    model = cm.VAE(config, kl=kl, seed=seed)
    cm.train(model, features, num_steps, seed=seed, verbose=0)
    own = model.encode(test)
    rows[name] = {
        "KL (nats)": lab.kl_per_dimension(*own).sum(),
        "error (dB)": error_at(model, own.mode()),
    }
pd.DataFrame(rows).T.rename_axis("KL weight").round(2)

# %% [markdown]
# The larger the constant weight, the fewer nats the latent holds: 58.45 at weight 3 and 7.27 at weight 30. The error
# rises from 10.27 to 10.68 dB. With `warm_up` the latent holds most, 130.49 nats, because its weight is smaller than 3
# in every step. The error is 10.16 dB, a little below that of weight 3. One short training of each cannot show that a
# warm-up is better than a constant weight.
#
# ## 4. KL between two diagonal Gaussians
#
# In dimension $j$ the first Gaussian has the mean $\mu_j$ and the variance $\sigma_j^2$, the other one $m_j$ and
# $s_j^2$:
#
# $$\mathrm{KL}_j = \tfrac12\left(\log\frac{s_j^2}{\sigma_j^2} + \frac{\sigma_j^2 + (\mu_j - m_j)^2}{s_j^2} - 1\right)$$
#
# If the other one is the unit Gaussian, $m_j = 0$ and $s_j = 1$, this is the KL to the prior.

# %% tags=["exercise"]
def kl_between(mean, log_var, other_mean, other_log_var):
    """KL of N(mean, exp(log_var)) from another Gaussian, per dimension, in nats."""
    wider = log_var - other_log_var  # log of sigma² / s²
    apart = ops.square(mean - other_mean) / ops.exp(other_log_var)  # (mu - m)² / s²
    return 0.5 * (ops.exp(wider) + apart - 1.0 - wider)

# %% tags=["check"]
log_4 = float(np.log(4.0))
cases = {
    "equal Gaussians": ((1.0, -0.5, 1.0, -0.5), 0.0),
    "against the prior": ((0.7, -1.0, 0.0, 0.0), 0.4289),
    "the same width, means two spreads apart": ((3.0, log_4, -1.0, log_4), 2.0),
    "one mean, half the spread": ((0.0, -log_4, 0.0, 0.0), 0.3181),
    "one mean, twice the spread": ((2.0, log_4, 2.0, 0.0), 0.8069),
    "neither alike": ((0.5, 0.2, -0.3, 0.9), 0.2284),
}
for name, (arguments, expected) in cases.items():
    got = float(kl_between(*arguments))
    is_right = abs(got - expected) < 1e-3
    wrong = f"not yet: expected {expected:.3f}, got {got:.3f}"
    print(f"{name}: {'right' if is_right else wrong}")

# %% [markdown]
# <!-- links: made by tools/badges.py -->
# The notebook: [03 vae](../03_vae.ipynb)
# <!-- end of links -->
