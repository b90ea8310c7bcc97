"""Patches of prepared volumes, drawn at random or on a grid: loaders for `pipeline`.

    cases = cache.open_cache(...)      each with `image`, `label` and what `foreground.list_voxels` gives
    draw = patches.RandomPatches(
        cases, train, (128, 128, 128), {"image": -1000, "label": 0},
        foreground_probability=1 / 3, patches_per_case=8,
    )
    plan = index_plan.IndexPlan(len(draw), batch_size, seed)
    batches = pipeline.make_batches(draw.load, plan, first_step=step)

Where a patch lies depends on the plan, the step and the seed alone: not on the number of hosts or threads,
nor on the executor. A patch within its volume is copied once, from the mapped file into the batch. The
patches of a case are neighbours in an epoch's numbers: where the volumes do not fit into memory,
`IndexPlan(..., run_length=8)` takes eight of them from each volume that has been read.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from data_pipelines import foreground, patch_geometry
from data_pipelines.example_stream import Load
from data_pipelines.patch_geometry import Padding

Cases = Mapping[str, Mapping[str, np.ndarray]]
"""Arrays by name of the case and name of the array, such as `cache.Cache`."""


class Place(NamedTuple):
    """Attributes: case, its name; start, first voxel of the patch along each axis, perhaps outside."""

    case: str
    start: tuple[int, ...]


class Volumes:
    """Cases whose arrays are cut alike, all looked at once so that what does not fit is found at the start.

    Args:
        cases: every array to be cut has spatial axes, of the same lengths in all arrays of a case, and may
            have others behind them.
        names: the cases to use.
        size: of the patches along the spatial axes, in voxels.
        padding: what stands beyond each array to be cut; its names say which these are.
        whole: arrays that go along uncut, of equal shapes in all cases, such as `image_scaling`.

    Raises:
        ValueError: a name repeats or there is none, sizes are not positive, an array is missing or of another
            shape, or a padding does not fit the array's dtype.
    """

    def __init__(
        self,
        cases: Cases,
        names: Sequence[str],
        size: tuple[int, ...],
        padding: Mapping[str, Padding],
        whole: Sequence[str] = (),
    ):
        if not names or len(set(names)) != len(names):
            raise ValueError(f"names has {len(names)} cases; wanted at least one, and none twice")
        if not size or min(size) < 1 or not padding:
            raise ValueError(f"size is {size}, padding {dict(padding)}; wanted sizes from 1 and an array")
        self.cases, self.names, self.size = cases, tuple(names), tuple(size)
        self._padding, self._whole = dict(padding), tuple(whole)
        dtypes: dict[str, list[np.dtype]] = {name: [] for name in padding}
        self.shapes = {case: self._look_at(case, dtypes) for case in self.names}
        # Cases that int16 could not hold are float32: the others then are, too.
        self._dtypes = {name: np.result_type(*set(found)) for name, found in dtypes.items()}
        for name, value in self._padding.items():
            _check_padding(name, value, self._dtypes[name])

    def cut(self, place: Place) -> dict[str, np.ndarray]:
        """Cuts the patch out of every array."""
        arrays = self.cases[place.case]
        patch = {name: arrays[name] for name in self._whole}
        for name, padding in self._padding.items():
            patch[name] = patch_geometry.take_patch(arrays[name], place.start, self.size, padding)
            if patch[name].dtype != self._dtypes[name]:
                patch[name] = patch[name].astype(self._dtypes[name])
        return patch

    def _look_at(self, case: str, dtypes: dict[str, list[np.dtype]]) -> tuple[int, ...]:
        arrays = self.cases[case]
        missing = [name for name in (*self._padding, *self._whole) if name not in arrays]
        if missing:
            raise ValueError(f"case '{case}' has no '{missing[0]}'; it has {', '.join(arrays)}")
        shapes = {arrays[name].shape[: len(self.size)] for name in self._padding}
        shape = min(shapes)
        if len(shapes) > 1 or len(shape) != len(self.size) or min(shape) < 1:
            found = ", ".join(f"{name} {arrays[name].shape}" for name in self._padding)
            raise ValueError(f"case '{case}' has {found}; wanted {len(self.size)} equal spatial axes")
        for name, found in dtypes.items():
            found.append(arrays[name].dtype)
        return shape


class RandomPatches:
    """Patches at random places.

    With probability `foreground_probability` a patch is centred on a labelled voxel (see
    `foreground.draw_voxel`) and shifted by as little as brings it within its range; else, and always where a
    volume has no labelled voxel, every place of the range is as likely. The latter may meet labels, too, so
    more patches than the stated part show foreground.

    The range along an axis is `patch_geometry.start_range`: within the volume and `margin` voxels around it;
    a volume that is smaller is centred in the patch.

    Args:
        cases: see `Volumes`.
        names: the cases to use.
        size: of the patches along the spatial axes, in voxels.
        padding: see `Volumes`.
        whole: see `Volumes`.
        margin: voxels that a patch may reach beyond the volume on every side. With size // 2 every voxel is
            as likely to be in a patch, or nearly; with 0 those at the border are rare.
        foreground_probability: in [0, 1]; if positive, every case has what `foreground.list_voxels` gives.
        patches_per_case: how often each case comes in an epoch; its patches have neighbouring numbers.

    Raises:
        ValueError: a number is out of its range; see also `Volumes`.
    """

    def __init__(
        self,
        cases: Cases,
        names: Sequence[str],
        size: tuple[int, ...],
        padding: Mapping[str, Padding],
        *,
        whole: Sequence[str] = (),
        margin: int = 0,
        foreground_probability: float = 0.0,
        patches_per_case: int = 1,
    ):
        if margin < 0 or patches_per_case < 1 or not 0 <= foreground_probability <= 1:
            raise ValueError(
                f"margin is {margin}, patches_per_case {patches_per_case}, foreground_probability "
                f"{foreground_probability}; wanted at least 0, at least 1, and from 0 to 1"
            )
        self._volumes = Volumes(cases, names, size, padding, whole)
        self._probability, self._patches_per_case = foreground_probability, patches_per_case
        self._ranges = {
            case: [patch_geometry.start_range(*axis, margin) for axis in zip(shape, size, strict=True)]
            for case, shape in self._volumes.shapes.items()
        }
        if foreground_probability:
            for name in names:
                self._check_foreground(name)

    def __len__(self) -> int:
        """Patches of an epoch."""
        return len(self._volumes.names) * self._patches_per_case

    def place(self, index: int, generator: np.random.Generator) -> Place:
        """Draws where patch `index` of an epoch lies; the case depends on the index alone."""
        case = self._volumes.names[index // self._patches_per_case]
        ranges, wanted = self._ranges[case], None
        if self._probability and generator.random() < self._probability:
            arrays, shape = self._volumes.cases[case], self._volumes.shapes[case]
            wanted = foreground.draw_voxel(arrays, shape, generator)
        if wanted is None:
            return Place(case, tuple(int(generator.integers(first, last + 1)) for first, last in ranges))
        centred = zip(wanted, self._volumes.size, ranges, strict=True)
        return Place(case, tuple(min(max(v - s // 2, first), last) for v, s, (first, last) in centred))

    def load(self, index: int, generator: np.random.Generator) -> dict[str, np.ndarray]:
        """Loads patch `index` of an epoch, for `pipeline.make_batches`."""
        return self._volumes.cut(self.place(index, generator))

    def _check_foreground(self, case: str) -> None:
        arrays = self._volumes.cases[case]
        missing = {foreground.VOXELS, foreground.COUNTS} - arrays.keys()
        if missing:
            raise ValueError(
                f"case '{case}' has no '{min(missing)}'; wanted what foreground.list_voxels gives"
            )


def draw_together(draws: Mapping[str, RandomPatches]) -> Load:
    """A loader of one patch of every data set per example.

    Args:
        draws: by name of the set. The plan runs over the first set; of the others any patch is as likely.

    Returns:
        Loads every array of each set under the name `<array>_<set>`.
    """

    def load(index: int, generator: np.random.Generator) -> dict[str, np.ndarray]:
        arrays = {}
        for number, (name, draw) in enumerate(draws.items()):
            patch = draw.load(int(generator.integers(len(draw))) if number else index, generator)
            arrays |= {f"{array}_{name}": values for array, values in patch.items()}
        return arrays

    return load


class GridPatches:
    """Patches on a fixed grid that covers every volume: case after case, in C order; drawn by no generator.

    Args:
        cases: see `Volumes`.
        names: the cases to use.
        size: of the patches along the spatial axes, in voxels.
        padding: see `Volumes`; met only where a volume is smaller than a patch, which is then centred in it.
        step: voxels from one patch to the next along each axis; the last one ends with the axis.
        whole: see `Volumes`.

    Attributes:
        places: where each patch lies.

    Raises:
        ValueError: a step below 1 or not one for each axis; see also `Volumes`.
    """

    def __init__(
        self,
        cases: Cases,
        names: Sequence[str],
        size: tuple[int, ...],
        padding: Mapping[str, Padding],
        step: tuple[int, ...],
        *,
        whole: Sequence[str] = (),
    ):
        if len(step) != len(size) or min(step, default=0) < 1:
            raise ValueError(f"step is {step}; wanted {len(size)} numbers from 1")
        self._volumes = Volumes(cases, names, size, padding, whole)
        self.places = tuple(
            Place(case, start)
            for case, shape in self._volumes.shapes.items()
            for start in _grid(shape, size, step)
        )

    def __len__(self) -> int:
        """Patches in all."""
        return len(self.places)

    def load(self, index: int, generator: np.random.Generator) -> dict[str, np.ndarray]:
        """Loads patch `index`, for `pipeline.make_evaluation_batches` or `make_batches`."""
        return self._volumes.cut(self.places[index])


def _grid(shape: tuple[int, ...], size: tuple[int, ...], step: tuple[int, ...]):
    axes = zip(shape, size, step, strict=True)
    return itertools.product(*(patch_geometry.grid_starts(*axis) for axis in axes))


def _check_padding(name: str, value: Padding, dtype: np.dtype) -> None:
    if value == "edge":
        return
    try:
        fits = np.full((), value, dtype) == value
    except (OverflowError, ValueError, TypeError):
        fits = False
    if not fits:
        raise ValueError(f"padding of '{name}' is {value!r}; wanted 'edge' or a value of {dtype}")
