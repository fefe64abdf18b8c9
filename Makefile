# Two commands are enough: `make demo` and `make test`. Everything else is listed by `make help`.
PYTHON ?= python3
VENV := .venv
TRITON_VENV := .venv-triton
BIN := $(VENV)/bin
export TOKENIZERS_PARALLELISM := false
# pip obeys every setting of the machine's pip. INSTALLER=uv installs the same pins in half the time, as .ci/run does; of
# those settings it gets the folder of wheels.
INSTALLER ?= pip
# On a terminal both show what they fetch, how fast and for how long still; a log gets a line for each step.
QUIET := $(shell test -t 2 || echo -q)
install_with_pip = $(1)/bin/python -m pip install $(QUIET) --disable-pip-version-check
install_with_uv = $(BIN)/uv pip install $(QUIET) --python $(1)/bin/python
install = $(install_with_$(INSTALLER))
ifdef PIP_FIND_LINKS
export UV_FIND_LINKS := $(PIP_FIND_LINKS)
endif

.PHONY: bench-training buf help native-backend setup setup-system demo serve test lint image-check clients bench bench-main bench-switch bench-events bench-relevance export-matrix quality proto proto-baseline chaos-catalogue lock sbom supply-check chaos soak clean

help:  ## what can be made
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

setup: $(VENV)/.ready native-backend  ## both Python environments, exactly pinned

# What builds and serves releases, without training, load runs and the tools of development.
$(VENV)/.demo-ready: constraints.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Shortlist needs Python 3.11 or newer; say make PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	test $(INSTALLER) = pip || PIP_CONSTRAINT=constraints.txt $(call install_with_pip,$(VENV)) uv
	@echo "installing the gateway and the export into $(VENV): about 1.5 GB, most of it torch, a minute or two"
	PIP_CONSTRAINT=constraints.txt UV_CONSTRAINT=constraints.txt UV_BUILD_CONSTRAINT=constraints.txt \
		$(call install,$(VENV)) -e '.[server,export]'
	touch $@

$(VENV)/.ready: $(VENV)/.demo-ready
	@echo "installing training, load runs and the tools of development into $(VENV)"
	PIP_CONSTRAINT=constraints.txt UV_CONSTRAINT=constraints.txt UV_BUILD_CONSTRAINT=constraints.txt \
		$(call install,$(VENV)) -e '.[server,export,train,slo,kafka,milvus,dev]'
	touch $@

# Triton's Python backend hands out empty tensors with numpy 2, so it lives in an environment of its own.
$(TRITON_VENV)/.ready: constraints-triton.txt | $(VENV)/.demo-ready
	test -x $(TRITON_VENV)/bin/python || $(PYTHON) -m venv $(TRITON_VENV)
	@echo "installing Triton into $(TRITON_VENV): about 0.5 GB"
	$(call install,$(TRITON_VENV)) --no-deps -r constraints-triton.txt
	touch $@

# Triton's native backend, compiled for this machine unless it is; where that fails it is told, and the Python-based one
# serves. Looked at each time: a compiler may be there by now, or another OpenVINO.
native-backend: $(TRITON_VENV)/.ready
	@$(BIN)/python -m server.triton.native_backend $(TRITON_VENV)

setup-system:  ## Debian packages that some tests need (as root): the clients in other languages
	apt-get update -qq
	command -v npm >/dev/null || apt-get install -y -qq nodejs npm
	$(MAKE) buf
	apt-get install -y -qq --no-install-recommends $(CLIENT_PACKAGES) || echo "not every client's tools could be installed; its tests are skipped"

CLIENT_PACKAGES := protobuf-compiler protobuf-compiler-grpc \
	golang-go golang-google-grpc-dev golang-google-protobuf-dev protoc-gen-go-1-5 protoc-gen-go-grpc \
	cmake g++ pkg-config libgrpc++-dev libprotobuf-dev \
	ruby ruby-grpc ruby-grpc-tools mono-mcs \
	default-jdk-headless libgrpc-java libnetty-java libnetty-tcnative-java libnetty-tcnative-jni libperfmark-java libgoogle-gson-java libprotobuf-java protobuf-compiler-grpc-java-plugin

buf:  ## buf of npm into .buf, for make lint (seconds)
	npm install --silent --no-save --ignore-scripts --prefix .buf @bufbuild/buf@1.75.0 || echo "buf could not be installed; make lint leaves it out"

clients: setup  ## the clients in other languages whose tools are installed, into .cache (minutes; LANGUAGES="node browser": seconds)
	$(BIN)/python -m tools.build_clients $(LANGUAGES)

