"""Phases for given magnitudes: where they start, and the rounds of Griffin-Lim that make them agree.

They start at zero, at random, or integrated from the gradients that the magnitudes imply; and at those of noise, since
integration takes for a pulse what is smooth.
"""

import functools
import heapq

import numpy as np

from cvae_music.audio.analysis import TINY

HANN_GAMMA = 0.25645  # of the Gaussian nearest to a Hann window, times its length squared (Prusa et al., 2017)
NOISE_FROM = (
    0.4,
    0.5,
)  # nats of uncertainty; chosen on validation tracks, with the ear of a tagger
TOLERANCE = 1e-3  # magnitudes below this share of the largest start at random phases; the rounds suffice for them


def zero_phases(magnitude, loop, rng):
    """Every frame swings together at its centre: shape and type of `magnitude`."""
    return np.zeros_like(magnitude)


def random_phases(magnitude, loop, rng):
    """Phases drawn evenly from the circle: shape and type of `magnitude`."""
    return rng.random(magnitude.shape, np.float32) * np.float32(2.0 * np.pi)


def fast_griffin_lim(magnitude, start, loop, rounds=32, momentum=0.99):
    """Sound of a loop with these magnitudes, from rounds that make the phases of overlapping frames agree.

    Each round makes sound, reads the phases of that sound and puts the magnitudes back.

    Args:
        magnitude: Float32 array, shape `(frames, bins)`, in the units of `loop.forward`.
        start: Complex spectra to begin with, same shape, such as `loop.with_phases(magnitude, phase)`.
        loop: `LoopSTFT` of the frames.
        rounds: Number of rounds.
        momentum: How far each round goes on in the direction of the last; 0 is the original Griffin-Lim.

    Returns:
        Float32 array, shape `(loop.length,)`.

    Source: Griffin and Lim (1984); Perraudin, Balazs and Søndergaard (2013), A fast Griffin-Lim algorithm, WASPAA.
    """
    spectra, last = start, None
    for _ in range(rounds):
        new = loop.forward(loop.inverse(spectra))
        ahead = new if last is None else new + momentum * (new - last)
        spectra = ahead * (magnitude / np.maximum(np.abs(ahead), 1e-10))
        last = new
    return loop.inverse(spectra)


def noise_substitution(magnitude, uncertainty, loop, rng):
    """Makes noise of what is uncertain.

    Who has to guess the magnitude of noise does best to answer its median, everywhere the same. But phases that are
    integrated from smooth magnitudes are those of pulses, and hiss comes back as buzz. So uncertain magnitudes are
    multiplied by those of white noise, whose neighbours in time and frequency hang together as the window wants it,
    and where noise outweighs the rest its phases hold.

    Args:
        magnitude: Float32 array, shape `(frames, bins)`.
        uncertainty: Expected error of its natural logarithm, same shape; of noise it is about 0.5.
        loop: `LoopSTFT` of the frames.
        rng: NumPy generator of the noise.

    Returns:
        `(magnitude, turn)`: float32, and complex numbers of size 1 with the phases of the noise, 0 where they do
        not hold.
    """
    noise = loop.forward(rng.standard_normal(loop.length, np.float32))
    size = np.abs(noise)
    low, high = NOISE_FROM
    share = np.clip((uncertainty - low) / (high - low), 0.0, 1.0)
    fluctuation = np.maximum(size / np.sqrt(np.mean(size**2)), 0.03) ** share
    return magnitude * fluctuation, np.where(
        share > 0.5, noise / np.maximum(size, TINY), 0.0
    )


