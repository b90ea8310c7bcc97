"""What a paper's folder hands over: an Experiment, its Data and its Tables.

Nothing here knows a paper, and nothing is registered: `experiments/<name>/__init__.py` defines
EXPERIMENT, and the folder's name is the paper's name.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np

from jaxmed.train.fit import Algorithm

Config = Any
"""A frozen dataclass of int, float, bool, str, Literal, tuple and nested dataclasses."""

Scores = Mapping[str, Mapping[str, float]]
"""What `evaluate` measures: by metric, a number per case. A number of the whole run has the case "all"."""

PHANTOM = "phantom"
"""Name of the built-in data of a paper."""


def check_ranges(config: Config, **at_least: float) -> None:
    """For `__post_init__` of a config: refuses values below their least ones, by the names of the fields.

    Raises:
        ValueError: naming the field; each number of a tuple is looked at.
    """
    for name, least in at_least.items():
        value = getattr(config, name)
        if not all(number >= least for number in (value if isinstance(value, tuple) else (value,))):
            raise ValueError(f"{name} is {value}; wanted at least {least}")


@dataclass(frozen=True)
class Data:
    """The data of one run.

    Attributes:
        name: of the built-in data ("phantom", or as the experiment's `data_name` has it), or of the data
            directory.
        batches: `batches(first_step)` gives this process's part of the training batches from that step
            on, without end; the same step always gives the same batch.
        evaluation: whatever the paper's `evaluate` reads.
        describe: `describe(step)` names the examples of that step's global batch, for messages; None where
            they have no names.
        bad_cases: training cases that were left out because they could not be read.
    """

    name: str
    batches: Callable[[int], Generator[Mapping[str, np.ndarray], None, None]]
    evaluation: Any = None
    describe: Callable[[int], Sequence[str]] | None = None
    bad_cases: Sequence[str] = ()


@dataclass(frozen=True)
class Inference:
    """A trained network as a pure function of arrays: what `predict` applies and `export` gives away.

    Attributes:
        function: `(variables, inputs) -> outputs`, jittable; example by example along the first axis.
        variables: what of the trained state the function needs: nested dicts of arrays.
        input_shape: of `inputs`; the first axis is called "batch" and may have any size.
        input_dtype: of `inputs`.
        inputs: what they are, with units, such as "CT slices in HU".
        outputs: what they are, such as "probability of a lesion per pixel".
    """

    function: Callable[[Any, Any], Any]
    variables: Mapping[str, Any]
    input_shape: tuple[int | str, ...]
    input_dtype: str
    inputs: str
    outputs: str


@dataclass(frozen=True)
class Published:
    """A number as the paper prints it: mean, and standard deviation where there is one."""

    mean: float
    std: float | None = None


def read_published(file: Path, columns: Sequence[str]) -> dict[str, dict[str, Published]]:
    """Reads a file beside a table, a line for each printed row: label, then cells `mean` or `mean+-std`.

    Args:
        file: comma-separated; a line may end early, and a cell may be empty.
        columns: what the cells are called.

    Returns:
        By label and column what is printed, in the file's order.

    Raises:
        ValueError: a line has more cells than there are columns, or a cell is no number.
    """
    rows = {}
    for line in file.read_text().splitlines():
        label, *cells = line.split(",")
        if len(cells) > len(columns):
            raise ValueError(f"{file.name}, row {label}: {len(cells)} cells; wanted {len(columns)} at most")
        pairs = zip(columns, cells, strict=False)
        rows[label] = {name: Published(*map(float, cell.split("+-"))) for name, cell in pairs if cell}
    return rows


@dataclass(frozen=True)
class Row:
    """One row of a table.

    Attributes:
        label: as printed in the paper.
        configs: the runs whose scores the row pools: one, or one per fold of a cross-validation.
        published: the paper's numbers by metric.
    """

    label: str
    configs: tuple[Config, ...]
    published: Mapping[str, Published] = field(default_factory=dict)


@dataclass(frozen=True)
class Claim:
    """A finding of a table: `statistic(left) - statistic(right) > margin` in a metric.

    With `over`, gains are compared: what another row has is taken off either side first. So are findings of
    two tables judged, in one that has the rows of both.

    Attributes:
        text: the finding in words.
        metric: which metric.
        left: label of the row that should be larger.
        right: label of the row that should be smaller.
        statistic: the mean over cases, or their standard deviation.
        margin: by how much at least; negative for "not worse by more than".
        right_metric: the metric of the right side where that is another one, as for two metrics of one row.
        over: labels of the rows that the left and the right one gain over.
    """

    text: str
    metric: str
    left: str
    right: str
    statistic: Literal["mean", "std"] = "mean"
    margin: float = 0.0
    right_metric: str | None = None
    over: tuple[str, str] | None = None


@dataclass(frozen=True)
class Comparison:
    """A row to be compared with every other one by Wilcoxon signed-rank tests over paired cases.

    Attributes:
        metric: which metric.
        row: label of the row that is compared with each other one.
        alternative: of the test; "greater" means the row is larger than the other.
    """

    metric: str
    row: str
    alternative: Literal["two-sided", "greater", "less"] = "two-sided"


@dataclass(frozen=True)
class FinishedRow:
    """A row with its runs.

    Attributes:
        row: what was run.
        replicates: the scores of each run: one seed of one config.
        load: `load(k) -> (config, state, data)` of the k-th run.
        left_out: how many training cases could not be read, and steps were skipped, in all its runs.
        read_log: `read_log(k)` gives what the k-th run logged in training, line by line: `step`, the metrics
            by name, and `stage` in papers of several.
    """

    row: Row
    replicates: tuple[Scores, ...]
    load: Callable[[int], tuple[Config, Any, Data]]
    left_out: Mapping[str, int] = field(default_factory=dict)
    read_log: Callable[[int], Sequence[Mapping[str, Any]]] = lambda index: ()

    def values(self, metric: str) -> np.ndarray:
        """A metric of all cases of all runs, (values,) float64."""
        return np.array(
            [value for scores in self.replicates for value in scores[metric].values()], np.float64
        )


@dataclass(frozen=True)
class Table:
    """A table of a paper.

    Attributes:
        caption: what it shows.
        metrics: the columns, as `evaluate` names them.
        rows: `rows(preset_config)` gives the rows, each config a `dataclasses.replace` of the preset.
        claims: what the paper concludes from it.
        comparisons: significance tests; Bonferroni-corrected within each comparison.
        figures: `(finished rows, directory) -> written files` draws the paper's own figures. Markdown among
            the files gets a heading that says where its numbers come from.
    """

    caption: str
    metrics: tuple[str, ...]
    rows: Callable[[Config], tuple[Row, ...]]
    claims: tuple[Claim, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    figures: Callable[[Sequence[FinishedRow], Path], Sequence[Path]] | None = None


class Stages(Protocol):
    """What `Experiment.run` trains its stages with, and keeps their small results in.

    Everything else is done for it: checkpoints, resuming, logs, progress, signals. `run` is carried out from
    its beginning whenever the run is started; what is finished comes back at once, and what was cut goes on
    where it stopped. So `run` must call these methods in the same order with the same names every time, and
    each name once. Names have letters, digits, `.`, `-` and `_`.
    """

    def key(self, name: str) -> Any:
        """A random key that depends on the run's seed and the name alone."""
        ...

    def fit(
        self,
        name: str,
        algorithm: Algorithm,
        batches: Callable[[int], Generator[Mapping[str, np.ndarray], None, None]],
        *,
        num_steps: int,
        example_batch: Mapping[str, Any] | None = None,
        state: Any = None,
        describe: Callable[[int], Sequence[str]] | None = None,
        shared: Config | None = None,
    ) -> Any:
        """Trains for `num_steps` steps, from 0.

        Args:
            name: of the stage.
            algorithm: its method; stages may have different ones.
            batches: as in `Data`, whose own may be given; opened only if there is something to train.
            num_steps: of this stage.
            example_batch: `jax.ShapeDtypeStruct` by name, to start from the algorithm's own first state.
            state: or a state of the algorithm to start from, such as one with parameters of an earlier
                stage. It is copied, and its step set to 0.
            describe: as in `Data`.
            shared: all that the stage depends on, beside the seed and the data, as a config in which the
                rest has fixed values: runs with the same one train the stage once for all.

        Returns:
            The trained state.
        """
        ...

    def keep(
        self, name: str, make: Callable[[], Mapping[str, Any]], *, shared: Config | None = None
    ) -> dict[str, np.ndarray]:
        """Makes arrays or numbers by name once, writes them as .npz, and reads them when the run goes on.

        Args:
            name: of the result.
            make: makes it; with several processes all call it and must get the same.
            shared: as in `fit`.

        Returns:
            NumPy arrays, the same when made as when read.
        """
        ...


@dataclass(frozen=True)
class Experiment:
    """A paper.

    Attributes:
        title: of the paper, with authors, venue and DOI.
        presets: configs by name, "paper", "demo" and "tiny" at least. Every config has the fields
            `num_steps` and `batch_size`.
            In a paper of several stages `num_steps` is that of the last one.
        example_batch: `(config) -> batch` of `jax.ShapeDtypeStruct`: what one global training batch holds.
        make_data: `(config, *, seed, data_dir, cache_dir, executor, process_index, process_count,
            max_bad_cases) -> Data`; the phantom where `data_dir` is None; `executor` as in
            `data_pipelines.pipeline`; up to `max_bad_cases` training cases that cannot be read are left out.
        make_algorithm: `(config, data) -> Algorithm`. `data` is None where only the shapes of the state
            are wanted. Its `volumes` say what of a batch `--mesh.space` splits: without any that is refused,
            and where it has some, every stage's algorithm must.
        evaluate: `(config, state, data) -> Scores`, the scores named as in the tables.
        tables: by name.
        method_field: the config field that chooses between the methods of the tables, if there is one.
        data_name: `(config) -> name` of the built-in data under which results state them; None for "phantom".
        check_data: `(config, data_dir) -> (report, number of problems)`, or None without real data.
        sample: `(config, state, input, directory) -> written files`: pictures. The state is None
            where no run is named, the input None where the built-in data will do.
        predict: `(config, state, input, output) -> None`.
        make_inference: `(config, state) -> Inference`, or None where there is nothing to give away.
        run: `(config, data, stages) -> state`, in papers of several stages; the state goes to `evaluate` and
            all the others, and its `step` is the config's `num_steps`. None trains the one algorithm of
            `make_algorithm`; that is also the one that `bench` measures, on the batches of the data.
        init_state: `(config, key) -> state`, an untrained one like that of `run`; None where it is the first
            state of `make_algorithm`.
    """

    title: str
    presets: Mapping[str, Config]
    example_batch: Callable[[Config], Mapping[str, Any]]
    make_data: Callable[..., Data]
    make_algorithm: Callable[[Config, Data | None], Algorithm]
    evaluate: Callable[[Config, Any, Data], Scores]
    tables: Mapping[str, Table] = field(default_factory=dict)
    method_field: str | None = None
    data_name: Callable[[Config], str] | None = None
    check_data: Callable[[Config, Path], tuple[str, int]] | None = None
    sample: Callable[[Config, Any, Path | None, Path], Sequence[Path]] | None = None
    predict: Callable[[Config, Any, Path, Path], None] | None = None
    make_inference: Callable[[Config, Any], Inference] | None = None
    run: Callable[[Config, Data, Stages], Any] | None = None
    init_state: Callable[[Config, Any], Any] | None = None
