"""What users do: draw images of every class, give the decoders away, check a folder."""

import tempfile
from dataclasses import replace
from pathlib import Path

from data_pipelines import small_sets_inspection
from data_pipelines.readers.errors import ReadError
from data_pipelines.readers.labelled_npz import write_labelled
from experiments.contract import Inference
from experiments.rhvae import data, generative
from experiments.rhvae.config import Config
from experiments.rhvae.run import StudyState
from jaxmed.algorithms import manifold_sampling
from jaxmed.report import contact_sheet
from jaxmed.report.figures import save


def sample(config: Config, state: StudyState | None, input: Path | None, directory: Path) -> list[Path]:
    """Draws and writes the raw training images, or what a run has generated: `num_samples` of each class.

    Each set gets a folder with a picture and an .npz file, which may be the --data-dir of `--source folder`.
    With an input, the run's --data-dir, the raw images are drawn beside those of the run.

    Raises:
        ReadError: as `data.make_data`; or the run has no generative models.
    """
    parts = {}
    if state is not None:
        _require_models(config)
        parts["generated"] = generative.synthetic_parts(config, state.generators, state.latents)
    if state is None or input is not None:
        with tempfile.TemporaryDirectory() as cache:
            study = data.make_data(config, seed=0, data_dir=input, cache_dir=Path(cache)).evaluation
        parts["raw"] = {name: one.train for name, one in study.sets.items()}
    files = []
    for kind, sets in parts.items():
        for name, one in sets.items():
            (folder := directory / name / kind).mkdir(parents=True, exist_ok=True)
            figure = contact_sheet.draw_classes(one.images[..., 0], one.labels, one.classes)
            files += [save(figure, folder / "images.png"), write_labelled(folder / "images.npz", one)]
    return files


def make_inference(config: Config, state: StudyState) -> Inference:
    """The decoders of all generative models, each on latents of its own; ReadError where there are none."""
    _require_models(config)
    model = generative.make_model(replace(config, method="vae"))  # both kinds have the same decoder
    params = state.generators if config.method == "vae" else state.generators["vae"]

    def function(variables, latents):
        return manifold_sampling.pixel_means(model, variables, latents.swapaxes(0, 1)).swapaxes(0, 1)

    classes = f"{data.num_classes(config)} classes of {', '.join(data.set_names(config))}"
    count = data.num_models(config)
    return Inference(
        function=function,
        variables={name: leaves for name, leaves in params.items() if name.startswith("decoder")},
        input_shape=("batch", count, config.generator.num_latents),
        input_dtype="float32",
        inputs=f"latents of each of {count} models, standard normal",
        outputs=f"images in [0, 1], one of each model: {classes}",
    )


def check_data(config: Config, data_dir: Path) -> tuple[str, int]:
    """Reads every file of the config's source in a folder; returns the report and the number of problems."""
    return small_sets_inspection.INSPECTORS[config.source](data_dir)


def _require_models(config: Config) -> None:
    if config.method not in data.GENERATIVE:
        wanted = f"one of {', '.join(data.GENERATIVE)}, which train generative models"
        raise ReadError("the run", f"the method {config.method}", wanted)
