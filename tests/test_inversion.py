"""From log-mel to sound: what the way back costs, loops that close, methods in their order."""

import dataclasses

import numpy as np
import pytest

from cvae_music.audio import analysis as audio
from cvae_music.audio import inversion, phase_retrieval
from cvae_music.config import AudioConfig
from known_music.composer import compose, draw_factors

CONFIG = AudioConfig()


@pytest.fixture(scope="module")
def clips():
    """One clip of each genre: tempo, samples and levels."""
    found = []
    for _, row in draw_factors(6, seed=5).iterrows():
        samples = compose(row)
        found.append((row["tempo"], samples, levels(samples)))
    return found


def levels(samples, num_beats=8):
    config = dataclasses.replace(CONFIG, num_frames=num_beats * CONFIG.frames_per_beat)
    beats = np.linspace(0.0, len(samples) / CONFIG.sample_rate, num_beats + 1)
    return audio.log_mel(
        samples, audio.beat_frame_times(beats, config), config, wrap=True
    )


def distance(samples, magnitude, loop):
    """Distance of a sound's magnitudes from those wanted, over the size of those wanted."""
    return np.linalg.norm(np.abs(loop.forward(samples)) - magnitude) / np.linalg.norm(
        magnitude
    )


def jump_in_spectrum(samples, moments):
    """Largest change of level from one frame to the next, 256 samples apart, around some moments, in dB."""
    times = np.asarray(moments)[:, None] + np.array([-256, 0, 256])
    frames = audio.log_mel(
        samples, times.ravel() / CONFIG.sample_rate, CONFIG, wrap=True
    ).reshape(*times.shape, -1)
    return np.abs(np.diff(frames, axis=1)).mean(axis=(1, 2))


@pytest.mark.parametrize("tempo", [61.7, 120.0, 173.0])
def test_tempo_is_exact_and_one_seed_repeats(clips, tempo):
    samples = inversion.to_audio(clips[1][2], CONFIG, tempo)
    assert len(samples) == round(8 * 60 / tempo * 22050) and samples.dtype == np.float32
    np.testing.assert_array_equal(
        samples, inversion.to_audio(clips[1][2], CONFIG, tempo)
    )


def test_the_loop_closes_like_any_other_moment(clips):
    for tempo, _, level in clips:
        samples = inversion.to_audio(level, CONFIG, tempo)
        step = np.abs(np.diff(samples, append=samples[0]))
        assert step[-1] <= np.quantile(step, 0.999)
        # The seam stands on a downbeat; the other downbeats are what it is compared with.
        downbeats = np.arange(8) * len(samples) / 8
        jumps = jump_in_spectrum(samples, downbeats)
        assert jumps[0] <= 1.5 * jumps[1:].max()


def test_rolling_the_picture_rolls_the_sound(clips):
    """The inversion knows no beginning: a bar later in the picture is as good a start as any."""
    level = clips[0][2]
    errors = [
        np.abs(
            levels(inversion.to_audio(np.roll(level, shift, axis=0), CONFIG))
            - np.roll(level, shift, axis=0)
        )
        for shift in (0, 64)
    ]
    assert errors[0].mean() == pytest.approx(errors[1].mean(), rel=0.1)


def test_round_trip_error_is_below_a_db(clips):
    errors = [
        np.abs(levels(inversion.to_audio(level, CONFIG, tempo)) - level).mean()
        for tempo, _, level in clips
    ]
    assert np.mean(errors) < 0.8 and max(errors) < 1.2, errors


def test_better_starts_and_momentum_bring_the_magnitudes_closer(clips):
    """PGHI beats zero phase and is a better start than noise; momentum beats the original Griffin-Lim."""
    tempo, _, level = clips[3]
    loop, mel_power = inversion.frame_grid(level, CONFIG, tempo)
    magnitude = np.sqrt(
        inversion.mel_to_linear(mel_power, CONFIG)
    ) * inversion.stft_scale(CONFIG)
    zero, random, integrated = (
        loop.with_phases(magnitude, start(magnitude, loop, np.random.default_rng(0)))
        for start in (
            phase_retrieval.zero_phases,
            phase_retrieval.random_phases,
            phase_retrieval.phase_gradient_integration,
        )
    )

    def far(start, rounds, momentum=0.99):
        return distance(
            phase_retrieval.fast_griffin_lim(magnitude, start, loop, rounds, momentum),
            magnitude,
            loop,
        )

    assert far(integrated, 0) < 0.6 * far(zero, 0)
    assert (
        far(integrated, 12)
        < far(random, 12)
        < far(random, 12, momentum=0.0)
        < far(random, 1)
        < far(random, 0)
    )
    assert far(integrated, 12) < far(random, 32, momentum=0.0) < far(zero, 0)


