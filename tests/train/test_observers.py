import sys
from types import SimpleNamespace

import jax.numpy as jnp
import pytest

from jaxmed.train import logs, mesh, observers
from jaxmed.train.checkpoint import Checkpoints


def metrics_of(step):
    return {"loss": jnp.asarray(1.0 / step)}


def test_progress_prints_plain_lines_with_time_left_without_a_terminal(capsys):
    bar = observers.ProgressBar("demo", 4, every=1, seconds_between_lines=0.0)
    for step in range(1, 5):
        bar(step, None, metrics_of(step))
    bar.close()
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1].startswith("demo  step 4/4  loss 0.25")
    assert any("s left" in line for line in lines[:-1])


def test_progress_draws_a_bar_on_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    bar = observers.ProgressBar("demo", 2, every=1)
    bar(1, None, metrics_of(1))
    assert bar._bar is not None and bar._bar.tasks[0].completed == 1
    bar.close()


def test_checkpoints_are_saved_when_due_and_at_the_end(tmp_path):
    with Checkpoints(tmp_path, max_to_keep=9) as checkpoints:
        save = observers.SaveCheckpoints(checkpoints, every=4, num_steps=10)
        for step in range(1, 11):
            save(step, {"step": jnp.asarray(step)}, {})
    assert sorted(int(path.name) for path in tmp_path.iterdir() if path.name.isdigit()) == [4, 8, 10]
    with Checkpoints(tmp_path) as checkpoints:
        state = checkpoints.restore({"step": jnp.asarray(0)}, mesh.make_mesh(1))
    assert int(state["step"]) == 10


def test_checkpoints_that_are_due_within_a_dispatch_are_saved_after_it(tmp_path):
    """Dispatches of 3 steps: due at 4, 8 and 10, saved at 6, 9 and 10."""
    with Checkpoints(tmp_path, max_to_keep=9) as checkpoints:
        save = observers.SaveCheckpoints(checkpoints, every=4, num_steps=10)
        for step in range(1, 11):
            save(step, {"step": jnp.asarray(step)} if step in (3, 6, 9, 10) else None, {})
    assert sorted(int(path.name) for path in tmp_path.iterdir() if path.name.isdigit()) == [6, 9, 10]


def test_tensorboard_without_its_package_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(observers.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="pip install tensorboardX"):
        observers.TensorBoard(tmp_path)


def test_tensorboard_gets_the_scalars_when_they_are_due(monkeypatch, tmp_path):
    """The package is optional: what reaches its writer is checked on a writer of our own."""
    written = []

    class SummaryWriter:
        def __init__(self, folder):
            self.folder = folder

        def add_scalar(self, name, value, step):
            written.append((name, value, step))

        def close(self):
            written.append("closed")

    monkeypatch.setattr(observers.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setitem(sys.modules, "tensorboardX", SimpleNamespace(SummaryWriter=SummaryWriter))
    events = observers.TensorBoard(tmp_path, every=2)
    for step in (1, 2, 4):
        events(step, None, metrics_of(step))
    events.close()
    assert written == [("loss", 0.5, 2), ("loss", 0.25, 4), "closed"]


@pytest.mark.faults
def test_failing_log_does_not_end_the_run(tmp_path, caplog, record_fault):
    observe = observers.tolerate(logs.MetricLog(tmp_path, every=1))
    observe(1, None, metrics_of(1))
    (tmp_path / "metrics.jsonl").rename(tmp_path / "kept.jsonl")
    (tmp_path / "metrics.jsonl").mkdir()
    for step in (2, 3):
        observe(step, None, metrics_of(step))
    assert [record.message.split(":")[0] for record in caplog.records] == ["step 2"]
    assert "MetricLog failed: IsADirectoryError" in caplog.text
    assert len((tmp_path / "kept.jsonl").read_text().splitlines()) == 1
    # A log that fails from the first step on, too: nothing is opened before.
    observers.tolerate(logs.MetricLog(tmp_path, every=1))(4, None, metrics_of(4))
    assert caplog.records[-1].message.startswith("step 4: MetricLog failed: IsADirectoryError")
    record_fault("11 a logger that fails", "said once, training goes on")
