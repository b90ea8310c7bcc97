"""What users do with their own scans: predict a mask, look at boxes, check a folder."""

from pathlib import Path

import numpy as np

from data_pipelines import box_patches, boxed_volumes, inspection, preprocess
from data_pipelines.own_grid import segment_on_own_grid
from data_pipelines.readers.errors import ReadError
from experiments.boxseg import data, figures
from experiments.boxseg.config import Config
from experiments.boxseg.evaluate import box_tightness, make_segmenter
from jaxmed.report.figures import save


def predict(config: Config, state, input: Path, output: Path) -> None:
    """Writes the mask of a scan (NIfTI, or a folder with one DICOM series) on its own grid, as NIfTI.

    Raises:
        ReadError: if the scan cannot be read.
    """
    from data_pipelines.readers import nifti
    from data_pipelines.readers.scan import read_scan

    example = read_scan(input)
    mask = segment_on_own_grid(
        example,
        make_segmenter(config, state),
        pixel_mm=preprocess.field_of_view_pixel_mm(example, config.image_size),
        min_size=config.image_size,
        fill=boxed_volumes.AIR_HU,
    )
    nifti.write_mask(output, mask, example)


def sample(config: Config, state, input: Path | None, directory: Path) -> list[Path]:
    """Draws slices of a phantom with their boxes and, from a run with corrected boxes, Fig. 4.

    Raises:
        ReadError: an input is given: there is nothing to draw from it.
    """
    if input is not None:
        raise ReadError(input, "an input", "none: the pictures show the phantom")
    arrays = data.phantoms(config).build("case-000")
    files = [save(figures.draw_boxes(arrays, 5), directory / "boxes-phantom.png")]
    if state is not None and config.method == "corrected":
        position = int(arrays["box"][0] + arrays["box"][3]) // 2
        figure = figures.draw_correction(config, state, arrays, position)
        files.append(save(figure, directory / "correction-phantom.png"))
    return files


def check_data(config: Config, data_dir: Path) -> tuple[str, int]:
    """Reads every labelled case; returns the report, with the tightness of boxes, and the problems."""
    cases = boxed_volumes.find_cases(data_dir)
    report, num_problems = inspection.inspect_groups({"labelled cases": cases})
    if num_problems:
        return report, num_problems
    lines, found = [report], []
    perfect = f"with perfectly classified patches of {config.patch_size} pixels"
    for case in cases:
        try:
            arrays = boxed_volumes.read(case, config.image_size)
            corrected = box_patches.perfect_boxes(arrays, config.patch_size)
            found.append([box_tightness(boxes, arrays) for boxes in (arrays["loose_boxes"], corrected)])
        except ValueError as error:
            lines.append(f"problem: {case.subject}: {error}")
    for name, own in zip(("3-D boxes", perfect), np.transpose(found), strict=False):
        span = f"mean IoU {own.mean():.3f} ({own.min():.3f} to {own.max():.3f}, {len(own)} cases)"
        lines.append(f"{name}, against the tight boxes of their slices: {span}")
    return "\n".join(lines), len(cases) - len(found)
