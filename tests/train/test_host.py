import sys

import jax
import pytest

from jaxmed.train import host


@pytest.fixture
def keep_config():
    names = (
        "jax_compilation_cache_dir",
        "jax_persistent_cache_min_compile_time_secs",
        "jax_persistent_cache_min_entry_size_bytes",
    )
    before = {name: getattr(jax.config, name) for name in names}
    yield
    for name, value in before.items():
        jax.config.update(name, value)


@pytest.mark.skipif(sys.platform != "linux", reason="glibc settings")
def test_malloc_accepts_the_settings():
    assert host.tune_malloc()


def test_cache_folder_is_private(tmp_path, keep_config):
    host.enable_compilation_cache(tmp_path / "xla")
    assert (tmp_path / "xla").stat().st_mode & 0o777 == 0o700
    assert jax.config.jax_compilation_cache_dir == str(tmp_path / "xla")


def test_cache_folder_that_others_can_write_is_refused(tmp_path, keep_config):
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    with pytest.raises(PermissionError, match="can be written by others"):
        host.enable_compilation_cache(folder)
