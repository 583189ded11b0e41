"""Autoencoder and VAE: thin Keras models around the networks, one loss for training and test."""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from cvae_music.config import AudioConfig
from cvae_music.losses import contrast_loss, gaussian_kl, optimal_variance_nll
from cvae_music.networks import FRAMES_PER_SLOT, build_decoder, build_encoder
from cvae_music.sampling import LatentDensity
from cvae_music.schedules import get_schedule


@keras.saving.register_keras_serializable(package="cvae_music")
class Autoencoder(keras.Model):
    """Clip to a few numbers and back, without a prior: good at rebuilding, not made for sampling.

    Args:
        audio_config: `AudioConfig` (or its dict) of the features; saved with the model.
        global_dim: Latent dimensions that describe the whole clip.
        local_dim: Latent dimensions of each beat.
        width: Channels of the networks.
        depth: Residual blocks of the encoder and of the decoder.
        contrast_weight: Weight of `losses.contrast_loss` beside the squared error.
        seed: Seed of the latent noise.
    """

    outputs_per_latent = 1
    num_genres = 0

    def __init__(
        self, audio_config=None, global_dim=32, local_dim=8, width=208, depth=3, contrast_weight=0.0, seed=0, **kwargs
    ):
        super().__init__(**kwargs)
        if not isinstance(audio_config, AudioConfig):
            audio_config = AudioConfig.from_dict(audio_config or {})
        self.audio_config = audio_config
        self.global_dim, self.local_dim = int(global_dim), int(local_dim)
        self.width, self.depth, self.seed = int(width), int(depth), int(seed)
        self.contrast_weight = float(contrast_weight)
        sizes = (audio_config.shape, self.global_dim, self.local_dim, self.width, self.depth)
        self.encoder = build_encoder(*sizes, outputs_per_latent=self.outputs_per_latent)
        self.decoder = build_decoder(*sizes, num_genres=self.num_genres)
        self.noise = keras.random.SeedGenerator(self.seed)
        self.trackers = {name: keras.metrics.Mean(name=name) for name in self.term_names()}
        self.built = True

    def term_names(self):
        """Names of the reported terms; the keys of `train_step` are the names of the metrics."""
        return ["loss", "reconstruction", "rms_db"]

    @property
    def latent_dim(self):
        """Numbers in the latent of one clip."""
        return self.global_dim + self.audio_config.num_frames // FRAMES_PER_SLOT * self.local_dim

    @property
    def metrics(self):
        return list(self.trackers.values())

    def encode_parameters(self, log_mel, training=False):
        """`(mean, log_var)` of each clip's latent, both `(batch, latent_dim)`; an autoencoder has variance 0."""
        mean = self.encoder(log_mel, training=training)
        return mean, ops.full_like(mean, -20.0)

    def decode_latent(self, latent, genre_weights, training=False):
        """Scaled log-mel `(batch, num_frames, n_mels)` of latents; `genre_weights` is for models with a label."""
        return self.decoder(latent, training=training)

    def genre_weights(self, genre):
        """Whatever names genres (indices, weights) as what the decoder takes; `None` without a label."""
        return None

    def call(self, inputs, training=False):
        log_mel, genre = inputs if isinstance(inputs, (tuple, list)) else (inputs, None)
        mean, _ = self.encode_parameters(log_mel, training=training)
        return self.decode_latent(mean, self.genre_weights(genre), training=training)

    def loss_terms(self, data, training):
        """Every term of the loss, shared by `train_step` and `test_step`.

        Args:
            data: `(log_mel, genre)`: scaled features `(batch, num_frames, n_mels)`, genre indices `(batch,)`.
            training: Whether gradients will be taken.

        Returns:
            A dict of scalars with the keys of `term_names`.
        """
        log_mel, genre = data
        mean, _ = self.encode_parameters(log_mel, training=training)
        return self.reconstruction_terms(log_mel, self.decode_latent(mean, self.genre_weights(genre), training))

    def reconstruction_terms(self, log_mel, rebuilt):
        """Negative log-likelihood in nats, and the RMS error in dB."""
        squared = ops.mean(ops.square(log_mel - rebuilt))
        distortion = squared
        if self.contrast_weight:
            distortion = squared + self.contrast_weight * contrast_loss(log_mel, rebuilt)
        nll = optimal_variance_nll(distortion, int(np.prod(self.audio_config.shape)))
        rms_db = ops.sqrt(squared) * self.audio_config.db_per_unit
        return {"loss": nll, "reconstruction": nll, "rms_db": rms_db}

    def train_step(self, data):
        with tf.GradientTape() as tape:
            terms = self.loss_terms(data, training=True)
            loss = self.optimizer.scale_loss(terms["loss"])  # mixed precision
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply(gradients, self.trainable_variables)
        return self.track(terms)

    def test_step(self, data):
        return self.track(self.loss_terms(data, training=False))

    def track(self, terms):
        """Adds the terms to the epoch's means and returns these."""
        for name, tracker in self.trackers.items():
            tracker.update_state(terms[name])
        return {name: tracker.result() for name, tracker in self.trackers.items()}

    def encode(self, log_mel, batch_size=64):
        """NumPy `(mean, log_var)`, each `(clips, latent_dim)`, of scaled clips `(clips, num_frames, n_mels)`.

        Raises:
            ValueError: If the clips have another shape.
        """
        log_mel = np.asarray(log_mel, np.float32)
        if log_mel.ndim != 3 or log_mel.shape[1:] != self.audio_config.shape:
            raise ValueError(
                f"encode got shape {log_mel.shape}; expected (clips, {self.audio_config.num_frames}, "
                f"{self.audio_config.n_mels}), scaled to [-1, 1]. Use AudioConfig.scale on dB."
            )
        pieces = [self._encode_graph(log_mel[i : i + batch_size]) for i in range(0, len(log_mel), batch_size)]
        return tuple(np.concatenate([np.asarray(piece[k]) for piece in pieces]) for k in range(2))

    def decode(self, latent, genre=None, batch_size=64):
        """Scaled clips `(clips, num_frames, n_mels)`, NumPy, of latents `(clips, latent_dim)`.

        Args:
            latent: Float array, shape `(clips, latent_dim)`.
            genre: Genre indices `(clips,)` or weights `(clips, num_genres)` that sum to 1; ignored
                by models without a label.
            batch_size: Clips at a time.

        Raises:
            ValueError: If a shape is wrong, or a genre is missing or unknown.
        """
        latent = np.asarray(latent, np.float32)
        if latent.ndim != 2 or latent.shape[1] != self.latent_dim:
            raise ValueError(f"decode got latents of shape {latent.shape}; expected (clips, {self.latent_dim}).")
        weights = self.genre_weights(genre)
        weights = np.zeros((len(latent), 1), np.float32) if weights is None else np.asarray(weights)
        if len(weights) != len(latent):
            raise ValueError(f"decode got {len(latent)} latents and {len(weights)} genres; expected one for each.")
        steps = range(0, len(latent), batch_size)
        pieces = [self._decode_graph(latent[i : i + batch_size], weights[i : i + batch_size]) for i in steps]
        return np.concatenate([np.asarray(piece) for piece in pieces])

    @tf.function(reduce_retracing=True, autograph=False)
    def _encode_graph(self, log_mel):
        return self.encode_parameters(log_mel)

    # One graph for any number of clips: a mix, which decodes several, does not wait for another to be traced.
    @tf.function(autograph=False, input_signature=[tf.TensorSpec((None, None)), tf.TensorSpec((None, None))])
    def _decode_graph(self, latent, weights):
        return self.decode_latent(tf.ensure_shape(latent, (None, self.latent_dim)), tf.ensure_shape(weights, (None, max(1, self.num_genres))))

    def get_config(self):
        names = ("global_dim", "local_dim", "width", "depth", "contrast_weight", "seed")
        own = {name: getattr(self, name) for name in names}
        return {**super().get_config(), **own, "audio_config": self.audio_config.to_dict()}


