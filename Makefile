# Every command a person needs; `.ci/run` calls the same.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup demo test check bench bundle catalogue lock clean

setup: .venv/ready ## create the environment from the lock

.venv/ready: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), "Python 3.11 or newer is needed"'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

demo: setup ## two simulated hospitals, every stage, the console
	$(BIN)/wardwatch demo

test: setup ## all tests, on real servers and in a real browser, two files at a time
	$(BIN)/python -m wardwatch.testing.browser
	$(BIN)/pytest --numprocesses 2 --dist loadfile

check: setup ## lint, types, architecture
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup ## every benchmark
	$(BIN)/python -m bench

bundle: setup ## an archive that installs without a network, in dist/
	$(BIN)/python -m bundle

catalogue: setup ## write the source catalogue and the fields for rules from the parsers
	$(BIN)/python -m ingest.catalogue docs/reference/sources detections/sources.json
	$(BIN)/python -m detections.field_page docs/rules/fields.md

lock: ## refresh requirements.lock
	uv pip compile pyproject.toml --all-extras --generate-hashes --universal --python-version 3.11 --no-header -o requirements.lock

clean:
	rm -rf .venv .cache data
