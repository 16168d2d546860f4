#!/usr/bin/env bash
# Checks the first line of each commit since the rule came: `area: what`, at most 72 characters.
set -euo pipefail
cd "$(dirname "$0")/.."

wrong=$(git log --no-merges --since=2026-12-01T19:30:00Z --format='%h %s' |
    grep -vP '^\w+ (?=.{1,72}$)[A-Za-z][A-Za-z0-9_/., -]*: \S' || true)
if [[ -n $wrong ]]; then
    echo "these commits need a first line like \`area: what\`, of at most 72 characters:" >&2
    echo "$wrong" >&2
    exit 1
fi
