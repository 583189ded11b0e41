"""What each mechanism of the `ConditionalVAE` is worth: models without it, with it alone, and with what left the library.

    OMP_NUM_THREADS=2 python tests/benchmarks/ablations.py --data FOLDER [--size small] [--seeds 0 1 2]
    OMP_NUM_THREADS=2 python tests/benchmarks/ablations.py --data FOLDER --models FILE ...

trains a model for each variant and seed, listens to it, and writes a row into `lib/cvae_lab/results/ablations.csv`. Rows
that are there are not made again. Models are kept in `data/cache/ablations/`. With files of models it measures those, such as
a preset; their `variant` is the name of the file.

All clips go to sound and back the same way, the real ones too. Four listeners name the genre of each clip, by a
logistic regression on real training clips: descriptors of librosa, and three networks (`tagger.py`). Choices are made
with the first two of `LISTENERS`; the last is kept aside to report with.
"""

import argparse
import gc
import time
from pathlib import Path

import keras
import librosa
import numpy as np
import pandas as pd
import tagger
from keras import layers, ops
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cvae_lab.measures import scores
from cvae_lab.measures.audio_obedience import (
    TEMPO,
    balanced_clips,
    sound_descriptors,
    swap_labels,
)
from cvae_lab.measures.scoreboard import (
    balanced_genres,
    decode_clips,
    rebuild_clips,
)
from cvae_lab.notebook.session import cache_folder
from cvae_music.audio.inversion import to_audio
from cvae_music.config import AudioConfig
from cvae_music.data.features import build_features
from cvae_music.data.sources import open_collection
from cvae_music.models.conditional import ConditionalVAE
from cvae_music.models.losses import moving_average_matrix
from cvae_music.saving import load_model, save_compact
from cvae_music.training import train

RESULTS = tagger.RESULTS / "ablations.csv"
LISTENERS = ("descriptors", "MSD_musicnn", "MSD_vgg", tagger.KEPT_ASIDE)
SIZES = {  # settings of the model, steps
    "small": ({"width": 96, "depth": 1}, 720),
    "full": ({}, 1440),
}
NO_CONTRAST = {"contrast_weight": 0.0}
NO_SHIFT = {"fit_mean_shift": False}
# Mechanisms that left the library on this table.
CLASSIFIER = {"classifier": True}
ADVERSARY = CLASSIFIER | {"adversary": True}
NO_AUGMENTATION = {"augmentation": False}
DISCREPANCY = {"discrepancy_weight": 3000.0}
SWAP_WEIGHT = 600.0  # of the classifier's loss on swapped clips
SOURCE_WEIGHT = 0.5  # of the adversarial classifier's loss on the source genre
WITH_BOTH = "with classifier and adversarial classifier"

VARIANTS = {
    "all": {},
    "without mean shift": NO_SHIFT,
    "without mean shift, KL weight 5": NO_SHIFT | {"kl": 5.0},
    "without FiLM": {"film": False},
    "without contrast": NO_CONTRAST,
    # A VAE whose decoder gets no label: the mean shift moves its latents, and nothing else knows the genre.
    "without label": {"label": False},
    "with classifier": CLASSIFIER,
    "with classifier, without augmentation": CLASSIFIER | NO_AUGMENTATION,
    WITH_BOTH: ADVERSARY,
    f"{WITH_BOTH}, without augmentation": ADVERSARY | NO_AUGMENTATION,
    f"{WITH_BOTH}, KL weight 2": ADVERSARY | {"kl": 2.0},
    f"{WITH_BOTH}, discrepancy": ADVERSARY | DISCREPANCY,
}


def multiquadric_kernel(first, second):
    """Inverse multiquadric kernel of all pairs, averaged over five widths.

    Source: Tolstikhin et al. (2018), "Wasserstein auto-encoders", arXiv:1711.01558.
    """
    first_norm = ops.sum(ops.square(first), axis=-1)[..., :, None]
    second_norm = ops.sum(ops.square(second), axis=-1)[..., None, :]
    products = ops.matmul(first, ops.swapaxes(second, -1, -2))
    distance = ops.maximum(first_norm + second_norm - 2.0 * products, 0.0)
    widths = [2.0 * first.shape[-1] * scale for scale in (0.2, 0.5, 1.0, 2.0, 5.0)]
    return sum(width / (width + distance) for width in widths) / len(widths)


