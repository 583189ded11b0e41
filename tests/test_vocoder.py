"""The learned vocoder: shapes, the bands it keeps, what it learned, and files."""

import dataclasses
import functools

import keras
import numpy as np
import pytest
import scipy.stats

from cvae_lab.presets import train_vocoder
from cvae_music.audio import analysis as audio
from cvae_music.audio import inversion, phase_retrieval, vocoder
from cvae_music.audio.analysis import log_mel
from cvae_music.config import AudioConfig
from cvae_music.saving import WEIGHTS, load_compact, save_compact
from known_music.composer import compose, draw_factors

CONFIG = AudioConfig()


@pytest.fixture(scope="module")
def spectra():
    """Magnitudes of unseen pieces, all genres, and the power of their bands: lists of `(frames, bins)`, `(frames, n_mels)`."""
    found = []
    for _, row in draw_factors(6, seed=77).iterrows():
        sound = compose(row)
        loop = inversion.LoopSTFT(
            np.arange(0, len(sound) - 512, 512), len(sound), CONFIG.n_fft
        )
        magnitude = np.abs(loop.forward(sound)) / inversion.stft_scale(CONFIG)
        found.append(
            (
                magnitude,
                np.maximum(magnitude**2 @ audio.mel_filters(CONFIG).T, 1e-10).astype(
                    np.float32
                ),
            )
        )
    return found


def errors(linear, magnitude):
    """Distance as a share, and mean difference in dB where something sounds and a band is."""
    heard = (magnitude > 10 ** (CONFIG.floor_db / 20)) & (
        audio.mel_filters(CONFIG).sum(axis=0) > 0.1
    )
    share = np.linalg.norm(np.sqrt(linear) - magnitude) / np.linalg.norm(magnitude)
    return share, np.abs(
        10 * np.log10(np.maximum(linear[heard], 1e-10) / magnitude[heard] ** 2)
    ).mean()


def test_shipped_vocoder_knows_more_than_a_curve(spectra):
    """Closer than `mel_to_linear` in every genre, as a share and in dB, with the bands kept."""
    shipped = vocoder.shipped_vocoder(CONFIG)
    for magnitude, mel_power in spectra:
        learned = inversion.mel_to_linear(
            mel_power, CONFIG, start=shipped.spread(mel_power)[0]
        )
        drawn = inversion.mel_to_linear(mel_power, CONFIG)
        assert np.all(
            np.array(errors(learned, magnitude))
            < 0.95 * np.array(errors(drawn, magnitude))
        )
        again = 10 * np.log10(
            np.maximum(learned @ audio.mel_filters(CONFIG).T, 1e-7)
            / np.maximum(mel_power, 1e-7)
        )
        assert np.abs(again).mean() < 0.5


def test_shipped_vocoder_is_small_and_fits_one_configuration():
    assert (WEIGHTS / "vocoder.npz").stat().st_size < 3e6
    assert vocoder.shipped_vocoder(CONFIG) is vocoder.shipped_vocoder(CONFIG)
    assert (
        vocoder.shipped_vocoder(dataclasses.replace(CONFIG, grid="seconds")) is not None
    )
    other = dataclasses.replace(CONFIG, n_mels=96)
    assert vocoder.shipped_vocoder(other) is None
    level = np.full(other.shape, -30.0, np.float32)
    by_default = inversion.to_audio(level, other)
    np.testing.assert_array_equal(
        by_default, inversion.to_audio(level, other, method="pghi_bands")
    )
    with pytest.raises(ValueError, match="no shipped vocoder fits"):
        inversion.to_audio(level, other, method="learned_bands")


def test_a_loop_has_no_beginning(spectra):
    """Turning the frames turns the answer: the network sees the end of the loop before its beginning."""
    shipped, (_, mel_power) = vocoder.shipped_vocoder(CONFIG), spectra[0]
    turned = np.roll(shipped.spread(np.roll(mel_power, 5, axis=0)), -5, axis=1)
    np.testing.assert_allclose(turned, shipped.spread(mel_power), rtol=1e-3)


