# demo: find objects in the pictures of examples/images/   test, check: what .ci/run calls
# All of it needs Python 3.11+ and make, nothing else. Settings: make test PYTHON=python3.12 TORCH=torch==2.12.0 WORKERS=2
# For a torch without CUDA, name PyTorch's CPU index in PIP_EXTRA_INDEX_URL.

PYTHON ?= python3
TORCH ?= torch==2.13.0
WORKERS ?= auto
FLOOR ?= 96
STORES ?= moto[server]==5.2.5 gcp-storage-emulator==2026.7.19

PY := .venv/bin/python
# By module, not by .venv/bin/NAME: no recipe then depends on a script's first line, which cannot hold a long path.
PIP := $(PY) -m pip install --quiet --disable-pip-version-check -c constraints.txt
PYTEST := $(PY) -m pytest
# $(call named,FOLDER): refuse a PYTHON that is named and not that of an environment which is there already.
named = @[ "$(origin PYTHON)" = file ] || [ "$$($(PYTHON) -V)" = "$$($(1)/bin/python -V)" ] || \
  { echo "$(1) has $$($(1)/bin/python -V): remove it to have $(PYTHON)"; exit 1; }
# A file goes to one process, so that what its tests share is made once.
PARALLEL := -n $(WORKERS) --maxprocesses 8 --dist loadfile --no-loadscope-reorder

# The commands that tests start would otherwise be compiled every time.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow test-oldest test-newest check format docs docs-serve notebooks release audit clean
.DELETE_ON_ERROR:

help:
	@echo "make demo       install the base package into .venv (no torch), detect in examples/images/"
	@echo "make check      ruff, codespell, mypy, import-linter, zizmor"
	@echo "make test       the test suite with coverage of lines, minutes"
	@echo "make test-slow  the tests marked slow, an hour or more; the tests of the page need npm and chromium"
	@echo "make test-oldest, test-newest  the test suite with the lowest versions that are allowed, the newest that exist"
	@echo "make docs       build the documentation site into site/"
	@echo "make docs-serve show it while you write"
	@echo "make notebooks  execute notebooks/*.py and keep them with their outputs, minutes"
	@echo "make format     let ruff format the code"
	@echo "make release    wheel and sdist of the last commit in dist/, built twice and equal"
	@echo "make audit      ask PyPI for known vulnerabilities of the pinned packages"
	@echo "make clean      remove .venv and caches"

# The stamps lie inside .venv, so that they go with it.
.venv/made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "ssd300 needs Python 3.11 or newer; name one: make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	@touch $@

.venv/base: .venv/made pyproject.toml constraints.txt
	$(PIP) -e .
	@touch $@

.venv/dev: .venv/made pyproject.toml constraints.txt
	$(PIP) "$(TORCH)"
	$(PIP) -e ".[dev]"
	@touch $@ .venv/base

.venv/slow: .venv/dev
	$(PIP) -e ".[dev,ray,docs]" pyinstaller
	@touch $@

# Stand-ins for S3 and Google's store, in an environment of their own: they need other versions than ours. Azurite, that for
# Azure's, is a program of npm: npm install azurite, and name node_modules/.bin/azurite-blob in SSD300_AZURE_SERVER.
.venv/stores/made: .venv/made
	$(PYTHON) -m venv .venv/stores
	.venv/stores/bin/python -m pip install --quiet --disable-pip-version-check $(STORES)
	@touch $@

.venv/docs: .venv/made pyproject.toml constraints.txt
	$(PIP) -e ".[docs]"
	@touch $@

demo: .venv/base
	$(call named,.venv)
	@rm -rf runs/demo
	$(PY) -m ssd300 detect examples/images --save-dir runs/demo

# With coverage of lines, below whose floor it fails. Code that only tests in other processes run does not count. The floor
# is a second command, as SlipCover's report after --fail-under lacks what the workers ran.
test: .venv/dev
	$(call named,.venv)
	$(PIP) "$(TORCH)"
	$(PY) -m slipcover --json --out .coverage.json -m pytest -m "not slow" -q $(PARALLEL)
	$(PY) -m slipcover --merge .coverage.json --out .coverage.json --fail-under $(FLOOR)

# Against the lowest versions that pyproject.toml allows, or the newest that exist, each in an environment of its own; for
# the lowest Python, too, `make test-oldest PYTHON=python3.11`. For a torch without CUDA set UV_TORCH_BACKEND=cpu.
RESOLUTION_oldest := lowest-direct
RESOLUTION_newest := highest

.venv-oldest/made .venv-newest/made: .venv-%/made: .venv/made pyproject.toml
	$(PIP) uv
	$(PY) -m uv venv --quiet --clear --python $(PYTHON) .venv-$*
	$(PY) -m uv pip install --quiet --python .venv-$* --resolution $(RESOLUTION_$*) -e ".[dev]"
	@touch $@

test-oldest test-newest: test-%: .venv-%/made
	$(call named,.venv-$*)
	.venv-$*/bin/python -m pytest -m "not slow" -q -W ignore::DeprecationWarning $(PARALLEL)

# One test at a time: many of them measure memory or time.
test-slow: .venv/slow .venv/stores/made $(if $(shell command -v npm),tests/page/node_modules)
	@command -v npm chromium || echo "without npm and chromium the tests of the page skip: apt-get install npm chromium"
	SSD300_S3_SERVER="$(CURDIR)/.venv/stores/bin/moto_server" \
	  SSD300_GCS_SERVER="$(CURDIR)/.venv/stores/bin/gcp-storage-emulator" $(PYTEST) -m slow

# What the page's tests need besides a chromium that is installed: axe and onnxruntime-web.
tests/page/node_modules: tests/page/package.json
	cd tests/page && npm install --no-audit --no-fund
	@touch $@

check: .venv/dev
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m codespell_lib
	$(PY) -m mypy
	for system in win32 darwin; do $(PY) -m mypy --platform $$system --no-warn-unreachable --cache-dir .mypy_cache/$$system || exit; done
	$(PY) -c 'from importlinter.cli import lint_imports_command; lint_imports_command()'
	.venv/bin/zizmor --offline --no-progress --min-severity medium .github

format: .venv/dev
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

docs: .venv/docs
	$(PY) docs/reference.py
	$(PY) docs/notebooks.py
	$(PY) -m zensical build --strict --clean

docs-serve: .venv/docs
	$(PY) docs/reference.py
	$(PY) docs/notebooks.py
	$(PY) -m zensical serve

notebooks: .venv/dev
	$(PY) notebooks/build.py

release: .venv/made audit
	$(PIP) build hatchling cyclonedx-bom
	$(PY) .ci/release.py

# Known holes of what the wheel brings along, from the public database of PyPI.
audit: .venv/base
	$(PIP) pip-audit
	$(PY) -m pip_audit --requirement constraints.txt --no-deps --disable-pip

clean:
	rm -rf site .venv .venv-oldest .venv-newest build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis .coverage*