def genre_discrepancy(latent, genre_weights, noise):
    """Maximum mean discrepancy of each genre's latents and the prior, averaged.

    The library had this term until the rows of this benchmark spoke against it. Latents `(slots, batch, dim)`,
    one-hot rows `(batch, num_genres)`, draws of the prior `(slots, m, dim)`; returns a scalar.

    Source: Gretton et al. (2012); on a VAE's latents Zhao, Song and Ermon (2017), InfoVAE, arXiv:1706.02262.
    """
    count = ops.sum(genre_weights, axis=0)
    num_noise = noise.shape[-2]
    pairs = multiquadric_kernel(latent, latent)
    pairs = pairs * (1.0 - ops.eye(ops.shape(latent)[-2]))
    within = ops.einsum("snm,ng,mg->sg", pairs, genre_weights, genre_weights)
    within = within / ops.maximum(count * (count - 1.0), 1.0)
    across = multiquadric_kernel(latent, noise)
    across = ops.einsum("snm,ng->sg", across, genre_weights)
    across = across / (ops.maximum(count, 1.0) * num_noise)
    prior = multiquadric_kernel(noise, noise) * (1.0 - ops.eye(num_noise))
    prior = ops.sum(prior, axis=(-2, -1)) / (num_noise * (num_noise - 1.0))
    enough = ops.cast(count >= 2.0, within.dtype)
    each = ops.mean(within + prior[:, None] - 2.0 * across, axis=0)
    return ops.sum(each * enough) / ops.maximum(ops.sum(enough), 1.0)


def build_classifier(shape, num_genres):
    """A small genre classifier: scaled log-mel to logits `(batch, num_genres)`. It ignores the mean level of a clip."""
    clip = keras.Input(shape, name="log_mel")
    x = clip - ops.mean(clip, axis=(1, 2), keepdims=True)
    for width, name in ((64, "onsets"), (96, "quarter_beats"), (96, "half_beats")):
        convolve = layers.Conv1D(
            width, 4, strides=2, padding="same", activation="relu", name=name
        )
        x = convolve(x)
    deviation = ops.sqrt(ops.var(x, axis=1) + 1e-3)
    x = layers.Concatenate(name="statistics")([ops.mean(x, axis=1), deviation])
    x = layers.Dropout(0.3, seed=0, name="dropout")(x)
    logits = layers.Dense(num_genres, dtype="float32", name="logits")(x)
    return keras.Model(clip, logits, name="classifier")


def augment_for_classifier(log_mel, seed):
    """Blurs, amplifies, masks and adds noise to clips, and keeps their genre.

    Up to 6 dB louder or softer, uniform noise of up to 3.5 dB (both at 35 dB a scaled unit), and up to 0.3 of the time
    and 0.4 of the bands replaced by the clip's mean. Source: the masks are those of SpecAugment, Park et al. (2019),
    arXiv:1904.08779.
    """
    each = (ops.shape(log_mel)[0], 1, 1)
    over_time = moving_average_matrix(log_mel.shape[1], 3)
    over_bands = moving_average_matrix(log_mel.shape[2], 7).T
    blurred = ops.matmul(over_time, ops.matmul(log_mel, over_bands))
    share = keras.random.uniform(each, seed=seed)
    gain = keras.random.uniform(each, -0.17, 0.17, seed=seed)
    noise = keras.random.uniform(ops.shape(log_mel), -0.1, 0.1, seed=seed)
    augmented = log_mel + share * (blurred - log_mel) + gain + noise
    time = np.linspace(0.0, 1.0, log_mel.shape[1], dtype=np.float32)[:, None]
    band = np.linspace(0.0, 1.0, log_mel.shape[2], dtype=np.float32)
    masked = False
    for position, longest in ((time, 0.3), (band, 0.4)):
        start = keras.random.uniform(each, -0.5 * longest, 1.0, seed=seed)
        length = keras.random.uniform(each, 0.0, longest, seed=seed)
        masked |= (position >= start) & (position < start + length)
    return ops.where(masked, ops.mean(augmented, axis=(1, 2), keepdims=True), augmented)


def cross_entropy(labels, logits):
    """Mean cross-entropy of logits `(batch, num_genres)`, in nats."""
    each = keras.losses.categorical_crossentropy(labels, logits, from_logits=True)
    return ops.mean(each)


def frozen_call(network, inputs):
    """Calls a network, in inference mode, whose weights get no gradients; its inputs do."""
    trainable = [ops.stop_gradient(value) for value in network.trainable_variables]
    others = network.non_trainable_variables
    return network.stateless_call(trainable, others, inputs, training=False)[0]


