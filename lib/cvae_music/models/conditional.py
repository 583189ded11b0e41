"""ConditionalVAE: a VAE that is told a genre, and is made to listen. Written in notebook 04."""

import keras
import numpy as np
from keras import ops

from cvae_music.models.autoencoders import VAE
from cvae_music.models.losses import augment_for_critics, genre_discrepancy
from cvae_music.models.networks import (
    build_classifier,
    build_conditional_decoder,
    build_encoder,
)


class GenreCritics(keras.layers.Layer):
    """Two networks that learn the genres beside a model and tell it whether a clip sounds like the genre asked for.

    The first knows real clips and reconstructions. The second, the sceptic, is also taught where clips with a
    changed label came from: the first is soon content with a few cues of the new genre laid over the old one, the
    second goes on hearing the old genre until it is gone.

    Args:
        shape: `(num_frames, n_mels)`.
        num_genres: Number of genres.
        source_weight: Weight of the sceptic's lesson about where such clips came from, beside its other lesson.

    Source: the listener's part is the domain loss of StarGAN (Choi et al., 2018), the sceptic's the minimax of Fader
    networks (Lample et al., 2017), played on the output.
    """

    def __init__(self, shape, num_genres, source_weight=0.5, **kwargs):
        super().__init__(**kwargs)
        self.listener, self.sceptic = (
            build_classifier(shape, num_genres) for _ in range(2)
        )
        self.source_weight = source_weight
        self.built = True

    def lesson(self, heard, truth, swapped, came_from, training):
        """What the listeners are taught: a cross-entropy in nats, of their own weights alone."""
        known = cross_entropy(truth, self.listener(heard, training=training))
        logits = self.sceptic(
            ops.concatenate([heard, ops.stop_gradient(swapped)]), training=training
        )
        split = ops.shape(truth)[0]
        known = known + cross_entropy(truth, logits[:split])
        return known + self.source_weight * cross_entropy(came_from, logits[split:])

    def opinion(self, swapped, asked):
        """How far the clips are from the genres asked for, in nats, heard by copies whose weights are frozen.

        Frozen, since the loss could otherwise be made small by teaching the listeners to be content.
        """
        opinions = []
        for network in (self.listener, self.sceptic):
            fixed = [
                ops.stop_gradient(ops.convert_to_tensor(value))
                for value in network.trainable_variables
            ]
            others = [
                ops.convert_to_tensor(value)
                for value in network.non_trainable_variables
            ]
            opinions.append(
                cross_entropy(
                    asked,
                    network.stateless_call(fixed, others, swapped, training=False)[0],
                )
            )
        return sum(opinions) / len(opinions)


def cross_entropy(truth, logits):
    """Mean cross-entropy in nats of logits `(batch, num_genres)` against rows of genre weights."""
    return ops.mean(
        keras.losses.categorical_crossentropy(truth, logits, from_logits=True)
    )


class ClassMeanShift(keras.layers.Layer):
    """Moves a latent from where clips of its own genre lie to where those of the genre asked for do; does nothing until it is fitted.

    The penalty leaves some of the genre in the latents, and a decoder that is asked for another one plays both. Where
    they came from is guessed by linear discriminant analysis: the mean of that genre goes, the other mean comes.

    Args:
        num_genres: Number of genres.
        latent_dim: Numbers in a latent.

    Source: Fisher (1936), for Gaussians of one covariance. Belrose et al. (2023), arXiv:2306.03819, erase all that is
    linear; here a mean alone is exchanged.
    """

    def __init__(self, num_genres, latent_dim, **kwargs):
        super().__init__(trainable=False, dtype="float32", **kwargs)
        self.means = self.add_weight(
            name="means", shape=(num_genres, latent_dim), initializer="zeros"
        )
        self.rule = self.add_weight(
            name="rule", shape=(latent_dim + 1, num_genres), initializer="zeros"
        )
        self.built = True

    def fit(self, model, features):
        """Measures the mean latent of each genre, and the rule that guesses a latent's genre."""
        clips, genre = features.arrays("train")
        latents, means = model.encode(clips)[0], np.zeros(self.means.shape)
        for index in np.unique(genre):
            means[index] = latents[genre == index].mean(axis=0)
        spread = np.cov(latents - means[genre], rowvar=False) + 0.02 * np.eye(
            means.shape[1]
        )
        rule = np.linalg.solve(spread, means.T)
        (
            self.means.assign(means),
            self.rule.assign(np.vstack([rule, -0.5 * np.sum(means.T * rule, axis=0)])),
        )

    def call(self, latent, weights):
        guess = ops.softmax(ops.matmul(latent, self.rule[:-1]) + self.rule[-1])
        return latent + ops.matmul(weights - guess, self.means)