def phase_gradient_integration(magnitude, loop, rng):
    """Phase-gradient heap integration: follows the phase from the loudest cells outwards.

    Under a Gaussian window the phase's gradient is the logarithm of the magnitude's, turned by a right
    angle; a Hann window is close enough to a Gaussian. Integrating over loud cells first keeps the errors
    of faint cells to themselves. The last frame is a neighbour of the first.

    Args:
        magnitude: Float array, shape `(frames, bins)`.
        loop: `LoopSTFT` of the frames.
        rng: NumPy generator for the phases that the magnitudes do not determine.

    Returns:
        Float32 array, shape `(frames, bins)`, radians at the centre of each frame.

    Source: Prusa, Balazs and Søndergaard (2017), A noniterative method for reconstruction of phase from
        STFT magnitude, IEEE/ACM TASLP 25(5).
    """
    phase = random_phases(magnitude, loop, rng)
    loudest = float(magnitude.max(initial=0.0))
    if loudest == 0.0:
        return phase
    logarithm = np.log(np.maximum(magnitude, 0.1 * TOLERANCE * loudest)).astype(
        np.float32
    )
    first = magnitude.argmax(axis=1)
    order = np.argsort(-magnitude[np.arange(len(first)), first])
    steps = np.diff(np.append(loop.centres, loop.centres[0] + loop.length)).astype(
        np.int64
    )
    gamma = HANN_GAMMA * loop.n_fft**2
    _integrator()(
        np.ascontiguousarray(magnitude, np.float32),
        logarithm,
        phase,
        steps,
        order,
        first[order],
        loop.n_fft,
        gamma,
        TOLERANCE * loudest,
    )
    return phase


@functools.cache
def _integrator():
    """Compiled on first use; the machine code is kept on disk where a folder can be written."""
    import numba

    try:
        return numba.njit(cache=True, nogil=True)(_integrate)
    except RuntimeError:
        return numba.njit(nogil=True)(_integrate)


# By hand: the last frame is a neighbour of the first and steps between frames are uneven, so that a loop of any tempo is
# exact to a sample; implementations elsewhere ask for one step and begin at the first frame.
def _integrate(
    magnitude, logarithm, phase, steps, seed_frames, seed_bins, n_fft, gamma, threshold
):
    """Fills `phase` in place, in loops that Numba compiles."""
    frames, bins = magnitude.shape
    mean_step = steps.sum() / frames
    along_time = (
        0.5 * mean_step * n_fft / gamma
    )  # of the slope over bins, beyond the bin's own frequency
    along_bins = -0.5 * gamma / (mean_step * n_fft)  # of the slope over frames
    done = magnitude < threshold
    for start in range(len(seed_frames) + frames * bins):
        # The loudest cell of each frame first, loudest frame first; then whatever they did not reach.
        if start < len(seed_frames):
            frame, k = seed_frames[start], seed_bins[start]
        else:
            frame, k = (
                (start - len(seed_frames)) // bins,
                (start - len(seed_frames)) % bins,
            )
        if done[frame, k]:
            continue
        done[frame, k] = True
        heap = [(-magnitude[frame, k], frame, k)]
        while heap:
            _, frame, k = heapq.heappop(heap)
            for side in range(4):
                to, m = frame, k
                if side < 2:
                    to = (frame + 1 - 2 * side) % frames
                else:
                    m = k + 5 - 2 * side
                if m < 0 or m >= bins or done[to, m]:
                    continue
                if side < 2:
                    low, high = max(k - 1, 0), min(k + 1, bins - 1)
                    slope = (
                        logarithm[frame, high]
                        - logarithm[frame, low]
                        + logarithm[to, high]
                        - logarithm[to, low]
                    )
                    step = steps[frame] if side == 0 else steps[to]
                    # The step times the frequency is exact in whole numbers, whatever the length of the clip.
                    change = (
                        2.0 * np.pi * ((step * k) % n_fft) / n_fft
                        + 0.5 * along_time * slope
                    )
                    phase[to, m] = (
                        phase[frame, k] + (change if side == 0 else -change)
                    ) % (2.0 * np.pi)
                else:
                    after, before = (frame + 1) % frames, (frame - 1) % frames
                    slope = (
                        logarithm[after, k]
                        - logarithm[before, k]
                        + logarithm[after, m]
                        - logarithm[before, m]
                    )
                    phase[to, m] = phase[frame, k] + (m - k) * 0.5 * along_bins * slope
                done[to, m] = True
                heapq.heappush(heap, (-magnitude[to, m], to, m))
