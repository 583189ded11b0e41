"""Training curves by step: kept on disk across stops, comparable between runs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import pandas as pd


class StepCSVLogger(keras.callbacks.Callback):
    """Appends the metrics of a training to a CSV file, a row every few steps.

    Each row holds means over the steps since the row before. Epochs differ in length
    between collections, steps do not. A training that resumes from a backup continues
    the file: rows of steps that it will repeat are removed first.

    Args:
        path: File to write: columns `step` and the metrics of the model.
        every: Steps between two rows. The end of an epoch also writes one.

    Example:
        >>> log = StepCSVLogger("run/curve.csv", every=10)
        >>> model.fit(x, y, callbacks=[log])  # doctest: +SKIP
    """

    def __init__(self, path: str | Path, every: int = 10):
        super().__init__()
        self.path = Path(path)
        self.every = every

    def on_train_begin(self, logs=None):
        """Removes the rows after the step that the training starts at."""
        self.step = int(self.model.optimizer.iterations)
        if self.path.exists():
            table = pd.read_csv(self.path)
            table[table["step"] <= self.step].to_csv(self.path, index=False)

    def on_epoch_begin(self, epoch, logs=None):
        """Starts new means, as Keras does."""
        self.num_logged = 0
        self.logged_sums = 0.0

    def on_train_batch_end(self, batch, logs=None):
        """Writes a row after every `every` steps and after the last of an epoch."""
        self.step += 1
        num_steps = batch + 1
        if self.step % self.every and num_steps < self.params["steps"]:
            return
        # Keras reports means since the epoch began.
        sums = num_steps * np.array(list(logs.values()), float)
        means = (sums - self.logged_sums) / (num_steps - self.num_logged)
        self.num_logged = num_steps
        self.logged_sums = sums
        row = {"step": self.step} | dict(zip(logs, means.round(4), strict=True))
        self.path.parent.mkdir(parents=True, exist_ok=True)
        header = not self.path.exists()
        pd.DataFrame([row]).to_csv(self.path, mode="a", header=header, index=False)


def reference_range(
    table: pd.DataFrame, name: str, steps: Sequence[float]
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the lowest and highest value of a metric over runs, at given steps.

    Args:
        table: DataFrame of several runs: columns `run`, `step`, and the metrics.
        name: A metric.
        steps: Numbers, increasing; values between rows are interpolated.

    Returns:
        `(low, high)`, each of shape `(len(steps),)`; NaN where no run has been.

    Example:
        >>> table = pd.DataFrame({"run": [1, 1, 2, 2], "step": [0, 9, 0, 9]})
        >>> table["kl"] = [0.0, 9.0, 4.0, 4.0]
        >>> low, high = reference_range(table, "kl", [0, 3, 9])
        >>> low.tolist(), high.tolist()
        ([0.0, 3.0, 4.0], [4.0, 4.0, 9.0])
    """
    curves = []
    for _, run in table.dropna(subset=[name]).groupby("run"):
        curve = np.interp(steps, run["step"], run[name], left=np.nan, right=np.nan)
        curves.append(curve)
    # These two leave NaN out, and give it where there is nothing else.
    return np.fmin.reduce(curves), np.fmax.reduce(curves)