class AblatedCVAE(ConditionalVAE):
    """A `ConditionalVAE` with mechanisms that left the library.

    The *classifier* is trained beside the model on real and rebuilt clips. Half of the latents are decoded with another
    label, and the model is trained until the classifier hears that genre. Source: the domain loss of StarGAN, Choi et
    al. (2018), arXiv:1711.09020. What it hears is augmented.

    The *adversarial classifier* is a second one, which also learns the source genre of swapped clips, with
    `SOURCE_WEIGHT`; the model is trained against it. The swap loss is the mean of both classifiers. Source: the minimax
    of Fader networks, Lample et al. (2017), arXiv:1706.00409, here on the output.
    """

    def __init__(
        self,
        *args,
        classifier=False,
        adversary=False,
        augmentation=True,
        discrepancy_weight=0.0,
        **kwargs,
    ):
        super().__init__(*args, **kwargs)
        self.augmentation = augmentation
        self.discrepancy_weight = discrepancy_weight
        shape = self.audio_config.shape
        self.classifier = self.adversary = None
        if classifier:
            self.classifier = build_classifier(shape, self.num_genres)
        if adversary:
            self.adversary = build_classifier(shape, self.num_genres)
            self.adversary.name = "adversarial_classifier"

    def elbo_losses(self, log_mel, genre_weights, training):
        losses, latent, rebuilt = super().elbo_losses(log_mel, genre_weights, training)
        if self.discrepancy_weight:
            found = self.discrepancy(latent, genre_weights, training)
            losses["loss"] += self.discrepancy_weight * found
        return losses, latent, rebuilt

    def discrepancy(self, latent, genre_weights, training):
        """Discrepancy of the global latents and of those of single beats, each with the same beat."""
        seed = self.seed_generator if training else self.validation_seed_generator
        whole = latent[None, :, : self.global_dim]
        local = latent[:, self.global_dim :]
        local = ops.reshape(local, (-1, self.num_slots, self.local_dim))
        total = 0.0
        for part in (whole, ops.transpose(local, (1, 0, 2))):
            shape = (part.shape[0], 128, part.shape[-1])
            noise = keras.random.normal(shape, seed=seed)
            total += genre_discrepancy(part, genre_weights, noise)
        return total

    def compute_losses(self, log_mel, genre=None, training=False):
        weights = self.genre_weights(genre)
        losses, latent, rebuilt = self.elbo_losses(log_mel, weights, training)
        if self.classifier:
            losses["loss"] += self.swap_loss(
                log_mel, rebuilt, latent, weights, training
            )
        return losses, rebuilt

    def swap_loss(self, log_mel, rebuilt, latent, genre_weights, training):
        """Loss of the classifiers, and `SWAP_WEIGHT` times theirs on swapped clips, in nats."""
        seed = self.seed_generator if training else self.validation_seed_generator
        steps = keras.random.randint((), 1, self.num_genres, seed=seed)
        sources = genre_weights[::2]
        targets = ops.roll(sources, steps, axis=1)
        swapped = self.decode_latent(latent[::2], targets, training)
        inputs = ops.concatenate([log_mel, ops.stop_gradient(rebuilt)])
        if self.augmentation:
            swapped = augment_for_classifier(swapped, seed)
            inputs = augment_for_classifier(inputs, seed)
        labels = ops.tile(genre_weights, (2, 1))
        loss = cross_entropy(labels, self.classifier(inputs, training=training))
        swap_loss = cross_entropy(targets, frozen_call(self.classifier, swapped))
        if self.adversary:
            both = ops.concatenate([inputs, ops.stop_gradient(swapped)])
            logits = self.adversary(both, training=training)
            count = ops.shape(labels)[0]
            loss += cross_entropy(labels, logits[:count])
            loss += SOURCE_WEIGHT * cross_entropy(sources, logits[count:])
            swap_loss += cross_entropy(targets, frozen_call(self.adversary, swapped))
            swap_loss *= 0.5
        return loss + SWAP_WEIGHT * swap_loss

    def get_config(self):
        return {
            **super().get_config(),
            "classifier": self.classifier is not None,
            "adversary": self.adversary is not None,
            "augmentation": self.augmentation,
            "discrepancy_weight": self.discrepancy_weight,
        }

    def as_library_model(self):
        """The same weights in a `ConditionalVAE`; the class of this file is no part of the library."""
        model = ConditionalVAE.from_config(super().get_config())
        for part in ("encoder", "decoder", "latent_density", "mean_shift"):
            getattr(model, part).set_weights(getattr(self, part).get_weights())
        return model


