"""Trains a conditional VAE on all GPUs of a machine, or as one of several machines.

    python train.py CACHE_FOLDER                   # one machine
    python launch.py HOST1:2222,HOST2:2222 0 CACHE_FOLDER      # on the first of two

The model is made and trained inside the scope of a `tf.distribute` strategy: that is
the whole difference. `batch_size` counts the clips of all replicas together.
"""

import json
import os
import sys

import keras
import tensorflow as tf

import cvae_music as cm


def make_strategy():
    """Makes the strategy that fits: several machines if TF_CONFIG names them."""
    workers = json.loads(os.environ.get("TF_CONFIG", "{}")).get("cluster", {})
    if len(workers.get("worker", [])) > 1:
        return tf.distribute.MultiWorkerMirroredStrategy()
    return tf.distribute.MirroredStrategy()


def check_gradients_of_all_replicas():
    """Makes Keras' loss scaling skip a step if any replica's gradients overflow.

    Keras 3.15 looks at the first replica only and then sums the gradients of all, so an
    overflow in another replica turns the weights into NaN (`mixed_float16` only).
    """
    optimizer_class = keras.mixed_precision.LossScaleOptimizer
    check_one = optimizer_class.check_finite

    def check_finite(self, gradients):
        context = tf.distribute.get_replica_context()
        count = tf.cast(check_one(self, gradients), tf.int32)
        count = context.all_reduce(tf.distribute.ReduceOp.SUM, count)
        return tf.equal(count, context.num_replicas_in_sync)

    optimizer_class.check_finite = check_finite


def train(make_model, features, strategy, batch_size_per_replica=32, **options):
    """Trains a model on all replicas of a strategy.

    Args:
        make_model: Function without arguments that makes the model.
        features: `cm.FeatureSet`; every worker needs it whole.
        strategy: `tf.distribute.Strategy`.
        batch_size_per_replica: Clips in the batch of one replica.
        **options: For `cm.train`, such as `num_steps` or `backup_dir`.

    Returns:
        `(model, history)`.
    """
    keras.utils.set_random_seed(0)  # all workers begin with the same weights
    batch_size = batch_size_per_replica * strategy.num_replicas_in_sync
    with strategy.scope():
        model = make_model()
        history = cm.train(model, features, batch_size=batch_size, **options)
    return model, history


if __name__ == "__main__":
    strategy = make_strategy()  # before any other TensorFlow operation
    check_gradients_of_all_replicas()
    keras.mixed_precision.set_global_policy(os.environ.get("POLICY", "float32"))
    features = cm.load_features(sys.argv[1])
    model, _ = train(
        lambda: cm.ConditionalVAE(features.config, genres=features.genres),
        features,
        strategy,
        backup_dir="backup",
    )
    task = strategy.cluster_resolver.task_id if strategy.cluster_resolver else 0
    if not task:  # all workers hold the same weights
        model.save("model.keras")
