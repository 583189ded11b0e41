"""Where to draw latents from, and how a latent becomes a clip one can hear."""

import dataclasses

import keras
import numpy as np
from sklearn.mixture import GaussianMixture

from cvae_music.audio import TINY
from cvae_music.inversion import to_audio

COMPONENT_CHOICES = (1, 2, 4, 8)


@keras.saving.register_keras_serializable(package="cvae_music")
class LatentDensity(keras.layers.Layer):
    """A mixture of Gaussians for each genre, saved with its model; before `fit` it is the prior N(0, I).

    Args:
        num_genres: Number of mixtures; 1 for a model without a label.
        latent_dim: Dimensions of the latent.
        num_components: Gaussians in each mixture at most.
    """

    def __init__(self, num_genres, latent_dim, num_components=COMPONENT_CHOICES[-1], **kwargs):
        super().__init__(trainable=False, **kwargs)
        self.num_genres, self.latent_dim, self.num_components = num_genres, latent_dim, num_components
        shape = (num_genres, num_components)
        self.shares = self._variable("shares", np.eye(1, num_components).repeat(num_genres, 0))
        self.means = self._variable("means", np.zeros((*shape, latent_dim)))
        self.factors = self._variable("factors", np.broadcast_to(np.eye(latent_dim), (*shape, latent_dim, latent_dim)))
        self.built = True

    def _variable(self, name, value):
        start = keras.initializers.Zeros()
        variable = self.add_weight(name=name, shape=value.shape, initializer=start, trainable=False, dtype="float32")
        variable.assign(value)
        return variable

    def fit(self, latents, genre, held_latents, held_genre, seed=0):
        """Fits every mixture; the number of Gaussians is the one most likely on held-out latents.

        Args:
            latents: Draws of the posteriors of training clips, shape `(clips, latent_dim)`.
            genre: Their genre indices, shape `(clips,)`.
            held_latents: The same of validation clips.
            held_genre: Their genre indices.
            seed: Seed of the fit.

        Returns:
            List of the number of Gaussians of each genre.
        """
        shares, means, factors = (np.array(v) for v in (self.shares, self.means, self.factors))
        chosen = []
        for index in range(self.num_genres):
            rows, held = latents[genre == index], held_latents[held_genre == index]
            if len(rows) < 2:
                continue
            held = held if len(held) else rows
            sizes = [size for size in COMPONENT_CHOICES if size <= min(self.num_components, max(1, len(rows) // 50))]
            fits = [_fit_mixture(rows, size, seed) for size in sizes]
            best = max(fits, key=lambda mixture: mixture.score(held))
            size = best.n_components
            shares[index] = 0.0
            shares[index, :size] = best.weights_
            means[index, :size] = best.means_
            factors[index, :size] = np.linalg.cholesky(best.covariances_)
            chosen.append(size)
        for variable, value in ((self.shares, shares), (self.means, means), (self.factors, factors)):
            variable.assign(value)
        return chosen

    def sample(self, genre, rng, temperature=1.0):
        """Draws one latent for each genre index; `temperature` scales the distance from the chosen mean."""
        shares, means, factors = (np.array(v) for v in (self.shares, self.means, self.factors))
        latents = np.empty((len(genre), self.latent_dim), np.float32)
        for row, index in enumerate(genre):
            share = shares[index].astype(np.float64)
            component = rng.choice(self.num_components, p=share / share.sum())
            noise = rng.standard_normal(self.latent_dim)
            latents[row] = means[index, component] + temperature * factors[index, component] @ noise
        return latents

    def get_config(self):
        sizes = {"num_genres": self.num_genres, "latent_dim": self.latent_dim, "num_components": self.num_components}
        return {**super().get_config(), **sizes}


def _fit_mixture(rows, size, seed):
    mixture = GaussianMixture(size, covariance_type="full", reg_covar=0.02, random_state=seed, max_iter=60)
    return mixture.fit(rows)


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
    rng = np.random.default_rng(seed)
    data = []
    for split in ("train", "validation"):
        clips, genre = features.arrays(split)
        mean, log_var = model.encode(clips)
        latents = mean + np.exp(0.5 * log_var) * rng.standard_normal(mean.shape)
        data += [latents, genre if model.num_genres else np.zeros_like(genre)]
    return model.latent_density.fit(*data, seed=seed)


def mixed_log_mel(model, latents, weights):
    """Levels of genres that play one idea together: decoded as each genre, powers added by weight.

    A decoder that was trained on whole labels makes of half a label what it likes, at times a third genre; of two
    whole labels it makes two genres on the same beat. A clip of one genre is what the decoder says.

    Args:
        model: `VAE` or `ConditionalVAE`.
        latents: Shape `(clips, latent_dim)`.
        weights: Genre weights that sum to 1, shape `(clips, num_genres)`; None for a model without a label.

    Returns:
        Float32 array, dB, shape `(clips, num_frames, n_mels)`.

    Raises:
        ValueError: If the weights have another shape, one is negative, or all of a clip are 0; and as `model.decode`.
    """
    config = model.audio_config
    if weights is None:
        return config.unscale(model.decode(latents))
    latents, weights = np.asarray(latents, np.float32), np.asarray(weights, np.float32)
    expected = (len(latents), model.num_genres)
    if weights.shape != expected or np.any(weights < 0) or not np.all(weights.any(axis=1)):
        raise ValueError(
            f"mixed_log_mel got weights of shape {weights.shape}, from {weights.min(initial=0):g} to "
            f"{weights.max(initial=0):g}; expected {expected}, at least 0, not all 0 for a clip."
        )
    clip, genre = np.nonzero(weights)
    levels = config.unscale(model.decode(latents[clip], genre))
    if len(clip) == len(latents):  # one genre each
        return levels
    power = weights[clip, genre][:, None, None] * 10.0 ** (0.1 * levels)
    power = np.add.reduceat(power, np.flatnonzero(np.diff(clip, prepend=-1)), axis=0)
    level = 10.0 * np.log10(np.maximum(power, TINY))
    return np.clip(level, config.floor_db, config.ceiling_db).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class Clip:
    """A generated clip with what it takes to make it again.

    Args:
        log_mel: dB, shape `(num_frames, n_mels)`.
        samples: Sound, shape `(samples,)`.
        genre: Name of the genre, or None.
        tempo: Beats a minute.
        seed: Seed it was drawn with.
        latent: Shape `(latent_dim,)`.
    """

    log_mel: np.ndarray
    samples: np.ndarray
    genre: str | None
    tempo: float
    seed: int
    latent: np.ndarray


def generate(model, genre=None, num_clips=1, tempo=120.0, temperature=1.0, seed=0):
    """Draws latents, decodes them and turns them into sound.

    Args:
        model: `VAE` or `ConditionalVAE`.
        genre: Name of a genre of the model; `None` for a model without a label.
        num_clips: Clips to make; clip `k` has the seed `seed + k`.
        tempo: Beats a minute, exact.
        temperature: 1 draws as the music varies, less stays near the typical.
        seed: Seed of the first clip.

    Returns:
        List of `Clip`.

    Raises:
        ValueError: If the genre is missing or unknown.
    """
    index = 0
    if model.num_genres:
        if genre not in model.genres:
            raise ValueError(f"generate got genre={genre!r}; expected one of {list(model.genres)}.")
        index = model.genres.index(genre)
    clips = []
    for number in range(seed, seed + num_clips):
        latent = model.sample_latents([index], seed=number, temperature=temperature)
        log_mel = model.audio_config.unscale(model.decode(latent, [index]))[0]
        samples = to_audio(log_mel, model.audio_config, tempo, seed=number)
        clips.append(Clip(log_mel, samples, genre, float(tempo), number, latent[0]))
    return clips
