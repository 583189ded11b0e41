"""Where to draw latents from: a mixture of Gaussians for each genre, saved with its model. Written in notebook 03."""

import keras
import numpy as np
from sklearn.mixture import GaussianMixture


class LatentDensity(keras.layers.Layer):
    """A mixture of Gaussians for each genre, saved with its model; before `fit` it is the prior N(0, I).

    Args:
        num_genres: Number of mixtures; 1 for a model without a label.
        latent_dim: Dimensions of the latent.
        num_components: Gaussians in each mixture at most.
    """

    def __init__(self, num_genres, latent_dim, num_components=8, **kwargs):
        super().__init__(trainable=False, **kwargs)
        shape, size = (num_genres, num_components), latent_dim
        self.shares = self.add_weight(shape=shape, initializer="zeros", name="shares")
        self.means = self.add_weight(
            shape=(*shape, size), initializer="zeros", name="means"
        )
        self.factors = self.add_weight(
            shape=(*shape, size, size), initializer="zeros", name="factors"
        )
        self.shares.assign(np.eye(1, num_components).repeat(num_genres, axis=0))
        self.factors.assign(np.broadcast_to(np.eye(size), (*shape, size, size)))
        self.built = True

    def fit(self, latents, genre, held_latents, held_genre, seed=0):
        """Fits every mixture; the number of Gaussians, 1, 2, 4 or 8, is the one most likely on held-out latents.

        Args:
            latents: Draws of the posteriors of training clips, shape `(clips, latent_dim)`.
            genre: Their genre indices, shape `(clips,)`.
            held_latents: The same of validation clips.
            held_genre: Their genre indices.
            seed: Seed of the fit.

        Returns:
            List of the number of Gaussians of each genre.
        """
        shares, means, factors = (
            value.numpy() for value in (self.shares, self.means, self.factors)
        )
        chosen = []
        for index in range(len(shares)):
            rows, held = latents[genre == index], held_latents[held_genre == index]
            if len(rows) < 2:
                continue
            sizes = [
                size
                for size in (1, 2, 4, 8)
                if size <= min(shares.shape[1], max(1, len(rows) // 50))
            ]
            fits = [
                GaussianMixture(
                    size, reg_covar=0.02, random_state=seed, max_iter=60
                ).fit(rows)
                for size in sizes
            ]
            best = max(
                fits, key=lambda mixture: mixture.score(held if len(held) else rows)
            )
            size = best.n_components
            shares[index] = np.pad(best.weights_, (0, shares.shape[1] - size))
            means[index, :size], factors[index, :size] = (
                best.means_,
                np.linalg.cholesky(best.covariances_),
            )
            chosen.append(size)
        (
            self.shares.assign(shares),
            self.means.assign(means),
            self.factors.assign(factors),
        )
        return chosen

    def sample(self, genre, rng, temperature=1.0):
        """Draws one latent for each genre index; `temperature` scales the distance from the chosen mean."""
        shares, means, factors = (
            value.numpy() for value in (self.shares, self.means, self.factors)
        )
        latents = np.empty((len(genre), means.shape[-1]), np.float32)
        for row, index in enumerate(genre):
            share = shares[index].astype(np.float64)
            component = rng.choice(len(share), p=share / share.sum())
            noise = rng.standard_normal(means.shape[-1])
            latents[row] = (
                means[index, component]
                + temperature * factors[index, component] @ noise
            )
        return latents


def fit_latent_density(model, features, seed=0):
    """Fits the sampling distribution of a trained model to where its training latents are.

    Args:
        model: `VAE` or `ConditionalVAE`.
        features: `FeatureSet`; its training split is encoded, its validation split picks the sizes.
        seed: Seed of the posterior draws and of the fit.

    Returns:
        List of the number of Gaussians chosen for each genre.

    Source: ex-post density estimation, Ghosh et al. (2020), arXiv:1903.12436.
    """
    model.audio_config.check_compatible(features, model.genres)
    rng, data = np.random.default_rng(seed), []
    for split in ("train", "validation"):
        clips, genre = features.arrays(split)
        mean, log_var = model.encode(clips)
        data += [
            mean + np.exp(0.5 * log_var) * rng.standard_normal(mean.shape),
            genre * bool(model.num_genres),
        ]
    return model.latent_density.fit(*data, seed=seed)
