"""Exported networks: the same outputs, without the library, from intact files only."""

import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export

from jaxmed.deploy import bundle, weights
from jaxmed.models.residual_unet import ResidualUNet
from jaxmed.ops import tree_names

ROOT = Path(__file__).parents[2]
ABOUT = {"title": "A small U-Net", "paper": "none", "seed": 0}
SIZE = 16


def make_network():
    """A residual U-Net with random parameters and running statistics."""
    model = ResidualUNet(widths=(4, 8), dtype=jnp.float32)
    shapes = jax.eval_shape(
        lambda key: model.init(key, jnp.zeros((1, SIZE, SIZE, 1)), train=False), jax.random.key(0)
    )
    generator = np.random.default_rng(0)

    def draw(name):
        bounds = {"params": (-0.3, 0.5), "batch_stats": (0.5, 1.5)}[name]
        return jax.tree.map(
            lambda leaf: generator.uniform(*bounds, leaf.shape).astype(leaf.dtype), shapes[name]
        )

    variables = {name: draw(name) for name in sorted(shapes)}

    def function(variables, images):
        logits = model.apply(variables, images[..., None].astype(jnp.float32) / 100, train=False)
        return jax.nn.sigmoid(logits[..., 0])

    return function, variables


def make_files(function, variables, **changes):
    settings = {
        "input_shape": ("batch", SIZE, SIZE),
        "input_dtype": "int16",
        "inputs": "images in HU",
        "outputs": "probabilities",
        "about": ABOUT,
    }
    return bundle.make_bundle(function, variables, **{**settings, **changes})