def test_training_learns_and_a_file_keeps_it(tmp_path):
    pools = [
        [np.tile(compose(row), 2) for _, row in draw_factors(6, seed=3).iterrows()]
    ]
    trained, history = train_vocoder.train_vocoder(
        pools, CONFIG, num_steps=12, width=32, num_blocks=1, verbose=0
    )
    untrained = vocoder.Vocoder(CONFIG, width=32, num_blocks=1)
    (inputs, magnitude) = next(train_vocoder.examples(pools, CONFIG, seed=9))
    assert inputs[0].shape == (16, 48, 128) and inputs[1].shape == magnitude.shape == (
        16,
        48,
        1025,
    )

    def distance(model):
        holding = train_vocoder.VocoderTraining(model)
        found = np.sqrt(
            holding.project_to_mel(np.exp(2 * np.asarray(model(inputs)[0])), inputs[0])
        )
        return np.abs(
            np.log(np.maximum(found, 1e-4)) - np.log(np.maximum(magnitude, 1e-4))
        ).mean()

    assert distance(trained) < 0.97 * distance(untrained)
    assert np.isfinite(history["loss"][-1])
    save_compact(trained, tmp_path / "small.npz")
    again = load_compact(tmp_path / "small.npz")
    mel_power = 10.0 ** (inputs[0][0] / 10.0)
    np.testing.assert_allclose(
        again.spread(mel_power)[0], trained.spread(mel_power)[0], rtol=0.1
    )


def test_uncertain_cells_become_noise():
    loop = inversion.LoopSTFT(np.arange(0, 60000, 600), 60000, CONFIG.n_fft)
    flat, certain = np.ones((100, 1025), np.float32), np.zeros((100, 1025), np.float32)
    certain[:, 500:] = 1.0
    magnitude, noise = phase_retrieval.noise_substitution(
        flat, certain, loop, np.random.default_rng(0)
    )
    np.testing.assert_array_equal(magnitude[:, :500], 1.0)
    assert not noise[:, :500].any() and noise[:, 501:-1].all()
    assert np.mean(magnitude[:, 500:] ** 2) == pytest.approx(
        1.0, abs=0.05
    )  # as loud as before
    assert np.std(np.log(magnitude[:, 500:])) == pytest.approx(
        np.pi / np.sqrt(24), abs=0.05
    )  # Rayleigh's


def test_hiss_comes_back_as_hiss():
    """Amplitudes of noise follow the bell curve; without the vocoder there are pulses among them."""
    hiss = 0.1 * np.random.default_rng(5).standard_normal(96000).astype(np.float32)
    times = audio.beat_frame_times(
        np.linspace(0, len(hiss) / CONFIG.sample_rate, 9), CONFIG
    )
    level, tempo = (
        log_mel(hiss, times, CONFIG, wrap=True),
        480 * CONFIG.sample_rate / len(hiss),
    )
    peaks = {
        name: scipy.stats.kurtosis(
            inversion.to_audio(level, CONFIG, tempo, method=name)
        )
        for name in ("pghi_bands", "learned_bands")
    }
    assert peaks["learned_bands"] < 0.15 < peaks["pghi_bands"]


def test_learned_sound_is_closer_than_drawn():
    """The whole way to sound: nearer to the bins of the original, at bands at least as near."""
    for _, row in draw_factors(6, seed=78).iterrows():
        sound = compose(row)
        times = audio.beat_frame_times(
            np.linspace(0, len(sound) / CONFIG.sample_rate, 9), CONFIG
        )
        level = log_mel(sound, times, CONFIG, wrap=True)
        loop = inversion.LoopSTFT(
            np.arange(0, len(sound) - 512, 512), len(sound), CONFIG.n_fft
        )
        wanted = np.abs(loop.forward(sound))
        made = {
            name: inversion.to_audio(level, CONFIG, row["tempo"], method=name)
            for name in ("pghi_bands", "learned_bands")
        }
        far = {
            name: np.linalg.norm(
                np.abs(loop.forward(np.resize(one, len(sound)))) - wanted
            )
            for name, one in made.items()
        }
        assert far["learned_bands"] < far["pghi_bands"], row["genre"]


def test_the_sound_does_not_change_with_the_dtype_policy(monkeypatch):
    """Clips are made in full precision where models are trained in half."""
    level = np.random.default_rng(2).uniform(-60.0, -10.0, CONFIG.shape)
    expected = inversion.to_audio(level, CONFIG)
    keras.mixed_precision.set_global_policy("mixed_float16")
    try:
        in_half = functools.cache(load_compact)
        monkeypatch.setattr(vocoder, "_from_file", in_half)
        np.testing.assert_array_equal(inversion.to_audio(level, CONFIG), expected)
        assert in_half.cache_info().misses == 1  # read under the policy
        assert vocoder.Vocoder(CONFIG, width=8, num_blocks=1).compute_dtype == "float32"
    finally:
        keras.mixed_precision.set_global_policy("float32")
