#!/usr/bin/env bash
# What an import of members costs: rows per second and peak memory of the process, for a shuffled file and for the same file again, on
# an optimised build and a private PostgreSQL as `grapevine up` runs it. Ends with every invariant checked.
# usage: bench/import.sh [ROWS]
set -euo pipefail
cd "$(dirname "$0")/.."
rows=${1:-1000000}

cargo build --release --locked --bin grapevine
grapevine=${CARGO_TARGET_DIR:-$PWD/target}/release/grapevine
folder=$(mktemp -d)
server=
stop() {
    if [ -n "$server" ]; then kill "$server" 2>/dev/null && wait "$server" || true; fi
    rm -rf "$folder"
}
trap stop EXIT

# A tenth are roots, the others prefer early referrers, so that trees are broad and deep; ten in a thousand rows are bad in some way.
awk -v rows="$rows" 'BEGIN {
    srand(42)
    for (i = 0; i < rows; i++) {
        referrer = i == 0 || rand() < 0.1 ? "" : "user-" int(i * rand() ^ 2)
        day = "2025-01-01T00:00:00Z"
        bad = int(rand() * 1000)
        if (bad == 0) referrer = "user-" i
        else if (bad < 5) referrer = "nobody-" i
        else if (bad < 8) day = "2024-12-31"
        else if (bad == 8) day = "yesterday"
        else if (bad == 9) { referrer = "user-" i + 1; mutual = i + 1 }
        if (i && i == mutual) referrer = "user-" i - 1
        printf "%d\tuser-%d,%s,%s\n", rand() * 1e9, i, referrer, day
    }
}' | LC_ALL=C sort -n | cut -f 2 >"$folder/rows"
(echo external_id,referrer_external_id,joined_at && cat "$folder/rows") >"$folder/members.csv"
rm "$folder/rows"

# 8080 may be taken: any free port will do, since nobody calls it.
export GRAPEVINE_DATA_DIR=$folder/data GRAPEVINE_LISTEN=127.0.0.1:0 GRAPEVINE_LOG=warn
unset DATABASE_URL REDIS_URL
"$grapevine" up >"$folder/up.log" 2>&1 &
server=$!
until grep -q 'Grapevine is up' "$folder/up.log"; do
    kill -0 "$server" 2>/dev/null || { cat "$folder/up.log" >&2 && exit 1; }
    sleep 0.2
done

# Kibibytes of the process at their highest, as far as sampling sees it.
peak() {
    local most=0 now
    while kill -0 "$1" 2>/dev/null; do
        now=$(ps -o rss= -p "$1" | tr -d ' ')
        if [ "${now:-0}" -gt "$most" ]; then most=$now; fi
        sleep 0.1
    done
    echo "$most"
}

measure() {
    local started seconds memory
    started=$(date +%s)
    "$grapevine" import members "$folder/members.csv" --json >"$folder/summary.json" &
    memory=$(peak $!)
    wait $!
    seconds=$(($(date +%s) - started))
    [ "$seconds" -gt 0 ] || seconds=1
    echo "$1: $rows rows in ${seconds} s, $((rows / seconds)) rows/s, peak memory $((memory / 1024)) MiB"
    cat "$folder/summary.json"
}

measure "first import"
measure "same file again"
"$grapevine" verify
