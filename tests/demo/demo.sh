#!/bin/bash
# SPDX-License-Identifier: MIT
# Shows the main job in half a minute: Azurite as the storage service, a real rsyslogd, the daemon with
# three hooks, the messages that Custom Vision posts, and what comes of them. Leaves nothing behind.
# usage: demo.sh [CVNOTIFYD, default build/release/cvnotifyd]
set -u
cd "$(dirname "$0")/../.." || exit 1
program=$(realpath "${1:-build/release/cvnotifyd}")
[ -x "$program" ] || { echo "demo: no program at $program: run make" >&2; exit 1; }
azurite=$PWD/tests/node_modules/.bin/azurite
export PYTHONDONTWRITEBYTECODE=1

DEMO=$(mktemp -d /tmp/cvn-demo-XXXXXX) || exit 1
DEMO_SCRIPTS=$PWD/tests/demo
export DEMO DEMO_SCRIPTS
pids=()
queue=cv-events

# Ends what was started, last first, and removes the demo's folder.
cleanup() {
    local i
    for ((i = ${#pids[@]} - 1; i >= 0; i--)); do
        kill "${pids[i]}" 2>/dev/null
        wait "${pids[i]}" 2>/dev/null
    done
    rm -rf "$DEMO"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

if [ -t 1 ]; then bold=$'\e[1m' plain=$'\e[0m'; else bold='' plain=''; fi
title() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }
indent() { sed 's/^/  /' "$@"; }
lines() { wc -l 2>/dev/null <"$1" || echo 0; }
sdk() { /usr/bin/python3 tests/demo/post.py "$1" "$port" "$queue" "${@:2}"; }

# Waits up to half a minute for a condition; ends the demo if it does not come.
await() {
    local what=$1 i
    shift
    for ((i = 0; i < 300; i++)); do
        "$@" && return 0
        sleep 0.1
    done
    echo "demo: $what did not come; the daemon's log:" >&2
    tail -n 40 "$DEMO/daemon.log" >&2
    exit 1
}

# Three free ports for Azurite.
read -r blob port table < <(/usr/bin/python3 -c '
import socket
s = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
print(*(x.getsockname()[1] for x in s))')
export DEMO_QUEUE_URL=http://127.0.0.1:$port/devstoreaccount1/$queue

title "1. The storage service: Azurite on 127.0.0.1:$port, with a queue \"$queue\""
"$azurite" --silent --inMemoryPersistence --disableTelemetry --blobPort "$blob" --queuePort "$port" --tablePort "$table" \
    >"$DEMO/azurite.log" 2>&1 &
pids+=($!)
answers() { (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; }
await "Azurite" answers
sdk prepare "$DEMO/queue.sas" || exit 1

title "2. The system log: rsyslogd on a socket of its own"
cat >"$DEMO/rsyslog.conf" <<CONF
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="$DEMO/log.sock")
template(name="demo" type="string" string="%syslogfacility-text%.%syslogseverity-text% %syslogtag%%msg%\n")
*.* action(type="omfile" file="$DEMO/syslog" template="demo")
CONF
PATH=$PATH:/usr/sbin rsyslogd -n -f "$DEMO/rsyslog.conf" -i "$DEMO/rsyslogd.pid" >"$DEMO/rsyslogd.log" 2>&1 &
pids+=($!)
await "rsyslogd" test -S "$DEMO/log.sock"

title "3. The daemon, configured by tests/demo/cvnotifyd.yaml"
indent tests/demo/cvnotifyd.yaml
mkdir "$DEMO/state"
"$program" -c tests/demo/cvnotifyd.yaml >"$DEMO/daemon.log" 2>&1 &
daemon=$!
pids+=("$daemon")

title "4. What Custom Vision posts: each kind of message, plain and in base64 (Azure SDK for Python)"
sdk post || exit 1

# Two of each event: two exports completed, eight trainings and exports, four failures.
everything() { [ "$(lines "$DEMO/deployed")" -eq 2 ] && [ "$(lines "$DEMO/events.jsonl")" -eq 8 ] && [ "$(lines "$DEMO/syslog")" -eq 4 ]; }
await "what should come of the messages" everything
is_empty() { [ "$(sdk count)" = 0 ]; }
await "the queue's end" is_empty

title "5. The script ran for each completed export, and said:"
grep -o 'deploying iteration[^"]*' "$DEMO/daemon.log" | indent

title "6. The file has a line for each training and export:"
cut -c 1-150 "$DEMO/events.jsonl" | sed 's/$/.../' | indent

title "7. The system log has a line for each failure:"
indent "$DEMO/syslog"

title "8. The queue holds:"
echo "  $(sdk count) messages"

kill "$daemon"
wait "$daemon"
status=$?
unset 'pids[-1]'
title "9. The daemon, told to stop, ended with status $status."
exit "$status"
