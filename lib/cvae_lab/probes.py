"""What a simple classifier learns from latents, and from generated clips."""

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler


def probe_accuracy(points, labels, held_points, held_labels, strength=0.1):
    """Accuracy on held-out points of a logistic regression on standardised dimensions.

    Args:
        points: Float array, shape `(num_clips, dimensions)`, to learn from.
        labels: Class of each, shape `(num_clips,)`.
        held_points: Points to be named.
        held_labels: Their classes.
        strength: C of the regression: how freely it may fit.

    Returns:
        Share of right names. Chance is `evaluation.chance(held_labels)`.

    Raises:
        ValueError: If there is not one label for each point.

    Source: linear probes, Alain and Bengio (2016), arXiv:1610.01644.
    """
    for kind, some, names in (("points", points, labels), ("held_points", held_points, held_labels)):
        if len(some) != len(names) or not len(names):
            raise ValueError(f"got {len(some)} {kind} and {len(names)} labels; expected one label for each, and some.")
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=500))
    return float(probe.fit(np.asarray(points), labels).score(np.asarray(held_points), held_labels))


def genre_probe(model, features):
    """How much of the genre can be read off the latent: accuracy on test clips of a probe of training clips.

    At chance the latent says nothing of the genre. Above it the genre is there; whether a `ConditionalVAE` uses it
    from there and not from its label is what swap obedience tells.

    Args:
        model: `Autoencoder`, `VAE` or `ConditionalVAE`.
        features: `FeatureSet`.

    Returns:
        Share between 0 and 1.
    """
    data = []
    for split in ("train", "test"):
        clips, genre = features.arrays(split)
        data += [model.encode(clips)[0], genre]
    return probe_accuracy(*data)


def classification_accuracy(generated, asked, real, labels, embed):
    """Accuracy on real clips of a probe that has heard generated clips only.

    It is low if the clips are not of the genre asked for, and also if each genre's clips are all alike.
    Compare it with the same probe trained on as many real clips.

    Args:
        generated: Generated clips, scaled log-mel.
        asked: Genre asked for, for each.
        real: Real clips the probe is tested on.
        labels: Their genres.
        embed: Function clips -> `(num_clips, dimensions)`, such as the descriptors of a judge.

    Returns:
        Share between 0 and 1.

    Source: Ravuri and Vinyals (2019), arXiv:1905.10887, with a linear probe in place of a deep network.
    """
    return probe_accuracy(embed(generated), asked, embed(real), labels)