def new_model(variant, size, features, seed):
    """An untrained model of a variant."""
    settings = dict(VARIANTS[variant])
    film = settings.pop("film", True)
    label = settings.pop("label", True)
    keras.utils.set_random_seed(seed)
    model = AblatedCVAE(
        features.config, features.genres, seed=seed, **settings, **SIZES[size][0]
    )
    for layer in model.decoder.layers:
        if layer.name.endswith(
            "_film"
        ):  # begins at zero, which is a decoder without it
            layer.trainable = film
    if not label:
        embedding = model.decoder.get_layer("genre_embedding")
        embedding.set_weights([np.zeros(embedding.kernel.shape)])
        embedding.trainable = False
    return model


class StepTimes(keras.callbacks.Callback):
    """Seconds of each step."""

    def __init__(self):
        super().__init__()
        self.seconds = []

    def on_train_batch_begin(self, batch, logs=None):
        self.started = time.perf_counter()

    def on_train_batch_end(self, batch, logs=None):
        self.seconds.append(time.perf_counter() - self.started)


def trained_model(variant, size, features, seed, music):
    """`(model, row)`: the model of a variant and what its training showed."""
    path = (
        tagger.CACHE.parent
        / "ablations"
        / f"{music}-{size}-{variant.replace(' ', '_')}-{seed}.npz"
    )
    notes = path.with_suffix(".json")
    if notes.exists():
        return load_model(path, features.config), pd.read_json(
            notes, typ="series"
        ).to_dict()
    keras.backend.clear_session()
    gc.collect()
    model = new_model(variant, size, features, seed)
    times = StepTimes()
    started = time.perf_counter()
    train(model, features, SIZES[size][1], seed=seed, verbose=0, callbacks=times)
    row = {"steps": len(times.seconds), "seconds": time.perf_counter() - started}
    row["step_ms"] = 1000 * float(np.median(times.seconds))
    save_compact(model.as_library_model(), path)
    pd.Series(row).to_json(notes)
    return load_model(path, features.config), row


class Panel:
    """The listeners, each with a regression on real training clips.

    Args:
        features: `FeatureSet`.
        num_per_genre: Clips of each genre.
        num_training: Training clips of each genre.
        split: Where the clips are from.
    """

    def __init__(self, features, num_per_genre=24, num_training=60, split="test"):
        self.config = features.config
        self.num_genres = len(features.genres)
        self.num_per_genre = num_per_genre
        clips, genres = balanced_clips(features, "train", num_training)
        heard = self.hear(self.to_sound(clips))
        self.probes = {}
        for name, points in heard.items():
            regression = LogisticRegression(C=0.02, max_iter=2000)
            self.probes[name] = make_pipeline(StandardScaler(), regression).fit(
                points, genres
            )
        self.clips, self.genres = balanced_clips(features, split, num_per_genre)
        self.sounds = self.to_sound(self.clips)
        self.real = self.hear(self.sounds)
        self.by_beat = beat_courses(self.sounds, self.config.sample_rate)
        self.ceilings = self.shares(self.real, self.genres)

    def to_sound(self, clips):
        levels = self.config.unscale(clips)
        return [
            to_audio(level, self.config, TEMPO, seed=seed)
            for seed, level in enumerate(levels)
        ]

    def hear(self, sounds):
        """Listener -> embeddings `(num_clips, dimensions)`."""
        rate = self.config.sample_rate
        heard = {
            "descriptors": np.array(
                [sound_descriptors(sound, rate) for sound in sounds]
            )
        }
        return heard | {
            name: tagger.embed(sounds, rate, name) for name in LISTENERS[1:]
        }

    def shares(self, heard, asked):
        """Listener -> share of clips that it hears as asked, averaged over genres."""
        return {
            name: scores.balanced_share(
                self.probes[name].predict(points) == asked, asked
            )
            for name, points in heard.items()
        }

    def measure(self, model):
        """A row of measures of one model; columns end with the listener's name."""
        row = {f"real_{name}": share for name, share in self.ceilings.items()}
        mean, log_var = model.encode(self.clips)
        shifted = decode_clips(model, mean, self.genres)
        rebuilt = rebuild_clips(model, self.clips, mean, self.genres)
        real_db = self.config.unscale(self.clips)
        row["rms_db_shifted"] = scores.reconstruction_rms_db(
            real_db, self.config.unscale(shifted)
        )
        row["rms_db"] = scores.reconstruction_rms_db(
            real_db, self.config.unscale(rebuilt)
        )
        row["kl"] = scores.kl_per_dimension(mean, log_var).sum()
        row |= columns(
            "rebuilt", self.shares(self.hear(self.to_sound(rebuilt)), self.genres)
        )
        asked, sources = balanced_genres(self.num_genres, self.num_per_genre)
        targets = swap_labels(self.genres, self.num_genres)
        latents = model.sample_latents(sources, seed=0)
        shift = model.mean_shift.get_weights()
        for ending in ("", "_unshifted"):
            swapped = self.to_sound(decode_clips(model, mean, targets))
            row |= columns(f"swap{ending}", self.shares(self.hear(swapped), targets))
            energy, chroma = self.kept(swapped)
            row |= {f"kept_energy{ending}": energy, f"kept_chroma{ending}": chroma}
            fresh = decode_clips(model, latents, asked)
            heard = self.hear(self.to_sound(fresh))
            row |= columns(f"fresh{ending}", self.shares(heard, asked))
            if not ending:
                row["sharpness"] = scores.sharpness_ratio(
                    self.config.unscale(fresh), real_db
                )
                row |= self.distances(heard, asked)
            model.mean_shift.set_weights([0.0 * values for values in shift])
        model.mean_shift.set_weights(shift)
        return row

    def distances(self, heard, asked):
        """Diversity and kernel distance of new clips, in each listener's standardised embedding."""
        row = {}
        for name, points in heard.items():
            scaler = self.probes[name][0]
            made, real = scaler.transform(points), scaler.transform(self.real[name])
            row[f"diversity_{name}"] = scores.diversity_ratio(
                made, asked, real, self.genres
            )
            row[f"kernel_{name}"] = scores.kernel_distance(made, real)
        return row

    def kept(self, sounds):
        """How much of a clip a swap keeps: mean correlations of its energy and of its chroma by beat."""
        return [
            float(
                np.mean([correlation(*pair) for pair in zip(real, made, strict=True)])
            )
            for real, made in zip(
                self.by_beat, beat_courses(sounds, self.config.sample_rate), strict=True
            )
        ]


