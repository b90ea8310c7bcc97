"""Command line: python -m experiments <verb> <paper> [...]; `--help` after a verb or a paper tells more."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from data_pipelines.cache import BuildError
from data_pipelines.pipeline import LoadError
from data_pipelines.readers.errors import ReadError
from experiments.verbs import command_line, errors, papers
from experiments.verbs.errors import UserError
from jaxmed.train import host

USAGE = """usage: python -m experiments <verb> [...] [--help]

  list                                      the papers, their presets, methods and tables
  train      <paper> <preset> [options]     train and evaluate one config
  table      <paper> <table> [options]      run what is missing of a table, set the paper beside ours
  bench      <paper> <preset> [options]     time and cost of the training step
  sample     <paper> [<preset>] [options]   pictures
  predict    <paper> --run R --input F --output G
  check-data <paper> --data-dir D           read every file, report what is there and what is wrong
"""

VERBS = ("list", "train", "table", "bench", "sample", "predict", "check-data")


def main(arguments: Sequence[str]) -> int:
    """Carries out one command.

    Returns:
        The exit code: 0; 1 if data are wrong; 2 if the command cannot be understood. Both after one line
        on standard error.
    """
    if not arguments or arguments[0] in ("-h", "--help"):
        print(USAGE)
        return 0 if arguments else 2
    try:
        return _dispatch(arguments[0], list(arguments[1:]))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except (ReadError, BuildError, LoadError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        # Whoever was reading, such as `head`, has seen enough; nothing more can be written, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _dispatch(verb: str, rest: list[str]) -> int:
    errors.choose("verb", verb, VERBS)
    if verb == "list":
        from experiments.verbs import list_papers

        return list_papers.list_papers()
    if not rest or rest[0].startswith("-"):
        raise UserError(f"{verb} needs a paper: {', '.join(papers.paper_names())}")
    return _HANDLERS[verb](rest[0], rest[1:])


def _prepare_host() -> None:
    host.tune_malloc()
    cache = os.environ.get("XDG_CACHE_HOME", "~/.cache")
    host.enable_compilation_cache(Path(cache).expanduser() / "jaxmed" / "xla")


def _train(paper: str, rest: list[str]) -> int:
    from experiments.verbs import train

    preset, parsed = _with_preset("train", paper, rest, train.TrainOptions())
    return train.train(paper, preset, parsed["config"], parsed["options"])


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
    _prepare_host()
    return table.table(paper, name, parsed["config"], parsed["options"])


def _sample(paper: str, rest: list[str]) -> int:
    from experiments.verbs import sample

    preset = "paper"
    if rest and not rest[0].startswith("-"):
        preset = rest.pop(0)
    config = papers.find_preset(papers.find_paper(paper), preset)
    program = f"python -m experiments sample {paper} {preset}"
    parsed = command_line.parse(program, {"options": sample.SampleOptions(), "config": config}, rest)
    _prepare_host()
    return sample.sample(paper, parsed["config"], parsed["options"])


def _predict(paper: str, rest: list[str]) -> int:
    from experiments.verbs import predict

    papers.find_paper(paper)
    program = f"python -m experiments predict {paper}"
    parsed = command_line.parse(program, {"options": predict.PredictOptions}, rest)
    _prepare_host()
    return predict.predict(paper, parsed["options"])


def _check_data(paper: str, rest: list[str]) -> int:
    from experiments.verbs import check_data

    config = papers.find_preset(papers.find_paper(paper), "paper")
    program = f"python -m experiments check-data {paper}"
    parsed = command_line.parse(program, {"options": check_data.CheckDataOptions}, rest)
    return check_data.check_data(paper, config, parsed["options"])


def _with_preset(verb: str, paper: str, rest: list[str], options) -> tuple[str, dict]:
    """Reads `<preset> [options]`: the options of the run and the fields of the config."""
    experiment = papers.find_paper(paper)
    preset = _positional("preset", rest, experiment.presets)
    config = papers.find_preset(experiment, preset)
    program = f"python -m experiments {verb} {paper} {preset}"
    parsed = command_line.parse(program, {"options": options, "config": config}, rest[1:])
    _prepare_host()
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
    "train": _train,
    "table": _table,
    "bench": _bench,
    "sample": _sample,
    "predict": _predict,
    "check-data": _check_data,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
