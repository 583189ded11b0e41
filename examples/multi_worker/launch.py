"""Starts one worker of a training on several machines: sets TF_CONFIG, runs train.py.

    python launch.py HOST1:2222,HOST2:2222 INDEX CACHE_FOLDER

Run it once on each machine, with that machine's INDEX in the list. Slurm, Kubernetes
and the like set TF_CONFIG themselves, start workers again that were lost, and need no
such script: let them run train.py.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

if __name__ == "__main__":
    workers, index, *arguments = sys.argv[1:]
    task = {"type": "worker", "index": int(index)}
    cluster = {"worker": workers.split(",")}
    config = json.dumps({"cluster": cluster, "task": task})
    command = [sys.executable, Path(__file__).with_name("train.py"), *arguments]
    sys.exit(subprocess.call(command, env=os.environ | {"TF_CONFIG": config}))
