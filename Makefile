# The front door. Every target does its own set-up: the Rust toolchain, its wasm target, Envoy.

MODULE := target/wasm32-wasip1/release/auth_o_tron_envoy.wasm
TOOLCHAIN := $(shell sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)
# Evaluated where they are used, after `tools`: ENVOY_BIN, else the newest pinned release, in target/; for what is no
# test, before that `envoy` on PATH.
FIND_ENVOY = ENVOY_BIN="$$(python3 tests/support/find_envoy.py)" && export ENVOY_BIN
FIND_INSTALLED_ENVOY = ENVOY_BIN="$$(python3 tests/support/find_envoy.py --installed)" && export ENVOY_BIN
VERSIONS = $(shell python3 tests/support/find_envoy.py --versions)
CARGO_TEST := cargo test --locked --features cli
# The module as an OCI image: its name, and the URL of the source for its label.
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml)
IMAGE := auth-o-tron-envoy:$(VERSION)
IMAGE_SOURCE :=
FUZZ_TARGETS := decide signature formats
FUZZ_SECONDS := 60
OHA_VERSION := 1.16.0
OHA := target/oha-$(OHA_VERSION)/bin/oha
BENCH :=

.DEFAULT_GOAL := help
.PHONY: help demo run build otron schema test versions compose-test image bench bench-core cost fuzz format ci tools toolchain
.PHONY: check-format check-lint check-doc check-manifests check-dashboard

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 23

demo: build ## build, start Envoy, send real requests, show what came out, stop
	@$(FIND_INSTALLED_ENVOY) && python3 envoy/demo.py "$$ENVOY_BIN"

run: build ## keep the demo's Envoy running, with curl lines to try
	@$(FIND_INSTALLED_ENVOY) && python3 envoy/demo.py "$$ENVOY_BIN" --keep

# The module is the same on every machine: without this, panic messages would name the directories of the build.
NO_PATHS := "--remap-path-prefix=$(or $(CARGO_HOME),$(HOME)/.cargo)=cargo", "--remap-path-prefix=$(CURDIR)=."
build: toolchain ## build the filter: target/wasm32-wasip1/release/auth_o_tron_envoy.wasm
	cargo build --locked --release --lib --target wasm32-wasip1 \
		--config 'target.wasm32-wasip1.rustflags=[$(NO_PATHS)]' --config 'target.wasm32-wasip1.linker="src/filter/link.py"'

otron: toolchain ## build the native command: target/release/otron
	cargo build --locked --release --features cli --bin otron

schema: toolchain ## write the JSON Schema of the configuration: envoy/plugin-config.schema.json
	cargo run --locked --quiet --features cli -- schema > target/plugin-config.schema.json
	mv target/plugin-config.schema.json envoy/

test: build ## run every test, those in Envoy on the newest and the oldest supported (or on ENVOY_BIN alone)
	@$(FIND_ENVOY) && $(CARGO_TEST)
	@$(if $(ENVOY_BIN),,$(call TEST_ON,$(firstword $(VERSIONS))))

versions: build ## run the tests in Envoy on every supported version
	@$(foreach version,$(VERSIONS),$(call TEST_ON,$(version)) &&) true

TEST_ON = echo "Envoy $(1):" && ENVOY_BIN="$$(python3 tests/support/find_envoy.py --version $(1))" && export ENVOY_BIN \
	&& $(CARGO_TEST) --test envoy

compose-test: build ## run envoy/docker-compose.yaml and the OCI image in a Docker of their own; root on Debian
	@$(FIND_ENVOY) && $(CARGO_TEST) --test platforms -- --ignored docker-compose

# Istio and Envoy Gateway ask for linux/amd64, wherever they run. Without attestations the image is a single manifest,
# so there is nothing to choose from.
image: build ## build the module as an OCI image: auth-o-tron-envoy:VERSION
	tar -c envoy/Dockerfile $(MODULE) | BUILDX_NO_DEFAULT_ATTESTATIONS=1 docker build --platform linux/amd64 \
		--build-arg VERSION=$(VERSION) --build-arg SOURCE=$(IMAGE_SOURCE) -f envoy/Dockerfile -t $(IMAGE) -

