"""The set-up that every notebook shares: folders, seed, versions and device."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib.metadata
import os
import platform
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import filelock

from cvae_lab.budget.machine import device_name
from cvae_music.config import check_number
from cvae_music.serialization import print_text

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MINIMUM = {"tensorflow": (2, 20), "keras": (3, 13), "librosa": (0, 11)}
GPU_HINTS = {
    "colab": "For a GPU: Runtime, Change runtime type, T4 GPU.",
    "kaggle": "For a GPU: Settings, Accelerator, GPU T4.",
    "local": "",
}


@dataclasses.dataclass(frozen=True)
class Session:
    """Holds what `start_session` found.

    Args:
        host: `"kaggle"`, `"colab"` or `"local"`.
        data: The data source asked for: `"known"`, `"fma"` or a folder.
        seed: Seed of Python, NumPy and the backend.
        cache_dir: Folder of features; safe to delete.
        output_dir: Folder of clips, figures and tables of this run.

    Example:
        >>> session = Session("local", "known", 0, Path("cache"), Path("outputs"))
        >>> session.figures_dir.name
        'figures'
    """

    host: str
    data: str
    seed: int
    cache_dir: Path
    output_dir: Path

    @property
    def clips_dir(self) -> Path:
        """Folder for sound files, made at the first use."""
        return _make_folder(self.output_dir / "clips")

    @property
    def figures_dir(self) -> Path:
        """Folder for figures; not made here."""
        return self.output_dir / "figures"

    def show_figure(self, fig: Figure, name: str | None = None, alt: str = "") -> None:
        """Shows a figure and saves it as PNG in `figures_dir`.

        Args:
            fig: Matplotlib figure.
            name: File name without ending; None saves nothing.
            alt: One sentence that says what is seen, for readers who do not see it.

        Raises:
            ValueError: If `alt` is empty.
        """
        from cvae_music.plots import show_figure

        # CVAE_MUSIC_FIGURES is set where notebooks are executed for the site.
        folder = os.environ.get("CVAE_MUSIC_FIGURES") or self.figures_dir
        show_figure(fig, name, alt, folder=folder)


def find_host() -> str:
    """Names the kind of machine: `"kaggle"`, `"colab"` or `"local"`."""
    # Kaggle first: its image is built from Colab's and carries Colab's marks.
    if os.environ.get("KAGGLE_KERNEL_RUN_TYPE"):
        return "kaggle"
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return "colab" if "google.colab" in str(shell) else "local"


def project_folder() -> Path | None:
    """Finds the folder of the project.

    Returns:
        The folder that holds `lib/cvae_music`; None when the package was installed
        without it.

    Example:
        >>> project_folder() is None or project_folder().is_dir()
        True
    """
    folder = Path(__file__).resolve().parents[3]
    return folder if (folder / "lib" / "cvae_music").is_dir() else None


def output_folder(data: str | Path = "known") -> Path:
    """Names the folder of a run's results; does not make it.

    Two folders of music with the same name get different folders of results.

    Args:
        data: Data source: `"known"`, `"fma"` or a folder of music.

    Returns:
        The folder in `CVAE_MUSIC_OUTPUT` where that is set. Else a folder in `outputs`:
        `known`, or the name of the music with a hash of its path.

    Example:
        >>> from unittest import mock
        >>> with mock.patch.dict(os.environ, CVAE_MUSIC_OUTPUT="results"):
        ...     output_folder("known").name
        'results'
    """
    chosen = os.environ.get("CVAE_MUSIC_OUTPUT")
    if chosen:
        return Path(chosen)
    name = re.sub(r"[^\w-]+", "_", Path(data).name) or "data"
    if str(data) != "known":
        path = str(Path(data).expanduser().resolve())
        name += "-" + hashlib.sha256(path.encode()).hexdigest()[:6]
    return _writable_home() / "outputs" / name


def cache_folder() -> Path:
    """Names the folder of features; does not make it.

    Returns:
        The folder in `CVAE_MUSIC_CACHE` where that is set, else one of the project.

    Example:
        >>> from unittest import mock
        >>> with mock.patch.dict(os.environ, CVAE_MUSIC_CACHE="my_cache"):
        ...     cache_folder().name
        'my_cache'
    """
    chosen = os.environ.get("CVAE_MUSIC_CACHE")
    if chosen:
        return Path(chosen)
    home = _writable_home()
    return home / "data" / "cache" if home == project_folder() else home / "cache"


def lock_for(path: Path) -> filelock.BaseFileLock:
    """Makes the lock of a file, which lies in the cache and not beside the file."""
    name = hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:16]
    folder = cache_folder() / "locks"
    folder.mkdir(parents=True, exist_ok=True)
    return filelock.FileLock(folder / f"{name}.lock")


def start_session(data: str | Path = "known", seed: int = 0) -> Session:
    """Prepares a notebook: makes folders, sets the seed, prints versions and device.

    Args:
        data: Data source, for the name of the output folder.
        seed: Whole number, at least 0.

    Returns:
        A `Session`.

    Raises:
        ValueError: If the seed is not a whole number of at least 0.
        ImportError: If a library is older than this package needs, or Keras runs on
            another backend.
        PermissionError: If a folder cannot be written.

    Example:
        >>> session = start_session(seed=1)  # doctest: +SKIP
        >>> session.output_dir.name  # doctest: +SKIP
        'known'
    """
    check_number("seed", seed)
    check_versions()  # before Keras is loaded: an old one fails in words of its own
    output = _make_folder(output_folder(data).resolve())
    cache = _make_folder(cache_folder().resolve())
    session = Session(find_host(), str(data), seed, cache, output)
    keras = _load_keras()
    keras.utils.set_random_seed(seed)
    print_text(describe(session))
    return session


def describe(session: Session) -> str:
    """Lists versions, device and folders in three lines, without absolute paths."""
    import cvae_music

    own = f"cvae-music {cvae_music.__version__}, Python {platform.python_version()}"
    found = [f"{name} {version}" for name, version in check_versions().items()]
    device = device_name()
    hint = GPU_HINTS[session.host]
    if device.startswith("CPU") and hint:
        device = f"{device}. {hint}"
    data = f"data {Path(session.data).name!r}, seed {session.seed}"
    results = f"results in {_short(session.output_dir)}"
    return f"{', '.join([own, *found])}\n{device}\n{data}, {results}"


def check_versions() -> dict[str, str]:
    """Checks the versions of the libraries of `MINIMUM`.

    Returns:
        Name -> installed version.

    Raises:
        ImportError: If one is missing or too old.
    """
    found = {}
    for name, expected in MINIMUM.items():
        wanted = ".".join(map(str, expected))
        try:
            found[name] = _version(name)
        except importlib.metadata.PackageNotFoundError:
            raise ImportError(
                f"{name} is not installed; expected {wanted} or later. "
                f"Run: pip install {name}"
            ) from None
        numbers = re.findall(r"\d+", found[name])[: len(expected)]
        if tuple(map(int, numbers)) < expected:
            raise ImportError(
                f"Found {name} {found[name]}; expected {wanted} or later. "
                f"Update it (pip install --upgrade {name}) and restart the kernel."
            )
    return found


def used_versions() -> str:
    """Names the versions that a result was made with, in one line.

    Returns:
        Such as `tensorflow 2.21.0, keras 3.15.1, librosa 0.11.0, numpy 2.3.0`.

    Example:
        >>> used_versions().split()[0]
        'tensorflow'
    """
    return ", ".join(f"{name} {_version(name)}" for name in (*MINIMUM, "numpy"))


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        # TensorFlow's build without GPU code.
        return importlib.metadata.version(f"{name}-cpu")


def _load_keras() -> ModuleType:
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    # Start-up notices hide what the notebook says.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    import keras
    import tensorflow as tf

    if keras.backend.backend() != "tensorflow":
        raise ImportError(
            f"Keras runs on the backend {keras.backend.backend()!r}; expected "
            "'tensorflow'. Unset KERAS_BACKEND, restart the kernel, and run the set-up "
            "cell first."
        )
    # Several models in one notebook are no reason to warn of retracing.
    tf.get_logger().setLevel("ERROR")
    return keras


def _writable_home() -> Path:
    """Finds the project's folder, or the host's for files of users if that fails."""
    project = project_folder()
    if project is not None and os.access(project, os.W_OK):
        return project
    homes = {"kaggle": Path("/kaggle/working"), "colab": Path("/content")}
    return homes.get(find_host(), Path.cwd()) / "cvae_music"


def _make_folder(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        raise PermissionError(
            f"Cannot write to {folder}. Set CVAE_MUSIC_CACHE (features) and "
            "CVAE_MUSIC_OUTPUT (results) in the environment to folders of yours, "
            "before the set-up cell runs."
        )
    return folder


def _short(folder: Path) -> str:
    for base, mark in ((project_folder(), ""), (Path.cwd(), ""), (Path.home(), "~/")):
        if base is not None and folder.is_relative_to(base):
            return mark + folder.relative_to(base).as_posix()
    return folder.name