def write(files, folder):
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def sign(folder, change):
    """Changes the manifest and makes its digests fit again, as a forger would."""
    file = folder / bundle.MANIFEST
    manifest = json.loads(file.read_text())
    del manifest["sha256"]
    for name in manifest["files"]:
        content = (folder / name).read_bytes()
        manifest["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    change(manifest)
    digest = hashlib.sha256(json.dumps(manifest, sort_keys=True).encode()).hexdigest()
    file.write_text(json.dumps({**manifest, "sha256": digest}))


def draw_inputs(count):
    return np.random.default_rng(count).integers(-1000, 1000, (count, SIZE, SIZE)).astype(np.int16)


@pytest.fixture(scope="module")
def network():
    return make_network()


@pytest.fixture(scope="module")
def exported(network, tmp_path_factory):
    return write(make_files(*network), tmp_path_factory.mktemp("export") / "exported")


@pytest.fixture
def copy(exported, tmp_path):
    return shutil.copytree(exported, tmp_path / "copy")


def refusal(folder):
    with pytest.raises(bundle.BundleError) as caught:
        bundle.load_exported(folder)
    said = str(caught.value)
    assert "\n" not in said
    assert "; wanted " in said
    return said.replace(f"{folder}/", "")


@pytest.mark.parametrize("count", [1, 3])
def test_exported_network_gives_the_bits_of_the_original(network, exported, count):
    function, variables = network
    outputs = bundle.load_exported(exported)(draw_inputs(count))
    wanted = jax.jit(function)(variables, draw_inputs(count))
    assert wanted.shape == (count, SIZE, SIZE)
    assert np.asarray(wanted).std() > 0
    assert np.array_equal(outputs, wanted)


def run_snippet(folder, output, more):
    """Runs the README's snippet where jax, numpy and safetensors can be imported and the sources cannot."""
    (snippet,) = re.findall(r"```python\n(.*?)```", (folder / bundle.README).read_text(), flags=re.DOTALL)
    blocked = ("jaxmed", "experiments", "data_pipelines", "flax", "optax", "orbax", "chex", "tensorflow")
    block = (
        "import sys, importlib.abc\n"
        "class Block(importlib.abc.MetaPathFinder):\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.split('.')[0] in {blocked!r}:\n"
        "            raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Block())\n"
        f"assert {str(ROOT)!r} not in sys.path\n"
    )
    return subprocess.run(
        [sys.executable, "-I", "-c", block + snippet + more, output],
        cwd=folder,
        capture_output=True,
        text=True,
    )


def test_snippet_of_the_readme_gives_the_same_bits_without_the_library(network, exported, tmp_path):
    function, variables = network
    for count in (1, 3):
        np.save(tmp_path / f"inputs-{count}.npy", draw_inputs(count))
    more = (
        "assert outputs.shape == (2, 16, 16)\n"
        "folder = Path(sys.argv[1])\n"
        "for count in (1, 3):\n"
        "    inputs = np.load(folder / f'inputs-{count}.npy', allow_pickle=False)\n"
        "    np.save(folder / f'outputs-{count}.npy', predict(variables, inputs))\n"
    )
    result = run_snippet(exported, tmp_path, more)
    assert result.returncode == 0, result.stderr
    for count in (1, 3):
        outputs = np.load(tmp_path / f"outputs-{count}.npy", allow_pickle=False)
        assert np.array_equal(outputs, jax.jit(function)(variables, draw_inputs(count)))


def test_manifest_says_what_is_needed_to_use_the_network(exported):
    manifest = bundle.read_manifest(exported)
    assert manifest["title"] == "A small U-Net"
    assert manifest["inputs"] == {"meaning": "images in HU", "shape": ["batch", SIZE, SIZE], "dtype": "int16"}
    arrays = {"outputs": {"shape": ["batch", SIZE, SIZE], "dtype": "float32"}}
    assert manifest["outputs"] == {"meaning": "probabilities", "arrays": arrays}
    assert manifest["platforms"] == ["cpu", "cuda", "tpu"]
    assert manifest["versions"]["jax"] == jax.__version__
    assert set(manifest["files"]) == {bundle.PROGRAM, bundle.WEIGHTS}


def test_same_network_gives_the_same_bytes(network):
    assert make_files(*network) == make_files(*network)


def test_no_file_tells_where_the_sources_lay(network):
    assert not [name for name, content in make_files(*network).items() if str(ROOT).encode() in content]


def test_arrays_are_not_in_the_program(network):
    function, variables = network
    other = jax.tree.map(np.zeros_like, variables)
    assert make_files(function, other)[bundle.PROGRAM] == make_files(function, variables)[bundle.PROGRAM]


def test_arrays_are_read_with_the_manifest_or_from_a_file_alone(network, exported, copy):
    wanted = tree_names.name_leaves(network[1], separator="/")
    for path, title in ((exported, ABOUT["title"]), (exported / bundle.WEIGHTS, None)):
        arrays, manifest = bundle.read_weights(path)
        assert manifest.get("title") == title
        assert arrays.keys() == wanted.keys()
        assert all(np.array_equal(arrays[name], wanted[name]) for name in wanted)
    (copy / bundle.WEIGHTS).unlink()
    with pytest.raises(bundle.BundleError, match="found no file to read"):
        bundle.read_weights(copy)


def test_containers_of_any_kind_and_several_outputs(tmp_path):
    variables = {"layers": [np.float32([1, 2]), (np.float32([3, 4]),)], "empty": {}}

    def function(variables, inputs):
        first, (second,) = variables["layers"]
        assert variables["empty"] == {}
        return {"sum": inputs + first[None], "parts": [inputs * second[None]]}

    files = make_files(function, variables, input_shape=("batch", 2), input_dtype="float32")
    outputs = bundle.load_exported(write(files, tmp_path / "exported"))(np.float32([[1, 1]]))
    assert np.array_equal(outputs["sum"], [[2, 3]])
    assert np.array_equal(outputs["parts"][0], [[3, 4]])
    assert set(weights.from_bytes(files[bundle.WEIGHTS])) == {"layers/0", "layers/1/0"}
    assert set(bundle.read_manifest(tmp_path / "exported")["outputs"]["arrays"]) == {"sum", "parts/0"}


def test_inputs_of_another_shape_or_dtype_are_refused(exported):
    apply = bundle.load_exported(exported)
    with pytest.raises(ValueError, match=r"inputs are int16\[1, 8, 16\]; wanted int16\['batch', 16, 16\]"):
        apply(np.zeros((1, 8, SIZE), np.int16))
    with pytest.raises(ValueError, match=r"inputs are float64\[1, 16, 16\]; wanted int16"):
        apply(np.zeros((1, SIZE, SIZE)))


def test_network_for_other_devices_is_refused(network, tmp_path):
    folder = write(make_files(*network, platforms=["tpu"]), tmp_path / "exported")
    assert refusal(folder) == "model.stablehlo: found a program for tpu; wanted cpu"


def test_what_cannot_be_exported_is_said_in_one_line(network):
    def calls_python(variables, inputs):
        return jax.pure_callback(np.sin, jax.ShapeDtypeStruct(inputs.shape, "float32"), inputs)

    with pytest.raises(
        ValueError, match=r"cannot be exported for cpu, cuda, tpu with inputs of shape"
    ) as caught:
        make_files(calls_python, {})
    assert "\n" not in str(caught.value)


@pytest.mark.faults
@pytest.mark.parametrize("name", [bundle.PROGRAM, bundle.WEIGHTS, bundle.MANIFEST])
def test_flipped_byte_is_found_wherever_it_is(copy, name, record_fault):
    intact = (copy / name).read_bytes()
    positions = np.linspace(0, len(intact) - 1, 20).astype(int)
    said = set()
    for position in positions:
        content = bytearray(intact)
        content[position] ^= 0b100
        (copy / name).write_bytes(content)
        said.add(refusal(copy))
    (copy / name).write_bytes(intact)
    assert bundle.load_exported(copy)(draw_inputs(1)).shape == (1, SIZE, SIZE)
    record_fault(f"export: a byte of {name} flipped, {len(positions)} places", f"refused, e.g. '{max(said)}'")


@pytest.mark.faults
@pytest.mark.parametrize("name", [bundle.PROGRAM, bundle.WEIGHTS, bundle.MANIFEST])
def test_missing_and_truncated_files_are_named(copy, name, record_fault):
    content = (copy / name).read_bytes()
    (copy / name).write_bytes(content[:-7])
    truncated = refusal(copy)
    (copy / name).unlink()
    missing = refusal(copy)
    assert truncated.startswith(name)
    assert missing.startswith(f"{name}: found no file to read (No such file or directory)")
    record_fault(f"export: {name} truncated; missing", f"refused: '{truncated}'; '{missing}'")


@pytest.mark.faults
@pytest.mark.parametrize(
    "content", [b"[" * 100_000, b" " * 2**21, b"[]", b""], ids=["deep", "long", "list", "empty"]
)
def test_manifest_that_is_none_is_refused(copy, content, record_fault, request):
    (copy / bundle.MANIFEST).write_bytes(content)
    said = refusal(copy)
    record_fault(f"export: manifest.json {request.node.callspec.id}", f"refused: '{said}'")


@pytest.mark.faults
def test_arrays_that_do_not_fit_are_refused_though_the_digests_do(network, copy, record_fault):
    arrays = tree_names.name_leaves(network[1], separator="/")
    name = "params/conv_in/kernel"
    assert name in arrays
    changes = {
        "another shape": {**arrays, name: np.zeros((1, 2), np.float32)},
        "another dtype": {**arrays, name: arrays[name].astype(np.float16)},
        "one missing": {key: array for key, array in arrays.items() if key != name},
        "one too many": {**arrays, "more": np.zeros(1)},
    }
    for change, changed in changes.items():
        (copy / bundle.WEIGHTS).write_bytes(weights.to_bytes(changed))
        sign(copy, lambda manifest: None)
        said = refusal(copy)
        assert said.startswith(f"params.safetensors: found {'more' if change == 'one too many' else name} ")
        record_fault(f"export: arrays with {change}, digests forged", f"refused: '{said}'")


@pytest.mark.faults
@pytest.mark.parametrize(
    ("change", "hint"),
    [
        (
            lambda manifest: manifest["inputs"].update(shape=["batch", 8, 8]),
            "wanted {'shape': ['batch', 16, 16]",
        ),
        (lambda manifest: manifest["outputs"].update(arrays={}), "found outputs {}"),
        (lambda manifest: manifest.update(format_version=2), "version 2; wanted 'jaxmed exported network'"),
        (lambda manifest: manifest.pop("files"), "no such manifest"),
        (lambda manifest: manifest.update(inputs=[]), "no such manifest"),
    ],
    ids=["input shape", "outputs", "version", "no files", "no inputs"],
)
def test_manifest_that_does_not_describe_the_files_is_refused(copy, change, hint, record_fault, request):
    sign(copy, change)
    said = refusal(copy)
    assert said.startswith("manifest.json: found ")
    assert hint in said
    record_fault(f"export: forged manifest, {request.node.callspec.id}", f"refused: '{said}'")


@pytest.mark.faults
def test_program_that_calls_unknown_functions_of_the_machine_is_refused(copy, record_fault):
    def foreign(arrays, inputs):
        return jax.ffi.ffi_call("open_the_door", jax.ShapeDtypeStruct(inputs.shape, inputs.dtype))(inputs)

    shape = jax.ShapeDtypeStruct(export.symbolic_shape(f"batch, {SIZE}, {SIZE}"), np.int16)
    allowed = [export.DisabledSafetyCheck.custom_call("open_the_door")]
    forged = export.export(jax.jit(foreign), disabled_checks=allowed)({}, shape).serialize()
    (copy / bundle.PROGRAM).write_bytes(forged)
    sign(copy, lambda manifest: None)
    said = refusal(copy)
    assert "custom calls whose targets have no compatibility guarantees" in said
    record_fault("export: program with a foreign custom call, digests forged", f"refused: '{said[:110]}...'")


@pytest.mark.faults
def test_program_with_other_arguments_is_refused(copy, record_fault):
    forged = export.export(jax.jit(lambda inputs: inputs))(jax.ShapeDtypeStruct((2,), np.int16)).serialize()
    (copy / bundle.PROGRAM).write_bytes(forged)
    sign(copy, lambda manifest: None)
    said = refusal(copy)
    assert said == "model.stablehlo: found other arguments; wanted arrays by name, and inputs"
    record_fault("export: program of another network, digests forged", f"refused: '{said}'")


@pytest.mark.faults
def test_snippet_of_the_readme_finds_damage_too(copy, tmp_path, record_fault):
    content = bytearray((copy / bundle.WEIGHTS).read_bytes())
    content[-1] ^= 1
    (copy / bundle.WEIGHTS).write_bytes(content)
    result = run_snippet(copy, tmp_path, "")
    said = result.stderr.splitlines()[-1]
    assert (result.returncode, said) == (1, "AssertionError: params.safetensors is damaged")
    record_fault("export: a byte of params.safetensors flipped, README snippet", f"stopped: '{said}'")
