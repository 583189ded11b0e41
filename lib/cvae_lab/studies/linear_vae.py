"""Posterior collapse, before any training: what the original's network was fed, and which latents can survive."""

import numpy as np
from scipy.optimize import minimize
from scipy.signal import istft, resample_poly, stft
from threadpoolctl import threadpool_limits

from cvae_lab.notebook.session import cache_folder
from cvae_music import serialization
from cvae_music.data.windows import load_window

STFT_SIZE, STFT_HOP = (
    256,
    128,
)  # at half the sample rate: 23 ms and 12 ms, as in the original
STFT_FRAMES = 128
STFT_FORMAT = 2  # to be raised when what `stft_clips` returns changes


def complex_stft(samples, start=0):
    """Real and imaginary parts side by side, as the original fed them to its network.

    Args:
        samples: Float array, shape `(samples,)`, at 22,050 Hz; read as a loop.
        start: First sample.

    Returns:
        Float32 array, shape `(128 frames, 256)`: 128 real parts, then 128 imaginary parts, 0 to 5.5 kHz.
    """
    length = (STFT_FRAMES - 1) * STFT_HOP + STFT_SIZE
    piece = np.take(samples, np.arange(start, start + 2 * length), mode="wrap")
    piece = resample_poly(piece, 1, 2)[:length]
    _, _, bins = stft(
        piece,
        nperseg=STFT_SIZE,
        noverlap=STFT_SIZE - STFT_HOP,
        boundary=None,
        padded=False,
    )
    bins = bins[:-1].T  # the highest bin is left out
    return np.concatenate([bins.real, bins.imag], axis=1).astype(np.float32)


def stft_to_audio(clip, scale):
    """The sound of one scaled clip, float32 samples at 22,050 Hz; the inverse of `complex_stft` but for the ends.

    Args:
        clip: Shape `(128 frames, 256)`.
        scale: The two divisors of `stft_clips`.
    """
    half = clip.shape[1] // 2
    bins = clip[:, :half] * scale[0] + 1j * clip[:, half:] * scale[1]
    # A silent frame at each end, whose outer half is trimmed; and the highest bin, which was left out.
    bins = np.pad(bins, ((1, 1), (0, 1)))
    _, samples = istft(bins.T, nperseg=STFT_SIZE, noverlap=STFT_SIZE - STFT_HOP)
    return resample_poly(samples, 2, 1).astype(np.float32)


def stft_clips(features, num_clips=1200, crops=2, seed=0):
    """Complex STFT of clips from random starts, each half scaled as the original did.

    The real parts are divided by 16 of their standard deviations on the training split, and so are the
    imaginary parts: the typical cell then has a variance of 1/256.

    Args:
        features: `FeatureSet` that names the clips.
        num_clips: How many of them to compose or read.
        crops: Random pieces of 1.5 s from each.
        seed: Seed of the choice and of the starts.

    Returns:
        Dictionary split -> `(x, genre)`: float32, shape `(clips, 128, 256)`; int32 indices, shape `(clips,)`;
        and `"scale"`, the two divisors.
    """
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.permutation(len(features))[:num_clips])
    pieces = {"train": [], "test": []}
    for row in rows:
        split = features.table["split"].iloc[row]
        if split not in pieces:
            continue
        samples = load_window(features.table.iloc[row], features.config).samples
        for start in rng.integers(0, len(samples), crops):
            pieces[split].append(
                (complex_stft(samples, start), features.genre_index[row])
            )
    found = {
        split: tuple(map(np.array, zip(*parts, strict=True)))
        for split, parts in pieces.items()
    }
    half = found["train"][0].shape[2] // 2
    scale = 16.0 * np.array(
        [found["train"][0][..., :half].std(), found["train"][0][..., half:].std()]
    )
    divisor = np.repeat(scale, half).astype(np.float32)
    return {split: (x / divisor, genre) for split, (x, genre) in found.items()} | {
        "scale": scale
    }


def clips_of(features, kind):
    """Training and test clips as `"log_mel"` or `"stft"`; the STFT is made once and kept beside the features.

    Returns:
        Dictionary split -> `(x, genre)`; for the STFT also `"scale"`, see `stft_clips`.
    """
    splits = ("train", "test")
    if kind == "log_mel":
        return {split: features.arrays(split) for split in splits}
    path = cache_folder() / f"stft-{STFT_FORMAT}-{features.path.name}.npz"
    if not path.exists():
        made = stft_clips(features)
        parts = {
            f"{split}_clips": made[split][0].astype(np.float16) for split in splits
        }
        parts |= {f"{split}_genre": made[split][1] for split in splits}
        serialization.save_arrays(path, {"scale": made["scale"].tolist()}, parts)
    about, parts = serialization.load_arrays(path)
    found = {
        split: (parts[f"{split}_clips"], parts[f"{split}_genre"].astype(np.int32))
        for split in splits
    }
    return found | {"scale": np.array(about["scale"])}


