"""Principal components with a Gaussian for each genre: what a linear model reaches."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.decomposition import PCA


class PCABaseline:
    """A principal component analysis with the interface of the networks.

    The same measures apply to it. The latent of a clip is the coefficients of its
    principal components. The latent of a new clip is drawn from the Gaussian of its
    genre. The label plays no part in decoding, so it cannot change the genre of a clip.

    Args:
        num_components: Size of the latent, at most.

    Example:
        >>> from types import SimpleNamespace
        >>> clips = np.random.default_rng(0).standard_normal((6, 4, 2))
        >>> config = SimpleNamespace(shape=(4, 2))
        >>> features = SimpleNamespace(config=config, num_genres=2)
        >>> features.arrays = lambda split: (clips, np.array([0, 0, 0, 0, 0, 1]))
        >>> PCABaseline(3).fit(features).sample_latents([0, 1]).shape
        (2, 3)
    """

    def __init__(self, num_components: int = 96):
        self.num_components = num_components

    def fit(self, features: Any) -> PCABaseline:
        """Fits components and Gaussians to the training split.

        Args:
            features: `FeatureSet`.

        Returns:
            The model itself, with the attributes `audio_config`, `num_genres`,
            `latent_dim`, `pca_`, `means_` `(num_genres, latent_dim)` and `factors_`
            `(num_genres, latent_dim, latent_dim)`, the Cholesky factors of the
            covariances.
        """
        clips, genre = features.arrays("train")
        flat = clips.reshape(len(clips), -1)
        self.audio_config = features.config
        self.num_genres = features.num_genres
        self.latent_dim = int(min(self.num_components, *flat.shape))
        self.pca_ = PCA(self.latent_dim, svd_solver="randomized", random_state=0)
        latents = self.pca_.fit_transform(flat)
        # A little of the whole spread keeps the factor defined where a genre has fewer
        # clips than dimensions.
        floor = np.diag(1e-3 * latents.var(axis=0) + 1e-6)
        means = []
        factors = []
        for index in range(self.num_genres):
            members = latents[genre == index]
            covariance = floor
            if len(members) > 1:
                covariance = floor + np.cov(members, rowvar=False)
            means.append(members.mean(axis=0))
            factors.append(np.linalg.cholesky(covariance))
        self.means_ = np.stack(means)
        self.factors_ = np.stack(factors)
        return self

    def count_params(self) -> int:
        """Counts the numbers that were fitted."""
        fitted = (self.pca_.components_, self.pca_.mean_, self.means_, self.factors_)
        return int(sum(values.size for values in fitted))

    def encode(self, log_mel: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
        """Encodes scaled clips.

        Args:
            log_mel: Shape `(clips, num_frames, n_mels)`.

        Returns:
            `(mean, log_var)`, each `(clips, latent_dim)`; the variance is next to 0, as
            an autoencoder's.
        """
        clips = np.asarray(log_mel, np.float32)
        mean = self.pca_.transform(clips.reshape(len(clips), -1))
        return mean, np.full_like(mean, -20.0)

    def decode(self, latent: ArrayLike, genre: ArrayLike | None = None) -> np.ndarray:
        """Decodes latents to scaled clips.

        Args:
            latent: Shape `(clips, latent_dim)`.
            genre: Not used.

        Returns:
            float32 array in [-1, 1], shape `(clips, num_frames, n_mels)`.
        """
        flat = self.pca_.inverse_transform(np.asarray(latent, np.float32))
        clips = flat.reshape(-1, *self.audio_config.shape)
        return np.clip(clips, -1.0, 1.0).astype(np.float32)

    def sample_latents(self, genre: ArrayLike, seed: int = 0) -> np.ndarray:
        """Draws a latent for each genre index.

        Args:
            genre: Genre indices, shape `(clips,)`.
            seed: Seed of the draws.

        Returns:
            Array of shape `(clips, latent_dim)`.
        """
        genre = np.asarray(genre)
        rng = np.random.default_rng(seed)
        noise = rng.standard_normal((len(genre), self.latent_dim))
        return self.means_[genre] + np.einsum("nij,nj->ni", self.factors_[genre], noise)
