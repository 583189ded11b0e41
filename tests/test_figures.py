"""Figures of the measures: bars that fall, shares of each row."""

import matplotlib.pyplot as plt
import pytest

from cvae_lab import figures


@pytest.fixture
def ax():
    fig, ax = plt.subplots()
    yield ax
    plt.close(fig)


def test_kl_bars_fall_and_inactive_ones_are_hatched(ax):
    figures.plot_kl_per_dimension([0.0, 3.0, 1.0], ax, active=[False, True, True])
    assert [bar.get_height() for bar in ax.patches] == [3.0, 1.0, 0.0]
    assert [bool(bar.get_hatch()) for bar in ax.patches] == [False, False, True]


def test_confusion_shows_shares_of_each_row(ax):
    figures.plot_confusion([[3, 1], [0, 0]], ["a", "b"], ax)
    assert [text.get_text() for text in ax.texts] == ["0.75", "0.25", "0.00", "0.00"]
