"""What users do with their own scans: predict a mask, look at the augmentation, check a data directory."""

from pathlib import Path

import numpy as np

from data_pipelines.own_grid import segment_on_own_grid
from experiments.fbpaug import figures, sources
from experiments.fbpaug.config import Config
from experiments.fbpaug.evaluate import make_predictor
from jaxmed.report.figures import save


def predict(config: Config, state, input: Path, output: Path) -> None:
    """Writes the lesion mask of a scan (NIfTI, or a folder with one DICOM series) on its own grid, as NIfTI.

    Raises:
        ReadError: if the scan cannot be read.
    """
    from data_pipelines.readers import nifti
    from data_pipelines.readers.scan import read_scan

    example = read_scan(input)
    mask = segment_on_own_grid(
        example,
        make_predictor(config, state),
        pixel_mm=config.pixel_mm,
        min_size=config.image_size,
        fill=sources.AIR_HU,
    )
    nifti.write_mask(output, mask, example)


def sample(config: Config, state, input: Path | None, directory: Path) -> list[Path]:
    """Draws a slice under every augmentation, as Fig. 1 of the paper does for its own.

    The slice is the middle one of a scan (NIfTI, or a folder with one DICOM series), or of a phantom's smooth
    image. The state is not needed: FBPAug has no trained part.
    """
    if input is None:
        volume = sources.phantom(config).build("pair-000")["smooth"]
        name = "phantom"
    else:
        from data_pipelines.readers.scan import read_scan
        from experiments.fbpaug import real_data

        example = read_scan(input)
        volume, name = real_data.to_grid(config, example)["image"], example.subject
    figure = figures.draw_augmentations(config, np.asarray(volume[len(volume) // 2]))
    return [save(figure, directory / f"augmentations-{name}.png")]


def check_data(config: Config, data_dir: Path) -> tuple[str, int]:
    """Reads every case and pair of a data directory; returns the report and the number of problems."""
    from data_pipelines import inspection
    from experiments.fbpaug import real_data

    cases, pairs = real_data.find_files(data_dir)
    groups = {"labelled cases": cases}
    if pairs:
        rules = sorted({pair.rule for pair in pairs})
        groups[f"pairs of kernels (told apart by {'; '.join(rules)})"] = pairs
    return inspection.inspect_groups(groups)
