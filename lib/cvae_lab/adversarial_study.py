"""The sweep of notebook 09: a trained model goes on against a discriminator."""

import time

from cvae_lab.scoreboard import evaluate_model
from cvae_lab.series import SECOND_STEPS, fit_model, go_on
from cvae_lab.session import output_folder
from cvae_lab.sound import obedience_in_sound
from cvae_music.models.conditional import ConditionalVAE
from cvae_music.store import load_compact, save_compact

FIRST_STEPS, NUM_STEPS = 1440, SECOND_STEPS
WAYS = {  # name -> kind, steps, changes
    "discriminator": ("cvaegan", NUM_STEPS, {}),
    "as it was": ("cvae", 0, {}),
    "without loudness": ("cvae", 0, {}),
    "random features": ("cvaegan", NUM_STEPS, {"adversary_weight": 0.0, "adversary_rate": 0.0}),
    "trained longer": ("cvae", NUM_STEPS, {}),
}


def cells(seeds=(0, 1, 2)):
    """The ways to go on for each seed."""
    return [
        {"name": name, "kind": kind, "seed": seed, "num_steps": num_steps, "changes": changes}
        for seed in seeds
        for name, (kind, num_steps, changes) in WAYS.items()
    ]


def first_phase(features, seed):
    """The `ConditionalVAE` that all go on from, one a seed, kept in `outputs`; the first of the embedded music ships."""
    if (features.table["grid"] == "known").all() and not seed:
        return ConditionalVAE.from_preset("known_cvae")
    path = output_folder(features.path.name) / "models" / f"cvae-{FIRST_STEPS}-{seed}.npz"
    if not path.exists():
        model, _ = fit_model("cvae", features, num_steps=FIRST_STEPS, seed=seed, verbose=0)
        save_compact(model, path)
    return load_compact(path)


def run(cell, features, judges):
    """Goes on; the scoreboard, and obedience in sound."""
    model = first_phase(features, cell["seed"])
    started = time.perf_counter()
    model, _ = go_on(model, features, cell["kind"], cell["num_steps"], cell["seed"], cell["changes"], verbose=0)
    if cell["name"] == "without loudness":
        model.loudness.amount.assign(0.0)
    row = {"seconds": time.perf_counter() - started, "parameters": model.count_params()}
    row |= evaluate_model(model, features, judges).to_dict()
    heard = obedience_in_sound({"sound": model}, features, num_per_genre=96 // len(features.genres))
    return row | {"sound_real": heard.pop("real")} | heard
