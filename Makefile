# SPDX-License-Identifier: MIT
# Each target makes the virtual environment that it needs; a second run starts at once.
#
#   make demo     pack a real data set and read it back       make lint    ruff and mypy
#   make test     the whole suite, on the installed package   make docs    the documentation as HTML
#   make bench    pylmdb beside py-lmdb                       make place   liblmdb's sources only
#
# PYTHON chooses the interpreter, PYTEST_ARGS is passed to pytest, VENV the test environment.

PYTHON ?= python3
VENV ?= .venv-test
DEMO_VENV ?= .venv-demo
BENCH_VENV ?= .venv-bench
DOCS_VENV ?= .venv-docs
PYTEST_ARGS ?=
BENCH_ARGS ?=

# What test-short runs: enough to see that another Python compiles, imports and works.
SHORT ?= $(wildcard tests/test_api*.py tests/test_lowlevel*.py)

# Everything that the installed package is made from; liblmdb's placed sources follow from the pin.
INPUTS := pyproject.toml setup.py MANIFEST.in LICENSE $(wildcard README.md) \
	$(shell find src lib/liblmdb -type f \( -name '*.py' -o -name '*.pyi' -o -name '*.[ch]' -o -name '*.json' \
		-o -name py.typed \) -not -path 'lib/liblmdb/[01].*')

.PHONY: demo test test-short bench docs lint place clean
.DELETE_ON_ERROR:

demo: $(DEMO_VENV)/installed-demo
	$(DEMO_VENV)/bin/python examples/pack_images.py

test: $(VENV)/installed-test
	cd / && $(abspath $(VENV))/bin/python -c \
		'import pylmdb; assert "site-packages" in pylmdb.__file__, pylmdb.__file__'
	$(VENV)/bin/pytest $(PYTEST_ARGS)

test-short: $(VENV)/installed-test
	$(VENV)/bin/pytest -m "not slow" $(PYTEST_ARGS) $(SHORT)

bench: $(BENCH_VENV)/installed-bench
	$(BENCH_VENV)/bin/python benchmarks/compare.py $(BENCH_ARGS)

docs: $(DOCS_VENV)/installed-docs
	$(DOCS_VENV)/bin/sphinx-build -W -b html docs docs/_build/html

lint: $(VENV)/installed-test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

place: $(VENV)/created
	$(VENV)/bin/pip install --quiet 'patch-ng>=1.17'
	$(VENV)/bin/python lib/liblmdb/place.py

clean:
	rm -rf build dist docs/_build .venv-* src/pylmdb.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests examples benchmarks lib -name __pycache__ -type d -prune -exec rm -rf {} +

# A virtual environment, and in it pylmdb as a user gets it (not editable) with the extra that the target is named after.
# $(@D) is the environment; whichever variable names it.

%/created:
	$(PYTHON) -m venv $(@D)
	touch $@

define install
	$(@D)/bin/pip install --quiet '.[$(1)]'
	touch $@
endef

%/installed-test: %/created $(INPUTS)
	$(call install,test)

%/installed-demo: %/created $(INPUTS)
	$(call install,demo)

%/installed-bench: %/created $(INPUTS)
	$(call install,bench)

%/installed-docs: %/created $(INPUTS)
	$(call install,docs)

.PRECIOUS: %/created
