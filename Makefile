# Siar Hub: what one can ask for here. `make help` lists it.
# ARGS go to the command: make demo ARGS=--once · make test ARGS='tests/hub -k settle' · make bench ONLY=media
SHELL := /bin/sh
export PATH := $(CURDIR)/.venv/bin:$(PATH):/usr/local/sbin:/usr/sbin:/sbin
# Python imports what is installed (this checkout is), never what lies where somebody happens to stand.
export PYTHONSAFEPATH := 1
ARGS ?=
ONLY ?=
SERVER ?=
DIR ?=
TESTS := -n 2 --dist loadgroup

.PHONY: help setup demo test check format bench faults hostile install install-player

help: ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## /\1#/p' Makefile | while IFS='#' read -r name what; do printf '  make %-15s %s\n' "$$name" "$$what"; done

setup: ## Debian packages, uv, the locked Python environment (all other targets do this first)
	@config/setup

demo: setup ## the whole chain in a temporary folder, with real parts; ARGS=--once ends by itself
	@siarhub demo $(ARGS)

test: check ## everything: lint, types, import contracts, all tests (ARGS go to pytest)
	@pytest $(TESTS) $(ARGS)

check: setup ## lint, format, types (strict), import contracts
	@ruff check .
	@ruff format --check .
	@mypy -p hub -p plugins
	@lint-imports

format: setup ## put the code in order
	@ruff check --fix .
	@ruff format .

bench: setup ## what it costs against a plain script; ONLY=chain|media|clips|latency|intake|ledger|videotron|transfer|fleet|radio|archive, ARGS=--json
	@python -m bench $(if $(ONLY),--only $(ONLY)) $(ARGS)

faults: setup ## kill, cut and fill up at every point; ONLY=... picks one
	@python -m tests.faults $(if $(ONLY),--only $(ONLY)) $(ARGS)

hostile: setup ## what comes of every file below DIR=..., or of hostile files of our own; ARGS=--json, ARGS="--record FILE"
	@python -m tests.hostile $(if $(DIR),"$(DIR)") $(ARGS)

install: ## the hub as a service on this server (root)
	@config/install hub

install-player: ## only the player, on the machine at a screen (root); SERVER=NAME is the server with the hub
	@config/install player $(if $(SERVER),"$(SERVER)")
