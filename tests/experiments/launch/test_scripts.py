"""The scripts, run by bash with stand-ins for the cluster's commands; what they start must be understood."""

import os
import re
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest

from experiments.verbs import command_line, papers
from experiments.verbs.train import TrainOptions

FOLDER = Path(__file__).parents[3] / "experiments" / "launch"
SCRIPTS = sorted(FOLDER.glob("*.sh"))
RUN = ["train", "fbpaug", "tiny", "--workdir", "a folder"]

NOTE = 'printf "%s\\n" "$(basename "$0") $*" >>"$LOG"\n'
STAND_INS = {
    "python": 'printf "%s\\0" "$@" >"$LOG.$$.python"\nenv >"$LOG.$$.environment"\n',
    "srun": NOTE + 'while [[ "$1" == -* ]]; do shift; done\n"$@"\n',
    "scontrol": NOTE,
    "scancel": NOTE + 'kill -TERM "$(cat "$LOG.pid")"\n',
    "hostname": "echo here\n",
    # Like ssh, it joins its words and gives them to the shell of the other machine.
    "ssh": NOTE + 'while [[ "$1" == -* ]]; do shift 2; done\nshift\nsh -c "$*"\n',
    "mpirun": NOTE
    + 'while [[ "$1" != bash ]]; do shift; done\n'
    + 'for rank in 0 1; do OMPI_COMM_WORLD_SIZE=2 OMPI_COMM_WORLD_RANK=$rank "$@"; done\n',
}
STOPS_ON_TERM = 'trap "exit ${CODE:-0}" TERM\necho $$ >"$LOG.pid"\nwhile :; do sleep 0.05; done\n'


