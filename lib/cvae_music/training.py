"""Training that survives a kill, notices a NaN, ends with averaged weights, and fits where to draw latents from."""

import keras

from cvae_music.acceleration import FusedAdam
from cvae_music.callbacks import EpochCounter, StopOnNaN, backups
from cvae_music.config import check_number
from cvae_music.data.batches import make_dataset
from cvae_music.models.latent_density import fit_latent_density


def compile_model(model, num_steps, learning_rate=1e-3, jit_compile="auto"):
    """Compiles with Adam, gradients clipped, a warm-up and a cosine decay, and an average over the last tenth of the steps."""
    warmup = max(1, num_steps // 10)
    rate = keras.optimizers.schedules.CosineDecay(
        0.05 * learning_rate,
        max(1, num_steps - warmup),
        alpha=0.02,
        warmup_target=learning_rate,
        warmup_steps=warmup,
    )
    # The average reaches over a tenth of the run, so that a short run does not end half-way to its first weights.
    momentum = max(0.0, min(0.995, 1.0 - 10.0 / max(1, num_steps)))
    optimizer = FusedAdam(
        rate, global_clipnorm=5.0, use_ema=True, ema_momentum=momentum
    )
    # Built now: a restored backup finds its moments and averages only in an optimizer that has them.
    optimizer.build(model.trainable_variables)
    model.compile(optimizer=optimizer, jit_compile=jit_compile)


def train(
    model,
    features,
    num_steps=1440,
    *,
    batch_size=32,
    learning_rate=1e-3,
    seed=0,
    backup_dir=None,
    callbacks=(),
    jit_compile="auto",
    verbose="auto",
):
    """Fits a model to the training split, looks at the validation split after each epoch, then fits the latent density.

    Args:
        model: `Autoencoder`, `VAE` or `ConditionalVAE`.
        features: `FeatureSet`.
        num_steps: Steps of `batch_size` clips, rounded to whole passes over the training split.
        batch_size: Clips in a step; fewer where the split is smaller.
        learning_rate: Highest learning rate of the schedule.
        seed: Seed of order, augmentation and density; the model has its own.
        backup_dir: Folder for the state after each epoch. When it holds a state of the same training, it goes on
            from there with the same result up to rounding; it is emptied at the end.
        callbacks: More Keras callbacks.
        jit_compile: `True` for XLA, which on some processors is faster and on others three times slower: try both.
        verbose: As for `keras.Model.fit`.

    Returns:
        The Keras `History`.

    Raises:
        FloatingPointError: If the loss becomes NaN; the last good weights are back in the model.
        ValueError: If the features have another `AudioConfig` or other genres than the model, or `backup_dir` holds the
            state of another training.
    """
    model.audio_config.check_compatible(features, model.genres)
    check_number("num_steps", num_steps, 1), check_number("batch_size", batch_size, 1)
    counter, size = EpochCounter(), len(features.subset("train"))
    batch_size = max(1, min(batch_size, size))
    training = make_dataset(
        features, "train", batch_size, seed=seed, augment=True, epoch=counter.epoch
    )
    held = (
        make_dataset(features, "validation", batch_size)
        if len(features.subset("validation"))
        else None
    )
    epochs = max(1, round(num_steps / int(training.cardinality())))
    compile_model(
        model, epochs * int(training.cardinality()), learning_rate, jit_compile
    )
    run = {
        "num_steps": num_steps,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "order": seed,
    }
    first, backup = backups(backup_dir, model, features, run)
    own = {
        "epochs": epochs,
        "initial_epoch": first,
        "callbacks": [counter, StopOnNaN(), *backup, *callbacks],
    }
    history = model.fit(
        training, validation_data=held, **own, verbose=verbose, shuffle=False
    )
    finish(model, features, seed)
    return history


def finish(model, features, seed=0):
    """Fits what belongs to a trained model and no step teaches: where to draw latents from, and where each genre lies."""
    if hasattr(model, "latent_density"):
        fit_latent_density(model, features, seed)
    for layer in (getattr(model, name, None) for name in ("shift", "detail")):
        if (
            layer and model.swap_weight
        ):  # where nobody listens, all is left as the decoder plays it
            layer.fit(model, features)
