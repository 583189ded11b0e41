"""Two judges of different kind that name the genre of a clip: a small CNN, and a line through descriptors.

Generated clips are blurred. A judge that has heard clean clips only takes blur for a genre, so both
train on degraded copies too: blurred, noisy, louder, softer, shifted.
"""

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from sklearn.linear_model import LogisticRegression

from cvae_lab.judges.augmentation import Degrader
from cvae_lab.judges.descriptors import clip_descriptors
from cvae_music.config import AudioConfig
from cvae_music.serialization import load_arrays, save_arrays


def _balanced_batches(
    clips, genres, degrade, num_genres, num_steps, batch_size, seed, mix=0.3
):
    """Batches with every genre equally often; three in four clips degraded, all masked, mixed in pairs.

    Every draw is a TensorFlow operation with a seed of its own: a Python generator here would slow all
    later training in the process.
    """
    order = np.argsort(genres, kind="stable")
    _, first, count = np.unique(genres[order], return_index=True, return_counts=True)
    clips, targets = (
        tf.constant(clips.astype(np.float16)),
        tf.one_hot(genres, num_genres),
    )
    places = [np.arange(size, dtype=np.float32) / size for size in clips.shape[1:]]
    places = places[0][:, None], places[1][None, :]

    def draw(step):
        def key(number):
            return tf.stack([tf.constant(16 * seed + number, tf.int64), step])

        genre = tf.random.experimental.stateless_shuffle(
            tf.range(batch_size) % len(first), key(0)
        )
        share = tf.random.stateless_uniform([batch_size], key(1), dtype=tf.float64)
        rows = tf.gather(
            order,
            tf.gather(first, genre)
            + tf.cast(share * tf.gather(count.astype(float), genre), tf.int64),
        )
        x, y = tf.cast(tf.gather(clips, rows), tf.float32), tf.gather(targets, rows)
        x = tf.concat(
            [x[: batch_size // 4], degrade(x[batch_size // 4 :], key(2))], axis=0
        )
        average = tf.reduce_mean(x, axis=(1, 2), keepdims=True)
        for number, (place, longest) in enumerate(
            zip(places, (0.2, 0.12), strict=True)
        ):
            start, length = tf.unstack(
                tf.random.stateless_uniform([2, batch_size, 1, 1], key(3 + number))
            )
            x = tf.where(
                (place >= start) & (place < start + longest * length), average, x
            )
        pair = (
            tf.random.stateless_gamma([2, batch_size, 1], key(5), mix) + 1e-30
        )  # their share has a beta distribution
        share = pair[0] / (pair[0] + pair[1])
        x = share[:, :, None] * x + (1.0 - share[:, :, None]) * x[::-1]
        return x, share * y + (1.0 - share) * y[::-1]

    return tf.data.Dataset.range(num_steps).map(draw).prefetch(2)


def build_judge_network(shape, num_genres, seed=0, channels=(24, 48, 96), dropout=0.4):
    """A strided CNN from scaled log-mel to genre logits; the level of the clip is taken out first."""
    inputs = layers.Input(shape, name="log_mel")
    x = inputs - keras.ops.mean(inputs, axis=(1, 2), keepdims=True)
    # Cells in squares of four become channels: the costly full-resolution layer falls away.
    frames, mels = shape[0] // 2, shape[1] // 2
    x = keras.ops.reshape(x[:, : 2 * frames, : 2 * mels], (-1, frames, 2, mels, 2))
    x = keras.ops.reshape(
        keras.ops.transpose(x, (0, 1, 3, 2, 4)), (-1, frames, mels, 4)
    )
    for stage, width in enumerate(channels):
        start = keras.initializers.HeNormal(seed=seed + stage)
        x = layers.Conv2D(
            width,
            3,
            strides=2,
            padding="same",
            use_bias=False,
            kernel_initializer=start,
        )(x)
        x = layers.Activation("relu")(layers.BatchNormalization(momentum=0.9)(x))
    x = layers.Concatenate(name="embedding")(
        [layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling2D()(x)]
    )
    x = layers.Dropout(dropout, seed=seed)(x)
    start = keras.initializers.GlorotUniform(seed=seed + len(channels))
    return keras.Model(
        inputs,
        layers.Dense(
            num_genres, kernel_initializer=start, name="logits", dtype="float32"
        )(x),
    )


class _Judge:
    """What both judges share: `predict`, the check of shapes, one `.npz` file to keep them in."""

    def predict(self, clips):
        """Genre numbers, int32 of shape `(num_clips,)`, for scaled log-mel clips."""
        return self.probabilities(clips).argmax(axis=1).astype(np.int32)

    def save(self, path):
        """Writes the judge with its genres and its `AudioConfig` to one `.npz` file, which appears when it is complete."""
        about = {
            "kind": type(self).__name__,
            "genres": list(self.genres),
            "config": self.config.get_config(),
        }
        save_arrays(path, about, self._arrays())


class CNNJudge(_Judge):
    """A small CNN on scaled log-mel; make one with `train_cnn_judge`.

    Args:
        config: `AudioConfig` of the clips.
        genres: Names of the genres in label order.
        network: Keras model from `build_judge_network`; made new when left out.
    """

    def __init__(self, config, genres, network=None):
        self.config, self.genres = config, tuple(genres)
        self.network = network or build_judge_network(config.shape, len(self.genres))
        self._embed = keras.Model(
            self.network.input, self.network.get_layer("embedding").output
        )

    def probabilities(self, clips):
        """Probability of each genre, shape `(num_clips, num_genres)`."""
        return _softmax(
            self.network.predict(
                _checked(clips, self.config), batch_size=128, verbose=0
            )
        )

    def embedding(self, clips):
        """What the last layer sees, shape `(num_clips, 128)`."""
        return self._embed.predict(
            _checked(clips, self.config), batch_size=128, verbose=0
        )

    def _arrays(self):
        return {
            f"weight_{index}": value
            for index, value in enumerate(self.network.get_weights())
        }

    def _load(self, arrays):
        self.network.set_weights(
            [arrays[f"weight_{index}"] for index in range(len(self.network.weights))]
        )


class DescriptorJudge(_Judge):
    """Logistic regression on `clip_descriptors`; make one with `train_descriptor_judge`."""

    def __init__(self, config, genres, arrays=None):
        self.config, self.genres = config, tuple(genres)
        if arrays is not None:
            self._load(arrays)

    def probabilities(self, clips):
        """Probability of each genre, shape `(num_clips, num_genres)`."""
        return _softmax(self.embedding(clips) @ self.weights + self.bias)

    def embedding(self, clips):
        """Standardised descriptors, shape `(num_clips, num_descriptors)`."""
        clips = _checked(clips, self.config)
        parts = [clips[start : start + 128] for start in range(0, len(clips), 128)]
        described = np.concatenate(
            [clip_descriptors(self.config.unscale(part), self.config) for part in parts]
        )
        return (described - self.mean) / self.spread

    def _arrays(self):
        return {
            "mean": self.mean,
            "spread": self.spread,
            "weights": self.weights,
            "bias": self.bias,
        }

    def _load(self, arrays):
        self.mean, self.spread = arrays["mean"], arrays["spread"]
        self.weights, self.bias = arrays["weights"], arrays["bias"]


def load_judge(path):
    """Reads a judge that `save` wrote."""
    about, arrays = load_arrays(path, "kind", "genres", "config")
    kinds = {kind.__name__: kind for kind in (CNNJudge, DescriptorJudge)}
    judge = kinds[about["kind"]](
        AudioConfig.from_dict(about["config"]), about["genres"]
    )
    judge._load(arrays)
    return judge


def train_cnn_judge(features, seed=0, *, num_steps=400, batch_size=64, verbose=0):
    """Trains the CNN on the training split and keeps the weights that do best on the validation split.

    Args:
        features: `FeatureSet`.
        seed: Seed of weights, batches and degraded copies.
        num_steps: Batches to train on.
        batch_size: Clips in a batch.
        verbose: As in `keras.Model.fit`.

    Returns:
        `CNNJudge`.

    Raises:
        ValueError: If the training split holds fewer than two genres.
    """
    (clips, genres), (held, held_genres), degrade = _training_data(features, 8000, seed)
    num_genres, steps_per_epoch = len(features.genres), min(50, num_steps)
    epochs = max(1, num_steps // steps_per_epoch)
    num_steps = epochs * steps_per_epoch
    batches = _balanced_batches(
        clips, genres, degrade.degrade, num_genres, num_steps, batch_size, seed
    )
    network = build_judge_network(features.config.shape, num_genres, seed)
    rate = keras.optimizers.schedules.CosineDecay(
        1e-4, num_steps, warmup_target=3e-3, warmup_steps=num_steps // 10
    )
    network.compile(
        keras.optimizers.AdamW(rate, weight_decay=0.01),
        keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.05),
    )
    held = np.concatenate([held, degrade(held)])
    targets = np.eye(num_genres, dtype=np.float32)[np.tile(held_genres, 2)]
    best = keras.callbacks.EarlyStopping(
        "val_loss", patience=num_steps, restore_best_weights=True
    )
    network.fit(
        batches,
        epochs=epochs,
        steps_per_epoch=steps_per_epoch,
        validation_data=(held, targets),
        callbacks=[best],
        shuffle=False,
        verbose=verbose,
    )
    return CNNJudge(features.config, features.genres, network)


def train_descriptor_judge(
    features, seed=0, *, num_copies=2, strengths=(0.001, 0.003, 0.01, 0.03, 0.1)
):
    """Fits the logistic regression; how freely (C) is chosen on the validation split.

    Args:
        features: `FeatureSet`.
        seed: Seed of the degraded copies.
        num_copies: Degraded copies of each training clip.
        strengths: Values of C to choose from.

    Returns:
        `DescriptorJudge`.

    Raises:
        ValueError: If the training split holds fewer than two genres.
    """
    (clips, genres), (held, held_genres), degrade = _training_data(features, 3000, seed)
    judge = DescriptorJudge(
        features.config,
        features.genres,
        {"mean": 0.0, "spread": 1.0, "weights": 0.0, "bias": 0.0},
    )

    points = np.concatenate(
        [judge.embedding(clips)]
        + [judge.embedding(degrade(clips)) for _ in range(num_copies)]
    )
    held = np.concatenate([judge.embedding(held), judge.embedding(degrade(held))])
    judge.mean, judge.spread = points.mean(axis=0), points.std(axis=0) + 1e-3
    points, held = (
        (points - judge.mean) / judge.spread,
        (held - judge.mean) / judge.spread,
    )
    labels, held_labels = np.tile(genres, num_copies + 1), np.tile(held_genres, 2)
    models = [
        LogisticRegression(C=strength, class_weight="balanced", max_iter=300)
        for strength in strengths
    ]
    # By log-loss: accuracy on few validation tracks jumps too much to choose by.
    columns = np.searchsorted(np.unique(labels), held_labels)
    best = min(
        (model.fit(points, labels) for model in models),
        key=lambda model: (
            -np.mean(model.predict_log_proba(held)[np.arange(len(columns)), columns])
        ),
    )
    weights, bias = best.coef_, best.intercept_
    if len(best.classes_) == 2:  # scikit-learn keeps one line for two classes
        weights, bias = (
            np.concatenate([-weights, weights]) / 2,
            np.concatenate([-bias, bias]) / 2,
        )
    judge.weights = np.zeros((points.shape[1], len(features.genres)), np.float32)
    judge.bias = np.full(
        len(features.genres), -1e9, np.float32
    )  # a genre without a training clip is never named
    judge.weights[:, best.classes_], judge.bias[best.classes_] = weights.T, bias
    return judge


def train_judges(features, seed=0, **settings):
    """Both judges by name: `{"cnn": CNNJudge, "descriptors": DescriptorJudge}`."""
    return {
        "cnn": train_cnn_judge(features, seed, **settings),
        "descriptors": train_descriptor_judge(features, seed),
    }


def _training_data(features, max_clips, seed):
    """At most `max_clips` training clips, 500 of validation, and a `Degrader` made from the first."""
    rng, data = np.random.default_rng(seed), []
    for split, most in (("train", max_clips), ("validation", 500)):
        part = features.subset(split)
        rows = np.sort(rng.permutation(len(part))[:most])
        data.append((features.config.scale(part.log_mel[rows]), part.genre_index[rows]))
    train, held = data
    if len(np.unique(train[1])) < 2:
        raise ValueError(
            f"the training split holds clips of {len(np.unique(train[1]))} genre(s); a judge needs at least two. "
            "Add music of another genre."
        )
    known = np.isin(held[1], train[1])
    held = (
        (held[0][known], held[1][known])
        if known.any()
        else (train[0][:500], train[1][:500])
    )
    return train, held, Degrader(features.config, train[0], seed)


def _checked(clips, config):
    clips = np.asarray(clips, np.float32)
    if clips.ndim != 3 or clips.shape[1:] != config.shape:
        raise ValueError(
            f"got clips of shape {clips.shape}; expected (num_clips, {config.num_frames}, {config.n_mels}). "
            "Pass scaled log-mel made with the AudioConfig of the judge."
        )
    return clips


def _softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)
