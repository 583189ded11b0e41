"""What this machine has: device, memory, disk."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import joblib


def device_name() -> str:
    """Returns the GPUs that TensorFlow uses, or the number of processor cores."""
    import tensorflow as tf

    names = []
    for gpu in tf.config.list_physical_devices("GPU"):
        details = tf.config.experimental.get_device_details(gpu)
        names.append(details.get("device_name", "GPU"))
    return ", ".join(names) or f"CPU with {joblib.cpu_count()} cores"


def free_disk(folder: str | Path) -> int:
    """Returns the free bytes on the disk of a folder, which need not exist yet."""
    folder = Path(folder).expanduser().resolve()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def peak_memory() -> float:
    """Returns the most bytes of memory that this process has held so far.

    Returns:
        Bytes; NaN where the system does not say (Windows).

    Example:
        >>> megabytes = peak_memory() / 1e6
    """
    try:
        import resource
    except ImportError:  # Windows
        return float("nan")
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)


def available_memory() -> float:
    """Returns the bytes of memory that programs can still have; NaN if unknown."""
    try:
        text = Path("/proc/meminfo").read_text(encoding="utf-8")
    except OSError:  # not Linux
        return float("nan")
    lines = dict(line.split(":") for line in text.splitlines())
    return int(lines["MemAvailable"].split()[0]) * 1024.0
