# Two commands do everything: `make demo` and `make test`. `make up` gives the Airflow UI.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Where somebody has set this, every step, command and Airflow process would compile the whole library anew.
unexport PYTHONDONTWRITEBYTECODE

# tests/groups.py says which tests share a worker, in which order they come, and what is heavy and slow.
WORKERS ?= 2
TESTS ?= not heavy
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup --no-loadscope-reorder -m "$(TESTS)" $(PYTEST_ARGS)

.PHONY: demo demo-ava demo-up demo-ava-up test test-quick test-all up lint bench lock setup detect-env images compose-up compose-down readers-env clean help

help:  ## what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/'

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "clipquarry: $(PYTHON) is too old; use Python 3.11 or newer: make PYTHON=python3.11 ..."; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@echo "installing the locked packages into $(VENV)"
	@$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $@

setup: $(STAMP)  ## install the locked packages into .venv

demo: $(STAMP)  ## run a small data set through the real DAGs and say where the report is
	@$(BIN)/python -m clipquarry.demo --home .demo

demo-ava: $(STAMP)  ## the same of AVA, whose people are detected; FILM=path adds a film of yours
	@$(BIN)/python -m clipquarry.demo --set ava --home .demo-ava $${FILM:+--film="$$FILM"}

demo-up: $(STAMP)  ## the Airflow UI over the demo's runs
	@docker/local/up.sh .demo/airflow .demo/data

demo-ava-up: $(STAMP)  ## likewise over those of AVA
	@docker/local/up.sh .demo-ava/airflow .demo-ava/data

up: $(STAMP)  ## the Airflow UI, data in ./data (or CLIPQUARRY_DATA)
	@docker/local/up.sh .airflow "$${CLIPQUARRY_DATA:-data}"

test: $(STAMP)  ## set up and run the tests, but for those of the group heavy (Docker, Airflow, Celery)
	@$(PYTEST)
	@[ "$(TESTS)" != "not heavy" ] || echo "left out: the group heavy, whose tests start Docker, Airflow and Celery; 'make test-all' runs them too"

test-quick: $(STAMP)  ## the tests that need no server, no browser and no minutes
	@$(MAKE) --no-print-directory test TESTS="not heavy and not slow"

test-all: $(STAMP)  ## all tests
	@$(MAKE) --no-print-directory test TESTS=

lint: $(STAMP)  ## ruff and mypy
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

detect-env: $(STAMP)  ## an environment with the network detector, .venv-detect (CLIPQUARRY_WHEELS: folders with wheels, separated by :)
	@test -x .venv-detect/bin/python || $(PYTHON) -m venv .venv-detect
	@$(BIN)/uv pip install --quiet --python .venv-detect/bin/python --constraints requirements.lock -r pyproject.toml --extra people \
	  pytest pytest-timeout
	@docker/media/detect.sh $(CURDIR)/$(BIN)/uv $(CURDIR)/.venv-detect/bin/python
	@$(BIN)/uv pip install --quiet --python .venv-detect/bin/python --no-deps --editable .

images:  ## build the Docker images (BASE_IMAGE names their base)
	@docker/images.sh

compose-up:  ## Airflow with workers, PostgreSQL and Redis in containers; makes images and passwords
	@docker/compose.sh up

compose-down:  ## stop it; the data stay
	@docker/compose.sh down

bench: $(STAMP)  ## all measurements of BENCHMARKS.md
	@for file in bench/bench_*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

readers-env: $(STAMP)  ## mmaction2's own readers in .venv-readers, which tests/readers asks about our releases
	@tests/readers/setup.sh .venv-readers

lock: $(STAMP)  ## resolve the lock file anew
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras --no-header pyproject.toml -o requirements.lock

clean:  ## remove what was set up (not your data)
	rm -rf $(VENV) .venv-detect .venv-readers .demo .demo-ava
