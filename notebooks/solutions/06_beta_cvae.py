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
# # Solutions to notebook 06
#
# <!-- links: made by tools/badges.py -->
# The notebook: [06 beta cvae](../06_beta_cvae.ipynb)
# <!-- end of links -->
#
# Each can be read on its own after the cells that load the model.

# %% tags=["parameters"]
data = "known"
seed = 0
repository_zip = ""
num_clips = 2400
num_steps = 150

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

import keras
import numpy as np
import pandas as pd
from IPython.display import display
from keras import ops

has_factors = all(name in features.table for name in lab.FACTORS)

# %% [markdown]
# ## 1. A schedule of your own
#
# The step comes as a whole number and has to become a float before it is divided.

# %% tags=["exercise"]
@dataclasses.dataclass
class Sigmoid(cm.Constant):
    """Weight rising along a logistic curve; half of it is reached after `middle` steps."""

    middle: float = 75.0
    width: float = 15.0

    def next_weight(self, step, last_weight, kl):
        return self.weight * ops.sigmoid(
            (ops.cast(step, "float32") - self.middle) / self.width
        )

# %% tags=["check"]
found = [float(Sigmoid(10.0).next_weight(ops.convert_to_tensor(step), keras.ops.ones(()), 0.0)) for step in (0, 75, 150)]
expected = [10.0 / (1.0 + np.exp((75.0 - step) / 15.0)) for step in (0, 75, 150)]
right = np.allclose(found, expected, rtol=1e-3)
print("right" if right else f"not yet: expected {np.round(expected, 3).tolist()}, got {np.round(found, 3).tolist()}")

# %% [markdown]
# ## 2. Trained with it
#
# In the last steps both weights are the same, but the sigmoid's model had half of its training at a low price and has not
# yet given everything back: its rate lies above.

# %%
size = {"width": 96, "depth": 1}
models = {}
rates = {}
for name, kl in {"constant 10": 10.0, "sigmoid to 10": Sigmoid(10.0)}.items():
    models[name], _ = lab.fit_model(
        "cvae",
        features,
        num_steps=num_steps,
        seed=seed,
        changes=size | {"kl": kl},
        verbose=0,
    )
    rates[name] = float(
        lab.kl_per_dimension(*models[name].encode(features.arrays("test")[0])).sum()
    )
print({name: f"{rate:.1f} nats" for name, rate in rates.items()})

# %% [markdown]
# ## 3. All 96 dimensions
#
# Each beat has its own 8 dimensions, filled by one and the same network. What one of them says of the level, its
# counterpart in the next beat says too: the second best dimension is nearly as good as the best, and the gap closes.
# DCI's disentanglement does not mind copies, its completeness does.

# %%
model = models["constant 10"]
if has_factors:
    both = {
        f"whole only: {only}": lab.disentanglement_row(model, features, whole_only=only)
        for only in (True, False)
    }
    display(pd.DataFrame(both).T.round(3))

# %% [markdown]
# ## 4. A random rotation
#
# The information is the same to the last bit and the prior cannot tell the two apart; MIG and SAP fall unless there was
# nothing to lose, while informativeness stays near what it was (trees cut along axes, so it falls a little).

# %%
def scores(found):
    (latents, factors), (held, held_factors) = found
    row = {
        "MIG": lab.mutual_information_gap(latents, factors),
        "SAP": lab.separated_attribute_predictability(latents, factors),
    }
    return row | lab.dci(latents, factors, held, held_factors)


def rotated_scores(candidate):
    turn = np.linalg.qr(
        np.random.default_rng(seed).standard_normal(
            (candidate.global_dim, candidate.global_dim)
        )
    )[0]
    found = []
    turned = []
    for split in ("train", "test"):
        part = features.subset(split)
        latents = candidate.encode(config.scale(part.log_mel))[0][
            :, : candidate.global_dim
        ]
        found.append((latents, part.table[list(lab.FACTORS)]))
        turned.append((latents @ turn, part.table[list(lab.FACTORS)]))
    return {"as trained": scores(found), "turned": scores(turned)}

# %%
if has_factors:
    display(pd.DataFrame(rotated_scores(model)).T.round(3))

# %% [markdown]
# <!-- links: made by tools/badges.py -->
# The notebook: [06 beta cvae](../06_beta_cvae.ipynb)
# <!-- end of links -->
