#!/usr/bin/env bash
# PostgreSQL and Redis for the tests, private to DIR, on free ports of the loopback. Nothing here outlives `stop`, and nothing is
# worth keeping: fsync is off. As root, PostgreSQL runs in a user namespace of its own, since it refuses to run as root.
#
#   tests/servers.sh start DIR   starts what does not answer, then prints the two variables that the tests read
#   tests/servers.sh stop DIR    stops both and removes DIR
#   tests/servers.sh watch DIR PID   returns at once; stops both when the process PID has ended
#   tests/servers.sh exec DIR PROGRAM ARGUMENTS...   becomes this program of PostgreSQL or Redis, as an ordinary user
set -euo pipefail

command=${1:?start, stop, watch or exec}
mkdir -p "${2:?a directory}"
dir=$(cd "$2" && pwd)
# macOS has no setsid: there a Ctrl-C in the terminal reaches the servers too, which does no harm.
setsid=$(command -v setsid || true)

find_binary() {
    local name=$1 found
    found=$(ls -d "${PG_BIN:-/nonexistent}/$name" "$(command -v "$name" 2>/dev/null || true)" \
        /usr/lib/postgresql/*/bin/"$name" /opt/homebrew/opt/postgresql*/bin/"$name" 2>/dev/null | head -n 1 || true)
    if [ -z "$found" ]; then
        echo "$name is missing: install PostgreSQL and Redis (Debian: apt-get install postgresql redis-server; macOS: brew install postgresql@15 redis)" >&2
        exit 1
    fi
    echo "$found"
}

# `unprivileged exec ...` takes the place of the shell, so that its process id is the server's.
unprivileged() {
    local first=
    if [ "$1" = exec ]; then
        first=exec
        shift
    fi
    if [ "$(id -u)" = 0 ]; then set -- env HOME=/nonexistent unshare --user "$@"; fi
    $first "$@"
}

# A process that has ended but was not yet reaped is not alive.
is_alive() {
    case "$(ps -o stat= -p "$1" 2>/dev/null)" in '' | Z*) return 1 ;; esac
}

answers() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Below the range that the system hands out by itself, so that no client's own port is hit.
free_port() {
    local port
    while :; do
        port=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
        answers "$port" || { echo "$port"; return; }
    done
}

wait_for() {
    for _ in $(seq 300); do
        answers "$1" && return 0
        sleep 0.05
    done
    return 1
}

start_postgres() {
    local initdb postgres port
    initdb=$(find_binary initdb)
    postgres=$(find_binary postgres)
    if [ ! -f "$dir/pg/PG_VERSION" ]; then
        rm -rf "$dir/pg"
        unprivileged "$initdb" -D "$dir/pg" -U grapevine -A trust --no-sync --locale=C -E UTF8 >"$dir/initdb.log" 2>&1
    fi
    for _ in 1 2 3 4 5; do
        port=$(free_port)
        unprivileged exec $setsid "$postgres" -D "$dir/pg" -p "$port" -k '' -c listen_addresses=127.0.0.1 -c max_connections=300 \
            -c fsync=off -c synchronous_commit=off -c full_page_writes=off -c shared_buffers=128MB -c timezone=UTC \
            -c jit=off >"$dir/postgres.log" 2>&1 </dev/null &
        echo $! >"$dir/postgres.pid"
        if wait_for "$port" && is_alive "$(cat "$dir/postgres.pid")"; then
            echo "$port" >"$dir/postgres.port"
            return 0
        fi
    done
    cat "$dir/postgres.log" >&2
    exit 1
}

start_redis() {
    local redis port
    redis=$(find_binary redis-server)
    for _ in 1 2 3 4 5; do
        port=$(free_port)
        $setsid "$redis" --port "$port" --bind 127.0.0.1 --save '' --appendonly no --dir "$dir" \
            >"$dir/redis.log" 2>&1 </dev/null &
        echo $! >"$dir/redis.pid"
        if wait_for "$port" && is_alive "$(cat "$dir/redis.pid")"; then
            echo "$port" >"$dir/redis.port"
            return 0
        fi
    done
    cat "$dir/redis.log" >&2
    exit 1
}

is_up() {
    [ -f "$dir/$1.port" ] && is_alive "$(cat "$dir/$1.pid")" && answers "$(cat "$dir/$1.port")"
}

stop_one() {
    if [ -f "$dir/$1.pid" ]; then
        local pid
        pid=$(cat "$dir/$1.pid")
        kill "-$2" "$pid" 2>/dev/null || return 0
        for _ in $(seq 100); do
            is_alive "$pid" || return 0
            sleep 0.05
        done
        kill -9 "$pid" 2>/dev/null || true
    fi
}

case $command in
start)
    is_up postgres || start_postgres
    is_up redis || start_redis
    echo "export GRAPEVINE_TEST_DATABASE_URL=postgres://grapevine@127.0.0.1:$(cat "$dir/postgres.port")/postgres"
    echo "export GRAPEVINE_TEST_REDIS_URL=redis://127.0.0.1:$(cat "$dir/redis.port")"
    ;;
stop)
    stop_one postgres QUIT
    stop_one redis TERM
    if [ -d "$dir/disk" ]; then umount -l "$dir/disk" 2>/dev/null || true; fi
    rm -rf "$dir"
    ;;
watch)
    script=$(cd "$(dirname "$0")" && pwd)/$(basename "$0")
    $setsid bash -c "while kill -0 $3 2>/dev/null; do sleep 1; done; exec bash '$script' stop '$dir'" >/dev/null 2>&1 </dev/null &
    ;;
exec)
    program=$(find_binary "$3")
    shift 3
    unprivileged exec "$program" "$@"
    ;;
*)
    echo "start, stop, watch or exec" >&2
    exit 2
    ;;
esac
