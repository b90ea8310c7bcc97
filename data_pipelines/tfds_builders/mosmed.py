"""TensorFlow Datasets builder of MosMedData; importing it imports TensorFlow.

Use: `import data_pipelines.tfds_builders.mosmed`, then `tfds.load("mosmed", ...)`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from data_pipelines.readers import mosmed
from data_pipelines.readers.errors import ReadError


class Mosmed(tfds.core.GeneratorBasedBuilder):
    """Chest CT of 1110 people in five classes of COVID-19 severity, 50 of them with lesion masks.

    Splits: "masked" has the studies with a mask, "unmasked" all others, whose label is an empty array of
    shape (0, 0, 0). Volumes are (depth, height, width) = superior, posterior, left.

    Reference:
        S. P. Morozov et al., MosMedData: Chest CT Scans with COVID-19 Related Findings Dataset,
        arXiv:2005.06465. Licence CC BY-NC-ND 3.0.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First release."}  # noqa: RUF012
    MANUAL_DOWNLOAD_INSTRUCTIONS = """
    Get COVID19_1110 from https://mosmed.ai/datasets/covid19_1110 (registration; CC BY-NC-ND 3.0) and place
    its folders as studies/CT-{0..4}/study_xxxx.nii.gz and masks/study_xxxx_mask.nii.gz in manual_dir.
    """

    def _info(self) -> tfds.core.DatasetInfo:
        """Features of one study."""
        volume = (None, None, None)
        return tfds.core.DatasetInfo(
            builder=self,
            description="Chest CT with severity of COVID-19 findings and, for 50 of 1110, lesion masks.",
            features=tfds.features.FeaturesDict(
                {
                    "subject": tfds.features.Text(),
                    "image": tfds.features.Tensor(shape=volume, dtype=np.int16, encoding="zlib"),
                    "label": tfds.features.Tensor(shape=volume, dtype=np.uint8, encoding="zlib"),
                    "spacing_mm": tfds.features.Tensor(shape=(3,), dtype=np.float32),
                    "severity": tfds.features.ClassLabel(names=list(mosmed.SEVERITIES)),
                }
            ),
            homepage="https://mosmed.ai/datasets/covid19_1110",
            citation="Morozov, S. P. et al. MosMedData. arXiv:2005.06465 (2020).",
        )

    def _split_generators(self, dl_manager: tfds.download.DownloadManager) -> dict[str, Any]:
        """Studies with and without masks; a split that would be empty is left out."""
        cases = mosmed.find_cases(Path(dl_manager.manual_dir))
        splits = {
            "masked": [case for case in cases if case.label_path],
            "unmasked": [case for case in cases if not case.label_path],
        }
        return {name: self._generate_examples(members) for name, members in splits.items() if members}

    def _generate_examples(self, cases: list[mosmed.MosMedCase]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Reads the studies one by one."""
        for case in cases:
            example = case.read()
            label = np.zeros((0, 0, 0), np.uint8) if example.label is None else example.label
            yield (
                case.subject,
                {
                    "subject": case.subject,
                    "image": _int16(example.image, case.image_path),
                    "label": label,
                    "spacing_mm": np.asarray(example.spacing_mm, np.float32),
                    "severity": case.severity,
                },
            )


def _int16(image: np.ndarray, path: Path) -> np.ndarray:
    limits = np.iinfo(np.int16)
    if image.min() < limits.min or image.max() > limits.max or (image != np.rint(image)).any():
        raise ReadError(path, f"values {image.min():g} to {image.max():g}", "whole HU that fit 16 bits")
    return image.astype(np.int16)
