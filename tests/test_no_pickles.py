"""Nothing is unpickled: no source can, and no loader does when a file asks for it.

The payload of the files below makes a file when it is unpickled: it stands for any code.
"""

import ast
import io
import json
import pickle
import zipfile
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest

from data_pipelines import cache, cache_entry
from data_pipelines.readers import dicom, images, nifti, numpy_files, scan
from data_pipelines.readers.errors import ReadError
from experiments.verbs import runs
from experiments.verbs.errors import UserError
from jaxmed.deploy import bundle
from jaxmed.train import manifest as manifests
from jaxmed.train import mesh
from jaxmed.train.checkpoint import Checkpoints
from jaxmed.train.checkpoint_errors import CheckpointError

ROOT = Path(__file__).parents[1]
PACKAGES = ("jaxmed", "data_pipelines", "experiments", "benchmarks")

UNPICKLERS = {
    "pickle",
    "_pickle",
    "cPickle",
    "cloudpickle",
    "dill",
    "joblib",
    "jsonpickle",
    "marshal",
    "shelve",
}
RUNNERS = {"eval", "exec", "compile", "__import__"}
METHODS = {"read_pickle", "to_pickle", "unsafe_load", "full_load", "load_module", "deserialize_and_load"}
PICKLING_UNLESS_TOLD = {"load", "save", "savez", "savez_compressed", "read_array", "write_array"}
NUMPY, OTHERS = {"np", "numpy", "format"}, {"torch", "yaml"}


def offences(tree):
    """What in a source unpickles, or runs text: names with their lines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        elif isinstance(node, ast.Call):
            names = [_forbidden_call(node)]
        else:
            continue
        yield from (f"{node.lineno}: {name}" for name in names if name and _is_offence(node, name))


def _is_offence(node, name):
    return isinstance(node, ast.Call) or name.split(".")[0] in UNPICKLERS


def _forbidden_call(node):
    if isinstance(node.func, ast.Name):
        return node.func.id if node.func.id in RUNNERS else None
    if not isinstance(node.func, ast.Attribute):
        return None
    module, name = ast.unparse(node.func.value), node.func.attr
    owner = "" if module == "safetensors.numpy" else module.split(".")[-1]
    told = any(
        word.arg == "allow_pickle" and isinstance(word.value, ast.Constant) and word.value.value is False
        for word in node.keywords
    )
    numpy_may = owner in NUMPY and name in PICKLING_UNLESS_TOLD and not told
    return f"{owner}.{name}" if numpy_may or name in METHODS or (owner in OTHERS and name == "load") else None


@pytest.mark.parametrize("package", PACKAGES)
def test_no_source_unpickles_or_runs_text(package):
    sources = sorted((ROOT / package).rglob("*.py"))
    assert sources
    found = [
        f"{path.relative_to(ROOT)}:{what}"
        for path in sources
        for what in offences(ast.parse(path.read_text()))
    ]
    assert not found


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "import numpy, dill as d",
        "from joblib import load",
        "from marshal import loads",
        "import shelve",
        "np.load(path)",
        "numpy.load(path, allow_pickle=True)",
        "np.load(path, allow_pickle=flag)",
        "np.savez(path, a=a)",
        "np.lib.format.read_array(file)",
        "torch.load(path)",
        "yaml.load(text, Loader)",
        "pandas.read_pickle(path)",
        "eval(text)",
        "exec(text)",
        "__import__(name)",
    ],
)
def test_search_finds_every_kind(source):
    assert len(list(offences(ast.parse(source)))) == 1


@pytest.mark.parametrize(
    "source",
    [
        "np.load(path, allow_pickle=False)",
        "re.compile(text)",
        "json.load(file)",
        "safetensors.numpy.load(data)",
    ],
)
def test_search_lets_the_rest_pass(source):
    assert not list(offences(ast.parse(source)))


class Payload:
    """Makes a file when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


@pytest.fixture
def payload(tmp_path):
    """The payload; at the end it must not have run."""
    yield Payload(tmp_path / "unpickled")
    assert not (tmp_path / "unpickled").exists()


