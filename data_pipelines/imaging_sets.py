"""Public segmentation sets by name: what they show, phantoms in their place, and how cases are prepared."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from data_pipelines import cache, preprocess
from data_pipelines.example import Example
from data_pipelines.phantoms import brain_volumes, cardiac_volumes
from data_pipelines.phantoms.digest import phantom_code
from data_pipelines.readers.errors import ReadError

if TYPE_CHECKING:
    from data_pipelines.readers.sequences import SequencesCase

SetName = Literal["hvsmr", "mnms", "wmh", "brats"]

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class ImagingSet:
    """What a data set shows.

    Attributes:
        sequences: the channels of its images; sets of one organ name the sequences that they share first.
        classes: its labels from 1 on.
        field_mm: depth, height and width that a phantom's volume covers.
        depth_share: slices of a phantom beside those of other sets.
        draw: `(seed, shape, spacing_mm) -> (image (depth, height, width[, channels]), label)`.
    """

    sequences: tuple[str, ...]
    classes: tuple[str, ...]
    field_mm: tuple[float, float, float]
    depth_share: float
    draw: Callable


@dataclass(frozen=True)
class Source:
    """Cases of one data set that can be prepared one by one.

    Attributes:
        key: what the prepared arrays depend on.
        names: of the cases.
        build: prepares one: `image` (depth, height, width, channels) float32, standardised, and `label`
            (depth, height, width) uint8.
    """

    key: Mapping[str, Any]
    names: tuple[str, ...]
    build: Callable[[str], dict[str, np.ndarray]]


def _heart(protocol: cardiac_volumes.Protocol) -> Callable:
    return lambda seed, shape, spacing_mm: cardiac_volumes.draw_volume(seed, protocol, shape, spacing_mm)


def _brain(disease: brain_volumes.Disease) -> Callable:
    return lambda seed, shape, spacing_mm: brain_volumes.draw_volume(seed, disease, shape, spacing_mm)


_HEAD_MM = (126.0, 216.0, 180.0)

SETS: dict[SetName, ImagingSet] = {
    "hvsmr": ImagingSet(("bSSFP",), ("VM", "BP"), (132.0, 176.0, 176.0), 1.0, _heart("whole_heart")),
    "mnms": ImagingSet(("cine",), ("LV", "MYO", "RV"), (108.0, 212.0, 212.0), 0.5, _heart("short_axis")),
    "wmh": ImagingSet(("T1", "FLAIR"), ("WM",), _HEAD_MM, 1.0, _brain("hyperintensities")),
    "brats": ImagingSet(("T1", "FLAIR", "T1Gd", "T2"), ("NCR", "ED", "ET"), _HEAD_MM, 1.0, _brain("glioma")),
}
"""HVSMR 2016, M&Ms, the WMH challenge of 2017 and BraTS 2019."""


def draw_case(name: SetName, seed: int, shape: Shape) -> tuple[np.ndarray, np.ndarray]:
    """Draws a phantom of a set.

    Args:
        name: of the set.
        seed: of the subject.
        shape: depth, height and width in voxels; sets of thick slices have fewer.

    Returns:
        Image (depth, height, width, channels) and label.
    """
    one = SETS[name]
    shape = (max(1, round(shape[0] * one.depth_share)), *shape[1:])
    image, label = one.draw(
        seed, shape, tuple(length / size for length, size in zip(one.field_mm, shape, strict=True))
    )
    return image.reshape(*label.shape, -1), label


def standardise(image: np.ndarray) -> np.ndarray:
    """z-scores each channel over its voxels above 0; the others, where there is nothing, become 0.

    Args:
        image: (depth, height, width, channels).

    Returns:
        float32 of the same shape; a channel without any contrast is 0.
    """
    result = np.zeros(image.shape, np.float32)
    for channel in range(image.shape[-1]):
        values = image[..., channel]
        inside = values > 0
        if inside.any():
            mean, std = float(values[inside].mean()), float(values[inside].std())
            result[..., channel] = np.where(inside, (values - mean) / max(std, 1e-6), 0)
    return result


def resample(example: Example, pixel_mm: float) -> Example:
    """Resamples the slices of every channel (`preprocess.resample_in_plane`); 0 leaves them as they are.

    Args:
        example: its image is (depth, height, width, channels).
        pixel_mm: pixel size wanted.
    """
    if not pixel_mm:
        return example
    parts = [
        preprocess.resample_in_plane(replace(example, image=example.image[..., channel]), pixel_mm)
        for channel in range(example.image.shape[-1])
    ]
    return replace(parts[0], image=np.stack([part.image for part in parts], axis=-1))


def phantom_source(name: SetName, count: int, shape: Shape) -> Source:
    """Phantoms of a set, numbered from 0."""

    def build(case: str) -> dict[str, np.ndarray]:
        image, label = draw_case(name, int(case.rsplit("-", 1)[1]), shape)
        return {"image": standardise(image), "label": label}

    key = {"source": "phantom", "code": phantom_code(__file__), "set": name, "shape": list(shape)}
    return Source(key, tuple(f"{name}-{number:03d}" for number in range(count)), build)


def find_cases(name: SetName, data_dir: Path) -> "list[SequencesCase]":
    """Lists the labelled cases of a set in `<data_dir>/<name>/`, laid out as in `readers.sequences`.

    Raises:
        ReadError: if there is none, or a name occurs twice.
    """
    from data_pipelines.readers import sequences  # the phantoms must run without the medical readers

    find = {
        "hvsmr": sequences.find_hvsmr,
        "mnms": sequences.find_mnms,
        "wmh": sequences.find_wmh,
        "brats": sequences.find_brats,
    }
    cases = find[name](data_dir / name)
    names = [case.subject for case in cases]
    for one in names:
        if names.count(one) > 1:
            raise ReadError(data_dir / name, f"{one} more than once", "distinct cases")
    return cases


def file_source(name: SetName, data_dir: Path, pixel_mm: float) -> Source:
    """The cases of a set (`find_cases`), resampled within their slices."""
    by_name = {f"{name}-{case.subject}": case for case in find_cases(name, data_dir)}

    def build(case: str) -> dict[str, np.ndarray]:
        example = resample(by_name[case].read(), pixel_mm)
        assert example.label is not None
        return {"image": standardise(example.image), "label": example.label}

    paths = [p for case in by_name.values() for p in (*case.image_paths, case.label_path) if p is not None]
    key = {"source": str(data_dir.resolve()), "files": cache.fingerprint(paths), "pixel_mm": pixel_mm}
    return Source(key, tuple(by_name), build)


def open_sources(
    directory: Path, sources: Mapping[Any, Source], may_fail: Mapping[Any, Sequence[str]], max_failures: int
) -> dict[SetName, cache.Cache]:
    """Opens a cache for each set, preparing what is not there; see `cache.open_cache`."""
    return {
        name: cache.open_source(
            directory / name, source, source.names, may_fail[name], max_failures, label=f"preparing {name}"
        )
        for name, source in sources.items()
    }
