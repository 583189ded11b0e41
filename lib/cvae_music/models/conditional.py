"""ConditionalVAE: a VAE whose decoder is given a genre. Written in notebook 05."""

import keras
import numpy as np
from keras import ops

from cvae_music.models.autoencoders import VAE
from cvae_music.models.networks import (
    Sizes,
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


class ConditionalVAE(VAE):
    """VAE whose decoder is given the genre at every stage.

    The encoder gets no label, so a latent holds some of its clip's genre too. After
    training, `ClassMeanShift` exchanges that part before a latent is decoded.

    Inputs: scaled log-mel `(batch, num_frames, n_mels)` and genre indices `(batch,)` or
    weights `(batch, num_genres)`. Output: log-mel of the clips' shape. The latent's
    layout is that of `Autoencoder`.

    Args:
        audio_config: As for `VAE`.
        genres: Names of the genres in order; saved with the model.
        fit_mean_shift: Whether `train` fits the `ClassMeanShift`. Without it this is a
            plain conditional VAE, to compare with.
        guidance: How far `decode` exaggerates the genre asked for, see `guide`; 0
            keeps most of the latent's idea, 1 sounds more like the genre.
        **kwargs: As for `VAE`. A `decoder` of your own takes `[latent, genre_weights]`.

    Raises:
        ValueError: If fewer than two genres are named.

    Source: conditional VAE, Sohn, Lee and Yan (2015); a label at every stage, Perez et
    al. (2018), FiLM, arXiv:1709.07871.

    Example:
        >>> from cvae_music import AudioConfig
        >>> config = AudioConfig(n_mels=16)
        >>> model = ConditionalVAE(config, ["jazz", "house"], width=40, depth=1)
        >>> model.decode(model.sample_latents([0, 1]), genre=[0, 1]).shape
        (2, 128, 16)
    """

    def __init__(
        self,
        audio_config=None,
        genres=(),
        fit_mean_shift=True,
        guidance=0.0,
        **kwargs,
    ):
        if len(genres) < 2:
            raise ValueError(
                f"{type(self).__name__} got genres={list(genres)}; expected two "
                "different names or more; a model of one genre is a VAE."
            )
        super().__init__(audio_config, genres=genres, **kwargs)
        self.fit_mean_shift = fit_mean_shift
        self.guidance = guidance
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

    def get_config(self):
        """Returns the arguments of `__init__`, ready for `from_config`."""
        return {
            **super().get_config(),
            "fit_mean_shift": self.fit_mean_shift,
            "guidance": self.guidance,
        }
