"""Six schedules for the weight of the KL divergence, as one argument of a VAE.

`loss = reconstruction + kl_weight * kl`, with both in nats, summed over features and
latent dimensions and averaged over the batch. A schedule computes the last
term, `kl_weight * kl`, or what stands in its place.
"""

import dataclasses
import math
import numbers

from keras import ops


@dataclasses.dataclass
class Constant:
    """A fixed KL weight, and the base class of the other schedules.

    A weight of 1 gives the VAE of Kingma and Welling (2014), a larger one the beta-VAE
    of Higgins et al. (2017).

    Args:
        weight: Factor of the KL divergence, at least 0.

    Raises:
        ValueError: If the weight is negative or NaN.

    Example:
        >>> float(Constant(4.0).penalty(ops.ones((8,)), weight=4.0, step=0))
        32.0
    """

    weight: float = 1.0

    def __post_init__(self):
        if not self.weight >= 0:
            raise ValueError(
                f"KL weight got {self.weight}; expected a number of at least 0."
            )

    def next_weight(self, step, last_weight, kl):
        """Computes the KL weight of a step.

        Args:
            step: Number of steps done, a scalar tensor.
            last_weight: KL weight of the step before, a scalar tensor.
            kl: KL divergence of this batch, a scalar tensor, in nats.

        Returns:
            A scalar tensor.
        """
        return ops.zeros_like(last_weight) + self.weight  # a tensor of the same dtype

    def penalty(self, kl_per_dimension, weight, step):
        """Computes what is added to the reconstruction loss.

        Args:
            kl_per_dimension: KL divergence averaged over the batch, in nats, shape
                `(latent_dim,)`.
            weight: The result of `next_weight`.
            step: Number of steps done.

        Returns:
            A scalar tensor, in nats.
        """
        return weight * ops.sum(kl_per_dimension)

    def get_config(self):
        """Returns the dict of which `get_schedule` makes the same schedule."""
        return {"name": type(self).__name__, **vars(self)}


@dataclasses.dataclass
class Linear(Constant):
    """Weight that rises from 0 over `warmup_steps` (Bowman et al., 2016).

    Args:
        weight: KL weight after the rise.
        warmup_steps: Training steps of the rise.
    """

    warmup_steps: int = 500

    def next_weight(self, step, last_weight, kl):
        return self.weight * ops.minimum(
            ops.cast(step, "float32") / max(self.warmup_steps, 1), 1.0
        )


@dataclasses.dataclass
class Cyclical(Constant):
    """Weight that rises from 0 in each cycle, then stays (Fu et al., 2019).

    Args:
        weight: KL weight at the end of each rise.
        cycle_steps: Training steps of one cycle.
        ramp: Share of a cycle in which the weight rises, from 0 to 1.
    """

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
    """No penalty below `bits` in each latent dimension (Kingma et al., 2016).

    Args:
        weight: Factor of the KL divergence.
        bits: Free KL divergence of each dimension, in bits; 1 bit is 0.69 nats.
    """

    bits: float = 0.25

    def penalty(self, kl_per_dimension, weight, step):
        return weight * ops.sum(
            ops.maximum(kl_per_dimension, self.bits * math.log(2.0))
        )


@dataclasses.dataclass
class Capacity(Constant):
    """Penalty weight·|KL − C|, where C grows to `capacity` nats.

    Args:
        weight: Factor of the distance from C.
        capacity: Last value of C, in nats.
        growth_steps: Training steps in which C grows from 0, linearly.

    Source: Burgess et al. (2018), arXiv:1804.03599.
    """

    weight: float = 10.0
    capacity: float = 50.0
    growth_steps: int = 1000

    def penalty(self, kl_per_dimension, weight, step):
        share = ops.minimum(ops.cast(step, "float32") / max(self.growth_steps, 1), 1.0)
        return weight * ops.abs(ops.sum(kl_per_dimension) - self.capacity * share)


@dataclasses.dataclass
class TargetKL(Constant):
    """Weight steered so that the KL divergence stays at `target` nats.

    An integral controller on the logarithm of the weight, a simplification of
    ControlVAE (Shao et al., 2020).

    Args:
        target: KL divergence to hold, summed over dimensions, in nats.
        weight: KL weight of the first step.
        rate: Largest change of the weight's logarithm in one step.
        lowest: Smallest weight.
        highest: Largest weight.
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
    """Converts the `kl` argument of a model to a schedule.

    Args:
        kl: A number (constant weight), the name of a class here, such as `"free_bits"`
            for `FreeBits`, a dict of such a `name` and the arguments of the class, or a
            schedule.

    Returns:
        A schedule object.

    Raises:
        ValueError: If it is none of these, or a weight is negative.
        TypeError: If the dict holds an argument that the class does not take.

    Example:
        >>> get_schedule("free_bits")
        FreeBits(weight=1.0, bits=0.25)
    """
    if isinstance(kl, Constant):
        return kl
    if isinstance(kl, numbers.Real) and not isinstance(kl, bool):
        return Constant(float(kl))
    arguments = dict(kl) if isinstance(kl, dict) else {"name": kl}
    kinds: dict[str, type] = {"constant": Constant}
    for kind in Constant.__subclasses__():  # also a notebook's own
        kinds[kind.__name__.lower()] = kind
    found = kinds.get(str(arguments.pop("name", None)).replace("_", "").lower())
    if found is None:
        raise ValueError(
            f"kl got {kl!r}; expected a number, one of {sorted(kinds)}, or a dict with "
            "such a name."
        )
    return found(**arguments)
