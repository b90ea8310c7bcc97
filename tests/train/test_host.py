import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest

from jaxmed.train import host

ROOT = Path(__file__).parents[2]


@pytest.fixture
def keep_config():
    names = (
        "jax_compilation_cache_dir",
        "jax_persistent_cache_min_compile_time_secs",
        "jax_persistent_cache_min_entry_size_bytes",
    )
    before = {name: getattr(jax.config, name) for name in names}
    yield before
    for name, value in before.items():
        jax.config.update(name, value)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc settings")
def test_malloc_accepts_the_settings():
    assert host.tune_malloc()


def test_cache_folder_is_private(tmp_path, keep_config):
    before = os.umask(0o002)
    try:
        host.enable_compilation_cache(tmp_path / "some" / "where" / "xla")
    finally:
        os.umask(before)
    for folder in ("some", "some/where", "some/where/xla"):
        assert (tmp_path / folder).stat().st_mode & 0o777 == 0o700
    assert jax.config.jax_compilation_cache_dir == str(tmp_path / "some/where/xla")


def test_cache_folder_may_lie_behind_a_link_of_ones_own(tmp_path, keep_config):
    (tmp_path / "disk").mkdir(mode=0o700)
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    host.enable_compilation_cache(tmp_path / "link" / "xla")
    assert (tmp_path / "disk" / "xla").stat().st_mode & 0o777 == 0o700


def make_folder(folder, mode):
    folder.mkdir()
    folder.chmod(mode)
    return folder


def open_folder(root, monkeypatch):
    return make_folder(root / "open", 0o777), "open can be written by others"


def open_to_the_group(root, monkeypatch):
    return make_folder(root / "open", 0o770), "open can be written by others"


def folder_of_another_user(root, monkeypatch):
    folder = make_folder(root / "xla", 0o700)
    owner = folder.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    return folder, f"xla belongs to user {owner}, not to {owner + 1}"


def parent_that_others_can_write(root, monkeypatch):
    return make_folder(root / "shared", 0o777) / "jaxmed" / "xla", "shared can be written by others"


def parent_of_another_user(root, monkeypatch):
    """Who owns the parent can exchange the folder, though it is not open to everybody."""
    (root / "theirs").mkdir()
    original = Path.stat

    def stat(path, **keywords):
        found = original(path, **keywords)
        if path.name != "theirs":
            return found
        return os.stat_result([*found[:4], os.geteuid() + 1, *found[5:]])

    monkeypatch.setattr(Path, "stat", stat)
    return root / "theirs" / "xla", f"theirs belongs to user {os.geteuid() + 1}"


def link_into_an_open_folder(root, monkeypatch):
    make_folder(make_folder(root / "shared", 0o777) / "xla", 0o700)
    (root / "link").symlink_to(root / "shared" / "xla")
    return root / "link", "shared can be written by others"


def link_in_an_open_folder(root, monkeypatch):
    make_folder(root / "own", 0o700)
    (make_folder(root / "shared", 0o777) / "link").symlink_to(root / "own")
    return root / "shared" / "link", "shared can be written by others"


def link_of_another_user(root, monkeypatch):
    """Such as one laid out in /tmp, where everybody can make links but nobody can remove another's."""
    make_folder(root / "own", 0o700)
    (make_folder(root / "tmp", 0o1777) / "link").symlink_to(root / "own")
    original = Path.lstat

    def lstat(path):
        found = original(path)
        if path.name != "link":
            return found
        return os.stat_result([*found[:4], os.geteuid() + 1, *found[5:]])

    monkeypatch.setattr(Path, "lstat", lstat)
    return root / "tmp" / "link", f"link is a link of user {os.geteuid() + 1}"


