# Everything a developer types. Each verb makes what it needs first, so all of them work on a fresh machine.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
# Two at a time, each with a broker of its own: most tests of the way wait for something. Files stay whole and in order.
PARALLEL := -n 2 --dist loadfile --no-loadscope-reorder
# docker compose is a plugin in some places and a program in others.
COMPOSE ?= $(shell docker compose version >/dev/null 2>&1 && echo docker compose || echo docker-compose)
SOURCES := $(wildcard schemas streams relay jobstream tests examples)

.PHONY: help venv check lint verify format unit test test-full sim chaos demo up containers images bench proto generate pictures docs clean

help: ## print these verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

venv: ## make .venv with the project and its tools in it; a no-op when nothing changed
	@.ci/venv

check: lint verify ## lint, format check, types, walls, and that generated files are fresh

lint: venv ## ruff, its format check, mypy, and the tidy tests
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/mypy $(SOURCES)
	$(PYTEST) -q tests/tidy

verify: venv ## that generated files are those their sources give
	$(BIN)/python -m schemas.generate --check
	$(BIN)/python -m schemas.compat
	$(BIN)/python -m streams.diagram --check

format: venv ## let ruff format and mend what it can
	$(BIN)/ruff format $(SOURCES)
	$(BIN)/ruff check --fix $(SOURCES)

unit: venv ## the tests that need no broker: unit, properties, tidy (within a minute)
	$(PYTEST) -m "not kafka and not e2e and not slow and not full"

test: venv ## all tests but the long ones: unit, properties, then Kafka and end to end (within 10 minutes)
	$(PYTEST) $(PARALLEL) -m "not full"

sim: venv ## whole histories with crashes, from seeds: SEED=7 repeats one, SEEDS=2500 plays more
	SEED=$(SEED) SEEDS=$(SEEDS) $(PYTEST) -q tests/simulation

test-full: venv ## what `make test` leaves out: containers, other people's clients, kill tests; and more examples per property
	$(PYTEST) -m full
	$(PYTEST) $(PARALLEL) --hypothesis-profile=full tests/properties

chaos: venv ## faults under load with real processes, twenty kills in a row: SEED=7 plays one again, ROUNDS=100 kills more often
	SEED=$(SEED) ROUNDS=$(or $(ROUNDS),20) $(PYTEST) -m full tests/kafka/chaos_test.py

demo: venv ## run jobs over the Python standard library on a real broker, and check the result
	$(BIN)/jobstream demo

up: venv ## start the whole cluster on this machine; Ctrl-C stops it
	$(BIN)/jobstream up

containers: ## start the whole cluster in containers; COMPOSE names the command, if it is neither of the two
	$(COMPOSE) up --build

images: venv ## for machines that can pull no image: a base for ours, stand-ins for Kafka's and PostgreSQL's, by root
	@.ci/images

bench: venv ## measure on this machine; ONLY="name ..." for some of it
	@.ci/peers
	$(BIN)/python -m tests.bench $(if $(ONLY),--only $(ONLY))

generate: venv ## write the files made from the schemas: stubs, and what else is derived
	$(BIN)/python -m schemas.generate

proto: generate ## the same as generate: the stubs of relay.proto are part of it

pictures: venv ## write the README's pictures of the dashboard, by its test in a browser
	$(PYTEST) -m full --pictures tests/e2e/browser_test.py

docs: venv ## write the pages that are made from the code
	mkdir -p docs
	$(BIN)/jobstream topics docs > docs/topics.md

clean: ## remove what the verbs made, but not the cache of the broker's artifacts
	rm -rf .venv .jobstream build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
