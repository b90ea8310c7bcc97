"""The verb table: runs what is missing of a table and sets the paper beside ours."""

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import jax
from rich.console import Console
from rich.table import Table as RichTable

from experiments.contract import Config, FinishedRow, Row, Table
from experiments.verbs import configs, errors, judgement, papers, provenance, runs
from experiments.verbs.options import RunOptions
from jaxmed.report import figures
from jaxmed.report import table as report_table
from jaxmed.report.table import ReportRow, TableReport
from jaxmed.train import hosts, logs


@dataclass(frozen=True)
class TableOptions(RunOptions):
    """Runs what is missing of a table and sets the paper beside ours.

    Writes <workdir>/<paper>/<table>-<preset>.json, .csv, .md and .png, and the paper's own figures and texts
    into the folder of that name.
    """

    preset: str = "demo"
    """Sizes: paper, demo or tiny."""

    seeds: tuple[int, ...] = (0,)
    """Each row is run once with each seed."""


def table(paper: str, table_name: str, config: Config, options: TableOptions) -> int:
    """Makes the table and prints it.

    Raises:
        UserError: if the paper has no such table.
    """
    experiment = papers.find_paper(paper)
    wanted = experiment.tables[errors.choose("table", table_name, experiment.tables)]
    finished = [
        _finish_row(paper, row, number, wanted, config, options)
        for number, row in enumerate(wanted.rows(config))
    ]
    if hosts.is_main_process():
        label = configs.label(options.preset, papers.find_preset(experiment, options.preset), config)
        stem = options.workdir / paper / f"{table_name}-{label}"
        report = make_report(paper, table_name, wanted, finished, config, options)
        files = write(report, stem) + _draw(wanted, finished, report, stem)
        show(report)
        print("written: " + " ".join(map(str, files)))
    hosts.barrier(f"{paper} {table_name} is written")
    return 0


def _draw(table: Table, finished: Sequence[FinishedRow], report: TableReport, folder: Path) -> list[Path]:
    if table.figures is None:
        return []
    if jax.process_count() > 1:
        print(
            "the paper's own figures need one process: the same command with one draws them", file=sys.stderr
        )
        return []
    folder.mkdir(exist_ok=True)
    files = list(table.figures(finished, folder))
    for file in files:
        if file.suffix == ".md":
            file.write_text(report_table.add_heading(report, file.stem, file.read_text()))
    return files


def _finish_row(
    paper: str, row: Row, number: int, table: Table, config: Config, options: TableOptions
) -> FinishedRow:
    num_rows = len(table.rows(config))
    folders = []
    names = [runs.RunName(paper, options.preset, c, seed) for c in row.configs for seed in options.seeds]
    for index, name in enumerate(names):
        print(f"row {number + 1}/{num_rows} {row.label}, run {index + 1}/{len(names)}", file=sys.stderr)
        _discard_others(runs.run_folder(name, options), name.config.num_steps)
        folders.append(runs.run(name, options))
    results = [runs.read_result(folder) for folder in folders]

    def load(index: int):
        _, name, state = runs.load(folders[index])
        return name.config, state, runs.make_data(papers.find_paper(paper), name, options)

    def read_log(index: int):
        return logs.read_log(folders[index])

    left_out = {key: sum(len(result[key]) for result in results) for key in ("bad_cases", "skipped_steps")}
    return FinishedRow(row, tuple(result["scores"] for result in results), load, left_out, read_log)


def _left_out(finished: Sequence[FinishedRow]) -> dict[str, int]:
    """What all rows together left out, as far as there is any."""
    totals = Counter[str]()
    for row in finished:
        totals.update(row.left_out)
    return dict(+totals)


def _discard_others(folder: Path, num_steps: int) -> None:
    """Sets aside a run of another commit or of more steps: a table comes from one state of the code."""
    if not (folder.exists() and hosts.is_main_process()):
        return
    commits = {event["commit"] for event in logs.Journal(folder).read() if "commit" in event}
    has_more = runs.is_finished(folder, num_steps + 1)
    if has_more or commits - {provenance.commit()}:
        why = "has more steps" if has_more else f"was made by {', '.join(sorted(commits))}"
        print(f"{folder} {why}: set aside, and run again", file=sys.stderr)
        runs.set_aside(folder)


def make_report(
    paper: str,
    table_name: str,
    table: Table,
    finished: Sequence[FinishedRow],
    config: Config,
    options: TableOptions,
) -> TableReport:
    """Summarises finished rows, judges the claims and runs the tests."""
    rows = judgement.finish(finished)
    data = runs.data_name(papers.find_paper(paper), finished[0].row.configs[0], options)
    label = configs.label(
        options.preset, papers.find_preset(papers.find_paper(paper), options.preset), config
    )
    return TableReport(
        paper=paper,
        table=table_name,
        caption=table.caption,
        preset=label,
        seeds=options.seeds,
        metrics=table.metrics,
        rows=tuple(
            ReportRow(
                row.row.label,
                {name: judgement.published_cell(value) for name, value in row.row.published.items()},
                {name: judgement.cell(row, name) for name in table.metrics},
            )
            for row in finished
        ),
        claims=tuple(judgement.judge(claim, rows) for claim in table.claims),
        tests=tuple(test for c in table.comparisons for test in judgement.compare(c, rows)),
        provenance={"data": data, **provenance.describe(), **_left_out(finished)},
    )


def write(report: TableReport, stem: Path) -> list[Path]:
    """Writes `<stem>.json`, `.md`, `.csv` and `.png`."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    texts = {
        ".json": report_table.to_json(report),
        ".md": report_table.to_markdown(report),
        ".csv": report_table.to_csv(report),
    }
    files = []
    for suffix, text in texts.items():
        files.append(Path(f"{stem}{suffix}"))
        files[-1].write_text(text)
    files.append(figures.save(figures.draw_table(report), Path(f"{stem}.png")))
    return files


def show(report: TableReport) -> None:
    """Prints the report on the terminal."""
    console = Console()
    grid = RichTable(*report_table.header(report), title=f"{report.paper}, {report.table}: {report.caption}")
    for cells in report_table.body(report):
        grid.add_row(*cells)
    console.print(grid)
    console.print(report_table.describe_source(report), markup=False)
    if report.claims:
        claims = RichTable("verdict", "claim of the paper", "difference", "standard error", title="Claims")
        for claim in report.claims:
            found = [claim.numbers.get(name) for name in ("difference", "standard error")]
            claims.add_row(claim.verdict, claim.text, *("-" if x is None else f"{x:+.3g}" for x in found))
        console.print(claims)
    for test in report.tests:
        console.print(report_table.describe_test(test), markup=False)
