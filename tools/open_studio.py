"""Opens the studio in the browser: a page of one cell, served by Voila until Ctrl-C. Options go on to Voila."""

import os
import subprocess
import sys
from pathlib import Path

import nbformat

ROOT = Path(__file__).resolve().parents[1]
CELL = "from cvae_music.studio import pretrained_studio\n\npretrained_studio()"


def write_page(path):
    """Writes the notebook of one cell."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)


def main(options):
    page = ROOT / "outputs" / "studio" / "studio.ipynb"
    write_page(page)
    paths = [str(ROOT / "lib"), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "CVAE_MUSIC_OUTPUT": str(ROOT / "outputs")}
    try:
        return subprocess.run([sys.executable, "-m", "voila", str(page), *options], env=environment).returncode
    except KeyboardInterrupt:
        return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
