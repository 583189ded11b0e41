"""The recipe that collapsed, in small, with every part exchangeable: to find out which part did it."""

import dataclasses

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from cvae_music.models.autoencoders import VAE
from cvae_music.models.losses import optimal_variance_nll
from cvae_music.models.schedules import Constant


@dataclasses.dataclass
class OriginalRamp(Constant):
    """The original's weight, min(0.1 * exp(0.25 * (epoch - 11)), 2), with its 30 epochs laid over `num_steps`."""

    weight: float = 2.0
    num_steps: int = 300

    def next_weight(self, step, last_weight, kl):
        epoch = ops.floor(ops.cast(step, "float32") * 30 / self.num_steps)
        return ops.minimum(0.1 * ops.exp(0.25 * (epoch - 11.0)), self.weight)


def stage(x, width, dropout, name):
    """What follows every convolution of the recipe: batch norm, ReLU, dropout."""
    x = layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)
    x = layers.Activation("relu", name=f"{name}_relu")(x)
    return layers.Dropout(dropout, name=f"{name}_dropout")(x) if dropout else x


def build_original_networks(
    shape, latent_dim, num_genres=0, width=96, dropout=0.2, every_stage=False
):
    """The original's networks in small: label maps at the input, one concatenation at the latent.

    Time is the axis and frequency the channels, as in all networks of this series; batch norm and dropout follow
    every convolution.

    Args:
        shape: `(num_frames, channels)`; frames a multiple of 16.
        latent_dim: Latent dimensions.
        num_genres: 0 for networks without a label.
        width: Channels inside.
        dropout: Share of channels left out in training.
        every_stage: Let the latent enter every stage of the decoder instead of the first alone.

    Returns:
        `(encoder, decoder)`; where there is a label, each takes a list with the genre's one-hot rows last.
    """
    frames, channels = shape
    clip, genre = keras.Input(shape), [keras.Input((num_genres,))] if num_genres else []
    maps = [layers.RepeatVector(frames)(label) for label in genre]
    x = layers.Concatenate()([clip, *maps]) if maps else clip
    for number, stride in enumerate((4, 2, 2)):
        x = layers.Conv1D(width, 4, strides=stride, padding="same", use_bias=False)(x)
        x = stage(x, width, dropout, f"down_{number}")
    encoder = keras.Model(
        [clip, *genre] if genre else clip,
        layers.Dense(2 * latent_dim)(layers.Flatten()(x)),
    )

    latent, genre = (
        keras.Input((latent_dim,)),
        [keras.Input((num_genres,))] if num_genres else [],
    )
    x = layers.Concatenate()([latent, *genre]) if genre else latent
    x = layers.Reshape((frames // 16, width))(
        layers.Dense(frames // 16 * width, activation="relu")(x)
    )
    for number in range(2):
        x = layers.Reshape((x.shape[1] * 2, width))(layers.Dense(2 * width)(x))
        if every_stage:
            x = x + layers.Reshape((1, width))(layers.Dense(width)(latent))
        x = stage(
            layers.Conv1D(width, 3, padding="same", use_bias=False)(x),
            width,
            dropout,
            f"up_{number}",
        )
    if every_stage:
        x = layers.Concatenate()([x, layers.RepeatVector(x.shape[1])(latent)])
    x = layers.Reshape(shape)(layers.Dense(4 * channels)(x))
    return encoder, keras.Model([latent, *genre] if genre else latent, x)


class OriginalVAE(VAE):
    """A VAE made by the original's recipe: other networks, another likelihood, the label once at each end.

    Args:
        audio_config: As for `VAE`; its `shape` is that of a clip, `AudioConfig(n_mels=256)` for those of `stft_clips`.
        kl: As for `VAE`; the original's is an `OriginalRamp`.
        genres: Names of the genres in order; empty for no label.
        global_dim: Latent dimensions.
        width: Channels of the networks.
        dropout: Share of channels left out in training.
        **kwargs: As for `VAE`.
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
        sizes = {"global_dim": global_dim, "local_dim": 0, "width": width}
        super().__init__(audio_config, kl, genres=genres, **sizes, **kwargs)

    def build_networks(self, shape, global_dim, local_dim, width, depth):
        return build_original_networks(
            shape, global_dim, self.num_genres, width, self.dropout
        )

    def with_label(self, x, genre):
        """What a network takes: `[x, genre weights]` where there is a label, else `x`."""
        if not self.num_genres:
            return x
        return [
            x,
            ops.one_hot(ops.cast(genre, "int32"), self.num_genres)
            if len(genre.shape) == 1
            else genre,
        ]

    def decode_latent(self, latent, genre=None, training=False):
        return self.decoder(self.with_label(latent, genre), training=training)

    def reconstruction_terms(self, inputs, rebuilt):
        """The sum of squared errors, averaged over the batch, in squared scaled units; not in nats."""
        clips = inputs[0] if self.num_genres else inputs
        squares = ops.sum(ops.mean(ops.square(clips - rebuilt), axis=0))
        return {"loss": squares, "squares": squares}

    def loss_terms(self, data, training):
        clips, genre = data
        return self.elbo_terms((self.with_label(clips, genre), genre), training)[0]

    def encode(self, clips, genre=None, batch_size=64):
        """NumPy `(mean, log_var)`, each `(clips, latent_dim)`, of clips `(clips, *shape)` and, with a label, its indices."""
        clips, weights = np.asarray(clips, np.float32), self._rows_of(genre, len(clips))
        steps = [slice(i, i + batch_size) for i in range(0, len(clips), batch_size)]
        pieces = [
            self._encode_graph(self.with_label(clips[rows], weights[rows]))
            for rows in steps
        ]
        return tuple(
            np.concatenate([np.asarray(piece[k]) for piece in pieces]) for k in range(2)
        )


class LinearAblation(OriginalVAE):
    """The recipe with linear networks in place of one half or of both: is it the theory that errs, or the network?

    Args:
        audio_config: As for `OriginalVAE`.
        linear: Which halves are linear, of `"encoder"` and `"decoder"`; for a model without a label.
        **kwargs: As for `OriginalVAE`.
    """

    def __init__(self, audio_config=None, linear=("encoder", "decoder"), **kwargs):
        self.linear = tuple(linear)
        super().__init__(audio_config, **kwargs)

    def build_networks(self, shape, global_dim, *sizes):
        encoder, decoder = super().build_networks(shape, global_dim, *sizes)
        clip, latent = keras.Input(shape), keras.Input((global_dim,))
        if "encoder" in self.linear:
            encoder = keras.Model(
                clip, layers.Dense(2 * global_dim)(layers.Flatten()(clip))
            )
        if "decoder" in self.linear:
            decoder = keras.Model(
                latent, layers.Reshape(shape)(layers.Dense(shape[0] * shape[1])(latent))
            )
        return encoder, decoder


class RepairedVAE(OriginalVAE):
    """The recipe with what the literature names as cures; each argument is one, and the defaults are the recipe itself.

    Args:
        audio_config: As for `OriginalVAE`.
        likelihood: `"squares"`, the sum of squared errors as it stands, or `"optimal"`, a Gaussian with its best
            variance (sigma-VAE); the loss is then in nats.
        mean_norm: Above 0, the posterior means are batch-normalised to this standard deviation (BN-VAE, Zhu et al.,
            2020, arXiv:2004.12585).
        encoder_turns: Steps for the encoder alone before each step for both (after He et al., 2019, arXiv:1901.05534).
        encoder_steps: How many steps of the training, counted from the first, have such turns.
        every_stage: Let the latent enter every stage of the decoder.
        **kwargs: As for `OriginalVAE`.

    Raises:
        ValueError: If the likelihood is unknown.
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
                f"RepairedVAE got likelihood={likelihood!r}; expected 'squares' or 'optimal'."
            )
        self.likelihood, self.mean_norm, self.every_stage = (
            likelihood,
            mean_norm,
            every_stage,
        )
        self.encoder_turns, self.encoder_steps = encoder_turns, encoder_steps
        super().__init__(audio_config, **kwargs)
        # Neither scale nor centre is learned: the network cannot undo the normalisation.
        self.normalise = layers.BatchNormalization(
            momentum=0.9, epsilon=1e-6, scale=False, center=False
        )
        self.normalise.build((None, self.latent_dim))

    def build_networks(self, shape, global_dim, local_dim, width, depth):
        return build_original_networks(
            shape, global_dim, self.num_genres, width, self.dropout, self.every_stage
        )

    def encode_parameters(self, inputs, training=False):
        mean, log_var = super().encode_parameters(inputs, training)
        return (
            self.mean_norm * self.normalise(mean, training=training)
            if self.mean_norm
            else mean
        ), log_var

    def reconstruction_terms(self, inputs, rebuilt):
        terms, cells = (
            super().reconstruction_terms(inputs, rebuilt),
            int(np.prod(self.audio_config.shape)),
        )
        return (
            terms
            if self.likelihood == "squares"
            else terms | {"loss": optimal_variance_nll(terms["squares"] / cells, cells)}
        )

    def train_step(self, data):
        if not self.encoder_turns:
            return super().train_step(data)
        step = ops.cast(self.optimizer.iterations, "int32")
        alone = (step < self.encoder_steps) & (
            step % (self.encoder_turns + 1) < self.encoder_turns
        )
        return tf.cond(
            alone,
            lambda: self.encoder_step(data),
            lambda: super(RepairedVAE, self).train_step(data),
        )

    def encoder_step(self, data):
        """A step of the encoder alone. A gradient of zero would not do: Adam goes on moving by its memory of earlier ones."""
        with tf.GradientTape() as tape:
            terms = self.loss_terms(data, training=True)
        variables = self.encoder.trainable_variables
        self.optimizer.apply(tape.gradient(terms["loss"], variables), variables)
        return self.track(terms)


def fit_original_vae(
    model, clips, genre, num_steps, seed=0, batch_size=32, learning_rate=1e-3
):
    """Trains a `OriginalVAE` for a number of steps, in an order fixed by the seed.

    Args:
        model: `OriginalVAE`.
        clips: Float array, shape `(clips, *shape)`.
        genre: Genre indices, shape `(clips,)`.
        num_steps: Steps of `batch_size` clips.
        seed: Seed of the order.
        batch_size: Clips in a step.
        learning_rate: Learning rate at the start; a cosine lowers it to a fiftieth.

    Returns:
        The Keras `History`, with one entry for each tenth of the training.
    """
    rate = keras.optimizers.schedules.CosineDecay(learning_rate, num_steps, alpha=0.02)
    optimizer = keras.optimizers.Adam(rate, global_clipnorm=5.0)
    optimizer.build(model.trainable_variables)
    model.compile(optimizer=optimizer)
    held, genres = (
        tf.constant(np.asarray(clips, np.float16)),
        tf.constant(np.asarray(genre, np.int32)),
    )
    rows = (
        tf.data.Dataset.range(len(clips))
        .shuffle(len(clips), seed=seed)
        .repeat()
        .batch(batch_size)
    )

    @tf.autograph.experimental.do_not_convert
    def read(row):
        return tf.cast(tf.gather(held, row), tf.float32), tf.gather(genres, row)

    data = rows.map(read).prefetch(2)
    parts = 10 if num_steps % 10 == 0 else 1
    return model.fit(
        data, steps_per_epoch=num_steps // parts, epochs=parts, verbose=0, shuffle=False
    )
