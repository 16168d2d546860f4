# `make demo` shows the main job, `make test` runs every test; both set up what they need.

.PHONY: demo test test-slow check build release bench generate setup

demo:
	@demo/run.sh

test: setup
	cargo build --workspace
	cargo test --workspace

# The DAGs under real schedulers (catch-up, backfill, a cleared task, Celery with two workers): about six minutes.
test-slow:
	@scripts/setup.sh slow
	cargo build --workspace
	tests/slow/airflow.py

check:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

build:
	cargo build --workspace

release:
	cargo build --release

# Measures against raw COPY and writes bench/RESULTS.md. 1 is about 1.5 million rows of lineitem.
SCALE = 1
ROUNDS = 3
LARGE = 1
bench:
	@env -u SOURCE_DATABASE_URL scripts/setup.sh bench
	cargo build --workspace --release
	$${CARGO_TARGET_DIR:-target}/release/bench --scale $(SCALE) --rounds $(ROUNDS) \
		$(if $(filter 0,$(LARGE)),--no-large)

# Rewrites the generated parts of README.md and meltano.yml.
generate: build
	UPDATE=1 cargo test -p tests -q what_the_binaries_say

setup:
	@scripts/setup.sh test
