"""Phases for given magnitudes: initial phases, and fast Griffin-Lim iterations."""

from __future__ import annotations

import functools
import heapq
from typing import TYPE_CHECKING

import numpy as np

from cvae_music.audio.analysis import TINY

if TYPE_CHECKING:
    from cvae_music.audio.inversion import LoopSTFT

# The Gaussian nearest to a Hann window, exp(-pi t^2 / gamma), has this gamma times the
# squared length of the window (Prusa et al., 2017).
HANN_GAMMA = 0.25645
# Uncertainty in nats from which noise is mixed in, and from which it stands alone;
# chosen on validation tracks, by the embedding of a music tagger.
NOISE_FROM = (0.4, 0.5)
TOLERANCE = 1e-3  # cells below this share of the largest keep random phases


def zero_phases(
    magnitude: np.ndarray, loop: LoopSTFT, rng: np.random.Generator
) -> np.ndarray:
    """Returns a phase of 0 radians at the centre of each frame, for every frequency.

    Args:
        magnitude: Float32 array, shape `(frames, bins)`.
        loop: Unused; all functions that find initial phases take the same arguments.
        rng: Unused.

    Returns:
        Float32 array, shape `(frames, bins)`.

    Example:
        >>> zero_phases(np.ones((1, 3), np.float32), None, None)
        array([[0., 0., 0.]], dtype=float32)
    """
    return np.zeros_like(magnitude)


def random_phases(
    magnitude: np.ndarray, loop: LoopSTFT, rng: np.random.Generator
) -> np.ndarray:
    """Draws phases in radians, uniformly from the circle.

    Args:
        magnitude: Float32 array, shape `(frames, bins)`.
        loop: `LoopSTFT` of the frames; unused.
        rng: NumPy generator.

    Returns:
        Float32 array, shape `(frames, bins)`.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> random_phases(np.ones((4, 3), np.float32), None, rng).shape
        (4, 3)
    """
    return rng.random(magnitude.shape, np.float32) * np.float32(2.0 * np.pi)


def fast_griffin_lim(
    magnitude: np.ndarray,
    start: np.ndarray,
    loop: LoopSTFT,
    rounds: int = 32,
    momentum: float = 0.99,
) -> np.ndarray:
    """Estimates the samples of a loop whose spectra have given magnitudes.

    Each round synthesises samples, keeps the phases of their spectra and replaces the
    magnitudes by those given. So the phases of overlapping frames come to agree.

    Args:
        magnitude: Float32 array, shape `(frames, bins)`, in the units of
            `loop.forward`.
        start: Complex array, shape `(frames, bins)`, such as
            `loop.with_phases(magnitude, phase)`.
        loop: `LoopSTFT` of the frames.
        rounds: Number of rounds; 0 gives the inverse of `start`.
        momentum: Share of the last change of the spectra that is added in each round,
            at least 0; 0 is the original Griffin-Lim.

    Returns:
        Float32 array, shape `(loop.length,)`.

    Source: Griffin and Lim (1984); Perraudin, Balazs and Søndergaard (2013), A fast
        Griffin-Lim algorithm, WASPAA.

    Example:
        >>> from cvae_music.audio.inversion import LoopSTFT
        >>> loop = LoopSTFT(np.arange(0, 64, 8), length=64, n_fft=16)
        >>> spectra = loop.forward(np.sin(np.arange(64.0) * np.pi / 4))
        >>> fast_griffin_lim(np.abs(spectra), spectra, loop, rounds=2).shape
        (64,)
    """
    spectra = start
    last = None
    for _ in range(rounds):
        new = loop.forward(loop.inverse(spectra))
        ahead = new if last is None else new + momentum * (new - last)
        spectra = ahead * (magnitude / np.maximum(np.abs(ahead), 1e-10))
        last = new
    return loop.inverse(spectra)


