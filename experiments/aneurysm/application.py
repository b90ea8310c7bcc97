"""What users do with their own scans: find aneurysms, look at training patches, check a data directory."""

import functools
from pathlib import Path

import jax
import numpy as np

from data_pipelines import preprocess, sphere_patches
from experiments.aneurysm.algorithm import augment
from experiments.aneurysm.config import Config
from experiments.aneurysm.data import context_shape, find_angiograms, limits
from experiments.aneurysm.evaluate import make_predictor
from jaxmed.report import contact_sheet
from jaxmed.report.figures import save

_COPIES = 8
_TITLES = ("aneurysm", "its label", "vessel", "its label", "parenchyma", "its label")


def predict(config: Config, state, input: Path, output: Path) -> None:
    """Writes the mask of what is taken for aneurysms in a TOF-MRA on its own grid, as NIfTI.

    Raises:
        ReadError: if the scan cannot be read, or is the same everywhere.
    """
    from data_pipelines.readers import nifti
    from data_pipelines.readers.errors import ReadError
    from data_pipelines.readers.scan import read_scan

    example = read_scan(input)
    cubes = preprocess.resample(example, (config.voxel_mm, config.voxel_mm, config.voxel_mm))
    lowest, highest = float(cubes.image.min()), float(cubes.image.max())
    if lowest == highest:
        raise ReadError(input, f"{lowest:g} in every voxel", "an angiogram")
    probability = make_predictor(config, state)((cubes.image - lowest) / (highest - lowest))
    assert cubes.affine is not None
    mask = (probability > config.threshold).astype(np.uint8)
    nifti.write_mask(output, preprocess.resample_mask_to(mask, cubes.affine, example), example)


def sample(config: Config, state, input: Path | None, directory: Path) -> list[Path]:
    """Draws copies of patches as training sees them: middle slices, and their labels below.

    The patches are those of a phantom with an aneurysm: the aneurysm, a vessel and parenchyma. `input` and
    the state are not needed.
    """
    build = find_angiograms(config, None).build
    cases = ({name: build(name)} for name in (f"case-{number:03d}" for number in range(20)))
    case = next(one for one in cases if len(next(iter(one.values()))["spheres"]))
    centres, rows = sphere_patches.list_centres(case, tuple(case), config.num_negatives), []
    chosen = (centres[0], *(next(c for c in centres[i:] if not c.is_positive) for i in (0, -1)))
    for centre in chosen:
        one = sphere_patches.cut(case, centre, context_shape(config))
        amount = limits(config)["max_distortion"] * centre.is_positive
        batch = {name: np.stack([array] * _COPIES) for name, array in one.items()}
        batch["distortion"] = np.full(_COPIES, amount, np.float32)
        images, labels = jax.jit(functools.partial(augment, config))(batch, jax.random.key(0))
        rows += [np.asarray(values)[:, config.patch_size // 2, ..., 0] for values in (images, labels)]
    figure = contact_sheet.draw_rows(rows, _TITLES)
    return [save(figure, directory / "patches.png")]


def check_data(config: Config, data_dir: Path) -> tuple[str, int]:
    """Reads every case and its annotation; returns the report and the number of problems."""
    from data_pipelines import inspection
    from data_pipelines.readers import aneurysms

    return inspection.inspect_groups({"annotated angiograms": aneurysms.find_cases(data_dir)})
