"""Principal components with a Gaussian for each genre: what a model without a network reaches."""

import numpy as np
from sklearn.decomposition import PCA


class PCABaseline:
    """A linear model with the interface of the networks, so that the same measures apply to it.

    A clip is the coefficients of its principal components. A new clip of a genre is a draw of the Gaussian of
    that genre's coefficients. The label plays no part in decoding, so it cannot change the genre of a clip.

    Args:
        features: `FeatureSet`; fitted to its training split.
        num_components: Size of the latent.
    """

    def __init__(self, features, num_components=96):
        clips, genre = features.arrays("train")
        flat = clips.reshape(len(clips), -1)
        self.audio_config, self.num_genres = features.config, features.num_genres
        self.latent_dim = int(min(num_components, *flat.shape))
        self.pca = PCA(self.latent_dim, svd_solver="randomized", random_state=0)
        latents = self.pca.fit_transform(flat)
        members = [latents[genre == index] for index in range(self.num_genres)]
        self.means = np.stack([part.mean(axis=0) for part in members])
        # A little of the whole spread keeps the factor defined where a genre has fewer clips than dimensions.
        floor = np.diag(1e-3 * latents.var(axis=0) + 1e-6)
        self.factors = np.stack(
            [np.linalg.cholesky(np.cov(part, rowvar=False) + floor) for part in members]
        )

    def count_params(self):
        """Numbers that were fitted."""
        return int(
            self.pca.components_.size
            + self.pca.mean_.size
            + self.means.size
            + self.factors.size
        )

    def encode(self, log_mel):
        """`(mean, log_var)`, each `(clips, latent_dim)`, of scaled clips; the variance is 0, as an autoencoder's."""
        mean = self.pca.transform(
            np.asarray(log_mel, np.float32).reshape(len(log_mel), -1)
        )
        return mean, np.full_like(mean, -20.0)

    def decode(self, latent, genre=None):
        """Scaled clips `(clips, num_frames, n_mels)` of latents `(clips, latent_dim)`."""
        flat = self.pca.inverse_transform(np.asarray(latent, np.float32))
        return np.clip(flat.reshape(-1, *self.audio_config.shape), -1.0, 1.0).astype(
            np.float32
        )

    def sample_latents(self, genre, seed=0):
        """A draw for each genre index, shape `(clips, latent_dim)`."""
        noise = np.random.default_rng(seed).standard_normal(
            (len(genre), self.latent_dim)
        )
        genre = np.asarray(genre)
        return self.means[genre] + np.einsum("nij,nj->ni", self.factors[genre], noise)
