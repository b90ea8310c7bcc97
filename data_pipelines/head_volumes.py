"""Heads without skulls on one grid of cubic voxels, prepared one by one: phantoms, or files of any folder.

The grid is that of 3D-StyleGAN: 160 x 192 x 224 mm from right to left, inferior to superior and anterior to
posterior. Voxels are bytes: 0 outside of the brain, 255 from the 99.5th percentile of the brain on.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from scipy import ndimage

from data_pipelines import cache
from data_pipelines.example import Example
from data_pipelines.phantoms import t1_heads
from data_pipelines.phantoms.digest import phantom_code, source_digest

FIELD_MM = (160, 192, 224)
"""Extent of the grid."""

NPZ_NAMES = ("vol_data", "vol")
"""Of the volume in a .npz file."""

_PERCENTILE = 99.5

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class HeadVolumes:
    """Attributes: key of the cache; cases, their names; build, what `prepare` gives of one."""

    key: Mapping[str, Any]
    cases: tuple[str, ...]
    build: Callable[[str], dict[str, np.ndarray]]


@dataclass(frozen=True)
class HeadCase:
    """A file that is not read yet: NIfTI, or .npz as the released code of 3D-StyleGAN takes them.

    Arrays in .npz are taken to run as FreeSurfer's: towards the left, downwards, and to the front.
    """

    subject: str
    path: Path

    def read(self) -> Example:
        """Reads it.

        Raises:
            ReadError: it cannot be read, or a .npz holds no volume of the grid's extent in cubic voxels.
        """
        from data_pipelines.readers import nifti

        return _read_npz(self.path) if self.path.suffix == ".npz" else nifti.read_volume(self.path)


class OnGrid(NamedTuple):
    """A volume on the grid.

    Attributes:
        image: as the grid's axes are, uint8.
        affine: (4, 4) from voxel indices in the order depth, height, width (see `from_grid`) to RAS mm.
    """

    image: np.ndarray
    affine: np.ndarray


def to_grid(volume: np.ndarray) -> np.ndarray:
    """From (depth, height, width), superior, posterior, left, to the grid's order of axes."""
    return np.ascontiguousarray(np.transpose(volume, (2, 0, 1)))


def from_grid(volume: np.ndarray) -> np.ndarray:
    """Inverse of `to_grid`."""
    return np.ascontiguousarray(np.transpose(volume, (1, 2, 0)))


def scale_intensity(image: np.ndarray) -> np.ndarray:
    """Bytes from 0 to 255 at the 99.5th percentile of the voxels above 0; an empty image stays empty."""
    inside = image[image > 0]
    top = float(np.percentile(inside, _PERCENTILE)) if inside.size else 1.0
    return np.rint(np.clip(image / top, 0, 1) * 255).astype(np.uint8)


def phantoms(num_cases: int, shape: Shape, first: int = 0) -> HeadVolumes:
    """Heads of the phantom `t1_heads`, with "ventricle_ml", the exact volume of their ventricles.

    Args:
        num_cases: how many.
        shape: of the grid in voxels, which are cubic.
        first: number of the first subject.
    """
    names = tuple(f"head-{number:05d}" for number in range(first, first + num_cases))
    key = {"source": "phantom", "code": phantom_code(__file__), "shape": shape}
    return HeadVolumes(key, names, lambda name: _draw(int(name.removeprefix("head-")), shape))


def _draw(seed: int, shape: Shape) -> dict[str, np.ndarray]:
    width, depth, height = shape
    head = t1_heads.draw_head(seed, (depth, height, width), FIELD_MM[0] / width)
    image = to_grid(scale_intensity(head.image))
    return {"image": image, "ventricle_ml": np.asarray(head.ventricle_ml, np.float32)}


def find_cases(data_dir: Path) -> list[HeadCase]:
    """Lists the .nii, .nii.gz and .npz files in a folder, or in its folder `images`.

    Raises:
        ReadError: there are none, or two of one name.
    """
    from data_pipelines.readers import nifti
    from data_pipelines.readers.errors import ReadError

    folder = data_dir / "images" if (data_dir / "images").is_dir() else data_dir
    endings = (".nii", ".nii.gz", ".npz")
    paths = [path for path in sorted(folder.iterdir()) if path.name.endswith(endings)]
    found: dict[str, Path] = {}
    for path in (path for path in paths if not path.name.startswith(".")):
        name = nifti.case_name(path).removesuffix(".npz")
        if name in found:
            raise ReadError(path, f"the case of {found[name].name} again", "one file per case")
        found[name] = path
    if not found:
        raise ReadError(folder, "no volume", "files that end in .nii, .nii.gz or .npz")
    return [HeadCase(name, path) for name, path in found.items()]


