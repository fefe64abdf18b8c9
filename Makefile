# Two commands are enough: `make demo` and `make test`. Everything else is listed by `make help`.
PYTHON ?= python3
VENV := .venv
TRITON_VENV := .venv-triton
BIN := $(VENV)/bin
export TOKENIZERS_PARALLELISM := false
# pip obeys every setting of the machine's pip. INSTALLER=uv installs the same pins in half the time, as .ci/run does; of
# those settings it gets the folder of wheels.
INSTALLER ?= pip
install_with_pip = $(1)/bin/python -m pip install -q --disable-pip-version-check
install_with_uv = $(BIN)/uv pip install -q --python $(1)/bin/python
install = $(install_with_$(INSTALLER))
ifdef PIP_FIND_LINKS
export UV_FIND_LINKS := $(PIP_FIND_LINKS)
endif

.PHONY: help setup setup-system demo serve test lint image-check bench-main bench-relevance export-matrix quality proto proto-baseline clean

help:  ## what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

setup: $(VENV)/.ready $(TRITON_VENV)/.ready  ## both Python environments, exactly pinned

$(VENV)/.ready: constraints.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Shortlist needs Python 3.11 or newer; say make PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	test $(INSTALLER) = pip || PIP_CONSTRAINT=constraints.txt $(call install_with_pip,$(VENV)) uv
	PIP_CONSTRAINT=constraints.txt UV_CONSTRAINT=constraints.txt UV_BUILD_CONSTRAINT=constraints.txt \
		$(call install,$(VENV)) -e '.[server,export,train,slo,dev]'
	touch $@

# Triton's Python backend hands out empty tensors with numpy 2, so it lives in an environment of its own.
$(TRITON_VENV)/.ready: constraints-triton.txt | $(VENV)/.ready
	test -x $(TRITON_VENV)/bin/python || $(PYTHON) -m venv $(TRITON_VENV)
	$(call install,$(TRITON_VENV)) --no-deps -r constraints-triton.txt
	touch $@

setup-system:  ## Debian packages that some tests need (as root): the Node.js client
	apt-get update -qq && apt-get install -y -qq nodejs npm

demo: setup  ## sample catalogue -> release -> Triton -> gateway -> ranked items
	$(BIN)/shortlist demo

serve: setup  ## gateway and Triton over the current release, until Ctrl-C
	$(BIN)/shortlist up

# Two workers beside two Tritons fill two cores. WORKERS=0 runs the tests in one process.
WORKERS ?= 2
test: setup  ## all tests, in WORKERS=2 processes
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup --no-loadscope-reorder

lint: setup  ## ruff, mypy, import directions
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

image-check: demo  ## the Dockerfile's steps in a chroot, and the result run read-only (as root; debootstrap)
	$(BIN)/python -m tests.deploy.image_check

bench-main: setup  ## figures of the main job on movielens-small (five minutes)
	$(BIN)/python -m bench.main_job

bench-relevance: setup  ## relevance through the real service on films and a shop, beside its goals (five minutes)
	$(BIN)/python -m bench.relevance

export-matrix: setup  ## every encoder family in every precision, into docs/export-matrix.md (half an hour)
	$(BIN)/python -m bench.export_matrix

quality: setup  ## every quality table from raw files, training included (hours)
	$(BIN)/python -m bench.quality

proto: setup  ## regenerate the committed stubs in shortlist/v1
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m tools.generate_stubs

proto-baseline: proto  ## take the contract as released: what stands in it may not break from now on
	$(BIN)/python -m tools.contract_baseline

clean:  ## environments, caches and what the demo built
	rm -rf $(VENV) $(TRITON_VENV) .cache .*_cache .hypothesis var dist clients/node/node_modules
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
