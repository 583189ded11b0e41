"""Fits the controls that ship: `python -m cvae_lab.presets.train_controls`."""

from cvae_lab.notebook.session import cache_folder
from cvae_music.config import AudioConfig
from cvae_music.controls import fit_controls
from cvae_music.data.features import build_features
from cvae_music.data.sources import open_collection
from cvae_music.models.conditional import ConditionalVAE
from cvae_music.saving import WEIGHTS

PRESET = "known_cvae"


def main() -> None:
    """Fits the controls of the preset and writes them beside it."""
    collection = open_collection("known", num_clips=2400)
    features = build_features(collection, AudioConfig(), cache_folder())
    controls = fit_controls(ConditionalVAE.from_preset(PRESET), features)
    path = WEIGHTS / f"controls_{PRESET}.npz"
    controls.save(path)
    dimensions = ", ".join(controls.dimensions.values())
    print(f"{path.name}: weights {controls.fingerprint}, {dimensions}")


if __name__ == "__main__":
    main()