def noise_substitution(
    magnitude: np.ndarray,
    uncertainty: np.ndarray,
    loop: LoopSTFT,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Gives uncertain bins the magnitudes and phases of white noise.

    A regressor predicts the median of noisy magnitudes, which is smooth. Phases
    integrated from smooth magnitudes are those of pulses, so hiss would come back as a
    buzz. The noise is analysed with the same window, so its neighbouring bins are
    correlated as those of real noise are.

    Args:
        magnitude: Float32 array, shape `(frames, bins)`.
        uncertainty: Float array, shape `(frames, bins)`: expected error of the natural
            logarithm of the magnitude, in nats. It is about 0.5 for noise. Up to 0.4
            a bin stays as it is. From 0.5 on its magnitude fluctuates as that of noise,
            and from 0.45 on its phase is that of the noise.
        loop: `LoopSTFT` of the frames.
        rng: NumPy generator of the noise.

    Returns:
        `(magnitude, phasor)`, both of shape `(frames, bins)`: float32, and complex
        numbers of size 1 with the phases of the noise, or 0 where it is not used.

    Example:
        >>> from cvae_music.audio.inversion import LoopSTFT
        >>> loop = LoopSTFT(np.arange(0, 64, 8), length=64, n_fft=16)
        >>> flat = np.ones((8, 9), np.float32)
        >>> rng = np.random.default_rng(0)
        >>> magnitude, phasor = noise_substitution(flat, 0.0 * flat, loop, rng)
        >>> bool((magnitude == flat).all()), bool(phasor.any())
        (True, False)
    """
    noise = loop.forward(rng.standard_normal(loop.length, np.float32))
    size = np.abs(noise)
    low, high = NOISE_FROM
    share = np.clip((uncertainty - low) / (high - low), 0.0, 1.0)
    # Bounded at 30 dB below the mean power.
    fluctuation = np.maximum(size / np.sqrt(np.mean(size**2)), 0.03) ** share
    phasor = np.where(share > 0.5, noise / np.maximum(size, TINY), 0.0)
    return magnitude * fluctuation, phasor


def phase_gradient_integration(
    magnitude: np.ndarray, loop: LoopSTFT, rng: np.random.Generator
) -> np.ndarray:
    """Estimates phases by phase-gradient heap integration (PGHI), in radians.

    Under a Gaussian window the gradient of the phase is the gradient of the logarithm
    of the magnitude, turned by a right angle. A Hann window is close to a Gaussian.
    Loud cells are integrated first, so errors of faint cells do not spread. The last
    frame is a neighbour of the first.

    Args:
        magnitude: Float array, shape `(frames, bins)`.
        loop: `LoopSTFT` of the frames.
        rng: NumPy generator for the phases that the magnitudes do not determine.

    Returns:
        Float32 array, shape `(frames, bins)`: radians at the centre of each frame.

    Source: Prusa, Balazs and Søndergaard (2017), A noniterative method for
        reconstruction of phase from STFT magnitude, IEEE/ACM TASLP 25(5).

    Example:
        >>> from cvae_music.audio.inversion import LoopSTFT
        >>> loop = LoopSTFT(np.arange(0, 64, 8), length=64, n_fft=16)
        >>> rng = np.random.default_rng(0)
        >>> phase_gradient_integration(np.zeros((8, 9), np.float32), loop, rng).shape
        (8, 9)
    """
    phase = random_phases(magnitude, loop, rng)
    loudest = float(magnitude.max(initial=0.0))
    if loudest == 0.0:
        return phase
    log_magnitude = np.log(np.maximum(magnitude, 0.1 * TOLERANCE * loudest))
    peak_bins = magnitude.argmax(axis=1)
    peaks = magnitude[np.arange(len(peak_bins)), peak_bins]
    loudest_frames = np.argsort(-peaks)
    steps = np.diff(np.append(loop.centres, loop.centres[0] + loop.length))
    _compiled_integration()(
        np.ascontiguousarray(magnitude, np.float32),
        log_magnitude.astype(np.float32),
        phase,
        steps.astype(np.int64),
        loudest_frames,
        peak_bins[loudest_frames],
        loop.n_fft,
        HANN_GAMMA * loop.n_fft**2,
        TOLERANCE * loudest,
    )
    return phase


@functools.cache
def _compiled_integration():
    """Compiles `_integrate`; keeps the machine code on disk where it can be written."""
    import numba

    try:
        return numba.njit(cache=True, nogil=True)(_integrate)
    except RuntimeError:
        return numba.njit(nogil=True)(_integrate)


# Written here because other implementations take one hop length, and have a first and a
# last frame. The frames of a loop stand at uneven steps, so that any tempo is exact.
def _integrate(
    magnitude, logarithm, phase, steps, seed_frames, seed_bins, n_fft, gamma, threshold
):
    """Fills `phase` in place, in loops that Numba compiles."""
    frames, bins = magnitude.shape
    mean_step = steps.sum() / frames
    # Factors of the log-magnitude's slopes. That over bins gives the change of phase to
    # the next frame, beyond the bin's frequency; that over frames, to the next bin.
    along_time = 0.5 * mean_step * n_fft / gamma
    along_bins = -0.5 * gamma / (mean_step * n_fft)
    done = magnitude < threshold
    for start in range(len(seed_frames) + frames * bins):
        # Begins at the loudest cell of each frame, then at every cell not reached yet.
        if start < len(seed_frames):
            frame = seed_frames[start]
            k = seed_bins[start]
        else:
            frame = (start - len(seed_frames)) // bins
            k = (start - len(seed_frames)) % bins
        if done[frame, k]:
            continue
        done[frame, k] = True
        heap = [(-magnitude[frame, k], frame, k)]
        while heap:
            _, frame, k = heapq.heappop(heap)
            for side in range(4):  # next frame, last frame, next bin, last bin
                to = frame
                m = k
                if side < 2:
                    to = (frame + 1 - 2 * side) % frames
                else:
                    m = k + 5 - 2 * side
                if m < 0 or m >= bins or done[to, m]:
                    continue
                if side < 2:
                    low = max(k - 1, 0)
                    high = min(k + 1, bins - 1)
                    slope = (
                        logarithm[frame, high]
                        - logarithm[frame, low]
                        + logarithm[to, high]
                        - logarithm[to, low]
                    )
                    step = steps[frame] if side == 0 else steps[to]
                    # In whole numbers, so that it is exact in clips of any length.
                    turns = ((step * k) % n_fft) / n_fft
                    change = 2.0 * np.pi * turns + 0.5 * along_time * slope
                    if side == 1:
                        change = -change
                    phase[to, m] = (phase[frame, k] + change) % (2.0 * np.pi)
                else:
                    after = (frame + 1) % frames
                    before = (frame - 1) % frames
                    slope = (
                        logarithm[after, k]
                        - logarithm[before, k]
                        + logarithm[after, m]
                        - logarithm[before, m]
                    )
                    phase[to, m] = phase[frame, k] + (m - k) * 0.5 * along_bins * slope
                done[to, m] = True
                heapq.heappush(heap, (-magnitude[to, m], to, m))
