"""Command line: python -m experiments <verb> <paper> [...]; `--help` after a verb or a paper tells more."""

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from data_pipelines.cache import BuildError
from data_pipelines.pipeline import LoadError
from data_pipelines.readers.errors import ReadError
from experiments.verbs import command_line, errors, papers
from experiments.verbs.errors import UserError
from experiments.verbs.options import RunOptions
from experiments.verbs.training import StoppedError
from jaxmed.train import host, hosts
from jaxmed.train.checkpoint_errors import CheckpointError
from jaxmed.train.guard import NonFiniteError
from jaxmed.train.memory import OutOfMemoryError

USAGE = """usage: python -m experiments <verb> [...] [--help]

  list                                      the papers, their presets, methods and tables
  prepare    <paper> <preset> [options]     fill the cache of prepared volumes, ahead of the first run
  train      <paper> <preset> [options]     train and evaluate one config
  table      <paper> <table> [options]      run what is missing of a table, set the paper beside ours
  bench      <paper> <preset> [options]     time and cost of the training step
  bench      --all | --compare A B          every paper at a preset; two measurements side by side
  sample     <paper> [<preset>] [options]   pictures
  predict    <paper> --run R --input F --output G
  export     <paper> --run R --output D     the trained network as a program and weights, for use anywhere
  check-data <paper> --data-dir D           read every file, report what is there and what is wrong
"""

VERBS = ("list", "prepare", "train", "table", "bench", "sample", "predict", "export", "check-data")

_FAILURES = (ReadError, BuildError, LoadError, CheckpointError, NonFiniteError, OutOfMemoryError)
"""What can go wrong with data, disks and devices: said in one line."""


