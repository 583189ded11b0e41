"""Curves of a training by its steps: kept on disk across stops, and comparable with those of other music."""

from pathlib import Path

import numpy as np
import pandas as pd


def step_log(path, every=10):
    """A Keras callback that appends the mean of each metric over the last `every` steps to a CSV file.

    An epoch is a pass over the music and so of another length for everybody; a step is not. A training that goes on
    from a backup goes on in the same file: what it will do once more is taken out of it first.

    Args:
        path: File to write: columns `step` and the metrics of the model.
        every: Steps between two rows.
    """
    import keras

    class StepLog(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            self.step = int(self.model.optimizer.iterations)
            if Path(path).exists():
                before = pd.read_csv(path)
                before[before["step"] <= self.step].to_csv(path, index=False)

        def on_epoch_begin(self, epoch, logs=None):
            self.count, self.sums = 0, None

        def on_train_batch_end(self, batch, logs):
            self.step += 1
            if self.step % every and batch + 1 < self.params["steps"]:
                return
            # Keras reports means since the epoch began.
            sums = (batch + 1) * np.array(list(logs.values()), float)
            means = (sums - (0.0 if self.sums is None else self.sums)) / (
                batch + 1 - self.count
            )
            self.count, self.sums = batch + 1, sums
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            row = pd.DataFrame(
                [{"step": self.step, **dict(zip(logs, means.round(4), strict=True))}]
            )
            row.to_csv(path, mode="a", header=not Path(path).exists(), index=False)

    return StepLog()


def reference_range(table, name, steps):
    """The lowest and the highest value of a metric at some steps, over runs that were normal.

    Args:
        table: DataFrame of several runs: columns `run`, `step`, and the metrics.
        name: A metric.
        steps: Whole numbers, increasing.

    Returns:
        `(low, high)`, each of shape `(len(steps),)`; NaN where no run has been.
    """
    curves = [
        np.interp(steps, run["step"], run[name], left=np.nan, right=np.nan)
        for _, run in table.dropna(subset=[name]).groupby("run")
    ]
    seen = np.isfinite(curves).any(axis=0)
    low, high = np.full((2, len(steps)), np.nan)
    low[seen], high[seen] = (
        np.nanmin(np.array(curves)[:, seen], axis=0),
        np.nanmax(np.array(curves)[:, seen], axis=0),
    )
    return low, high
