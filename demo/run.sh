#!/usr/bin/env bash
# The main job: two sources into dated folders, the folders into one Postgres; again; an older day.
set -euo pipefail
cd "$(dirname "$0")/.."

work=work/demo
lake=$work/output
day=2026-11-20
older=2026-11-19

say() { printf '\n== %s\n' "$*"; }
# Prints a command as a user would type it, then runs it; of the log it shows what targets did.
run() {
    printf '$ %s\n' "$1"
    if ! bash -o pipefail -ec "$1" 2>$work/log; then
        cat $work/log >&2
        fail "$1"
    fi
    sed -nE 's/^.*\| target-[a-z]+ +\| ((stream|table) [^:]+: .*)$/  \1/p' $work/log
}
fail() {
    echo "demo failed: $*" >&2
    exit 1
}

scripts/setup.sh demo
cargo build --release
target=${CARGO_TARGET_DIR:-target}
PATH=$(cd "$target/release" && pwd):$PATH
export PATH

rm -rf "$work"
mkdir -p "$work"

# --- the databases: given by URL, else a private cluster that ends with this script

if [[ -z ${SOURCE_DATABASE_URL:-} || -z ${TARGET_DATABASE_URL:-} ]]; then
    binaries=$(compgen -G '/usr/lib/postgresql/*/bin' | sort -V | tail -n 1) ||
        binaries=$(dirname "$(command -v initdb)")
    as=() # Postgres refuses to run as root
    cluster=$PWD/$work/cluster
    if ((EUID == 0)); then
        as=(setpriv --reuid=nobody "--regid=$(id -g nobody)" --clear-groups)
        # nobody may not be allowed into the folder of the project
        "${as[@]}" test -x "$work" || cluster=$(mktemp -d /tmp/chorus-demo-XXXXXX)
    fi
    socket=$(mktemp -d /tmp/chorus-XXXXXX) # a socket's path must be short
    mkdir -p "$cluster"
    ((EUID != 0)) || chown nobody "$cluster" "$socket"
    stop() {
        (cd / && "${as[@]}" "$binaries/pg_ctl" -D "$cluster" -m immediate -s stop) || true
        rm -rf "$cluster" "$socket"
    }
    trap stop EXIT
    (
        cd /
        export LC_ALL=C.UTF-8
        "${as[@]}" "$binaries/initdb" -D "$cluster" -U postgres -A trust -E UTF8 \
            --locale=C.UTF-8 --no-sync --no-instructions >/dev/null
        "${as[@]}" "$binaries/pg_ctl" -D "$cluster" -l "$cluster/log" -s -w start \
            -o "-c listen_addresses='' -c unix_socket_directories='$socket' -c fsync=off"
    )
    for name in sales warehouse; do
        psql -X -q -h "$socket" -U postgres -d postgres -c "CREATE DATABASE $name"
    done
fi

# settings FILE URL DATABASE: writes a config file that only its owner reads
settings() {
    if [[ -n $2 ]]; then
        url=$(printf '%s' "$2" | sed 's/[\\"]/\\&/g')
        (umask 077 && printf '{"sqlalchemy_url": "%s"}\n' "$url" >"$1")
    else
        printf '{"host": "%s", "user": "postgres", "database": "%s"}\n' "$socket" "$3" >"$1"
    fi
}
settings $work/source.json "${SOURCE_DATABASE_URL:-}" sales
settings $work/target.json "${TARGET_DATABASE_URL:-}" warehouse
source_database=${SOURCE_DATABASE_URL:-host=${socket:-} user=postgres dbname=sales}
target_database=${TARGET_DATABASE_URL:-host=${socket:-} user=postgres dbname=warehouse}
export WAREHOUSE=$target_database # a URL may hold a password: commands show only its name
psql=(psql -X -q -v ON_ERROR_STOP=1)

say "A source database (13 tables) and a CSV file"
if [[ -z $("${psql[@]}" -At -d "$source_database" -c "SELECT to_regclass('orders')") ]]; then
    "${psql[@]}" -d "$source_database" -f demo/sales.sql
