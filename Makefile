# `make help` lists what can be done here. Every recipe runs in bash with services/environment.sh read first, so that
# nothing depends on the caller's environment.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
export BASH_ENV := $(CURDIR)/services/environment.sh
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

DEFAULT_CKAN := $(shell sed -n 's/^DEFAULT_CKAN=//p' services/install)
CKAN ?= $(DEFAULT_CKAN)
OTHER_CKAN := $(filter-out $(DEFAULT_CKAN),$(CKAN))
DEMO_HOST ?= 127.0.0.1
DEMO_PORT ?= 5050
WORKERS ?= 3
TESTS ?= tests
FIGURE ?=
export CKAN DEMO_HOST DEMO_PORT

# Each version of CKAN has an environment of its own (services/install); services and data are shared.
BIN := .venv$(addprefix -,$(OTHER_CKAN))/bin
# What runs is of the whole checkout, whichever CKAN was installed for it.
INSTALLED = $(firstword $(wildcard $(BIN)/python .venv/bin/python .venv-*/bin/python))

# run one stage of `make test`, so that a failure names itself in the last line and the rest is not started
stage = printf '\n== %s\n' '$(1)'; $(2) || { printf '\nFAILED: %s (%s)\n' '$(1)' '$(3)' >&2; exit 1; }

.PHONY: help install browser services demo picture stop clean assets translations test lint types tests test-s3-minio coverage proof bench format

help: ## this list
	@awk 'BEGIN { FS = ":.*## " } /^[a-z0-9-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo "Options, as in \`make demo DEMO_PORT=8080\`:"
	@echo "  DEMO_PORT   port of the demo site ($(DEMO_PORT))"
	@echo "  DEMO_HOST   address it listens on, and the host in its links ($(DEMO_HOST))"
	@echo "  CKAN        version of CKAN to work with, here $(CKAN); also tested: 2.11.6"
	@echo "  PYTHON      interpreter that makes .venv (/usr/bin/python3, or the first python3 in PATH)"
	@echo "  WORKERS     test processes side by side ($(WORKERS))"
	@echo "  FIGURE      what \`make bench\` measures: names of modules in bench/figures (all)"
	@echo "  TESTS       what \`make tests\` and \`make proof\` run: paths and any options of pytest ($(TESTS))"
	@echo
	@echo "Services of yours that \`make demo\` is to use instead of its own, each alone or together (docs/development.rst):"
	@echo "  CKAN_SQLALCHEMY_URL   a PostgreSQL database that is empty"
	@echo "  CKAN_REDIS_URL        Redis"
	@echo "  CKAN_SOLR_URL         a core of Solr with CKAN's schema"

install: ## missing Debian packages (as root), then .venv with CKAN and this distribution
	@services/install

browser: ## the same, and Chromium for the tests
	@services/install browser

services: install ## PostgreSQL, Redis, Solr and an S3 server of this checkout
	@$(BIN)/python -m services start

demo: ## a site with users and sample data, and the story played on it; it stays running
	@services/install demo
	@$(BIN)/python -m demo

picture: browser services demo ## docs/versions.png, the picture in the README, and the others in docs/
	@$(BIN)/python -m demo.picture
	@$(BIN)/python -m pytest -q --no-cov --proof tests/e2e/test_upload_pictures.py

stop: ## end everything that this checkout runs; data stays
	@$(if $(INSTALLED),$(INSTALLED) -m services stop)

clean: ## stop, and forget all data: databases, index, files, logs
	@$(if $(INSTALLED),$(INSTALLED) -m services clean,rm -rf .run)

assets: install ## bundle the TypeScript that pages load; the bundles are committed
	@$(BIN)/python -m services.node assets

test: $(if $(OTHER_CKAN),,lint types) tests ## what must pass: lint, types, all tests; CKAN=2.11.6: all tests there

lint: install ## ruff: rules and layout
	@$(call stage,ruff check,$(BIN)/ruff check,make format repairs what can be repaired by itself)
	@$(call stage,ruff format,$(BIN)/ruff format --check,make format lays the files out)

types: install ## pyright, and the TypeScript of sdk/ and assets/
	@$(call stage,pyright,$(BIN)/pyright --warnings,each line above names file and place)
	@$(call stage,tsc,$(BIN)/python -m services.node types,each line above names file and place)

# What does not depend on CKAN's version runs once: with the default one.
ALONE := setup benchmarks stores interop e2e/test_loaded_and_shown.py e2e/test_client_large_file.py e2e/test_client_readme.py \
	e2e/test_clients_of_giftless.py e2e/test_disturbed_uploads.py e2e/test_unfinished_uploads.py \
	e2e/test_upload_forms.py external_storage/test_behind_proxies.py faults/test_a_clock_that_is_off.py \
	faults/test_a_form_with_a_large_file.py test_docs.py test_packaging.py
ONCE := $(if $(OTHER_CKAN),$(ALONE:%=--ignore=tests/%))

tests: browser services ## pytest
	@$(call stage,pytest,$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(ONCE) $(TESTS),the summary above names the tests)

test-s3-minio: services ## the tests of files on S3 with MinIO, which is compiled at the first time (3 min)
	@$(call stage,build,$(BIN)/python -m services.go_programs minio,see above)
	@$(BIN)/python -m services start minio
	@$(call stage,pytest,$(BIN)/python -m pytest --s3-server minio tests/stores/test_s3_store.py,the summary above names the tests)

coverage: browser services ## pytest, and which lines it runs
	@$(call stage,pytest,$(BIN)/python -m pytest -n $(WORKERS) --cov --cov-report=term $(TESTS),the summary above names the tests)

proof: services ## fault, race and fuzz tests with their full counts, some minutes; writes docs/proof
	@$(call stage,proof,$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --proof $(TESTS),the summary above names the tests)

bench: services ## how long ours takes beside a peer, some minutes per figure; writes docs/bench
	@$(BIN)/python -m bench $(FIGURE)

format: install ## repair what ruff can repair, lay the files out
	@$(BIN)/ruff check --fix-only
	@$(BIN)/ruff format

translations: install ## bring the catalogs in i18n up to date with the sources; says what has no translation yet
	@$(BIN)/python -m services.translations
