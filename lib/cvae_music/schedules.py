"""How strongly the KL divergence is weighted while training goes on: six answers, one argument.

`loss = reconstruction + kl_weight * kl`, with both in nats, summed over features and latent
dimensions and averaged over the batch. A schedule decides the penalty that stands for the last term.
"""

import math

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="cvae_music")
class Constant:
    """A fixed KL weight: 1 is the VAE (Kingma and Welling, 2014), more is a beta-VAE (Higgins et al., 2017)."""

    def __init__(self, weight=1.0):
        self.weight = float(weight)
        if not self.weight >= 0:
            raise ValueError(f"KL weight got {weight}; expected a number of at least 0.")

    def next_weight(self, step, last_weight, kl):
        """KL weight of this step.

        Args:
            step: Number of steps done, a scalar tensor.
            last_weight: KL weight of the step before, a scalar tensor.
            kl: KL divergence of this batch, a scalar tensor, in nats.

        Returns:
            A scalar tensor.
        """
        return ops.zeros_like(last_weight) + self.weight

    def penalty(self, kl_per_dimension, weight, step):
        """What is added to the reconstruction loss.

        Args:
            kl_per_dimension: KL divergence averaged over the batch, shape `(latent_dim,)`, in nats.
            weight: The result of `next_weight`.
            step: Number of steps done.

        Returns:
            A scalar tensor, in nats.
        """
        return weight * ops.sum(kl_per_dimension)

    def get_config(self):
        return dict(vars(self))

    @classmethod
    def from_config(cls, config):
        return cls(**config)


@keras.saving.register_keras_serializable(package="cvae_music")
class Linear(Constant):
    """Weight rising from 0 over `warmup_steps` (Bowman et al., 2016)."""

    def __init__(self, weight=1.0, warmup_steps=500):
        super().__init__(weight)
        self.warmup_steps = int(warmup_steps)

    def next_weight(self, step, last_weight, kl):
        share = ops.cast(step, "float32") / max(self.warmup_steps, 1)
        return self.weight * ops.minimum(share, 1.0)


@keras.saving.register_keras_serializable(package="cvae_music")
class Cyclical(Constant):
    """Weight rising again and again, half of each cycle a ramp and half at the top (Fu et al., 2019)."""

    def __init__(self, weight=1.0, cycle_steps=500, ramp=0.5):
        super().__init__(weight)
        self.cycle_steps, self.ramp = int(cycle_steps), float(ramp)

    def next_weight(self, step, last_weight, kl):
        position = ops.mod(ops.cast(step, "float32"), float(self.cycle_steps)) / self.cycle_steps
        return self.weight * ops.minimum(position / max(self.ramp, 1e-6), 1.0)


@keras.saving.register_keras_serializable(package="cvae_music")
class FreeBits(Constant):
    """No penalty below `bits` in each latent dimension (Kingma et al., 2016)."""

    def __init__(self, weight=1.0, bits=0.25):
        super().__init__(weight)
        self.bits = float(bits)

    def penalty(self, kl_per_dimension, weight, step):
        return weight * ops.sum(ops.maximum(kl_per_dimension, self.bits * math.log(2.0)))


@keras.saving.register_keras_serializable(package="cvae_music")
class Capacity(Constant):
    """KL held at a capacity that grows to `capacity` nats: weight·|KL − C| (Burgess et al., 2018)."""

    def __init__(self, weight=10.0, capacity=50.0, growth_steps=1000):
        super().__init__(weight)
        self.capacity, self.growth_steps = float(capacity), int(growth_steps)

    def penalty(self, kl_per_dimension, weight, step):
        share = ops.minimum(ops.cast(step, "float32") / max(self.growth_steps, 1), 1.0)
        return weight * ops.abs(ops.sum(kl_per_dimension) - self.capacity * share)


@keras.saving.register_keras_serializable(package="cvae_music")
class TargetKL(Constant):
    """Weight steered so that the KL divergence stays at `target` nats.

    An integral controller on the logarithm of the weight, a simplification of ControlVAE (Shao et al., 2020).
    """

    def __init__(self, target=80.0, weight=1.0, rate=0.01, lowest=1e-3, highest=100.0):
        super().__init__(weight)
        self.target, self.rate = float(target), float(rate)
        self.lowest, self.highest = float(lowest), float(highest)

    def next_weight(self, step, last_weight, kl):
        error = ops.clip(kl / self.target - 1.0, -1.0, 1.0)
        moved = ops.clip(last_weight * ops.exp(self.rate * error), self.lowest, self.highest)
        return ops.where(ops.equal(step, 0), self.weight, moved)


SCHEDULES = {
    "constant": Constant, "linear": Linear, "cyclical": Cyclical,
    "free_bits": FreeBits, "capacity": Capacity, "target_kl": TargetKL,
}  # fmt: skip


def get_schedule(kl):
    """Makes a schedule of what a model was given as its `kl` argument.

    Args:
        kl: A number (constant weight), a name of `SCHEDULES`, a dict `{"name": ..., **arguments}`,
            or a schedule.

    Returns:
        A schedule object.

    Raises:
        ValueError: If it is none of these.
    """
    if isinstance(kl, Constant):
        return kl
    if isinstance(kl, (int, float)) and not isinstance(kl, bool):
        return Constant(kl)
    arguments = dict(kl) if isinstance(kl, dict) else {"name": kl}
    name = arguments.pop("name", None)
    if name not in SCHEDULES:
        raise ValueError(
            f"kl got {kl!r}; expected a number, one of {sorted(SCHEDULES)}, or a dict such as "
            "{'name': 'linear', 'weight': 1.0, 'warmup_steps': 500}."
        )
    return SCHEDULES[name](**arguments)
