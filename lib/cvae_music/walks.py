"""Clips longer than a window: a walk through latent space, decoded in overlapping windows, sounded in one go."""

import numpy as np


def slerp(first, second, share):
    """A latent on the way from one to another along the sphere, so that it stays as far out as they are.

    Dimension by dimension a straight line would pass through the middle, where no clip is.

    Args:
        first: Shape `(..., latent_dim)`.
        second: Same shape.
        share: 0 gives `first`, 1 gives `second`; a number, or an array that broadcasts against `(..., 1)`.

    Returns:
        Float32 array, the broadcast shape.

    Source: Shoemake (1985); on latents White (2016), arXiv:1609.04468.
    """
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    share = np.asarray(share, np.float64)
    lengths = np.linalg.norm(first, axis=-1, keepdims=True), np.linalg.norm(second, axis=-1, keepdims=True)
    directions = [vector / np.maximum(length, 1e-12) for vector, length in zip((first, second), lengths, strict=True)]
    angle = np.arccos(np.clip(np.sum(directions[0] * directions[1], axis=-1, keepdims=True), -1.0, 1.0))
    if np.any(angle > np.pi - 1e-6):
        raise ValueError("slerp got two latents that point in opposite directions; no way is the shortest. Move one a little.")
    sine = np.sin(angle)
    parallel = sine < 1e-6
    weights = [np.where(parallel, part, np.sin(part * angle) / np.where(parallel, 1.0, sine)) for part in (1.0 - share, share)]
    length = (1.0 - share) * lengths[0] + share * lengths[1]
    return (length * (weights[0] * directions[0] + weights[1] * directions[1])).astype(np.float32)
