#!/usr/bin/env bash
# Installs what the demo (`demo`), the tests (`test`), the slow ones (`slow`) or the benchmarks (`bench`)
# need and this machine lacks.
set -euo pipefail

missing=()
needs() { # needs PACKAGE TEST...: PACKAGE is missing when TEST fails
    local package=$1
    shift
    "$@" >/dev/null 2>&1 || missing+=("$package")
}
has_server() { compgen -G '/usr/lib/postgresql/*/bin/initdb' || command -v initdb; }
has_extension() { compgen -G "/usr/share/postgresql/*/extension/$1.control"; }
# The packages of a server's extensions have its version in their names.
newest_server() {
    find /usr/lib/postgresql -mindepth 1 -maxdepth 1 -printf '%f\n' 2>/dev/null | sort -n | tail -1 |
        grep . || apt-cache show postgresql 2>/dev/null | sed -n 's/^Version: \([0-9]*\).*/\1/p' | head -1
}
has_pgbouncer() { command -v pgbouncer || test -x /usr/sbin/pgbouncer; }
has_venv() { python3 -c 'import venv, ensurepip'; }

if [[ -z ${SOURCE_DATABASE_URL:-} || -z ${TARGET_DATABASE_URL:-} || ${1:-} =~ ^(test|slow)$ ]]; then
    needs postgresql has_server
fi
needs postgresql-client command -v psql
needs gcc command -v cc
if [[ ${1:-} == test ]]; then
    needs postgresql-contrib has_extension hstore
    needs locales test -e /usr/share/i18n/locales/POSIX
    needs openssl command -v openssl
    needs pgbouncer has_pgbouncer
    needs git command -v git
    needs python3 command -v python3
    needs python3-venv has_venv
    needs strace command -v strace
    needs openssh-server test -x /usr/sbin/sshd
    needs openssh-client command -v ssh-keygen
    needs rclone command -v rclone
    needs groff-base command -v groff
    needs zip command -v zip
    needs zstd command -v zstd
    needs npm command -v npm
fi

if [[ ${1:-} == slow ]]; then
    needs python3 command -v python3
    needs python3-venv has_venv
    needs redis-server command -v redis-server
    needs npm command -v npm
    needs postgresql-contrib has_extension hstore
    for package in postgis:postgis-3 unit:unit ip4r:ip4r semver:semver prefix:prefix \
        debversion:debversion numeral:numeral pg_rational:rational pgmp:pgmp asn1oid:asn1oid \
        jsquery:jsquery; do
        needs "postgresql-$(newest_server)-${package#*:}" has_extension "${package%:*}"
    done
fi

# A program to compare with, in a folder of its own; the extension is of one version of it.
install_duckdb() {
    local folder=${CARGO_TARGET_DIR:-target}/duckdb
    if ! "$folder/bin/python" -c 'import duckdb, duckdb_ext' >/dev/null 2>&1; then
        python3 -m venv "$folder"
        "$folder/bin/pip" install --quiet 'duckdb==1.4.4' 'duckdb-ext-postgres==1.4.4.*'
    fi
}
if [[ ${1:-} == bench ]]; then
    needs python3 command -v python3
    needs python3-venv has_venv
    trap install_duckdb EXIT
fi

if ((${#missing[@]} == 0)); then
    exit 0
fi
if ((EUID == 0)); then
    sudo=()
elif sudo -n true 2>/dev/null; then
    sudo=(sudo)
else
    echo "missing: ${missing[*]}; install them, for example: apt-get install ${missing[*]}" >&2
    exit 1
fi
if ! command -v apt-get >/dev/null; then
    echo "missing: ${missing[*]}; install them with this system's package manager" >&2
    exit 1
fi
echo "installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
"${sudo[@]}" apt-get -o DPkg::Lock::Timeout=600 -q update
"${sudo[@]}" apt-get -o DPkg::Lock::Timeout=600 -q install -y --no-install-recommends "${missing[@]}"
