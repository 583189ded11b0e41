"""The base class of all models: checks, NumPy arrays in batches, metrics, configs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from cvae_music import saving
from cvae_music.config import AudioConfig
from cvae_music.models.losses import DiagonalGaussian
from cvae_music.models.networks import SLOT_FRAMES


class ClipModel(keras.Model):
    """Base class of the models that notebooks 02 to 05 write.

    A subclass makes `encoder` and `decoder`, and writes `encode_posterior`,
    `decode_latent`, `compute_losses` and `train_step`.

    Args:
        audio_config: `AudioConfig` (or its dict) of the features; saved with the model.
        genres: Names of the genres in order, for a model with a label.
        seed: Seed of the latent noise.
        **kwargs: As for `keras.Model`: `name`, `dtype`, `trainable`.

    Raises:
        ValueError: If the number of frames is no multiple of 16.

    Example:
        >>> class MeanLevel(ClipModel):  # a latent of one number
        ...     global_dim = 1
        ...     local_dim = 0
        ...
        ...     def encode_posterior(self, log_mel, training=False):
        ...         mean = keras.ops.mean(log_mel, axis=(1, 2))[:, None]
        ...         return DiagonalGaussian(mean, keras.ops.full_like(mean, -20.0))
        >>> model = MeanLevel(AudioConfig(n_mels=16))
        >>> model.encode(np.full((1, 128, 16), 0.5)).mode().tolist()
        [[0.5]]
    """

    metric_names: tuple[str, ...] = ("loss", "reconstruction", "rms_db")
    outputs_per_latent = 1  # 2 where the encoder has means and log-variances
    optimizer: Any = None  # until `compile`

    def __init_subclass__(cls):
        super().__init_subclass__()
        package = cls.__module__.partition(".")[0]
        keras.saving.register_keras_serializable(package)(cls)

    def __init__(self, audio_config=None, genres=(), seed=0, **kwargs):
        super().__init__(**kwargs)
        if not isinstance(audio_config, AudioConfig):
            audio_config = AudioConfig.from_dict(audio_config or {})
        if audio_config.num_frames % SLOT_FRAMES:
            found = f"Got num_frames={audio_config.num_frames}"
            raise ValueError(f"{found}; expected a multiple of {SLOT_FRAMES}.")
        self.audio_config = audio_config
        self.num_slots = audio_config.num_frames // SLOT_FRAMES
        self.genres = tuple(str(genre) for genre in genres)
        self.num_genres = len(self.genres)
        self.seed = int(seed)
        self.noise = keras.random.SeedGenerator(self.seed)
        self.validation_noise = keras.random.SeedGenerator(self.seed)
        self.trackers = [keras.metrics.Mean(name=name) for name in self.metric_names]
        # The networks are functional models, built in `__init__`: nothing is left for
        # Keras to build at the first call.
        self.built = True

    def add_networks(self, encoder=None, decoder=None):
        """Builds `encoder` and `decoder`, or takes over given ones.

        Args:
            encoder: A network from clips to `outputs_per_latent * latent_dim` numbers,
                all of which describe the whole clip; None for the model's own.
            decoder: A network from latents, or `[latents, genre_weights]`, to clips;
                None for the model's own.

        Raises:
            ValueError: If a given network has other shapes than clips or latents.
        """
        self.given_networks = {"encoder": encoder, "decoder": decoder}
        if encoder is not None:
            self.global_dim = encoder.output_shape[-1] // self.outputs_per_latent
            self.local_dim = 0
        if encoder is None or decoder is None:
            sizes = (self.global_dim, self.local_dim, self.width, self.depth)
            own = self.build_networks(self.audio_config.shape, *sizes)
            encoder = own[0] if encoder is None else encoder
            decoder = own[1] if decoder is None else decoder
        clip = (None, *self.audio_config.shape)
        code = (None, self.outputs_per_latent * self.latent_dim)
        for name, got, expected in (
            ("encoder input", encoder.inputs[0].shape, clip),
            ("encoder output", encoder.outputs[0].shape, code),
            ("decoder input", decoder.inputs[0].shape, (None, self.latent_dim)),
            ("decoder output", decoder.outputs[0].shape, clip),
        ):
            if tuple(got) != expected:
                raise ValueError(f"Got {name} of shape {got}; expected {expected}.")
        self.encoder = encoder
        self.decoder = decoder

    @property
    def latent_dim(self):
        """Numbers in the latent of one clip."""
        return self.global_dim + self.num_slots * self.local_dim

    def unpack(self, data):
        """Returns `(log_mel, genre)` of what `fit` or `evaluate` hands to a step.

        Raises:
            ValueError: If a label is missing, or weights or a loss were given.
        """
        log_mel, genre, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        name = type(self).__name__
        if self.num_genres and genre is None:
            expected = "fit(log_mel, genre) or a dataset of (log_mel, genre)"
            raise ValueError(
                f"{name} got clips without genre labels; expected {expected}."
            )
        if sample_weight is not None:
            reason = "its likelihood has one variance for the whole batch"
            fix = "Repeat clips that should count more"
            raise ValueError(
                f"{name} takes no sample_weight or class_weight: {reason}. {fix}."
            )
        if self.loss is not None:
            fix = "Call compile() without loss=, and add terms with add_loss"
            raise ValueError(f"{name} computes its own loss. {fix}.")
        return log_mel, genre

    def update_metrics(self, losses, log_mel, rebuilt):
        """Adds one batch to the epoch's means.

        Args:
            losses: Dict of scalars that holds every name of `metric_names`.
            log_mel: Scaled clips, the targets of metrics given to `compile`.
            rebuilt: Their reconstructions, the predictions of such metrics.

        Returns:
            Dict of the means so far by metric name, as Keras reports them.
        """
        for tracker in self.trackers:
            tracker.update_state(losses[tracker.name])
        return self.compute_metrics(log_mel, log_mel, rebuilt)

    def fit(self, x=None, *args, **kwargs):
        """Trains as `keras.Model.fit`."""
        self.audio_config.check_scaled(x, "fit")
        return super().fit(x, *args, **kwargs)

    def evaluate(self, x=None, *args, **kwargs):
        """Evaluates as `keras.Model.evaluate`, with the same noise at each call."""
        self.audio_config.check_scaled(x, "evaluate")
        first = keras.random.SeedGenerator(self.seed).state
        self.validation_noise.state.assign(first)
        return super().evaluate(x, *args, **kwargs)

    def predict(self, x, *args, **kwargs):
        """Predicts as `keras.Model.predict`."""
        self.audio_config.check_scaled(x, "predict")
        return super().predict(x, *args, **kwargs)

    def save(self, filepath, *args, **kwargs):
        """Saves as `keras.Model.save`, to a `.keras` file.

        Raises:
            ValueError: If the path ends otherwise.
        """
        if Path(filepath).suffix != ".keras":
            found = f"save got {str(filepath)!r}"
            raise ValueError(f"{found}; expected a .keras file. See save_to_preset.")
        saving.warn_unfinished(self)
        super().save(filepath, *args, **kwargs)

    def call(self, inputs, training=False):
        """Rebuilds clips from the modes of their posteriors.

        Args:
            inputs: `log_mel`, shape `(batch, num_frames, n_mels)`, scaled to [-1, 1];
                for a model with a label `(log_mel, genre)`.
            training: Whether layers such as dropout are in training mode.

        Returns:
            Float tensor, shape `(batch, num_frames, n_mels)`.
        """
        has_label = isinstance(inputs, (tuple, list))
        log_mel, genre = inputs if has_label else (inputs, None)
        if self.num_genres and genre is None:
            expected = "(log_mel, genre), as in model.predict((log_mel, genre))"
            found = f"{type(self).__name__} got clips without genre labels"
            raise ValueError(f"{found}; expected {expected}.")
        latent = self.encode_posterior(log_mel, training).mode()
        return self.decode_latent(latent, genre, training)

    def encode(self, log_mel, *, batch_size=64):
        """Encodes NumPy clips in batches.

        Args:
            log_mel: Shape `(clips, num_frames, n_mels)`, scaled to [-1, 1].
            batch_size: Clips at a time.

        Returns:
            `DiagonalGaussian` of NumPy arrays, which unpacks as `(mean, log_var)`, each
            of shape `(clips, latent_dim)`.

        Raises:
            ValueError: If the clips have another shape, or look like dB.
        """
        log_mel = np.asarray(log_mel, np.float32)
        expected = (
            f"(clips, {self.audio_config.num_frames}, {self.audio_config.n_mels})"
        )
        if log_mel.ndim != 3 or log_mel.shape[1:] != self.audio_config.shape:
            found = f"encode got shape {log_mel.shape}; expected {expected}"
            raise ValueError(
                f"{found}, scaled to [-1, 1]. Use AudioConfig.scale on dB."
            )
        self.audio_config.check_scaled(log_mel, "encode")
        means = [np.zeros((0, self.latent_dim), np.float32)]
        log_vars = list(means)
        for start in range(0, len(log_mel), batch_size):
            mean, log_var = self._encode_graph(log_mel[start : start + batch_size])
            means.append(np.asarray(mean))
            log_vars.append(np.asarray(log_var))
        return DiagonalGaussian(np.concatenate(means), np.concatenate(log_vars))

    def decode(self, latent, genre=None, batch_size=64):
        """Decodes NumPy latents in batches.

        Args:
            latent: Float array, shape `(clips, latent_dim)`.
            genre: Genre indices `(clips,)`, or weights `(clips, num_genres)` that sum
                to 1; ignored by models without a label.
            batch_size: Clips at a time.

        Returns:
            Float32 array, scaled log-mel, shape `(clips, num_frames, n_mels)`. Values
            may leave [-1, 1]; `AudioConfig.unscale` clips them.

        Raises:
            ValueError: If a shape is wrong, or a genre is missing or unknown.
        """
        latent = np.asarray(latent, np.float32)
        if latent.ndim != 2 or latent.shape[1] != self.latent_dim:
            found = f"decode got latents of shape {latent.shape}"
            raise ValueError(f"{found}; expected (clips, {self.latent_dim}).")
        weights = self._genre_rows(genre, len(latent))
        clips = [np.zeros((0, *self.audio_config.shape), np.float32)]
        for start in range(0, len(latent), batch_size):
            rows = slice(start, start + batch_size)
            clips.append(np.asarray(self._decode_graph(latent[rows], weights[rows])))
        return np.concatenate(clips)

    def _genre_rows(self, genre, num_clips):
        """Returns weights `(num_clips, num_genres)` of indices or such weights."""
        if not self.num_genres:
            return np.zeros((num_clips, 1), np.float32)
        found = np.asarray([] if genre is None else genre)
        if found.shape == (num_clips, self.num_genres):
            return found.astype(np.float32)
        known = np.isin(found, range(self.num_genres)).all()
        if found.shape != (num_clips,) or not known:
            indices = f"an index, 0 to {self.num_genres - 1} into {list(self.genres)}"
            expected = f"for each latent {indices}, or {self.num_genres} weights"
            got = f"decode got {num_clips} latents and genre={genre}"
            raise ValueError(f"{got}; expected {expected}.")
        return np.eye(self.num_genres, dtype=np.float32)[found.astype(int)]

    @tf.function(reduce_retracing=True, autograph=False)
    def _encode_graph(self, log_mel):
        return tuple(self.encode_posterior(log_mel))

    # One graph for any number of clips: a mixture of genres decodes several.
    @tf.function(autograph=False, input_signature=[tf.TensorSpec((None, None))] * 2)
    def _decode_graph(self, latent, weights):
        latent = tf.ensure_shape(latent, (None, self.latent_dim))
        weights = tf.ensure_shape(weights, (None, max(1, self.num_genres)))
        return self.decode_latent(latent, weights)

    def export(self, filepath, format="tf_saved_model", **kwargs):
        """Exports `call` as `keras.Model.export` does, for any number of clips.

        Args:
            filepath: Folder of a SavedModel, or file for `format="onnx"`.
            format: `"tf_saved_model"`, `"onnx"`, or another that Keras knows.
            **kwargs: As for `keras.Model.export`.
        """
        signature = [keras.InputSpec("float32", (None, *self.audio_config.shape))]
        if self.num_genres:
            genre = keras.InputSpec("float32", (None, self.num_genres))
            signature = [[*signature, genre]]
        kwargs.setdefault("input_signature", signature)
        return super().export(filepath, format=format, **kwargs)

    def get_config(self):
        """Returns the arguments of `__init__`, ready for `from_config`."""
        config = {
            **super().get_config(),
            "audio_config": self.audio_config.get_config(),
            "genres": self.genres,
            "seed": self.seed,
        }
        for name, network in self.given_networks.items():
            if network is not None:
                config[name] = keras.saving.serialize_keras_object(network)
        return config

    @classmethod
    def from_config(cls, config):
        """Makes an untrained model of what `get_config` returned."""
        config = dict(config)
        for name in ("encoder", "decoder"):
            if config.get(name) is not None:
                config[name] = keras.saving.deserialize_keras_object(config[name])
        return cls(**config)

    @classmethod
    def from_preset(cls, name, genres=None):
        """Loads a model that ships with the package, or one of `save_to_preset`.

        With other genres it is the start of a fine-tuning: what depends on the genres
        begins anew, which are the label's embedding, the last layers of the genre
        classifiers, the mean shift and the density. All other weights are kept. `train`
        then takes features of those genres and of the preset's `audio_config`.

        Args:
            name: One of `cvae_music.presets()`, such as `"known_cvae"`, or the path of
                a file.
            genres: Names of genres of other music; None or the preset's own names
                change nothing.

        Returns:
            The model, ready to encode, decode and sample, or to be trained.

        Raises:
            ValueError: If there is no such preset, it is of another class or has no
                label, or if fewer than two genres are named.

        Example:
            >>> from cvae_music import ConditionalVAE
            >>> model = ConditionalVAE.from_preset("known_cvae", ["jazz", "my band"])
            >>> model.genres
            ('jazz', 'my band')
        """
        model = saving.load_compact(saving.preset_path(name))
        if not isinstance(model, cls):
            found = f"The preset {name!r} is a {type(model).__name__}"
            raise ValueError(f"{found}; call from_preset of that class.")
        genres = [genres] if isinstance(genres, str) else genres
        if genres is None or tuple(genres) == model.genres:
            return model
        if not model.genres:
            found = f"from_preset got genres={list(genres)}"
            reason = f"the preset {name!r} has no label and takes music of any genre"
            raise ValueError(f"{found}; {reason}. Leave genres out.")
        config = model.get_config()
        successor = type(model).from_config({**config, "genres": genres})
        # What depends on the genres has another shape where there is one genre more.
        names = (*model.genres, "one more")
        larger = type(model).from_config({**config, "genres": names})
        for old, new, other in zip(
            model.weights, successor.weights, larger.weights, strict=True
        ):
            if old.shape == other.shape:
                new.assign(old)
        return successor

    def save_to_preset(self, path):
        """Writes the model in half precision, for `from_preset` and `load_model`.

        Args:
            path: `.npz` file to write; about a fifth of the size of `save`'s file.
        """
        saving.save_compact(self, path)
