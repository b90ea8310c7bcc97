import dataclasses
import hashlib
import json
import os

import jax
import numpy as np
import pytest

from jaxmed.train import manifest
from jaxmed.train.checkpoint_errors import DamagedError

_LEAVES = {"kernel": {"shape": [2, 3], "dtype": "float32"}}


def hash_json(value):
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def folder(tmp_path):
    """A checkpoint's folder with two files, one in a sub-folder and larger than a block of the hash."""
    folder = tmp_path / "7"
    (folder / "d").mkdir(parents=True)
    (folder / "header").write_bytes(b"abc")
    (folder / "d" / "data").write_bytes(np.random.default_rng(0).bytes(5 * 2**20))
    return folder


def test_manifest_says_what_wrote_the_checkpoint(folder):
    written = manifest.write(folder, manifest.describe(7, {"config": {"width": 8}}, _LEAVES))
    content = json.loads((folder / "manifest.json").read_text())
    body = content["manifest"]
    assert content["sha256"] == hash_json(body)
    assert body["identity_sha256"] == hash_json({"config": {"width": 8}})
    assert body["files"] == {
        "d/data": {
            "bytes": 5 * 2**20,
            "sha256": hashlib.sha256((folder / "d" / "data").read_bytes()).hexdigest(),
        },
        # FIPS 180-2, appendix B.1
        "header": {
            "bytes": 3,
            "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        },
    }
    assert (body["step"], body["leaves"]) == (7, _LEAVES)
    assert (body["num_processes"], body["num_devices"]) == (1, 8)
    assert body["versions"].keys() == {"python", "jax", "flax", "optax", "orbax-checkpoint", "numpy"}
    assert body["versions"]["jax"] == jax.__version__
    assert body["date"].endswith("+00:00")
    assert dataclasses.asdict(manifest.verify(folder, 7)) == body == dataclasses.asdict(written)


def test_manifest_of_another_step_is_refused(folder):
    manifest.write(folder, manifest.describe(7, {}, _LEAVES))
    with pytest.raises(DamagedError, match="is of step 7"):
        manifest.verify(folder, 8)


def sign(body):
    return json.dumps({"manifest": body, "sha256": hash_json(body)})


def set_field(body, **fields):
    return sign({**body, **fields})


_HOSTILE = {
    "empty": lambda body: "",
    "not JSON": lambda body: "{",
    "a list": lambda body: "[]",
    "null": lambda body: "null",
    "a number of many digits": lambda body: '{"manifest": ' + "9" * 5000 + "}",
    "nested deeply": lambda body: "[" * 100_000,
    "without hash": lambda body: json.dumps({"manifest": body}),
    "body a list": lambda body: sign([]),
    "body a string": lambda body: sign("step"),
    "field missing": lambda body: sign({name: body[name] for name in body if name != "files"}),
    "field too many": lambda body: set_field(body, more=1),
    "of another format": lambda body: set_field(body, format=2),
    "step a string": lambda body: set_field(body, step="7"),
    "step true": lambda body: set_field(body, step=True),
    "identity a list": lambda body: set_field(body, identity=[], identity_sha256=hash_json([])),
    "identity edited": lambda body: set_field(body, identity={"seed": 1}),
    "leaves a list": lambda body: set_field(body, leaves=["kernel"]),
    "leaf a number": lambda body: set_field(body, leaves={"kernel": 1}),
    "leaf without dtype": lambda body: set_field(body, leaves={"kernel": {"shape": []}}),
    "dtype a list": lambda body: set_field(body, leaves={"kernel": {"shape": [], "dtype": []}}),
    "shape a string": lambda body: set_field(body, leaves={"kernel": {"shape": "23", "dtype": "float32"}}),
    "shape negative": lambda body: set_field(body, leaves={"kernel": {"shape": [-2], "dtype": "float32"}}),
    "files a list": lambda body: set_field(body, files=list(body["files"])),
    "file a string": lambda body: set_field(body, files={"header": "abc", "d/data": "abc"}),
    "sizes strings": lambda body: set_field(
        body, files={name: {**file, "bytes": str(file["bytes"])} for name, file in body["files"].items()}
    ),
    "hashes null": lambda body: set_field(
        body, files={name: {**file, "sha256": None} for name, file in body["files"].items()}
    ),
    "file outside": lambda body: set_field(
        body, files={**body["files"], "../secret": {"bytes": 1, "sha256": hashlib.sha256(b"s").hexdigest()}}
    ),
    "file with an absolute path": lambda body: set_field(
        body, files={**body["files"], "/etc/passwd": {"bytes": 1, "sha256": ""}}
    ),
    "file with a null byte": lambda body: set_field(
        body, files={**body["files"], "\0": {"bytes": 1, "sha256": ""}}
    ),
    "file of its own": lambda body: set_field(
        body, files={**body["files"], "manifest.json": {"bytes": 1, "sha256": ""}}
    ),
}


@pytest.mark.faults
@pytest.mark.parametrize("attack", _HOSTILE)
def test_hostile_manifest_is_refused_and_nothing_outside_is_opened(folder, monkeypatch, record_fault, attack):
    (folder.parent / "secret").write_bytes(b"s")
    body = dataclasses.asdict(manifest.write(folder, manifest.describe(7, {}, _LEAVES)))
    (folder / "manifest.json").write_text(_HOSTILE[attack](body))
    opened = []
    hash_file = manifest._hash_file
    monkeypatch.setattr(manifest, "_hash_file", lambda path: opened.append(path) or hash_file(path))
    with pytest.raises(DamagedError) as error:
        manifest.verify(folder, 7)
    assert "\n" not in str(error.value)
    assert {path.relative_to(folder).as_posix() for path in opened} <= {"header", "d/data"}
    record_fault(f"4 manifest {attack}", f"refused: {error.value}")


@pytest.mark.faults
def test_huge_manifest_is_not_read(folder, record_fault):
    with (folder / "manifest.json").open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(
        DamagedError, match=r"manifest.json has 1,099,511,627,776 bytes, more than 67,108,864"
    ):
        manifest.verify(folder, 7)
    record_fault("4 manifest of 1 TiB", "refused unread")


@pytest.mark.faults
def test_links_in_the_folder_are_refused(folder, record_fault):
    manifest.write(folder, manifest.describe(7, {}, _LEAVES))
    (folder.parent / "8").symlink_to(folder)
    with pytest.raises(DamagedError, match="is not a folder"):
        manifest.verify(folder.parent / "8", 7)
    (folder / "d").rename(folder.parent / "d")
    (folder / "d").symlink_to(folder.parent / "d")
    with pytest.raises(DamagedError, match="d is neither a file nor a folder"):
        manifest.verify(folder, 7)
    record_fault("4 checkpoint with a link to a folder", "refused")


def test_manifest_is_whole_or_absent(folder, monkeypatch):
    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        manifest.write(folder, manifest.describe(7, {}, _LEAVES))
    assert not (folder / "manifest.json").exists()
