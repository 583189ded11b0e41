# `make help` lists the targets. Everything runs in .venv, which the first target makes by itself.
# With an environment of your own (conda, Docker): make run PY=python

VENV ?= .venv
PY := $(VENV)/bin/python
INSTALLED := $(VENV)/.installed
ifneq ($(origin PY),file)
INSTALLED :=
endif

# The music: nothing for the embedded known-factor music, or a folder of genres, or an FMA folder.
DATA ?=
# The model that ships with which the studio opens.
PRESET ?= known_cvae
# Where a run writes; nothing for outputs/<name of the data>.
OUTPUT ?=
# Notebook parameters to change, as in SET="num_clips=600 seed=1".
SET ?=
# Notebooks to run, as in ONLY="01 05"; nothing for all of them.
ONLY ?=

# Where the site will stand, ending in /, for the picture that a pasted link shows.
ADDRESS ?=

# Where the project can be fetched, for `make badges`; nothing leaves what pyproject.toml says.
REPO ?=
KAGGLE ?=

# Which versions `make environment` tries, and which parts of it alone: smoke, tests, full.
NAME ?=
PARTS ?=

RUN = $(PY) tools/run_notebooks.py --data "$(DATA)" --output "$(OUTPUT)" --set $(SET) --only $(ONLY)

.PHONY: help setup run publish docs badges kaggle-library test environment test-slow test-browser lint lock lab studio site sync weights sweeps clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-14s %s\n", $$1, $$2}' Makefile

setup: $(INSTALLED)  ## make .venv and install everything into it (the others do it by themselves)

$(VENV)/.installed: pyproject.toml tools/make_venv.sh
	sh tools/make_venv.sh $(VENV)
	touch $@

run: $(INSTALLED)  ## execute all notebooks in order: make run DATA=~/music
	$(RUN)

publish: $(INSTALLED)  ## execute all notebooks on the embedded music and store their outputs in notebooks/ and figures/
	$(RUN) --publish
	$(RUN) --publish --notebooks notebooks/solutions
	$(PY) tools/badges.py
	$(PY) tools/result_tables.py

docs: $(INSTALLED)  ## write the tables of README and docs/ from the results, and the README's clips from the weights
	$(PY) tools/result_tables.py
	$(PY) tools/readme_clips.py

badges: $(INSTALLED)  ## write badges, addresses and links into all notebooks: make badges REPO=owner/name KAGGLE=owner
	$(PY) tools/badges.py --repository "$(REPO)" --kaggle "$(KAGGLE)"

kaggle-library: $(INSTALLED)  ## pack the library as a Kaggle data set, in outputs/kaggle
	$(PY) tools/badges.py --library outputs/kaggle

test: $(INSTALLED)  ## run the tests, notebooks in smoke mode included
	$(PY) -m pytest --numprocesses logical --maxprocesses 4 --dist loadgroup

environment: $(INSTALLED)  ## run notebooks and tests with other versions: make environment NAME=newest-3.12, newest-3.13, python-3.11 or colab
	$(PY) tools/environments.py "$(NAME)" --python "$(PYTHON)" --parts $(PARTS) --only $(ONLY)
	$(PY) tools/result_tables.py

test-slow: $(INSTALLED)  ## run the tests that train for minutes
	$(PY) -m pytest -m slow

test-browser: $(INSTALLED)  ## play the studio, and the site once it was built, in headless Chromium (apt-get install chromium)
	$(PY) -m pip install --quiet --disable-pip-version-check --editable ".[browser]"
	$(PY) -m pytest -m browser tests/browser --reruns 1 -rR

lint: $(INSTALLED)  ## check style, layout and types of the code
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

lock: $(INSTALLED)  ## write requirements-lock.txt: the versions of all that is installed in .venv and needed
	$(PY) -m pip install --quiet --disable-pip-version-check uv
	$(PY) -m pip freeze --exclude-editable > $(VENV)/installed.txt
	$(PY) -m uv pip compile --quiet --python $(PY) pyproject.toml --extra notebooks --extra test \
		--constraint $(VENV)/installed.txt --no-annotate --custom-compile-command "make lock" --output-file requirements-lock.txt

lab: $(INSTALLED)  ## open JupyterLab on the notebooks; uploads up to 200 MB
	$(PY) -m jupyterlab --ServerApp.root_dir=. --LabApp.default_url=/lab/tree/notebooks \
		--ServerApp.tornado_settings="{'websocket_max_message_size': 200_000_000}"

studio: $(INSTALLED)  ## open the studio in the browser: make studio, make studio DATA=~/music or PRESET=real_cvaegan
	$(PY) tools/open_studio.py --data "$(DATA)" --preset "$(PRESET)"

site: $(INSTALLED)  ## build the static site into outputs/site; the model plays in its front page (needs npm)
	$(PY) -m pip install --quiet --disable-pip-version-check --editable ".[site]"
	npm ci --prefix site --ignore-scripts --no-audit --no-fund --loglevel=error
	$(PY) tools/build_site.py --address "$(ADDRESS)"

sync: $(INSTALLED)  ## carry edits between the .py and .ipynb halves (the younger file wins)
	$(PY) -m jupytext --sync notebooks/[0-9]*.py $(wildcard notebooks/solutions/[0-9]*.py)

weights: $(INSTALLED)  ## train the models and judges that ship with the packages
	$(PY) -m cvae_lab.presets.train_models

sweeps: $(INSTALLED)  ## make the tables of results that ship; says how long it takes, goes on where it stopped
	$(PY) -m cvae_lab.studies.sweeps

clean:  ## remove caches and the outputs of runs (not .venv)
	rm -rf outputs data/cache site/node_modules build dist .pytest_cache .ruff_cache lib/*.egg-info
	find lib tests tools notebooks -name __pycache__ -type d -prune -exec rm -rf {} +