def files(data_dir: Path, shape: Shape) -> HeadVolumes:
    """The volumes of a folder (`find_cases`), skull-stripped and registered before."""
    cases = {case.subject: case for case in find_cases(data_dir)}
    key = {
        "source": str(data_dir.resolve()),
        "files": cache.fingerprint([case.path for case in cases.values()]),
        "code": source_digest(__file__),
        "shape": shape,
    }
    return HeadVolumes(key, tuple(cases), lambda name: {"image": place(cases[name].read(), shape).image})


def place(example: Example, shape: Shape) -> OnGrid:
    """Brings a volume to the grid, the middle of the box around all voxels above 0 in its centre.

    It is smoothed first where the grid's voxels are larger, with a Gaussian of (ratio - 1) / 2 old voxels,
    and interpolated linearly; beyond its borders there are zeros.

    Args:
        example: a skull-stripped volume (depth, height, width) with its spacing.
        shape: of the grid in voxels.

    Raises:
        ReadError: no voxel is above 0.
    """
    from data_pipelines.readers.errors import ReadError

    boxes = ndimage.find_objects((example.image > 0).astype(np.uint8))
    if not boxes:
        raise ReadError(example.subject, "no voxel above 0", "a head")
    width, depth, height = shape
    size = np.array([depth, height, width])
    ratio = FIELD_MM[0] / width / np.array(example.spacing_mm)
    centre = np.array([(side.start + side.stop - 1) / 2 for side in boxes[0]])
    offset: Any = centre - ratio * (size - 1) / 2
    smooth = ndimage.gaussian_filter(example.image, np.maximum(ratio - 1, 0) / 2)
    image = ndimage.affine_transform(smooth, ratio, offset, tuple(size), np.float32, order=1, cval=0.0)
    step = np.diag([*ratio, 1.0])
    step[:3, 3] = offset
    affine = standard_affine(example.image.shape, example.spacing_mm)
    affine = (affine if example.affine is None else example.affine) @ step
    return OnGrid(to_grid(scale_intensity(np.maximum(image, 0))), affine)


def standard_affine(shape: tuple[int, ...], spacing_mm: tuple[float, ...]) -> np.ndarray:
    """Affine of a volume that has none: (depth, height, width) in canonical directions, centred on 0."""
    affine = np.zeros((4, 4))
    depth, height, width = spacing_mm
    affine[0, 2], affine[1, 1], affine[2, 0], affine[3, 3] = -width, -height, depth, 1
    affine[:3, 3] = -affine[:3, :3] @ (np.array(shape) - 1) / 2
    return affine


def _read_npz(path: Path) -> Example:
    from data_pipelines.readers import numpy_files
    from data_pipelines.readers.errors import ReadError
    from data_pipelines.readers.voxels import to_finite_float32

    arrays = numpy_files.read_arrays(path)
    volume = next((arrays[name] for name in NPZ_NAMES if name in arrays), None)
    if volume is None:
        raise ReadError(path, f"arrays {', '.join(arrays) or 'none'}", f"one called {' or '.join(NPZ_NAMES)}")
    volume = volume.squeeze()
    sizes = {round(mm / count, 6) for mm, count in zip(FIELD_MM, volume.shape, strict=False)}
    if volume.ndim != len(FIELD_MM) or len(sizes) != 1 or volume.dtype.kind not in "iuf":
        raise ReadError(
            path,
            f"shape {volume.shape} of {volume.dtype}",
            f"numbers of shape {FIELD_MM}, or that divided by one number",
        )
    # FreeSurfer's conformed volumes run towards the left, downwards and to the front.
    image = from_grid(to_finite_float32(np.ascontiguousarray(volume[:, ::-1, ::-1]), path, False))
    return Example(subject=path.stem, image=image, spacing_mm=(sizes.pop(),) * 3)
