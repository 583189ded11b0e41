"""ConditionalVAE: a VAE whose decoder is given a genre. Written in notebook 05."""

import keras
import numpy as np
from keras import ops

from cvae_music.models.autoencoders import VAE
from cvae_music.models.losses import augment_for_classifier, cross_entropy
from cvae_music.models.networks import (
    Sizes,
    build_classifier,
    build_conditional_decoder,
    build_encoder,
)


class ClassMeanShift(keras.layers.Layer):
    """Subtracts the mean latent of the source genre, and adds the target genre's.

    The source genre is estimated from the latent. The output is
    z + Σ_g (w_g − p(g given z)) μ_g, with genre weights w, mean latents μ, and p from
    linear discriminant analysis with equal priors. It is the identity until `fit`.

    Args:
        num_genres: Number of genres.
        latent_dim: Numbers in a latent.
        **kwargs: As for `keras.layers.Layer`: `name`, `dtype`, `trainable`.

    Source: linear discriminant analysis, Fisher (1936). Belrose et al. (2023),
    arXiv:2306.03819, erase all that is linear; here a mean alone is exchanged.

    Example:
        >>> shift = ClassMeanShift(num_genres=2, latent_dim=3)
        >>> ops.convert_to_numpy(shift(np.ones((1, 3)), np.eye(2)[:1])).tolist()
        [[1.0, 1.0, 1.0]]
    """

    def __init__(self, num_genres, latent_dim, **kwargs):
        kwargs.setdefault("trainable", False)
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.num_genres = num_genres
        self.latent_dim = latent_dim
        self.build()

    def build(self, input_shape=None):
        """Creates the weights, all zero; called by `__init__`."""
        means = (self.num_genres, self.latent_dim)
        lda = (self.latent_dim + 1, self.num_genres)
        self.means = self.add_weight(means, "zeros", name="means")
        self.lda_weights = self.add_weight(lda, "zeros", name="lda_weights")

    def fit(self, model, features):
        """Measures the mean latent of each genre, and fits the discriminant.

        Args:
            model: Trained `ConditionalVAE`.
            features: `FeatureSet`; its training split is encoded. A genre without
                training clips keeps a mean of zero.
        """
        clips, genre = features.arrays("train")
        latents = model.encode(clips).mode()
        means = np.zeros(self.means.shape)
        for index in np.unique(genre):
            means[index] = latents[genre == index].mean(axis=0)
        covariance = np.cov(latents - means[genre], rowvar=False)
        covariance = covariance + 0.02 * np.eye(self.latent_dim)  # can be inverted
        slopes = np.linalg.solve(covariance, means.T)
        offsets = -0.5 * np.sum(means.T * slopes, axis=0)
        self.means.assign(means)
        self.lda_weights.assign(np.vstack([slopes, offsets]))

    def call(self, latent, genre_weights):
        """Shifts latents.

        Args:
            latent: Float tensor, shape `(batch, latent_dim)`.
            genre_weights: Weights that sum to 1, shape `(batch, num_genres)`.

        Returns:
            Float tensor, shape `(batch, latent_dim)`.
        """
        logits = ops.matmul(latent, self.lda_weights[:-1]) + self.lda_weights[-1]
        source = ops.softmax(logits)
        return latent + ops.matmul(genre_weights - source, self.means)

    def get_config(self):
        """Returns the arguments of `__init__`, ready for `from_config`."""
        return {
            **super().get_config(),
            "num_genres": self.num_genres,
            "latent_dim": self.latent_dim,
        }


def frozen_call(network, inputs):
    """Calls a network whose weights get no gradients.

    Args:
        network: A built `keras.Model`.
        inputs: Float tensor; gradients reach it.

    Returns:
        The network's output, in inference mode.

    Example:
        >>> network = build_classifier((128, 16), num_genres=3)
        >>> frozen_call(network, np.zeros((2, 128, 16), "float32")).shape
        TensorShape([2, 3])
    """
    trainable = [ops.stop_gradient(value) for value in network.trainable_variables]
    others = network.non_trainable_variables
    return network.stateless_call(trainable, others, inputs, training=False)[0]


