import json

from experiments.verbs.bench import BenchOptions, bench


def test_bench_prints_and_writes_the_cost_of_a_step(toy, tmp_path, capsys):
    assert bench("toy", "demo", toy.presets["demo"], BenchOptions(workdir=tmp_path, steps=5)) == 0
    (file,) = (tmp_path / "toy").glob("bench-demo-*.json")
    measured = json.loads(file.read_text())
    wanted = {"compile_seconds", "step_ms", "examples_per_second", "flops", "bytes", "peak_memory_bytes"}
    wanted |= {"input_wait_fraction", "device", "commit", "data", "paper"}
    assert wanted <= set(measured)
    assert measured["num_steps"] == 5
    assert measured["step_ms"] > 0
    assert "step_ms" in capsys.readouterr().out
