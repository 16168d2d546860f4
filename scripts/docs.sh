#!/usr/bin/env bash
# Builds the book with mdBook into target/book, and checks every link between its pages.
# `scripts/docs.sh external` also asks for each page of other sites that README.md and the book link to.
set -euo pipefail
cd "$(dirname "$0")/.."

version=0.5.2
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
tools=$target/tools/mdbook-$version

if [[ ! -x $tools/bin/mdbook ]]; then
    echo "installing mdbook $version"
    cargo install --quiet --locked --version "$version" --no-default-features --features search \
        --target-dir "$target/tools/build" --root "$tools" mdbook
fi
# A page that an include cannot find is an error in the log of mdBook, and nothing else.
log=$("$tools/bin/mdbook" build docs --dest-dir "$target/book" 2>&1) || { echo "$log" >&2; exit 1; }
if grep -E "ERROR|WARN" <<<"$log" >&2; then exit 1; fi
scripts/book_links.py "$target/book"
echo "the book is $target/book/index.html"

if [[ ${1:-} == external ]]; then
    gone=0
    for address in $(grep -rhoE 'https://[^][ )>"`]+' README.md docs --include='*.md' | sort -u); do
        case $address in *example.*) continue ;; esac
        curl --silent --show-error --fail --location --max-time 30 --output /dev/null "$address" ||
            { echo "cannot reach $address" >&2; gone=1; }
    done
    exit $gone
fi
