#!/bin/bash
# One run as the processes of an Open MPI job; mpirun only starts them, JAX does the communication.
#   experiments/launch/open_mpi.sh -np 4 --host node1:2,node2:2 -- train fbpaug paper --workdir /shared/runs
# COORDINATOR is the machine of process 0 (by default this one), PORT its port.
set -uo pipefail

mpi=()
while (($#)) && [[ "$1" != -- ]]; do
    mpi+=("$1")
    shift
done
shift

coordinator=${COORDINATOR:-$(hostname)}:${PORT:-12355}
# shellcheck disable=SC2016 # every process reads its own number
exec mpirun "${mpi[@]}" bash -c 'exec python -m experiments "$@" \
    --hosts.num-processes "$OMPI_COMM_WORLD_SIZE" --hosts.process-id "$OMPI_COMM_WORLD_RANK"' \
    bash "$@" --hosts.coordinator "$coordinator"
