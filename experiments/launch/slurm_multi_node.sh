#!/bin/bash
# One run on several nodes, one process per node with all GPUs of the node.
#   sbatch --nodes=4 experiments/launch/slurm_multi_node.sh train fbpaug paper --workdir /shared/runs
# For one process per GPU: sbatch --nodes=4 --ntasks-per-node=8 --cpus-per-task=8 ...
#SBATCH --job-name=jaxmed
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=64
#SBATCH --exclusive
#SBATCH --time=12:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%j.log
#SBATCH --signal=B:USR1@180
set -uo pipefail

# JAX gives a process on SLURM the one GPU of its number on the node, unless it is told which.
if ((SLURM_NTASKS == SLURM_JOB_NUM_NODES)) && [[ -n "${SLURM_GPUS_ON_NODE:-}" ]]; then
    JAX_LOCAL_DEVICE_IDS=$(seq --separator=, 0 $((SLURM_GPUS_ON_NODE - 1)))
    export JAX_LOCAL_DEVICE_IDS
fi
# gRPC would look for the other nodes through a proxy.
unset http_proxy https_proxy HTTP_PROXY HTTPS_PROXY

out_of_time=0
# USR1 comes 180 s before the time limit, to this script alone; TERM then makes the run save and end with code 0.
trap 'out_of_time=1; scancel --signal=TERM "$SLURM_JOB_ID"' USR1

srun --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" --kill-on-bad-exit=1 python -m experiments "$@" &
wait "$!"
code=$?
# The trap interrupts the first wait; the second one waits for the checkpoint.
if ((out_of_time)); then
    wait "$!"
    code=$?
    if ((code == 0)); then scontrol requeue "$SLURM_JOB_ID"; fi
fi
exit "$code"
