"""ConditionalVAEGAN: the conditional VAE goes on against a discriminator that sees what is blurred. Written in notebook 09."""

import math

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from cvae_music.models.autoencoders import VAE
from cvae_music.models.conditional import ConditionalVAE
from cvae_music.models.losses import averaging, disguise


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
    clip, genre = keras.Input(shape, name="log_mel"), keras.Input((num_genres,), name="genre_weights")
    beat = np.pi / 8 * np.arange(shape[0])[:, None]
    place = np.broadcast_arrays(np.sin(beat), np.cos(beat), np.linspace(-1.0, 1.0, shape[1]))
    level = clip[..., None]
    detail = 5.0 * (level - ops.matmul(clip, averaging(shape[1], 9).T)[..., None])
    x = layers.Concatenate()([level, detail, ops.zeros_like(level) + np.stack(place, -1).astype("float32")])
    features = []
    for index, channels in enumerate((width, 2 * width, 4 * width, 4 * width)):
        size, step = (4, 2) if index < 3 else (3, 1)
        x = layers.Conv2D(channels, size, step, "same", kernel_initializer="he_normal", name=f"patch_{index}")(x)
        x = layers.LeakyReLU(0.2)(x)
        features.append(x)
    named = layers.Dense(4 * width, use_bias=False, name="genre")(genre)[:, None, None] / (4 * width) ** 0.5
    verdict = layers.Dense(1, name="real")(x)[..., 0] + ops.sum(x * named, axis=-1)
    return keras.Model([clip, genre], [verdict, *features], name="discriminator")


def loudness(scaled, db_per_unit):
    """Mean power of each clip, a level in scaled units up to a constant; shape `(batch,)`.

    Args:
        scaled: Float tensor, shape `(batch, num_frames, n_mels)`.
        db_per_unit: Decibels of one scaled unit.
    """
    factor = db_per_unit * math.log(10.0) / 10.0
    return ops.logsumexp(factor * scaled, axis=(1, 2)) / factor


def draw_latents(density, weights, noise):
    """Latents from the mixtures of Gaussians of the genres in `weights`, as `sample_latents`, in the graph of a step.

    Args:
        density: `LatentDensity`.
        weights: One-hot rows, shape `(batch, num_genres)`.
        noise: `keras.random.SeedGenerator`.
    """
    shares, means, factors = (ops.convert_to_tensor(value) for value in density.weights)
    component = keras.random.categorical(ops.log(ops.matmul(weights, shares) + 1e-9), 1, seed=noise)[:, 0]
    chosen = weights[:, :, None] * ops.one_hot(component, shares.shape[1])[:, None, :]
    mean, factor = (ops.tensordot(chosen, values, 2) for values in (means, factors))
    return mean + ops.einsum("bij,bj->bi", factor, keras.random.normal(ops.shape(mean), seed=noise))