fi
"${psql[@]}" -d "$source_database" -f demo/order_details.sql >$work/order_details.csv
"${psql[@]}" -d "$source_database" -c '\dt' -P footer=off
echo "$work/order_details.csv: $(wc -l <$work/order_details.csv) lines"

# --- the job, for one day

extract() {
    run "tap-csv --config demo/order_details.json \\
    | target-csv --set output_path=$lake --set source=csv --set datestamp=$1 >>$work/state"
    run "tap-postgres --config $work/source.json \\
    | target-csv --set output_path=$lake --set source=postgres --set datestamp=$1 >>$work/state"
}
load() {
    run "tap-lake --set output=$lake --set datestamp=$1 \\
    | target-postgres --config $work/target.json --set default_target_schema=$2 \\
        --set load_method=$3 >>$work/state"
}
sums() { find $lake -path '*/source=*' -name '*.csv' -exec sha256sum {} + | sort -k 2; }
fingerprint() { # changes whenever a row is written, even with the same values
    local table
    for table in $("${psql[@]}" -At -d "$target_database" -c \
        "SELECT quote_ident(relname) FROM pg_class WHERE relkind = 'r'
         AND relnamespace = 'public'::regnamespace ORDER BY 1"); do
        "${psql[@]}" -At -d "$target_database" -c \
            "SELECT '$table', count(*), md5(string_agg(t::text || t.xmin || t.ctid, '|' ORDER BY ctid))
             FROM public.$table AS t"
    done
}

say "Extract both sources into the folders of $day"
extract $day
find $lake -path '*/source=*' -name '*.csv' | sort

say "Load the day into one database, and ask what needs both sources"
load $day public overwrite
run 'psql -X -d "$WAREHOUSE" -f demo/joined.sql'

say "The same day again: nothing changes"
sums >$work/before
before=$(fingerprint)
extract $day
load $day public overwrite
sums >$work/after
cmp $work/before $work/after || fail "a data file changed"
[[ $before == "$(fingerprint)" ]] || fail "a table changed"
echo "every data file is byte for byte the same; no row of the tables was touched"

say "An older day: a backfill; a table that keeps every day, each replaced on its own"
extract $older
load $older history replace-partition
load $day history replace-partition
run 'psql -X -d "$WAREHOUSE" \
    -c "SELECT _sdc_datestamp, count(*) FROM history.orders GROUP BY 1 ORDER BY 1"'

say "A contract protects people: the columns it names are protected before anything is written"
TAP_POSTGRES_PROTECT_KEY=$(head -c 32 /dev/urandom | base64)
export TAP_POSTGRES_PROTECT_KEY
run "tap-postgres --config $work/source.json --config ENV --set tables='[\"public.customers\"]' \\
    --set contracts='[\"demo/customers.odcs.yaml\"]' \\
    | target-postgres --config $work/target.json --set default_target_schema=protected >>$work/state"
run 'psql -X -d "$WAREHOUSE" \
    -c "SELECT customer_id, contact_name, postal_code, phone FROM protected.customers LIMIT 3"'
"${psql[@]}" -At -d "$source_database" -c \
    "SELECT v FROM customers, unnest(array[contact_name, address, phone]) AS v
     WHERE length(v) > 5" >$work/personal
"${psql[@]}" -At -d "$target_database" -c "SELECT t::text FROM protected.customers AS t" >$work/protected
! grep -qFf $work/personal $work/protected || fail "a protected value is in the table"
echo "none of $(wc -l <$work/personal) names, addresses and phones is in the table"
rm $work/personal $work/protected

say "Done"
cat <<END
Two sources, two days and a rerun: $(sums | wc -l) data files below $lake, and in the target
database the tables of $day (schema public), of both days (schema history), and the customers
with protected columns (schema protected).
$work has the folders, the settings and the states; a private cluster is gone again.
END