def levels_db(x, kind, config):
    """Clips as levels in dB, `(clips, 128, 128)`: what both kinds of features can be compared by."""
    if kind == "log_mel":
        return config.unscale(x)
    half = x.shape[2] // 2
    power = 256.0 * (
        x[..., :half] ** 2 + x[..., half:] ** 2
    )  # a typical cell reads 3 dB
    return 10.0 * np.log10(np.maximum(power, 1e-5))


def pca_spectrum(clips):
    """Eigenvalues of the covariance of clips, largest first.

    Args:
        clips: Float array, shape `(clips, ...)`.

    Returns:
        Float64 array, shape `(clips - 1,)` or shorter: the variance along each principal direction.
    """
    flat = np.asarray(clips, np.float32).reshape(len(clips), -1)
    flat = flat - flat.mean(axis=0)
    # Clips are fewer than cells: the Gram matrix has the same eigenvalues and is far smaller.
    small = flat @ flat.T if len(flat) <= flat.shape[1] else flat.T @ flat
    values = np.linalg.eigvalsh(small.astype(np.float64))[::-1] / len(flat)
    return np.clip(values[: min(len(flat) - 1, flat.shape[1])], 0.0, None)


def forecast_active_units(eigenvalues, beta, num_latents):
    """How many latent dimensions a linear VAE keeps under sum of squares + beta * KL.

    Sum of squares + beta * KL is, divided by beta, the negative ELBO of a Gaussian decoder with variance
    beta / 2. A linear VAE keeps a principal direction only if its eigenvalue exceeds that variance, the
    largest first, and no more of them than it has latent dimensions. The mean of a kept dimension varies
    by 1 - variance / eigenvalue, so the bar of 0.01 of an active unit moves the threshold by one per cent.

    Args:
        eigenvalues: From `pca_spectrum`.
        beta: KL weight, a number or an array.
        num_latents: Latent dimensions of the model.

    Returns:
        Integer array in the shape of `beta`.

    Source: Lucas, Tucker, Grosse and Norouzi (2019), "Don't blame the ELBO!", arXiv:1911.02469.
    """
    threshold = np.asarray(beta, float)[..., None] / 2.0 / 0.99
    return np.minimum(np.sum(np.asarray(eigenvalues) > threshold, axis=-1), num_latents)


def fit_linear_vae(
    eigenvalues, beta, num_latents, seed=0, num_components=256, max_iterations=400
):
    """Trains a linear VAE by gradients from a random start, and says what its latents became.

    A linear model's loss, averaged over clips and noise, depends on the covariance alone, and turning the axes changes
    nothing: so it is written for a diagonal covariance, and no clip is needed. Nothing of the forecast enters.

    Args:
        eigenvalues: From `pca_spectrum`.
        beta: KL weight beside the sum of squares.
        num_latents: Latent dimensions.
        seed: Seed of the first weights.
        num_components: Directions kept; the rest only adds a constant while the latents are fewer.
        max_iterations: Steps of the optimiser (L-BFGS).

    Returns:
        Variance over clips of each posterior mean, shape `(num_latents,)`, largest first.
    """
    root = np.sqrt(np.asarray(eigenvalues, float)[:num_components])
    size = (num_latents, len(root))

    def loss(flat):
        # The encoder acts on whitened directions: mean = encoder @ (x / root).
        encoder, decoder = (
            flat[: root.size * num_latents].reshape(size),
            flat[root.size * num_latents : -num_latents],
        )
        decoder, log_var = decoder.reshape(size[::-1]), flat[-num_latents:]
        variance, norms = np.exp(log_var), np.sum(decoder**2, axis=0)
        error = np.diag(root) - decoder @ encoder
        price = (
            0.5 * beta * np.sum(np.sum(encoder**2, axis=1) + variance - 1.0 - log_var)
        )
        slopes = (
            -2.0 * decoder.T @ error + beta * encoder,
            -2.0 * error @ encoder.T + 2.0 * decoder * variance,
            variance * norms + 0.5 * beta * (variance - 1.0),
        )
        return np.sum(error**2) + variance @ norms + price, np.concatenate(
            [slope.ravel() for slope in slopes]
        )

    start = 0.05 * np.random.default_rng(seed).standard_normal(
        2 * root.size * num_latents
    )
    start = np.concatenate([start, np.zeros(num_latents)])
    # The start is next to a saddle, where the loss hardly changes: the usual tolerances would stop there.
    options = {
        "maxiter": max_iterations,
        "maxfun": 2 * max_iterations,
        "ftol": 1e-13,
        "gtol": 1e-7,
    }
    with threadpool_limits(
        1
    ):  # matrices this small are slower on several threads, and stand still on a busy machine
        found = minimize(loss, start, jac=True, method="L-BFGS-B", options=options).x
    return np.sort(np.sum(found[: root.size * num_latents].reshape(size) ** 2, axis=1))[
        ::-1
    ]
