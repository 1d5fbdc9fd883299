# make demo   see the whole job on a sample app, proved
# make test   lint, types and tests
# make versions   the fixtures and the wire tests with every supported set of libraries
# make clients   real MCP clients sign in and call tools (needs PyPI and the npm registry)

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test lint types tests versions clients clean

demo: $(VENV)/.installed
	@$(BIN)/python demo/run.py

test: $(VENV)/.installed
	@$(MAKE) --no-print-directory --jobs=3 --output-sync=target lint types tests

lint:
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types:
	@$(BIN)/mypy

tests:
	@$(BIN)/pytest --numprocesses=auto --dist=worksteal

versions: $(VENV)/.installed
	@$(BIN)/python tools/versions.py

clients: $(VENV)/.installed
	@$(BIN)/python clients/run.py

$(VENV)/.installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	@$(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV) ..."
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

clean:
	rm -rf $(VENV) .venv-versions .pytest_cache .mypy_cache .ruff_cache clients/node clients/node_modules
