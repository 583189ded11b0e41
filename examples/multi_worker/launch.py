"""Keeps the processes of one training running; loads no TensorFlow, so that watching costs no memory."""

import contextlib
import json
import os
import socket
import subprocess
import time


def run_workers(command, addresses=2, mine=None, max_restarts=5):
    """Runs a program as the workers of a MultiWorkerMirroredStrategy; when one fails, all are started again.

    TensorFlow lets no worker come back into a running training: whoever is left is ended, and all go on together from the
    last epoch that `train_distributed` kept. On several machines call it on each, with the same addresses: the workers
    of the others fail when one of them is lost, so that their own calls start them again, too.

    Args:
        command: List of the program and its arguments; reads `TF_CONFIG`, as the strategy does by itself.
        addresses: List of `"host:port"`, one a worker, or a number of workers on this machine.
        mine: Which of them run on this machine, as indices; `None` for all.
        max_restarts: How often to start again before giving up.

    Returns:
        How often they were started again.

    Raises:
        RuntimeError: If they failed once more than that.
    """
    for restarts in range(max_restarts + 1):
        places = (
            _free_places(addresses) if isinstance(addresses, int) else list(addresses)
        )
        workers = []
        for index in range(len(places)) if mine is None else mine:
            about = {
                "cluster": {"worker": places},
                "task": {"type": "worker", "index": index},
            }
            workers.append(
                subprocess.Popen(
                    command, env=os.environ | {"TF_CONFIG": json.dumps(about)}
                )
            )
        try:
            codes = [None]
            while None in codes and not any(codes):
                time.sleep(0.1)
                codes = [worker.poll() for worker in workers]
        finally:
            for worker in workers:
                worker.kill()
                worker.wait()
        if not any(codes):
            return restarts
        print(f"Of the workers, one failed (exit codes {codes}).", flush=True)
    raise RuntimeError(
        f"run_workers started {command} {max_restarts + 1} times, and each time a worker failed, the last time with exit "
        f"codes {codes}. See what it printed; run one worker alone to find the fault."
    )


def _free_places(count):
    """That many addresses on this machine with ports that nobody listens on."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [f"127.0.0.1:{each.getsockname()[1]}" for each in sockets]
