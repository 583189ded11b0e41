"""The recipe that collapsed, in small, with every part exchangeable: to find out which part did it."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from cvae_music.models.losses import gaussian_kl, optimal_variance_nll
from cvae_music.models.schedules import Constant, get_schedule


@keras.saving.register_keras_serializable(package="cvae_music")
class OriginalRamp(Constant):
    """The original's weight, min(0.1 * exp(0.25 * (epoch - 11)), 2), with its epochs laid over `num_steps`."""

    def __init__(self, weight=2.0, num_steps=300, num_epochs=30):
        super().__init__(weight)
        self.num_steps, self.num_epochs = int(num_steps), int(num_epochs)

    def next_weight(self, step, last_weight, kl):
        epoch = ops.floor(ops.cast(step, "float32") * self.num_epochs / self.num_steps)
        return ops.minimum(0.1 * ops.exp(0.25 * (epoch - 11.0)), self.weight)


def _stage(x, width, dropout, name):
    x = layers.BatchNormalization(momentum=0.9, name=f"{name}_norm")(x)
    x = layers.Activation("relu", name=f"{name}_relu")(x)
    return layers.Dropout(dropout, name=f"{name}_dropout")(x) if dropout else x


def build_recipe(shape, latent_dim, num_genres=0, width=96, dropout=0.2, every_stage=False):
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
        x = _stage(x, width, dropout, f"down_{number}")
    encoder = keras.Model([clip, *genre] if genre else clip, layers.Dense(2 * latent_dim)(layers.Flatten()(x)))

    latent, genre = keras.Input((latent_dim,)), [keras.Input((num_genres,))] if num_genres else []
    x = layers.Concatenate()([latent, *genre]) if genre else latent
    x = layers.Reshape((frames // 16, width))(layers.Dense(frames // 16 * width, activation="relu")(x))
    for number in range(2):
        x = layers.Reshape((x.shape[1] * 2, width))(layers.Dense(2 * width)(x))
        if every_stage:
            x = x + layers.Reshape((1, width))(layers.Dense(width)(latent))
        x = _stage(layers.Conv1D(width, 3, padding="same", use_bias=False)(x), width, dropout, f"up_{number}")
    if every_stage:
        x = layers.Concatenate()([x, layers.RepeatVector(x.shape[1])(latent)])
    x = layers.Reshape(shape)(layers.Dense(4 * channels)(x))
    return encoder, keras.Model([latent, *genre] if genre else latent, x)


class RecipeVAE(keras.Model):
    """A VAE made by the original's recipe; each argument exchanges one part of it.

    Args:
        shape: `(num_frames, channels)` of a clip.
        num_genres: 0 for no label; else the label enters the encoder as maps and the decoder once.
        latent_dim: Latent dimensions.
        kl: KL weight or schedule, see `schedules.get_schedule`.
        likelihood: `"squares"`, the sum of squared errors as it stands, or `"optimal"`, a Gaussian with its best
            variance (sigma-VAE).
        mean_norm: Above 0, the posterior means are batch-normalised to this standard deviation (BN-VAE, Zhu et al.,
            2020, arXiv:2004.12585).
        encoder_turns: In the first half of the training, steps for the encoder alone before each step for both (after
            He et al., 2019, arXiv:1901.05534).
        num_steps: Length of the training, which the last argument and the ramp refer to.
        seed: Seed of the latent noise.
        **sizes: `width`, `dropout` and `every_stage` of `build_recipe`.
    """

    def __init__(
        self, shape, num_genres=0, latent_dim=64, kl=2.0, likelihood="squares", mean_norm=0.0, encoder_turns=0,
        num_steps=300, seed=0, **sizes,
    ):  # fmt: skip
        super().__init__()
        if likelihood not in ("squares", "optimal"):
            raise ValueError(f"RecipeVAE got likelihood={likelihood!r}; expected 'squares' or 'optimal'.")
        self.shape, self.num_genres, self.latent_dim = tuple(shape), int(num_genres), int(latent_dim)
        self.schedule = OriginalRamp(num_steps=num_steps) if kl == "original" else get_schedule(kl)
        self.likelihood, self.mean_norm = likelihood, float(mean_norm)
        self.encoder_turns, self.half = int(encoder_turns), num_steps // 2
        self.encoder, self.decoder = build_recipe(self.shape, self.latent_dim, self.num_genres, **sizes)
        # Neither scale nor centre is learned: the network cannot undo the normalisation.
        self.normalise = layers.BatchNormalization(momentum=0.9, epsilon=1e-6, scale=False, center=False)
        self.normalise.build((None, self.latent_dim))
        self.noise = keras.random.SeedGenerator(seed)
        self.kl_weight = self.add_weight(name="kl_weight", shape=(), trainable=False, initializer="ones")
        self.kl_weight.assign(self.schedule.weight)
        self.trackers = {name: keras.metrics.Mean(name=name) for name in ("loss", "squares", "kl", "kl_weight")}
        self.built = True

    @property
    def metrics(self):
        return list(self.trackers.values())

    def _with_label(self, x, genre):
        return [ops.convert_to_tensor(x), ops.one_hot(ops.cast(genre, "int32"), self.num_genres)] if self.num_genres else x

    def encode_parameters(self, clips, genre, training=False):
        """`(mean, log_var)`, each `(batch, latent_dim)`; the log-variance is bounded as in `VAE`."""
        mean, log_var = ops.split(self.encoder(self._with_label(clips, genre), training=training), 2, axis=-1)
        if self.mean_norm:
            mean = self.mean_norm * self.normalise(mean, training=training)
        return mean, 5.0 * ops.tanh((log_var + 3.0) / 5.0) - 3.0

    def loss_terms(self, data, training):
        """The terms of the loss; in nats with the optimal variance, else in squared scaled units."""
        clips, genre = data
        mean, log_var = self.encode_parameters(clips, genre, training)
        latent = mean + ops.exp(0.5 * log_var) * keras.random.normal(ops.shape(mean), seed=self.noise)
        rebuilt = self.decoder(self._with_label(latent, genre), training=training)
        squares = ops.sum(ops.mean(ops.square(clips - rebuilt), axis=0))
        cells = int(np.prod(self.shape))
        distortion = squares if self.likelihood == "squares" else optimal_variance_nll(squares / cells, cells)
        kl = ops.mean(gaussian_kl(mean, log_var), axis=0)
        step = self.optimizer.iterations
        if training:
            self.kl_weight.assign(self.schedule.next_weight(step, self.kl_weight.value, ops.sum(kl)))
        weight = ops.convert_to_tensor(self.kl_weight)
        loss = distortion + self.schedule.penalty(kl, weight, step)
        return {"loss": loss, "squares": squares, "kl": ops.sum(kl), "kl_weight": weight}

    def train_step(self, data):
        with tf.GradientTape() as tape:
            terms = self.loss_terms(data, training=True)
        variables = self.trainable_variables
        gradients = tape.gradient(terms["loss"], variables)
        if self.encoder_turns:
            num = len(self.encoder.trainable_variables)
            step = ops.cast(self.optimizer.iterations, "int32")
            alone = (step < self.half) & (step % (self.encoder_turns + 1) < self.encoder_turns)
            # A gradient of zero would not do: Adam goes on moving by its memory of earlier ones.
            tf.cond(
                alone,
                lambda: self.optimizer.apply(gradients[:num], variables[:num]),
                lambda: self.optimizer.apply(gradients, variables),
            )
        else:
            self.optimizer.apply(gradients, variables)
        for name, tracker in self.trackers.items():
            tracker.update_state(terms[name])
        return {name: tracker.result() for name, tracker in self.trackers.items()}

    def encode(self, clips, genre, batch_size=64):
        """NumPy `(mean, log_var)` of clips `(clips, *shape)` and genre indices `(clips,)`."""
        steps = range(0, len(clips), batch_size)
        pieces = [self._encode(np.float32(clips[i : i + batch_size]), genre[i : i + batch_size]) for i in steps]
        return tuple(np.concatenate([np.asarray(piece[k]) for piece in pieces]) for k in range(2))

    def decode(self, latent, genre, batch_size=64):
        """NumPy clips `(clips, *shape)` of latents `(clips, latent_dim)` and genre indices `(clips,)`."""
        steps = range(0, len(latent), batch_size)
        pieces = [self._decode(np.float32(latent[i : i + batch_size]), genre[i : i + batch_size]) for i in steps]
        return np.concatenate([np.asarray(piece) for piece in pieces])

    @tf.function(reduce_retracing=True)
    def _encode(self, clips, genre):
        return self.encode_parameters(clips, genre)

    @tf.function(reduce_retracing=True)
    def _decode(self, latent, genre):
        return self.decoder(self._with_label(latent, genre), training=False)


def fit_recipe(model, clips, genre, num_steps, seed=0, batch_size=32, learning_rate=1e-3):
    """Trains a `RecipeVAE` for a number of steps, in an order fixed by the seed.

    Args:
        model: `RecipeVAE`.
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
    held, genres = tf.constant(np.asarray(clips, np.float16)), tf.constant(np.asarray(genre, np.int32))
    rows = tf.data.Dataset.range(len(clips)).shuffle(len(clips), seed=seed).repeat().batch(batch_size)

    @tf.autograph.experimental.do_not_convert
    def read(row):
        return tf.cast(tf.gather(held, row), tf.float32), tf.gather(genres, row)

    data = rows.map(read).prefetch(2)
    parts = 10 if num_steps % 10 == 0 else 1
    return model.fit(data, steps_per_epoch=num_steps // parts, epochs=parts, verbose=0, shuffle=False)
