"""A trained network as a folder: its program, its arrays, and what is to be known about them.

model.stablehlo      the program, as jax.export serialises it; takes (arrays by name, inputs)
params.safetensors   the arrays by name, such as "params/conv_in/kernel"
manifest.json        shapes, dtypes, meaning, versions, sha256 of the two files and of itself
README.md            how to run it with jax, numpy and safetensors alone
"""

import hashlib
import importlib.metadata
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax import export

from jaxmed.deploy import program, readme, weights
from jaxmed.ops import tree_names
from jaxmed.types import Leaf, PyTree

PROGRAM, WEIGHTS, MANIFEST, README = "model.stablehlo", "params.safetensors", "manifest.json", "README.md"

_FORMAT = "jaxmed exported network"
_VERSION = 1
_MAX_MANIFEST_BYTES = 2**20
_LIBRARIES = ("jax", "jaxlib", "flatbuffers", "numpy", "safetensors")


class BundleError(ValueError):
    """An exported network that cannot be used: "<file>: found ...; wanted ..." in one line."""

    def __init__(self, file: Path, found: str, wanted: str):
        super().__init__(" ".join(f"{file}: found {found}; wanted {wanted}".split()))


def make_bundle(
    function: Callable[[Any, Any], Any],
    variables: PyTree,
    *,
    input_shape: Sequence[int | str],
    input_dtype: str,
    inputs: str,
    outputs: str,
    about: Mapping[str, Any],
    platforms: Sequence[str] = program.PLATFORMS,
) -> dict[str, bytes]:
    """Turns a network into the files of a folder.

    Args:
        function: `(variables, inputs) -> outputs`, jittable.
        variables: arrays in containers of any kind; in the files they are known by their paths.
        input_shape: sizes, or names of sizes that may be anything, such as ("batch", 64, 64).
        input_dtype: of the inputs.
        inputs: what they are, with units.
        outputs: what they are.
        about: JSON values for the manifest, "title" among them: where the network comes from.
        platforms: where it shall run.

    Returns:
        The content of each file by name.

    Raises:
        ValueError: if the network cannot be lowered, or an array has a dtype that cannot be written.
    """
    arrays, structure = tree_names.name_leaves(variables, separator="/"), jax.tree.structure(variables)

    def by_name(arrays, inputs):
        leaves = [arrays[name] for name in names]
        return function(jax.tree.unflatten(structure, leaves), inputs)

    names = list(arrays)
    exported = program.export_program(by_name, arrays, input_shape, input_dtype, platforms)
    files = {PROGRAM: bytes(exported.serialize()), WEIGHTS: weights.to_bytes(arrays)}
    described_inputs, described_outputs = _signature(exported)
    manifest = {
        "format": _FORMAT,
        "format_version": _VERSION,
        **about,
        "inputs": {"meaning": inputs, **described_inputs},
        "outputs": {"meaning": outputs, "arrays": described_outputs},
        "platforms": list(exported.platforms),
        "calling_convention_version": exported.calling_convention_version,
        "versions": {name: importlib.metadata.version(name) for name in _LIBRARIES},
        "files": {name: _fingerprint(content) for name, content in files.items()},
    }
    signed = {**manifest, "sha256": _digest(manifest)}
    files[MANIFEST] = f"{json.dumps(signed, indent=1)}\n".encode()
    return {**files, README: readme.render(manifest).encode()}


def load_exported(folder: str | Path) -> Callable[[Leaf], Any]:
    """Reads an exported network, if every byte is as it was written.

    Args:
        folder: with the files of `make_bundle`. The digests find damage; they are no signature: whoever can
            write the folder can write digests that fit.

    Returns:
        The network as a function of its inputs, compiled once for every batch size.

    Raises:
        BundleError: if a file is missing, damaged or of another version, if the files do not fit each other,
            or if the network was not exported for this machine's kind of device.
    """
    folder = Path(folder)
    manifest = read_manifest(folder)
    exported = _parse(folder / PROGRAM, manifest, program.read_program)
    arrays = _parse(folder / WEIGHTS, manifest, weights.from_bytes)
    _require_fit(folder, exported, arrays, manifest)
    if (platform := export.default_export_platform()) not in exported.platforms:
        raise BundleError(folder / PROGRAM, f"a program for {', '.join(exported.platforms)}", platform)
    variables, call = jax.device_put(arrays), jax.jit(exported.call)
    shape, dtype = exported.in_avals[-1].shape, exported.in_avals[-1].dtype

    def apply(inputs: Leaf) -> Any:
        inputs = inputs if isinstance(inputs, jax.Array) else np.asarray(inputs)
        if inputs.dtype != dtype or not _fits(inputs.shape, shape):
            raise ValueError(f"inputs are {inputs.dtype}{list(inputs.shape)}; wanted {dtype}{_sizes(shape)}")
        return call(variables, inputs)

    return apply


