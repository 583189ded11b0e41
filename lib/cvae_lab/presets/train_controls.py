"""Fits the controls that ship: `python -m cvae_lab.presets.train_controls`."""

import argparse
import dataclasses
import os
from collections.abc import Sequence

from cvae_lab.notebook.session import cache_folder
from cvae_music.config import AudioConfig
from cvae_music.controls import fit_controls
from cvae_music.data.features import build_features
from cvae_music.data.sources import open_collection
from cvae_music.models.conditional import ConditionalVAE
from cvae_music.saving import WEIGHTS


def main(arguments: Sequence[str] | None = None) -> None:
    """Fits the controls of a preset and writes them beside it."""
    parser = argparse.ArgumentParser(
        prog="python -m cvae_lab.presets.train_controls", description=main.__doc__
    )
    parser.add_argument("preset", nargs="?", default="known_cvae")
    parser.add_argument("--data", default="known", help="known, or a folder of genres")
    options = parser.parse_args(arguments)
    collection = open_collection(options.data, num_clips=2400)
    features = build_features(collection, AudioConfig(), cache_folder())
    controls = fit_controls(ConditionalVAE.from_preset(options.preset), features)
    # Where the files stand on this machine is nobody else's business.
    table = controls.table
    places = [path and os.path.relpath(path, options.data) for path in table["path"]]
    controls = dataclasses.replace(controls, table=table.assign(path=places))
    path = WEIGHTS / f"controls_{options.preset}.npz"
    controls.save(path)
    dimensions = ", ".join(controls.dimensions.values())
    print(f"{path.name}: weights {controls.fingerprint}, {dimensions}")


if __name__ == "__main__":
    main()
