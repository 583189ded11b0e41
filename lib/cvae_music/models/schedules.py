"""How strongly the KL divergence is weighted while training goes on: six answers, one argument.

`loss = reconstruction + kl_weight * kl`, with both in nats, summed over features and latent
dimensions and averaged over the batch. A schedule decides the penalty that stands for the last term.
"""

import dataclasses
import math

from keras import ops


@dataclasses.dataclass
class Constant:
    """A fixed KL weight: 1 is the VAE (Kingma and Welling, 2014), more is a beta-VAE (Higgins et al., 2017)."""

    weight: float = 1.0

    def __post_init__(self):
        if not self.weight >= 0:
            raise ValueError(
                f"KL weight got {self.weight}; expected a number of at least 0."
            )

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
        """What `get_schedule` makes the same schedule of."""
        return {"name": type(self).__name__, **vars(self)}


@dataclasses.dataclass
class Linear(Constant):
    """Weight rising from 0 over `warmup_steps` (Bowman et al., 2016)."""

    warmup_steps: int = 500

    def next_weight(self, step, last_weight, kl):
        return self.weight * ops.minimum(
            ops.cast(step, "float32") / max(self.warmup_steps, 1), 1.0
        )


@dataclasses.dataclass
class Cyclical(Constant):
    """Weight rising again and again, half of each cycle a ramp and half at the top (Fu et al., 2019)."""

    cycle_steps: int = 500
    ramp: float = 0.5

    def next_weight(self, step, last_weight, kl):
        position = (
            ops.mod(ops.cast(step, "float32"), float(self.cycle_steps))
            / self.cycle_steps
        )
        return self.weight * ops.minimum(position / max(self.ramp, 1e-6), 1.0)


@dataclasses.dataclass
class FreeBits(Constant):
    """No penalty below `bits` in each latent dimension (Kingma et al., 2016)."""

    bits: float = 0.25

    def penalty(self, kl_per_dimension, weight, step):
        return weight * ops.sum(
            ops.maximum(kl_per_dimension, self.bits * math.log(2.0))
        )


@dataclasses.dataclass
class Capacity(Constant):
    """KL held at a capacity that grows to `capacity` nats: weight·|KL − C| (Burgess et al., 2018)."""

    weight: float = 10.0
    capacity: float = 50.0
    growth_steps: int = 1000

    def penalty(self, kl_per_dimension, weight, step):
        share = ops.minimum(ops.cast(step, "float32") / max(self.growth_steps, 1), 1.0)
        return weight * ops.abs(ops.sum(kl_per_dimension) - self.capacity * share)


@dataclasses.dataclass
class TargetKL(Constant):
    """Weight steered so that the KL divergence stays at `target` nats.

    An integral controller on the logarithm of the weight, a simplification of ControlVAE (Shao et al., 2020).
    """

    target: float = 80.0
    weight: float = 1.0
    rate: float = 0.01
    lowest: float = 1e-3
    highest: float = 100.0

    def next_weight(self, step, last_weight, kl):
        error = ops.clip(kl / self.target - 1.0, -1.0, 1.0)
        moved = ops.clip(
            last_weight * ops.exp(self.rate * error), self.lowest, self.highest
        )
        return ops.where(ops.equal(step, 0), self.weight, moved)


def get_schedule(kl):
    """Makes a schedule of what a model was given as its `kl` argument.

    Args:
        kl: A number (constant weight), the name of a class here, as in `"free_bits"`, a dict `{"name": ..., **arguments}`,
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
    kinds = {
        kind.__name__.lower(): kind for kind in (Constant, *Constant.__subclasses__())
    }  # also a notebook's own
    kind = kinds.get(str(arguments.pop("name", None)).replace("_", "").lower())
    if kind is None:
        raise ValueError(
            f"kl got {kl!r}; expected a number, one of {sorted(kinds)}, or a dict with such a name."
        )
    return kind(**arguments)
