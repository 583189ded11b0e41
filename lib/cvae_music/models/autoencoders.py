"""Autoencoder and VAE: thin Keras models around the networks. Written in notebooks 02 and 03."""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from cvae_music.models.base import ClipModel
from cvae_music.models.latent_density import LatentDensity
from cvae_music.models.losses import contrast_loss, gaussian_kl, optimal_variance_nll
from cvae_music.models.networks import build_decoder, build_encoder
from cvae_music.models.schedules import get_schedule


class Autoencoder(ClipModel):
    """Clip to a few numbers and back, without a prior: good at rebuilding, not made for sampling.

    Args:
        audio_config: `AudioConfig` (or its dict) of the features; saved with the model.
        global_dim: Latent dimensions that describe the whole clip.
        local_dim: Latent dimensions of each beat.
        width: Channels of the networks.
        depth: Residual blocks of the encoder and of the decoder.
        contrast_weight: Weight of `losses.contrast_loss` beside the squared error.
        **kwargs: As for `ClipModel`: `seed`, and `genres` for a model with a label.
    """

    def __init__(
        self,
        audio_config=None,
        global_dim=32,
        local_dim=8,
        width=208,
        depth=3,
        contrast_weight=0.6,
        **kwargs,
    ):
        super().__init__(audio_config, **kwargs)
        self.global_dim, self.local_dim, self.width, self.depth = (
            global_dim,
            local_dim,
            width,
            depth,
        )
        self.contrast_weight = contrast_weight
        self.encoder, self.decoder = self.build_networks(
            self.audio_config.shape, global_dim, local_dim, width, depth
        )

    def build_networks(self, *sizes):
        """The encoder and the decoder; `sizes` are the arguments of `build_encoder`."""
        return build_encoder(*sizes), build_decoder(*sizes)

    def encode_parameters(self, log_mel, training=False):
        """`(mean, log_var)` of each clip's latent, both `(batch, latent_dim)`; an autoencoder has next to no variance."""
        mean = self.encoder(log_mel, training=training)
        return mean, ops.full_like(mean, -20.0)

    def decode_latent(self, latent, genre=None, training=False):
        """Scaled log-mel `(batch, num_frames, n_mels)` of latents; the genre is for models with a label."""
        return self.decoder(latent, training=training)

    def reconstruction_terms(self, log_mel, rebuilt):
        """Negative log-likelihood in nats, and the RMS error in dB."""
        squared = ops.mean(ops.square(log_mel - rebuilt))
        distortion = squared + self.contrast_weight * contrast_loss(log_mel, rebuilt)
        nll = optimal_variance_nll(distortion, int(np.prod(self.audio_config.shape)))
        return {
            "loss": nll,
            "reconstruction": nll,
            "rms_db": ops.sqrt(squared) * self.audio_config.db_per_unit,
        }

    def loss_terms(self, data, training):
        """Every term of the loss of `(log_mel, genre)`, shared by training and test: a dict of scalars."""
        log_mel, genre = data
        mean, _ = self.encode_parameters(log_mel, training)
        return self.reconstruction_terms(
            log_mel, self.decode_latent(mean, genre, training)
        )

    def train_step(self, data):
        with tf.GradientTape() as tape:
            terms = self.loss_terms(data, training=True)
            loss = self.optimizer.scale_loss(terms["loss"])  # mixed precision
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        return self.track(terms)

    def test_step(self, data):
        return self.track(self.loss_terms(data, training=False))


class VAE(Autoencoder):
    """Variational autoencoder with an optimal-variance Gaussian decoder (Kingma and Welling, 2014).

    Args:
        audio_config: As for `Autoencoder`.
        kl: KL weight or schedule, see `schedules.get_schedule`.
        **kwargs: As for `Autoencoder`.
    """

    metric_names = ("loss", "reconstruction", "rms_db", "kl", "kl_weight")

    def __init__(self, audio_config=None, kl=1.0, **kwargs):
        super().__init__(audio_config, **kwargs)
        self.kl = get_schedule(kl)
        start = keras.initializers.Constant(self.kl.weight)
        self.kl_weight = self.add_weight(
            name="kl_weight", shape=(), trainable=False, initializer=start
        )
        self.latent_density = LatentDensity(
            max(1, self.num_genres), self.latent_dim, name="latent_density"
        )

    def build_networks(self, *sizes):
        return build_encoder(*sizes, outputs_per_latent=2), build_decoder(*sizes)

    def encode_parameters(self, log_mel, training=False):
        mean, log_var = ops.split(
            ops.cast(self.encoder(log_mel, training=training), "float32"), 2, axis=-1
        )
        # Bounded to (-8, 2): a free log-variance once sent the KL divergence from 80 to 257 nats in one epoch.
        return mean, 5.0 * ops.tanh((log_var + 3.0) / 5.0) - 3.0

    def sample_posterior(self, mean, log_var):
        """A draw of each posterior, by the reparameterisation trick; shape `(batch, latent_dim)`."""
        return mean + ops.exp(0.5 * log_var) * keras.random.normal(
            ops.shape(mean), seed=self.noise
        )

    def elbo_terms(self, data, training):
        """The terms of the loss, the latents that were drawn, and the clips rebuilt from them."""
        log_mel, genre = data
        mean, log_var = self.encode_parameters(log_mel, training)
        latent = self.sample_posterior(mean, log_var)
        rebuilt = self.decode_latent(latent, genre, training)
        kl_per_dimension = ops.mean(gaussian_kl(mean, log_var), axis=0)
        kl, step = (
            ops.sum(kl_per_dimension),
            0 if self.optimizer is None else self.optimizer.iterations,
        )
        if training:
            self.kl_weight.assign(self.kl.next_weight(step, self.kl_weight.value, kl))
        weight = ops.convert_to_tensor(self.kl_weight)
        terms = self.reconstruction_terms(log_mel, rebuilt) | {
            "kl": kl,
            "kl_weight": weight,
        }
        terms["loss"] = terms["loss"] + self.kl.penalty(kl_per_dimension, weight, step)
        return terms, latent, rebuilt

    def loss_terms(self, data, training):
        return self.elbo_terms(data, training)[0]

    def sample_latents(self, genre, seed=0, temperature=1.0):
        """Draws latents for new clips: from the prior, or where `fit_latent_density` found the training clips.

        Args:
            genre: Genre indices, shape `(clips,)`; only their number counts for a model without a label.
            seed: Seed of the draws.
            temperature: Scales the spread around the means of the mixture.

        Returns:
            Float32 array, shape `(clips, latent_dim)`.
        """
        genre = np.asarray(genre, np.int32) * bool(self.num_genres)
        return self.latent_density.sample(
            genre, np.random.default_rng(seed), temperature
        )