class ConditionalVAE(VAE):
    """VAE whose decoder is told the genre at every stage (Sohn, Lee and Yan, 2015) and has to listen.

    The encoder is not told, and a penalty makes the latents of every genre look like the prior: the
    genre then reaches the decoder through its label only. `GenreCritics` hear half of the latents decoded with another
    label, and what they fail to recognise is a loss. What of the genre is left in the latents, `ClassMeanShift` exchanges.

    Args:
        audio_config: As for `VAE`.
        genres: Names of the genres in order; saved with the model.
        discrepancy_weight: Weight of `losses.genre_discrepancy`, in nats.
        swap_weight: Weight of the listeners' cross-entropy on clips with a changed label; 0 leaves them out.
        source_weight: As of `GenreCritics`.
        **kwargs: As for `VAE`.

    Raises:
        ValueError: If fewer than two genres are named.
    """

    metric_names = (
        "loss",
        "reconstruction",
        "rms_db",
        "kl",
        "kl_weight",
        "discrepancy",
        "swap",
    )

    def __init__(
        self,
        audio_config=None,
        genres=(),
        discrepancy_weight=3000.0,
        swap_weight=600.0,
        source_weight=0.5,
        **kwargs,
    ):
        if len(set(genres)) != len(genres) or len(genres) < 2:
            raise ValueError(
                f"ConditionalVAE got genres={list(genres)}; expected two different names or more."
            )
        super().__init__(audio_config, genres=genres, **kwargs)
        self.discrepancy_weight, self.swap_weight, self.source_weight = (
            discrepancy_weight,
            swap_weight,
            source_weight,
        )
        self.listeners = GenreCritics(
            self.audio_config.shape, self.num_genres, source_weight
        )
        self.listeners.trainable = swap_weight > 0
        self.shift = ClassMeanShift(self.num_genres, self.latent_dim)

    def build_networks(self, *sizes):
        return build_encoder(*sizes, outputs_per_latent=2), build_conditional_decoder(
            *sizes, self.num_genres
        )

    def genre_weights(self, genre):
        """Rows of genre weights, `(batch, num_genres)`, of indices `(batch,)` or of such rows."""
        return (
            ops.one_hot(ops.cast(genre, "int32"), self.num_genres)
            if len(genre.shape) == 1
            else genre
        )

    def decode_latent(self, latent, genre=None, training=False):
        weights = self.genre_weights(genre)
        return self.decoder(
            [latent if training else self.shift(latent, weights), weights],
            training=training,
        )

    def loss_terms(self, data, training):
        (terms, latent, rebuilt), weights = (
            self.elbo_terms(data, training),
            self.genre_weights(data[1]),
        )
        terms["discrepancy"] = self.discrepancy(latent, weights)
        lesson, terms["swap"] = (
            self.listen(data[0], rebuilt, latent, weights, training)
            if self.swap_weight
            else (0, 0)
        )
        terms["loss"] += (
            self.discrepancy_weight * terms["discrepancy"]
            + self.swap_weight * terms["swap"]
            + lesson
        )
        return terms

    def discrepancy(self, latent, weights):
        """Discrepancy of the latents of the whole clip, plus that of the latents of single beats."""
        local = ops.reshape(
            latent[:, self.global_dim :], (-1, self.num_slots, self.local_dim)
        )
        both = latent[None, :, : self.global_dim], ops.transpose(local, (1, 0, 2))
        parts = [part for part in both if part.shape[-1]]
        draws = [
            keras.random.normal((part.shape[0], 128, part.shape[-1]), seed=self.noise)
            for part in parts
        ]
        return sum(
            genre_discrepancy(part, weights, noise)
            for part, noise in zip(parts, draws, strict=True)
        )

    def listen(self, log_mel, rebuilt, latent, weights, training):
        """Decodes half of the latents with another label: what the listeners learn, and what they say of it."""
        shift = keras.random.randint((), 1, self.num_genres, seed=self.noise)
        came_from, asked = weights[::2], ops.roll(weights[::2], shift, axis=1)
        swapped = augment_for_critics(
            self.decode_latent(latent[::2], asked, training), self.noise
        )
        heard = augment_for_critics(
            ops.concatenate([log_mel, ops.stop_gradient(rebuilt)]), self.noise
        )
        lesson = self.listeners.lesson(
            heard, ops.tile(weights, (2, 1)), swapped, came_from, training
        )
        return lesson, self.listeners.opinion(swapped, asked)
