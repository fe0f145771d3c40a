# Everything a person or CI runs. Bare `make` prints the targets.
PYTHON ?= python3
BIN := .venv/bin
PEERS ?= ../shared/peers
SETS ?=
SRC := src tests bench

.DEFAULT_GOAL := help
.PHONY: help setup demo check test peers bench docs format clean

help: ## print these targets
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: .setup-stamp ## make .venv and install what is needed (hashes checked)

.setup-stamp: requirements-dev.txt pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: setup ## rehearse the example service: an ordinary day, a 10x spike, a bad version
	@$(BIN)/pilothouse demo

check: setup ## format, lint, types, import contracts, fast tests, stale docs
	$(BIN)/ruff format --check $(SRC)
	$(BIN)/ruff check $(SRC)
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/python -m pytest -m "not slow" -n 2

test: setup ## all tests
	$(BIN)/python -m pytest -n 2

peers: setup ## replay the recorded answers of the real systems and print a score per set (PEERS=DIR SETS=a,b V=1 JSON=FILE)
	@$(BIN)/python -m tests.peers --peers "$(PEERS)" $(if $(SETS),--sets "$(SETS)") $(if $(V),--verbose) $(if $(JSON),--json "$(JSON)") $(if $(UPDATE),--update)

bench: setup ## figures against the real thing, measured in the same run
	@$(BIN)/python -m bench

docs: setup ## write the generated parts of docs/
	@$(BIN)/python -m tests.docs.generate

format: setup ## put the code into its format
	@$(BIN)/ruff check --fix --quiet $(SRC); $(BIN)/ruff format --quiet $(SRC)

clean: ## remove what setup and the tools made
	rm -rf .venv .setup-stamp build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
