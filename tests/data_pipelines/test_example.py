import dataclasses

import numpy as np
import pytest

from data_pipelines.example import Example


def test_examples_are_immutable_and_every_field_is_documented():
    example = Example("case", np.zeros((2, 3)))
    with pytest.raises(dataclasses.FrozenInstanceError):
        example.subject = "other"
    for field in dataclasses.fields(Example):
        assert f"    {field.name}: " in (Example.__doc__ or "")
