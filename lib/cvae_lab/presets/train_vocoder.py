"""Trains the vocoder that ships: python -m cvae_lab.presets.train_vocoder [--data FOLDER]"""

import argparse
import sys
from pathlib import Path

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
HOLDING_ROUNDS = 2  # of the update that holds the bands
QUIETEST = -90.0  # dB; the loss asks for no detail below
LARGEST_ERROR = 2.0  # nats; the uncertainty looks no further


class VocoderTraining(keras.Model):
    """Trains a `Vocoder` on magnitudes whose bands are given.

    What the bands say is known, so the loss looks at the magnitudes after rounds of the update that makes them agree
    with the bands. The uncertainty learns the error of the first head without changing it.

    Args:
        vocoder: `Vocoder`.

    Source: the loss is the spectral convergence and log-magnitude distance of Arik, Jun and Diamos (2019).
    """

    def __init__(self, vocoder):
        super().__init__(dtype="float32")
        self.vocoder = vocoder
        self.to_bands = tf.constant(mel_filters(vocoder.audio_config).T)
        self.to_bins = tf.constant(
            mel_to_stft_weights(vocoder.audio_config).astype(np.float32)
        )
        self.trackers = {
            name: keras.metrics.Mean(name=name)
            for name in ("loss", "log_error_db", "convergence", "surprise")
        }
        self.built = True

    @property
    def metrics(self):
        return list(self.trackers.values())

    def train_step(self, data):
        inputs, magnitude = data
        with tf.GradientTape() as tape:
            log_magnitude, uncertainty = self.vocoder(inputs, training=True)
            power = self.hold(ops.exp(2.0 * ops.minimum(log_magnitude, 3.0)), inputs[0])
            quietest = 10.0 ** (QUIETEST / 20.0)
            found = ops.sqrt(ops.maximum(power, quietest**2))
            error = ops.abs(ops.log(found) - ops.log(ops.maximum(magnitude, quietest)))
            surprise = ops.mean(
                ops.square(
                    uncertainty - ops.stop_gradient(ops.minimum(error, LARGEST_ERROR))
                )
            )
            log_error = ops.mean(error)
            size = ops.sqrt(ops.sum(ops.square(magnitude), axis=(1, 2)))
            convergence = ops.mean(
                ops.sqrt(ops.sum(ops.square(found - magnitude), axis=(1, 2)))
                / (size + 1e-3)
            )
            loss = log_error + convergence + surprise
        weights = self.vocoder.trainable_variables
        self.optimizer.apply(tape.gradient(loss, weights), weights)
        log_error_db = 20.0 / np.log(10.0) * log_error
        values = {
            "loss": loss,
            "log_error_db": log_error_db,
            "convergence": convergence,
            "surprise": surprise,
        }
        for name, tracker in self.trackers.items():
            tracker.update_state(values[name])
        return {name: tracker.result() for name, tracker in self.trackers.items()}

    def hold(self, power, log_mel_db):
        """The power spectra with their bands brought to those given, as in `inversion.mel_to_linear`."""
        wanted = ops.power(10.0, 0.1 * log_mel_db)
        for _ in range(HOLDING_ROUNDS):
            power = power * ops.matmul(
                wanted / ops.maximum(ops.matmul(power, self.to_bands), TINY),
                self.to_bins,
            )
        return power


def examples(pools, config, seed=0, batch_size=16, num_frames=48):
    """Endless `((log_mel_db, curve), magnitude)` of random pieces, frames at the steps that tempos bring about.

    Args:
        pools: Lists of float arrays `(samples,)`; each batch comes from one of them, in turn.
        config: `AudioConfig`.
        seed: Seed of the pieces, steps and gains.
        batch_size: Pieces of a batch.
        num_frames: Frames of a piece.
    """
    rng, number = np.random.default_rng(seed), 0
    window, half = hann_window(config.n_fft), config.n_fft // 2
    while True:
        magnitudes, levels = [], []
        pool = pools[number % len(pools)]
        number += 1
        for _ in range(batch_size):
            sound, step = (
                pool[rng.integers(len(pool))],
                rng.uniform(0.19, 0.375) * config.n_fft,
            )
            start = rng.integers(
                half, max(half + 1, len(sound) - int(step * num_frames) - half)
            )
            index = (start + np.arange(num_frames) * step).astype(int)[
                :, None
            ] + np.arange(-half, half)
            spectrum = np.fft.rfft(np.take(sound, index, mode="clip") * window, axis=1)
            gain = 10.0 ** (rng.uniform(-15.0, 3.0) / 20.0)
            magnitudes.append(
                (gain * 2.0 / window.sum() * np.abs(spectrum)).astype(np.float32)
            )
            level = 10.0 * np.log10(
                np.maximum(magnitudes[-1] ** 2 @ mel_filters(config).T, TINY)
            )
            level = np.clip(level, config.floor_db, config.ceiling_db)
            if (
                rng.random() < 0.25
            ):  # slow music has frames in between (`inversion.frame_grid`)
                level[1::2] = 0.5 * (
                    level[:-1:2]
                    + np.append(level[2::2], level[-2:-1], axis=0)[: num_frames // 2]
                )
            levels.append(level.astype(np.float32))
        level = np.stack(levels)
        curve = (
            bands_as_curve(10.0 ** (0.1 * level.reshape(-1, config.n_mels)), config)
            / 2.0
        )
        yield (level, curve.reshape(*level.shape[:2], -1)), np.stack(magnitudes)


def train_vocoder(pools, config, num_steps=NUM_STEPS, seed=0, verbose=2, **changes):
    """A `Vocoder` trained on sounds.

    Args:
        pools: Lists of float arrays `(samples,)` at `config.sample_rate`, taken in turn.
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


def training_pools(collection, config, num_known=360, seed=4242, without=()):
    """Sounds to learn from: the training split of a collection twice, and pieces composed for this alone once.

    Genres in `without` are left out, to see how the network does on music of a kind it has not heard.

    Raises:
        ValueError: If the collection has no such genre.
    """
    from known_music.composer import compose, draw_factors

    known = sorted(set(collection.table["genre"]))
    if set(without) - set(known):
        raise ValueError(
            f"training_pools got without={list(without)}; expected some of {known}."
        )
    composed = [
        np.tile(compose(row), 2)
        for _, row in draw_factors(num_known, seed=seed).iterrows()
    ]
    table = collection.table[
        (collection.table["split"] == "train")
        & ~collection.table["genre"].isin(without)
    ]
    if collection.is_composed:
        return [composed]
    real = [load_audio(path, config) for path in table["path"]]
    return [real, real, composed]


def main(arguments=None):
    """Trains the vocoder that ships."""
    from cvae_music.data.sources import open_collection

    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument(
        "--data",
        default="known",
        help="a folder of genres or of FMA, beside the known-factor music",
    )
    parser.add_argument("--num-steps", type=int, default=NUM_STEPS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--file", type=Path, default=WEIGHTS / "vocoder.npz")
    parser.add_argument(
        "--without",
        nargs="*",
        default=(),
        metavar="GENRE",
        help="genres of the folder to leave out",
    )
    options = parser.parse_args(arguments)
    config = AudioConfig()
    pools = training_pools(
        open_collection(options.data), config, without=options.without
    )
    vocoder, _ = train_vocoder(pools, config, options.num_steps, options.seed)
    save_compact(vocoder, options.file)
    print(
        f"{options.file}: {options.file.stat().st_size / 1e6:.2f} MB, {vocoder.count_params():,} weights"
    )


if __name__ == "__main__":
    sys.exit(main())
