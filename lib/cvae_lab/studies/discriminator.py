"""The sweeps of notebook 09: trained models with and without a second phase."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from cvae_lab.measures.audio_obedience import balanced_clips, sound_row
from cvae_lab.measures.scoreboard import evaluate_model
from cvae_lab.measures.scores import frechet_distance
from cvae_lab.notebook.session import cache_folder
from cvae_lab.notebook.weights import (
    NUM_STEPS,
    SECOND_STEPS,
    continue_training,
    fit_model,
    music_key,
)
from cvae_music.models.conditional import ConditionalVAE
from cvae_music.saving import load_model, save_compact

# Cells keep the names that arguments had when their rows were made.
ARGUMENTS = {
    "adversary_weight": "adversarial_weight",
    "adversary_rate": "discriminator_rate",
}
# The discriminator's features are matched, and it never learns.
RANDOM = {"adversary_weight": 0.0, "adversary_rate": 0.0}
VARIANTS = {  # name -> kind, steps, changes, the layer that is switched off
    "as it was": ("cvae", 0, {}, None),
    "without shift": ("cvae", 0, {}, "shift"),
    "detail": ("cvaegan", 0, {}, None),
    "discriminator": ("cvaegan", SECOND_STEPS, {}, "detail"),
    "discriminator and detail": ("cvaegan", SECOND_STEPS, {}, None),
    "random features": ("cvaegan", SECOND_STEPS, RANDOM, "detail"),
    "trained longer": ("cvae", SECOND_STEPS, {}, None),
}
ABLATIONS = ("without shift", "random features", "trained longer")


def cells() -> list[dict[str, Any]]:
    """Lists every variant for each seed; the ablations for the first seed only."""
    found: list[dict[str, Any]] = []
    for seed in (0, 1, 2):
        for name, (kind, num_steps, changes, without) in VARIANTS.items():
            if seed and name in ABLATIONS:
                continue
            cell = {"name": name, "kind": kind, "seed": seed, "num_steps": num_steps}
            found.append(cell | {"changes": changes, "without": without})
    return found


def model_path(name: str, features: Any) -> Path:
    """Names the file of a model of this study: one for each music, in the cache."""
    folder = cache_folder() / "discriminator_study"
    return folder / f"{name}-{music_key(features) or 'known'}.npz"


def first_phase(features: Any, seed: int) -> ConditionalVAE:
    """Trains the `ConditionalVAE` that all variants start from, or loads it.

    Args:
        features: `FeatureSet`.
        seed: Seed of the training. Seed 0 of the embedded music ships.

    Returns:
        `ConditionalVAE`.
    """
    if music_key(features) is None and not seed:
        return ConditionalVAE.from_preset("known_cvae")
    path = model_path(f"cvae-{NUM_STEPS}-{seed}", features)
    if not path.exists():
        model, _ = fit_model("cvae", features, seed=seed, verbose=0)
        save_compact(model, path)
    return load_model(path, features.config)


def second_phase(cell: dict[str, Any], features: Any) -> tuple[Any, float | None]:
    """Trains the model of a cell, or loads it where another cell has trained it.

    Args:
        cell: One of `cells`.
        features: `FeatureSet`.

    Returns:
        `(model, seconds)`; the seconds of training are None where it was loaded.
    """
    kind = cell["kind"]
    seed = cell["seed"]
    num_steps = cell["num_steps"]
    name = f"second-{kind}-{num_steps}-{seed}"
    if cell["changes"]:
        name += "-random"
    path = model_path(name, features)
    if path.exists():
        return load_model(path, features.config), None
    first = first_phase(features, seed)
    started = time.perf_counter()
    changes = {ARGUMENTS[name]: value for name, value in cell["changes"].items()}
    model, _ = continue_training(
        first, features, kind, num_steps, seed, changes, verbose=0
    )
    seconds = time.perf_counter() - started
    if num_steps:
        save_compact(model, path)
    return model, seconds


def distance_of_music(features: Any, judge: Any) -> float:
    """Measures the Fréchet distance of real training clips from the test clips.

    It is what music itself scores, with 50 training clips of each genre.

    Args:
        features: `FeatureSet`.
        judge: Has `embedding(clips)`.

    Returns:
        Squared distance of the embeddings.
    """
    clips, _ = balanced_clips(features, "train", 50)
    test_clips, _ = features.arrays("test")
    return frechet_distance(judge.embedding(clips), judge.embedding(test_clips))


def run(cell: dict[str, Any], features: Any, judges: dict[str, Any]) -> dict[str, Any]:
    """Trains a cell; measures obedience in sound, then the scoreboard.

    Args:
        cell: One of `cells`.
        features: `FeatureSet`.
        judges: Dictionary with the judge `"cnn"`.

    Returns:
        Dictionary of measures.
    """
    model, seconds = second_phase(cell, features)
    if cell["without"] == "shift":
        model.mean_shift.means.assign(0.0 * model.mean_shift.means)
    elif cell["without"] == "detail":
        model.unsharp_mask.gain.assign(0.0 * model.unsharp_mask.gain)
    row = {"seconds": seconds, "parameters": model.count_params()}
    row["cnn_frechet_real"] = distance_of_music(features, judges["cnn"])
    row |= sound_row(model, features)
    return row | evaluate_model(model, features, judges).to_dict()
