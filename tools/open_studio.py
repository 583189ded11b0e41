"""Opens the studio in the browser: a page of one cell, served by Voila until Ctrl-C. Options go on to Voila."""

import json
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CELL = "from cvae_music import Studio\n\nStudio.from_preset('known_cvae')"
# Uploads come as one message; tornado would drop those over 10 MB together with the connection.
LARGEST_MESSAGE = 200_000_000  # bytes


def write_page(path):
    """Writes the notebook of one cell."""
    cell = {
        "cell_type": "code",
        "id": "studio",
        "source": CELL,
        "metadata": {},
        "execution_count": None,
        "outputs": [],
    }
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    path.parent.mkdir(parents=True, exist_ok=True)
    page = {
        "cells": [cell],
        "metadata": {"kernelspec": kernel},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    path.write_text(json.dumps(page), encoding="utf-8")


def main(options):
    output = Path(os.environ.get("CVAE_MUSIC_OUTPUT") or ROOT / "outputs")
    page = output / "studio" / "studio.ipynb"
    write_page(page)
    # What the kernel inherits.
    paths = [str(ROOT / "lib"), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ |= {
        "PYTHONPATH": os.pathsep.join(paths),
        "CVAE_MUSIC_OUTPUT": str(output),
    }
    os.environ.setdefault(
        "TF_CPP_MIN_LOG_LEVEL", "2"
    )  # start-up notices would stand above the page
    # Voila's server imports jsonschema, which builds a grammar of international web addresses where this package
    # is there, and every start would wait for it. Nothing in the page holds such an address; jsonschema does without.
    sys.modules["rfc3987_syntax"] = None
    from traitlets.config import Config
    from voila.app import Voila

    settings = Config(
        Voila={"tornado_settings": {"websocket_max_message_size": LARGEST_MESSAGE}}
    )
    Voila.launch_instance([str(page), *options], config=settings)


if __name__ == "__main__":
    main(sys.argv[1:])
