"""ConditionalVAEGAN: a conditional VAE trained further with a discriminator.

Written in notebook 09.
"""

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from cvae_music.models.autoencoders import VAE
from cvae_music.models.conditional import ConditionalVAE
from cvae_music.models.losses import mel_highpass


def build_discriminator(shape, num_genres, width=16):
    """Builds a conditional patch discriminator of clips.

    A patch covers 38 frames and 38 bands. Beside the levels the network gets their
    detail five times enlarged, and where in the beat and the spectrum a cell lies: blur
    is a small part of a level's variance, and without the detail it is not noticed for
    hundreds of steps.

    Args:
        shape: `(num_frames, n_mels)`.
        num_genres: Number of genres.
        width: Channels of the first layer; the third and fourth have four times that.

    Returns:
        A `keras.Model` from `[log_mel, genre_weights]` to `[logits, *features]`: logits
        of each patch, shape `(batch, num_frames / 8, n_mels / 8)`, high where it looks
        real, and the outputs of the four layers.

    Source: patches from Isola et al. (2017), arXiv:1611.07004; the label by projection,
    Miyato and Koyama (2018), arXiv:1802.05637.

    Example:
        >>> network = build_discriminator((128, 16), num_genres=3, width=4)
        >>> len(network.outputs)
        5
    """
    clip = keras.Input(shape, name="log_mel")
    genre = keras.Input((num_genres,), name="genre_weights")
    # A turn of the sine takes a beat, 16 frames.
    beat = np.pi / 8 * np.arange(shape[0])[:, None]
    band = np.linspace(-1.0, 1.0, shape[1])
    position = np.stack(np.broadcast_arrays(np.sin(beat), np.cos(beat), band), axis=-1)
    level = clip[..., None]
    detail = 5.0 * mel_highpass(clip)[..., None]
    position = ops.zeros_like(level) + position.astype("float32")
    x = layers.Concatenate()([level, detail, position])
    features = []
    for index, channels in enumerate((width, 2 * width, 4 * width, 4 * width)):
        is_last = index == 3
        convolve = layers.Conv2D(
            channels,
            kernel_size=3 if is_last else 4,
            strides=1 if is_last else 2,
            padding="same",
            kernel_initializer="he_normal",
            name=f"patch_{index}",
        )
        x = convolve(x)
        x = ops.maximum(x, 0.2 * x)  # leaky ReLU
        features.append(x)
    embedding = layers.Dense(4 * width, use_bias=False, name="genre")(genre)
    embedding = embedding[:, None, None] / (4 * width) ** 0.5
    logits = layers.Dense(1, name="real")(x)[..., 0] + ops.sum(x * embedding, axis=-1)
    return keras.Model([clip, genre], [logits, *features], name="discriminator")


class UnsharpMask(keras.layers.Layer):
    """Adds a share of its detail to each mel band; the identity until `fit`.

    `fit` sets each share so that the detail of reconstructions becomes as strong, in
    root mean square, as the detail of real clips. Detail is what `mel_highpass` keeps.
    A share is never negative.

    Args:
        n_mels: Number of bands.
        **kwargs: As for `keras.layers.Layer`: `name`, `dtype`, `trainable`.

    Source: the global variance of speech synthesis, Toda and Tokuda (2007).

    Example:
        >>> mask = UnsharpMask(16)
        >>> float(ops.max(mask(np.ones((1, 2, 16), "float32"))))
        1.0
    """

    def __init__(self, n_mels, **kwargs):
        kwargs.setdefault("trainable", False)
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.n_mels = n_mels
        self.build()

    def build(self, input_shape=None):
        """Creates the weights, all zero; called by `__init__`."""
        self.gain = self.add_weight((self.n_mels,), "zeros", name="gain")

    def fit(self, model, features):
        """Matches the detail of reconstructions to that of training clips.

        Args:
            model: The `ConditionalVAEGAN` that this layer belongs to.
            features: `FeatureSet`; up to 1,000 clips of its training split are used.
        """
        clips, genre = features.arrays("train")
        every = 1 + len(clips) // 1000
        clips = clips[::every]
        self.gain.assign(ops.zeros_like(self.gain))
        rebuilt = model.decode(model.encode(clips).mode(), genre[::every])
        wanted = self._detail_deviation(clips)
        found = self._detail_deviation(rebuilt)
        ratio = wanted / np.maximum(found, 1e-6)
        gain = np.where(found > 1e-6, np.maximum(ratio - 1.0, 0.0), 0.0)
        self.gain.assign(gain)

    @staticmethod
    def _detail_deviation(clips):
        """Returns the root mean square of the detail of each band, `(n_mels,)`."""
        detail = ops.convert_to_numpy(mel_highpass(clips))
        return np.sqrt(np.mean(np.square(detail), axis=(0, 1)))

    def call(self, log_mel):
        """Sharpens clips `(batch, num_frames, n_mels)`; the shape stays."""
        return log_mel + self.gain * mel_highpass(log_mel)

    def get_config(self):
        """Returns the arguments of `__init__`, ready for `from_config`."""
        return {**super().get_config(), "n_mels": self.n_mels}


