# Targets for people. `make demo` and `make test` work on a fresh machine with Python 3.11 and make.

PYTHON ?= python3.11
BIN := .venv/bin
STAMP := .venv/.earsight-setup
BENCH_STAMP := .venv/.earsight-bench
DEMO_CLIP := examples/media/demo.mp4
DEMO_QUESTION := Which animal is it?

.PHONY: help setup demo test check format bench train

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST)

setup: $(STAMP)  ## make .venv with Earsight and the development tools, pinned

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --constraint constraints.txt pip setuptools
	$(BIN)/python -m pip install --constraint constraints.txt --no-build-isolation --editable ".[dev]"
	touch $@

$(BENCH_STAMP): $(STAMP)
	$(BIN)/python -m pip install --constraint constraints.txt --no-build-isolation --editable ".[dev,bench,corpus]"
	touch $@

demo: $(STAMP)  ## fetch the starter's parts and ask one real question about one real clip
	$(BIN)/earsight starter fetch
	$(BIN)/earsight ask $(DEMO_CLIP) "$(DEMO_QUESTION)"

# One thread a process, so that together they want no more cores than there are.
test: $(STAMP)  ## run the tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --maxprocesses 4 --dist loadfile

check: $(STAMP)  ## lint, formatting, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP)  ## rewrite the code as `make check` wants it
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(BENCH_STAMP)  ## run every script in benchmarks/ and print its table
	$(BIN)/python -m benchmarks

train: $(STAMP)  ## train the starter from its pretrained parts
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --no-build-isolation --editable ".[corpus]"
	$(BIN)/earsight train starter
