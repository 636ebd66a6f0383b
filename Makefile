# Start with `make demo` and `make test`. `make up` starts the Airflow UI.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
export PATH := $(CURDIR)/$(BIN):$(PATH)
# With this variable set, each step, command and Airflow process would compile the whole library again.
unexport PYTHONDONTWRITEBYTECODE

# tests/groups.py sets the tier of each test, the tests that share a worker, and their order.
WORKERS ?= 2
TESTS ?= not heavy
PYTEST = $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup --no-loadscope-reorder -m "$(TESTS)" $(PYTEST_ARGS)

.PHONY: demo demo-ava demo-custom demo-up demo-ava-up demo-custom-up test test-quick test-all up lint docs bench lock setup detect-env images compose-up compose-down readers-env clean help

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/'

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "clipquarry: $(PYTHON) is too old; use Python 3.11 or newer: make PYTHON=python3.11 ..."; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	@echo "installing the locked packages into $(VENV)"
	@$(BIN)/uv pip sync --quiet --compile-bytecode --python $(BIN)/python requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@$(BIN)/python -c 'import libarchive' 2>/dev/null || echo "this machine has no libarchive; data sets in archives and make demo-ava need it (Debian: apt-get install libarchive13)"
	@touch $@

setup: $(STAMP)  ## install the locked packages into .venv

demo: $(STAMP)  ## run a small data set through the real DAGs; prints the path of its report
	@$(BIN)/python -m clipquarry.demo --home .demo

demo-ava: $(STAMP)  ## run a small AVA and detect its people; FILM=path adds a video of yours
	@$(BIN)/python -m clipquarry.demo --set ava --home .demo-ava $${FILM:+--film="$$FILM"}

demo-custom: $(STAMP)  ## run a data set of your own: a program labels its people; FILM=path takes a video or a folder of yours
	@$(BIN)/python -m clipquarry.demo --set custom --home .demo-custom $${FILM:+--film="$$FILM"}

demo-up: $(STAMP)  ## start the Airflow UI over the runs of make demo
	@docker/local/up.sh .demo/airflow .demo/data

demo-ava-up: $(STAMP)  ## start the Airflow UI over the runs of make demo-ava
	@docker/local/up.sh .demo-ava/airflow .demo-ava/data

demo-custom-up: $(STAMP)  ## start the Airflow UI over the runs of make demo-custom
	@docker/local/up.sh .demo-custom/airflow .demo-custom/data

up: $(STAMP)  ## start the Airflow UI, with data in ./data (or CLIPQUARRY_DATA)
	@docker/local/up.sh .airflow "$${CLIPQUARRY_DATA:-data}"

test: $(STAMP)  ## run the tests without the tier heavy (Docker, Airflow, Celery)
	@$(PYTEST)
	@[ "$(TESTS)" != "not heavy" ] || echo "not run: the tier heavy (tests that start Docker, Airflow and Celery); 'make test-all' runs it"

test-quick: $(STAMP)  ## run the quick tests: no server, no browser, no Docker, no Airflow
	@$(MAKE) --no-print-directory test TESTS="not heavy and not slow"

test-all: $(STAMP)  ## run all tests
	@$(MAKE) --no-print-directory test TESTS=

lint: $(STAMP)  ## run ruff and mypy
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

detect-env: $(STAMP)  ## install the network detector into .venv-detect (CLIPQUARRY_WHEELS: folders with wheels, separated by :)
	@test -x .venv-detect/bin/python || $(PYTHON) -m venv .venv-detect
	@$(BIN)/uv pip install --quiet --python .venv-detect/bin/python --constraints requirements.lock -r pyproject.toml --extra people \
	  pytest pytest-timeout
	@docker/media/detect.sh $(CURDIR)/$(BIN)/uv $(CURDIR)/.venv-detect/bin/python
	@$(BIN)/uv pip install --quiet --python .venv-detect/bin/python --no-deps --editable .

images:  ## build the Docker images (BASE_IMAGE names their base)
	@docker/images.sh

compose-up:  ## start Airflow with workers, PostgreSQL and Redis in containers; builds missing images, makes passwords
	@docker/compose.sh up

compose-down:  ## stop the containers of compose-up; keeps the data
	@docker/compose.sh down

docs: $(STAMP)  ## write the generated parts of the pages again
	@$(BIN)/python docs/generate

bench: $(STAMP)  ## run all benchmarks of BENCHMARKS.md
	@for file in bench/bench_*.py; do echo "== $$file"; $(BIN)/python $$file || exit 1; done

readers-env: $(STAMP)  ## install mmaction2 into .venv-readers for tests/readers, which read our releases with it
	@tests/readers/setup.sh .venv-readers

lock: $(STAMP)  ## resolve requirements.lock again
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras --no-header pyproject.toml -o requirements.lock

clean:  ## remove the environments and the demos' folders (not your data)
	rm -rf $(VENV) .venv-detect .venv-readers .demo .demo-ava .demo-custom
