"""ConditionalVAE: a VAE that is told a genre, and is made to listen."""

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from cvae_music.losses import disguise, genre_discrepancy
from cvae_music.models import VAE
from cvae_music.networks import FRAMES_PER_SLOT, build_listener


@keras.saving.register_keras_serializable(package="cvae_music")
class ConditionalVAE(VAE):
    """VAE whose decoder is told the genre at every stage (Sohn, Lee and Yan, 2015) and has to listen.

    The encoder is not told, and a penalty makes the latents of every genre look like the prior: the
    genre then reaches the decoder through its label only. Two listeners that learn the genres beside it
    hear half of the latents decoded with another label, and what they fail to recognise is a loss. The
    first knows real clips and reconstructions. The second, the sceptic, is also taught where the clips with a
    changed label came from: the first is soon content with a few cues of the new genre laid over the
    old one, the second goes on hearing the old genre until it is gone.

    Source: the listener's part is the domain loss of StarGAN (Choi et al., 2018), the sceptic's the minimax of Fader
    networks (Lample et al., 2017), played on the output.

    Args:
        genres: Names of the genres in order; saved with the model.
        discrepancy_weight: Weight of `losses.genre_discrepancy`, in nats.
        swap_weight: Weight of the listeners' cross-entropy on clips with a changed label; 0 leaves them out.
        source_weight: Weight of the sceptic's lesson about the genre such clips came from, beside its lesson
            about real clips and reconstructions.
        **kwargs: As for `VAE`.

    Raises:
        ValueError: If fewer than two genres are named.
    """

    def __init__(
        self, *args, genres=(), discrepancy_weight=3000.0, swap_weight=600.0, source_weight=0.5, **kwargs
    ):  # fmt: skip
        self.genres = tuple(genres)
        if len(set(self.genres)) != len(self.genres) or len(self.genres) < 2:
            raise ValueError(
                f"ConditionalVAE got genres={list(self.genres)}; expected at least two different names. "
                "Pass features.genres, or use VAE for music without labels."
            )
        self.num_genres = len(self.genres)
        super().__init__(*args, **kwargs)
        self.genres = tuple(genres)
        self.discrepancy_weight, self.swap_weight = float(discrepancy_weight), float(swap_weight)
        self.source_weight = float(source_weight)
        self.listener = build_listener(self.audio_config.shape, self.num_genres)
        self.sceptic = build_listener(self.audio_config.shape, self.num_genres)

    def term_names(self):
        return super().term_names() + ["discrepancy", "swap"]

    def genre_weights(self, genre):
        if genre is None:
            raise ValueError(f"A ConditionalVAE needs a genre; expected indices into {list(self.genres)} or weights.")
        if not isinstance(genre, tf.Tensor):
            genre = np.asarray(genre)
            if genre.ndim == 1 and (genre.min(initial=0) < 0 or genre.max(initial=0) >= self.num_genres):
                raise ValueError(f"genre got {genre.tolist()[:8]}; expected indices 0 to {self.num_genres - 1}.")
        if len(genre.shape) == 2:
            return ops.cast(genre, "float32")
        return ops.one_hot(ops.cast(genre, "int32"), self.num_genres)

    def decode_latent(self, latent, genre_weights, training=False):
        return self.decoder([latent, genre_weights], training=training)

    def extra_terms(self, terms, log_mel, rebuilt, latent, genre, training):
        weights = self.genre_weights(genre)
        whole, local = latent[None, :, : self.global_dim], self.local_latents(latent)
        total = 0.0
        for part in (whole, local):
            if part.shape[-1]:
                noise = keras.random.normal((part.shape[0], 128, part.shape[-1]), seed=self.noise)
                total = total + genre_discrepancy(part, weights, noise)
        terms["discrepancy"] = total
        terms["loss"] = terms["loss"] + self.discrepancy_weight * total
        terms["swap"] = 0.0
        if self.swap_weight:
            lesson, terms["swap"] = self.listener_terms(log_mel, rebuilt, latent, weights, training)
            terms["loss"] = terms["loss"] + self.swap_weight * terms["swap"] + lesson
        return terms

    def listener_terms(self, log_mel, rebuilt, latent, weights, training):
        """Cross-entropies of the listeners: of their lessons, and on the genres asked for (to teach the model).

        The second passes through frozen copies of the listeners, so it cannot be made small by teaching
        them to be content.
        """
        count, shift = ops.shape(weights)[0], keras.random.randint((), 1, self.num_genres, seed=self.noise)
        came_from, asked = weights[::2], ops.roll(weights[::2], shift, axis=1)
        swapped = disguise(self.decode_latent(latent[::2], asked, training=training), self.noise)
        heard = disguise(ops.concatenate([log_mel, ops.stop_gradient(rebuilt)]), self.noise)
        truth = ops.tile(weights, (2, 1))
        logits = self.sceptic(ops.concatenate([heard, ops.stop_gradient(swapped)]), training=training)
        lesson = _cross_entropy(truth, self.listener(heard, training=training))
        lesson = lesson + _cross_entropy(truth, logits[: 2 * count])
        lesson = lesson + self.source_weight * _cross_entropy(came_from, logits[2 * count :])
        opinions = [_cross_entropy(asked, _frozen(one, swapped)) for one in (self.listener, self.sceptic)]
        return lesson, sum(opinions) / len(opinions)

    def local_latents(self, latent):
        """The part of the latent that belongs to single beats, shape `(slots, batch, local_dim)`."""
        slots = self.audio_config.num_frames // FRAMES_PER_SLOT
        local = ops.reshape(latent[:, self.global_dim :], (-1, slots, self.local_dim))
        return ops.transpose(local, (1, 0, 2))

    def get_config(self):
        names = ("discrepancy_weight", "swap_weight", "source_weight")
        return {**super().get_config(), "genres": list(self.genres), **{name: getattr(self, name) for name in names}}


def _cross_entropy(truth, logits):
    return ops.mean(keras.losses.categorical_crossentropy(truth, logits, from_logits=True))


def _frozen(network, inputs):
    """Output of a network whose weights get no gradient from it."""
    fixed = [ops.stop_gradient(ops.convert_to_tensor(value)) for value in network.trainable_variables]
    others = [ops.convert_to_tensor(value) for value in network.non_trainable_variables]
    return network.stateless_call(fixed, others, inputs, training=False)[0]
