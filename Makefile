# `make demo` shows the main job, `make test` runs every test; both set up what they need.

.PHONY: demo test check build release generate setup

demo:
	@demo/run.sh

test: setup
	cargo build --workspace
	cargo test --workspace

check:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

build:
	cargo build --workspace

release:
	cargo build --workspace --release

# Rewrites the generated parts of README.md and meltano.yml.
generate: build
	UPDATE=1 cargo test -p tests -q what_the_binaries_say

setup:
	@scripts/setup.sh test
