"""A listener from outside: a network that was trained to tag music, as a space to measure distances in.

    OMP_NUM_THREADS=1 python tests/benchmarks/tagger.py --data FOLDER [--clips 240]
    OMP_NUM_THREADS=1 python tests/benchmarks/tagger.py --data FOLDER --models FILE ...

prints how well each layer tells the genres of a folder apart, and the tags of each genre; or, with models that were
trained on the folder, obedience in sound as both networks hear it, each model also with its shift or its detail
switched off, into `lib/cvae_lab/results/obedience_taggers.csv`. `inversion.py` uses `embed`. The weights are those of the package musicnn 0.1.0 (ISC), which is downloaded once into `data/cache/` and
only read, never installed: it asks for TensorFlow 1.

Source: Pons and Serra (2019), "musicnn: pre-trained convolutional neural networks for music audio tagging",
    arXiv:1909.06654.
"""

import argparse
import ast
import functools
import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path

import librosa
import numpy as np
import tensorflow as tf

CACHE = Path(__file__).resolve().parents[2] / "data" / "cache" / "musicnn"
RESULTS = Path(__file__).resolve().parents[2] / "lib" / "cvae_lab" / "results"
PACKAGE = "musicnn==0.1.0"
MODELS = ("MTT", "MSD")  # trained on MagnaTagATune, on the Million Song Dataset
MODEL, LAYER = (
    "MSD",
    "penultimate",
)  # tells the genres of real music apart best, if not by much
SAMPLE_RATE, N_FFT, HOP, N_MELS = 16000, 512, 256, 96
NUM_FRAMES = 187  # three seconds
END = 0.1  # seconds left out at both ends, where a loop hears its other end and the original does not


@functools.cache
def package():
    """The downloaded wheel; a zip file."""
    if not list(CACHE.glob("musicnn-*.whl")):
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--dest",
            str(CACHE),
            PACKAGE,
        ]
        subprocess.run(command, check=True)
    return next(CACHE.glob("musicnn-*.whl"))


@functools.cache
def load_weights(model=MODEL):
    """Dictionary name -> array."""
    with zipfile.ZipFile(package()) as wheel:
        for ending in ("index", "data-00000-of-00001"):
            # Files without a name but an ending; TensorFlow wants a name.
            (CACHE / f"{model}.{ending}").write_bytes(
                wheel.read(f"musicnn/{model}_musicnn/.{ending}")
            )
    reader = tf.train.load_checkpoint(str(CACHE / model))
    return {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if "Adam" not in name
    }


@functools.cache
def tag_names(model=MODEL):
    with zipfile.ZipFile(package()) as wheel:
        lines = wheel.read("musicnn/configuration.py").decode().splitlines()
    return ast.literal_eval(
        next(
            line.split("=")[1].strip()
            for line in lines
            if line.startswith(f"{model}_LABELS")
        )
    )


@functools.cache
def build_network(model=MODEL):
    """Function from log-mel windows, shape `(windows, NUM_FRAMES, N_MELS)`, to a dictionary of layers."""
    weights = load_weights(model)

    def named(kind, number):
        return f"{kind}_{number}" if number else kind

    def normalise(x, number):
        beta, gamma, mean, variance = (
            weights[f"{named('batch_normalization', number)}/{name}"]
            for name in ("beta", "gamma", "moving_mean", "moving_variance")
        )
        return tf.nn.batch_normalization(x, mean, variance, beta, gamma, 1e-3)

    def convolve(x, number, padding):
        kernel, bias = (
            weights[f"{named('conv2d', number)}/{name}"] for name in ("kernel", "bias")
        )
        if padding == "SAME":
            kernel = kernel.swapaxes(
                0, 1
            )  # these run along time, which is faster as the second axis
        return normalise(
            tf.nn.relu(tf.nn.conv2d(x, kernel, 1, padding) + bias), number + 1
        )

    def dense(x, number):
        return (
            x @ weights[f"{named('dense', number)}/kernel"]
            + weights[f"{named('dense', number)}/bias"]
        )

    along_time = [[0, 0], [3, 3], [0, 0], [0, 0]]

    @tf.function
    def forward(windows):
        x = normalise(windows[..., None], 0)
        # Timbres at any pitch, then onsets and their repetitions in any band: `(windows, frames, features)`.
        timbre = [
            tf.reduce_max(convolve(tf.pad(x, along_time), number, "VALID"), axis=2)
            for number in (0, 1)
        ]
        rhythm = [
            tf.reduce_max(
                convolve(tf.transpose(x, (0, 2, 1, 3)), number, "SAME"), axis=1
            )
            for number in (2, 3, 4)
        ]
        features = [tf.concat(timbre + rhythm, axis=2)]
        for number in (5, 6, 7):
            new = convolve(
                tf.pad(features[-1][..., None], along_time), number, "VALID"
            )[:, :, 0]
            features.append(new if number == 5 else new + features[-1])
        features = tf.concat(features, axis=2)
        pools = [tf.reduce_max(features, axis=1), tf.reduce_mean(features, axis=1)]
        pooled = tf.reshape(
            tf.stack(pools, axis=2), (-1, 2 * features.shape[2])
        )  # they take turns
        penultimate = normalise(tf.nn.relu(dense(normalise(pooled, 9), 0)), 10)
        tags = tf.sigmoid(dense(penultimate, 1))
        return {
            "max_pool": pools[0],
            "mean_pool": pools[1],
            "penultimate": penultimate,
            "tags": tags,
        }

    return forward


