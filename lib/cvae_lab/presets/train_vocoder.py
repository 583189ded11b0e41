"""Trains the vocoder that ships: `python -m cvae_lab.presets.train_vocoder`."""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from cvae_music.audio.analysis import (
    TINY,
    bands_as_curve,
    hann_window,
    mel_filters,
    mel_to_stft_weights,
)
from cvae_music.audio.files import load_audio
from cvae_music.audio.vocoder import Vocoder
from cvae_music.config import AudioConfig
from cvae_music.saving import WEIGHTS, save_compact

NUM_STEPS = 6000
BATCH_SIZE = 16
NUM_FRAMES = 48
PROJECTION_ROUNDS = 2
FLOOR_DB = -90.0  # the loss ignores detail below
MAX_ERROR = 2.0  # nats, for the uncertainty


class VocoderTraining(keras.Model):
    """Trains a `Vocoder` on magnitudes whose mel bands are given.

    The loss is that of the magnitudes after they were projected to the known bands. The
    second head learns the error of the first without changing it.

    Args:
        vocoder: `Vocoder`.

    Source: the loss is the spectral convergence and log-magnitude distance of Arik, Jun
    and Diamos (2019).
    """

    def __init__(self, vocoder: Vocoder):
        super().__init__(dtype="float32")
        self.vocoder = vocoder
        self.to_bands = tf.constant(mel_filters(vocoder.audio_config).T)
        weights = mel_to_stft_weights(vocoder.audio_config)
        self.to_bins = tf.constant(weights.astype(np.float32))
        names = ("loss", "log_error_db", "convergence", "uncertainty_error")
        self.trackers = [keras.metrics.Mean(name=name) for name in names]
        self.built = True

    def train_step(self, data):
        """Takes one step of gradient descent; returns the metrics so far."""
        inputs, magnitude = data
        with tf.GradientTape() as tape:
            log_magnitude, uncertainty = self.vocoder(inputs, training=True)
            power = ops.exp(2.0 * ops.minimum(log_magnitude, 3.0))
            power = self.project_to_mel(power, inputs[0])
            floor = 10.0 ** (FLOOR_DB / 20.0)
            found = ops.sqrt(ops.maximum(power, floor**2))
            error = ops.abs(ops.log(found) - ops.log(ops.maximum(magnitude, floor)))
            target = ops.stop_gradient(ops.minimum(error, MAX_ERROR))
            uncertainty_error = ops.mean(ops.square(uncertainty - target))
            log_error = ops.mean(error)
            size = ops.sqrt(ops.sum(ops.square(magnitude), axis=(1, 2)))
            distance = ops.sqrt(ops.sum(ops.square(found - magnitude), axis=(1, 2)))
            convergence = ops.mean(distance / (size + 1e-3))
            loss = log_error + convergence + uncertainty_error
        weights = self.vocoder.trainable_variables
        self.optimizer.apply(tape.gradient(loss, weights), weights)
        log_error_db = 20.0 / np.log(10.0) * log_error
        values = {
            "loss": loss,
            "log_error_db": log_error_db,
            "convergence": convergence,
            "uncertainty_error": uncertainty_error,
        }
        for tracker in self.trackers:
            tracker.update_state(values[tracker.name])
        return {tracker.name: tracker.result() for tracker in self.trackers}

    def project_to_mel(self, power, log_mel_db):
        """Scales power spectra until their mel bands are those given.

        Args:
            power: Shape `(batch, num_frames, bins)`.
            log_mel_db: Shape `(batch, num_frames, n_mels)`, dB.

        Returns:
            Tensor of the shape of `power`.
        """
        wanted = ops.power(10.0, 0.1 * log_mel_db)
        for _ in range(PROJECTION_ROUNDS):
            bands = ops.maximum(ops.matmul(power, self.to_bands), TINY)
            power = power * ops.matmul(wanted / bands, self.to_bins)
        return power


