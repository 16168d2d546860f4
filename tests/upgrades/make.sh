#!/usr/bin/env bash
# Keeps what the programs of a release leave behind, for every later release to read:
#
#   tests/upgrades/make.sh BINARIES FOLDER
#
# BINARIES has the programs; PGHOST, PGPORT and PGUSER lead to a server for the databases
# upgrade_source and upgrade_target, which are made anew.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
binaries=$(realpath "$1") kept=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
project=$work/project
cp -r "$here/project" "$project"
for side in source target; do
    psql -q -d postgres -c "DROP DATABASE IF EXISTS upgrade_$side" -c "CREATE DATABASE upgrade_$side"
done
psql -q -d upgrade_source -f "$here/source.sql"
export SOURCE_DATABASE_URL="postgresql://$PGUSER@$PGHOST:$PGPORT/upgrade_source"
export TARGET_DATABASE_URL="postgresql://$PGUSER@$PGHOST:$PGPORT/upgrade_target"
export PATH=$binaries:$PATH
for day in 2026-01-30 2026-01-31; do
    chorus --project "$project" run main --datestamp $day --retries 0
done
chorus --project "$project" run direct --retries 0
pg_dump -d upgrade_target --no-owner --inserts |
    sed -E '/^(SET|SELECT pg_catalog.set_config|--|\\(un)?restrict|$)/d' >"$project/target.sql"
rm -rf "$project/output/.staging" "$project/.chorus/work" "$project/.chorus/locks"
find "$project/.chorus" -name '*.log' -delete
rm -rf "$kept" && mkdir -p "$kept"
cp -r "$project/.chorus" "$kept/chorus"
cp -r "$project/output" "$project/target.sql" "$kept"
chorus --version >"$kept/version"