@pytest.fixture
def pickled(payload):
    """The payload as bytes, of which it is shown first that they work."""
    content = pickle.dumps(payload)
    pickle.loads(content)
    payload.mark.unlink()
    return content


def npy(payload):
    """A .npy file of one object, which NumPy stores as a pickle."""
    file = io.BytesIO()
    np.save(file, np.array([payload], object), allow_pickle=True)
    file.seek(0)
    np.load(file, allow_pickle=True)
    payload.mark.unlink()
    return file.getvalue()


def npz(payload):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("image.npy", npy(payload))
    return file.getvalue()


def message(error, read):
    """What a loader says when it refuses; one line."""
    with pytest.raises(error) as caught:
        read()
    said = str(caught.value)
    assert "\n" not in said
    return said


@pytest.mark.faults
@pytest.mark.parametrize(
    ("name", "make", "read"),
    [
        ("volume.npy", npy, numpy_files.map_array),
        ("volume.npy", npy, lambda path: numpy_files.read_volume(path, spacing_mm=(1.0, 1.0, 1.0))),
        ("volume.npz", npz, numpy_files.read_arrays),
    ],
    ids=["map_array", "read_volume", "read_arrays"],
)
def test_numpy_files_with_a_pickle_are_refused(tmp_path, payload, name, make, read, record_fault, request):
    (tmp_path / name).write_bytes(make(payload))
    said = message(ReadError, lambda: read(tmp_path / name))
    record_fault(
        f"pickle hidden in a {name[-4:]} file, {request.node.callspec.id}",
        f"not run: '{said.replace(str(tmp_path), '')}'",
    )


@pytest.mark.faults
@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("scan.nii", nifti.read_volume),
        ("scan.nii.gz", nifti.read_volume),
        ("scan.nii.gz", scan.read_scan),
        ("scan/slice.dcm", lambda path: dicom.read_series(path.parent)),
        ("image.png", images.read_image),
    ],
    ids=["nii", "nii.gz", "scan", "dicom", "png"],
)
def test_pickles_under_the_names_of_medical_files_are_refused(
    tmp_path, pickled, name, read, record_fault, request
):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_bytes(pickled)
    said = message(ReadError, lambda: read(tmp_path / name))
    record_fault(
        f"pickle called {name}, {request.node.callspec.id}", f"not run: '{said.replace(str(tmp_path), '')}'"
    )


@pytest.mark.faults
@pytest.mark.parametrize("verify", ["sha256", "size"])
def test_pickle_in_a_cache_entry_is_built_again(tmp_path, payload, verify, caplog, record_fault):
    """Also where only sizes are compared: the shape and the dtype of the manifest rule."""
    key, image = {"version": 1}, np.arange(64.0)
    folder = cache.open_cache(tmp_path / "cache", key, ["case"], lambda name: {"image": image}).folder
    file = folder / "case" / "image.npy"
    size = file.stat().st_size
    file.write_bytes(npy(payload).ljust(size, b"."))
    opened = cache.open_cache(tmp_path / "cache", key, ["case"], lambda name: {"image": image}, verify=verify)
    found = opened["case"]["image"]
    assert found.dtype == np.float64
    if verify == "sha256":
        assert np.array_equal(found, image)
        assert "another sha256 than when it was written; building it again" in caplog.text
    record_fault(
        f"pickle in a cache entry, verified by {verify}", f"not run: read as {found.dtype}{found.shape}"
    )


@pytest.mark.faults
def test_cache_entry_whose_manifest_promises_objects_is_refused(tmp_path, payload, record_fault):
    key = {"version": 1}
    cache_entry.write(tmp_path / "case", key, {"image": np.arange(64.0)})
    (tmp_path / "case" / "image.npy").write_bytes(npy(payload))
    manifest = json.loads((tmp_path / "case" / "manifest.json").read_text())
    described = manifest["files"]["image"]
    described.update(dtype="|O", shape=[1], size=(tmp_path / "case" / "image.npy").stat().st_size)
    described["sha256"] = cache_entry._digest_file(tmp_path / "case" / "image.npy")
    content = {"key": manifest["key"], "files": manifest["files"]}
    signed = {**content, "sha256": cache_entry._digest(content)}
    (tmp_path / "case" / "manifest.json").write_text(json.dumps(signed))
    said = message(cache_entry.EntryError, lambda: cache_entry.read(tmp_path / "case", key))
    record_fault("pickle in a cache entry, digests forged, dtype object", f"not run: '{said}'")


