# The commands a person needs: make install, make run, make test. The rest is for developers.
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
FUZZ_SECONDS ?= 60
# Much of a test is waiting for servers and clients, so two more than there are cores.
TESTERS ?= $(shell echo $$(($$(nproc) + 2)))
PIP := $(BIN)/python -m pip --disable-pip-version-check -q

# Every process of every installation that a test starts would compile all modules anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: install run test lint types contracts check bench fuzz fuzz-tools lock clean python
.DEFAULT_GOAL := help

help: ## Show these commands
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 22

python:
	@test -n "$(PYTHON)" || { echo "dropslot needs Python 3.11 or newer, and this machine's python3 is $$(python3 --version 2>/dev/null || echo missing). Install python3.11 (Debian 12, Ubuntu 24.04 have it), or run: make PYTHON=/path/to/python3.11 install" >&2; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "dropslot needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) --version)." >&2; exit 1; }
	@"$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null || { echo "Python's venv module is missing. On Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }

$(VENV)/.installed: requirements.lock pyproject.toml
	@test -x $(BIN)/python || $(MAKE) --no-print-directory python
	@echo "Installing dropslot into $(VENV) (a minute on the first run)"
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV)
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.developed: $(VENV)/.installed requirements-dev.lock
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

install: $(VENV)/.installed ## Make the environment in .venv with the dropslot command in it

run: $(VENV)/.installed ## Start a demonstration: a court pushes a file, you see what becomes of it
	@$(BIN)/dropslot demo

test: $(VENV)/.developed ## Run the whole test-suite
	@$(BIN)/python -m pytest --numprocesses $(TESTERS) --dist loadfile --no-loadscope-reorder

lint: $(VENV)/.developed ## Check style
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: $(VENV)/.developed ## Check types
	@$(BIN)/mypy

contracts: $(VENV)/.developed ## Check who may import whom
	@$(BIN)/lint-imports

check: lint types contracts test ## All of the above

bench: $(VENV)/.developed ## Measure against OpenSSH, servers in Go, the naive script and sqlite3
	@$(BIN)/python -m bench

fuzz-tools: $(VENV)/.developed
	@$(BIN)/python -c 'import atheris' 2>/dev/null \
	  || $(PIP) install --only-binary atheris --no-build-isolation -e '.[fuzz]' \
	  || { echo "make fuzz needs atheris, which has no wheel for $$($(BIN)/python --version) on $$(uname -m)." >&2; exit 1; }

fuzz: fuzz-tools ## Throw packets at the SFTP handler, guided by coverage (FUZZ_SECONDS=60)
	@mkdir -p .fuzz
	@$(BIN)/python -m tests.server.sftp.fuzz_packets -max_total_time=$(FUZZ_SECONDS) -artifact_prefix=.fuzz/ -verbosity=0 -print_final_stats=1 $(FUZZ_FLAGS)

lock: ## Renew the locked dependencies (needs uv)
	uv pip compile -q --upgrade --generate-hashes --universal --python-version 3.11 --no-header --extra build --extra aws --extra dev -o requirements-dev.lock pyproject.toml
	uv pip compile -q --upgrade --generate-hashes --universal --python-version 3.11 --no-header --extra build -o requirements.lock pyproject.toml

clean: ## Remove the environment and the demonstration's data
	rm -rf $(VENV) dropslot-demo .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .fuzz
