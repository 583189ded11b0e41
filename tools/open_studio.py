"""Opens the studio in the browser: a page of one cell, served by Voila until Ctrl-C. Options go on to Voila."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[1]
CELL = "from cvae_music.studio import pretrained_studio\n\npretrained_studio()"
# Uploads come as one message; tornado would drop those over 10 MB together with the connection.
LARGEST_MESSAGE = "--Voila.tornado_settings={'websocket_max_message_size': 200_000_000}"


def write_page(path):
    """Writes the notebook of one cell."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)


def main(options):
    output = Path(os.environ.get("CVAE_MUSIC_OUTPUT") or ROOT / "outputs")
    page = output / "studio" / "studio.ipynb"
    write_page(page)
    paths = [str(ROOT / "lib"), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "CVAE_MUSIC_OUTPUT": str(output)}
    environment.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # start-up notices would stand above the page
    try:
        command = [sys.executable, "-m", "voila", str(page), LARGEST_MESSAGE, *options]
        return subprocess.run(command, env=environment).returncode
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
