"""The sweep of notebook 09: a trained model goes on against a discriminator, and on the same budget without one."""

import time

from cvae_lab.scoreboard import evaluate_model
from cvae_lab.series import fit_model
from cvae_lab.session import output_folder
from cvae_lab.sound import obedience_in_sound
from cvae_music.models import adversarial
from cvae_music.models.conditional import ConditionalVAE
from cvae_music.store import load_compact, save_compact
from cvae_music.training import train

FIRST_STEPS, NUM_STEPS, RATE = 1440, 312, 5e-4
RIVALS = {  # name -> kind, steps, changes; a step with a discriminator takes twice as long
    "as it was": ("cvae", 0, {}),
    "longer training": ("cvae", 2 * NUM_STEPS, {}),
    "random features": ("cvaegan", NUM_STEPS, {"adversary_weight": 0.0, "adversary_rate": 0.0}),
    "discriminator": ("cvaegan", NUM_STEPS, {}),
}


def cells(seeds=(0, 1, 2)):
    """The four ways to go on for each seed."""
    return [
        {"name": name, "kind": kind, "seed": seed, "num_steps": num_steps, "changes": changes}
        for seed in seeds
        for name, (kind, num_steps, changes) in RIVALS.items()
    ]


def first_phase(features, seed):
    """The `ConditionalVAE` that all go on from: on the embedded music the one that ships, else one a seed, kept in `outputs`."""
    if (features.table["grid"] == "known").all():
        return ConditionalVAE.from_preset("known_cvae")
    path = output_folder(features.path.name) / "models" / f"cvae-{FIRST_STEPS}-{seed}.npz"
    if not path.exists():
        model, _ = fit_model("cvae", features, num_steps=FIRST_STEPS, seed=seed, verbose=0)
        save_compact(model, path)
    return load_compact(path)


def go_on(model, features, kind, num_steps, seed=0, changes=None, **training):
    """Trains a trained `ConditionalVAE` for more steps.

    Args:
        model: `ConditionalVAE`.
        features: `FeatureSet`.
        kind: `"cvae"` to go on as before, `"cvaegan"` with a discriminator.
        num_steps: Steps of 32 clips; 0 returns the model as it is.
        seed: Seed of noise, order, augmentation and discriminator.
        changes: Arguments of the `ConditionalVAEGAN` to set otherwise.
        **training: More arguments of `cvae_music.train`.

    Returns:
        `(model, history)`; the history is None without a step.
    """
    import keras

    keras.utils.set_random_seed(seed)
    if kind == "cvaegan":
        model = adversarial.go_on(model, features, seed=seed, **(changes or {}))
    return model, train(model, features, num_steps, learning_rate=RATE, seed=seed, **training) if num_steps else None


def run(cell, features, judges):
    """Goes on; the scoreboard, and obedience in sound."""
    model = first_phase(features, cell["seed"])
    started = time.perf_counter()
    model, _ = go_on(model, features, cell["kind"], cell["num_steps"], cell["seed"], cell["changes"], verbose=0)
    row = {"seconds": time.perf_counter() - started, "parameters": model.count_params()}
    row |= evaluate_model(model, features, judges).to_dict()
    heard = obedience_in_sound({"sound": model}, features)
    return row | {"sound_real": heard.pop("real")} | heard
