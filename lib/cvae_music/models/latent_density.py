"""Class-conditional Gaussian mixtures over latents (ex-post density estimation)."""

import keras
import numpy as np
from keras import ops
from sklearn.mixture import GaussianMixture

# Numbers of Gaussians that `fit` tries for a genre.
MIXTURE_SIZES = (1, 2, 4, 8)
# A mixture has at most one Gaussian for so many training clips of its genre.
CLIPS_PER_COMPONENT = 50


class LatentDensity(keras.layers.Layer):
    """A Gaussian mixture of latents for each genre, saved with its model.

    Before `fit` every mixture is the prior N(0, I). Written in notebook 03.

    Args:
        num_genres: Number of mixtures; 1 for a model without a label.
        latent_dim: Dimensions of the latent.
        num_components: Largest number of Gaussians in a mixture.
        **kwargs: As for `keras.layers.Layer`: `name`, `dtype`, `trainable`.

    Source: ex-post density estimation, Ghosh et al. (2020), arXiv:1903.12436.

    Example:
        >>> density = LatentDensity(num_genres=2, latent_dim=3)
        >>> density.sample([0, 1, 1], np.random.default_rng(0)).shape
        (3, 3)
    """

    def __init__(self, num_genres, latent_dim, num_components=8, **kwargs):
        kwargs.setdefault("trainable", False)
        kwargs.setdefault("dtype", "float32")
        super().__init__(**kwargs)
        self.num_genres = num_genres
        self.latent_dim = latent_dim
        self.num_components = num_components
        self.build()

    def build(self, input_shape=None):
        """Creates the weights, those of the prior; called by `__init__`."""
        shape = (self.num_genres, self.num_components)
        size = self.latent_dim
        self.shares = self.add_weight(shape, "zeros", name="shares")
        self.means = self.add_weight((*shape, size), "zeros", name="means")
        self.factors = self.add_weight((*shape, size, size), "zeros", name="factors")
        self.shares.assign(
            np.eye(1, self.num_components).repeat(self.num_genres, axis=0)
        )
        self.factors.assign(np.broadcast_to(np.eye(size), (*shape, size, size)))

    def fit(self, latents, genre, held_latents, held_genre, seed=0):
        """Fits every mixture, its size chosen by the likelihood of held-out latents.

        A genre without held-out latents is judged on those it was fitted to.

        Args:
            latents: Draws of the posteriors of training clips, shape
                `(clips, latent_dim)`.
            genre: Their genre indices, shape `(clips,)`.
            held_latents: The same of validation clips, shape
                `(held_clips, latent_dim)`.
            held_genre: Their genre indices, shape `(held_clips,)`.
            seed: Seed of the fit.

        Returns:
            List of the number of Gaussians of each genre: one of 1, 2, 4 and 8 that is
            at most `num_components`; 0 for a genre of fewer than two clips, whose
            mixture stays as it is.
        """
        shares = np.array(self.shares)
        means = np.array(self.means)
        factors = np.array(self.factors)
        chosen = []
        for index in range(self.num_genres):
            rows = latents[genre == index]
            held = held_latents[held_genre == index]
            if len(rows) < 2:
                chosen.append(0)
                continue
            most = min(self.num_components, max(1, len(rows) // CLIPS_PER_COMPONENT))
            fits = [
                GaussianMixture(size, reg_covar=0.02, random_state=seed, max_iter=60)
                for size in MIXTURE_SIZES
                if size <= most
            ]
            for mixture in fits:
                mixture.fit(rows)
            judged = held if len(held) else rows
            best = max(fits, key=lambda mixture: mixture.score(judged))
            size = best.n_components
            shares[index] = np.pad(best.weights_, (0, self.num_components - size))
            means[index, :size] = best.means_
            factors[index, :size] = np.linalg.cholesky(best.covariances_)
            chosen.append(size)
        self.set_weights([shares, means, factors])
        return chosen

    def sample(self, genre, rng, temperature=1.0):
        """Draws one latent for each genre index.

        Args:
            genre: Genre indices, shape `(clips,)`.
            rng: `numpy.random.Generator`.
            temperature: Factor of the distance from the mean of the Gaussian that was
                drawn.

        Returns:
            Float32 array, shape `(clips, latent_dim)`.
        """
        shares = np.array(self.shares, np.float64)
        means = np.array(self.means)
        factors = np.array(self.factors)
        latents = np.empty((len(genre), self.latent_dim), np.float32)
        for row, index in enumerate(genre):
            share = shares[index] / shares[index].sum()
            component = rng.choice(len(share), p=share)
            noise = factors[index, component] @ rng.standard_normal(self.latent_dim)
            latents[row] = means[index, component] + temperature * noise
        return latents

    def call(self, genre_weights, seed=None):
        """Draws one latent for each row of genre weights, inside a graph.

        Args:
            genre_weights: One-hot rows, shape `(batch, num_genres)`.
            seed: `keras.random.SeedGenerator`; a whole number would give the same
                draws at each call.

        Returns:
            Float tensor, shape `(batch, latent_dim)`.
        """
        # 1e-9 keeps the logarithm of an unused Gaussian's share finite.
        logits = ops.log(ops.matmul(genre_weights, self.shares) + 1e-9)
        component = keras.random.categorical(logits, 1, seed=seed)[:, 0]
        component = ops.one_hot(component, self.num_components)
        chosen = genre_weights[:, :, None] * component[:, None, :]
        mean = ops.tensordot(chosen, self.means, 2)
        factor = ops.tensordot(chosen, self.factors, 2)
        noise = keras.random.normal(ops.shape(mean), seed=seed)
        return mean + ops.einsum("bij,bj->bi", factor, noise)

    def get_config(self):
        """Returns the arguments of `__init__`, ready for `from_config`."""
        return {
            **super().get_config(),
            "num_genres": self.num_genres,
            "latent_dim": self.latent_dim,
            "num_components": self.num_components,
        }


def fit_latent_density(model, features, seed=0):
    """Fits a trained model's `LatentDensity` to the latents of its training clips.

    Args:
        model: `VAE` or `ConditionalVAE`.
        features: `FeatureSet`; its training split is encoded, its validation split
            picks the sizes of the mixtures.
        seed: Seed of the posterior draws and of the fit.

    Returns:
        List of the number of Gaussians chosen for each genre, see `LatentDensity.fit`.

    Raises:
        ValueError: If the features have another `AudioConfig` or other genres.

    Example:
        >>> import pandas as pd
        >>> from cvae_music import VAE, AudioConfig, FeatureSet
        >>> config = AudioConfig(n_mels=16)
        >>> table = pd.DataFrame({"genre": "jazz", "split": ["train"] * 3})
        >>> clips = np.zeros((3, 128, 16), np.float16)
        >>> features = FeatureSet(config, ("jazz",), table, clips, table[:0])
        >>> fit_latent_density(VAE(config, width=40, depth=1), features)
        [1]
    """
    model.audio_config.check_compatible(features, model.genres)
    rng = np.random.default_rng(seed)
    data = []
    for split in ("train", "validation"):
        clips, genre = features.arrays(split)
        mean, log_var = model.encode(clips)
        data.append(rng.normal(mean, np.exp(0.5 * log_var)))
        data.append(genre if model.num_genres else np.zeros_like(genre))
    return model.latent_density.fit(*data, seed=seed)
