"""Conventions that the whole library shares: axis order, orientation, units, mesh axes.

Axis order is depth, height, width, channels, with the batch first: images are
(batch, height, width, channels), volumes (batch, depth, height, width, channels). In a volume read
from a scanner, depth runs towards superior, height towards posterior and width towards the left of
the patient (LPS), so that a slice shows as a radiologist sees it. Spacing is in millimetres in axis
order. Computed tomography is in Hounsfield units (HU), water 0 and air -1000.

Arrays that cross a public function are float32 unless the docstring says otherwise.
"""

from collections.abc import Mapping
from typing import Any

DATA_AXIS = "data"
"""Mesh axis over which the batch is split."""

SPACE_AXIS = "space"
"""Mesh axis over which the first spatial axis of volumes is split."""

PyTree = Any
"""Nested containers of arrays."""

Leaf = Any
"""An array, or what stands for one in a tree: its shape, its sharding, a NumPy array."""

Batch = Mapping[str, Leaf]
"""Arrays of one training step by name; the first axis of each is the batch."""
