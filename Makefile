# SPDX-License-Identifier: MIT
# Each target makes the virtual environment that it needs; a second run starts at once.
#
#   make demo     pack a real data set and read it back       make lint    ruff and mypy
#   make test     the tests, on the installed package         make docs    the site, in docs/_build/html
#   make bench    pylmdb beside py-lmdb                       make place   liblmdb's sources only
#
#   make test-all      every test, with both cores: fuzzing, packaging, and the other Pythons of this machine
#
#   make dev           an editable environment; compiles in place what has changed
#   make t FILE=...    make dev, then the tests of FILE
#
#   make sanitize      the suite on a build with AddressSanitizer and UndefinedBehaviorSanitizer
#   make debug-malloc  the suite with Python's checking allocator, in development mode
#   make coverage      which lines of Python and C the tests reach; FILE=... for some of them only
#
#   make bench-baseline  store the ratios beside py-lmdb in benchmarks/baseline.json, on a quiet machine
#   make bench-compare   measure again, and print what fell below 0.95 of the stored ratio
#
# PYTHON chooses the interpreter, PYTEST_ARGS is passed to pytest, VENV the test environment.

# The first Python that is new enough and can make virtual environments.
ifndef PYTHON
PYTHON := $(shell for name in python3 python3.13 python3.12 python3.11 python3.10 python; do \
	"$$name" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1 \
	&& echo "$$name" && break; done)
endif
VENV ?= .venv-test
SANITIZE_VENV ?= .venv-sanitize
DEMO_VENV ?= .venv-demo
BENCH_VENV ?= .venv-bench
DOCS_VENV ?= .venv-docs
DEV_VENV ?= .venv-dev
COVERAGE_VENV ?= .venv-coverage
PYTEST_ARGS ?=
# Files of tests go to as many processes as there are processors.
SHARED_OUT := -n auto --dist loadfile
BENCH_ARGS ?=
# How much of what is random test-all tries.
THOROUGH := PYLMDB_MODEL=4 PYLMDB_KNOWN_PROGRAMS=2500

# What a user calls.
API := tests/api $(addprefix tests/,aio/test_aio.py arrays/test_reserve.py arrays/test_snapshot.py arrays/test_take.py \
	core/test_core_reentrancy.py mapping/test_map.py processes/test_fork.py processes/test_threads.py writer/test_writer.py)

# What test-short runs: enough to see that another Python compiles, imports and works.
SHORT ?= $(wildcard tests/api/test_api_*.py tests/api/test_views*.py tests/aio/test_aio.py) $(addprefix tests/, \
	api/test_errors.py api/test_lowlevel.py arrays/test_npy.py arrays/test_reserve.py arrays/test_snapshot.py \
	arrays/test_take.py build/test_lowlevel_declarations.py mapping/test_map.py writer/test_writer.py)

# Tests that compile and install pylmdb themselves: nothing of theirs runs in the build under test.
BUILDING := $(addprefix tests/build/,test_packaging.py test_placing.py test_system_liblmdb.py)

# The interpreter is not sanitized, so the run-time libraries come first by LD_PRELOAD, and
# PYTHONMALLOC=malloc lets them see Python's own blocks.  Python leaves memory to the system when it
# exits, so leaks are not looked for.  liblmdb reads its pages in place, which on x86 and arm64 is
# good at any address but is misaligned to the letter of the standard: .ci/ubsan-suppressions.txt
# excludes that check for what reads pages, and nothing else anywhere.  AddressSanitizer keeps freed blocks for
# a while, and uses most addresses itself, so two tests are left out: that memory stays flat, and a limit of addresses.
# It leaves SIGBUS alone, which is what the end of a file under its map is to those who do not guard their reads.
PRELOAD = $(shell gcc -print-file-name=libasan.so) $(shell gcc -print-file-name=libubsan.so)
SANITIZED = env LD_PRELOAD="$(PRELOAD)" PYTHONMALLOC=malloc \
	ASAN_OPTIONS=detect_leaks=0:use_sigaltstack=1:abort_on_error=1:allocator_may_return_null=1:handle_sigbus=0 \
	UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1:suppressions=$(CURDIR)/.ci/ubsan-suppressions.txt

# Everything that the installed package is made from; liblmdb's placed sources follow from the pin.
INPUTS := pyproject.toml setup.py MANIFEST.in LICENSE $(wildcard README.md) \
	$(shell find src lib/liblmdb -type f \( -name '*.py' -o -name '*.pyi' -o -name '*.[ch]' -o -name '*.json' -o -name '*.edit' \
		-o -name py.typed \) -not -path 'lib/liblmdb/[01].*')

.PHONY: demo test test-all test-short dev t sanitize debug-malloc coverage \
	bench bench-baseline bench-compare docs lint place clean
.DELETE_ON_ERROR:

demo: $(DEMO_VENV)/installed-demo
	$(DEMO_VENV)/bin/python examples/pack_images.py

# The C core runs all that is not slow; the cffi core what a user calls.
test: $(VENV)/ready-for-tests
	$(VENV)/bin/pytest -m "not slow" $(SHARED_OUT) $(PYTEST_ARGS)
	PYLMDB_CORE=cffi $(VENV)/bin/pytest -m "not slow" $(SHARED_OUT) $(PYTEST_ARGS) $(API)

