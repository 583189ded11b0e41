"""Genre-conditioned music from variational autoencoders.

Names are loaded when first used: `import cvae_music` itself loads neither TensorFlow nor librosa.
"""

import importlib

__version__ = "0.1.0"

# public name -> module of this package that defines it
_HOMES = {
    "AudioConfig": "config",
    "load_audio": "audio",
    "log_mel": "audio",
    "to_audio": "inversion",
    "Vocoder": "vocoder",
    "write_audio": "audio",
    "open_collection": "datasets",
    "build_features": "features",
    "load_features": "features",
    "FeatureSet": "features",
    "batches": "pipelines",
    "Autoencoder": "models",
    "VAE": "models",
    "ConditionalVAE": "conditional",
    "CNNJudge": "judges",
    "DescriptorJudge": "judges",
    "evaluate_model": "scoreboard",
    "train": "training",
    "fit_latent_density": "sampling",
    "generate": "sampling",
    "train_judges": "judges",
    "load_model": "model_files",
    "save_compact": "model_files",
    "load_pretrained": "pretrained",
    "load_pretrained_judges": "pretrained",
    "make_model": "pretrained",
    "fit_series_model": "pretrained",
    "open_model": "pretrained",
    "open_judges": "pretrained",
    "start_session": "session",
    "plot_log_mel": "plots",
    "show_figure": "plots",
    "player": "players",
    "show_clips": "players",
}

__all__ = ["__version__", *sorted(_HOMES)]


def __getattr__(name):
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value  # the next use finds it without coming here
    return value


def __dir__():
    return sorted({*globals(), *_HOMES})
