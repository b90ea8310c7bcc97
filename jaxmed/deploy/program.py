"""Functions of arrays as serialised StableHLO programs (jax.export)."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
from jax import export

from jaxmed.types import PyTree

PLATFORMS = ("cpu", "cuda", "tpu")
"""For which a program is made, where nothing else is said."""


def export_program(
    function: Callable[[Any, Any], Any],
    variables: PyTree,
    input_shape: Sequence[int | str],
    input_dtype: str,
    platforms: Sequence[str] = PLATFORMS,
) -> export.Exported:
    """Turns `function(variables, inputs)` into a program; the arrays of `variables` stay an argument.

    Args:
        function: jittable.
        variables: arrays or their shapes, in dicts, lists and tuples.
        input_shape: sizes, or names of sizes that may be anything, such as ("batch", 64, 64).
        input_dtype: of the inputs.
        platforms: where the program shall run: "cpu", "cuda", "rocm" or "tpu".

    Returns:
        The program; it does not tell where on this machine the sources lay.

    Raises:
        ValueError: if the function cannot be lowered for one of the platforms or with open sizes.
    """
    shapes = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), variables)
    try:
        symbolic = export.symbolic_shape(", ".join(map(str, input_shape)))
        inputs = jax.ShapeDtypeStruct(symbolic, input_dtype)
        with _places_left_out():
            return export.export(jax.jit(function), platforms=tuple(platforms))(shapes, inputs)
    except Exception as error:  # lowering rules raise what they like
        raise ValueError(
            f"the network cannot be exported for {', '.join(platforms)} with inputs of shape "
            f"({', '.join(map(str, input_shape))}): {_first_line(error)}"
        ) from error


def read_program(content: bytes) -> export.Exported:
    """Reads what `Exported.serialize` wrote, if it does nothing but compute.

    A program may call functions of the machine that runs it by name. Those are let through to which
    jax.export itself gives its promise of stability (linear algebra, FFTs, accelerator kernels); anything
    else, callbacks into Python among it, is refused.

    Raises:
        ValueError: if it cannot be read or calls something else.
    """
    try:
        program = export.deserialize(bytearray(content))
        shapes = [jax.ShapeDtypeStruct(array.shape, array.dtype) for array in program.in_avals]
        args, kwargs = jax.tree.unflatten(program.in_tree, shapes)
        # What the file says of checks that were switched off does not matter: exporting checks anew.
        export.export(jax.jit(program.call), platforms=program.platforms)(*args, **kwargs)
    except Exception as error:  # a damaged buffer raises what it likes
        raise ValueError(f"no program that can be read ({_first_line(error)})") from error
    return program


@contextlib.contextmanager
def _places_left_out() -> Iterator[None]:
    """Keeps folders and callers out of the program: file names and lines of the innermost code stay."""
    settings = {
        "jax_hlo_source_file_canonicalization_regex": r".*[/\\]",
        "jax_traceback_in_locations_limit": 0,
    }
    before = {name: getattr(jax.config, name) for name in settings}
    try:
        for name, value in settings.items():
            jax.config.update(name, value)
        yield
    finally:
        for name, value in before.items():
            jax.config.update(name, value)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
