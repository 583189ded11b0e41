"""The original recipe, whose posterior collapsed, with exchangeable parts."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from cvae_music.models.autoencoders import VAE
from cvae_music.models.losses import DiagonalGaussian, optimal_variance_nll
from cvae_music.models.schedules import Constant


@dataclasses.dataclass
class OriginalRamp(Constant):
    """Ramps the KL weight as the original recipe did.

    The weight is min(0.1 * exp(0.25 * (epoch - 11)), `weight`). Its 30 epochs are
    spread over `num_steps`.

    Args:
        weight: Largest weight.
        num_steps: Steps of the training.

    Example:
        >>> float(OriginalRamp(num_steps=300).next_weight(299, 0.0, 0.0))
        2.0
    """

    weight: float = 2.0
    num_steps: int = 300

    def next_weight(self, step, last_weight, kl):
        """Computes the weight of a step; the last weight and the KL are not used."""
        epoch = ops.floor(ops.cast(step, "float32") * 30 / self.num_steps)
        return ops.minimum(0.1 * ops.exp(0.25 * (epoch - 11.0)), self.weight)


def _stage(x, width, dropout, name):
    """Adds what follows every convolution: batch norm, ReLU, dropout."""
    x = layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)
    x = layers.Activation("relu", name=f"{name}_relu")(x)
    if dropout:
        x = layers.Dropout(dropout, name=f"{name}_dropout")(x)
    return x


def build_original_networks(
    shape: tuple[int, int],
    latent_dim: int,
    num_genres: int = 0,
    width: int = 96,
    dropout: float = 0.2,
    every_stage: bool = False,
) -> tuple[keras.Model, keras.Model]:
    """Builds the original's networks, scaled down.

    The label enters as maps at the input and by one concatenation at the latent. Time
    is the axis and frequency the channels, as in all networks of this series. Batch
    norm and dropout follow every convolution.

    Args:
        shape: `(num_frames, channels)`; frames a multiple of 16.
        latent_dim: Latent dimensions.
        num_genres: 0 for networks without a label.
        width: Channels inside.
        dropout: Share of channels left out in training.
        every_stage: Whether the latent enters every stage of the decoder, not only the
            first.

    Returns:
        `(encoder, decoder)`. The encoder maps clips `(batch, *shape)` to
        `(batch, 2 * latent_dim)`, the decoder latents `(batch, latent_dim)` to clips.
        Where there is a label, each takes a list with one-hot rows
        `(batch, num_genres)` last.

    Example:
        >>> encoder, decoder = build_original_networks((32, 6), latent_dim=4, width=8)
        >>> encoder.output_shape, decoder.output_shape
        ((None, 8), (None, 32, 6))
    """
    frames, channels = shape
    encoder_inputs = [keras.Input(shape)]
    decoder_inputs = [keras.Input((latent_dim,))]
    if num_genres:
        encoder_inputs.append(keras.Input((num_genres,)))
        decoder_inputs.append(keras.Input((num_genres,)))

    x = encoder_inputs[0]
    if num_genres:
        maps = layers.RepeatVector(frames)(encoder_inputs[1])
        x = layers.Concatenate()([x, maps])
    for number, stride in enumerate((4, 2, 2)):
        x = layers.Conv1D(width, 4, strides=stride, padding="same", use_bias=False)(x)
        x = _stage(x, width, dropout, f"down_{number}")
    posterior = layers.Dense(2 * latent_dim)(layers.Flatten()(x))

    latent = decoder_inputs[0]
    x = layers.Concatenate()(decoder_inputs) if num_genres else latent
    x = layers.Dense(frames // 16 * width, activation="relu")(x)
    x = layers.Reshape((frames // 16, width))(x)
    for number in range(2):
        x = layers.Dense(2 * width)(x)
        x = layers.Reshape((x.shape[1] * 2, width))(x)
        if every_stage:
            x = x + layers.Reshape((1, width))(layers.Dense(width)(latent))
        x = layers.Conv1D(width, 3, padding="same", use_bias=False)(x)
        x = _stage(x, width, dropout, f"up_{number}")
    if every_stage:
        x = layers.Concatenate()([x, layers.RepeatVector(x.shape[1])(latent)])
    clips = layers.Reshape(shape)(layers.Dense(4 * channels)(x))
    if not num_genres:
        encoder = keras.Model(encoder_inputs[0], posterior)
        return encoder, keras.Model(latent, clips)
    return keras.Model(encoder_inputs, posterior), keras.Model(decoder_inputs, clips)


class OriginalVAE(VAE):
    """A VAE after the original recipe.

    Its networks and its likelihood differ from those of `VAE`, and the label enters
    once at each end.

    Args:
        audio_config: As for `VAE`; its `shape` is that of a clip,
            `AudioConfig(n_mels=256)` for those of `stft_clips`.
        kl: As for `VAE`; the original's is an `OriginalRamp`.
        genres: Names of the genres in order; empty for no label.
        global_dim: Latent dimensions.
        width: Channels of the networks.
        dropout: Share of channels left out in training.
        **kwargs: As for `VAE`.

    Example:
        >>> from cvae_music.config import AudioConfig
        >>> model = OriginalVAE(AudioConfig(n_mels=6), global_dim=4, width=8)
        >>> model.encode(np.zeros((1, 128, 6))).mean.shape
        (1, 4)
    """

    metric_names = ("loss", "squares", "kl", "kl_weight")

    def __init__(
        self,
        audio_config=None,
        kl=2.0,
        genres=(),
        global_dim=64,
        width=96,
        dropout=0.2,
        **kwargs,
    ):
        self.dropout = dropout
        kwargs |= {"global_dim": global_dim, "local_dim": 0, "width": width}
        super().__init__(audio_config, kl, genres=genres, **kwargs)

    def build_networks(self, shape, global_dim, local_dim, width, depth):
        """Builds encoder and decoder; the other sizes are not used."""
        return build_original_networks(
            shape, global_dim, self.num_genres, width, self.dropout
        )

    def with_label(self, x: Any, genre: Any) -> Any:
        """Joins a network's input and the label, if the model has one.

        Args:
            x: Clips `(batch, *shape)` or latents `(batch, latent_dim)`.
            genre: Genre indices `(batch,)` or weights `(batch, num_genres)`.

        Returns:
            `[x, genre weights]` where there is a label, else `x`.
        """
        if not self.num_genres:
            return x
        if len(genre.shape) == 1:
            genre = ops.one_hot(ops.cast(genre, "int32"), self.num_genres)
        return [x, genre]

    def decode_latent(self, latent, genre=None, training=False):
        """Decodes latents in a graph; arguments as for `VAE`."""
        return self.decoder(self.with_label(latent, genre), training=training)

    def reconstruction_losses(self, log_mel, rebuilt):
        """Sums the squared errors of a clip, averaged over the batch; not in nats.

        Args:
            log_mel: What `with_label` returned for clips `(batch, *shape)`.
            rebuilt: Reconstructions `(batch, *shape)`.

        Returns:
            Dictionary of scalars: `loss` and `squares`, in squared scaled units.
        """
        clips = log_mel[0] if self.num_genres else log_mel
        squares = ops.sum(ops.mean(ops.square(clips - rebuilt), axis=0))
        return {"loss": squares, "squares": squares}

    def compute_losses(self, log_mel, genre=None, training=False):
        """Computes every term of the loss; arguments and result as for `VAE`."""
        inputs = self.with_label(log_mel, genre)
        losses, _, rebuilt = self.elbo_losses(inputs, genre, training)
        return losses, rebuilt

    def encode(self, log_mel, genre=None, batch_size=64):
        """Encodes NumPy clips in batches.

        Args:
            log_mel: Shape `(clips, *shape)`.
            genre: For a model with a label: indices `(clips,)`.
            batch_size: Clips at a time.

        Returns:
            `DiagonalGaussian` of NumPy arrays, each `(clips, latent_dim)`.
        """
        clips = np.asarray(log_mel, np.float32)
        weights = self._genre_rows(genre, len(clips))
        means = []
        log_vars = []
        for start in range(0, len(clips), batch_size):
            rows = slice(start, start + batch_size)
            inputs = self.with_label(clips[rows], weights[rows])
            mean, log_var = self._encode_graph(inputs)
            means.append(np.asarray(mean))
            log_vars.append(np.asarray(log_var))
        return DiagonalGaussian(np.concatenate(means), np.concatenate(log_vars))

    def get_config(self):
        """Returns the arguments of `__init__`, ready for `from_config`."""
        return {**super().get_config(), "dropout": self.dropout}


class LinearAblation(OriginalVAE):
    """The original recipe with a linear encoder, a linear decoder, or both.

    It tells whether the theory of linear VAEs fails or the networks depart from it.

    Args:
        audio_config: As for `OriginalVAE`.
        linear: Which networks are linear, of `"encoder"` and `"decoder"`; for a model
            without a label.
        **kwargs: As for `OriginalVAE`.

    Example:
        >>> from cvae_music.config import AudioConfig
        >>> model = LinearAblation(AudioConfig(n_mels=6), linear=["decoder"], width=8)
        >>> len(model.decoder.weights)
        2
    """

    def __init__(self, audio_config=None, linear=("encoder", "decoder"), **kwargs):
        self.linear = tuple(linear)
        super().__init__(audio_config, **kwargs)

    def build_networks(self, shape, global_dim, local_dim, width, depth):
        """Builds encoder and decoder, with one dense layer where linear."""
        sizes = (shape, global_dim, local_dim, width, depth)
        encoder, decoder = super().build_networks(*sizes)
        clip = keras.Input(shape)
        latent = keras.Input((global_dim,))
        if "encoder" in self.linear:
            posterior = layers.Dense(2 * global_dim)(layers.Flatten()(clip))
            encoder = keras.Model(clip, posterior)
        if "decoder" in self.linear:
            cells = layers.Dense(shape[0] * shape[1])(latent)
            decoder = keras.Model(latent, layers.Reshape(shape)(cells))
        return encoder, decoder

    def get_config(self):
        """Returns the arguments of `__init__`, ready for `from_config`."""
        return {**super().get_config(), "linear": self.linear}


class RepairedVAE(OriginalVAE):
    """The original recipe with remedies against collapse from the literature.

    Each argument is one remedy. The defaults are the recipe itself.

    Args:
        audio_config: As for `OriginalVAE`.
        likelihood: `"squares"`, the sum of squared errors as it stands, or `"optimal"`,
            a Gaussian with its best variance (sigma-VAE); the loss is then in nats.
        mean_norm: Above 0, the posterior means are batch-normalised to this standard
            deviation (BN-VAE, Zhu et al., 2020, arXiv:2004.12585).
        encoder_turns: Steps for the encoder alone before each step for both (after He
            et al., 2019, arXiv:1901.05534).
        encoder_steps: How many steps of the training, counted from the first, have such
            turns.
        every_stage: Whether the latent enters every stage of the decoder.
        **kwargs: As for `OriginalVAE`.

    Raises:
        ValueError: If the likelihood is unknown.

    Example:
        >>> from cvae_music.config import AudioConfig
        >>> config = AudioConfig(n_mels=6)
        >>> RepairedVAE(config, likelihood="optimal", kl=1.0, width=8).likelihood
        'optimal'
    """

    def __init__(
        self,
        audio_config=None,
        likelihood="squares",
        mean_norm=0.0,
        encoder_turns=0,
        encoder_steps=0,
        every_stage=False,
        **kwargs,
    ):
        if likelihood not in ("squares", "optimal"):
            raise ValueError(
                f"RepairedVAE got likelihood={likelihood!r}; expected 'squares' or "
                "'optimal'."
            )
        self.likelihood = likelihood
        self.mean_norm = mean_norm
        self.every_stage = every_stage
        self.encoder_turns = encoder_turns
        self.encoder_steps = encoder_steps
        super().__init__(audio_config, **kwargs)
        # Neither scale nor centre is learned: the network cannot undo the
        # normalisation.
        self.normalise = layers.BatchNormalization(
            momentum=0.9, epsilon=1e-6, scale=False, center=False
        )
        self.normalise.build((None, self.latent_dim))

    def build_networks(self, shape, global_dim, local_dim, width, depth):
        """Builds encoder and decoder; the other sizes are not used."""
        return build_original_networks(
            shape, global_dim, self.num_genres, width, self.dropout, self.every_stage
        )

    def encode_posterior(self, log_mel, training=False):
        """Encodes clips; normalises the means where `mean_norm` is above 0."""
        posterior = super().encode_posterior(log_mel, training)
        if not self.mean_norm:
            return posterior
        mean = self.mean_norm * self.normalise(posterior.mean, training=training)
        return DiagonalGaussian(mean, posterior.log_var)

    def reconstruction_losses(self, log_mel, rebuilt):
        """Computes the loss of the likelihood; arguments as for `OriginalVAE`."""
        losses = super().reconstruction_losses(log_mel, rebuilt)
        if self.likelihood == "optimal":
            cells = int(np.prod(self.audio_config.shape))
            squares = losses["squares"]
            losses["loss"] = optimal_variance_nll(squares / cells, cells)
        return losses

    def train_step(self, data):
        """Trains the encoder alone or both networks, in turns."""
        if not self.encoder_turns:
            return super().train_step(data)
        step = ops.cast(self.optimizer.iterations, "int32")
        turn = step % (self.encoder_turns + 1)
        alone = (step < self.encoder_steps) & (turn < self.encoder_turns)
        both_step = super().train_step
        return tf.cond(alone, lambda: self.encoder_step(data), lambda: both_step(data))

    def encoder_step(self, data):
        """Trains the encoder alone for one step; returns the metrics so far.

        Gradients of zero for the decoder would not do: Adam moves weights by its memory
        of earlier gradients.
        """
        log_mel, genre = self.unpack(data)
        with tf.GradientTape() as tape:
            losses, rebuilt = self.compute_losses(log_mel, genre, training=True)
        variables = self.encoder.trainable_variables
        self.optimizer.apply(tape.gradient(losses["loss"], variables), variables)
        return self.update_metrics(losses, log_mel, rebuilt)

    def get_config(self):
        """Returns the arguments of `__init__`, ready for `from_config`."""
        return {
            **super().get_config(),
            "likelihood": self.likelihood,
            "mean_norm": self.mean_norm,
            "encoder_turns": self.encoder_turns,
            "encoder_steps": self.encoder_steps,
            "every_stage": self.every_stage,
        }


def fit_original_vae(
    model: OriginalVAE,
    clips: np.ndarray,
    genre: Sequence[int] | np.ndarray,
    num_steps: int,
    seed: int = 0,
    learning_rate: float = 1e-3,
) -> keras.callbacks.History:
    """Trains an `OriginalVAE` for a number of steps, in an order fixed by the seed.

    Args:
        model: `OriginalVAE`.
        clips: Float array, shape `(clips, *shape)`.
        genre: Genre indices, shape `(clips,)`.
        num_steps: Steps of 32 clips.
        seed: Seed of the order.
        learning_rate: Learning rate at the start; a cosine lowers it to a fiftieth.

    Returns:
        The Keras `History`, with one entry for each tenth of the training.

    Example:
        >>> model = OriginalVAE(global_dim=4, width=8)  # doctest: +SKIP
        >>> fit_original_vae(model, clips, genre, num_steps=300)  # doctest: +SKIP
    """
    rate = keras.optimizers.schedules.CosineDecay(learning_rate, num_steps, alpha=0.02)
    optimizer = keras.optimizers.Adam(rate, global_clipnorm=5.0)
    optimizer.build(model.trainable_variables)
    model.compile(optimizer=optimizer)
    stored = tf.constant(np.asarray(clips, np.float16))
    genres = tf.constant(np.asarray(genre, np.int32))

    @tf.autograph.experimental.do_not_convert
    def read(rows):
        return tf.cast(tf.gather(stored, rows), tf.float32), tf.gather(genres, rows)

    data = tf.data.Dataset.range(len(clips)).shuffle(len(clips), seed=seed)
    data = data.repeat().batch(32).map(read).prefetch(2)
    epochs = 10 if num_steps % 10 == 0 else 1
    steps = num_steps // epochs
    return model.fit(
        data, steps_per_epoch=steps, epochs=epochs, verbose=0, shuffle=False
    )
