# `make demo` shows the main job, `make test` runs every test; both set up what they need.

.PHONY: demo test test-faults test-slow check deny build release bench generate docs links setup

demo:
	@demo/run.sh

# The tests of what reaches a Postgres server, which run against more than one version of it.
OF_POSTGRES = postgres::commits:: postgres::first_loads:: postgres::formats:: postgres::loads:: postgres::metadata:: \
	postgres::names:: postgres::partial_reads:: postgres::reruns:: postgres::schema_changes:: postgres::selection:: \
	postgres::session_settings:: postgres::source_changes:: postgres::states:: postgres::small_tables:: \
	postgres::types:: postgres::values:: postgres::view_zones::

test: setup
	cargo build --workspace
	scripts/test.sh
	cargo test --workspace --doc
	POSTGRES_BINARIES=$$(scripts/server.sh 18) scripts/test.sh --test e2e -- $(OF_POSTGRES)

# Every test again, those under faults at length; their figures go into tests/RELIABILITY.md.
test-faults: setup
	cargo build --workspace
	mkdir -p target
	FAULTS=long cargo test --workspace -- --show-output >target/test-faults.log 2>&1 || \
		{ grep -A30 "panicked at\|the same again\|^test result: FAILED" target/test-faults.log; exit 1; }
	scripts/figures.py target/test-faults.log

# Types of extensions, other versions of Postgres, and the DAGs under real schedulers (catch-up, backfill, a
# cleared task, Celery with two workers): about fifteen minutes.
test-slow:
	@scripts/setup.sh slow
	cargo build --workspace
	cargo test --workspace --test slow
	for version in 14 16 17; do \
		POSTGRES_BINARIES=$$(scripts/server.sh $$version) \
			cargo test --workspace --test e2e -- $(OF_POSTGRES) || exit; \
	done
	tests/slow/airflow.py

check:
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# Licences, origins and known faults of what is linked, by deny.toml.
deny:
	@scripts/deny.sh

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

# Rewrites the generated parts of README.md, plugins/ and docs/.
generate: build
	UPDATE=1 cargo test --workspace -q --test pages
	UPDATE=1 cargo test --workspace -q --lib the_schema_of_records
	UPDATE=1 cargo test --workspace -q --test e2e -- project::generated project::helps

# Builds the book as web pages, and checks the links between them; `links` also those to other sites.
docs:
	@scripts/docs.sh

links:
	@scripts/docs.sh external

setup:
	@scripts/setup.sh test
