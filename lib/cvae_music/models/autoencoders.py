"""Autoencoder and VAE, written in notebooks 02 and 03.

Who calls whom: `fit` calls `train_step` for each batch. That calls `compute_losses`,
which encodes (`encode_posterior`), draws a latent, decodes it (`decode_latent`) and
adds up the terms of the loss. What all models share, such as `encode` and `decode` for
NumPy arrays, is in `base.py`; the recipe of a training is `train` in `training.py`.
"""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from cvae_music.models.base import ClipModel
from cvae_music.models.latent_density import LatentDensity
from cvae_music.models.losses import (
    DiagonalGaussian,
    contrast_loss,
    optimal_variance_nll,
)
from cvae_music.models.networks import Sizes, build_decoder, build_encoder
from cvae_music.models.schedules import get_schedule


class Autoencoder(ClipModel):
    """Compresses a clip to a few numbers and rebuilds it; it has no prior to sample.

    Input: scaled log-mel, shape `(batch, num_frames, n_mels)`. Output: the same shape.
    Latent: `global_dim` numbers of the whole clip, then `local_dim` of each 16 frames.

    Args:
        audio_config: `AudioConfig` (or its dict) of the features; saved with the model.
        global_dim: Latent dimensions that describe the whole clip.
        local_dim: Latent dimensions of each slot of 16 frames.
        width: Channels of the inner tokens of the networks, more than 32.
        depth: Residual blocks on the inner tokens, in encoder and decoder each.
        contrast_weight: Weight of `contrast_loss` beside the squared error.
        encoder: A network of your own in place of `build_encoder`'s; all its outputs
            are then global latent dimensions.
        decoder: A network of your own in place of `build_decoder`'s.
        **kwargs: As for `ClipModel`: `seed`, `genres`, `name`.

    Raises:
        ValueError: If a network of your own has other shapes than the clips or latents.

    Example:
        >>> from cvae_music import AudioConfig
        >>> model = Autoencoder(AudioConfig(n_mels=16), width=40, depth=1)
        >>> model.encode(np.zeros((2, 128, 16))).mode().shape
        (2, 96)
    """

    def __init__(
        self,
        audio_config=None,
        global_dim=32,
        local_dim=8,
        width=208,
        depth=3,
        contrast_weight=0.6,
        encoder=None,
        decoder=None,
        **kwargs,
    ):
        super().__init__(audio_config, **kwargs)
        self.global_dim = global_dim
        self.local_dim = local_dim
        self.width = width
        self.depth = depth
        self.contrast_weight = contrast_weight
        self.add_networks(encoder, decoder)

    def build_networks(self, *sizes: *Sizes):
        """Builds encoder and decoder; `sizes` are the arguments of `build_encoder`."""
        return build_encoder(*sizes), build_decoder(*sizes)

    def encode_posterior(self, log_mel, training=False):
        """Encodes clips; an autoencoder's posterior has next to no variance.

        Args:
            log_mel: Scaled clips, shape `(batch, num_frames, n_mels)`.
            training: Whether layers such as dropout are in training mode.

        Returns:
            `DiagonalGaussian` of tensors `(batch, latent_dim)`.
        """
        mean = self.encoder(log_mel, training=training)
        return DiagonalGaussian(mean, ops.full_like(mean, -20.0))

    def decode_latent(self, latent, genre=None, training=False):
        """Decodes latents in a graph.

        Args:
            latent: Float tensor, shape `(batch, latent_dim)`.
            genre: For models with a label: indices `(batch,)` or rows of weights.
            training: Whether layers such as dropout are in training mode.

        Returns:
            Scaled log-mel, shape `(batch, num_frames, n_mels)`.
        """
        return self.decoder(latent, training=training)

    def reconstruction_losses(self, log_mel, rebuilt):
        """Compares clips with their reconstructions.

        Args:
            log_mel: Scaled clips, shape `(batch, num_frames, n_mels)`.
            rebuilt: Reconstructions, same shape.

        Returns:
            Dict of scalars: `reconstruction`, the negative log-likelihood in nats;
            `loss`, the same formula with the contrast term added to the squared error,
            which is what training minimises; `rms_db`, the error in dB.
        """
        num_values = int(np.prod(self.audio_config.shape))
        squared_error = ops.mean(ops.square(log_mel - rebuilt))
        contrast = self.contrast_weight * contrast_loss(log_mel, rebuilt)
        return {
            "loss": optimal_variance_nll(squared_error + contrast, num_values),
            "reconstruction": optimal_variance_nll(squared_error, num_values),
            "rms_db": ops.sqrt(squared_error) * self.audio_config.db_per_unit,
        }

    def compute_losses(self, log_mel, genre=None, training=False):
        """Computes every term of the loss; training and evaluation share it.

        Args:
            log_mel: Scaled clips, shape `(batch, num_frames, n_mels)`.
            genre: Genre indices `(batch,)`, or None.
            training: Whether it is a training step.

        Returns:
            `(losses, rebuilt)`: dict of scalars, and the reconstructions.
        """
        latent = self.encode_posterior(log_mel, training).mode()
        rebuilt = self.decode_latent(latent, genre, training)
        return self.reconstruction_losses(log_mel, rebuilt), rebuilt

    def train_step(self, data):
        """Takes one step of gradient descent; returns the metrics so far."""
        log_mel, genre = self.unpack(data)
        with tf.GradientTape() as tape:
            losses, rebuilt = self.compute_losses(log_mel, genre, training=True)
            losses["loss"] += sum(self.losses)  # regularisers and add_loss
            loss = self.optimizer.scale_loss(losses["loss"])  # mixed precision
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        return self.update_metrics(losses, log_mel, rebuilt)

    def test_step(self, data):
        """Computes the losses of one batch; returns the metrics so far."""
        log_mel, genre = self.unpack(data)
        losses, rebuilt = self.compute_losses(log_mel, genre, training=False)
        losses["loss"] += sum(self.losses)
        return self.update_metrics(losses, log_mel, rebuilt)

    def get_config(self):
        """Returns the arguments of `__init__`, ready for `from_config`."""
        return {
            **super().get_config(),
            "global_dim": self.global_dim,
            "local_dim": self.local_dim,
            "width": self.width,
            "depth": self.depth,
            "contrast_weight": self.contrast_weight,
        }