@pytest.fixture
def cluster(tmp_path):
    """`cluster(script, *arguments, **variables)` starts a script; `cluster.log` notes what it calls."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, body in STAND_INS.items():
        (folder / name).write_text("#!/bin/bash\n" + body)
        (folder / name).chmod(0o755)

    def start(script, *arguments, stand_ins=(), **variables):
        for name, body in dict(stand_ins).items():
            (folder / name).write_text("#!/bin/bash\n" + body)
        environment = {"PATH": f"{folder}:{os.environ['PATH']}", "LOG": str(start.log), "HOME": str(tmp_path)}
        command = ["bash", str(FOLDER / script), *arguments]
        return subprocess.Popen(command, env=environment | variables, cwd=tmp_path, start_new_session=True)

    start.log = tmp_path / "log"
    return start


def started_programs(log):
    """The arguments of each `python` that was started, and its environment, in order of the start."""
    files = sorted(log.parent.glob("log.*.python"), key=lambda file: file.stat().st_mtime_ns)
    environments = [file.with_suffix(".environment").read_text().splitlines() for file in files]
    return [file.read_text().split("\0")[:-1] for file in files], environments


def understood(arguments):
    """The options of `python -m experiments train ...`, read as the program reads them."""
    module, verb, paper, preset, *rest = arguments
    assert (module, verb) == ("experiments", "train")
    config = papers.find_preset(papers.find_paper(paper), preset)
    return command_line.parse("train", {"options": TrainOptions(), "config": config}, rest)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_script_is_bash(script):
    subprocess.run(["bash", "-n", script], check=True)
    assert os.access(script, os.X_OK)


@pytest.mark.parametrize(("field", "seed", "fold"), [("seed", 2, 0), ("fold", 0, 2)])
def test_array_runs_one_seed_or_fold_per_task(cluster, field, seed, fold):
    variables = {"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "2", "FIELD": field}
    assert cluster("slurm_array.sh", *RUN, **variables).wait(60) == 0
    ((_, *arguments),), _ = started_programs(cluster.log)
    parsed = understood(arguments)
    assert (parsed["options"].seed, parsed["config"].fold) == (seed, fold)
    assert parsed["options"].workdir == Path("a folder")
    assert "scontrol" not in cluster.log.read_text()


ARRAY = ("slurm_array.sh", {"SLURM_ARRAY_JOB_ID": "7", "SLURM_ARRAY_TASK_ID": "3"}, "7_3")
NODES = ("slurm_multi_node.sh", {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "2", "SLURM_JOB_NUM_NODES": "2"}, "7")


@pytest.mark.parametrize(("script", "variables", "job"), [ARRAY, NODES])
@pytest.mark.parametrize("code", [0, 1])
def test_job_out_of_time_is_queued_again_if_it_saved(cluster, script, variables, job, code):
    process = cluster(script, *RUN, stand_ins={"python": STOPS_ON_TERM}, CODE=str(code), **variables)
    try:
        while not Path(f"{cluster.log}.pid").exists():
            time.sleep(0.02)
        process.send_signal(signal.SIGUSR1)
        assert process.wait(60) == code
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    calls = cluster.log.read_text().splitlines()[1:]
    assert calls == [f"scancel --signal=TERM {job}", *([] if code else [f"scontrol requeue {job}"])]


@pytest.mark.parametrize(("tasks", "devices"), [(2, "0,1,2,3"), (8, None)])
def test_process_per_node_gets_all_gpus_of_the_node(cluster, tasks, devices):
    variables = {"SLURM_JOB_ID": "7", "SLURM_NTASKS": str(tasks), "SLURM_JOB_NUM_NODES": "2"}
    variables |= {"SLURM_GPUS_ON_NODE": "4", "https_proxy": "http://proxy:1"}
    assert cluster("slurm_multi_node.sh", *RUN, **variables).wait(60) == 0
    ((_, *arguments),), (environment,) = started_programs(cluster.log)
    assert understood(arguments)["options"].workdir == Path("a folder")
    found = dict(line.split("=", 1) for line in environment if "=" in line)
    assert found.get("JAX_LOCAL_DEVICE_IDS") == devices
    assert "https_proxy" not in found


@pytest.mark.parametrize("script", ["ssh_hosts.sh", "open_mpi.sh"])
def test_every_process_gets_its_number(cluster, tmp_path, script):
    before = {"ssh_hosts.sh": ["node1 node2"], "open_mpi.sh": ["-np", "2", "--"]}[script]
    assert cluster(script, *before, *RUN, PORT="4567", FOLDER=str(tmp_path)).wait(60) == 0
    programs, _ = started_programs(cluster.log)
    options = [understood(arguments)["options"] for _, *arguments in programs]
    assert {option.workdir for option in options} == {Path("a folder")}
    coordinator = {"ssh_hosts.sh": "node1:4567", "open_mpi.sh": "here:4567"}[script]
    found = {
        (option.hosts.coordinator, option.hosts.num_processes, option.hosts.process_id) for option in options
    }
    assert found == {(coordinator, 2, 0), (coordinator, 2, 1)}


def test_ssh_passes_a_stop_on_and_gives_the_first_failure(cluster, tmp_path):
    variables = {"FOLDER": str(tmp_path), "CODE": "5"}
    process = cluster("ssh_hosts.sh", "node1", *RUN, stand_ins={"python": STOPS_ON_TERM}, **variables)
    try:
        while not Path(f"{cluster.log}.pid").exists():
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 5
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)


def documented_commands():
    text = (FOLDER / "README.md").read_text() + "".join(script.read_text() for script in SCRIPTS)
    command = r"(?:^|#   |&& )((?:FIELD|sbatch|experiments/launch|python -m)\b[^\n\"]* train [^\n\"]*)"
    return re.findall(command, text, re.MULTILINE)


def test_documented_commands_are_understood():
    commands = documented_commands()
    assert len(commands) >= 8
    for command in commands:
        words = shlex.split(command)
        assert understood(["experiments", *words[words.index("train") :]])["options"].workdir, command
        assert all((FOLDER.parents[1] / word).is_file() for word in words if word.endswith(".sh")), command