demo: $(VENV)/.demo-ready native-backend  ## sample catalogue -> release -> Triton -> gateway -> ranked items
	$(BIN)/shortlist demo

serve: $(VENV)/.demo-ready native-backend  ## gateway and Triton over the current release, until Ctrl-C
	$(BIN)/shortlist up

# Two workers beside two Tritons fill two cores. WORKERS=0 runs the tests in one process.
WORKERS ?= 2
test: setup  ## all tests, in WORKERS=2 processes
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup --no-loadscope-reorder

lint: setup  ## ruff, mypy, import directions, the contract (buf)
	@[ -x .buf/node_modules/.bin/buf ] || ! command -v npm >/dev/null || $(MAKE) --no-print-directory buf
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m tools.lint_contract

image-check: demo  ## the Dockerfile's steps in a chroot, and the result run read-only (as root; debootstrap)
	$(BIN)/python -m tests.deploy.image_check

# A release and queries of your own: make bench BENCH="--releases DIR --queries FILE".
BENCH ?=
bench: setup  ## the gateway beside FastAPI + ONNX Runtime + hnswlib, in interleaved rounds (ten minutes)
	$(BIN)/python -m bench.serving $(BENCH)
chaos-catalogue: setup  ## 500 kills of the live catalogue's writer, 20 switches, 100,000 operations against a dictionary (half an hour)
	$(BIN)/python -m tests.support.chaos_catalogue --kills 500
	$(BIN)/python -m tests.support.chaos_catalogue --kills 50 --points merge
	SHORTLIST_TEST_SWITCHES=20 $(BIN)/python -m pytest --timeout 1200 -k under_load tests/acceptance/test_release_switch.py
	SHORTLIST_TEST_OPERATIONS=100000 $(BIN)/python -m pytest --timeout 3600 -k random_operations tests/server/catalogue

# Two releases or more: make bench-switch RELEASES=DIR.
RELEASES ?= var/demo/releases
bench-switch: setup  ## ten switches of a release under load, then 1,000 reloads: errors, tail, growth (an hour)
	$(BIN)/python -m bench.release_switch --releases $(RELEASES) --switches 10 --reloads 1000

bench-main: setup  ## figures of the main job on movielens-small (five minutes)
	$(BIN)/python -m bench.main_job

bench-events: setup  ## figures of stored events over the demo's release (a minute; run `make demo` before)
	$(BIN)/python -m bench.events --releases var/demo/releases

bench-relevance: setup  ## relevance through the real service on films and a shop, beside its goals (five minutes)
	$(BIN)/python -m bench.relevance

export-matrix: setup  ## every encoder family in every precision, into docs/export-matrix.md (half an hour)
	$(BIN)/python -m bench.export_matrix

quality: setup  ## every quality table from raw files, training included (hours)
	$(BIN)/python -m bench.quality

bench-training: setup  ## made sets of rising size: time and memory of training by step, with a plot (an hour)
	$(BIN)/python -m bench.training_growth

proto: setup  ## regenerate the committed stubs in shortlist/v1
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m tools.generate_stubs
	$(BIN)/python -m tools.contract_reference

proto-baseline: proto  ## take the contract as released: what stands in it may not break from now on
	$(BIN)/python -m tools.contract_baseline

CHAOS ?=
chaos: setup  ## faults, overload, restarts and bad input on the real thing, beside their goals (half an hour; CHAOS="--rows 3")
	$(BIN)/python -m bench.chaos $(CHAOS)

SOAK ?= --seconds 7200
soak: setup  ## two hours under load with callers who leave: growth of memory, files, tasks, threads (SOAK="--seconds 3600 --rate 8")
	$(BIN)/python -m bench.chaos --rows 11 $(SOAK)

lock: setup  ## digests of the image's packages, into deploy/requirements-server.txt
	$(BIN)/python -m tools.supply_chain lock

sbom: setup  ## bill of materials of the image's packages, into dist/sbom.json
	$(BIN)/python -m tools.supply_chain sbom

supply-check: setup  ## is the lock in step, and what is known of vulnerabilities; 3 where something could not be checked
	$(BIN)/python -m tools.supply_chain check
	$(BIN)/python -m tools.supply_chain vulnerabilities

clean:  ## environments, caches and what the demo built
	rm -rf $(VENV) $(TRITON_VENV) .cache .buf .*_cache .hypothesis var dist clients/*/node_modules clients/*/gen
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
