"""Reports on the files that `small_sets` reads."""

import functools
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from data_pipelines import labelled_folder
from data_pipelines.labelled_images import LabelledImages
from data_pipelines.progress import make_progress
from data_pipelines.readers import labelled_npz, mnist
from data_pipelines.readers.errors import ReadError

_SHAPE = (28, 28)
"""Of the images of MNIST and EMNIST."""


def inspect_characters(folder: Path) -> tuple[str, int]:
    """Reads MNIST and EMNIST letters, training and test; returns a report and the number of problems."""
    parts = {}
    for part in ("train", "t10k"):
        parts[f"MNIST {part}"] = functools.partial(mnist.read_mnist, folder, part, _SHAPE)
    for part in ("train", "test"):
        parts[f"EMNIST letters {part}"] = functools.partial(mnist.read_letters, folder, part, _SHAPE)
    return _inspect(parts)


def inspect_brains(folder: Path) -> tuple[str, int]:
    """Reads every volume of OASIS; returns a report and the number of problems."""
    from data_pipelines.readers import oasis  # whoever checks characters needs no medical readers

    try:
        subjects = oasis.find_subjects(folder)
    except ReadError as error:
        return f"1 problem\n{error}", 1
    counts: Counter[bool] = Counter()
    problems, progress = [], make_progress("reading volumes")
    for done, subject in enumerate(subjects, 1):
        try:
            oasis.read_slice(subject)
            counts[subject.has_dementia] += 1
        except ReadError as error:
            problems.append(str(error))
        progress(done, len(subjects))
    lines = [f"{counts.total()} subjects: {counts[False]} healthy, {counts[True]} demented"]
    return "\n".join([*lines, f"{len(problems)} problems", *problems]), len(problems)


def inspect_own(folder: Path) -> tuple[str, int]:
    """Reads every image of a folder for `labelled_folder`; returns a report and the number of problems.

    Raises:
        ReadError: the folder has several .npz files, or neither one nor images.
    """
    file = labelled_folder.find_npz(folder)
    if file is not None:
        return _inspect({file.name: lambda: labelled_npz.read_labelled(file)})
    from data_pipelines.readers import image_folder

    report, num_problems = image_folder.inspect(folder)
    outside = [image.name for image in image_folder.find_images(folder) if image.label is None]
    lines = [f"{name}: found no class; wanted the image in a sub-folder" for name in outside]
    return "\n".join([report, *lines]), num_problems + len(outside)


def _inspect(parts: Mapping[str, Callable[[], LabelledImages]]) -> tuple[str, int]:
    lines, problems = [], []
    for title, read in parts.items():
        try:
            found = read()
        except ReadError as error:
            problems.append(f"{title}: {error}")
            continue
        count, height, width = found.images.shape[:3]
        numbers = np.bincount(found.labels)
        names = found.classes or range(len(numbers))
        classes = ", ".join(f"{name}: {number}" for name, number in zip(names, numbers, strict=True))
        lines.append(f"{title}: {count} images of {height} x {width} pixels; images by class: {classes}")
    return "\n".join([*lines, f"{len(problems)} problems", *problems]), len(problems)


INSPECTORS = {"characters": inspect_characters, "brains": inspect_brains, "folder": inspect_own}
"""By the source of the sets."""
