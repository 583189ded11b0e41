"""Terms of the loss and KL schedules against values worked by hand."""

import dataclasses
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import ops

from cvae_music.acceleration import fast_gelu as gelu
from cvae_music.models import losses
from cvae_music.models.schedules import (
    Capacity,
    Constant,
    Cyclical,
    FreeBits,
    Linear,
    TargetKL,
    get_schedule,
)


def test_kl_of_known_gaussians():
    mean, log_var = np.float32([[0.0, 2.0]]), np.float32([[0.0, math.log(4.0)]])
    expected = [0.0, 0.5 * (4.0 + 4.0 - 1.0 - math.log(4.0))]
    np.testing.assert_allclose(
        losses.gaussian_kl(mean, log_var)[0], expected, rtol=1e-6
    )


def test_optimal_variance_is_the_best_variance():
    distortion, cells = 0.3, 10

    def gaussian_nll(variance):
        return 0.5 * cells * (math.log(2 * math.pi * variance) + distortion / variance)

    best = min(gaussian_nll(variance) for variance in np.linspace(0.2, 0.4, 201))
    assert float(losses.optimal_variance_nll(distortion, cells)) == pytest.approx(
        best, abs=1e-3
    )


def test_contrast_sees_faded_detail_and_not_where_it_is():
    rng = np.random.default_rng(0)
    clips = rng.choice([-0.5, 0.5], size=(2, 32, 32)).astype("float32")
    assert float(losses.contrast_loss(clips, clips)) == 0.0
    faded = float(losses.contrast_loss(clips, 0.5 * clips))
    moved = float(losses.contrast_loss(clips, np.roll(clips, 8, axis=2)))
    assert faded > 0.05 and moved < 0.2 * faded


def test_gelu_and_its_slope():
    values = tf.constant(np.linspace(-6.0, 6.0, 101, dtype=np.float32))
    found = []
    for function in (gelu, keras.activations.gelu):
        with tf.GradientTape() as tape:
            tape.watch(values)
            result = function(values)
        found.append((result, tape.gradient(result, values)))
    np.testing.assert_allclose(found[0], found[1], atol=1e-6)


def weights(schedule, steps, kl=1.0):
    last, found = ops.convert_to_tensor(np.float32(schedule.weight)), []
    for step in range(steps):
        last = schedule.next_weight(step, last, ops.convert_to_tensor(np.float32(kl)))
        found.append(float(last))
    return found


def test_schedules_by_hand():
    assert weights(Constant(2.0), 3) == [2.0] * 3
    assert weights(Linear(2.0, warmup_steps=4), 6) == [0.0, 0.5, 1.0, 1.5, 2.0, 2.0]
    assert weights(Cyclical(1.0, cycle_steps=4), 6) == [0.0, 0.5, 1.0, 1.0, 0.0, 0.5]
    rising, falling = (
        weights(TargetKL(target=10.0), 50, kl=100.0),
        weights(TargetKL(target=10.0), 50, kl=0.0),
    )
    assert rising[0] == falling[0] == 1.0 and rising[-1] > 1.5 and falling[-1] < 0.7


def test_penalties_by_hand():
    kl = np.float32([0.0, 1.0, 3.0])
    assert float(Constant(2.0).penalty(kl, 2.0, 0)) == 8.0
    assert float(FreeBits(1.0, bits=2.0).penalty(kl, 1.0, 0)) == pytest.approx(
        4 * math.log(2.0) + 3.0
    )
    capacity = Capacity(weight=10.0, capacity=8.0, growth_steps=4)
    assert [float(capacity.penalty(kl, 10.0, step)) for step in (0, 2, 9)] == [
        40.0,
        0.0,
        40.0,
    ]


@pytest.mark.parametrize(
    "name", ["constant", "linear", "cyclical", "free_bits", "capacity", "target_kl"]
)
def test_every_schedule_by_name_and_back_from_its_config(name):
    schedule = get_schedule(name)
    again = get_schedule(schedule.get_config())
    assert type(again) is type(schedule) and again == schedule


def test_a_schedule_of_ones_own_comes_back_from_its_config():
    @dataclasses.dataclass
    class Sawtooth(Constant):
        teeth: int = 3

    assert get_schedule(Sawtooth(2.0, teeth=5).get_config()) == Sawtooth(2.0, teeth=5)


@pytest.mark.parametrize("wrong", ["rising", True, None, {"weight": 1.0}])
def test_an_unknown_schedule_is_a_clear_error(wrong):
    with pytest.raises(ValueError, match="expected a number, one of"):
        get_schedule(wrong)