@pytest.fixture
def checkpoint(tmp_path):
    """A folder of one checkpoint, and the state in it."""
    state = {"params": {"kernel": np.arange(6.0, dtype=np.float32).reshape(2, 3)}, "step": np.int32(5)}
    with Checkpoints(tmp_path / "checkpoints") as checkpoints:
        checkpoints.save(5, jax.device_put(state))
    return tmp_path / "checkpoints", state


def restore(folder, state):
    with Checkpoints(folder) as checkpoints:
        return checkpoints.restore(state, mesh.make_mesh(1))


@pytest.mark.faults
# Orbax leaves pending calls of a closed event loop behind where a read fails.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("digests", ["as written", "forged"])
def test_pickles_in_place_of_each_file_of_a_checkpoint_are_refused(
    checkpoint, pickled, tmp_path, digests, record_fault
):
    folder, state = checkpoint
    intact = manifests.verify(folder / "5", 5)
    names = [*intact.files] + ([manifests.FILE] if digests == "as written" else [])
    contents = {name: (folder / "5" / name).read_bytes() for name in [*intact.files, manifests.FILE]}
    refused = []
    for name in names:
        (folder / "5" / name).write_bytes(pickled)
        if digests == "forged":
            (folder / "5" / manifests.FILE).unlink()
            manifests.write(folder / "5", replace(intact, files={}))
        try:
            restored = restore(folder, state)
        except CheckpointError:
            refused.append(name)
        else:  # orbax reads some of its files never
            assert digests == "forged"
            assert np.array_equal(restored["params"]["kernel"], state["params"]["kernel"])
        (folder / "5").mkdir(exist_ok=True)
        for other, content in contents.items():
            (folder / "5" / other).parent.mkdir(parents=True, exist_ok=True)
            (folder / "5" / other).write_bytes(content)
    assert np.array_equal(restore(folder, state)["params"]["kernel"], state["params"]["kernel"])
    assert refused == names or digests == "forged"
    assert refused
    record_fault(
        f"4 pickle in place of each file of a checkpoint, digests {digests}",
        f"not run: {len(refused)} of {len(names)} refused, the others not looked at",
    )


@pytest.mark.faults
def test_pickle_as_the_config_of_a_run_is_refused(tmp_path, pickled, record_fault):
    (tmp_path / "config.json").write_bytes(pickled)
    said = message(UserError, lambda: runs.load(tmp_path))
    record_fault("pickle called config.json", f"not run: '{said.replace(str(tmp_path), '')}'")


@pytest.mark.faults
@pytest.mark.parametrize("name", [bundle.PROGRAM, bundle.WEIGHTS, bundle.MANIFEST])
def test_pickles_in_an_exported_network_are_refused(tmp_path, pickled, name, record_fault):
    """With digests that fit, as a forger would write them."""
    files = bundle.make_bundle(
        lambda variables, inputs: inputs * variables["scale"],
        {"scale": np.float32(2)},
        input_shape=("batch", 2),
        input_dtype="float32",
        inputs="numbers",
        outputs="numbers",
        about={"title": "A factor"},
    )
    manifest = json.loads(files[bundle.MANIFEST])
    del manifest["sha256"]
    files[name] = pickled
    manifest["files"] = {part: bundle._fingerprint(files[part]) for part in manifest["files"]}
    if name != bundle.MANIFEST:
        files[bundle.MANIFEST] = json.dumps({**manifest, "sha256": bundle._digest(manifest)}).encode()
    for part, content in files.items():
        (tmp_path / part).write_bytes(content)
    said = message(bundle.BundleError, lambda: bundle.load_exported(tmp_path))
    assert said.startswith(f"{tmp_path / name}: found no ")
    record_fault(f"pickle called {name}, digests forged", f"not run: '{said.replace(f'{tmp_path}/', '')}'")