test-all: $(VENV)/ready-for-tests
	$(THOROUGH) $(VENV)/bin/pytest $(SHARED_OUT) $(PYTEST_ARGS)
	PYLMDB_CORE=cffi $(VENV)/bin/pytest -m "not slow" $(SHARED_OUT) $(PYTEST_ARGS) $(addprefix --ignore=,$(BUILDING))
	.ci/other-pythons

dev: $(DEV_VENV)/installed-dev
	$(DEV_VENV)/bin/python setup.py --quiet build_ext --inplace

t: dev
	$(DEV_VENV)/bin/pytest $(FILE) $(PYTEST_ARGS)

test-short: $(VENV)/installed-test
	$(VENV)/bin/pytest -m "not slow" $(SHARED_OUT) $(PYTEST_ARGS) $(SHORT)

# Left out are a measurement of memory, a limit that the sanitizer exceeds itself, and a fork beside threads that
# allocate, which may take the lock of the sanitizer's allocator along.
sanitize: $(SANITIZE_VENV)/installed-sanitize
	.ci/system-packages $(SANITIZE_VENV)/bin/python lmdb-utils
	$(SANITIZED) $(SANITIZE_VENV)/bin/python -X faulthandler -m pytest --capture=sys \
		$(addprefix --ignore=,$(BUILDING)) --deselect=tests/processes/test_exit.py::test_memory_stays_flat \
		--deselect=tests/engine/test_addresses.py::test_few_addresses \
		--deselect=tests/datasets/test_loader.py::test_in_a_forked_child $(PYTEST_ARGS)

# Development mode is for this process; the programs that tests run get the allocator alone, because
# some must print nothing.
debug-malloc: $(VENV)/installed-test
	.ci/system-packages $(VENV)/bin/python lmdb-utils
	PYTHONMALLOC=debug $(VENV)/bin/python -X dev -m pytest \
		$(addprefix --ignore=,$(BUILDING)) $(PYTEST_ARGS)

# The package is compiled in build/lib-coverage and installed from there; gcc's counts come beside the objects.
# A test that fails does not stop the report.
coverage: $(COVERAGE_VENV)/installed-coverage
	.ci/system-packages $(COVERAGE_VENV)/bin/python lmdb-utils
	find build/lib-coverage -name '*.gcda' -delete
	rm -rf build/coverage && mkdir -p build/coverage/c
	-$(COVERAGE_VENV)/bin/pytest -m "not slow" $(SHARED_OUT) --cov=pylmdb --cov-report= \
		$(addprefix --ignore=,$(BUILDING)) $(PYTEST_ARGS) $(FILE)
	$(COVERAGE_VENV)/bin/coverage report --skip-covered
	$(COVERAGE_VENV)/bin/coverage html --quiet
	$(COVERAGE_VENV)/bin/gcovr
	@echo build/coverage/python/index.html build/coverage/c/index.html

bench: $(BENCH_VENV)/installed-bench
	$(BENCH_VENV)/bin/python benchmarks/compare.py $(BENCH_ARGS)

bench-baseline: $(BENCH_VENV)/installed-bench
	$(BENCH_VENV)/bin/python benchmarks/compare.py --store-baseline $(BENCH_ARGS)

bench-compare: $(BENCH_VENV)/installed-bench
	$(BENCH_VENV)/bin/python benchmarks/compare.py --compare $(BENCH_ARGS)

docs: $(DOCS_VENV)/installed-docs
	$(DOCS_VENV)/bin/sphinx-build --quiet -W --keep-going docs docs/_build/html
	@echo docs/_build/html/index.html

lint: $(VENV)/installed-test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check --quiet .
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
	@test -n "$(PYTHON)" || { echo "no Python 3.10 or later with venv and ensurepip was found;" \
		"install it (Debian: apt-get install python3-venv), or name one with PYTHON=" >&2; exit 1; }
	$(PYTHON) -m venv $(@D)
	.ci/system-packages $(@D)/bin/python python-dev
	touch $@

define install
	$(2) $(@D)/bin/pip install --quiet --disable-pip-version-check '.[$(1)]'
endef

%/installed-test: %/created $(INPUTS)
	$(call install,test)
	touch $@

%/installed-sanitize: %/created $(INPUTS)
	$(call install,test,PYLMDB_SANITIZE=1)
	touch $@

%/installed-coverage: %/created $(INPUTS)
	$(call install,coverage,PYLMDB_COVERAGE=1)
	touch $@

# Also what the tests need of the system; and they must not meet the modules of this folder.
%/ready-for-tests: %/installed-test
	.ci/system-packages $(@D)/bin/python lmdb-utils liblmdb-dev gcc-multilib
	cd / && $(abspath $(@D))/bin/python -c \
		'import pylmdb; assert "site-packages" in pylmdb.__file__, pylmdb.__file__'
	touch $@

%/installed-demo: %/created $(INPUTS) examples/requirements.txt
	$(call install,demo)
	$(@D)/bin/pip install --quiet --disable-pip-version-check --no-deps -r examples/requirements.txt
	touch $@

%/installed-bench: %/created $(INPUTS)
	$(call install,bench)
	touch $@

%/installed-docs: %/created $(INPUTS)
	$(call install,docs)
	touch $@

# Editable, so pip needs what compiles pylmdb in the environment itself.
%/installed-dev: %/created pyproject.toml
	$(@D)/bin/pip install --quiet --disable-pip-version-check 'setuptools>=77' 'cffi>=1.16' 'patch-ng>=1.17'
	$(@D)/bin/pip install --quiet --disable-pip-version-check --no-build-isolation --editable '.[test]'
	touch $@

.PRECIOUS: %/created
