#!/bin/bash
# One run on several machines that ssh reaches, one process on each; the first one coordinates.
#   experiments/launch/ssh_hosts.sh "node1 node2" train fbpaug paper --workdir /shared/runs
# PORT is the coordinator's port; FOLDER (this one) and PYTHON (python) must be the same everywhere.
set -uo pipefail

read -r -a nodes <<<"$1"
shift
port=${PORT:-12355}
folder=${FOLDER:-$PWD}
pid_file=.cache/jaxmed/process-$port
pids=()

run_on() { # node, then the words of a command
    local node=$1
    shift
    ssh -o BatchMode=yes "$node" "$(printf '%q ' "$@")"
}

# A signal to one process makes all of them save and end after the same step.
trap 'run_on "${nodes[0]}" sh -c "kill -TERM \$(cat ~/$pid_file-0)"' TERM INT

for index in "${!nodes[@]}"; do
    # The shell notes its number, which the program then takes over.
    run_on "${nodes[$index]}" sh -c 'mkdir -p ~/.cache/jaxmed && echo $$ >~/"$1" && cd "$2" && shift 2 && exec "$@"' \
        sh "$pid_file-$index" "$folder" "${PYTHON:-python}" -m experiments "$@" --hosts.coordinator "${nodes[0]}:$port" \
        --hosts.num-processes "${#nodes[@]}" --hosts.process-id "$index" &
    pids+=("$!")
done

code=0
for pid in "${pids[@]}"; do
    wait "$pid"
    ended=$?
    # Above 128 the wait, or the process, was ended by a signal; a process that still runs is waited for.
    while kill -0 "$pid" 2>/dev/null; do
        wait "$pid"
        ended=$?
    done
    if ((ended && !code)); then code=$ended; fi
done
exit "$code"
