#!/bin/sh
# Makes the virtual environment named by the first argument and installs the project into it.
set -eu
venv="$1"

suits='import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))'

if [ ! -x "$venv/bin/python" ]; then
    found=""
    for candidate in ${PYTHON:-} python3 python3.12 python3.13 python3.11 python; do
        # Run it: a name on the path may be a shim without a Python behind it, and Debian's Python may lack venv.
        if command -v "$candidate" >/dev/null 2>&1 && "$candidate" -c "$suits" >/dev/null 2>&1; then
            found="$candidate"
            break
        fi
    done
    if [ -z "$found" ]; then
        cat >&2 <<'MESSAGE'
No suitable Python found: expected version 3.11, 3.12 or 3.13, with the venv and ensurepip modules.
  Debian, Ubuntu:  apt-get install python3-venv   (their python3 comes without these modules)
  a Python that is not on the path:  make setup PYTHON=/path/to/python3.12
  an environment of your own:        make run PY=python
MESSAGE
        exit 1
    fi
    echo "Making $venv with $("$found" --version). Downloading and installing takes a few minutes, once."
    "$found" -m venv "$venv"
fi

"$venv/bin/python" -m pip install --disable-pip-version-check --editable ".[notebooks,test]"

# Machine code and the list of fonts are made once, where they are first used: better here than at the first sound.
echo "Compiling what the first sound needs."
TF_CPP_MIN_LOG_LEVEL=2 "$venv/bin/python" -c "from cvae_music import Studio; Studio.from_preset('known_cvae')" ||
    echo "The studio could not be made, see above. Everything is installed; its first sound will take longer." >&2
