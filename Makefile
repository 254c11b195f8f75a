# Everything here works on a machine with Python 3.11 to 3.13, pip and make.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip --disable-pip-version-check -q
PYTEST := $(BIN)/pytest -n 3 --dist loadfile --no-loadscope-reorder

.PHONY: help setup demo dashboard test test-programs test-slow lint types check-imports unit soak fleet bench lock clean

help: ## Say what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 16

setup: .venv/.program ## Install the program into .venv
	@echo "Installed: $(BIN)/stenoflow --help"

demo: .venv/.program ## Transcribe a short sample meeting on this machine, as a flow run of Prefect's
	@$(BIN)/stenoflow demo --prefect

dashboard: demo ## The same, and leave it to look at in Prefect's pages
	@$(BIN)/stenoflow serve

test: lint types check-imports unit ## Run the linters, the type checker and the tests, in minutes

test-programs: .venv/.tests ## Run the whole program in the cases that `test` leaves out, as CI does
	$(PYTEST) -m "program and not slow" --hypothesis-profile quick

test-slow: .venv/.tests ## Run the rest, as CI does: browsers, crowds, kills, hostile files, more examples
	$(PYTEST) -m "slow or hypothesis"

lint: .venv/.tests
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.tests
	$(BIN)/mypy

# It follows no links, so it reads a copy.
check-imports: .venv/.tests
	rm -rf .venv/copy && mkdir .venv/copy && cp -rL .venv/src/stenoflow .venv/copy/
	PYTHONPATH=.venv/copy $(BIN)/lint-imports --no-logo

unit: .venv/.tests
	$(PYTEST) -m "not slow and not program" --hypothesis-profile quick

bench: .venv/.tests ## Measure exactness, speed and memory against what they could be (BENCH=--quick: in minutes)
	$(BIN)/python -m tests.bench $(BENCH)

soak: .venv/.tests ## Kill runs at every side effect and at random, on both databases; SOAK="--minutes 30"
	$(BIN)/python -m tests.kill $(SOAK)

fleet: .venv/.tests ## Four workers on PostgreSQL and S3, two of them killed midway; FLEET="--recordings 1000"
	$(BIN)/python -m tests.fleet $(FLEET)

lock: ## Resolve the dependencies anew (needs uv)
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-annotate --no-header pyproject.toml -o requirements.lock
	uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	  --no-annotate --no-header --all-extras --group dev -c requirements.lock \
	  pyproject.toml -o tests/requirements.lock

clean: ## Remove what was installed and cached
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# The four folders under the one name that they have when installed.
.venv/src/stenoflow: .venv/.python
	mkdir -p $@
	for room in flows tasks storage migrations; do ln -sfn ../../../$$room $@/$$room; done
	ln -sfn ../../../flows/package.py $@/__init__.py
	@touch $@

.venv/.python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || \
	  { echo "Python 3.11 to 3.13 is needed; name one: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	@touch $@

.venv/.program: .venv/.python .venv/src/stenoflow requirements.lock pyproject.toml
	@echo "Installing into .venv; the first time takes a minute or two ..."
	$(PIP) install --require-hashes -r requirements.lock
	$(PIP) install --no-deps -e .
	@# Of the package, that leaves an __init__.py alone, which would hide the linked one.
	rm -rf .venv/lib/python3.*/site-packages/stenoflow
	@touch $@

.venv/.tests: .venv/.program tests/requirements.lock
	@echo "Installing what the tests need ..."
	$(PIP) install --require-hashes -r tests/requirements.lock
	@touch $@
