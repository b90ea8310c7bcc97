import stat

import jax
import jax.numpy as jnp

from jaxmed.bench import compilation


def make_function():
    def function(x):
        for _ in range(20):
            x = jnp.tanh(x @ x).T + jnp.sort(x, axis=0)
        return x

    return jax.jit(function)


def compile_it(cache):
    return compilation.compile_cold_and_cached(make_function, (jnp.ones((16, 16)),), cache)


def test_first_compilation_is_cold_whatever_was_compiled_before_and_the_second_is_not():
    with compilation.private_cache() as cache:
        compile_it(cache)
    jax.block_until_ready(make_function()(jnp.ones((16, 16))))
    with compilation.private_cache() as cache:
        assert not list(cache.iterdir())
        assert stat.S_IMODE(cache.stat().st_mode) == 0o700
        times, traced, compiled = compile_it(cache)
        cached = [file for file in cache.glob("*-cache") if "jit_function" in file.name]
        assert len(cached) == 1  # written by the first, found by the second
    assert times.trace_seconds > 0
    assert times.cached_compile_seconds is not None
    assert times.cached_compile_seconds < 0.7 * times.compile_seconds
    assert compiled(jnp.ones((16, 16))).shape == traced.out_info.shape


def test_settings_of_the_cache_are_put_back(tmp_path):
    names = ("jax_compilation_cache_dir", "jax_enable_compilation_cache")
    before = [getattr(jax.config, name) for name in names]
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "mine"))
    try:
        with compilation.private_cache() as cache:
            assert jax.config.jax_compilation_cache_dir == str(cache)
            compile_it(cache)
        assert jax.config.jax_compilation_cache_dir == str(tmp_path / "mine")
        assert not cache.exists()
        assert not (tmp_path / "mine").exists()
    finally:
        jax.config.update("jax_compilation_cache_dir", before[0])
    assert [getattr(jax.config, name) for name in names] == before


def test_what_cannot_be_cached_has_no_time_for_it():
    def make_with_callback():
        return jax.jit(lambda x: jax.pure_callback(lambda y: y, jax.ShapeDtypeStruct((4,), jnp.float32), x))

    with compilation.private_cache() as cache:
        times, _, _ = compilation.compile_cold_and_cached(make_with_callback, (jnp.ones(4),), cache)
    assert times.compile_seconds > 0
    assert times.cached_compile_seconds is None


def test_several_processes_compile_cold_without_a_cache(monkeypatch):
    monkeypatch.setattr(jax, "process_count", lambda: 2)
    with compilation.private_cache() as cache:
        assert cache is None
        assert not jax.config.jax_enable_compilation_cache
        times, _, _ = compile_it(cache)
    assert times.cached_compile_seconds is None
    assert jax.config.jax_enable_compilation_cache