class ConditionalVAE(VAE):
    """VAE whose decoder is given the genre at every stage and is trained to obey it.

    The encoder gets no label. Half of the latents are also decoded with another label,
    and a genre classifier, trained beside the model, judges these swapped clips.
    `ClassMeanShift` then exchanges what is left of the genre in a latent, before the
    latent is decoded.

    Inputs: scaled log-mel `(batch, num_frames, n_mels)` and genre indices `(batch,)` or
    weights `(batch, num_genres)`. Output: log-mel of the clips' shape. The latent's
    layout is that of `Autoencoder`.

    Args:
        audio_config: As for `VAE`.
        genres: Names of the genres in order; saved with the model.
        swap_weight: Weight of the classifier's cross-entropy on label-swapped clips. It
            is large because a cross-entropy is a few nats, and the likelihood is a sum
            over all values of a clip. 0 trains no classifier and fits no mean shift.
        guidance: How far `decode` exaggerates the genre asked for, see `guide`; 0
            keeps most of the latent's idea, 1 sounds more like the genre.
        **kwargs: As for `VAE`. A `decoder` of your own takes `[latent, genre_weights]`.

    Raises:
        ValueError: If fewer than two genres are named.

    Source: conditional VAE, Sohn, Lee and Yan (2015); the classifier is the domain loss
    of StarGAN (Choi et al., 2018, arXiv:1711.09020).

    Example:
        >>> from cvae_music import AudioConfig
        >>> config = AudioConfig(n_mels=16)
        >>> model = ConditionalVAE(config, ["jazz", "house"], width=40, depth=1)
        >>> model.decode(model.sample_latents([0, 1]), genre=[0, 1]).shape
        (2, 128, 16)
    """

    metric_names: tuple[str, ...] = (*VAE.metric_names, "swap")

    def __init__(
        self,
        audio_config=None,
        genres=(),
        swap_weight=600.0,
        guidance=0.0,
        **kwargs,
    ):
        if len(genres) < 2:
            raise ValueError(
                f"{type(self).__name__} got genres={list(genres)}; expected two "
                "different names or more; a model of one genre is a VAE."
            )
        super().__init__(audio_config, genres=genres, **kwargs)
        self.swap_weight = swap_weight
        self.guidance = guidance
        self.classifier = build_classifier(self.audio_config.shape, self.num_genres)
        self.classifier.trainable = swap_weight > 0
        self.mean_shift = ClassMeanShift(self.num_genres, self.latent_dim)

    def build_networks(self, *sizes: *Sizes):
        """Builds an encoder without and a decoder with a label."""
        encoder = build_encoder(*sizes, outputs_per_latent=2)
        return encoder, build_conditional_decoder(*sizes, self.num_genres)

    def genre_weights(self, genre):
        """Returns rows of weights `(batch, num_genres)` of indices or such rows."""
        if len(genre.shape) == 2:
            return genre
        return ops.one_hot(ops.cast(genre, "int32"), self.num_genres)

    def decode_latent(self, latent, genre=None, training=False):
        """Decodes latents in a graph, as they are: `decode` shifts them before.

        Args:
            latent: Float tensor, shape `(batch, latent_dim)`.
            genre: Genre indices `(batch,)` or weights `(batch, num_genres)`.
            training: Whether it is a training step.

        Returns:
            Scaled log-mel, shape `(batch, num_frames, n_mels)`.
        """
        weights = self.genre_weights(genre)
        return self.decoder([latent, weights], training=training)

    def shift_latent(self, latent, genre_weights):
        """Moves latents to where the genre asked for lies, see `ClassMeanShift`."""
        return self.mean_shift(latent, genre_weights)

    def guide(self, genre_weights, guidance=None):
        """Moves genre weights further from those of an average clip.

        The result is w + guidance (w - 1 / num_genres), so it still sums to 1. Both the
        mean shift and the decoder get it.

        Args:
            genre_weights: Weights that sum to 1, shape `(batch, num_genres)`.
            guidance: Number from 0 to 10; None for that of the model.

        Returns:
            Weights of the same shape, some of them negative.

        Source: the extrapolation of classifier-free guidance, Ho and Salimans (2022),
        arXiv:2207.12598; there of two outputs of a diffusion model.

        Example:
            >>> from cvae_music import ConditionalVAE
            >>> model = ConditionalVAE.from_preset("known_cvae")
            >>> model.guide(np.eye(6)[:1], guidance=0.5).round(2).tolist()
            [[1.42, -0.08, -0.08, -0.08, -0.08, -0.08]]
        """
        guidance = self.guidance if guidance is None else guidance
        return genre_weights + guidance * (genre_weights - 1.0 / self.num_genres)

    def compute_losses(self, log_mel, genre=None, training=False):
        """Computes every term of the loss; arguments and result as for `VAE`."""
        weights = self.genre_weights(genre)
        losses, latent, rebuilt = self.elbo_losses(log_mel, weights, training)
        losses["swap"] = 0.0
        if self.swap_weight:
            classifier_loss, losses["swap"] = self.swap_losses(
                log_mel, rebuilt, latent, weights, training
            )
            losses["loss"] += self.swap_weight * losses["swap"] + classifier_loss
        return losses, rebuilt

    def swap_losses(self, log_mel, rebuilt, latent, genre_weights, training):
        """Decodes half of the latents with another label and has them classified.

        Args:
            log_mel: Scaled clips, shape `(batch, num_frames, n_mels)`.
            rebuilt: Their reconstructions, same shape.
            latent: Their latents, shape `(batch, latent_dim)`.
            genre_weights: One-hot rows, shape `(batch, num_genres)`.
            training: Whether it is a training step.

        Returns:
            `(classifier_loss, swap_loss)`, scalars in nats. Only the classifier gets
            gradients of the first. Its weights are constants in the second, or the
            model could lower it by changing them.
        """
        seed = self.seed_generator if training else self.validation_seed_generator
        # Every second latent gets another genre: all move on by the same `steps`.
        steps = keras.random.randint((), 1, self.num_genres, seed=seed)
        targets = ops.roll(genre_weights[::2], steps, axis=1)
        shifted = self.shift_latent(latent[::2], targets)  # identity until `fit`
        swapped = self.decode_latent(shifted, targets, training)
        swapped = augment_for_classifier(swapped, seed)
        # The classifier learns from real and rebuilt clips, whose genre is known.
        inputs = ops.concatenate([log_mel, ops.stop_gradient(rebuilt)])
        inputs = augment_for_classifier(inputs, seed)
        labels = ops.tile(genre_weights, (2, 1))

        classifier_loss = cross_entropy(
            labels, self.classifier(inputs, training=training)
        )
        # Trains decoder and encoder: the classifier should hear the genre asked for.
        swap_loss = cross_entropy(targets, frozen_call(self.classifier, swapped))
        return classifier_loss, swap_loss

    def get_config(self):
        """Returns the arguments of `__init__`, ready for `from_config`."""
        return {
            **super().get_config(),
            "swap_weight": self.swap_weight,
            "guidance": self.guidance,
        }
