"""What users do with their own images: evaluate any generator's, take a generator along, check a folder."""

import tempfile
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from data_pipelines.readers.errors import ReadError
from experiments.contract import Data, Inference
from experiments.ganeval import figures, networks
from experiments.ganeval.config import Config
from experiments.ganeval.data import Study, groups, make_data
from experiments.ganeval.evaluate import JUDGED, column, evaluate
from experiments.ganeval.run import StudyState
from jaxmed.metrics import set_comparison
from jaxmed.report import contact_sheet
from jaxmed.report.figures import save
from jaxmed.report.set_comparison import write_section


def sample(config: Config, state: StudyState | None, input: Path | None, directory: Path) -> list[Path]:
    """Draws real images, or of a run its report: scores, verdicts and Figures 1 to 3.

    `input` is the run's --data-dir, None for the phantom. Raises ReadError as `data.make_data`.
    """
    with tempfile.TemporaryDirectory() as cache:
        data = make_data(config, seed=0, data_dir=input, cache_dir=Path(cache))
    study: Study = data.evaluation
    if state is None:
        rows = [study.real[label].test[:10, ..., 0] for label in config.classes]
        return [save(contact_sheet.draw_rows(rows, config.classes), directory / "real.png")]
    name = "synthetic" if config.synthetic_dir else config.method
    files = figures.draw_runs({name: (config, state, study)}, directory)
    lines = [f"# Images of {config.synthetic_dir or config.method}", "", *_sections(config, state, data)]
    (report := directory / "report.md").write_text("\n".join(lines))
    return [report, *files]


def _sections(config: Config, state: StudyState, data: Data) -> list[str]:
    """What was found out about each class."""
    scores, sections = evaluate(config, state, data), []
    medians = np.median(state.quantiles, axis=-1)
    for label, own, findings in zip(config.classes, medians, np.asarray(state.findings), strict=True):
        real = data.evaluation.real[label]
        sections.append(
            write_section(
                f"{label}: {len(real.train)} real images for training, {len(real.test)} for the test",
                {name: np.array(list(scores[column(name, label)].values())) for name in JUDGED},
                dict(zip(set_comparison.KINDS, own, strict=True)),
                set_comparison.MEASURES,
                dict(zip(set_comparison.MODES, findings, strict=True)),
            )
        )
    return sections


def make_inference(config: Config, state: StudyState) -> Inference:
    """The generators as one function of latents and classes; ReadError where images came from elsewhere."""
    if not state.generators:
        raise ReadError(config.synthetic_dir, "images from elsewhere", "a run that has trained a GAN")
    num_latents, names = networks.make_plan(config).num_latents, tuple(groups(config))

    def function(variables, inputs):
        z, codes = inputs[:, :num_latents], inputs[:, num_latents:]
        made = [networks.decode(config, variables[name], z, jnp.argmax(codes, axis=1)) for name in names]
        if len(made) == 1:
            return made[0]
        own = codes[:, None, None, None, :] == codes.max(axis=1)[:, None, None, None, None]
        return jnp.where(own, jnp.stack(made, axis=-1), 0).sum(axis=-1)

    return Inference(
        function=function,
        variables=dict(state.generators),
        input_shape=("batch", num_latents + len(config.classes)),
        input_dtype="float32",
        inputs=f"{num_latents} standard normal latents, then one-hot the class: {', '.join(config.classes)}",
        outputs="images in [0, 1]",
    )


def check_data(config: Config, data_dir: Path) -> tuple[str, int]:
    """Reads every image of a folder; returns the report and the number of problems."""
    from data_pipelines.readers import image_folder  # the phantom must run without the medical readers

    return image_folder.inspect(data_dir)