def adversarial_losses(discriminator, real, fakes):
    """Computes the losses of discriminator and generator.

    Args:
        discriminator: As `build_discriminator` returns it.
        real: Tuple of scaled clips `(batch, num_frames, n_mels)` and their genre
            weights `(batch, num_genres)`.
        fakes: The same of four groups in a row, each of `batch / 2` clips:
            reconstructions of every other real clip, label-swapped clips, new clips,
            and real clips under a wrong label. The last teach the discriminator alone.

    Returns:
        Dict of scalars: `discriminator_loss` and `generator_loss`, hinge losses;
        `feature_matching`, the mean absolute difference of features over their mean
        size.

    Source: hinge loss, Lim and Ye (2017), arXiv:1705.02894; feature matching, Larsen et
    al. (2016), arXiv:1512.09300; real clips with a wrong label, Reed et al. (2016),
    arXiv:1605.05396.

    Example:
        >>> network = build_discriminator((128, 16), num_genres=2, width=4)
        >>> clips, genre = np.zeros((2, 128, 16), "float32"), np.eye(2, dtype="float32")
        >>> four = np.repeat(clips, 2, axis=0), np.repeat(genre, 2, axis=0)
        >>> sorted(adversarial_losses(network, (clips, genre), four))
        ['discriminator_loss', 'feature_matching', 'generator_loss']
    """
    real_logits, *real_features = discriminator(list(real))
    fake_logits, *fake_features = discriminator(list(fakes))
    count = ops.shape(fake_logits)[0] // 4
    distances = []
    for real_feature, fake_feature in zip(real_features, fake_features, strict=True):
        target = ops.cast(ops.stop_gradient(real_feature[::2]), "float32")
        rebuilt = ops.cast(fake_feature[:count], "float32")
        distance = ops.mean(ops.abs(target - rebuilt))
        distances.append(distance / ops.mean(ops.abs(target)))
    real_logits = ops.cast(real_logits, "float32")
    fake_logits = ops.cast(fake_logits, "float32")
    real_loss = ops.mean(ops.relu(1.0 - real_logits))
    fake_loss = ops.mean(ops.relu(1.0 + fake_logits))
    return {
        "discriminator_loss": real_loss + fake_loss,
        "generator_loss": -ops.mean(fake_logits[: 3 * count]),
        "feature_matching": sum(distances) / len(distances),
    }


