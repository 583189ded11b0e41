"""MIG, SAP and DCI on latents made to be perfect, random, doubled or mixed."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import mutual_info_score

from cvae_lab.measures import disentanglement as measures


@pytest.fixture(scope="module")
def factors():
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "mode": rng.integers(0, 2, 2000),
            "brightness": rng.random(2000),
            "density": rng.random(2000),
        }
    )


@pytest.fixture(scope="module")
def noise():
    return np.random.default_rng(1).standard_normal((2000, 3))


def perfect(factors, noise):
    return np.concatenate([factors.to_numpy(float), noise], axis=1)


def mixed(factors):
    """Every dimension holds every factor: an orthogonal mix without zeros."""
    centred = factors.to_numpy(float) - factors.to_numpy(float).mean(axis=0)
    return (
        centred
        / centred.std(axis=0)
        @ np.array([[2, 2, 1], [-2, 1, 2], [1, -2, 2]])
        / 3.0
    )


def all_scores(latents, factors):
    half = len(latents) // 2
    first, second = (
        (latents[:half], factors[:half]),
        (latents[half:], factors[half:].reset_index(drop=True)),
    )
    scores = measures.dci(*first, *second)
    return {
        "mig": measures.mutual_information_gap(latents, factors),
        "sap": measures.separated_attribute_predictability(latents, factors),
        **scores,
    }


def test_perfect_latents_score_near_one(factors, noise):
    scores = all_scores(perfect(factors, noise), factors)
    assert scores["mig"] > 0.9 and scores["sap"] > 0.98
    assert (
        min(
            scores["disentanglement"], scores["completeness"], scores["informativeness"]
        )
        > 0.9
    )


def test_random_latents_score_near_zero(factors, noise):
    scores = all_scores(noise, factors)
    assert max(scores["mig"], scores["sap"]) < 0.02
    assert scores["informativeness"] < 0.05 and scores["disentanglement"] < 0.1


def test_mixed_latents_are_informative_and_entangled(factors):
    scores = all_scores(mixed(factors), factors)
    assert scores["informativeness"] > 0.6
    assert (
        scores["disentanglement"] < 0.4 and scores["mig"] < 0.2 and scores["sap"] < 0.2
    )


def test_a_factor_in_two_dimensions_has_no_gap(factors):
    latents = np.repeat(factors.to_numpy(float), 2, axis=1)
    scores = all_scores(latents, factors)
    assert scores["mig"] == pytest.approx(0.0, abs=1e-9) and scores[
        "sap"
    ] == pytest.approx(0.0, abs=1e-9)
    # Yet each dimension is about one factor: the measures differ, as Eastwood and Williams say.
    assert scores["disentanglement"] > 0.9 > scores["completeness"]


def test_information_is_that_of_scikit_learn(factors, noise):
    table = measures.information_table(mixed(factors), factors)
    column = mixed(factors)[:, 1]
    codes = np.digitize(column, np.linspace(column.min(), column.max(), 21)[1:-1])
    expected = mutual_info_score(codes, factors["mode"]) / mutual_info_score(
        factors["mode"], factors["mode"]
    )
    assert table.loc[1, "mode"] == pytest.approx(expected, rel=1e-9)


def test_gap_by_hand():
    # The first dimension is the factor, the second is right in three of four clips: R² = 1 and 1/3.
    factors = pd.DataFrame({"mode": [0, 0, 1, 1] * 50})
    latents = np.stack([factors["mode"], [0, 0, 0, 1] * 50], axis=1)
    assert measures.separated_attribute_predictability(
        latents, factors
    ) == pytest.approx(1 - 1 / 3)
    # I = H(2/4) - 3/4 H(1/3) = 0.216 nats of 0.693.
    shared = np.log(2) + 0.75 * (np.log(1 / 3) / 3 + np.log(2 / 3) * 2 / 3)
    assert measures.mutual_information_gap(latents, factors) == pytest.approx(
        1 - shared / np.log(2)
    )


def test_weights_of_dci_by_hand():
    # The first dimension is for one factor, the second halved between both.
    scores = measures.dci_of_weights([[1.0, 0.0], [0.5, 0.5]])
    assert scores["disentanglement"] == pytest.approx(0.5)
    third = 1.0 + (np.log(2 / 3) * 2 / 3 + np.log(1 / 3) / 3) / np.log(2)
    assert scores["completeness"] == pytest.approx((1.5 * third + 0.5 * 1.0) / 2.0)


def test_refusals(factors, noise):
    with pytest.raises(ValueError, match="row of factors for each clip"):
        measures.mutual_information_gap(noise[:-1], factors)
    with pytest.raises(ValueError, match="one value only"):
        measures.information_table(noise, factors.assign(mode=1))
