#!/bin/bash
# One run per task of a SLURM job array: seeds, or with FIELD=fold the folds of a cross-validation.
#   sbatch --array=0-4 experiments/launch/slurm_array.sh train fbpaug paper --workdir /shared/runs
#SBATCH --job-name=jaxmed
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=8
#SBATCH --gpus=1
#SBATCH --time=12:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=%x-%A_%a.log
#SBATCH --signal=B:USR1@180
set -uo pipefail

job="${SLURM_ARRAY_JOB_ID}_${SLURM_ARRAY_TASK_ID}"
out_of_time=0
# USR1 comes 180 s before the time limit, to this script alone; TERM then makes the run save and end with code 0.
trap 'out_of_time=1; scancel --signal=TERM "$job"' USR1

srun --cpus-per-task="${SLURM_CPUS_PER_TASK:-1}" python -m experiments "$@" "--${FIELD:-seed}" "$SLURM_ARRAY_TASK_ID" &
wait "$!"
code=$?
# The trap interrupts the first wait; the second one waits for the checkpoint.
if ((out_of_time)); then
    wait "$!"
    code=$?
    if ((code == 0)); then scontrol requeue "$job"; fi
fi
exit "$code"