@pytest.mark.faults
@pytest.mark.parametrize(
    "make",
    [
        open_folder,
        open_to_the_group,
        folder_of_another_user,
        parent_that_others_can_write,
        parent_of_another_user,
        link_into_an_open_folder,
        link_in_an_open_folder,
        link_of_another_user,
    ],
    ids=lambda make: make.__name__.replace("_", " "),
)
def test_cache_folder_that_others_can_change_is_refused(
    make, tmp_path, keep_config, monkeypatch, record_fault, request
):
    folder, found = make(tmp_path, monkeypatch)
    with pytest.raises(PermissionError) as caught:
        host.enable_compilation_cache(folder)
    monkeypatch.undo()
    said = str(caught.value)
    assert f"{found}; wanted: a folder that only this user can change" in said
    assert "\n" not in said
    assert jax.config.jax_compilation_cache_dir == keep_config["jax_compilation_cache_dir"]
    record_fault(f"compilation cache: {request.node.callspec.id}", f"refused: '{found}'")


def test_cache_folder_may_lie_where_others_can_only_add(tmp_path, keep_config):
    """As in /tmp, whose sticky bit keeps others from renaming what is not theirs."""
    host.enable_compilation_cache(make_folder(tmp_path / "tmp", 0o1777) / "xla")
    assert jax.config.jax_compilation_cache_dir == str(tmp_path / "tmp" / "xla")


def run(program, *, cores=None, **environment):
    """Runs a program in a fresh process with XLA's own settings, on the first `cores` cores."""
    first = sorted(os.sched_getaffinity(0))[:cores]
    limit = f"import os; os.sched_setaffinity(0, {first!r})\n" if cores else ""
    inherited = {name: value for name, value in os.environ.items() if name not in ("XLA_FLAGS", "NPROC")}
    return subprocess.run(
        [sys.executable, "-c", limit + program],
        cwd=ROOT,
        env={**inherited, **environment},
        capture_output=True,
        text=True,
    )


SUMS = """
import hashlib, jax, numpy as np
from jaxmed.train import host
host.make_deterministic()
images = np.random.default_rng(0).normal(size=(8, 48, 48, 8)).astype("float32")
kernel = np.random.default_rng(1).normal(size=(3, 3, 8, 8)).astype("float32")
@jax.jit
def compute(images, kernel):
    def loss(kernel):
        names = ("NHWC", "HWIO", "NHWC")
        outputs = jax.lax.conv_general_dilated(images, kernel, (1, 1), "SAME", dimension_numbers=names)
        return (outputs ** 2).sum()
    return images.sum((0, 1, 2)), jax.grad(loss)(kernel)
print([hashlib.sha256(np.asarray(array).tobytes()).hexdigest() for array in compute(images, kernel)])
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs control of the cores")
def test_deterministic_sums_do_not_depend_on_the_number_of_cores():
    all_cores, one_core = run(SUMS), run(SUMS, cores=1)
    assert all_cores.returncode == one_core.returncode == 0, all_cores.stderr + one_core.stderr
    assert all_cores.stdout == one_core.stdout


def test_flags_reach_the_compiler_though_jax_is_imported_already():
    """XLA ends the process at a flag that it does not know; so it has read this one, and knows ours."""
    program = "from jaxmed.train import host\n{}\nhost.make_deterministic()\nimport jax\njax.devices()\n"
    known = run(program.format(""), XLA_FLAGS="--xla_dump_to=")
    assert known.returncode == 0, known.stderr
    unknown = run(program.format("host._GPU_FLAG = '--xla_gpu_no_such_flag=true'"))
    assert unknown.returncode != 0
    assert "Unknown flag in XLA_FLAGS: --xla_gpu_no_such_flag=true" in unknown.stderr


def test_deterministic_after_the_first_use_of_a_device_is_refused():
    before = os.environ["XLA_FLAGS"], jax.config.jax_num_cpu_devices
    jax.devices()
    with pytest.raises(RuntimeError, match="JAX uses its devices already"):
        host.make_deterministic()
    assert (os.environ["XLA_FLAGS"], jax.config.jax_num_cpu_devices) == before