bench: build $(OHA) ## measure what a request costs in Envoy, compared with the alternatives
	for module in empty-sdk host-calls; do cargo build --locked --release --target-dir target/bench \
		--target wasm32-wasip1 --manifest-path tests/bench/$$module/Cargo.toml || exit 1; done
	cargo build --locked --release --target-dir target/bench --manifest-path tests/bench/token-service/Cargo.toml
	@$(FIND_ENVOY) && python3 tests/bench/envoy.py "$$ENVOY_BIN" $(OHA) $(BENCH)

bench-core: toolchain ## measure what a decision costs in the core, natively
	cargo bench --locked --bench core

# The load generator.
$(OHA): | tools
	cargo install oha --locked --version $(OHA_VERSION) --root target/oha-$(OHA_VERSION)

cost: build ## record what a request costs in the module: tests/module/cost.json
	RECORD_COST=1 $(CARGO_TEST) --test module cost

fuzz: tools ## fuzz each target of tests/fuzz for FUZZ_SECONDS (60)
	@rustup run nightly rustc --version >/dev/null 2>&1 || rustup toolchain install nightly --profile minimal
	@cargo +nightly fuzz --version >/dev/null 2>&1 || cargo +nightly install cargo-fuzz --locked
	@for target in $(FUZZ_TARGETS); do \
		found=tests/fuzz/target/corpus/$$target; mkdir -p $$found; \
		cargo +nightly fuzz run --fuzz-dir tests/fuzz $$target $$found tests/fuzz/corpus/$$target -- \
			-max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 || exit 1; \
	done

# A macro declares the kinds of proof, so cargo fmt does not find their files; the others are in packages of their own.
NOT_FOUND_BY_CARGO_FMT = $(wildcard src/trust/*.rs src/trust/*/*.rs tests/platforms/manifests/*.rs tests/bench/*/*.rs tests/fuzz/*/*.rs)

format: toolchain ## format the Rust sources
	cargo fmt
	rustfmt --edition 2024 $(NOT_FOUND_BY_CARGO_FMT)

check-format: toolchain ## check the format
	cargo fmt --check
	rustfmt --edition 2024 --check $(NOT_FOUND_BY_CARGO_FMT)

check-lint: toolchain ## run clippy, for the host and for the module
	cargo clippy --locked --all-targets --features cli -- -D warnings
	cargo clippy --locked --lib --target wasm32-wasip1 -- -D warnings

check-doc: toolchain ## run rustdoc, which must not warn
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --features cli

check-manifests: toolchain ## check the manifests for Istio and Envoy Gateway against the resources' types
	cargo test --locked --manifest-path tests/platforms/manifests/Cargo.toml --target-dir target/manifests

check-dashboard: build ## run every query of the dashboard in a real Prometheus, Debian's
	@$(FIND_ENVOY) && $(CARGO_TEST) --test platforms -- --ignored prometheus

ci: check-format check-lint check-doc check-manifests check-dashboard test ## everything that .ci/run calls

# cc: rustc uses it to link build scripts and native tests.
tools:
	@for tool in cargo rustup python3 curl cc; do \
		command -v $$tool >/dev/null || { echo "missing: $$tool. Install it and try again." >&2; exit 1; }; \
	done

toolchain: tools
	@rustup run $(TOOLCHAIN) rustc --version >/dev/null 2>&1 \
		|| rustup toolchain install $(TOOLCHAIN) --profile minimal --component clippy,rustfmt
	@rustup target list --toolchain $(TOOLCHAIN) --installed | grep -qx wasm32-wasip1 \
		|| rustup target add --toolchain $(TOOLCHAIN) wasm32-wasip1
