"""The verb predict: a trained run applied to a user's file, and compared with labels where there are some."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

from data_pipelines.example import Example
from experiments.verbs import errors, papers, runs
from experiments.verbs.sample import require_same_paper
from jaxmed.metrics import overlap


@dataclass(frozen=True)
class PredictOptions:
    """Applies a trained run to a file and writes what it predicts on the file's own grid."""

    run: Path
    """Folder of a run (.../seed0)."""

    input: Path
    """A NIfTI file, or a folder with one DICOM series."""

    output: Path
    """File to write, such as mask.nii.gz."""

    label: Path | None = None
    """Labels of the input, NIfTI or a DICOM segmentation: prints the Dice coefficient of the written mask."""


def predict(paper: str, options: PredictOptions) -> int:
    """Writes the prediction, and prints how well it overlaps with the labels.

    Raises:
        UserError: if the paper predicts nothing, the input or the labels are missing, the run is another
            paper's, or the output is no mask that labels can be compared with.
    """
    experiment = papers.find_paper(paper)
    if experiment.predict is None:
        raise errors.UserError(f"{paper} has nothing to predict")
    if not options.input.exists():
        raise errors.UserError(f"--input {options.input} does not exist")
    labelled = None if options.label is None else _read_labelled(options, options.label)
    _, name, state = runs.load(options.run)
    require_same_paper(paper, name, options.run)
    experiment.predict(name.config, state, options.input, options.output)
    print(options.output)
    if labelled is not None:
        for what, value in _dice(options.output, labelled).items():
            print(f"Dice of {what}: {value:.3f}")
    return 0


def _read_labelled(options: PredictOptions, label: Path) -> Example:
    from data_pipelines.readers import scan

    if not label.is_file():
        raise errors.UserError(f"--label {label} is no file")
    if not options.output.name.endswith((".nii", ".nii.gz")):
        raise errors.UserError(f"--label compares masks; wanted an --output in NIfTI, not {options.output}")
    example = scan.read_scan(options.input)
    return dataclasses.replace(example, label=scan.read_label(label, example))


def _dice(mask: Path, example: Example) -> dict[str, float]:
    """Of everything that is labelled and, where several labels are predicted, of each."""
    from data_pipelines.readers import nifti

    assert example.label is not None
    found, wanted = nifti.read_label(mask, example), example.label
    numbers = range(1, int(found.max()) + 1) if found.max() > 1 else ()
    each = {f"label {number}": overlap.dice(found == number, wanted == number) for number in numbers}
    return {"all labels": overlap.dice(found > 0, wanted > 0), **each}
