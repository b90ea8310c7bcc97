"""What users do: draw heads, reconstruct their own, check a folder, give the generator away."""

from pathlib import Path

import numpy as np

from data_pipelines import head_volumes
from data_pipelines.head_study import read_head, to_range, write_head
from experiments.contract import Inference
from experiments.stylegan3d import algorithm, figures
from experiments.stylegan3d.config import Config
from experiments.stylegan3d.evaluate import project
from jaxmed.report.figures import save

_NUM_SAMPLES = 5
_PSI = 0.5


def sample(config: Config, state, input: Path | None, directory: Path) -> list[Path]:
    """Draws phantoms; with a run, its heads as pictures and NIfTI, truncated ones, and mixed styles.

    With an input, a file as for `predict`, also that head and its reconstruction.
    """
    source = head_volumes.phantoms(_NUM_SAMPLES, config.networks.shape, first=1_000_000)
    heads = {case: to_range(source.build(case)["image"][..., None]) for case in source.cases}
    files = [save(figures.draw_heads(heads), directory / "phantoms.png")]
    if state is None:
        return files
    sampler = algorithm.make_sampler(config, state)
    volumes = sampler.draw(_NUM_SAMPLES)
    for name, shown in (("samples", volumes), ("samples-truncated", sampler.draw(_NUM_SAMPLES, psi=_PSI))):
        titled = {str(number): head for number, head in enumerate(shown, 1)}
        files.append(save(figures.draw_heads(titled), directory / f"{name}.png"))
    for number, head in enumerate(volumes, 1):
        files.append(write_head(directory / f"sample-{number}.nii.gz", head))
    files.append(save(figures.draw_mixed(config, state), directory / "mixing.png"))
    if input is not None:
        targets, _ = read_head(input, config.networks.shape)
        drawn = figures.draw_reconstruction(config, state, targets[None])
        files.append(save(drawn, directory / "projection.png"))
    return files


def predict(config: Config, state, input: Path, output: Path) -> None:
    """Projects a head and writes its reconstruction on the networks' grid, as NIfTI that lies where it lay.

    The input is a skull-stripped head in NIfTI, or a .npz with `vol_data` or `vol` as the paper's code reads.

    Raises:
        ReadError: if it cannot be read.
    """
    from data_pipelines.progress import make_progress

    head, affine = read_head(input, config.networks.shape)
    found = np.asarray(project(config, state, head[None], make_progress("projecting")).images)[0]
    print(f"mean squared error, voxels in [-1, 1]: {np.square(found - head).mean():.5f}")
    write_head(output, found, affine)


def check_data(config: Config, data_dir: Path) -> tuple[str, int]:
    """Reads every volume of a folder; returns the report and the number of problems."""
    from data_pipelines import inspection

    return inspection.inspect_groups({"heads": head_volumes.find_cases(data_dir)})


def make_inference(config: Config, state) -> Inference:
    """The averaged generator as a function of latents, with its noise; or a feature network's features."""
    if config.study == "features":
        apply = algorithm.make_feature_network(config).apply
        return Inference(
            function=lambda variables, slices: apply(variables, slices, method="features"),
            variables={"params": state.net.params},
            input_shape=("batch", "height", "width", 1),
            input_dtype="float32",
            inputs="slices of heads in [-1, 1]",
            outputs="features",
        )
    function, variables = algorithm.make_sampler(config, state).as_function()
    voxel_mm = config.networks.voxel_mm
    return Inference(
        function=function,
        variables=variables,
        input_shape=("batch", config.networks.latent_width),
        input_dtype="float32",
        inputs="latents, standard normal",
        outputs=f"heads of {voxel_mm:g} mm in [-1, 1], from right to left, upwards, and backwards",
    )
