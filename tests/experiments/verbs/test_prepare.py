"""The verb prepare on a paper that keeps its volumes in a cache."""

from dataclasses import replace

import numpy as np
import pytest

from data_pipelines import cache
from data_pipelines.progress import make_progress
from data_pipelines.readers.errors import ReadError
from experiments.contract import Data
from experiments.verbs import papers
from experiments.verbs.prepare import PrepareOptions, prepare


@pytest.fixture
def built(toy, monkeypatch):
    """Makes the paper keep two volumes; gives the names of those built."""
    names = []

    def build(name):
        names.append(name)
        if name == "bad":
            raise ReadError("bad.nii", "nothing", "a volume")
        return {"image": np.zeros((10, 20, 30), np.int16)}

    def make_data(config, *, cache_dir, data_dir, max_bad_cases, **options):
        cases = ["one", "two", *(["bad"] if max_bad_cases else [])]
        folder, progress = cache_dir / "toy", make_progress("preparing volumes")
        arrays = cache.open_cache(
            folder, {}, cases, build, may_fail=cases, max_failures=max_bad_cases, progress=progress
        )
        return Data("phantom", lambda step: iter(()), bad_cases=tuple(arrays.left_out))

    monkeypatch.setattr(papers, "find_paper", lambda name: replace(toy, make_data=make_data))
    return names


def test_it_fills_the_cache_once_with_progress(built, toy, tmp_path, capsys):
    options = PrepareOptions(workdir=tmp_path)
    assert prepare("toy", "demo", toy.presets["demo"], options) == 0
    said = capsys.readouterr()
    assert sorted(built) == ["one", "two"]
    assert "preparing volumes: 2/2" in said.err
    size = sum(path.stat().st_size for path in (tmp_path / "cache").rglob("*") if path.is_file())
    assert f"cache holds {size / 1e6:.1f} MB, {size / 1e6:.1f} MB of it new" in said.out
    assert prepare("toy", "demo", toy.presets["demo"], options) == 0
    assert ", 0.0 MB of it new" in capsys.readouterr().out
    assert sorted(built) == ["one", "two"]


def test_it_names_what_is_left_out(built, toy, tmp_path, capsys):
    options = PrepareOptions(workdir=tmp_path, cache_dir=tmp_path / "elsewhere", max_bad_cases=1)
    assert prepare("toy", "demo", toy.presets["demo"], options) == 0
    assert capsys.readouterr().out.rstrip().endswith("left out: bad")
    assert not (tmp_path / "cache").exists()