def main(arguments: Sequence[str]) -> int:
    """Carries out one command.

    Returns:
        The exit code: 0, also for a run that was asked to stop and has saved its state; 1 if data, disk or
        devices fail; 2 if the command cannot be carried out as it stands; 130 after Ctrl-C. All but 0 after
        one line on standard error.
    """
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE)
        return 0 if arguments else 2
    try:
        return _dispatch(arguments[0], list(arguments[1:]))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except StoppedError as stopped:
        print(stopped, file=sys.stderr)
        return 0
    except _FAILURES as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the same command goes on from what is saved", file=sys.stderr)
        return 128 + signal.SIGINT
    except BrokenPipeError:
        # Whoever was reading, such as `head`, has seen enough; nothing more can be written, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.filename is None:  # nothing that a user could look at
            raise
        print(f"error: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1


def _dispatch(verb: str, rest: list[str]) -> int:
    errors.choose("verb", verb, VERBS)
    if verb == "list":
        from experiments.verbs import list_papers

        return list_papers.list_papers()
    if verb == "bench" and rest and rest[0] in ("--all", "--compare"):
        from experiments.verbs import bench_all

        return bench_all.without_paper(rest)
    if not rest or rest[0].startswith("-"):
        raise UserError(f"{verb} needs a paper: {', '.join(papers.paper_names())}")
    return _HANDLERS[verb](rest[0], rest[1:])


def _prepare(options: RunOptions | None = None) -> None:
    """Sets up this process, and connects it to the others of its run, before JAX uses a device."""
    if options is not None:
        try:
            if options.deterministic:
                host.make_deterministic()
            hosts.initialize(options.hosts)
        except (ValueError, OSError, RuntimeError) as error:
            raise UserError(str(error)) from error
    host.tune_malloc()
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")).expanduser() / "jaxmed" / "xla"
    try:
        host.enable_compilation_cache(cache)
    except OSError as error:
        print(f"warning: programs are compiled anew at every start: {error}", file=sys.stderr)


def _train(paper: str, rest: list[str]) -> int:
    from experiments.verbs import train

    preset, parsed = _with_preset("train", paper, rest, train.TrainOptions())
    return train.train(paper, preset, parsed["config"], parsed["options"])


def _prepare_data(paper: str, rest: list[str]) -> int:
    from experiments.verbs import prepare

    preset, parsed = _with_preset("prepare", paper, rest, prepare.PrepareOptions())
    return prepare.prepare(paper, preset, parsed["config"], parsed["options"])


def _bench(paper: str, rest: list[str]) -> int:
    from experiments.verbs import bench

    preset, parsed = _with_preset("bench", paper, rest, bench.BenchOptions())
    return bench.bench(paper, preset, parsed["config"], parsed["options"])


def _table(paper: str, rest: list[str]) -> int:
    from experiments.verbs import table

    experiment = papers.find_paper(paper)
    name = _positional("table", rest, experiment.tables)
    preset = _preset_option(rest[1:])
    config = papers.find_preset(experiment, preset)
    program = f"python -m experiments table {paper} {name}"
    parsed = command_line.parse(program, {"options": table.TableOptions(), "config": config}, rest[1:])
    _prepare(parsed["options"])
    return table.table(paper, name, parsed["config"], parsed["options"])


def _sample(paper: str, rest: list[str]) -> int:
    from experiments.verbs import sample

    preset = "paper"
    if rest and not rest[0].startswith("-"):
        preset = rest.pop(0)
    config = papers.find_preset(papers.find_paper(paper), preset)
    program = f"python -m experiments sample {paper} {preset}"
    parsed = command_line.parse(program, {"options": sample.SampleOptions(), "config": config}, rest)
    _prepare()
    return sample.sample(paper, parsed["config"], parsed["options"])


def _predict(paper: str, rest: list[str]) -> int:
    from experiments.verbs import predict

    papers.find_paper(paper)
    program = f"python -m experiments predict {paper}"
    parsed = command_line.parse(program, {"options": predict.PredictOptions}, rest)
    _prepare()
    return predict.predict(paper, parsed["options"])


def _export(paper: str, rest: list[str]) -> int:
    from experiments.verbs import export

    papers.find_paper(paper)
    program = f"python -m experiments export {paper}"
    parsed = command_line.parse(program, {"options": export.ExportOptions}, rest)
    _prepare()
    return export.export(paper, parsed["options"])


def _check_data(paper: str, rest: list[str]) -> int:
    from experiments.verbs import check_data

    config = papers.find_preset(papers.find_paper(paper), "paper")
    program = f"python -m experiments check-data {paper}"
    parsed = command_line.parse(program, {"options": check_data.CheckDataOptions, "config": config}, rest)
    return check_data.check_data(paper, parsed["config"], parsed["options"])


def _with_preset(verb: str, paper: str, rest: list[str], options) -> tuple[str, dict]:
    """Reads `<preset> [options]`: the options of the run and the fields of the config."""
    experiment = papers.find_paper(paper)
    preset = _positional("preset", rest, experiment.presets)
    config = papers.find_preset(experiment, preset)
    program = f"python -m experiments {verb} {paper} {preset}"
    parsed = command_line.parse(program, {"options": options, "config": config}, rest[1:])
    _prepare(parsed["options"] if isinstance(parsed["options"], RunOptions) else None)
    return preset, parsed


def _positional(kind: str, rest: list[str], known) -> str:
    if not rest or rest[0].startswith("-"):
        raise UserError(f"a {kind} is missing; known: {', '.join(known)}")
    return errors.choose(kind, rest[0], known)


def _preset_option(rest: list[str]) -> str:
    """The value of --preset, which decides the defaults of all other options."""
    for position, argument in enumerate(rest):
        if argument == "--preset" and position + 1 < len(rest):
            return rest[position + 1]
        if argument.startswith("--preset="):
            return argument.removeprefix("--preset=")
    return "demo"


_HANDLERS = {
    "prepare": _prepare_data,
    "train": _train,
    "table": _table,
    "bench": _bench,
    "sample": _sample,
    "predict": _predict,
    "export": _export,
    "check-data": _check_data,
}


def _stop(number: int, frame: object) -> None:
    """Ends on SIGTERM outside of the training loop: every file is written whole or not at all."""
    print("asked to stop; the same command goes on from what is saved", file=sys.stderr)
    raise SystemExit(0)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _stop)
    hosts.leave(main(sys.argv[1:]))
