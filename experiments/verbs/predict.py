"""The verb predict: a trained run applied to a user's file."""

from dataclasses import dataclass
from pathlib import Path

from experiments.verbs import errors, papers, runs
from experiments.verbs.sample import require_same_paper


@dataclass(frozen=True)
class PredictOptions:
    """Applies a trained run to a file and writes what it predicts on the file's own grid."""

    run: Path
    """Folder of a run (.../seed0)."""

    input: Path
    """A NIfTI file, or a folder with one DICOM series."""

    output: Path
    """File to write, such as mask.nii.gz."""


def predict(paper: str, options: PredictOptions) -> int:
    """Writes the prediction.

    Raises:
        UserError: if the paper predicts nothing, the input is missing, or the run is another paper's.
    """
    experiment = papers.find_paper(paper)
    if experiment.predict is None:
        raise errors.UserError(f"{paper} has nothing to predict")
    if not options.input.exists():
        raise errors.UserError(f"--input {options.input} does not exist")
    _, name, state = runs.load(options.run)
    require_same_paper(paper, name, options.run)
    experiment.predict(name.config, state, options.input, options.output)
    print(options.output)
    return 0