@keras.saving.register_keras_serializable(package="cvae_music")
class VAE(Autoencoder):
    """Variational autoencoder with an optimal-variance Gaussian decoder (Kingma and Welling, 2014).

    Args:
        kl: KL weight or schedule, see `schedules.get_schedule`.
        **kwargs: As for `Autoencoder`.
    """

    outputs_per_latent = 2

    def __init__(self, *args, kl=1.0, **kwargs):
        super().__init__(*args, **kwargs)
        self.schedule = get_schedule(kl)
        self.latent_density = LatentDensity(max(1, self.num_genres), self.latent_dim, name="latent_density")
        self.kl_weight = self.add_weight(
            name="kl_weight", shape=(), trainable=False, dtype="float32",
            initializer=keras.initializers.Constant(self.schedule.weight),
        )  # fmt: skip

    def term_names(self):
        return super().term_names() + ["kl", "kl_weight"]

    def encode_parameters(self, log_mel, training=False):
        mean, log_var = ops.split(self.encoder(log_mel, training=training), 2, axis=-1)
        # Bounded to (-8, 2): a free log-variance once sent the KL divergence from 80 to 257 nats in one epoch.
        return ops.cast(mean, "float32"), 5.0 * ops.tanh((ops.cast(log_var, "float32") + 3.0) / 5.0) - 3.0

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
        return self.latent_density.sample(genre, np.random.default_rng(seed), temperature)

    def sample_posterior(self, mean, log_var):
        """A draw of each posterior, by the reparameterisation trick; shape `(batch, latent_dim)`."""
        return mean + ops.exp(0.5 * log_var) * keras.random.normal(ops.shape(mean), seed=self.noise)

    def loss_terms(self, data, training):
        log_mel, genre = data
        mean, log_var = self.encode_parameters(log_mel, training=training)
        latent = self.sample_posterior(mean, log_var)
        rebuilt = self.decode_latent(latent, self.genre_weights(genre), training=training)
        terms = self.reconstruction_terms(log_mel, rebuilt)
        kl_per_dimension = ops.mean(gaussian_kl(mean, log_var), axis=0)
        terms["kl"] = ops.sum(kl_per_dimension)
        optimizer = getattr(self, "optimizer", None)  # absent before compile
        step = optimizer.iterations if optimizer is not None else 0
        if training:
            self.kl_weight.assign(self.schedule.next_weight(step, self.kl_weight.value, terms["kl"]))
        terms["kl_weight"] = ops.convert_to_tensor(self.kl_weight)
        terms["loss"] = terms["loss"] + self.schedule.penalty(kl_per_dimension, terms["kl_weight"], step)
        return self.extra_terms(terms, log_mel, rebuilt, latent, genre, training)

    def extra_terms(self, terms, log_mel, rebuilt, latent, genre, training):
        """Where a subclass adds to `terms["loss"]`."""
        return terms

    def get_config(self):
        return {**super().get_config(), "kl": keras.saving.serialize_keras_object(self.schedule)}

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        if isinstance(config.get("kl"), dict) and "class_name" in config["kl"]:
            config["kl"] = keras.saving.deserialize_keras_object(config["kl"])
        return cls(**config)
