"""Smooth random fields that are functions of position in mm, whatever grid they are sampled on."""

import numpy as np

from data_pipelines.phantoms import shapes

NUM_CELLS = 48
_MEAN_SQUARE = 151 / 315
"""Mean of the sum of squared cubic B-spline weights over all positions in a cell."""


class SmoothNoise:
    """Stationary random field of zero mean and unit variance: a cubic B-spline with random coefficients.

    It repeats after `NUM_CELLS` cells along each axis.
    """

    def __init__(self, rng: np.random.Generator, cell_mm: float):
        """Draws the coefficients; structures are about 2 `cell_mm` wide."""
        self.cell_mm = cell_mm
        self._coefficients = rng.standard_normal((NUM_CELLS,) * 3, dtype=np.float32)

    def slice_at(self, z_mm: shapes.Scalar, offset_mm: np.ndarray) -> np.ndarray:
        """(size, size) values at one height, on the grid with these positions along y and x."""
        field = _interpolate(self._coefficients, np.array([z_mm]) / self.cell_mm)[0]
        field = _interpolate(field, offset_mm / self.cell_mm)
        return _interpolate(field.T, offset_mm / self.cell_mm).T

    def on_grid(self, z_mm: np.ndarray, y_mm: np.ndarray, x_mm: np.ndarray) -> np.ndarray:
        """(depth, height, width) values on the grid with these positions along each axis."""
        field = self._coefficients
        for positions in (z_mm, y_mm, x_mm):
            field = np.moveaxis(_interpolate(field, positions / self.cell_mm), 0, -1)
        return field

    def at(self, points_mm: np.ndarray) -> np.ndarray:
        """(n,) values at (n, 3) positions x, y, z."""
        columns, weights = _taps(points_mm[:, ::-1].T / self.cell_mm)
        (kz, ky, kx), (wz, wy, wx) = columns.swapaxes(0, 1), weights.swapaxes(0, 1)
        values = self._coefficients[kz[:, None, None], ky[None, :, None], kx[None, None, :]]
        return np.einsum("abcn,an,bn,cn->n", values, wz, wy, wx)


def _interpolate(coefficients: np.ndarray, position: np.ndarray) -> np.ndarray:
    """Spline along the first axis at positions in cells."""
    columns, weights = _taps(position)
    shape = (-1,) + (1,) * (coefficients.ndim - 1)
    total = weights[0].reshape(shape) * coefficients[columns[0]]
    for column, weight in zip(columns[1:], weights[1:], strict=True):
        total += weight.reshape(shape) * coefficients[column]
    return total


def _taps(position: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Indices and weights (4, ...) of the cubic B-splines that are not zero at each position in cells."""
    cell = np.floor(position)
    f = (position - cell).astype(np.float32)
    weights = np.stack([(1 - f) ** 3, 3 * f**3 - 6 * f**2 + 4, 3 * f + 3 * f**2 - 3 * f**3 + 1, f**3])
    columns = cell.astype(np.int64) + np.arange(-1, 3).reshape((4,) + (1,) * position.ndim)
    return columns % NUM_CELLS, weights / np.float32(6 * np.sqrt(_MEAN_SQUARE))
