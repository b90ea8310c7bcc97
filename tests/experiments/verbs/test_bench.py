import dataclasses
import json

import pytest

from experiments.verbs import bench_table
from experiments.verbs.bench import BenchOptions, bench
from experiments.verbs.errors import UserError
from experiments.verbs.options import MeshOptions


def options_for(folder, **fields):
    return BenchOptions(workdir=folder, mesh=MeshOptions(data=1), **fields)


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


def test_bench_prints_and_writes_what_a_step_costs(toy, workdir, capsys):
    assert bench("toy", "demo", toy.presets["demo"], options_for(workdir, steps=6, profile=True)) == 0
    (file,) = (workdir / "toy").glob("bench-demo-*.json")
    measured = json.loads(file.read_text())
    wanted = {"compile_seconds", "step_ms", "examples_per_second", "flops", "bytes", "roofline_fraction"}
    wanted |= {"peak_memory_bytes", "input_wait_fraction", "device", "commit", "data", "paper", "versions"}
    assert wanted <= set(measured)
    assert (measured["paper"], measured["label"], measured["preset"]) == ("toy", "demo", "demo")
    assert measured["mesh"] == {"data": 1, "space": 1}
    assert measured["config"]["batch_size"] == measured["batch_size"] == 8
    assert measured["num_steps"] == 6
    assert measured["step_ms"] > 0
    assert 0 < measured["roofline_fraction"] < 1
    assert {"jax", "jaxlib", "flax"} <= set(measured["versions"])
    printed = capsys.readouterr().out
    for group in ("Start", "Step", "Training loop", "On one device", "Roofline", "Memory"):
        assert group in printed
    assert f"written: {file}" in printed
    (recording,) = file.with_suffix("").glob("plugins/profile/*/perfetto_trace.json.gz")
    assert f"ui.perfetto.dev and drop {recording}" in printed


def test_measurement_of_another_config_has_its_own_file_and_label(toy, workdir):
    config = dataclasses.replace(toy.presets["demo"], slope="two")
    bench("toy", "demo", config, options_for(workdir, steps=2, peak_dtype="bfloat16"))
    (file,) = (workdir / "toy").glob("bench-demo_slope-two-*.json")
    measured = json.loads(file.read_text())
    assert measured["label"] == "demo_slope-two"
    assert measured["peak_dtype"] == "bfloat16"


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"steps": 0}, "--steps is 0; wanted at least 1"),
        ({"peak_dtype": "float13"}, "--peak-dtype 'float13' is no dtype"),
    ],
)
def test_bad_options_are_refused_in_one_line(toy, tmp_path, fields, message):
    with pytest.raises(UserError, match=message):
        bench("toy", "demo", toy.presets["demo"], options_for(tmp_path, **fields))


def test_numbers_have_units():
    assert bench_table.milliseconds(12.345) == "12.3 ms"
    assert bench_table.milliseconds(-0.5) == "-0.5 ms"
    assert bench_table.milliseconds(2500) == "2.5 s"
    assert bench_table.decimal(3.21e9, "FLOP/s") == "3.21 GFLOP/s"
    assert bench_table.decimal(0, "B") == "0 B"
    assert bench_table.binary(3 * 2**29) == "1.5 GiB"
    assert bench_table.binary(None) == bench_table.seconds(None) == "-"
    assert bench_table.percent(0.1234) == "12.3 %"
