"""ConditionalVAEGAN: the conditional VAE goes on against a discriminator that sees what is blurred. Written in notebook 09."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from cvae_music.models.autoencoders import VAE
from cvae_music.models.conditional import ConditionalVAE
from cvae_music.models.losses import moving_average_matrix


def detail(scaled):
    """What sticks out: levels minus their average over nine bands, of clips `(batch, num_frames, n_mels)`."""
    return scaled - ops.matmul(scaled, moving_average_matrix(scaled.shape[-1], 9).T)


def build_discriminator(shape, num_genres, width=16):
    """Clip and genre to one verdict for each patch, high where it looks real.

    A patch sees 38 frames of 38 bands, and is told where in the beat and in the spectrum it lies. Beside the levels
    it gets their detail, five times enlarged: blur is a small part of a level's variance, and a discriminator of the levels
    alone does not see it for hundreds of steps.

    Args:
        shape: `(num_frames, n_mels)`.
        num_genres: Number of genres.
        width: Channels of the first layer; the third and fourth have four times as many.

    Returns:
        A `keras.Model` from `[log_mel, genre_weights]` to `[verdict, *features]`: shape `(batch, patches, patches)`, and the
        outputs of the four layers.

    Source: patches from Isola et al. (2017), arXiv:1611.07004; the label by projection, Miyato and Koyama (2018),
    arXiv:1802.05637.
    """
    clip, genre = (
        keras.Input(shape, name="log_mel"),
        keras.Input((num_genres,), name="genre_weights"),
    )
    beat = np.pi / 8 * np.arange(shape[0])[:, None]
    place = np.broadcast_arrays(
        np.sin(beat), np.cos(beat), np.linspace(-1.0, 1.0, shape[1])
    )
    level = clip[..., None]
    place = ops.zeros_like(level) + np.stack(place, -1).astype("float32")
    x = layers.Concatenate()([level, 5.0 * detail(clip)[..., None], place])
    features = []
    for index, channels in enumerate((width, 2 * width, 4 * width, 4 * width)):
        size, step = (4, 2) if index < 3 else (3, 1)
        x = layers.Conv2D(
            channels,
            size,
            step,
            "same",
            kernel_initializer="he_normal",
            name=f"patch_{index}",
        )(x)
        x = ops.maximum(x, 0.2 * x)  # leaky ReLU
        features.append(x)
    named = (
        layers.Dense(4 * width, use_bias=False, name="genre")(genre)[:, None, None]
        / (4 * width) ** 0.5
    )
    verdict = layers.Dense(1, name="real")(x)[..., 0] + ops.sum(x * named, axis=-1)
    return keras.Model([clip, genre], [verdict, *features], name="discriminator")


class UnsharpMask(keras.layers.Layer):
    """Enlarges what sticks out of its surroundings until it varies as much as in music; does nothing until it is fitted.

    What is added to a level is a share of its distance from the average over nine bands, one share for each band.

    Args:
        n_mels: Number of bands.

    Source: the global variance of speech synthesis, Toda and Tokuda (2007).
    """

    def __init__(self, n_mels, **kwargs):
        super().__init__(trainable=False, dtype="float32", **kwargs)
        self.gain = self.add_weight(name="gain", shape=(n_mels,), initializer="zeros")
        self.built = True

    def fit(self, model, features):
        """Shares with which reconstructions vary as much about their surroundings as the clips do."""
        clips, genre = (
            part[:: 1 + len(part) // 1000] for part in features.arrays("train")
        )
        self.gain.assign(ops.zeros_like(self.gain))
        rebuilt = model.decode(model.encode(clips)[0], genre)
        spread = [
            np.sqrt(np.mean(np.square(detail(part)), axis=(0, 1)))
            for part in (clips, rebuilt)
        ]
        self.gain.assign(np.maximum(spread[0] / spread[1] - 1.0, 0.0))

    def call(self, picture):
        return picture + self.gain * detail(picture)


def draw_latents(density, weights, noise):
    """Latents of new clips from a `LatentDensity`, in the graph of a step.

    Args:
        density: `LatentDensity`.
        weights: One-hot rows of the genres, shape `(batch, num_genres)`.
        noise: `keras.random.SeedGenerator`.

    Returns:
        Float tensor, shape `(batch, latent_dim)`.
    """
    shares, means, factors = (ops.convert_to_tensor(value) for value in density.weights)
    component = keras.random.categorical(
        ops.log(ops.matmul(weights, shares) + 1e-9), 1, seed=noise
    )[:, 0]
    chosen = weights[:, :, None] * ops.one_hot(component, shares.shape[1])[:, None, :]
    mean, factor = (ops.tensordot(chosen, values, 2) for values in (means, factors))
    return mean + ops.einsum(
        "bij,bj->bi", factor, keras.random.normal(ops.shape(mean), seed=noise)
    )


def adversarial_losses(discriminator, real, wrong):
    """What the two sides lose, and how far reconstructions are from their clips in what the discriminator sees.

    Args:
        discriminator: As of `build_discriminator`.
        real: Clips and the weights of their genres.
        wrong: The same of four groups, each half as many: reconstructions of every other real clip, clips with a changed
            label, new clips, and real clips with a wrong label, which only the discriminator learns from.

    Returns:
        Dict of scalars: `adversary`, the discriminator's hinge loss; `fooled`, the decoder's; `matching`, the mean
        absolute difference of features over their mean size.

    Source: hinge loss, Lim and Ye (2017), arXiv:1705.02894; feature matching, Larsen et al. (2016), arXiv:1512.09300; real
    clips with a wrong label, Reed et al. (2016), arXiv:1605.05396.
    """
    verdict, *wanted = discriminator(list(real))
    doubt, *seen = discriminator(list(wrong))
    count = ops.shape(doubt)[0] // 4
    pairs = [
        (ops.stop_gradient(there[::2]), here[:count])
        for there, here in zip(wanted, seen, strict=True)
    ]
    apart = [
        ops.mean(ops.abs(there - here)) / ops.mean(ops.abs(there))
        for there, here in pairs
    ]
    adversary = ops.mean(ops.relu(1.0 - verdict)) + ops.mean(ops.relu(1.0 + doubt))
    return {
        "adversary": adversary,
        "fooled": -ops.mean(doubt[: 3 * count]),
        "matching": sum(apart) / len(apart),
    }


class ConditionalVAEGAN(ConditionalVAE):
    """A trained conditional VAE whose decoder goes on against a discriminator; make one with `go_on`.

    The encoder is frozen, as in the second phase of RAVE: what a latent means stays.

    Args:
        audio_config: As for `ConditionalVAE`.
        genres: As for `ConditionalVAE`.
        likelihood_weight: Weight of the likelihood: alone it is smallest for a blurred clip.
        adversary_weight: Weight of what the discriminator says, beside the likelihood in nats.
        matching_weight: Weight of the feature matching.
        adversary_rate: Learning rate of the discriminator's own optimiser.
        **kwargs: As for `ConditionalVAE`.

    Source: VAE-GAN, Larsen et al. (2016), arXiv:1512.09300; two phases, Caillon and Esling (2021), RAVE, arXiv:2111.05011.
    """

    metric_names = (*VAE.metric_names, "swap", "adversary", "fooled", "matching")

    def __init__(
        self,
        audio_config=None,
        genres=(),
        likelihood_weight=0.3,
        adversary_weight=600.0,
        matching_weight=1000.0,
        adversary_rate=1e-3,
        **kwargs,
    ):
        super().__init__(audio_config, genres, **kwargs)
        self.likelihood_weight, self.adversary_weight = (
            likelihood_weight,
            adversary_weight,
        )
        self.matching_weight, self.adversary_rate = matching_weight, adversary_rate
        self.detail = UnsharpMask(self.audio_config.n_mels)
        self.discriminator = build_discriminator(
            self.audio_config.shape, self.num_genres
        )
        # What is trainable belongs to the first optimiser: the decoder and the listeners.
        self.encoder.trainable = self.discriminator.trainable = False
        self.adversary_optimizer = keras.optimizers.Adam(adversary_rate, beta_1=0.5)
        self.adversary_optimizer.build(self.discriminator.weights)

    def decode_latent(self, latent, genre=None, training=False):
        weights = self.genre_weights(genre)
        picture = self.decoder(
            [self.shift(latent, weights), weights], training=training
        )
        return picture if training else self.detail(picture)

    def loss_terms(self, data, training):
        log_mel, weights = data[0], self.genre_weights(data[1])
        terms, latent, rebuilt = self.elbo_terms((log_mel, weights), training)
        lesson, terms["swap"] = self.listen(log_mel, rebuilt, latent, weights, training)
        asked = ops.roll(
            weights[::2],
            keras.random.randint((), 1, self.num_genres, seed=self.noise),
            axis=1,
        )
        latents = ops.concatenate(
            [latent[::2], draw_latents(self.latent_density, asked, self.noise)]
        )
        made = self.decode_latent(latents, ops.tile(asked, (2, 1)), training)
        wrong = ops.concatenate([rebuilt[::2], made, log_mel[::2]])
        told = ops.concatenate([weights[::2], ops.tile(asked, (3, 1))])
        terms |= adversarial_losses(
            self.discriminator, (log_mel, weights), (wrong, told)
        )
        terms["loss"] = (
            self.likelihood_weight * terms["loss"]
            + self.swap_weight * terms["swap"]
            + lesson
        )
        terms["loss"] += (
            self.adversary_weight * terms["fooled"]
            + self.matching_weight * terms["matching"]
        )
        return terms

    def train_step(self, data):
        with tf.GradientTape(persistent=True) as tape:
            terms = self.loss_terms(data, training=True)
            loss = self.optimizer.scale_loss(terms["loss"])
        ours, theirs = self.trainable_variables, self.discriminator.weights
        self.optimizer.apply(tape.gradient(loss, ours), ours)
        self.adversary_optimizer.apply(
            tape.gradient(terms["adversary"], theirs), theirs
        )
        return self.track(terms)


def go_on(model, features, **settings):
    """A `ConditionalVAEGAN` that begins where a trained `ConditionalVAE` stands, its detail fitted; `train` is the second phase.

    Args:
        model: `ConditionalVAE`.
        features: `FeatureSet`.
        **settings: Arguments of `ConditionalVAEGAN` to set otherwise.

    Raises:
        ValueError: If the features have another `AudioConfig` or other genres than the model.
    """
    model.audio_config.check_compatible(features, model.genres)
    config = {
        name: value
        for name, value in model.get_config().items()
        if name not in ("name", "trainable", "dtype")
    }
    successor = ConditionalVAEGAN(**config | settings)
    for part in ("encoder", "decoder", "listeners", "latent_density", "shift"):
        getattr(successor, part).set_weights(getattr(model, part).get_weights())
    successor.detail.fit(successor, features)
    return successor
