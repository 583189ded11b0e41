"""Settings of the studio: as arguments of `make_clip`, as Python code, in words."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cvae_music.controls import load_controls
from cvae_music.saving import WEIGHTS

if TYPE_CHECKING:
    from cvae_music.controls import Controls
    from cvae_music.generation import Clip
    from cvae_music.models.autoencoders import VAE
    from cvae_music.studio.sounds import OwnClip

SECOND_SEED = "second seed"  # value of the knob `style` for the seed of `morph_to`
# Python that loads the studio's model: one that ships by name, another by its paths.
PRESET = """import cvae_music as cm
model = cm.VAE.from_preset({!r})
controls = cm.shipped_controls(model)"""
FILES = """import cvae_music as cm
model = cm.load_model({!r})
controls = cm.load_controls({!r})"""


def clip_arguments(state: dict[Any, Any]) -> dict[str, Any]:
    """Converts the knobs of a panel to the arguments of `make_clip`.

    Args:
        state: Dict of knob to value, see `Panel.state`.

    Returns:
        Dict of the arguments that differ from their defaults; an own clip is given by
        its latent.
    """
    values = dict(state)
    for key, value in values.items():
        if isinstance(value, float):  # a slider may return 0.30000000000000004
            values[key] = round(value, 4)
    found = {"seed": values["seed"], "tempo": values["tempo"]}
    for group in ("genre", "sliders", "dimensions"):
        chosen = {
            key[1]: value for key, value in values.items() if key[0] == group and value
        }
        if chosen:
            found[group] = chosen
    for argument, own in own_clips(values).items():
        found[argument] = own.latent
    if values["style"] == SECOND_SEED:
        found["style_from"] = values["morph_to"]
    if "latent" not in found:
        if "prior_genre" in values:
            found["prior_genre"] = values["prior_genre"]
        if values["temperature"] != 1:
            found["temperature"] = values["temperature"]
    if "guidance" in values:
        found["guidance"] = values["guidance"]
    if values["on_map"]:
        found["map_position"] = (values["map", 0], values["map", 1])
    if values["morph"]:
        found["morph_to"] = values["morph_to"]
        found["morph"] = values["morph"]
    return found


def own_clips(state: dict[Any, Any]) -> dict[str, OwnClip]:
    """Finds the clips of one's own in a state.

    Args:
        state: Dict of knob to value, see `Panel.state`.

    Returns:
        Dict of argument of `make_clip` to `OwnClip`.
    """
    chosen = {"latent": state["source"], "style_from": state["style"]}
    return {name: own for name, own in chosen.items() if not isinstance(own, str)}


def as_code(settings: dict[str, Any], own: dict[str, OwnClip] | None = None) -> str:
    """Writes settings as the arguments of a call in Python.

    Args:
        settings: Dict of argument to value.
        own: Dict of argument to the clip of one's own whose latent it is, written as
            `encode_clip` of its file.

    Returns:
        One line, such as `seed=3, genre={'jazz': 1.0}`.
    """
    parts = {name: repr(value) for name, value in settings.items()}
    for name, clip in (own or {}).items():
        path = clip.path.absolute().as_posix()
        parts[name] = f"cm.encode_clip(model, {path!r}, {clip.start!r})"
    return ", ".join(f"{name}={value}" for name, value in parts.items())


def setup_code(model: VAE, controls: Controls, folder: Path) -> str:
    """Writes Python that loads a model and its controls in another process.

    Both are saved first if they do not ship.

    Args:
        model: The model.
        controls: Its `Controls`.
        folder: Folder of the two files.

    Returns:
        Lines that import `cvae_music` as `cm` and set `model` and `controls`.
    """
    for path in WEIGHTS.glob("controls_*.npz"):
        shipped = load_controls(path)
        is_same_model = shipped.fingerprint == controls.fingerprint
        if is_same_model and np.array_equal(_steps(shipped), _steps(controls)):
            return PRESET.format(path.stem.removeprefix("controls_"))
    paths = [
        (folder.absolute() / f"{controls.fingerprint}{ending}").as_posix()
        for ending in (".keras", ".npz")
    ]
    model.save(paths[0])
    controls.save(paths[1])
    return FILES.format(*paths)


def _steps(controls):
    return list(controls.attribute_directions.values())


def in_words(
    clip: Clip,
    settings: dict[str, Any],
    own: dict[str, OwnClip],
    dimension_names: dict[int, str],
) -> str:
    """Describes a clip and its settings in one line of words.

    Args:
        clip: The clip that was made.
        settings: Arguments of `make_clip` it was made with.
        own: Dict of argument to the clip of one's own whose latent it is.
        dimension_names: Dict of latent dimension to its name.

    Returns:
        Such as `jazz, seed 3, 110 bpm, level +1`.
    """
    names = {argument: one.clip.name for argument, one in own.items()}
    source = names.get("latent", f"seed {settings['seed']}")
    parts = [clip.genre or "clip", source, f"{settings['tempo']:g} bpm"]
    if "style_from" in settings:
        style = names.get("style_from", f"seed {settings['style_from']}")
        parts.append(f"style of {style}")
    for name, value in settings.get("sliders", {}).items():
        parts.append(f"{name} {value:+g}")
    for number, value in settings.get("dimensions", {}).items():
        parts.append(f"{dimension_names[number]} {value:+g}")
    if "temperature" in settings:
        parts.append(f"temperature {settings['temperature']:g}")
    if settings.get("guidance"):
        parts.append(f"guidance {settings['guidance']:g}")
    if "map_position" in settings:
        parts.append("at {:g}, {:g}".format(*settings["map_position"]))
    if "morph" in settings:
        parts.append(f"{settings['morph']:.0%} towards seed {settings['morph_to']}")
    if settings.get("prior_genre", clip.genre) != clip.genre:
        parts.append(f"drawn as {settings['prior_genre']}")
    return ", ".join(parts)