def columns(start, shares):
    return {f"{start}_{name}": share for name, share in shares.items()}


def correlation(first, second):
    first = first - first.mean()
    second = second - second.mean()
    return np.sum(first * second) / (
        np.sqrt(np.sum(first**2) * np.sum(second**2)) + 1e-12
    )


def beat_courses(sounds, sample_rate, num_beats=8):
    """`(energies, chromas)` of each beat of clips: dB, shape `(clips, 8)`; shares, shape `(clips, 8, 12)`.

    The chroma is taken from its mean over pitches, so that a correlation tells whether the same pitches sound.
    """
    energies, chromas = [], []
    for sound in sounds:
        beats = np.array_split(sound, num_beats)
        energies.append([10 * np.log10(np.mean(beat**2) + 1e-8) for beat in beats])
        chroma = librosa.feature.chroma_stft(y=sound, sr=sample_rate, tuning=0.0)
        chroma = np.array(
            [part.mean(axis=1) for part in np.array_split(chroma, num_beats, axis=1)]
        )
        chromas.append(chroma - chroma.mean(axis=1, keepdims=True))
    return np.array(energies), np.array(chromas)


def cells(options):
    """Dictionaries of the rows that the options ask for, without their measures."""
    music = Path(options.data).name
    if options.models:
        return [
            {"music": music, "size": "given", "variant": Path(file).stem, "seed": 0}
            for file in options.models
        ]
    return [
        {"music": music, "size": options.size, "variant": variant, "seed": seed}
        for seed in options.seeds
        for variant in options.variants
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add = parser.add_argument
    add("--data", default="known", help="known, or a folder of genres")
    add("--size", default="small", choices=SIZES)
    add("--variants", nargs="+", default=list(VARIANTS), choices=VARIANTS)
    add("--seeds", nargs="+", type=int, default=[0, 1, 2])
    add("--models", nargs="+", help="files of trained models, in place of variants")
    add("--only-train", action="store_true", help="measure later")
    options = parser.parse_args()
    collection = open_collection(options.data)
    features = build_features(collection, AudioConfig(), cache_folder())
    panel = None
    for number, cell in enumerate(cells(options)):
        table = (
            pd.read_csv(RESULTS)
            if RESULTS.exists()
            else pd.DataFrame(columns=list(cell))
        )
        if (table[list(cell)] == pd.Series(cell)).all(axis=1).any():
            continue
        if options.models:
            model, row = load_model(options.models[number], features.config), {}
            model.guidance = 0.0  # as in all rows; guidance.py measures what it adds
        else:
            model, row = trained_model(
                cell["variant"], cell["size"], features, cell["seed"], cell["music"]
            )
        if options.only_train:
            continue
        panel = panel or Panel(features)
        row = cell | row | panel.measure(model)
        table = pd.concat([table, pd.DataFrame([row])], ignore_index=True)
        table.round(4).to_csv(RESULTS, index=False)
        print(pd.Series(row).to_string(), flush=True)


if __name__ == "__main__":
    main()
