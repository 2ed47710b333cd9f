# Everything stays inside the checkout: packages in .venv, the demo's FiftyOne
# home in .demo. `make help` lists the targets.
PYTHON ?= python3
PORT ?= 5151
SIZE ?= 1120
APP ?= 1
ARGS ?=
N ?= 200

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow test-fast bench gpu-check screenshots lint clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## virtual environment, packages, MongoDB; nothing to do, no time lost
	@PYTHON="$(PYTHON)" tools/setup.sh

demo: setup ## make scenes, index them, print the table, open the App (N= SIZE= PORT= APP=0)
	.venv/bin/python -m detail_embed.demo.run --home .demo --n $(N) --size $(SIZE) \
		--port $(PORT) $(if $(filter 0,$(APP)),--no-app)

test: setup ## run the tests, two files at a time (ARGS="-k cover" for a part)
	.venv/bin/python -m pytest -n 2 -m "not slow" --durations=15 $(ARGS)

test-slow: setup ## run the others, which take longer: kills, every page's code, trainings
	.venv/bin/python -m pytest -n 2 -m slow --durations=15 $(ARGS)

test-fast: setup ## run the tests that need no browser
	.venv/bin/python -m pytest -n 2 -m "not slow and not e2e" $(ARGS)

bench: setup ## our engine against the bare encoder, FiftyOne and Pillow (ARGS="--help")
	.venv/bin/python benchmarks/engine.py $(ARGS)

gpu-check: ## check on a bare GPU machine what is claimed for GPUs, 8 minutes (ARGS="--help")
	$(if $(wildcard .venv/bin/python),.venv/bin/python,$(PYTHON)) tools/gpu_check.py $(ARGS)

screenshots: setup ## take the README's pictures of the App anew
	.venv/bin/python -m pytest tests/e2e
	$(MAKE) demo APP=0 && .venv/bin/python tools/first_picture.py
	cd docs/images && for picture in [1-9]*.jpg; do \
		cp ../../artifacts/screenshots/$$picture . || exit 1; done

lint: setup ## check style and docstrings
	.venv/bin/ruff check .

clean: ## remove the demo's home, screenshots and caches; .venv stays
	rm -rf .demo .test-home artifacts build dist .pytest_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