def examples(
    pools: Sequence[Sequence[np.ndarray]], config: AudioConfig, seed: int
) -> Iterator[tuple]:
    """Yields batches of random pieces without end, at hops that different tempos need.

    Args:
        pools: Lists of float arrays `(samples,)`; each batch comes from one, in turn.
        config: `AudioConfig`.
        seed: Seed of the pieces, steps and gains.

    Returns:
        Iterator of `((log_mel_db, curve), magnitude)`: `(16, 48, n_mels)` in dB, and
        twice `(16, 48, bins)`.
    """
    rng = np.random.default_rng(seed)
    window = hann_window(config.n_fft)
    half = config.n_fft // 2
    for pool in itertools.cycle(pools):
        magnitudes = []
        levels = []
        for _ in range(BATCH_SIZE):
            sound = pool[int(rng.integers(len(pool)))]
            step = rng.uniform(0.19, 0.375) * config.n_fft
            last = len(sound) - int(step * NUM_FRAMES) - half
            start = rng.integers(half, max(half + 1, last))
            centres = (start + np.arange(NUM_FRAMES) * step).astype(int)
            index = centres[:, None] + np.arange(-half, half)
            spectrum = np.fft.rfft(np.take(sound, index, mode="clip") * window, axis=1)
            gain = 10.0 ** (rng.uniform(-15.0, 3.0) / 20.0)
            magnitude = gain * 2.0 / window.sum() * np.abs(spectrum)
            magnitudes.append(magnitude.astype(np.float32))
            bands = magnitudes[-1] ** 2 @ mel_filters(config).T
            level = 10.0 * np.log10(np.maximum(bands, TINY))
            level = np.clip(level, config.floor_db, config.ceiling_db)
            if rng.random() < 0.25:
                # Slow music has frames in between (`inversion.frame_grid`).
                after = np.append(level[2::2], level[-2:-1], axis=0)
                level[1::2] = 0.5 * (level[:-1:2] + after)
            levels.append(level.astype(np.float32))
        level = np.stack(levels)
        curve = bands_as_curve(10.0 ** (0.1 * level), config) / 2.0
        yield (level, curve), np.stack(magnitudes)


def train_vocoder(
    pools: Sequence[Sequence[np.ndarray]],
    config: AudioConfig,
    num_steps: int = NUM_STEPS,
    seed: int = 0,
    verbose: int = 2,
    **changes: Any,
) -> tuple[Vocoder, dict[str, list[float]]]:
    """Trains a `Vocoder` on sounds.

    Args:
        pools: Lists of float arrays `(samples,)` at `config.sample_rate`.
        config: `AudioConfig`.
        num_steps: Steps of 16 pieces.
        seed: Seed of weights, pieces and gains.
        verbose: As for Keras' `fit`.
        **changes: Arguments of `Vocoder` to set otherwise.

    Returns:
        `(vocoder, history)`.
    """
    keras.utils.set_random_seed(seed)
    vocoder = Vocoder(config, **changes)
    training = VocoderTraining(vocoder)
    warm_up = min(200, num_steps // 10)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0,
        max(1, num_steps - warm_up),
        alpha=0.02,
        warmup_target=2e-3,
        warmup_steps=warm_up,
    )
    training.compile(
        keras.optimizers.AdamW(rate, weight_decay=0.01, clipnorm=1.0, beta_2=0.99),
        jit_compile=num_steps > 500,
    )
    epoch = min(500, num_steps)
    history = training.fit(
        examples(pools, config, seed),
        steps_per_epoch=epoch,
        epochs=max(1, num_steps // epoch),
        shuffle=False,
        verbose=verbose,
    )
    return vocoder, history.history


def training_pools(
    collection: Any, config: AudioConfig, without: Sequence[str] = ()
) -> list[list[np.ndarray]]:
    """Gathers the training split of a collection twice and 360 composed pieces once.

    Args:
        collection: What `open_collection` returned.
        config: `AudioConfig`.
        without: Genres to leave out, to test the network on unseen kinds of music.

    Returns:
        Pools for `train_vocoder`.

    Raises:
        ValueError: If the collection has no such genre.
    """
    from known_music.composer import compose, draw_factors

    known = sorted(set(collection.table["genre"]))
    if set(without) - set(known):
        raise ValueError(
            f"training_pools got without={list(without)}; expected some of {known}."
        )
    factors = draw_factors(360, seed=4242)
    composed = [np.tile(compose(row), 2) for _, row in factors.iterrows()]
    table = collection.table
    table = table[(table["split"] == "train") & ~table["genre"].isin(without)]
    if collection.is_composed:
        return [composed]
    real = [load_audio(path, config) for path in table["path"]]
    return [real, real, composed]


def main(arguments: Sequence[str] | None = None) -> None:
    """Trains the vocoder that ships."""
    from cvae_music.data.sources import open_collection

    parser = argparse.ArgumentParser(description=main.__doc__)
    add = parser.add_argument
    add("--data", default="known", help="music beside that with known factors")
    add("--num-steps", type=int, default=NUM_STEPS)
    add("--seed", type=int, default=0)
    add("--file", type=Path, default=WEIGHTS / "vocoder.npz")
    add("--without", nargs="*", default=(), help="genres of the folder to leave out")
    options = parser.parse_args(arguments)
    config = AudioConfig()
    collection = open_collection(options.data)
    pools = training_pools(collection, config, without=options.without)
    vocoder, _ = train_vocoder(pools, config, options.num_steps, options.seed)
    save_compact(vocoder, options.file)
    megabytes = options.file.stat().st_size / 1e6
    print(f"{options.file}: {megabytes:.2f} MB, {vocoder.count_params():,} weights")


if __name__ == "__main__":
    main()