class ConditionalVAEGAN(ConditionalVAE):
    """A trained conditional VAE whose decoder goes on against a discriminator (Larsen et al., 2016); see `go_on`.

    The encoder is frozen, as in the second phase of RAVE: what a latent means stays. The discriminator is shown real clips
    with their genre, and four kinds of wrong ones: reconstructions, clips with a changed label, clips from where
    latents of new clips are drawn, and real clips with a wrong label.

    Args:
        audio_config: As for `ConditionalVAE`.
        genres: As for `ConditionalVAE`.
        likelihood_weight: Weight of the likelihood: alone it is smallest for a blurred clip.
        adversary_weight: Weight of what the discriminator says, beside the likelihood in nats.
        matching_weight: Weight of the feature matching.
        level_weight: Weight of the squared error of the loudness of clips with a changed label.
        adversary_rate: Learning rate of the discriminator's own optimiser.
        **kwargs: As for `ConditionalVAE`.

    Source: VAE-GAN with feature matching, Larsen et al. (2016), arXiv:1512.09300; two phases, Caillon and Esling (2021),
    RAVE, arXiv:2111.05011; hinge loss, Lim and Ye (2017), arXiv:1705.02894; real clips with a wrong label, Reed et al.
    (2016), arXiv:1605.05396.
    """

    metric_names = (*VAE.metric_names, "swap", "level", "adversary", "fooled", "matching")

    def __init__(
        self, audio_config=None, genres=(), likelihood_weight=0.3, adversary_weight=300.0, matching_weight=1000.0,
        level_weight=3000.0, adversary_rate=1e-3, **kwargs,
    ):  # fmt: skip
        super().__init__(audio_config, genres, **kwargs)
        self.likelihood_weight, self.level_weight, self.adversary_rate = likelihood_weight, level_weight, adversary_rate
        self.adversary_weight, self.matching_weight = adversary_weight, matching_weight
        self.levels = self.add_weight(name="levels", shape=(2, self.num_genres), initializer="ones", trainable=False)
        self.discriminator = build_discriminator(self.audio_config.shape, self.num_genres)
        # What is trainable belongs to the first optimiser: the decoder and the listeners.
        self.encoder.trainable = self.discriminator.trainable = False
        self.adversary_optimizer = keras.optimizers.Adam(adversary_rate, beta_1=0.5)
        self.adversary_optimizer.build(self.discriminator.weights)

    def loss_terms(self, data, training):
        log_mel, weights = data[0], self.genre_weights(data[1])
        terms, latent, rebuilt = self.elbo_terms((log_mel, weights), training)
        shift = keras.random.randint((), 1, self.num_genres, seed=self.noise)
        own, asked = weights[::2], ops.roll(weights[::2], shift, axis=1)
        latents = ops.concatenate([latent[::2], draw_latents(self.latent_density, asked, self.noise)])
        swapped, drawn = ops.split(self.decode_latent(latents, ops.tile(asked, (2, 1)), training), 2)
        heard, hidden = (
            disguise(some, self.noise) for some in (ops.concatenate([log_mel, ops.stop_gradient(rebuilt)]), swapped)
        )
        lesson = self.listeners.lesson(heard, ops.tile(weights, (2, 1)), hidden, own, training)
        terms |= {
            "swap": self.listeners.opinion(hidden, asked),
            "loss": self.likelihood_weight * terms["loss"] + lesson,
        }
        terms["level"] = self.level_error(log_mel[::2], swapped, own, asked)
        terms |= self.duel(log_mel, weights, ops.concatenate([rebuilt[::2], swapped, drawn, log_mel[::2]]), asked)
        terms["loss"] += self.swap_weight * terms["swap"] + self.level_weight * terms["level"]
        terms["loss"] += self.adversary_weight * terms["fooled"] + self.matching_weight * terms["matching"]
        return terms

    def level_error(self, log_mel, swapped, own, asked):
        """Squared error of the loudness of clips with a changed label: a clip keeps its place among clips of its genre."""
        (mean, spread), unit = ops.unstack(self.levels, 2), self.audio_config.db_per_unit
        place = (loudness(log_mel, unit) - ops.matmul(own, mean)) / ops.matmul(own, spread)
        expected = ops.matmul(asked, mean) + place * ops.matmul(asked, spread)
        return ops.mean(ops.square(loudness(swapped, unit) - expected))

    def duel(self, log_mel, weights, wrong, asked):
        """What both sides lose, and how far reconstructions are from their clips in what the discriminator sees.

        `wrong` holds four groups: reconstructions, clips with a changed label, new clips, real clips with a wrong label.
        """
        verdict, *wanted = self.discriminator([log_mel, weights])
        doubt, *seen = self.discriminator([wrong, ops.concatenate([weights[::2], ops.tile(asked, (3, 1))])])
        count = ops.shape(asked)[0]
        pairs = [(ops.stop_gradient(real[::2]), made[:count]) for real, made in zip(wanted, seen, strict=True)]
        apart = [ops.mean(ops.abs(real - made)) / ops.mean(ops.abs(real)) for real, made in pairs]
        adversary = ops.mean(ops.relu(1.0 - verdict)) + ops.mean(ops.relu(1.0 + doubt))
        return {"adversary": adversary, "fooled": -ops.mean(doubt[: 3 * count]), "matching": sum(apart) / len(apart)}

    def train_step(self, data):
        with tf.GradientTape(persistent=True) as tape:
            terms = self.loss_terms(data, training=True)
            loss = self.optimizer.scale_loss(terms["loss"])
        variables, rivals = self.trainable_variables, self.discriminator.weights
        self.optimizer.apply(tape.gradient(loss, variables), variables)
        self.adversary_optimizer.apply(tape.gradient(terms["adversary"], rivals), rivals)
        return self.track(terms)


def go_on(model, features, **settings):
    """A `ConditionalVAEGAN` that begins where a trained `ConditionalVAE` stands.

    Args:
        model: `ConditionalVAE`.
        features: `FeatureSet`; the loudness of its training clips is measured, genre by genre.
        **settings: Arguments of `ConditionalVAEGAN` to set otherwise.

    Raises:
        ValueError: If the features have another `AudioConfig` or other genres than the model.
    """
    model.audio_config.check_fits(features, model.genres)
    config = {name: value for name, value in model.get_config().items() if name not in ("name", "trainable", "dtype")}
    successor = ConditionalVAEGAN(**config | settings)
    for part in ("encoder", "decoder", "listeners", "latent_density"):
        getattr(successor, part).set_weights(getattr(model, part).get_weights())
    clips, genre = features.arrays("train")
    parts = [loudness(clips[start : start + 64], features.config.db_per_unit) for start in range(0, len(clips), 64)]
    groups = [np.concatenate(parts)[genre == index] for index in range(model.num_genres)]
    successor.levels.assign([[some.mean() for some in groups], [some.std() + 1e-3 for some in groups]])
    return successor
