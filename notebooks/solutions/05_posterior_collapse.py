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
# # Solutions to notebook 05
#
# Each can be read on its own after the cells that load the clips.

# %% tags=["parameters"]
data = "known"
seed = 0
repository_zip = ""
num_clips = 2400

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
import numpy as np
from cvae_lab import collapse, collapse_cells

from cvae_music.config import AudioConfig
from cvae_music.data.clips import load_clip
from cvae_music.data.features import build_features
from cvae_music.data.sources import open_collection

features = build_features(open_collection(data, num_clips=num_clips, seed=seed), AudioConfig(), session.cache_dir)
num_latents = collapse_cells.NUM_LATENTS

# %% [markdown]
# ## 1. Where the first direction dies
#
# It dies where β/2 reaches its eigenvalue, that is at β = 2λ. (The bar of 0.01 for an active unit moves this by one per
# cent.) With one latent dimension the optimiser has nothing else to find.

# %%
eigenvalues = collapse.pca_spectrum(features.arrays("train")[0])
first_dies_at = 2 * eigenvalues[0]
variances = {share: collapse.fit_linear_vae(eigenvalues, share * first_dies_at, 1)[0] for share in (0.9, 1.1)}
assert variances[0.9] > 0.01 > variances[1.1]
print(f"λ = {eigenvalues[0]:.1f}, β = {first_dies_at:.1f}; variance of the mean below and above it: "
      + ", ".join(f"{variance:.4f}" for variance in variances.values()))  # fmt: skip

# %% [markdown]
# ## 2. Four standard deviations in place of sixteen
#
# Dividing by a quarter multiplies the clips by 4 and every variance by 16. At the same β = 2 far more directions are above
# the threshold: the scale of the features and β are one and the same setting.

# %%
stft = collapse_cells.clips_of(features, "stft")["train"][0]
spectrum = collapse.pca_spectrum(stft)
louder = collapse.pca_spectrum(4.0 * stft[:200]) / collapse.pca_spectrum(stft[:200])
print(f"eigenvalues grow by a factor of {np.median(louder):.2f}")
print("forecast at β = 2:", *(int(collapse.forecast_active_units(k * spectrum, 2.0, num_latents)) for k in (1, 16)))

# %% [markdown]
# ## 3. Aligned phases
#
# Clips of this collection begin on a bar, and a drum begins with the same samples each time: at start 0 the phases of
# first hits agree between clips, their cells vary together, and the first direction grows. Real songs cut anywhere
# have no such luck.

# %%
rng = np.random.default_rng(seed)
sounds = [load_clip(features, row) for row in np.sort(rng.permutation(len(features))[:120])]
shares = {}
for name, starts in (("aligned", np.zeros(len(sounds), int)), ("random", rng.integers(0, 40_000, len(sounds)))):
    clips = np.array([collapse.complex_stft(sound, start) for sound, start in zip(sounds, starts, strict=True)])
    values = collapse.pca_spectrum(clips)
    shares[name] = values[0] / values.sum()
print({name: f"{share:.1%}" for name, share in shares.items()})