def log_mel_windows(samples, sample_rate=22050):
    """Windows of three seconds that cover a clip but its ends; a shorter clip is repeated, as in training.

    Args:
        samples: Float array, shape `(samples,)`, at its own level: the network hears levels.
        sample_rate: Samples a second.

    Returns:
        Float32 array, shape `(windows, NUM_FRAMES, N_MELS)`.
    """
    end = round(END * sample_rate)
    heard = librosa.resample(
        np.asarray(samples[end:-end], np.float32),
        orig_sr=sample_rate,
        target_sr=SAMPLE_RATE,
    )
    power = librosa.feature.melspectrogram(
        y=heard,
        sr=SAMPLE_RATE,
        n_fft=N_FFT,
        hop_length=HOP,
        n_mels=N_MELS,
        center=False,
    )
    level = np.log10(10000.0 * power.T + 1.0).astype(np.float32)
    if len(level) < NUM_FRAMES:
        level = np.resize(level, (NUM_FRAMES, N_MELS))
    starts = (
        np.linspace(0, len(level) - NUM_FRAMES, -(-len(level) // NUM_FRAMES))
        .round()
        .astype(int)
    )
    return np.stack([level[start : start + NUM_FRAMES] for start in starts])


def hear(samples, sample_rate=22050, model=MODEL):
    """Layers of the network, each the mean over the windows of a clip."""
    layers = build_network(model)(log_mel_windows(samples, sample_rate))
    return {name: values.numpy().mean(axis=0) for name, values in layers.items()}


def embed(sounds, sample_rate=22050):
    """Embeddings of clips, shape `(num_clips, dimensions)`."""
    return np.array(
        [hear(samples, sample_rate)[LAYER] for samples in sounds], np.float64
    )


LAYERS = {"shift": "mean_shift", "detail": "unsharp_mask"}  # name in the table


def obedience_rows(data, files):
    """A row for each network, model and layer that is switched off: shares of clips that are heard as asked."""
    from cvae_lab.measures.audio_obedience import TEMPO, obedience_in_sound
    from cvae_lab.notebook.session import cache_folder
    from cvae_music.audio.inversion import to_audio
    from cvae_music.config import AudioConfig
    from cvae_music.data.features import build_features
    from cvae_music.data.sources import open_collection
    from cvae_music.saving import load_model

    features, models = (
        build_features(open_collection(data), AudioConfig(), cache_folder()),
        {},
    )
    for number, file in enumerate(files):
        for layer in (None, *LAYERS):
            model = load_model(file, features.config)
            if layer and not hasattr(model, LAYERS[layer]):
                continue
            if layer:
                weight = getattr(model, LAYERS[layer]).weights[0]  # means, or gain
                weight.assign(tf.zeros_like(weight))
            models[f"{number}:{layer or ''}"] = model
    rows, embeddings = [], {}
    for tagger in MODELS:

        def describe(levels, config, tagger=tagger):
            """Embeddings of one network; those of the other are kept, since the way to sound takes longer than hearing."""
            keys = [
                (seed, hashlib.sha256(level.tobytes()).digest())
                for seed, level in enumerate(levels)
            ]
            for key, level in zip(keys, levels, strict=True):
                if key not in embeddings:
                    sound = to_audio(level, config, TEMPO, seed=key[0])
                    embeddings[key] = {
                        name: hear(sound, config.sample_rate, name)[LAYER]
                        for name in MODELS
                    }
            return np.array([embeddings[key][tagger] for key in keys])

        found = obedience_in_sound(
            models,
            features,
            num_per_genre=192 // features.num_genres,
            describe=describe,
        )
        for name in models:
            number, _, layer = name.partition(":")
            about = {
                "tagger": tagger,
                "model": Path(files[int(number)]).stem,
                "without": layer,
                "real": found["real"],
            }
            rows.append(
                about
                | {
                    kind: found[f"{name}_{kind}"]
                    for kind in ("rebuilt", "swap", "fresh", "class_conditional")
                }
            )
    return rows


def main():
    import pandas as pd
    from inversion import real_clips
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GroupKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="a folder of genres")
    parser.add_argument("--clips", type=int, default=240)
    parser.add_argument(
        "--models",
        nargs="+",
        default=(),
        help="files of conditional models trained on the folder",
    )
    options = parser.parse_args()
    if options.models:
        table = pd.DataFrame(obedience_rows(options.data, options.models)).round(4)
        table.to_csv(RESULTS / "obedience_taggers.csv", index=False)
        print(table.to_string(index=False))
        return
    clips = real_clips(options.data, options.clips)
    styles, tracks = (
        np.array([clip.style for clip in clips]),
        np.array([clip.track for clip in clips]),
    )
    print(
        f"{len(clips)} clips of {len(set(tracks))} tracks; genres told apart, five folds that share no track"
    )
    for model in MODELS:
        heard = [hear(clip.samples, model=model) for clip in clips]
        for layer in heard[0]:
            points = np.array([one[layer] for one in heard])
            classifier = make_pipeline(
                StandardScaler(), LogisticRegression(C=0.1, max_iter=2000)
            )
            scores = cross_val_score(
                classifier,
                points,
                styles,
                groups=tracks,
                cv=GroupKFold(5),
                scoring="balanced_accuracy",
            )
            error = scores.std() / np.sqrt(5)
            print(
                f"{model} {layer:12} {points.shape[1]:4} numbers: balanced accuracy {scores.mean():.3f} ± {error:.3f}"
            )
        tags = np.array([one["tags"] for one in heard])
        for style in sorted(set(styles)):
            mean = tags[styles == style].mean(axis=0)
            above = mean - tags.mean(axis=0)
            likely, typical = (
                [tag_names(model)[k] for k in np.argsort(-values)[:6]]
                for values in (mean, above)
            )
            print(
                f"{model} {style}: likely {', '.join(likely)}; more than elsewhere {', '.join(typical)}",
                flush=True,
            )


if __name__ == "__main__":
    main()
