"""Training: optimizer, schedule, averaged weights, resume, and post-hoc layers."""

import json
import numbers
import re

import keras

from cvae_music.acceleration import FusedAdam, accelerate
from cvae_music.callbacks import AveragedWeights, Backup, EpochCounter, StopOnNaN
from cvae_music.config import check_number
from cvae_music.data.batches import make_dataset
from cvae_music.models.latent_density import fit_latent_density


def compile_model(model, num_steps, learning_rate=1e-3, jit_compile="auto"):
    """Compiles a model with Adam, warm-up, cosine decay, clipping and averaging.

    The learning rate rises over the first tenth of the steps, from 5 % of its highest
    value, then falls to 2 %. The weights are averaged over about the last tenth of the
    steps, at most 200 (momentum 1 - 10 / steps, at most 0.995); with a fixed momentum
    the average of a short run would still hold much of its first weights. `FusedAdam`
    and `accelerate` compute the same as Keras' Adam and layers, but faster.

    Args:
        model: `Autoencoder`, `VAE`, `ConditionalVAE` or `ConditionalVAEGAN`.
        num_steps: Steps of the whole training, which the schedule is stretched over.
        learning_rate: Highest learning rate of the schedule.
        jit_compile: As for `keras.Model.compile`: `"auto"` uses XLA where there is a
            GPU.

    Raises:
        ValueError: If `num_steps` is no whole number above 0, or `learning_rate` is not
            between 1e-9 and 1.

    Example:
        >>> from cvae_music import AudioConfig, Autoencoder
        >>> model = Autoencoder(AudioConfig(n_mels=16), width=40, depth=1)
        >>> compile_model(model, num_steps=100)
        >>> type(model.optimizer).__name__
        'FusedAdam'
    """
    check_number("num_steps", num_steps, 1)
    check_number("learning_rate", learning_rate, 1e-9, 1, numbers.Real)
    warmup = max(1, num_steps // 10)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.05 * learning_rate,
        max(1, num_steps - warmup),
        alpha=0.02,
        warmup_target=learning_rate,
        warmup_steps=warmup,
    )
    momentum = max(0.0, min(0.995, 1.0 - 10.0 / num_steps))
    optimizer = FusedAdam(
        schedule, global_clipnorm=5.0, use_ema=True, ema_momentum=momentum
    )
    # A backup restores moments and averages only into an optimizer that is built.
    optimizer.build(model.trainable_variables)
    # Keras starts averages at zero. They would stay there if loss scaling skipped every
    # step, and the model would end with weights of zero.
    for average, weight in zip(
        optimizer._model_variables_moving_average,
        model.trainable_variables,
        strict=True,
    ):
        average.assign(weight)
    accelerate(model)
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
    """Trains a model on the training split and fits its post-hoc layers.

    The validation split is evaluated after each epoch, with the averaged weights: the
    model ends with these.

    Args:
        model: `Autoencoder`, `VAE`, `ConditionalVAE` or `ConditionalVAEGAN`.
        features: `FeatureSet`.
        num_steps: Steps of `batch_size` clips, rounded to whole passes over the
            training split.
        batch_size: Clips in a step; fewer where the split is smaller.
        learning_rate: Highest learning rate of the schedule.
        seed: Seed of order, augmentation and density; the model has its own.
        backup_dir: Folder for the state after each epoch; `None` keeps none. When it
            holds a state of the same training, the training goes on from there with the
            same result up to rounding. What was written there is removed at the end.
        callbacks: More Keras callbacks: one, a list, or `None`. After a resume
            `CSVLogger` appends to its file, and `ModelCheckpoint` keeps a file of an
            earlier epoch that was better; `EarlyStopping` and callbacks of your own
            know nothing of the epochs before the resume.
        jit_compile: `"auto"` uses XLA where there is a GPU. `True` uses it on
            processors too: some are faster with it, others three times slower.
        verbose: As for `keras.Model.fit`.

    Returns:
        The Keras `History`; after a resume, with the epochs before it too.

    Raises:
        FloatingPointError: If loss or weights become NaN or infinite; the model then
            has the last good weights.
        KeyboardInterrupt: If it is interrupted; the model then has the averaged weights
            so far, and `fit_posthoc_layers` finishes it.
        ValueError: If the features have another `AudioConfig` or other genres than the
            model, a number is out of range, `backup_dir` holds the state of another
            training, or a callback is not a Keras callback or sets the learning rate.

    Example:
        >>> history = train(model, features, num_steps=100)  # doctest: +SKIP
        >>> history.history["val_loss"][-1]  # doctest: +SKIP
    """
    model.audio_config.check_compatible(features, model.genres)
    check_number("num_steps", num_steps, 1)
    check_number("batch_size", batch_size, 1)
    callbacks = list(filter(None, keras.tree.flatten(callbacks)))
    for each in callbacks:
        if not isinstance(each, keras.callbacks.Callback):
            raise ValueError(
                f"train got the callback {each!r}. Expected Keras callbacks, made with "
                "brackets: EarlyStopping()."
            )
        if isinstance(
            each,
            (keras.callbacks.LearningRateScheduler, keras.callbacks.ReduceLROnPlateau),
        ):
            raise ValueError(
                f"train got {type(each).__name__}, but it has a schedule of the "
                "learning rate. Leave the callback out, or compile and fit the model "
                "yourself."
            )
    counter = EpochCounter()
    batch_size = max(1, min(batch_size, len(features.subset("train"))))
    training = make_dataset(
        features, "train", batch_size, seed=seed, augment=True, epoch=counter.epoch
    )
    validation = (
        make_dataset(features, "validation", batch_size)
        if len(features.subset("validation"))
        else None
    )
    steps_per_epoch = int(training.cardinality())
    epochs = max(1, round(num_steps / steps_per_epoch))
    compile_model(model, epochs * steps_per_epoch, learning_rate, jit_compile)
    backup = None
    initial_epoch = 0
    own = [counter, StopOnNaN()]
    if backup_dir:
        run = {
            **model.get_config(),
            "name": "",  # numbered by how many models were made before
            "guidance": None,  # does not change training
            "num_steps": num_steps,
            "batch_size": batch_size,
            "learning_rate": learning_rate,
            "order": seed,  # "seed" is the model's
            "music": features.key(),
        }
        for name in run.keys() & {"encoder", "decoder"}:  # given by the user
            # Keras numbers layers by how many were made before, as in dense_3.
            run[name] = re.sub(r"_\d+\b", "", json.dumps(run[name]))
        backup = Backup(backup_dir, run)
        initial_epoch = backup.restore(model)
        if initial_epoch:
            backup.prepare(callbacks)
        own.append(backup)
    # Stays empty where `fit` was finished before the resume.
    history = keras.callbacks.History()
    history.on_train_begin()
    averages = AveragedWeights()
    if not (backup and backup.is_finished):
        try:
            history = model.fit(
                training,
                validation_data=validation,
                epochs=epochs,
                initial_epoch=initial_epoch,
                callbacks=[*own, averages, *callbacks],
                verbose=verbose,
                shuffle=False,
            )
        except KeyboardInterrupt:
            averages.show()
            raise
        if backup:
            backup.finish(initial_epoch + len(history.epoch))
    fit_posthoc_layers(model, features, seed)
    if backup:
        backup.complete(history, initial_epoch)
        backup.remove()
    return history


def fit_posthoc_layers(model, features, seed=0):
    """Fits what no training step changes: density, mean shift, unsharp mask.

    `train` calls it at its end. Call it for a model whose training was stopped, or one
    that a checkpoint saved during training.

    Args:
        model: A trained model.
        features: `FeatureSet` it was trained on.
        seed: Seed of the density's fit.

    Raises:
        ValueError: If the features have another `AudioConfig` or other genres than the
            model, or the seed is no whole number of at least 0; the model is unchanged.

    Example:
        >>> model = load_model("best.keras")  # doctest: +SKIP
        >>> fit_posthoc_layers(model, features)  # doctest: +SKIP
    """
    model.audio_config.check_compatible(features, model.genres)
    check_number("seed", seed)
    if getattr(model, "fit_mean_shift", False):
        model.mean_shift.fit(model, features)
    if hasattr(model, "unsharp_mask"):
        model.unsharp_mask.fit(model, features)
    # Last, because to `warn_unfinished` a fitted density means that all is done.
    if hasattr(model, "latent_density"):
        fit_latent_density(model, features, seed)
