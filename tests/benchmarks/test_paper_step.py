import pytest

from benchmarks import paper_step
from experiments.fbpaug.config import PRESETS
from experiments.verbs.errors import UserError


def test_fields_of_any_depth_are_replaced():
    config = paper_step.replaced(PRESETS["tiny"], ["phantom", "num_cases"], "5")
    config = paper_step.replaced(config, ["method"], "fbpaug")
    assert (config.phantom.num_cases, config.method) == (5, "fbpaug")
    assert config.phantom.num_slices == PRESETS["tiny"].phantom.num_slices


def test_mistakes_are_named():
    with pytest.raises(UserError, match="num_steps"):
        paper_step.replaced(PRESETS["tiny"], ["num_step"], "5")
    with pytest.raises(UserError, match="wanted a int"):
        paper_step.replaced(PRESETS["tiny"], ["num_steps"], "many")
