"""Two idle processes, one for each side, that work in turns: what disturbs the machine disturbs both."""

import contextlib
import multiprocessing
import statistics
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any, NamedTuple

from benchmarks.peers import worker
from benchmarks.peers.cases import Case

_PAUSE_SECONDS = 0.2  # until the threads of the side that has just worked sleep


class Effort(NamedTuple):
    """How much is timed.

    Attributes:
        max_rounds: of alternation.
        seconds: after which no new round begins, once there are `min_rounds`.
        min_rounds: always.
        choice_rounds: in which the settings of a side are compared.
        part_rounds: in which the parts are compared; 0 leaves them out.
    """

    max_rounds: int = 15
    seconds: float = 20.0
    min_rounds: int = 5
    choice_rounds: int = 3
    part_rounds: int = 5


QUICK = Effort(max_rounds=3, seconds=5.0, min_rounds=2, choice_rounds=1, part_rounds=0)


class DisagreementError(Exception):
    """The two sides do not compute the same."""


def compare(case: Case, effort: Effort, *, quick: bool, threads: int | None) -> dict[str, Any]:
    """Carries out a comparison.

    Args:
        case: what is compared.
        effort: how long.
        quick: take the case's small sizes.
        threads: of each side; None for as many as there are.

    Returns:
        Sizes, agreement, settings with their times, seconds per item of both sides and their ratios, in the
        form of the results file.

    Raises:
        DisagreementError: if the sides differ by more than the case allows.
    """
    sizes = dict(case.quick if quick else case.sizes)
    with _side(case.theirs, sizes, threads) as theirs, _side(case.ours, sizes, threads) as ours:
        (our_items, software), (their_items, more) = (_call(s, worker.describe) for s in (ours, theirs))
        probe = _call(theirs, worker.probe)
        # Compiling is not timed, so that one side can do it while the other one compares.
        theirs_prepared = theirs.submit(worker.prepare)
        agreement = _call(ours, worker.agreement, probe)
        if not all(value <= case.tolerances[name] for name, value in agreement.items()):
            raise DisagreementError(f"the sides differ: {agreement}; allowed: {dict(case.tolerances)}")
        _call(ours, worker.prepare)
        theirs_prepared.result()
        settings = {
            "theirs": _call(theirs, worker.choose, effort.choice_rounds),
            "ours": _call(ours, worker.choose, effort.choice_rounds),
        }
        spent = _alternate(ours, theirs, _fastest(settings), effort)
        parts = _compare_parts(ours, theirs, effort) if effort.part_rounds else {}
    items = {"ours": our_items, "theirs": their_items}
    per_item = {side: [t / items[side] for t in seconds] for side, seconds in spent.items()}
    return {
        "sizes": sizes,
        "agreement": agreement,
        "settings": settings,
        "chosen": {side: _name_of_fastest(found) for side, found in settings.items()},
        "items_per_run": items,
        "seconds_per_item": per_item,
        "ratio": summary(_ratios(per_item)),
        "parts": parts,
        "threads": threads,
        "software": {**more, **software},
    }


def summary(values: Sequence[float]) -> dict[str, float]:
    """Median, quartiles and range."""
    lower, median, upper = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": median, "q1": lower, "q3": upper, "min": min(values), "max": max(values)}


@contextlib.contextmanager
def _side(builder: str, sizes: dict[str, Any], threads: int | None) -> Iterator[ProcessPoolExecutor]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, context, worker.start, (builder, sizes, threads)) as process:
        yield process


def _call(side: ProcessPoolExecutor, function: Any, *arguments: Any) -> Any:
    return side.submit(function, *arguments).result()


def _alternate(
    ours: ProcessPoolExecutor,
    theirs: ProcessPoolExecutor,
    expected: dict[str, float],
    effort: Effort,
    part: str = "",
) -> dict[str, list[float]]:
    """Seconds of a run in every round: the median of the side's calls in its turn."""
    turns = {"ours": ours, "theirs": theirs}
    calls = {side: worker.calls_per_turn(expected[side]) for side in turns}
    spent: dict[str, list[float]] = {side: [] for side in turns}
    begun = time.perf_counter()
    for number in range(effort.max_rounds):
        if number >= effort.min_rounds and time.perf_counter() - begun > effort.seconds:
            break
        for side in list(turns)[:: 1 if number % 2 else -1]:
            time.sleep(_PAUSE_SECONDS)
            spent[side].append(statistics.median(_call(turns[side], worker.time_run, part, calls[side])))
    return spent


def _compare_parts(
    ours: ProcessPoolExecutor, theirs: ProcessPoolExecutor, effort: Effort
) -> dict[str, dict[str, Any]]:
    seconds = {"ours": _call(ours, worker.prepare_parts), "theirs": _call(theirs, worker.prepare_parts)}
    rounds = effort._replace(max_rounds=effort.part_rounds, min_rounds=min(3, effort.part_rounds))
    found = {}
    for name in (name for name in seconds["ours"] if name in seconds["theirs"]):
        expected = {side: by_part[name] for side, by_part in seconds.items()}
        spent = _alternate(ours, theirs, expected, rounds, name)
        found[name] = {"seconds": spent, "ratio": summary(_ratios(spent))}
    return found


def _ratios(seconds: dict[str, list[float]]) -> list[float]:
    return [ours / theirs for ours, theirs in zip(seconds["ours"], seconds["theirs"], strict=True)]


def _name_of_fastest(found: dict[str, float | str]) -> str:
    return min((name for name in found if isinstance(found[name], float)), key=lambda name: found[name])


def _fastest(settings: dict[str, dict[str, float | str]]) -> dict[str, float]:
    return {side: float(found[_name_of_fastest(found)]) for side, found in settings.items()}
