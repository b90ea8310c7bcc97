"""Pictures of the data sets with their labels, and of what the methods find."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from data_pipelines.imaging_sets import SETS, draw_case, resample, standardise
from experiments.contract import FinishedRow
from experiments.fsnet.algorithm import first_labels
from experiments.fsnet.config import Config
from experiments.fsnet.evaluate import make_segmenter
from jaxmed.report import label_maps, pictures
from jaxmed.report.figures import save
from jaxmed.report.pyplot import Figure

_WINDOW = (-2.0, 4.0)
"""Shown intensities in standard deviations."""

_COMPARED = ("U-Net", "Joint training", "FS-Net")


def draw_methods(rows: Sequence[FinishedRow], directory: Path) -> list[Path]:
    """Draws a test case with its labels, and what FS-Net and a baseline of the table find."""
    by_label = {row.row.label: row for row in rows}
    loaded = {label: by_label[label].load(0) for label in _COMPARED if label in by_label}
    config, _, data = loaded["FS-Net"]
    arrays = data.evaluation.target[data.evaluation.split.test[0]]
    image = np.asarray(arrays["image"])
    masks = {"labels": np.asarray(arrays["label"])}
    masks |= {label: make_segmenter(own, state)(image) for label, (own, state, _) in loaded.items()}
    return [save(_draw_contours(config, image, masks), directory / "contours.png")]


def draw_segmentation(config: Config, state, input: Path | None) -> Figure:
    """Draws what a run finds in a subject of the target, or in a phantom that no run has seen."""
    name, masks = config.chosen.sets[0], {}
    if input is None:
        image, masks["labels"] = draw_case(name, 1_000_000, config.chosen.phantom_shape)
    else:
        from data_pipelines.readers import sequences

        example = sequences.read_sequences(input, SETS[name].sequences)
        image = resample(example, config.chosen.pixel_mm).image
    image = standardise(image)
    return _draw_contours(config, image, {**masks, "found": make_segmenter(config, state)(image)})


def draw_sets(config: Config) -> Figure:
    """Draws a phantom of every data set, all its sequences, and its joint labels."""
    names, rows = config.chosen.sets, []
    for name, first in zip(names, first_labels(names), strict=True):
        image, label = draw_case(name, 0, config.chosen.phantom_shape)
        index, image = _busiest(label), standardise(image)
        sequences = zip(SETS[name].sequences, np.moveaxis(image[index], -1, 0), strict=True)
        joint = np.where(label[index] > 0, label[index] + first - 1, 0)
        classes = {first + number: class_ for number, class_ in enumerate(SETS[name].classes)}
        slices = {f"{name}: {sequence}": channel for sequence, channel in sequences}
        rows.append(label_maps.LabelledSlices(slices, joint, classes))
    return label_maps.draw_labelled_slices(rows, _WINDOW)


def _draw_contours(config: Config, image: np.ndarray, masks: Mapping[str, np.ndarray]) -> Figure:
    """The last sequence of the slice with the most labels, once for each class."""
    classes, index = SETS[config.chosen.sets[0]].classes, _busiest(next(iter(masks.values())))
    outlines = {
        legend: [mask[index] == number for number in range(1, 1 + len(classes))]
        for legend, mask in masks.items()
    }
    return pictures.draw_contours(dict.fromkeys(classes, image[index, ..., -1]), outlines, _WINDOW)


def _busiest(label: np.ndarray) -> int:
    """The slice with the most labelled voxels."""
    return int((label > 0).sum(axis=(1, 2)).argmax())
