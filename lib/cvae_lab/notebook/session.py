"""Where a notebook runs, where it may write, and from which seed: the set-up that every notebook shares."""

import dataclasses
import importlib.metadata
import os
import platform
import re
import sys
from pathlib import Path
from types import ModuleType

from cvae_music.config import check_number

MINIMUM = {"tensorflow": (2, 20), "keras": (3, 13), "librosa": (0, 11)}
STARTED = "CVAE_MUSIC_STARTED"  # the environment carries the session's folder to `cvae_music.serialization.results_folder`
GPU_HINTS = {
    "colab": "For a GPU: Runtime, Change runtime type, T4 GPU.",
    "kaggle": "For a GPU: Settings, Accelerator, GPU T4.",
    "local": "",
}


@dataclasses.dataclass(frozen=True)
class Session:
    """What `start_session` found.

    Args:
        host: `"kaggle"`, `"colab"` or `"local"`.
        data: The data source asked for: `"known"`, `"fma"` or a folder.
        seed: Seed of Python, NumPy and the backend.
        cache_dir: Folder of features; safe to delete.
        output_dir: Folder of clips, figures and tables of this run.
    """

    host: str
    data: str
    seed: int
    cache_dir: Path
    output_dir: Path

    @property
    def clips_dir(self) -> Path:
        """Folder for sound files, made at the first use."""
        return _made(self.output_dir / "clips")


def find_host() -> str:
    """Name of the machine's kind: `"kaggle"`, `"colab"` or `"local"`."""
    # Kaggle first: its image is built from Colab's and carries Colab's marks.
    if os.environ.get("KAGGLE_KERNEL_RUN_TYPE"):
        return "kaggle"
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return "colab" if "google.colab" in str(shell) else "local"


def project_folder() -> Path | None:
    """The folder that holds `lib/cvae_music`, or None when the package was installed without it."""
    folder = Path(__file__).resolve().parents[3]
    return folder if (folder / "lib" / "cvae_music").is_dir() else None


def output_folder(data: str = "known") -> Path:
    """Folder of a run's results, `CVAE_MUSIC_OUTPUT` where that is set; not yet made."""
    chosen = os.environ.get("CVAE_MUSIC_OUTPUT")
    if chosen:
        return Path(chosen)
    name = re.sub(r"[^\w-]+", "_", Path(data).name) or "data"
    return _writable_home() / "outputs" / name


def cache_folder() -> Path:
    """Folder of the features, `CVAE_MUSIC_CACHE` where that is set; not yet made."""
    chosen = os.environ.get("CVAE_MUSIC_CACHE")
    if chosen:
        return Path(chosen)
    home = _writable_home()
    return home / "data" / "cache" if home == project_folder() else home / "cache"


def start_session(
    data: str | Path = "known", output: str | Path | None = None, seed: int = 0
) -> Session:
    """Prepares a notebook: folders, seed, and three printed lines that say what it runs on.

    Args:
        data: Data source, for the name of the output folder.
        output: Folder for the results; None for the usual one.
        seed: Whole number, at least 0.

    Returns:
        A `Session`.

    Raises:
        ValueError: If the seed is not a whole number of at least 0.
        ImportError: If a library is older than this package needs, or Keras runs on another backend.
        PermissionError: If a folder cannot be written.
    """
    check_number("seed", seed)
    check_versions()  # before Keras is loaded: an old one fails in words of its own
    output = _made(Path(output or output_folder(str(data))).resolve())
    session = Session(
        find_host(), str(data), seed, _made(cache_folder().resolve()), output
    )
    os.environ[STARTED] = str(output)
    keras = _load_keras()
    keras.utils.set_random_seed(seed)
    print(describe(session))
    return session


def describe(session: Session) -> str:
    """Versions, device and folders, in three lines without a machine's absolute paths."""
    import cvae_music

    device, hint = _device(), GPU_HINTS[session.host]
    versions = ", ".join(
        f"{name} {version}" for name, version in check_versions().items()
    )
    lines = [
        f"cvae-music {cvae_music.__version__}, Python {platform.python_version()}, {versions}",
        f"{device}. {hint}" if device.startswith("CPU") and hint else device,
        f"data {Path(session.data).name!r}, seed {session.seed}, results in {_short(session.output_dir)}",
    ]
    return "\n".join(lines)


def check_versions(minimum: dict[str, tuple[int, int]] | None = None) -> dict[str, str]:
    """Installed versions of the libraries that matter most.

    Raises:
        ImportError: If one is missing or too old.
    """
    found = {}
    for name, expected in (minimum or MINIMUM).items():
        wanted = ".".join(map(str, expected))
        try:
            found[name] = _version(name)
        except importlib.metadata.PackageNotFoundError:
            raise ImportError(
                f"{name} is not installed; expected {wanted} or later. Run: pip install {name}"
            ) from None
        if (
            tuple(
                int(number)
                for number in re.findall(r"\d+", found[name])[: len(expected)]
            )
            < expected
        ):
            raise ImportError(
                f"Found {name} {found[name]}; expected {wanted} or later. "
                f"Update it (pip install --upgrade {name}) and restart the kernel."
            )
    return found


def used_versions() -> str:
    """One line with the versions that a result was made with."""
    return ", ".join(f"{name} {_version(name)}" for name in (*MINIMUM, "numpy"))


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return importlib.metadata.version(
            f"{name}-cpu"
        )  # TensorFlow's build without GPU code


def _load_keras() -> ModuleType:
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    os.environ.setdefault(
        "TF_CPP_MIN_LOG_LEVEL", "2"
    )  # start-up notices hide what the notebook says
    import keras

    if keras.backend.backend() != "tensorflow":
        raise ImportError(
            f"Keras runs on the backend {keras.backend.backend()!r}; expected 'tensorflow'. "
            "Unset KERAS_BACKEND, restart the kernel, and run the set-up cell first."
        )
    return keras


def _device() -> str:
    import tensorflow as tf

    tf.get_logger().setLevel(
        "ERROR"
    )  # several models in one notebook are no reason to warn of retracing
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        names = [
            tf.config.experimental.get_device_details(gpu).get("device_name", "GPU")
            for gpu in gpus
        ]
        return "GPU: " + ", ".join(names)
    cores = (
        len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count()
    )
    return f"CPU with {cores} cores"


def _writable_home() -> Path:
    """The project's folder, or where the host keeps a user's files when the project is read-only or absent."""
    project = project_folder()
    if project is not None and os.access(project, os.W_OK):
        return project
    return {"kaggle": Path("/kaggle/working"), "colab": Path("/content")}.get(
        find_host(), Path.cwd()
    ) / "cvae_music"


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        raise PermissionError(
            f"Cannot write to {folder}. Set CVAE_MUSIC_CACHE (features) and CVAE_MUSIC_OUTPUT (results) in the "
            "environment to folders of yours, before the set-up cell runs."
        )
    return folder


def _short(folder: Path) -> str:
    for base, mark in ((project_folder(), ""), (Path.cwd(), ""), (Path.home(), "~/")):
        if base is not None and folder.is_relative_to(base):
            return mark + folder.relative_to(base).as_posix()
    return folder.name
