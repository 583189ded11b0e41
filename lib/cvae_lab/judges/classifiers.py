"""Two judges that classify the genre of a clip: a CNN and a logistic regression.

Generated clips are blurred. A judge that was trained on clean clips only takes blur for
a genre, so both train on degraded copies too: blurred, noisy, louder, softer, moved.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from cvae_lab.judges.augmentation import Degrader
from cvae_lab.judges.descriptors import clip_descriptors
from cvae_music.config import AudioConfig
from cvae_music.serialization import load_arrays, save_arrays

MIX = 0.3  # both parameters of the beta distribution of mixed pairs
# C of the logistic regressions to choose from: the inverse strength of regularisation.
STRENGTHS = (0.001, 0.003, 0.01, 0.03, 0.1)


def _balanced_batches(clips, genres, degrade, num_genres, num_steps, batch_size, seed):
    """Makes a data set of batches with every genre equally often.

    Three in four clips are degraded, all are masked and mixed in pairs. Every draw is a
    TensorFlow operation with a seed of its own: a Python generator here would slow all
    later training in the process.
    """
    order = np.argsort(genres, kind="stable")
    _, first, count = np.unique(genres[order], return_index=True, return_counts=True)
    stored = tf.constant(clips.astype(np.float16))
    targets = tf.one_hot(genres, num_genres)
    axes = [np.arange(size, dtype=np.float32) / size for size in clips.shape[1:]]
    positions = (axes[0][:, None], axes[1][None, :])
    num_clean = batch_size // 4

    def draw(step):
        def key(number):
            return tf.stack([tf.constant(16 * seed + number, tf.int64), step])

        genre = tf.range(batch_size) % len(first)
        genre = tf.random.experimental.stateless_shuffle(genre, key(0))
        share = tf.random.stateless_uniform([batch_size], key(1), dtype=tf.float64)
        offset = tf.cast(share * tf.gather(count.astype(float), genre), tf.int64)
        rows = tf.gather(order, tf.gather(first, genre) + offset)
        x = tf.cast(tf.gather(stored, rows), tf.float32)
        y = tf.gather(targets, rows)
        x = tf.concat([x[:num_clean], degrade(x[num_clean:], key(2))], axis=0)
        average = tf.reduce_mean(x, axis=(1, 2), keepdims=True)
        for axis, longest in enumerate((0.2, 0.12)):
            both = tf.random.stateless_uniform([2, batch_size, 1, 1], key(3 + axis))
            start, length = tf.unstack(both)
            position = positions[axis]
            masked = (position >= start) & (position < start + longest * length)
            x = tf.where(masked, average, x)
        # The share of one of two gamma variables has a beta distribution.
        pair = tf.random.stateless_gamma([2, batch_size, 1], key(5), MIX) + 1e-30
        share = pair[0] / (pair[0] + pair[1])
        x = share[:, :, None] * x + (1.0 - share[:, :, None]) * x[::-1]
        return x, share * y + (1.0 - share) * y[::-1]

    return tf.data.Dataset.range(num_steps).map(draw).prefetch(2)


def build_judge_network(
    shape: tuple[int, int], num_genres: int, seed: int = 0
) -> keras.Model:
    """Builds a strided CNN from scaled log-mel to genre logits.

    The level of the clip is taken out first.

    Args:
        shape: `(num_frames, n_mels)`.
        num_genres: Number of genres.
        seed: Seed of the weights.

    Returns:
        A `keras.Model` from `(batch, num_frames, n_mels)` to `(batch, num_genres)`. Its
        layer `embedding` has 192 outputs.
    """
    inputs = layers.Input(shape, name="log_mel")
    x = inputs - ops.mean(inputs, axis=(1, 2), keepdims=True)
    # Cells in squares of four become channels, which saves the layer at full
    # resolution.
    frames = shape[0] // 2
    mels = shape[1] // 2
    x = ops.reshape(x[:, : 2 * frames, : 2 * mels], (-1, frames, 2, mels, 2))
    x = ops.transpose(x, (0, 1, 3, 2, 4))
    x = ops.reshape(x, (-1, frames, mels, 4))
    for stage, width in enumerate((24, 48, 96)):
        start = keras.initializers.HeNormal(seed=seed + stage)
        settings = {"strides": 2, "padding": "same", "use_bias": False}
        x = layers.Conv2D(width, 3, kernel_initializer=start, **settings)(x)
        x = layers.BatchNormalization(momentum=0.9)(x)
        x = layers.Activation("relu")(x)
    pooled = [layers.GlobalAveragePooling2D()(x), layers.GlobalMaxPooling2D()(x)]
    x = layers.Concatenate(name="embedding")(pooled)
    x = layers.Dropout(0.4, seed=seed)(x)
    start = keras.initializers.GlorotUniform(seed=seed + 3)
    settings = {"name": "logits", "dtype": "float32"}
    logits = layers.Dense(num_genres, kernel_initializer=start, **settings)(x)
    return keras.Model(inputs, logits)


class _Judge:
    """What both judges share: `predict`, and one `.npz` file to keep them in.

    A subclass writes `predict_proba`, `_arrays` and `_load`.
    """

    def __init__(self, config: AudioConfig, genres: Sequence[str]):
        self.config = config
        self.genres = tuple(genres)

    def predict_proba(self, clips: np.ndarray) -> np.ndarray:
        """Predicts the probability of each genre, shape `(num_clips, num_genres)`."""
        raise NotImplementedError

    def _arrays(self) -> dict[str, np.ndarray]:
        raise NotImplementedError

    def _load(self, arrays: dict[str, np.ndarray]) -> None:
        raise NotImplementedError

    def predict(self, clips: np.ndarray) -> np.ndarray:
        """Predicts genre indices.

        Args:
            clips: Scaled log-mel, shape `(num_clips, num_frames, n_mels)`.

        Returns:
            int32 array, shape `(num_clips,)`.

        Raises:
            ValueError: If the clips have another shape.
        """
        return self.predict_proba(clips).argmax(axis=1).astype(np.int32)

    def save(self, path: str | Path) -> None:
        """Writes the judge with its genres and its `AudioConfig` to an `.npz` file.

        Args:
            path: File; it appears when it is complete.
        """
        about = {
            "kind": type(self).__name__,
            "genres": list(self.genres),
            "config": self.config.get_config(),
        }
        save_arrays(path, about, self._arrays())

    def _checked(self, clips):
        clips = np.asarray(clips, np.float32)
        if clips.ndim != 3 or clips.shape[1:] != self.config.shape:
            frames, mels = self.config.shape
            raise ValueError(
                f"got clips of shape {clips.shape}; expected (num_clips, {frames}, "
                f"{mels}). Pass scaled log-mel made with the AudioConfig of the judge."
            )
        return clips


class CNNJudge(_Judge):
    """A small CNN on scaled log-mel; make one with `train_cnn_judge`.

    Args:
        config: `AudioConfig` of the clips.
        genres: Names of the genres in label order.
        network: Keras model from `build_judge_network`; a new one if left out.

    Example:
        >>> judge = CNNJudge(AudioConfig(n_mels=16), ("a", "b"))
        >>> judge.embedding(np.zeros((1, 128, 16))).shape
        (1, 192)
    """

    def __init__(
        self,
        config: AudioConfig,
        genres: Sequence[str],
        network: keras.Model | None = None,
    ):
        super().__init__(config, genres)
        self.network = network or build_judge_network(config.shape, len(self.genres))
        embedding = self.network.get_layer("embedding").output
        self._embed = keras.Model(self.network.input, embedding)

    def predict_proba(self, clips: np.ndarray) -> np.ndarray:
        """Predicts the probability of each genre, shape `(num_clips, num_genres)`."""
        clips = self._checked(clips)
        return softmax(self.network.predict(clips, batch_size=128, verbose=0), axis=1)

    def embedding(self, clips: np.ndarray) -> np.ndarray:
        """Computes the inputs of the last layer.

        Args:
            clips: Scaled log-mel, shape `(num_clips, num_frames, n_mels)`.

        Returns:
            Array of shape `(num_clips, 192)`.
        """
        clips = self._checked(clips)
        return self._embed.predict(clips, batch_size=128, verbose=0)

    def _arrays(self):
        values = self.network.get_weights()
        return {f"weight_{index}": value for index, value in enumerate(values)}

    def _load(self, arrays):
        values = [arrays[f"weight_{index}"] for index in range(len(arrays))]
        self.network.set_weights(values)


class DescriptorJudge(_Judge):
    """Logistic regression on `clip_descriptors`, see `train_descriptor_judge`.

    Args:
        config: `AudioConfig` of the clips.
        genres: Names of the genres in label order.

    Example:
        >>> DescriptorJudge(AudioConfig(), ("a", "b")).genres
        ('a', 'b')
    """

    def describe(self, clips: np.ndarray) -> np.ndarray:
        """Computes the descriptors of scaled clips, `(num_clips, num_descriptors)`."""
        clips = self._checked(clips)
        described = []
        for start in range(0, len(clips), 128):
            levels = self.config.unscale(clips[start : start + 128])
            described.append(clip_descriptors(levels, self.config))
        return np.concatenate(described)

    def predict_proba(self, clips: np.ndarray) -> np.ndarray:
        """Predicts the probability of each genre, shape `(num_clips, num_genres)`."""
        return softmax(self.embedding(clips) @ self.weights_ + self.bias_, axis=1)

    def embedding(self, clips: np.ndarray) -> np.ndarray:
        """Computes standardised descriptors, shape `(num_clips, num_descriptors)`."""
        return (self.describe(clips) - self.mean_) / self.scale_

    def _arrays(self):
        return {
            "mean": self.mean_,
            "spread": self.scale_,
            "weights": self.weights_,
            "bias": self.bias_,
        }

    def _load(self, arrays):
        self.mean_ = arrays["mean"]
        self.scale_ = arrays["spread"]
        self.weights_ = arrays["weights"]
        self.bias_ = arrays["bias"]


def load_judge(path: str | Path) -> CNNJudge | DescriptorJudge:
    """Reads a judge that `save` wrote.

    Args:
        path: `.npz` file.

    Returns:
        `CNNJudge` or `DescriptorJudge`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file holds no judge.

    Example:
        >>> from cvae_lab.notebook.weights import WEIGHTS
        >>> type(load_judge(WEIGHTS / "known_judge_cnn.npz")).__name__
        'CNNJudge'
    """
    about, arrays = load_arrays(path, "kind", "genres", "config")
    kinds = {"CNNJudge": CNNJudge, "DescriptorJudge": DescriptorJudge}
    if about["kind"] not in kinds:
        raise ValueError(
            f"{str(path)!r} holds a judge of the kind {about['kind']!r}; expected one "
            f"of {list(kinds)}."
        )
    config = AudioConfig.from_dict(about["config"])
    judge = kinds[about["kind"]](config, about["genres"])
    judge._load(arrays)
    return judge


def train_cnn_judge(
    features: Any,
    seed: int = 0,
    *,
    num_steps: int = 400,
    batch_size: int = 64,
) -> CNNJudge:
    """Trains the CNN on the training split.

    The weights with the lowest loss on the validation split are kept.

    Args:
        features: `FeatureSet`.
        seed: Seed of weights, batches and degraded copies.
        num_steps: Batches to train on.
        batch_size: Clips in a batch.

    Returns:
        `CNNJudge`.

    Raises:
        ValueError: If the training split holds fewer than two genres.
    """
    (clips, genres), held, degrader = _training_data(features, 8000, seed)
    num_genres = len(features.genres)
    steps_per_epoch = min(50, num_steps)
    epochs = max(1, num_steps // steps_per_epoch)
    num_steps = epochs * steps_per_epoch
    batches = _balanced_batches(
        clips, genres, degrader.degrade, num_genres, num_steps, batch_size, seed
    )
    network = build_judge_network(features.config.shape, num_genres, seed)
    rate = keras.optimizers.schedules.CosineDecay(
        1e-4, num_steps, warmup_target=3e-3, warmup_steps=num_steps // 10
    )
    loss = keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.05)
    network.compile(keras.optimizers.AdamW(rate, weight_decay=0.01), loss)
    held_clips = np.concatenate([held[0], degrader(held[0])])
    targets = keras.utils.to_categorical(np.tile(held[1], 2), num_genres)
    best = keras.callbacks.EarlyStopping(
        "val_loss", patience=num_steps, restore_best_weights=True
    )
    network.fit(
        batches,
        epochs=epochs,
        steps_per_epoch=steps_per_epoch,
        validation_data=(held_clips, targets),
        callbacks=[best],
        shuffle=False,
        verbose=0,
    )
    return CNNJudge(features.config, features.genres, network)


def train_descriptor_judge(features: Any, seed: int = 0) -> DescriptorJudge:
    """Fits the logistic regression; chooses its C on the validation split.

    Args:
        features: `FeatureSet`.
        seed: Seed of the two degraded copies of each training clip.

    Returns:
        `DescriptorJudge`.

    Raises:
        ValueError: If the training split holds fewer than two genres.
    """
    (clips, genres), (held, held_genres), degrader = _training_data(
        features, 3000, seed
    )
    judge = DescriptorJudge(features.config, features.genres)
    copies = [clips, degrader(clips), degrader(clips)]
    points = np.concatenate([judge.describe(some) for some in copies])
    held_points = np.concatenate([judge.describe(held), judge.describe(degrader(held))])
    judge.mean_ = points.mean(axis=0)
    judge.scale_ = points.std(axis=0) + 1e-3
    points = (points - judge.mean_) / judge.scale_
    held_points = (held_points - judge.mean_) / judge.scale_
    labels = np.tile(genres, len(copies))
    held_labels = np.tile(held_genres, 2)

    def held_loss(regression):
        shares = regression.predict_proba(held_points)
        return log_loss(held_labels, shares, labels=regression.classes_)

    regressions = []
    for strength in STRENGTHS:
        regression = LogisticRegression(
            C=strength, class_weight="balanced", max_iter=300
        )
        regressions.append(regression.fit(points, labels))
    # By log-loss: accuracy on few validation tracks jumps too much to choose by.
    best = min(regressions, key=held_loss)
    weights = best.coef_
    bias = best.intercept_
    if len(best.classes_) == 2:  # scikit-learn keeps one row for two classes
        weights = np.concatenate([-weights, weights]) / 2
        bias = np.concatenate([-bias, bias]) / 2
    num_genres = len(features.genres)
    judge.weights_ = np.zeros((points.shape[1], num_genres), np.float32)
    # A genre without a training clip is never predicted.
    judge.bias_ = np.full(num_genres, -1e9, np.float32)
    judge.weights_[:, best.classes_] = weights.T
    judge.bias_[best.classes_] = bias
    return judge


def train_judges(features: Any, seed: int = 0, num_steps: int = 400) -> dict[str, Any]:
    """Trains both judges.

    Args:
        features: `FeatureSet`.
        seed: Seed of both trainings.
        num_steps: Batches to train the network on.

    Returns:
        `{"cnn": CNNJudge, "descriptors": DescriptorJudge}`.

    Raises:
        ValueError: If the training split holds fewer than two genres.

    Example:
        >>> train_judges(features)["cnn"].predict(clips)  # doctest: +SKIP
    """
    return {
        "cnn": train_cnn_judge(features, seed, num_steps=num_steps),
        "descriptors": train_descriptor_judge(features, seed),
    }


def _training_data(features, max_clips, seed):
    """Chooses clips of training and validation, and makes a `Degrader` of the first."""
    rng = np.random.default_rng(seed)

    def draw(split, most):
        part = features.subset(split)
        rows = np.sort(rng.permutation(len(part))[:most])
        return features.config.scale(part.log_mel[rows]), part.genre_index[rows]

    clips, genres = draw("train", max_clips)
    held, held_genres = draw("validation", 500)
    if len(np.unique(genres)) < 2:
        raise ValueError(
            f"the training split holds clips of {len(np.unique(genres))} genre(s); a "
            "judge needs at least two. Add music of another genre."
        )
    known = np.isin(held_genres, genres)
    held = held[known]
    held_genres = held_genres[known]
    if not known.any():
        held = clips[:500]
        held_genres = genres[:500]
    return (clips, genres), (held, held_genres), Degrader(features.config, clips, seed)
