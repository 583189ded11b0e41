"""What is set in the studio: as the arguments of `make_clip`, as a line of code, in words."""

from pathlib import Path


def arguments(state):
    """The arguments of `make_clip` that differ from its defaults, of `Panel.state`; an own clip by its latent."""
    values = {
        key: round(value, 4) if isinstance(value, float) else value
        for key, value in state.items()
    }
    found = {"seed": values["seed"], "tempo": values["tempo"]}
    for kind in ("mix", "sliders", "dimensions"):
        chosen = {
            key[1]: value for key, value in values.items() if key[0] == kind and value
        }
        found |= {kind: chosen} if chosen else {}
    if values["source"]:
        found["start"] = values["source"].latent
    else:
        found |= (
            {"prior_genre": values["prior_genre"]} if "prior_genre" in values else {}
        )
        found |= (
            {"temperature": values["temperature"]} if values["temperature"] != 1 else {}
        )
    found |= {"at": (values["at", 0], values["at", 1])} if values["on_map"] else {}
    found |= (
        {"morph_to": values["second"], "share": values["share"]}
        if values["share"]
        else {}
    )
    return found


def as_code(settings, own=None):
    """Settings as the arguments of a call, in Python; an own clip by its file."""
    parts = {name: repr(value) for name, value in settings.items()}
    if own:
        path = (
            own.path.relative_to(Path.cwd())
            if own.path.is_relative_to(Path.cwd())
            else own.path
        )
        parts["start"] = f"encode_clip(model, {path.as_posix()!r}, {own.start!r})"
    return ", ".join(f"{name}={value}" for name, value in parts.items())


def in_words(clip, settings, own, names):
    """A clip and what was set for it; `names` are those of the latent dimensions."""
    parts = [
        clip.genre or "clip",
        own.clip.name if own else f"seed {settings['seed']}",
        f"{settings['tempo']:g} bpm",
    ]
    parts += [
        f"{name} {value:+g}" for name, value in settings.get("sliders", {}).items()
    ]
    parts += [
        f"{names[number]} {value:+g}"
        for number, value in settings.get("dimensions", {}).items()
    ]
    parts += (
        [f"temperature {settings['temperature']:g}"]
        if "temperature" in settings
        else []
    )
    parts += ["at {:g}, {:g}".format(*settings["at"])] if "at" in settings else []
    parts += (
        [f"{settings['share']:.0%} towards seed {settings['morph_to']}"]
        if "share" in settings
        else []
    )
    parts += (
        [f"drawn as {settings['prior_genre']}"]
        if settings.get("prior_genre", clip.genre) != clip.genre
        else []
    )
    return ", ".join(parts)
