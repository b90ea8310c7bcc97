"""What users do with their own volumes: predict a mask, look at planes, check a data directory."""

from pathlib import Path

from data_pipelines import inspection, standardised_volumes
from experiments.mpunet import data, figures
from experiments.mpunet.config import Config
from experiments.mpunet.evaluate import make_predictor
from experiments.mpunet.run import CellState
from jaxmed.ops import sparse_annotation
from jaxmed.report.figures import save


def predict(config: Config, state: CellState, input: Path, output: Path) -> None:
    """Writes the mask of a volume (NIfTI, or a folder with one DICOM series) on its own grid, as NIfTI.

    Raises:
        ReadError: if the volume cannot be read.
    """
    from data_pipelines.readers import nifti
    from data_pipelines.readers.scan import read_scan

    example = read_scan(input)
    image = standardised_volumes.standardise(example.image)
    nifti.write_mask(output, make_predictor(config, state)(image, example.spacing_mm), example)


def sample(config: Config, state: CellState | None, input: Path | None, directory: Path) -> list[Path]:
    """Draws random planes through the phantom's first volume, or the first of a data directory.

    Below each are the lines in which annotation planes cut it. The state is not needed.
    """
    source = data.find_volumes(config, input)
    arrays, name = source.build(source.rest[0]), config.dataset if input is None else source.rest[0]
    volume = sparse_annotation.Volume(arrays["image"], arrays["label"], arrays["spacing"])
    sizes = {"size": config.plane_size, "min_annotated": config.min_annotated}
    annotated = sparse_annotation.annotate([volume], (0,), num_annotation=4, num_training=32, **sizes)
    return [save(figures.draw_planes(annotated), directory / f"planes-{name}.png")]


def check_data(config: Config, data_dir: Path) -> tuple[str, int]:
    """Reads every volume of a data set; returns the report and the number of problems."""
    cases = standardised_volumes.find_cases(data_dir, config.dataset)
    return inspection.inspect_groups({"labelled volumes": cases})
