"""Training on several devices or machines, under `tf.distribute`, so that the loss is that of the whole batch.

A batch is split over replicas: one on each device. The models of the series have terms that are no mean over clips, and
would be other terms if each replica took its own part for the batch. What each means here:

- **Negative log-likelihood.** The best variance is that of the whole batch: `(cells / 2) log D` of the mean error `D` over
  all replicas. It follows from the parts' own values, one number each: `whole = (cells / 2) log mean exp(2 nll / cells)`.
- **Discrepancy.** Between the latents of each genre in the whole batch and one draw of the prior, the same everywhere:
  latents and labels are gathered. A genre with one clip on each of two replicas counts, as it does in one process.
- **KL divergence.** Its mean over the whole batch is what a schedule sees: free bits, a capacity and a KL target are not
  linear in it.
- **The draw of the latents** is that of the whole batch, of which each replica keeps its rows.
- **Listeners**, and all else that is a mean over clips, is a mean over the replicas' means. Each replica decodes half of
  its own latents with another label, draws its own disguises and drops out its own units.
- **Gradients** are averaged over replicas, then clipped by their global norm, then given to the optimizer. A gathered
  value is the same function of all parts on every replica, so the mean of the replicas' gradients is the gradient of the
  loss of the whole batch. Averages of the weights (EMA) are of equal weights, hence equal.

So a model without listeners learns what it learns in one process with the same batch, up to rounding, noise and all;
one with listeners does up to the draws of their disguises. `keras.Model.fit` fails under MultiWorkerMirroredStrategy
(it reduces scalars along an axis), so the loop here is our own.
"""

import contextlib
import functools
import json
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from cvae_music import serialization
from cvae_music.config import check_number
from cvae_music.data.batches import make_dataset
from cvae_music.data.shards import ShardSet, stream_batches
from cvae_music.training import EpochCounter, StopOnNaN, compile_model, finish

# --- what a split batch means ---------------------------------------------------------------------------------------


def gathered(tensor):
    """The rows of all replicas, in order; gradients find their way back."""
    rows = tf.distribute.get_replica_context().all_gather(tensor, axis=0)
    return tf.ensure_shape(
        rows, (None, *tensor.shape[1:])
    )  # a gathering forgets what models ask for


def mean_of_replicas(value):
    """The mean over replicas of a tensor, or of each of a list in one go; gradients find their way back."""
    return tf.distribute.get_replica_context().all_reduce(
        tf.distribute.ReduceOp.MEAN, value
    )


class ReplicaNoise(keras.random.SeedGenerator):
    """Noise that is another on each replica, but inside `shared`. That of the first is what one process would draw."""

    is_shared = False

    @contextlib.contextmanager
    def shared(self):
        """All replicas draw the same. Nothing may be gathered inside: there the replicas of a process take turns."""
        self.is_shared = True
        yield
        self.is_shared = False

    def next(self, ordered=True):
        seed, replica = (
            super().next(ordered),
            tf.distribute.get_replica_context().replica_id_in_sync_group,
        )
        return (
            seed
            if self.is_shared
            else seed
            + tf.cast([0, 1], seed.dtype) * 2**40 * tf.cast(replica, seed.dtype)
        )


class WholeBatchSchedule:
    """A KL schedule that sees the KL divergence of the whole batch."""

    def __init__(self, schedule):
        self.schedule = schedule

    def next_weight(self, step, last_weight, kl):
        return self.schedule.next_weight(step, last_weight, mean_of_replicas(kl))

    def penalty(self, kl_per_dimension, weight, step):
        return self.schedule.penalty(mean_of_replicas(kl_per_dimension), weight, step)

    def get_config(self):
        return self.schedule.get_config()


class WholeBatchGradients:
    """For an optimizer: gradients are averaged over replicas before their norm is taken, not after."""

    def apply(self, grads, trainable_variables=None):
        super().apply(mean_of_replicas(list(grads)), trainable_variables)

    def _all_reduce_sum_gradients(self, grads_and_vars):
        return list(grads_and_vars)  # Keras would add up what has been averaged already