def read_weights(path: Path) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Reads the arrays of a network, for those who have its code.

    Args:
        path: folder of an exported network, or a safetensors file of any origin.

    Returns:
        Arrays by name, and the manifest, which is empty for a file.

    Raises:
        ValueError: if what is read is damaged; of a folder as a BundleError, also if a file is missing there
            or of another version.
        OSError: if there is no such file.
    """
    if not path.is_dir():
        return weights.from_bytes(path.read_bytes()), {}
    manifest = read_manifest(path)
    return _parse(path / WEIGHTS, manifest, weights.from_bytes), manifest


def read_manifest(folder: Path) -> dict[str, Any]:
    """Reads the manifest of an exported network, if it is as it was written.

    Raises:
        BundleError: if not, or if it is of another version.
    """
    file = folder / MANIFEST
    try:
        with file.open("rb") as stream:
            content = stream.read(_MAX_MANIFEST_BYTES + 1)
    except OSError as error:
        raise BundleError(file, f"no file to read ({error.strerror})", "an exported network") from error
    if len(content) > _MAX_MANIFEST_BYTES:
        raise BundleError(file, f"more than {_MAX_MANIFEST_BYTES} bytes", "the one that was exported")
    try:
        manifest = json.loads(content)
        digest = manifest.pop("sha256")
        found = manifest["format"], manifest["format_version"]
        _require_fields(manifest)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BundleError(file, "no such manifest", "the one that was exported") from error
    if digest != _digest(manifest):
        raise BundleError(file, "another sha256", "the content that was exported")
    if found != (_FORMAT, _VERSION):
        raise BundleError(file, f"'{found[0]}', version {found[1]}", f"'{_FORMAT}', version {_VERSION}")
    return manifest


def _require_fields(manifest: Mapping[str, Any]) -> None:
    """Raises a KeyError or a TypeError where something is missing that reading relies on."""
    inputs, outputs = manifest["inputs"], manifest["outputs"]["arrays"]
    for described in (inputs, outputs, *(manifest["files"][name] for name in (PROGRAM, WEIGHTS))):
        if not isinstance(described, dict):
            raise TypeError(f"{described!r} has no fields")


def _parse(file: Path, manifest: Mapping[str, Any], parse: Callable[[bytes], Any]) -> Any:
    wanted = manifest["files"][file.name]
    try:
        size = file.stat().st_size
        if size != wanted.get("bytes"):
            raise BundleError(file, f"{size} bytes", f"{wanted.get('bytes')}")
        content = file.read_bytes()
    except OSError as error:
        raise BundleError(file, f"no file to read ({error.strerror})", "the one that was exported") from error
    if _fingerprint(content) != wanted:
        raise BundleError(file, "another sha256", "the content that was exported")
    try:
        return parse(content)
    except ValueError as error:
        raise BundleError(file, str(error), "what was exported") from error


def _require_fit(
    folder: Path, exported: export.Exported, arrays: Mapping[str, np.ndarray], manifest: Mapping[str, Any]
) -> None:
    """Refuses arrays that the program does not take, and a program that the manifest does not describe."""
    try:
        wanted, _ = _arguments(exported)
    except (ValueError, TypeError) as error:
        raise BundleError(folder / PROGRAM, "other arguments", "arrays by name, and inputs") from error
    kinds = {name: f"{array.dtype}{_sizes(array.shape)}" for name, array in arrays.items()}
    for name in sorted(wanted.keys() | arrays.keys()):
        taken = f"{wanted[name].dtype}{_sizes(wanted[name].shape)}" if name in wanted else "no such array"
        if kinds.get(name, "nothing") != taken:
            raise BundleError(folder / WEIGHTS, f"{name} {kinds.get(name, 'missing')}", taken)
    inputs, outputs = _signature(exported)
    if {**inputs, "meaning": None} != {**manifest["inputs"], "meaning": None}:
        raise BundleError(folder / MANIFEST, f"inputs {manifest['inputs']}", f"{inputs}")
    if outputs != manifest["outputs"]["arrays"]:
        raise BundleError(folder / MANIFEST, f"outputs {manifest['outputs']['arrays']}", f"{outputs}")


def _signature(exported: export.Exported) -> tuple[dict[str, Any], dict[str, Any]]:
    """Shape and dtype of the inputs, and of the outputs by name, as JSON values."""

    def describe(array):
        return {"shape": _sizes(array.shape), "dtype": str(array.dtype)}

    _, inputs = _arguments(exported)
    outputs = tree_names.name_leaves(jax.tree.unflatten(exported.out_tree, exported.out_avals), separator="/")
    return describe(inputs), {name or "outputs": describe(array) for name, array in outputs.items()}


def _arguments(exported: export.Exported) -> tuple[dict[str, Any], Any]:
    (arrays, inputs), _ = jax.tree.unflatten(exported.in_tree, exported.in_avals)
    return dict(arrays), inputs


def _sizes(shape: Sequence[Any]) -> list[int | str]:
    return [size if isinstance(size, int) else str(size) for size in shape]


def _fits(shape: Sequence[int], wanted: Sequence[Any]) -> bool:
    return len(shape) == len(wanted) and all(
        size == want for size, want in zip(shape, wanted, strict=True) if isinstance(want, int)
    )


def _fingerprint(content: bytes) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}


def _digest(manifest: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
