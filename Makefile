# The front door. Every target does its own set-up: the Rust toolchain, its wasm target, Envoy.

MODULE := target/wasm32-wasip1/release/auth_o_tron_envoy.wasm
TOOLCHAIN := $(shell sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)
# Evaluated where it is used, after `tools`: ENVOY_BIN, else `envoy` on PATH, else a pinned release in target/.
FIND_ENVOY = ENVOY_BIN="$$(python3 tests/support/find_envoy.py)" && [ -n "$$ENVOY_BIN" ] && export ENVOY_BIN
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
.PHONY: help demo run build otron schema test manifests dashboard compose-test image bench bench-core cost fuzz ci
.PHONY: format lint doc tools toolchain

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

demo: build ## build, start Envoy, send real requests, show what came out, stop
	@$(FIND_ENVOY) && python3 envoy/demo.py "$$ENVOY_BIN"

run: build ## keep the demo's Envoy running, with curl lines to try
	@$(FIND_ENVOY) && python3 envoy/demo.py "$$ENVOY_BIN" --keep

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

test: build ## run every test: core, module, real Envoy, command
	@$(FIND_ENVOY) && cargo test --locked --features cli

manifests: toolchain ## check the manifests for Istio and Envoy Gateway against the resources' types
	cargo test --locked --manifest-path tests/platforms/manifests/Cargo.toml --target-dir target/manifests

dashboard: build ## run every query of the dashboard in a real Prometheus
	@$(FIND_ENVOY) && cargo test --locked --test platforms -- --ignored prometheus

compose-test: build ## run envoy/docker-compose.yaml and the OCI image in a Docker of their own; root on Debian
	@$(FIND_ENVOY) && cargo test --locked --test platforms -- --ignored docker

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
	RECORD_COST=1 cargo test --locked --test module cost

fuzz: tools ## fuzz each target of tests/fuzz for FUZZ_SECONDS (60)
	@rustup run nightly rustc --version >/dev/null 2>&1 || rustup toolchain install nightly --profile minimal
	@cargo +nightly fuzz --version >/dev/null 2>&1 || cargo +nightly install cargo-fuzz --locked
	@for target in $(FUZZ_TARGETS); do \
		found=tests/fuzz/target/corpus/$$target; mkdir -p $$found; \
		cargo +nightly fuzz run --fuzz-dir tests/fuzz $$target $$found tests/fuzz/corpus/$$target -- \
			-max_total_time=$(FUZZ_SECONDS) -print_final_stats=1 || exit 1; \
	done

ci: format lint doc manifests dashboard test ## everything that .ci/run calls

format: toolchain ## check the format
	cargo fmt --check
	rustfmt --edition 2024 --check $(wildcard tests/platforms/manifests/*.rs tests/bench/*/*.rs tests/fuzz/*/*.rs)

lint: toolchain ## run clippy, for the host and for the module
	cargo clippy --locked --all-targets --features cli -- -D warnings
	cargo clippy --locked --lib --target wasm32-wasip1 -- -D warnings

doc: toolchain ## run rustdoc, which must not warn
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --features cli

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