class WholeBatch:
    """For a model: its loss is that of the batch of all replicas. See the top of this module."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        layers = [
            layer
            for layer in self._flatten_layers()
            if hasattr(layer, "seed_generator")
        ]  # dropout
        for noise in (self.noise, *(layer.seed_generator for layer in layers)):
            noise.__class__ = (
                ReplicaNoise  # layers that are built take no other generator
            )
        if hasattr(self, "kl"):
            self.kl = WholeBatchSchedule(self.kl)

    def compile(self, optimizer, **kwargs):
        kind = type(optimizer)
        optimizer = type(kind.__name__, (WholeBatchGradients, kind), {}).from_config(
            optimizer.get_config()
        )
        optimizer.build(self.trainable_variables)
        super().compile(optimizer, **kwargs)

    def sample_posterior(self, mean, log_var):
        parameters = gathered(mean), gathered(log_var)
        with self.noise.shared():
            latent = super().sample_posterior(*parameters)
        size, replica = (
            ops.shape(mean)[0],
            tf.distribute.get_replica_context().replica_id_in_sync_group,
        )
        return latent[replica * size : (replica + 1) * size]

    def reconstruction_terms(self, log_mel, rebuilt):
        terms = super().reconstruction_terms(log_mel, rebuilt)
        half = 0.5 * np.prod(self.audio_config.shape)
        nll, part = (
            half
            * ops.log(mean_of_replicas([ops.exp(terms["reconstruction"] / half)])[0]),
            terms["reconstruction"],
        )
        (square,) = mean_of_replicas([ops.square(terms["rms_db"])])
        return terms | {
            "loss": terms["loss"] - part + nll,
            "reconstruction": nll,
            "rms_db": ops.sqrt(square),
        }

    def discrepancy(self, latent, weights):
        whole = gathered(latent), gathered(weights)
        with self.noise.shared():
            return super().discrepancy(*whole)

    def track(self, terms):
        names = [tracker.name for tracker in self.metrics]
        means = mean_of_replicas(
            ops.stack([ops.cast(terms[name], "float32") for name in names])
        )
        return super().track(dict(zip(names, ops.unstack(means), strict=True)))


@functools.cache
def whole_batch(kind):
    """The class of a model, with the loss of the whole batch."""
    return type(f"WholeBatch{kind.__name__}", (WholeBatch, kind), {})


# --- training -------------------------------------------------------------------------------------------------------


def train_distributed(
    model,
    features,
    strategy,
    num_steps=1440,
    *,
    batch_size=32,
    learning_rate=1e-3,
    seed=0,
    backup_dir=None,
    callbacks=(),
    progress=True,
):
    """Trains a model on all devices of a strategy: what `cvae_music.train` is on one.

    Every worker runs the same program: the strategy first, then the model, then this. Each ends with the same trained model.

    Args:
        model: `Autoencoder`, `VAE` or `ConditionalVAE`, made outside of the strategy's scope.
        features: `FeatureSet` that every worker has, or `ShardSet`, of which each reads its share.
        strategy: `tf.distribute.MirroredStrategy` or `MultiWorkerMirroredStrategy`.
        num_steps: Steps of `batch_size` clips, rounded to whole passes over the training split.
        batch_size: Clips in a step, over all replicas; a multiple of their number.
        learning_rate: As for `train`.
        seed: As for `train`.
        backup_dir: Folder of the first worker for the state after each epoch. When it holds a state of the same training,
            all go on from there with the same result up to rounding. The last state stays: a worker that is lost when
            the others are done goes on from it.
        callbacks: More Keras callbacks.
        progress: Print a line after each epoch.

    Returns:
        The Keras `History`, on the first worker also of the epochs before a restart. Held-out clips that fill no whole
        batch are left out of its `val_` values.

    Raises:
        FloatingPointError: If the loss becomes NaN; the last good weights are in the model.
        ValueError: If the features have another `AudioConfig` or other genres than the model, the batch cannot be split, or
            `backup_dir` holds the state of another training.
    """
    model.audio_config.check_compatible(features, model.genres)
    check_number("num_steps", num_steps, 1), check_number("batch_size", batch_size, 1)
    if batch_size % strategy.num_replicas_in_sync:
        replicas = strategy.num_replicas_in_sync
        raise ValueError(
            f"train_distributed got batch_size={batch_size} for {replicas} replicas; expected a multiple."
        )
    counter, is_first = (
        EpochCounter(),
        strategy.cluster_resolver is None or not strategy.cluster_resolver.task_id,
    )
    num_steps_of, data = _shares(features, batch_size, strategy, seed, counter.epoch)
    epochs = max(1, round(num_steps / num_steps_of["train"]))
    with strategy.scope():
        whole = whole_batch(type(model)).from_config(model.get_config())
        whole.set_weights(model.get_weights())
        compile_model(
            whole, epochs * num_steps_of["train"], learning_rate, jit_compile=False
        )
    # One graph each; the results are the same on all replicas.
    run = {
        "train": tf.function(
            lambda batch: strategy.run(whole.train_step, (batch,)), autograph=False
        )
    }
    run["validation"] = tf.function(
        lambda batch: strategy.run(whole.test_step, (batch,)), autograph=False
    )
    events = [counter, StopOnNaN(), *callbacks]
    events = keras.callbacks.CallbackList(
        events, add_history=True, model=whole, epochs=epochs
    )
    events.on_train_begin()
    settings = {
        "num_steps": num_steps,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "order": seed,
    }
    first, keep_state = _go_on(
        whole, features, backup_dir if is_first else None, settings
    )
    first = _take_over(strategy, whole, first)
    try:
        for epoch in range(first, epochs):
            events.on_epoch_begin(epoch)
            logs = {}
            for split, prefix in (("train", ""), ("validation", "val_")):
                whole.reset_metrics()
                for step, batch in zip(
                    range(num_steps_of[split]), data[split], strict=False
                ):
                    results = run[split](batch)
                    found = {
                        name: float(strategy.experimental_local_results(v)[0])
                        for name, v in results.items()
                    }
                    if split == "train":
                        events.on_train_batch_end(step, found)
                logs |= (
                    {f"{prefix}{name}": value for name, value in found.items()}
                    if num_steps_of[split]
                    else {}
                )
            events.on_epoch_end(epoch, logs)
            keep_state(epoch)
            if is_first and progress:
                values = ", ".join(
                    f"{name} {value:.4g}" for name, value in logs.items()
                )
                print(f"Epoch {epoch + 1}/{epochs}: {values}", flush=True)
            if whole.stop_training:
                break
        whole.optimizer.finalize_variable_values(whole.trainable_variables)
    finally:
        model.set_weights(whole.get_weights())
    events.on_train_end()
    finish(model, features, seed)
    return whole.history


def _go_on(whole, features, folder, settings):
    """Loads the state in a folder, if there is one: the number of epochs done, and what keeps the state after another."""
    first, backups = serialization.backups(folder, whole, features, settings)
    if not folder:
        return first, lambda epoch: None
    notes, history = Path(folder) / "history.json", whole.history
    if first:
        found = json.loads(notes.read_text(encoding="utf-8"))
        history.epoch, history.history = (
            list(range(first)),
            {name: values[:first] for name, values in found.items()},
        )
    backups[0].set_model(whole)

    def keep_state(epoch):
        serialization.write_text(notes, json.dumps(history.history))
        backups[0].on_epoch_end(epoch)

    return first, keep_state


def _take_over(strategy, whole, first):
    """Gives the state of the first worker to all, where weights began at other numbers, or an earlier state was loaded.

    Returns:
        Its number of epochs done.
    """
    variables = [*whole.weights, *whole.optimizer.variables]
    state = np.concatenate(
        [*(np.ravel(np.array(variable)) for variable in variables), [first]],
        dtype=np.float64,
    )

    def share():
        context = tf.distribute.get_replica_context()
        mine = tf.where(
            tf.equal(context.replica_id_in_sync_group, 0), tf.constant(state), 0.0
        )
        return context.all_reduce(tf.distribute.ReduceOp.SUM, mine)

    state = strategy.experimental_local_results(strategy.run(share))[0].numpy()
    for variable, part in zip(
        variables,
        np.split(state, np.cumsum([int(np.prod(v.shape)) for v in variables])),
        strict=False,
    ):
        variable.assign(part.reshape(variable.shape).astype(variable.dtype))
    return int(state[-1])


def _shares(features, batch_size, strategy, seed, epoch):
    """Steps in an epoch of each split, and the batches of each, as the replicas of this worker get them."""
    num_replicas, num_local = (
        strategy.num_replicas_in_sync,
        len(strategy.extended.worker_devices),
    )
    streams, steps, data = isinstance(features, ShardSet), {}, {}
    for split in ("train", "validation"):
        own = (
            {"seed": seed, "augment": True, "epoch": epoch} if split == "train" else {}
        )
        clips = (
            features.num_clips(split, num_replicas // num_local)
            if streams
            else len(features.subset(split))
        )
        size = (
            batch_size
            if split == "train"
            else min(batch_size, clips // num_replicas * num_replicas)
        )
        steps[split], read = (
            clips // size if size else 0,
            _stream if streams else _slice,
        )
        read = functools.partial(read, features, split, size, own)
        data[split] = (
            strategy.distribute_datasets_from_function(read) if steps[split] else []
        )
    return steps, data


def _stream(shards, split, batch_size, own, context):
    return stream_batches(shards, split, batch_size, context=context, **own)


def _slice(features, split, batch_size, own, context):
    """The rows of this worker's replicas, out of the batches of one process."""
    num_replicas, num_local = (
        context.num_replicas_in_sync,
        context.num_replicas_in_sync // context.num_input_pipelines,
    )
    first, each = (
        context.input_pipeline_id * num_local,
        context.get_per_replica_batch_size(batch_size),
    )

    def rows(*batch):
        parts = [
            tf.reshape(part, (num_replicas, each, *part.shape[1:])) for part in batch
        ]
        return tf.data.Dataset.from_tensor_slices(
            tuple(part[first : first + num_local] for part in parts)
        )

    whole = len(features.subset(split)) // batch_size
    return make_dataset(features, split, batch_size, **own).take(whole).flat_map(rows)