class ConditionalVAEGAN(ConditionalVAE):
    """Conditional VAE whose decoder is trained further against a discriminator.

    The encoder is frozen, as in the second phase of RAVE, so that latents keep their
    meaning. Make one with `from_cvae`. Inputs, output and latent are those of
    `ConditionalVAE`.

    Args:
        audio_config: As for `ConditionalVAE`.
        genres: As for `ConditionalVAE`.
        likelihood_weight: Weight of the likelihood, which alone prefers blurred clips.
        adversarial_weight: Weight of the generator's hinge loss.
        feature_matching_weight: Weight of the feature matching.
        discriminator_rate: Learning rate of the discriminator's own optimiser.
        **kwargs: As for `ConditionalVAE`.

    Source: VAE-GAN, Larsen et al. (2016), arXiv:1512.09300; two phases, Caillon and
    Esling (2021), RAVE, arXiv:2111.05011.

    Example:
        >>> from cvae_music import AudioConfig
        >>> config = AudioConfig(n_mels=16)
        >>> model = ConditionalVAEGAN(config, ["jazz", "house"], width=40, depth=1)
        >>> model.encoder.trainable, model.decoder.trainable
        (False, True)
    """

    metric_names = (
        *VAE.metric_names,
        "discriminator_loss",
        "generator_loss",
        "feature_matching",
    )

    def __init__(
        self,
        audio_config=None,
        genres=(),
        likelihood_weight=0.3,
        adversarial_weight=600.0,
        feature_matching_weight=1000.0,
        discriminator_rate=1e-3,
        **kwargs,
    ):
        super().__init__(audio_config, genres, **kwargs)
        self.likelihood_weight = likelihood_weight
        self.adversarial_weight = adversarial_weight
        self.feature_matching_weight = feature_matching_weight
        self.discriminator_rate = discriminator_rate
        self.unsharp_mask = UnsharpMask(self.audio_config.n_mels)
        shape = self.audio_config.shape
        self.discriminator = build_discriminator(shape, self.num_genres)
        # What is trainable belongs to the first optimiser, which is the decoder.
        self.encoder.trainable = False
        self.discriminator.trainable = False
        optimizer = keras.optimizers.Adam(discriminator_rate, beta_1=0.5)
        if self.discriminator.dtype_policy.compute_dtype == "float16":
            optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
        optimizer.build(self.discriminator.weights)
        self.discriminator_optimizer = optimizer

    @classmethod
    def from_cvae(cls, model, features, **settings):
        """Makes a model that begins where a trained `ConditionalVAE` stands.

        Args:
            model: Trained `ConditionalVAE`.
            features: `FeatureSet`, to fit `UnsharpMask` on.
            **settings: Arguments of `ConditionalVAEGAN` to set otherwise.

        Returns:
            A `ConditionalVAEGAN` for `train`, the second phase.

        Raises:
            ValueError: If the features have another `AudioConfig` or other genres.
        """
        model.audio_config.check_compatible(features, model.genres)
        config = model.get_config()
        del config["name"], config["trainable"]
        successor = cls.from_config(config | settings)
        parts = ("encoder", "decoder", "latent_density", "mean_shift")
        for part in parts:
            getattr(successor, part).set_weights(getattr(model, part).get_weights())
        successor.unsharp_mask.fit(successor, features)
        return successor

    def decode_latent(self, latent, genre=None, training=False):
        """Decodes latents in a graph, sharpened by `UnsharpMask` where not training.

        Args:
            latent: Float tensor, shape `(batch, latent_dim)`.
            genre: Genre indices `(batch,)` or weights `(batch, num_genres)`.
            training: Whether it is a training step.

        Returns:
            Scaled log-mel, shape `(batch, num_frames, n_mels)`.
        """
        log_mel = super().decode_latent(latent, genre, training)
        return log_mel if training else self.unsharp_mask(log_mel)

    def compute_losses(self, log_mel, genre=None, training=False):
        """Computes every term of both losses; arguments and result as for `VAE`."""
        seed = self.seed_generator if training else self.validation_seed_generator
        weights = self.genre_weights(genre)
        losses, latent, rebuilt = self.elbo_losses(log_mel, weights, training)
        steps = keras.random.randint((), 1, self.num_genres, seed=seed)
        targets = ops.roll(weights[::2], steps, axis=1)
        new_latent = self.latent_density(targets, seed=seed)
        asked = ops.tile(targets, (2, 1))
        latents = ops.concatenate([latent[::2], new_latent])
        latents = self.shift_latent(latents, asked)
        generated = self.decode_latent(latents, asked, training)
        fakes = ops.concatenate([rebuilt[::2], generated, log_mel[::2]])
        labels = ops.concatenate([weights[::2], ops.tile(targets, (3, 1))])
        losses |= adversarial_losses(
            self.discriminator, (log_mel, weights), (fakes, labels)
        )
        losses["loss"] = (
            self.likelihood_weight * losses["loss"]
            + self.adversarial_weight * losses["generator_loss"]
            + self.feature_matching_weight * losses["feature_matching"]
        )
        return losses, rebuilt

    def train_step(self, data):
        """Takes one step of the generator and one of the discriminator."""
        log_mel, genre = self.unpack(data)
        optimizer = self.discriminator_optimizer
        with tf.GradientTape(persistent=True) as tape:
            losses, rebuilt = self.compute_losses(log_mel, genre, training=True)
            losses["loss"] += sum(self.losses)
            loss = self.optimizer.scale_loss(losses["loss"])
            discriminator_loss = optimizer.scale_loss(losses["discriminator_loss"])
        weights = self.discriminator.weights
        gradients = tape.gradient(loss, self.trainable_variables)
        discriminator_gradients = tape.gradient(discriminator_loss, weights)
        self.optimizer.apply(gradients, self.trainable_variables)
        optimizer.apply(discriminator_gradients, weights)
        return self.update_metrics(losses, log_mel, rebuilt)

    def get_config(self):
        """Returns the arguments of `__init__`, ready for `from_config`."""
        names = (
            "likelihood_weight",
            "adversarial_weight",
            "feature_matching_weight",
            "discriminator_rate",
        )
        return super().get_config() | {name: getattr(self, name) for name in names}
