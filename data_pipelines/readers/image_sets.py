"""A folder that holds a set of images with classes, whichever of the known ones it is.

Known are the binary files of CIFAR-10, one .npz file of MedMNIST, and the class folders of the COVID-19
Radiography Database.
"""

from pathlib import Path

import numpy as np

from data_pipelines import cache
from data_pipelines.labelled_images import LabelledImages
from data_pipelines.progress import make_progress
from data_pipelines.readers import cifar10, covid_radiography, medmnist
from data_pipelines.readers.errors import ReadError


def read_set(folder: Path, cache_dir: Path, size: int) -> LabelledImages:
    """Reads the set.

    Args:
        folder: holds it.
        cache_dir: where resized radiographs are kept.
        size: height and width to which radiographs are resized; other sets keep their own size.

    Returns:
        The images, with the published parts where there are any.

    Raises:
        ReadError: see the readers.
        BuildError: a radiograph cannot be read.
    """
    if (file := _npz_file(folder)) is not None:
        return medmnist.read_medmnist(file)
    if _is_cifar10(folder):
        return cifar10.read_cifar10(folder)
    cases = {case.subject: case for case in covid_radiography.find_radiographs(folder)}
    key = {
        "source": str(folder.resolve()),
        "files": cache.fingerprint(case.path for case in cases.values()),
        "size": size,
    }
    arrays = cache.open_cache(
        cache_dir,
        key,
        tuple(cases),
        lambda name: {"image": cases[name].read(size)},
        progress=make_progress("resizing radiographs"),
    )
    images = np.stack([arrays[name]["image"] for name in cases])[..., None]
    labels = np.array([case.label for case in cases.values()], np.int32)
    return LabelledImages(images, labels, covid_radiography.CLASSES)


def read_grey_images(path: Path, size: int) -> tuple[list[str], np.ndarray]:
    """Reads an image, or all PNG and JPEG files of a folder by name, as `covid_radiography` does.

    Returns:
        Their names, and (images, size, size, 1) uint8.

    Raises:
        ReadError: no images, or one that cannot be read.
    """
    paths = sorted(path.iterdir()) if path.is_dir() else [path]
    paths = [file for file in paths if file.suffix.lower() in covid_radiography.SUFFIXES]
    if not paths:
        raise ReadError(path, "no images", "PNG or JPEG files")
    images = [covid_radiography.Radiograph(file.stem, file, 0).read(size) for file in paths]
    return [file.name for file in paths], np.stack(images)[..., None]


def inspect_set(folder: Path) -> tuple[str, int]:
    """Reads every image; returns a report and the number of problems."""
    problems: list[str] = []
    try:
        if _npz_file(folder) is None and not _is_cifar10(folder):
            classes, labels = covid_radiography.CLASSES, []
            for case in covid_radiography.find_radiographs(folder):
                try:
                    case.read(1)
                    labels.append(case.label)
                except ReadError as error:
                    problems.append(str(error))
        else:
            found = read_set(folder, folder, 0)
            classes, labels = found.classes, found.labels
    except ReadError as error:
        return f"1 problem\n{error}", 1
    counts = np.bincount(np.asarray(labels, np.int64), minlength=len(classes))
    parts = ", ".join(f"{name} {count}" for name, count in zip(classes, counts, strict=True))
    lines = [f"{counts.sum()} images: {parts}", f"{len(problems)} problems", *problems]
    return "\n".join(lines), len(problems)


def _npz_file(folder: Path) -> Path | None:
    files = sorted(folder.glob("*.npz"))
    if len(files) > 1:
        raise ReadError(folder, f"{len(files)} .npz files", "one")
    return files[0] if files else None


def _is_cifar10(folder: Path) -> bool:
    return (folder / cifar10.FILES[0]).exists() or (folder / "cifar-10-batches-bin").is_dir()
