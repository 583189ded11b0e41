"""Faster variants of GELU and Adam; tests hold each equal to the form of Keras.

`compile_model` uses them. `python tests/benchmarks/step.py` times the whole step.
"""

import math

import keras
import tensorflow as tf
from keras import ops


@keras.saving.register_keras_serializable(package="cvae_music")
@ops.custom_gradient
def fast_gelu(x):
    """Computes GELU with its derivative in closed form.

    Args:
        x: Float tensor of any shape.

    Returns:
        Float tensor of the same shape, equal to `keras.activations.gelu`.

    Source: Hendrycks and Gimpel (2016), arXiv:1606.08415.

    Example:
        >>> float(fast_gelu(ops.convert_to_tensor(0.0)))
        0.0
    """
    below = 0.5 + 0.5 * ops.erf(x * math.sqrt(0.5))  # share of a Gaussian below x

    def gradient(upstream):
        density = ops.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)
        return upstream * (below + x * density)

    return x * below, gradient


def accelerate(model):
    """Replaces GELU by `fast_gelu` in every layer of a model, in place.

    Args:
        model: A `keras.Model`; models inside it are changed too.

    Example:
        >>> model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, "gelu")])
        >>> accelerate(model)
        >>> model.layers[0].activation is fast_gelu
        True
    """
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            accelerate(layer)
        elif getattr(layer, "activation", None) is keras.activations.gelu:
            layer.activation = fast_gelu


@keras.saving.register_keras_serializable(package="cvae_music")
class FusedAdam(keras.optimizers.Adam):
    """Adam that updates a weight and its two moments in one TensorFlow operation.

    `keras.optimizers.Adam` takes twelve operations for each weight. It does the update
    where the fused operation cannot: with `amsgrad`, or a weight that is not float32.

    Example:
        >>> weight = keras.Variable([1.0])
        >>> FusedAdam(0.1).apply([ops.convert_to_tensor([2.0])], [weight])
        >>> bool(abs(float(weight[0]) - 0.9) < 1e-3)
        True
    """

    def update_step(self, gradient, variable, learning_rate):
        """Updates one variable; arguments as for `keras.optimizers.Adam`."""
        if self.amsgrad or variable.dtype != "float32":
            return super().update_step(gradient, variable, learning_rate)
        index = self._get_variable_index(variable)
        step = ops.cast(self.iterations + 1, "float32")
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=self.beta_1**step,
            beta2_power=self.beta_2**step,
            lr=ops.cast(learning_rate, "float32"),
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )
