"""What all models of the series share and what teaches nothing: checks of shapes, NumPy arrays in batches, metrics, files."""

import inspect

import keras
import numpy as np
import tensorflow as tf

from cvae_music import saving
from cvae_music.config import AudioConfig

FRAMES_PER_SLOT = 16  # one local latent vector to a beat


class ClipModel(keras.Model):
    """Base class of the models that notebooks 02 to 04 write.

    A subclass makes `encoder` and `decoder` and writes `encode_parameters`, `decode_latent`, `loss_terms` and
    `train_step`. It keeps every argument of its `__init__` under the argument's name: `get_config` finds it there.

    Args:
        audio_config: `AudioConfig` (or its dict) of the features; saved with the model.
        genres: Names of the genres in order, for a model with a label.
        seed: Seed of the latent noise.

    Raises:
        ValueError: If the number of frames is no multiple of 16.
    """

    metric_names = ("loss", "reconstruction", "rms_db")
    optimizer = None  # until `compile`

    def __init_subclass__(cls):
        super().__init_subclass__()
        keras.saving.register_keras_serializable(cls.__module__.partition(".")[0])(cls)

    def __init__(self, audio_config=None, genres=(), seed=0, **kwargs):
        super().__init__(**kwargs)
        config = (
            audio_config
            if isinstance(audio_config, AudioConfig)
            else AudioConfig.from_dict(audio_config or {})
        )
        self.num_slots, rest = divmod(
            config.num_frames, FRAMES_PER_SLOT
        )  # beats, on the beat grid
        if rest:
            raise ValueError(
                f"Got num_frames={config.num_frames}; expected a multiple of {FRAMES_PER_SLOT}."
            )
        self.audio_config, self.seed = config, int(seed)
        self.genres, self.num_genres = tuple(map(str, genres)), len(genres)
        self.noise = keras.random.SeedGenerator(self.seed)
        self.trackers = [keras.metrics.Mean(name=name) for name in self.metric_names]
        self.built = True

    @property
    def latent_dim(self):
        """Numbers in the latent of one clip."""
        return self.global_dim + self.num_slots * self.local_dim

    @property
    def metrics(self):
        return self.trackers

    def track(self, terms):
        """Adds the terms of a loss to the epoch's means and returns these; Keras reports them under the same names."""
        for tracker in self.metrics:
            tracker.update_state(terms[tracker.name])
        return {tracker.name: tracker.result() for tracker in self.metrics}

    def call(self, inputs, training=False):
        """Reconstructions of `log_mel`, or of `(log_mel, genre)`, from the means of the latents."""
        log_mel, genre = inputs if isinstance(inputs, (tuple, list)) else (inputs, None)
        return self.decode_latent(
            self.encode_parameters(log_mel, training)[0], genre, training
        )

    def encode(self, log_mel, batch_size=64):
        """NumPy `(mean, log_var)`, each `(clips, latent_dim)`, of scaled clips `(clips, num_frames, n_mels)`.

        Raises:
            ValueError: If the clips have another shape.
        """
        log_mel = np.asarray(log_mel, np.float32)
        if log_mel.ndim != 3 or log_mel.shape[1:] != self.audio_config.shape:
            expected = f"(clips, {self.audio_config.num_frames}, {self.audio_config.n_mels}), scaled to [-1, 1]"
            raise ValueError(
                f"encode got shape {log_mel.shape}; expected {expected}. Use AudioConfig.scale on dB."
            )
        pieces = [
            self._encode_graph(log_mel[i : i + batch_size])
            for i in range(0, len(log_mel), batch_size)
        ]
        none = np.zeros((0, self.latent_dim), np.float32)  # of no clips
        return tuple(
            np.concatenate([none, *(np.asarray(piece[k]) for piece in pieces)])
            for k in range(2)
        )

    def decode(self, latent, genre=None, batch_size=64):
        """Scaled clips `(clips, num_frames, n_mels)`, NumPy, of latents `(clips, latent_dim)`.

        Args:
            latent: Float array, shape `(clips, latent_dim)`.
            genre: Genre indices `(clips,)` or weights `(clips, num_genres)` that sum to 1; ignored by models without
                a label.
            batch_size: Clips at a time.

        Raises:
            ValueError: If a shape is wrong, or a genre is missing or unknown.
        """
        latent = np.asarray(latent, np.float32)
        if latent.ndim != 2 or latent.shape[1] != self.latent_dim:
            raise ValueError(
                f"decode got latents of shape {latent.shape}; expected (clips, {self.latent_dim})."
            )
        weights, steps = (
            self._rows_of(genre, len(latent)),
            range(0, len(latent), batch_size),
        )
        pieces = [
            self._decode_graph(latent[i : i + batch_size], weights[i : i + batch_size])
            for i in steps
        ]
        return np.concatenate(
            [
                np.zeros((0, *self.audio_config.shape), np.float32),
                *map(np.asarray, pieces),
            ]
        )

    def _rows_of(self, genre, num_clips):
        """Rows of genre weights, `(num_clips, num_genres)`, of indices or weights; one column of 0 without a label."""
        if not self.num_genres:
            return np.zeros((num_clips, 1), np.float32)
        found = np.asarray([] if genre is None else genre)
        indices = (
            found.shape == (num_clips,) and np.isin(found, range(self.num_genres)).all()
        )
        if not indices and found.shape != (num_clips, self.num_genres):
            expected = f"an index, 0 to {self.num_genres - 1} into {list(self.genres)}, or {self.num_genres} weights"
            raise ValueError(
                f"decode got {num_clips} latents and genre={genre}; expected for each latent {expected}."
            )
        return (
            np.eye(self.num_genres, dtype=np.float32)[found.astype(int)]
            if indices
            else found.astype(np.float32)
        )

    @tf.function(reduce_retracing=True, autograph=False)
    def _encode_graph(self, log_mel):
        return self.encode_parameters(log_mel)

    # One graph for any number of clips: a mix, which decodes several, does not wait for another to be traced.
    @tf.function(
        autograph=False,
        input_signature=[tf.TensorSpec((None, None)), tf.TensorSpec((None, None))],
    )
    def _decode_graph(self, latent, weights):
        latent = tf.ensure_shape(latent, (None, self.latent_dim))
        return self.decode_latent(
            latent, tf.ensure_shape(weights, (None, max(1, self.num_genres)))
        )

    def get_config(self):
        """Every argument of `__init__`, of this class and of those it comes from."""
        kinds = [kind for kind in type(self).__mro__ if issubclass(kind, ClipModel)]
        names = {
            name
            for kind in kinds
            for name in inspect.signature(kind.__init__).parameters
        }
        kept = {
            name: getattr(self, name)
            for name in sorted(names - {"self", "args", "kwargs"})
        }
        plain = {
            n: v.get_config() if hasattr(v, "get_config") else v
            for n, v in kept.items()
        }
        return {**super().get_config(), **plain}

    @classmethod
    def from_preset(cls, name):
        """A model that ships with the package, ready to encode, decode and sample.

        Args:
            name: `"known_autoencoder"`, `"known_vae"`, `"known_cvae"` or `"known_cvaegan"`.

        Raises:
            ValueError: If there is no such preset, or it is of another class.
        """
        model = saving.load_compact(saving.preset(name))
        if not isinstance(model, cls):
            raise ValueError(
                f"The preset {name!r} is a {type(model).__name__}; call from_preset of that class."
            )
        return model
