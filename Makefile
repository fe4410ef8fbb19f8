# Tongbu: `make run` to see it, `make test` to trust it, `make help` for the rest.

VENV   := .venv
BIN    := $(VENV)/bin
WEB    := clients/web
CRATE  := sfu/media
LOAD   := benchmarks/loadgen
RUST   := $(shell find $(CRATE)/src -name '*.rs') $(CRATE)/Cargo.toml $(CRATE)/Cargo.lock
LOADER := $(shell find $(LOAD)/src -name '*.rs') $(LOAD)/Cargo.toml $(LOAD)/Cargo.lock
PAGES  := $(shell find $(WEB)/src $(WEB)/*.html -type f) $(WEB)/package-lock.json $(WEB)/vite.config.ts
PYTHON ?= python3
CARGO  := cargo --quiet
DATE   ?= $(shell date -I)
SEEDS  ?= 10
AT_ONCE ?= 1
SYSTEMS ?= tongbu p2p livekit

# What goes by the wall clock may fail where others use the machine: it is tried again, and the
# summary says so. What is broken fails each time.
RERUNS := --reruns 2 --reruns-delay 5

.DEFAULT_GOAL := help
.PHONY: help run test test-rust test-python test-web test-e2e instructions interop interop-livekit bench bench-quick bench-weaklink lint format selftest fuzz clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(VENV)/.installed $(WEB)/dist/.built ## Set up what is missing and start a node with a demo lesson
	@$(BIN)/tongbu demo

test: test-rust instructions test-python test-web test-e2e ## Set up what the tests need and run all of them

test-rust: ## The media plane on a virtual network and clock (needs no Python)
	$(CARGO) test --manifest-path $(CRATE)/Cargo.toml

test-python: $(VENV)/.dev benchmarks/_loadgen.abi3.so ## The Python packages, and the load generator
	cd $(LOAD) && $(CARGO) test --release
	$(BIN)/pytest tests --ignore tests/e2e --ignore tests/interop $(RERUNS)

instructions: ## Instructions a forwarded packet takes, held within 5 %
	tests/tools.sh
	$(PYTHON) tests/instructions.py

test-web: $(WEB)/node_modules/.installed ## The web client's own tests
	cd $(WEB) && npm test --silent

test-e2e: $(VENV)/.dev $(WEB)/dist/.built ## Real browsers and other people's clients against real nodes
	tests/tools.sh
	$(BIN)/pytest tests/e2e tests/interop $(RERUNS)

interop: $(VENV)/.dev ## Other people's clients against a node: who can do what (fetches them; ten minutes)
	tests/tools.sh
	@$(BIN)/python -m tests.interop.table $(INTEROP)

interop-livekit: $(VENV)/.dev ## The tests of LiveKit's own SDKs against a node (fetches them)
	@$(BIN)/python -m tests.interop.livekit_suite

bench: $(VENV)/.dev benchmarks/_loadgen.abi3.so ## All benchmarks in full, into benchmarks/RESULTS.md (an hour)
	$(BIN)/python -m benchmarks.report --date $(DATE)

bench-quick: $(VENV)/.dev benchmarks/_loadgen.abi3.so ## A quick look at each benchmark, written nowhere (ten minutes)
	$(BIN)/python -m benchmarks.report --quick

bench-weaklink: $(VENV)/.dev benchmarks/_loadgen.abi3.so ## Lessons on weak links, SEEDS=10 of each, into benchmarks/RESULTS.md (12 hours, half with AT_ONCE=2; goes on where it was)
	tests/tools.sh
	$(BIN)/python -m benchmarks.linklab.campaign --seeds $(SEEDS) --systems $(SYSTEMS) --at-once $(AT_ONCE) --date $(DATE)

bench-peers: ## Install the other servers that `python -m benchmarks peers` compares with
	benchmarks/servers/install.sh

lint: $(VENV)/.dev $(WEB)/node_modules/.installed ## All linters, formatters and type checkers, changing nothing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	cargo fmt --manifest-path $(CRATE)/Cargo.toml --check
	$(CARGO) clippy --manifest-path $(CRATE)/Cargo.toml --all-targets -- -D warnings
	PYO3_PYTHON=$(abspath $(BIN))/python $(CARGO) clippy --manifest-path $(CRATE)/Cargo.toml --features python -- -D warnings
	cd $(LOAD) && cargo fmt --check && $(CARGO) clippy --all-targets -- -D warnings
	cd $(WEB) && npm run --silent lint && npm run --silent typecheck

format: $(VENV)/.dev $(WEB)/node_modules/.installed ## Format everything
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .
	cargo fmt --manifest-path $(CRATE)/Cargo.toml
	cargo fmt --manifest-path $(LOAD)/Cargo.toml
	cd $(WEB) && npm run --silent format

selftest: $(VENV)/.installed $(WEB)/dist/.built ## Teach, watch, record and replay one lesson on this machine
	@$(BIN)/tongbu selftest

fuzz: ## Fuzz the parsers, 60 s each (needs cargo-fuzz and a nightly toolchain)
	cd $(CRATE) && for target in $$(cargo fuzz list); do cargo fuzz run $$target -- -max_total_time=60 || exit 1; done

clean: ## Remove everything that was built (lessons in data/ stay)
	rm -rf $(VENV) $(CRATE)/target $(LOAD)/target $(WEB)/dist $(WEB)/node_modules build dist

# ---------------------------------------------------------------- what the targets stand on

$(BIN)/maturin:
	@$(PYTHON) -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Tongbu needs Python 3.11 or newer with venv: apt-get install python3-venv"; exit 1; }
	@command -v cargo >/dev/null || { echo "Tongbu needs Rust 1.89 or newer: https://rustup.rs"; exit 1; }
	@echo "== Python environment in $(VENV)"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet 'maturin>=1.9,<2'

$(VENV)/.installed: $(BIN)/maturin pyproject.toml $(RUST)
	@echo "== Native media plane, release mode (the first time takes a few minutes)"
	PIP_QUIET=1 $(BIN)/maturin develop --quiet --release $(EXTRAS)
	@touch $@

$(VENV)/.dev: EXTRAS := --extras dev
$(VENV)/.dev: $(BIN)/maturin pyproject.toml $(RUST)
	@echo "== Native media plane, release mode, and the tools of the tests"
	PIP_QUIET=1 $(BIN)/maturin develop --quiet --release $(EXTRAS)
	@touch $@ $(VENV)/.installed

benchmarks/_loadgen.abi3.so: $(LOADER) $(RUST)
	@echo "== Load generator of the benchmarks, release mode"
	cd $(LOAD) && $(CARGO) build --release
	cp $(LOAD)/target/release/libtongbu_loadgen.so $@

$(WEB)/node_modules/.installed: $(WEB)/package-lock.json $(WEB)/package.json
	@command -v npm >/dev/null || { echo "Tongbu needs Node 20.19 or newer with npm"; exit 1; }
	@echo "== Web client's packages"
	cd $(WEB) && npm ci --silent --no-audit --no-fund
	@touch $@

$(WEB)/dist/.built: $(WEB)/node_modules/.installed $(PAGES)
	@echo "== Web client"
	cd $(WEB) && npm run --silent build
	@touch $@