class VAE(Autoencoder):
    """Variational autoencoder with an optimal-variance Gaussian decoder.

    Args:
        audio_config: As for `Autoencoder`.
        kl: KL weight or schedule, see `get_schedule`.
        **kwargs: As for `Autoencoder`. An `encoder` of your own has
            `2 * latent_dim` outputs: means, then log-variances.

    Source: Kingma and Welling (2014), arXiv:1312.6114; for the variance Rybkin et
    al. (2021), arXiv:2006.13202.

    Example:
        >>> from cvae_music import AudioConfig
        >>> model = VAE(AudioConfig(n_mels=16), width=40, depth=1)
        >>> model.decode(model.sample_latents([0, 0], seed=1)).shape
        (2, 128, 16)
    """

    metric_names: tuple[str, ...] = (
        "loss",
        "reconstruction",
        "rms_db",
        "kl",
        "kl_weight",
    )
    outputs_per_latent = 2

    def __init__(self, audio_config=None, kl=1.0, **kwargs):
        super().__init__(audio_config, **kwargs)
        self.kl = get_schedule(kl)
        first = keras.initializers.Constant(self.kl.weight)
        self.kl_weight = self.add_weight((), first, name="kl_weight", trainable=False)
        num_mixtures = max(1, self.num_genres)
        self.latent_density = LatentDensity(num_mixtures, self.latent_dim)

    def build_networks(self, *sizes: *Sizes):
        """Builds encoder and decoder; the encoder has two outputs for each latent."""
        return build_encoder(*sizes, outputs_per_latent=2), build_decoder(*sizes)

    def encode_posterior(self, log_mel, training=False):
        """Encodes clips; arguments and result as for `Autoencoder`."""
        parameters = self.encoder(log_mel, training=training)
        mean, log_var = ops.split(ops.cast(parameters, "float32"), 2, axis=-1)
        # Bounded to (-8, 2): unbounded, the KL once rose from 80 to 257 nats at once.
        return DiagonalGaussian(mean, 5.0 * ops.tanh((log_var + 3.0) / 5.0) - 3.0)

    def elbo_losses(self, log_mel, genre, training):
        """Computes the loss of a VAE.

        Args:
            log_mel: Scaled clips, shape `(batch, num_frames, n_mels)`.
            genre: Genre indices `(batch,)`, rows of weights, or None.
            training: Whether it is a training step.

        Returns:
            `(losses, latent, rebuilt)`: dict of scalars, the latents that were drawn,
            and the clips decoded from them.
        """
        posterior = self.encode_posterior(log_mel, training)
        latent = posterior.sample(
            self.seed_generator if training else self.validation_seed_generator
        )
        rebuilt = self.decode_latent(latent, genre, training)
        kl_per_dimension = ops.mean(posterior.kl(), axis=0)
        kl = ops.sum(kl_per_dimension)
        step = 0 if self.optimizer is None else self.optimizer.iterations
        if training:
            next_weight = self.kl.next_weight(step, self.kl_weight.value, kl)
            self.kl_weight.assign(next_weight)
        kl_weight = ops.convert_to_tensor(self.kl_weight)
        losses = self.reconstruction_losses(log_mel, rebuilt)
        losses["kl"] = kl
        losses["kl_weight"] = kl_weight
        losses["loss"] += self.kl.penalty(kl_per_dimension, kl_weight, step)
        return losses, latent, rebuilt

    def compute_losses(self, log_mel, genre=None, training=False):
        """Computes every term of the loss; arguments as for `Autoencoder`."""
        losses, _, rebuilt = self.elbo_losses(log_mel, genre, training)
        return losses, rebuilt

    def sample_latents(self, genre, seed=0, temperature=1.0):
        """Draws latents of new clips from the density, or from the prior before a fit.

        Args:
            genre: Genre indices, shape `(clips,)`; only their number counts for a model
                without a label.
            seed: Seed of the draws.
            temperature: Factor of the distance from the means of the mixtures.

        Returns:
            Float32 array, shape `(clips, latent_dim)`.
        """
        genre = np.asarray(genre, np.int32)
        if not self.num_genres:
            genre = np.zeros_like(genre)
        rng = np.random.default_rng(seed)
        return self.latent_density.sample(genre, rng, temperature)

    def get_config(self):
        """Returns the arguments of `__init__`, ready for `from_config`."""
        return {**super().get_config(), "kl": self.kl.get_config()}
