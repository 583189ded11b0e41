"""The sweeps of notebook 09: trained models go on, against a discriminator and in cheaper ways."""

import time

from cvae_lab.measures.audio_obedience import balanced_clips, sound_row
from cvae_lab.measures.scoreboard import evaluate_model
from cvae_lab.measures.scores import frechet_distance
from cvae_lab.notebook.session import output_folder
from cvae_lab.notebook.weights import SECOND_STEPS, fit_model, continue_training
from cvae_music.models.conditional import ConditionalVAE
from cvae_music.saving import load_compact, save_compact

FIRST_STEPS, NUM_STEPS = 1440, SECOND_STEPS
RANDOM = {
    "adversary_weight": 0.0,
    "adversary_rate": 0.0,
}  # its features are matched, and it never learns
VARIANTS = {  # name -> kind, steps, changes, the layer that is switched off
    "as it was": ("cvae", 0, {}, None),
    "without shift": ("cvae", 0, {}, "shift"),
    "detail": ("cvaegan", 0, {}, None),
    "discriminator": ("cvaegan", NUM_STEPS, {}, "detail"),
    "discriminator and detail": ("cvaegan", NUM_STEPS, {}, None),
    "random features": ("cvaegan", NUM_STEPS, RANDOM, "detail"),
    "trained longer": ("cvae", NUM_STEPS, {}, None),
}
ABLATIONS = ("without shift", "random features", "trained longer")


def cells(seeds=(0, 1, 2)):
    """The ways to go on for each seed; the rivals of the second phase for the first."""
    return [
        {
            "name": name,
            "kind": kind,
            "seed": seed,
            "num_steps": num_steps,
            "changes": changes,
            "without": without,
        }
        for seed in seeds
        for name, (kind, num_steps, changes, without) in VARIANTS.items()
        if seed == seeds[0] or name not in ABLATIONS
    ]


def first_phase(features, seed):
    """The `ConditionalVAE` that all go on from, one a seed, kept in `outputs`; the first of the embedded music ships."""
    if (features.table["grid"] == "known").all() and not seed:
        return ConditionalVAE.from_preset("known_cvae")
    path = (
        output_folder(features.path.name) / "models" / f"cvae-{FIRST_STEPS}-{seed}.npz"
    )
    if not path.exists():
        model, _ = fit_model(
            "cvae", features, num_steps=FIRST_STEPS, seed=seed, verbose=0
        )
        save_compact(model, path)
    return load_compact(path)


def second_phase(cell, features):
    """The model of a cell and the seconds it took; trained once, for cells that differ in what is switched off."""
    kind, num_steps, seed, changes = (
        cell[name] for name in ("kind", "num_steps", "seed", "changes")
    )
    name = f"second-{kind}-{num_steps}-{seed}{'-random' if changes else ''}"
    path = output_folder(features.path.name) / "models" / f"{name}.npz"
    if path.exists():
        return load_compact(path), None
    model, started = first_phase(features, seed), time.perf_counter()
    model, _ = continue_training(model, features, kind, num_steps, seed, changes, verbose=0)
    seconds = time.perf_counter() - started
    if num_steps:
        save_compact(model, path)
    return model, seconds


def distance_of_music(features, judge):
    """Fréchet distance of real training clips, 50 of each genre, from the test clips: what music itself scores."""
    clips, _ = balanced_clips(features, "train", 50)
    return frechet_distance(
        judge.embedding(clips), judge.embedding(features.arrays("test")[0])
    )


def run(cell, features, judges):
    """Goes on; the scoreboard, and obedience in sound."""
    model, seconds = second_phase(cell, features)
    if cell["without"] == "shift":
        model.shift.means.assign(0.0 * model.shift.means)
    elif cell["without"] == "detail":
        model.detail.gain.assign(0.0 * model.detail.gain)
    row = {"seconds": seconds, "parameters": model.count_params()}
    row["cnn_frechet_real"] = distance_of_music(features, judges["cnn"])
    return (
        row
        | evaluate_model(model, features, judges).to_dict()
        | sound_row(model, features)
    )
