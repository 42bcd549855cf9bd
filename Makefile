# Two commands matter: `make serve` and `make test`. Works with GNU make 3.81 (macOS) and later.

VENV := .venv
PY := $(VENV)/bin/python
RUNTIME := $(VENV)/.runtime-installed
DEV := $(VENV)/.dev-installed
BENCH := $(VENV)/.bench-installed
# Test modules side by side. Those without a browser often wait, so three of them fill two cores.
AT_ONCE := -n 3 --dist loadfile
BROWSERS_AT_ONCE := -n 2 --dist loadfile
DB := sqlite
UNDER_LOAD = $(if $(filter postgres,$(DB)),scripts/with-services) $(PY) -m transcription.tests.chaos $@ --database $(DB) \
	$(if $(MINUTES),--minutes $(MINUTES)) $(if $(SESSIONS),--sessions $(SESSIONS)) $(if $(SEED),--seed $(SEED))
IN_DATABASE = $(if $(filter postgres,$(DB)),scripts/with-services)
# SQLite's file stays, so that the commits are measured in it, and is there for the next time.
STORAGE_DB = --database $(DB) $(if $(filter sqlite,$(DB)),--folder var/bench-storage)
STORAGE = $(STORAGE_DB) $(if $(SESSIONS),--sessions $(SESSIONS)) $(if $(SEGMENTS),--segments $(SEGMENTS))
# --no-input: a question about credentials would wait for ever where nobody sees it.
# --no-compile: compiling all 5,000 files takes a third of the time; what is used is compiled when it is.
PIP_INSTALL := $(PY) -m pip install --quiet --disable-pip-version-check --no-input --no-compile --require-hashes

export PYTHONDONTWRITEBYTECODE :=
export PYTHONUNBUFFERED := 1

.DEFAULT_GOAL := help
.PHONY: help serve test install lint format messages requirements bench bench-recogniser bench-storage chaos rolling soak fuzz test-tools test-python test-databases test-long test-js test-browser clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-16s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

serve: $(RUNTIME) ## Install, migrate and serve on http://127.0.0.1:8000/ (PORT=... for another port)
	@exec $(PY) manage.py serve --set-up

test: test-tools $(DEV) ## Install what the tests need, then run linters, types and all tests
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory test-python
	@$(MAKE) --no-print-directory test-databases
	@$(MAKE) --no-print-directory test-js
	@$(MAKE) --no-print-directory test-browser

install: $(DEV) ## Install everything for development into .venv

lint: $(DEV) ## Linters, formats, types, migrations, deployment checks
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" scripts/lint

format: $(DEV) ## Put Python and templates into their format
	@$(PY) -m ruff check --fix --quiet
	@$(PY) -m ruff format
	@# djade ends with an error when it changed something.
	@find templates transcription -name '*.html' -print0 | xargs -0 $(VENV)/bin/djade --target-version 5.2 || true

messages: $(DEV) ## Bring the translations in locale/ up to date with the code, and compile them
	@$(PY) manage.py write_messages

test-python: $(DEV) ## Python tests, on SQLite
	$(PY) -m pytest $(AT_ONCE) $(PYTEST_ARGS)

test-databases: $(DEV) ## The tests that touch a database once more, on PostgreSQL with Redis
	scripts/with-services $(PY) -m pytest -m "databases and not long" $(AT_ONCE) $(PYTEST_ARGS)
	scripts/with-services $(PY) -m pytest transcription/tests/browser/test_workers.py $(PYTEST_ARGS)

test-long: $(DEV) ## The tests that take tens of seconds each by their nature (some minutes)
	$(PY) -m pytest -m long $(PYTEST_ARGS)
	scripts/with-services $(PY) -m pytest -m long transcription/tests/browser/test_workers.py $(PYTEST_ARGS)

test-js: ## JavaScript tests
	node --test $$(find transcription/tests/js -name '*.test.js' -o -name '*.test.mjs')

test-browser: $(DEV) ## Browser tests, in Chromium
	$(PY) -m pytest $(BROWSERS_AT_ONCE) transcription/tests/browser $(PYTEST_ARGS)

bench-recogniser: $(DEV) ## Measure how many streams the embedded recogniser keeps up with (BENCH_ARGS="...")
	$(PY) -m benchmarks.recogniser $(BENCH_ARGS)

bench-storage: $(DEV) ## Measure lists, searches, exports, first paints and commits in 5,000,000 segments (DB=postgres SESSIONS= SEGMENTS=)
	$(IN_DATABASE) sh -c '$(PY) -m benchmarks.storage $(STORAGE) && $(PY) -m benchmarks.first_paint $(STORAGE_DB) && $(PY) -m benchmarks.commits $(STORAGE_DB)'

chaos: test-long ## The slow tests, then 10 minutes of faults under load (MINUTES= SESSIONS= DB=postgres SEED=)
	$(UNDER_LOAD)

rolling: $(DEV) ## Replace the workers every minute under load and check what was lost (the same parameters)
	$(UNDER_LOAD)

soak: $(DEV) ## An hour of steady load: nothing may be left behind (the same parameters)
	$(UNDER_LOAD)

fuzz: $(DEV) ## Throw generated requests and broken messages at every operation and socket for 10 minutes (MINUTES= SEED=)
	$(PY) -m transcription.tests.fuzz $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED))

bench: $(BENCH) ## Measure the service beside its peers, and renew docs/performance.md (BENCH_ARGS="...")
	$(PY) -m benchmarks $(BENCH_ARGS)

test-tools:
	@scripts/install-test-tools

requirements: $(DEV) ## Pin the newest versions that requirements*.in allow
	$(PY) -m uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes requirements.in -o requirements.txt
	$(PY) -m uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes requirements-dev.in -o requirements-dev.txt
	$(PY) -m uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes requirements-bench.in -o requirements-bench.txt

clean: ## Remove .venv, caches and collected files; data in var/ stays
	rm -rf $(VENV) staticfiles .mypy_cache .pytest_cache .ruff_cache .hypothesis test-results
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/pyvenv.cfg:
	@scripts/make-venv $(VENV)

$(RUNTIME): $(VENV)/pyvenv.cfg requirements.txt
	@echo "Installing what the service needs ..."
	@$(PIP_INSTALL) -r requirements.txt
	@touch $@

$(DEV): $(RUNTIME) requirements-dev.txt
	@echo "Installing what the tests and linters need ..."
	@$(PIP_INSTALL) -r requirements-dev.txt
	@touch $@

$(BENCH): $(RUNTIME) requirements-bench.txt
	@echo "Installing what the benchmark's peers need ..."
	@$(PIP_INSTALL) -r requirements-bench.txt
	@touch $@
