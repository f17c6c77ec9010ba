# Every target sets up all it needs in .venv on its first run, and works offline afterwards.

PYTHON := .venv/bin/python
SOURCES := pyproject.toml constraints.txt .ci/venv

.PHONY: demo test packages check docs bench clean
.NOTPARALLEL:

demo: .venv/.users ## enroll and identify real people; writes demo/report.html
	$(PYTHON) -m tronie.cli.main demo

test: .venv/.developers packages ## every test that this machine can run
	$(PYTHON) -m pytest -m "slow or not slow"

packages: ## Debian packages that some tests need, where they can be installed
	sh .ci/packages

check: .venv/.developers ## layout, lint, types and import contracts
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy
	.venv/bin/lint-imports --no-cache

docs: .venv/.developers ## every command and snippet of the pages and examples
	$(PYTHON) -m pytest -m "slow or not slow" tests/house/test_docs.py

bench: .venv/.developers ## speed on this machine, with date, commit and versions
	for file in benchmarks/speed/*.py; do $(PYTHON) $$file || exit 1; done

clean: ## forget the environment and what the tools left behind
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache build src/tronie.egg-info

.venv/.users: $(SOURCES)
	sh .ci/venv .
	touch $@

.venv/.developers: $(SOURCES)
	sh .ci/venv '.[dev,openvino,heic,train,scale,serve,postgres]'
	touch $@ .venv/.users
