"""What users do with their own scans: predict labels, look at the data sets, check a data directory."""

from dataclasses import replace
from pathlib import Path

from data_pipelines import imaging_sets
from experiments.fsnet import figures
from experiments.fsnet.config import Config
from experiments.fsnet.evaluate import make_segmenter
from jaxmed.report.figures import save


def predict(config: Config, state, input: Path, output: Path) -> None:
    """Writes the labels of a subject of the target on its own grid, as NIfTI.

    The input is a NIfTI file or a folder with one DICOM series; where the target has several sequences, a
    folder with `<sequence>.nii.gz` for each.

    Raises:
        ReadError: if the scan cannot be read.
    """
    from data_pipelines import preprocess
    from data_pipelines.readers import nifti, sequences

    example = sequences.read_sequences(input, imaging_sets.SETS[config.chosen.sets[0]].sequences)
    resampled = imaging_sets.resample(example, config.chosen.pixel_mm)
    found = make_segmenter(config, state)(imaging_sets.standardise(resampled.image))
    assert resampled.affine is not None
    volume = replace(example, image=example.image[..., 0])
    nifti.write_mask(output, preprocess.resample_mask_to(found, resampled.affine, volume), volume)


def sample(config: Config, state, input: Path | None, directory: Path) -> list[Path]:
    """Draws the data sets with their joint labels, as Fig. 2 of the paper does; with a run, what it finds.

    The subject is one of the target as for `predict`, or a phantom that no run has seen.
    """
    files = [save(figures.draw_sets(config), directory / "sets.png")]
    if state is not None:
        files.append(save(figures.draw_segmentation(config, state, input), directory / "segmentation.png"))
    return files


def check_data(config: Config, data_dir: Path) -> tuple[str, int]:
    """Reads every case of the scenario's data sets; returns the report and the number of problems."""
    from data_pipelines import inspection

    return inspection.inspect_groups(
        {name: imaging_sets.find_cases(name, data_dir) for name in config.chosen.sets}
    )
