"""Matplotlib, imported when the first figure is drawn: that takes a second, and most processes draw none."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import matplotlib.pyplot as plt
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
else:
    Axes = Figure = Any

    class _Pyplot:
        def __getattr__(self, name: str) -> Any:
            return getattr(importlib.import_module("matplotlib.pyplot"), name)

    plt = _Pyplot()

__all__ = ["Axes", "Figure", "plt"]
