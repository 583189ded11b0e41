"""Measures the controls that ship with the shipped model."""

from cvae_music.controls import fit_controls


def main():
    """Fits the controls of the shipped model and writes them beside it."""
    from cvae_lab.session import cache_folder
    from cvae_music.config import AudioConfig
    from cvae_music.data.features import build_features
    from cvae_music.data.sources import open_collection
    from cvae_music.models.files import load_pretrained, pretrained_folder

    features = build_features(open_collection("known", num_clips=2400), AudioConfig(), cache_folder())
    controls = fit_controls(load_pretrained("known_cvae"), features)
    controls.save(pretrained_folder() / "known_controls.npz")
    print(f"known_controls.npz: weights {controls.fingerprint}, {', '.join(controls.dimensions.values())}")


if __name__ == "__main__":
    main()
