# Two commands do all of their own set-up: `make compare` and `make test`. `make help` lists the rest.
PYTHON ?= python3
VENV ?= .venv
ARGS ?=
BACKEND ?=
WORKERS ?= 7

bin = $(VENV)/bin
environment = $(PYTHON) scripts/environment.py --venv $(VENV)
pytest = $(bin)/python -m pytest
roots = $(wildcard taskbridge backends/taskbridge_* comparisons/taskbridge_compare tests scripts examples/own_backend)
parallel = -n $(WORKERS) --dist loadgroup

# Build machines set it, and then each process that the tests start compiles anew what it imports.
export PYTHONDONTWRITEBYTECODE =

.DEFAULT_GOAL := help
.PHONY: help compare compare-full test wide check bench format hostile conformance promises gauntlet pages requirements changelog clean
.PHONY: environment servers lint types tests

help: ## this list
	@awk -F ':.*## ' '/^[a-z%-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo "  ARGS='...'            is passed on: make compare ARGS='--quick --backends rq+redis'"
	@echo "  PYTHON=python3.13     the interpreter to build on; VENV=.venv-3.13 keeps its environment apart"

compare: ## run the same workload on every engine here and show what differs
	@$(environment) compare
	@$(bin)/taskbridge compare $(ARGS)

compare-full: ## the same, watching ten minutes a cell and with large speed runs; takes hours on some rows
	@$(environment) compare
	@$(bin)/taskbridge compare --full $(ARGS)

test: lint servers ## lint, types, and all tests; BACKEND=celery: only the tests of that name
	@$(MAKE) --no-print-directory --jobs=2 types tests \
		|| { $(MAKE) --no-print-directory types; exit 2; }  # its words again, where they are read

check: lint types ## lint and types only

# Each of the test processes would compile all of it at once: in a new checkout one of them does so first.
tests: environment
	@test -d tests/__pycache__ || $(pytest) --collect-only -qq >/dev/null 2>&1 || true
	@$(pytest) --cache-clear -m "not wide" $(parallel) $(if $(BACKEND),-k "$(BACKEND)") $(ARGS) \
		|| $(bin)/python scripts/alone.py

wide: servers ## what `make test` tries once, in every combination: other Pythons, the other Django, fetched servers, each flip
	@$(pytest) -m wide $(parallel) $(ARGS)

test-%: environment ## the tests of one backend, as in `make test-rq`
	@$(pytest) $(parallel) -k "$*" $(ARGS)

lint: environment
	@$(bin)/ruff check
	@$(bin)/ruff format --check

types: environment
	@$(bin)/mypy $(roots)

format: environment ## put the code into its one format, and mend what ruff can mend
	@$(bin)/ruff check --fix
	@$(bin)/ruff format

hostile: environment ## 100,000 damaged messages for each decoder, 500 for each worker
	@TASKBRIDGE_TEST_MUTATIONS=100000 TASKBRIDGE_TEST_HOSTILE=500 $(pytest) $(parallel) tests/hostile $(ARGS)

promises: environment ## what Django's documentation promises of tasks, on every engine
	@TASKBRIDGE_TEST_PROMISES=all $(pytest) $(parallel) tests/django_backend $(ARGS)

conformance: environment ## the shipped suite against one backend: BACKEND=rq+redis, or the URL of any
	@test -n "$(BACKEND)" || { echo "make conformance BACKEND=rq+redis (or a full URL)"; exit 2; }
	@$(bin)/python scripts/conformance.py "$(BACKEND)" $(ARGS)

pages: environment ## write what pages take from the backends' records and from published comparisons
	@$(bin)/python scripts/matrix.py $(ARGS)
	@$(bin)/python scripts/excerpt.py $(ARGS)

bench: environment ## what is promised of speed, held against its targets, in 3 to 5 minutes; ARGS='--only drain --backends rq'
	@$(bin)/python -m taskbridge_compare.bench.run $(ARGS)

requirements: environment ## compile requirements/*.txt from pyproject.toml; ARGS=--upgrade for newer versions
	@$(bin)/python scripts/requirements.py $(ARGS)

changelog: environment ## show what the next release's changelog would say
	@$(bin)/towncrier build --draft --version next

gauntlet: environment ## 2,000 jobs and 20 kills on each backend, 5 times, resumable; BACKEND=rq+redis, ARGS='--faults sigterm'
	@$(bin)/python -m taskbridge_compare.gauntlet --out comparisons/results/gauntlet --backends "$(BACKEND)" $(ARGS)

clean: ## remove what was built, the environments included
	rm -rf .venv .venv-* build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

environment:
	@$(environment) dev

servers: environment
	@$(bin)/python scripts/servers.py