def test_griffin_lim_leaves_a_sound_as_it_is():
    """Where magnitudes and phases agree there is nothing to do."""
    samples = np.random.default_rng(1).standard_normal(20000).astype(np.float32)
    loop = inversion.LoopSTFT(np.arange(0, 20000, 500), 20000, 2048)
    spectra = loop.forward(samples)
    np.testing.assert_allclose(
        phase_retrieval.fast_griffin_lim(np.abs(spectra), spectra, loop, rounds=3),
        samples,
        atol=1e-4,
    )


def test_holding_the_bands_brings_the_levels_closest(clips):
    tempo, _, level = clips[3]
    drawn = [name for name, method in inversion.METHODS.items() if not method.learned]
    error = {
        name: np.abs(
            levels(inversion.to_audio(level, CONFIG, tempo, method=name)) - level
        ).mean()
        for name in drawn
    }
    assert min(error, key=error.get) == "pghi_bands", error


def test_stft_of_a_loop_comes_back():
    samples = np.random.default_rng(0).standard_normal(30001).astype(np.float32)
    loop = inversion.LoopSTFT(np.round(np.arange(61) * 30001 / 61), 30001, 2048)
    np.testing.assert_allclose(loop.inverse(loop.forward(samples)), samples, atol=1e-5)
    short = inversion.LoopSTFT([0, 400], 800, 2048)  # a loop shorter than the window
    np.testing.assert_allclose(
        short.inverse(short.forward(samples[:800])), samples[:800], atol=1e-4
    )


def test_integrated_phases_follow_a_sine():
    """Between frames the phase of a steady sine moves by its frequency times the step."""
    frequency, step, frames = 93.3, 512, 40  # cycles a window
    loop = inversion.LoopSTFT(np.arange(frames) * step, frames * step, 2048)
    samples = np.cos(2 * np.pi * frequency * np.arange(frames * step) / 2048).astype(
        np.float32
    )
    magnitude = np.abs(loop.forward(samples))
    phase = phase_retrieval.phase_gradient_integration(
        magnitude, loop, np.random.default_rng(0)
    )
    moved = np.diff(phase[5:35, 93]) - 2 * np.pi * frequency * step / 2048
    error = np.abs(np.angle(np.exp(1j * moved)))
    # No whole number of cycles fits the loop; what is left over ends up in the one place where the paths meet.
    assert np.sort(error)[-2] < 0.05, error


def test_linear_spectra_have_the_bands_asked_for(clips):
    mel_power = 10.0 ** (clips[4][2] / 10.0)
    linear = inversion.mel_to_linear(mel_power, CONFIG)
    again = 10.0 * np.log10(np.maximum(linear @ audio.mel_filters(CONFIG).T, 1e-7))
    assert linear.min() >= 0 and np.abs(again - clips[4][2]).mean() < 0.5


def test_silence_comes_back_as_silence():
    for method in inversion.METHODS:
        samples = inversion.to_audio(
            np.full(CONFIG.shape, CONFIG.floor_db), CONFIG, method=method
        )
        assert np.abs(samples).max() < 1e-6


def test_the_grid_in_seconds():
    config = dataclasses.replace(CONFIG, grid="seconds")
    frames = audio.seconds_frame_times(1.0, config)
    assert frames[0] == 1.0 and frames[1] - frames[0] == pytest.approx(512 / 22050)
    assert len(inversion.to_audio(np.full(config.shape, -40.0), config)) == 128 * 512


def test_to_audio_refuses_wrong_input():
    with pytest.raises(ValueError, match=r"expected \(frames, 128\)"):
        inversion.to_audio(np.zeros((2, 128, 128)), CONFIG)
    for tempo in (0, -90.0, np.nan, np.inf, "fast", None):
        with pytest.raises(ValueError, match=f"tempo={tempo!r}; expected a number"):
            inversion.to_audio(np.full((128, 128), -40.0), CONFIG, tempo=tempo)
    for seed in (-1, "one", 0.5):
        with pytest.raises(ValueError, match=f"seed={seed!r}; expected a whole number"):
            inversion.to_audio(np.full((128, 128), -40.0), CONFIG, seed=seed)
    with pytest.raises(ValueError, match="not finite|NaN"):
        inversion.to_audio(np.full((128, 128), np.nan), CONFIG)
    with pytest.raises(ValueError, match="method='magic'.*pghi"):
        inversion.to_audio(np.full((128, 128), -40.0), CONFIG, method="magic")


@pytest.mark.parametrize(
    "level",
    [
        np.random.default_rng(0).uniform(-1.0, 1.0, CONFIG.shape),  # scaled
        CONFIG.scale(np.full(CONFIG.shape, -70.0)),  # silence, scaled
        np.full(CONFIG.shape, 500.0),  # power, or samples as integers
        np.full(CONFIG.shape, -500.0),
    ],
)
def test_levels_that_are_no_decibels_are_refused(level):
    """Scaled values once became noise at 14 times full scale."""
    with pytest.raises(
        ValueError, match=r"expected dB.*config\.unscale.*config\.scale"
    ):
        inversion.to_audio(level, CONFIG)
