"""The base class of all models: checks, NumPy arrays in batches, metrics, configs."""

import contextlib
import functools
import inspect
import numbers
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

# Keras finds the optimizer of a trained model once `acceleration` has been imported.
from cvae_music import acceleration, saving  # noqa: F401
from cvae_music.config import AudioConfig, check_number
from cvae_music.models.losses import DiagonalGaussian
from cvae_music.models.networks import SLOT_FRAMES


def _checked(method):
    """Makes a method of `keras.Model` that checks its data, with the same signature."""
    plain = getattr(keras.Model, method)

    @functools.wraps(plain)
    def call(self, *args, **kwargs):
        given = inspect.signature(plain).bind(self, *args, **kwargs).arguments
        given |= given.pop("kwargs", {})
        return ClipModel._run(method=method, **given)

    call.__doc__ = f"Calls `keras.Model.{method}`; refuses dB and unknown genres."
    return call


def _rows(array, batch_size):
    """Returns a slice of rows for each batch of an array."""
    check_number("batch_size", batch_size, 1)
    return [
        slice(start, start + batch_size) for start in range(0, len(array), batch_size)
    ]


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
        ValueError: If the number of frames is no multiple of 16, `genres` is a string
            or names a genre twice, or the seed is no whole number.

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
            raise ValueError(
                f"Got num_frames={audio_config.num_frames}; expected a multiple of "
                f"{SLOT_FRAMES}."
            )
        self.audio_config = audio_config
        self.num_slots = audio_config.num_frames // SLOT_FRAMES
        self.genres = tuple(map(str, genres))
        self.num_genres = len(self.genres)
        if isinstance(genres, str) or len(set(self.genres)) < self.num_genres:
            raise ValueError(
                f"{type(self).__name__} got genres={genres!r}; expected a list of "
                "different names, such as ['jazz', 'rock']."
            )
        self.seed = int(check_number("seed", seed))
        self.seed_generator = keras.random.SeedGenerator(self.seed)
        self.validation_seed_generator = keras.random.SeedGenerator(self.seed)
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
            shape = self.audio_config.shape
            own = self.build_networks(
                shape, self.global_dim, self.local_dim, self.width, self.depth
            )
            encoder = encoder or own[0]
            decoder = decoder or own[1]
        clip = (None, *self.audio_config.shape)
        code = (None, self.outputs_per_latent * self.latent_dim)
        for name, tensors, expected in (
            ("encoder input", encoder.inputs, clip),
            ("encoder output", encoder.outputs, code),
            ("decoder input", decoder.inputs, (None, self.latent_dim)),
            ("decoder output", decoder.outputs, clip),
        ):
            got = tuple(tensors[0].shape)
            if got != expected:
                raise ValueError(f"Got {name} of shape {got}; expected {expected}.")
        self.encoder = encoder
        self.decoder = decoder

    @property
    def latent_dim(self):
        """Numbers in the latent of one clip."""
        return self.global_dim + self.num_slots * self.local_dim

    def check_label(self, genre):
        """Raises `ValueError` if a model with genres gets clips without labels."""
        if self.num_genres and genre is None:
            raise ValueError(
                f"{type(self).__name__} got clips without genre labels; expected "
                "fit(log_mel, genre), predict((log_mel, genre)), or a dataset of these."
            )

    def unpack(self, data):
        """Returns `(log_mel, genre)` of what `fit` or `evaluate` hands to a step.

        Raises:
            ValueError: If a label is missing, or weights or a loss were given.
        """
        log_mel, genre, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        self.check_label(genre)
        if sample_weight is not None:
            raise ValueError(
                f"{type(self).__name__} takes no sample_weight or class_weight: its "
                "likelihood has one variance for the whole batch. Repeat clips that "
                "should count more."
            )
        if self.loss is not None:
            raise ValueError(
                f"{type(self).__name__} computes its own loss. Call compile() without "
                "loss=, and add terms with add_loss."
            )
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

    def _run(self, method, x=None, **given):
        """Calls a method of Keras; refuses clips in dB and unknown genres.

        Every evaluation draws the same noise.
        """
        if "validation_data" in given:
            given["validation_data"] = self._check_data(
                given["validation_data"], method
            )
        if given.get("batch_size") is not None:
            check_number("batch_size", given["batch_size"], 1)
        if method == "evaluate":
            first = keras.random.SeedGenerator(self.seed).state
            self.validation_seed_generator.state.assign(first)
        try:
            with self._means_cleared(method):
                x = self._check_data(x, method, given.get("y"))
                return getattr(super(), method)(x, **given)
        except tf.errors.InvalidArgumentError as error:
            # `check_first` runs inside a graph, which wraps its ValueError in text.
            found = re.search(r"ValueError: (\w+ got .*; expected .*)", error.message)
            if found:
                raise ValueError(found[1]) from error
            raise

    @contextlib.contextmanager
    def _means_cleared(self, method):
        """Clears the means of density and mean shift: training moves the latents.

        The old means return if no step was taken, as after an error.
        """
        kept = [
            (layer.means, np.array(layer.means))
            for layer in self.layers
            if method in ("fit", "train_on_batch")
            and hasattr(layer, "means")
            and self.encoder.trainable
        ]
        for means, value in kept:
            means.assign(0.0 * value)
        steps = getattr(self.optimizer, "iterations", 0)
        num_before = np.array(steps)
        try:
            yield
        finally:
            if np.array(steps) == num_before:
                for means, value in kept:
                    means.assign(value)

    fit = _checked("fit")
    evaluate = _checked("evaluate")
    predict = _checked("predict")
    train_on_batch = _checked("train_on_batch")
    test_on_batch = _checked("test_on_batch")
    predict_on_batch = _checked("predict_on_batch")

    def _check_data(self, data, what, labels=None):
        """Refuses clips in dB and unknown genres; of a dataset in its first batch."""
        if isinstance(data, Iterator):
            return (self._check_data(batch, what) for batch in data)
        if not isinstance(data, tf.data.Dataset):
            # A `PyDataset` has `num_batches`; its first batch is checked.
            first = data[0] if hasattr(data, "num_batches") else data
            clips, *others = tf.nest.flatten(first) or [None]
            self.audio_config.check_scaled(clips, what)
            labels = others[0] if others else labels
            if np.ndim(labels):
                self._genre_rows(labels, len(labels), what)
            return data

        def check_batch(*batch):
            self._check_data(batch, what)
            return np.int64(0)

        def check_first(number, batch):
            if number == 0:
                clips, *labels = tf.nest.flatten(batch)[:2]
                # A NaN is no decibel: `StopOnNaN` tells of it.
                clips = tf.where(clips == clips, clips, 0)
                tf.numpy_function(check_batch, [clips, *labels], tf.int64)
            return batch

        return data.enumerate().map(check_first)

    def save(self, filepath, *args, **kwargs):
        """Saves as `keras.Model.save`, to a `.keras` file.

        Raises:
            ValueError: If the path does not end in `.keras`.
        """
        if Path(filepath).suffix != ".keras":
            raise ValueError(
                f"save got {str(filepath)!r}; expected a .keras file. See "
                "save_to_preset."
            )
        saving.warn_unfinished(self)
        saving.save_whole(super().save, filepath, *args, **kwargs)

    def save_weights(self, filepath, *args, **kwargs):
        """Saves as `keras.Model.save_weights`, to a file that is whole or not there."""
        saving.save_whole(super().save_weights, filepath, *args, **kwargs)

    def load_weights(self, filepath, *args, **kwargs):
        """Loads as `keras.Model.load_weights`, all weights or none.

        Raises:
            OSError: If the file cannot be read.
            ValueError: If it is of a model of other shapes.
        """
        before = self.get_weights()
        try:
            super().load_weights(os.path.expanduser(filepath), *args, **kwargs)
        except Exception as error:
            self.set_weights(before)
            raise type(error)(  # HDF5 names no file
                f"load_weights got {str(filepath)!r}, which cannot be read ({error}); "
                "expected what save_weights of such a model wrote. Make it again."
            ) from error

    def call(self, inputs, training=False):
        """Rebuilds clips from the modes of their posteriors.

        Args:
            inputs: `log_mel`, shape `(batch, num_frames, n_mels)`, scaled to [-1, 1];
                for a model with a label `(log_mel, genre)`.
            training: Whether layers such as dropout are in training mode.

        Returns:
            Float tensor, shape `(batch, num_frames, n_mels)`.
        """
        log_mel = inputs
        genre = None
        if isinstance(inputs, (tuple, list)):
            log_mel, genre = inputs
        self.check_label(genre)
        if hasattr(log_mel, "numpy"):  # has values, as outside a graph
            self._check_data((log_mel, genre), "call")
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
            ValueError: If the clips have another shape or look like dB, or `batch_size`
                is below 1.
        """
        log_mel = np.asarray(log_mel, np.float32)
        if log_mel.shape[1:] != self.audio_config.shape:
            raise ValueError(
                f"encode got shape {log_mel.shape}; expected "
                f"{('clips', *self.audio_config.shape)}, scaled to [-1, 1]. Use "
                "AudioConfig.scale on dB."
            )
        self.audio_config.check_scaled(log_mel, "encode")
        batches = [np.zeros((2, 0, self.latent_dim), "float32")]
        for rows in _rows(log_mel, batch_size):
            batches.append(self._encode_graph(log_mel[rows]))
        return DiagonalGaussian(*np.concatenate(batches, axis=1))

    def decode(self, latent, genre=None, batch_size=64, guidance=None):
        """Decodes NumPy latents in batches.

        Args:
            latent: Float array, shape `(clips, latent_dim)`.
            genre: Genre indices `(clips,)`, or weights `(clips, num_genres)` that sum
                to 1; ignored by models without a label.
            batch_size: Clips at a time.
            guidance: See `ConditionalVAE`, from 0 to 10; None for the model's own.

        Returns:
            Float32 array, scaled log-mel, shape `(clips, num_frames, n_mels)`. Values
            may leave [-1, 1]; `AudioConfig.unscale` clips them.

        Raises:
            ValueError: If a shape is wrong, a genre is missing or unknown, or the
                guidance is no number from 0 to 10.
        """
        latent = np.asarray(latent, np.float32)
        if latent.shape[1:] != (self.latent_dim,):
            raise ValueError(
                f"decode got latents of shape {latent.shape}; expected "
                f"(clips, {self.latent_dim})."
            )
        if guidance is not None:
            check_number("guidance", guidance, 0, 10, numbers.Real)
        weights = self.guide(self._genre_rows(genre, len(latent)), guidance)
        clips = [np.zeros((0, *self.audio_config.shape), "float32")]
        for rows in _rows(latent, batch_size):
            clips.append(self._decode_graph(latent[rows], weights[rows]))
        return np.concatenate(clips)

    def _genre_rows(self, genre, num_clips, what="decode"):
        """Returns genre weights of indices or rows, shape `(num_clips, num_genres)`.

        A model without genres gets one column of zeros.

        Raises:
            ValueError: If a genre is unknown, or a shape or a row's sum is wrong.
        """
        if not self.num_genres:
            return np.zeros((num_clips, 1), np.float32)
        found = np.asarray(genre)
        is_rows = found.shape == (num_clips, self.num_genres)
        if is_rows and np.allclose(found.sum(axis=1), 1.0, atol=1e-3):
            return found.astype(np.float32)
        is_index = np.isin(found, range(self.num_genres)).all()
        if found.shape != (num_clips,) or not is_index:
            raise ValueError(
                f"{what} got {num_clips} clips and "
                f"genre={np.unique(found)[:9].tolist()}; expected for each clip an "
                f"index, 0 to {self.num_genres - 1} into {list(self.genres)}, or "
                f"{self.num_genres} weights that sum to 1."
            )
        return np.eye(self.num_genres, dtype=np.float32)[found.astype(int)]

    @tf.function(reduce_retracing=True, autograph=False)
    def _encode_graph(self, log_mel):
        return tuple(self.encode_posterior(log_mel))

    # One graph for any number of clips: a mixture of genres decodes several.
    @tf.function(autograph=False, input_signature=[tf.TensorSpec((None, None))] * 2)
    def _decode_graph(self, latent, weights):
        latent = tf.ensure_shape(latent, (None, self.latent_dim))
        weights = tf.ensure_shape(weights, (None, max(1, self.num_genres)))
        return self.decode_latent(self.shift_latent(latent, weights), weights)

    def guide(self, genre_weights, guidance=None):
        """Returns the genre weights unchanged; `ConditionalVAE` exaggerates them."""
        return genre_weights

    def shift_latent(self, latent, genre_weights):
        """Returns the latents unchanged; `ConditionalVAE` shifts them."""
        return latent

    def export(self, filepath, format="tf_saved_model", **kwargs):
        """Exports `call` as `keras.Model.export` does, for any number of clips.

        Args:
            filepath: Folder of a SavedModel, or file for `format="onnx"`.
            format: `"tf_saved_model"`, `"onnx"`, or another that Keras knows.
            **kwargs: As for `keras.Model.export`.
        """
        signature = [keras.InputSpec("float32", (None, *self.audio_config.shape))]
        if self.num_genres:
            signature.append(keras.InputSpec("float32", (None, self.num_genres)))
            signature = [signature]
        kwargs.setdefault("input_signature", signature)
        return super().export(os.path.expanduser(filepath), format, **kwargs)

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
        begins anew, which are the label's embedding, the mean shift, the density and
        the guidance. All other weights are kept. `train` then takes features of those
        genres and of the preset's `audio_config`.

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
            raise ValueError(
                f"The preset {name!r} is a {type(model).__name__}; call from_preset of "
                "that class."
            )
        if genres is None or tuple(genres) == model.genres:
            return model
        if not model.genres:
            raise ValueError(
                f"from_preset got genres={list(genres)}; the preset {name!r} has no "
                "label and takes music of any genre. Leave genres out."
            )
        # The guidance was chosen for the old genres.
        config = {**model.get_config(), "genres": genres, "guidance": 0.0}
        successor = type(model).from_config(config)
        # A weight depends on the genres if one genre more changes its shape.
        larger = type(model).from_config(
            {**config, "genres": (*model.genres, "one more")}
        )
        for old, new, other in zip(
            model.weights, successor.weights, larger.weights, strict=True
        ):
            if old.shape == other.shape:
                new.assign(old)
        return successor

    def save_to_preset(self, path):
        """Writes the model in half precision, for `from_preset` and `load_model`.

        Args:
            path: `.npz` file to write; about an eighth of the size of `save`'s file.
        """
        saving.save_compact(self, path)
