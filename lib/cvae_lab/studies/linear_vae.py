"""The original's input, and the theory of linear VAEs that forecasts collapse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import minimize
from scipy.signal import istft, resample_poly, stft
from threadpoolctl import threadpool_limits

from cvae_lab.notebook.session import cache_folder
from cvae_music import serialization
from cvae_music.data.windows import load_window

# At half the sample rate: 23 ms and 12 ms, as in the original.
STFT_SIZE = 256
STFT_HOP = 128
STFT_FRAMES = 128
STFT_FORMAT = 2  # to be raised when what `stft_clips` returns changes
SPLITS = ("train", "test")


def complex_stft(samples: np.ndarray, start: int = 0) -> np.ndarray:
    """Computes the complex STFT of 1.5 s of a clip, as the original's network got it.

    Args:
        samples: Float array, shape `(samples,)`, at 22,050 Hz; read as a loop.
        start: First sample.

    Returns:
        Float32 array, shape `(128 frames, 256)`: 128 real parts, then 128 imaginary
        parts, 0 to 5.5 kHz.

    Example:
        >>> complex_stft(np.zeros(1000)).shape
        (128, 256)
    """
    length = (STFT_FRAMES - 1) * STFT_HOP + STFT_SIZE
    piece = np.take(samples, np.arange(start, start + 2 * length), mode="wrap")
    piece = resample_poly(piece, 1, 2)[:length]
    overlap = STFT_SIZE - STFT_HOP
    settings = {"nperseg": STFT_SIZE, "noverlap": overlap, "padded": False}
    _, _, bins = stft(piece, boundary=None, **settings)
    bins = bins[:-1].T  # the highest bin is left out
    return np.concatenate([bins.real, bins.imag], axis=1).astype(np.float32)


def stft_to_audio(clip: np.ndarray, scale: Sequence[float] | np.ndarray) -> np.ndarray:
    """Inverts `complex_stft` of one scaled clip, but for its ends.

    Args:
        clip: Shape `(128 frames, 256)`.
        scale: The two divisors of `stft_clips`.

    Returns:
        Float32 samples at 22,050 Hz, shape `(samples,)`.

    Example:
        >>> len(stft_to_audio(np.zeros((128, 256)), (1.0, 1.0)))
        33024
    """
    real, imaginary = np.split(clip, 2, axis=1)
    bins = real * scale[0] + 1j * imaginary * scale[1]
    # A silent frame at each end, whose outer half is trimmed; and the highest bin.
    bins = np.pad(bins, ((1, 1), (0, 1)))
    _, samples = istft(bins.T, nperseg=STFT_SIZE, noverlap=STFT_SIZE - STFT_HOP)
    return resample_poly(samples, 2, 1).astype(np.float32)


def stft_clips(features: Any) -> dict[str, Any]:
    """Computes complex STFTs of clips from random starts, scaled as the original did.

    Two pieces of 1.5 s are taken from each of 1,200 clips, at most.

    The real parts are divided by 16 of their standard deviations on the training split,
    and so are the imaginary parts: the typical cell then has a variance of 1/256.

    Args:
        features: `FeatureSet` that names the clips.

    Returns:
        Dictionary split -> `(x, genre)`: float32, shape `(clips, 128, 256)`; int32
        indices, shape `(clips,)`; and `"scale"`, the two divisors.

    Example:
        >>> stft_clips(features)["train"][0].shape  # doctest: +SKIP
        (1920, 128, 256)
    """
    rng = np.random.default_rng(0)
    rows = np.sort(rng.permutation(len(features))[:1200])
    clips: dict[str, list] = {split: [] for split in SPLITS}
    genres: dict[str, list] = {split: [] for split in SPLITS}
    for row in rows:
        about = features.table.iloc[row]
        split = about["split"]
        if split not in clips:
            continue
        samples = load_window(about, features.config).samples
        for start in rng.integers(0, len(samples), 2):
            clips[split].append(complex_stft(samples, start))
            genres[split].append(features.genre_index[row])
    real, imaginary = np.split(np.array(clips["train"]), 2, axis=2)
    scale = 16.0 * np.array([real.std(), imaginary.std()])
    divisor = np.repeat(scale, real.shape[2]).astype(np.float32)
    found: dict[str, Any] = {"scale": scale}
    for split in SPLITS:
        scaled = np.array(clips[split]) / divisor
        found[split] = (scaled, np.array(genres[split]))
    return found


def clips_of(features: Any, kind: str) -> dict[str, Any]:
    """Loads training and test clips as log-mel or as complex STFT.

    The STFT is computed once and kept in the cache.

    Args:
        features: `FeatureSet`.
        kind: `"log_mel"` or `"stft"`.

    Returns:
        Dictionary split -> `(x, genre)`; for the STFT also `"scale"`, see `stft_clips`.

    Example:
        >>> from types import SimpleNamespace
        >>> clips = (np.zeros((2, 128, 16)), np.array([0, 1]))
        >>> features = SimpleNamespace(arrays=lambda split: clips)
        >>> sorted(clips_of(features, "log_mel"))
        ['test', 'train']
    """
    if kind == "log_mel":
        return {split: features.arrays(split) for split in SPLITS}
    path = cache_folder() / f"stft-{STFT_FORMAT}-{features.key()}.npz"
    if not path.exists():
        made = stft_clips(features)
        arrays = {}
        for split in SPLITS:
            arrays[f"{split}_clips"] = made[split][0].astype(np.float16)
            arrays[f"{split}_genre"] = made[split][1]
        about = {"scale": made["scale"].tolist()}
        serialization.save_arrays(path, about, arrays)
    about, arrays = serialization.load_arrays(path)
    found: dict[str, Any] = {"scale": np.array(about["scale"])}
    for split in SPLITS:
        genre = arrays[f"{split}_genre"].astype(np.int32)
        found[split] = (arrays[f"{split}_clips"], genre)
    return found


def levels_db(x: np.ndarray, kind: str, config: Any) -> np.ndarray:
    """Converts clips to levels in dB, by which both kinds of features can be compared.

    Args:
        x: Scaled log-mel, shape `(clips, 128, 128)`, or STFT `(clips, 128, 256)`.
        kind: `"log_mel"` or `"stft"`.
        config: `AudioConfig` of log-mel.

    Returns:
        Array of shape `(clips, 128, 128)`, dB.

    Example:
        >>> levels_db(np.array([[[0.03, 0.04]]]), "stft", None).round(1).tolist()
        [[[-1.9]]]
    """
    if kind == "log_mel":
        return config.unscale(x)
    real, imaginary = np.split(x, 2, axis=2)
    power = 256.0 * (real**2 + imaginary**2)  # a typical cell reads 3 dB
    return 10.0 * np.log10(np.maximum(power, 1e-5))


def pca_spectrum(clips: Sequence | np.ndarray) -> np.ndarray:
    """Computes the eigenvalues of the covariance of clips, largest first.

    Args:
        clips: Float array, shape `(clips, ...)`.

    Returns:
        Float64 array, shape `(clips - 1,)` or shorter: the variance along each
        principal direction.

    Example:
        >>> pca_spectrum([[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0]]).round(3).tolist()
        [0.667, 0.0]
    """
    flat = np.asarray(clips, np.float32).reshape(len(clips), -1)
    flat = flat - flat.mean(axis=0)
    # Where clips are fewer than cells, the Gram matrix has the same eigenvalues.
    small = flat @ flat.T if len(flat) <= flat.shape[1] else flat.T @ flat
    values = np.linalg.eigvalsh(small.astype(np.float64))[::-1] / len(flat)
    return np.clip(values[: min(len(flat) - 1, flat.shape[1])], 0.0, None)


def forecast_active_units(
    eigenvalues: ArrayLike, beta: ArrayLike, num_latents: int
) -> np.ndarray:
    """Forecasts how many latent dimensions a linear VAE keeps.

    The loss is the sum of squares + beta * KL. Divided by beta, it is the negative ELBO
    of a Gaussian decoder with variance beta / 2. A linear VAE keeps a principal
    direction only if its eigenvalue exceeds that variance, the largest first, and no
    more of them than it has latent dimensions. The mean of a kept dimension varies by
    1 - variance / eigenvalue, so the bar of 0.01 of an active unit moves the threshold
    by one per cent.

    Args:
        eigenvalues: From `pca_spectrum`.
        beta: KL weight, a number or an array.
        num_latents: Latent dimensions of the model.

    Returns:
        Integer array in the shape of `beta`.

    Source: Lucas, Tucker, Grosse and Norouzi (2019), "Don't blame the ELBO!",
    arXiv:1911.02469.

    Example:
        >>> forecast_active_units([10.0, 4.0, 1.0], [0.1, 4.0], 8).tolist()
        [3, 2]
    """
    threshold = np.asarray(beta, float)[..., None] / 2.0 / 0.99
    return np.minimum(np.sum(np.asarray(eigenvalues) > threshold, axis=-1), num_latents)


def fit_linear_vae(
    eigenvalues: ArrayLike,
    beta: float,
    num_latents: int,
    seed: int = 0,
    num_components: int = 256,
) -> np.ndarray:
    """Trains a linear VAE by gradients and measures the variance of its latents.

    A linear model's loss, averaged over clips and noise, depends on the covariance
    alone, and a rotation of the axes changes nothing: so it is written for a diagonal
    covariance, and no clip is needed. The forecast is not used.

    Args:
        eigenvalues: From `pca_spectrum`.
        beta: KL weight beside the sum of squares.
        num_latents: Latent dimensions.
        seed: Seed of the first weights.
        num_components: Directions kept; the rest only adds a constant while the latents
            are fewer.

    Returns:
        Variance over clips of each posterior mean, shape `(num_latents,)`, largest
        first.

    Example:
        >>> fit_linear_vae([10.0, 4.0], beta=2.0, num_latents=2).round(2).tolist()
        [0.9, 0.75]
    """
    root = np.sqrt(np.asarray(eigenvalues, float)[:num_components])
    shape = (num_latents, len(root))
    size = num_latents * len(root)

    def loss(flat):
        # The encoder acts on whitened directions: mean = encoder @ (x / root).
        encoder = flat[:size].reshape(shape)
        decoder = flat[size : 2 * size].reshape(shape[::-1])
        log_var = flat[2 * size :]
        variance = np.exp(log_var)
        norms = np.sum(decoder**2, axis=0)
        error = np.diag(root) - decoder @ encoder
        kl = 0.5 * np.sum(np.sum(encoder**2, axis=1) + variance - 1.0 - log_var)
        slopes = (
            -2.0 * decoder.T @ error + beta * encoder,
            -2.0 * error @ encoder.T + 2.0 * decoder * variance,
            variance * norms + 0.5 * beta * (variance - 1.0),
        )
        total = np.sum(error**2) + variance @ norms + beta * kl
        return total, np.concatenate([slope.ravel() for slope in slopes])

    weights = 0.05 * np.random.default_rng(seed).standard_normal(2 * size)
    start = np.concatenate([weights, np.zeros(num_latents)])
    # The start is near a saddle, where the loss hardly changes: the usual tolerances
    # would stop there.
    options = {"maxiter": 400, "maxfun": 800, "ftol": 1e-13, "gtol": 1e-7}
    # Matrices this small are slower on several threads.
    with threadpool_limits(1):
        found = minimize(loss, start, jac=True, method="L-BFGS-B", options=options).x
    encoder = found[:size].reshape(shape)
    return np.sort(np.sum(encoder**2, axis=1))[::-1]
