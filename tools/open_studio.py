"""Opens the studio in the browser: a page of one cell, served by Voila until Ctrl-C. Options go on to Voila.

    python tools/open_studio.py [--data FOLDER | --preset NAME]

With the folder of music that a run was made on, it plays the model which that run trained.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGE = """import studio_page

studio_page.MusicChoice({sources!r})"""
LOOK = ROOT / "lib" / "cvae_music" / "studio" / "studio.css"
# In place of Voila's "Executing 1 of 2".
WAITING = """
<script>
update_loading_text(1, 2, "Loading the model, about 15 seconds …");
voila_process = () => {};
</script>"""
# By what they are called in the list; the sources are explained in tools/studio_page.py.
PRESETS = {
    "Composed music, 6 genres": "known_cvae",
    "Real music, 4 genres": "real_cvaegan",
}
# What a run leaves in `models`, the best for playing first.
KINDS = ("cvaegan-*.npz", "cvae-*.npz", "finetuned-cvae-*.npz", "vae-*.npz")
# In a process of its own, so that the server stays small.
FIT_CONTROLS = """
import sys
import cvae_lab as lab
import cvae_music as cm

data, model, controls = sys.argv[1:]
model = cm.load_model(model)
features = cm.build_features(cm.open_collection(data), model.audio_config, lab.cache_folder())
cm.fit_controls(model, features).save(controls)
"""
# Uploads come as one message; tornado would drop those over 10 MB together with the connection.
LARGEST_MESSAGE = 200_000_000  # bytes
# Voila's template asks another host for an icon font, which nothing here uses: the browser does not ask.
POLICY = "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob: ws: wss:"


def find_model(data, output):
    """The newest model that a run on a folder of music left; a run makes one folder in `outputs`.

    Raises:
        SystemExit: If there is none.
    """
    import run_notebooks  # only here: the page of a preset opens sooner

    path, name = run_notebooks.resolve_data(data)
    for kind in KINDS:
        found = [
            *output.glob(f"{name}/models/{kind}"),
            *output.glob(f"{name}-*/models/{kind}"),
        ]
        if found:
            return path, max(found, key=lambda model: model.stat().st_mtime)
    raise SystemExit(
        f"Got DATA={data}; expected a model that a run on this music left in "
        f"{run_notebooks.shorten(output / name / 'models')}. Run first: make run DATA={data}"
    )


def own_source(data, output):
    """Name and source of a model of one's own; its controls are measured once and kept."""
    path, model = find_model(data, output)
    # Times change when a folder is copied; the content says whose controls they are.
    digest = hashlib.sha256(model.read_bytes()).hexdigest()[:8]
    controls = model.parent / f"controls_{model.stem}_{digest}.npz"
    if not controls.exists():
        print("Measuring the sliders of this model, about a minute, once.", flush=True)
        subprocess.run(
            [sys.executable, "-c", FIT_CONTROLS, path, str(model), str(controls)],
            check=True,
        )
    sources = str(model.absolute()), str(controls.absolute())
    return f"Your own music, {Path(path).name}", sources


def list_music(first):
    """Sources of the page by their names: one that was asked for, and the presets."""
    name, source = first
    others = {key: value for key, value in PRESETS.items() if value != source}
    return {name: source, **others}


def write_page(path, code):
    """Writes the notebook: the look, which is there while the model loads, and one cell of code."""
    look = {
        "cell_type": "markdown",
        "id": "look",
        "source": f"<style>{LOOK.read_text(encoding='utf-8')}</style>{WAITING}",
        "metadata": {},
    }
    cell = {
        "cell_type": "code",
        "id": "studio",
        "source": code,
        "metadata": {},
        "execution_count": None,
        "outputs": [],
    }
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    path.parent.mkdir(parents=True, exist_ok=True)
    page = {
        "cells": [look, cell],
        "metadata": {"kernelspec": kernel, "title": "Studio"},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    path.write_text(json.dumps(page), encoding="utf-8")


def main(arguments):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="", help="music that a run was made on")
    parser.add_argument(
        "--preset", default="known_cvae", help="or a model that ships, to begin with"
    )
    chosen, options = parser.parse_known_args(arguments)
    output = Path(os.environ.get("CVAE_MUSIC_OUTPUT") or ROOT / "outputs")
    page = output / "studio" / "studio.ipynb"
    # What the kernel inherits.
    paths = [str(ROOT / "lib"), str(ROOT / "tools")]
    paths += filter(None, [os.environ.get("PYTHONPATH")])
    os.environ |= {
        "PYTHONPATH": os.pathsep.join(paths),
        "CVAE_MUSIC_OUTPUT": str(output),
    }
    os.environ.setdefault(
        "TF_CPP_MIN_LOG_LEVEL", "2"
    )  # start-up notices would stand above the page
    is_own = chosen.data not in ("", "known")
    if is_own:
        first = own_source(chosen.data, output)
    else:
        names = {source: name for name, source in PRESETS.items()}
        first = names.get(chosen.preset, chosen.preset), chosen.preset
    write_page(page, PAGE.format(sources=list_music(first)))
    print("The first clip sounds in about 15 s. Ctrl-C ends the studio.", flush=True)
    # Voila's server imports jsonschema, which builds a grammar of international web addresses where this package
    # is there, and every start would wait for it. Nothing in the page holds such an address; jsonschema does without.
    sys.modules["rfc3987_syntax"] = None
    from traitlets.config import Config
    from voila.app import Voila

    served = {
        "websocket_max_message_size": LARGEST_MESSAGE,
        "headers": {"Content-Security-Policy": POLICY},
    }
    settings = Config(Voila={"tornado_settings": served})
    Voila.launch_instance([str(page), *options], config=settings)


if __name__ == "__main__":
    main(sys.argv[1:])
