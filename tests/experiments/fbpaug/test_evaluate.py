from types import SimpleNamespace

import jax
import numpy as np
import pytest

from experiments.contract import Data
from experiments.fbpaug import algorithm, evaluate
from experiments.fbpaug.data import Evaluation
from jaxmed.train import mesh


@pytest.fixture
def threshold(monkeypatch):
    """A predictor that calls everything above -500 HU a lesion."""
    monkeypatch.setattr(evaluate, "make_predictor", lambda config, state: lambda volume: volume > -500)


def make_volume(*bright):
    volume = np.full((1, 4, 4), -800, np.int16)
    volume.reshape(-1)[list(bright)] = 0
    return volume


def test_scores_of_known_masks(threshold):
    """Test case: 2 of 3 labelled found and 1 beside: Dice 4/6. Pair: 4 and 2 voxels, 2 shared: 4/6."""
    label = np.zeros((1, 4, 4), np.uint8)
    label.reshape(-1)[[0, 1, 2]] = 1
    arrays = {
        "case-a": {"image": make_volume(1, 2, 3), "label": label},
        "pair-b": {
            "smooth": make_volume(0, 1, 2, 3),
            "sharp": make_volume(2, 3),
            "voxel_ml": np.array(0.5, np.float32),
        },
        "pair-c": {"smooth": make_volume(), "sharp": make_volume(), "voxel_ml": np.array(0.5, np.float32)},
    }
    evaluation = Evaluation(arrays, test=("case-a",), validation=(), pairs=("pair-b", "pair-c"))
    scores = evaluate.evaluate(SimpleNamespace(), None, Data("made", lambda step: iter(()), evaluation))
    assert scores["dice"] == {"case-a": pytest.approx(4 / 6)}
    assert scores["agreement"] == {"pair-b": pytest.approx(4 / 6), "pair-c": 1.0}
    assert scores["volume smooth"] == {"pair-b": 2.0, "pair-c": 0.0}
    assert scores["volume difference"] == {"pair-b": 1.0, "pair-c": 0.0}
    assert "validation dice" not in scores


def test_volumes_are_predicted_whole_whatever_their_depth(tiny, tiny_data, tiny_state):
    predict = evaluate.make_predictor(tiny, tiny_state)
    volume = np.concatenate([tiny_data.evaluation.arrays["pair-000"]["smooth"]] * 6)[:11]
    together = predict(volume)
    assert together.shape == volume.shape
    assert together.dtype == bool
    np.testing.assert_array_equal(together[3:4], predict(volume[3:4]))


def test_inference_is_the_network_on_standardised_slices(tiny, tiny_data, tiny_state):
    inference = evaluate.make_inference(tiny, tiny_state)
    slices = np.asarray(tiny_data.evaluation.arrays["pair-000"]["smooth"])
    assert inference.input_shape == ("batch", *slices.shape[1:])
    assert inference.input_dtype == slices.dtype
    model, infer = algorithm.make_model(tiny), jax.jit(inference.function)
    wanted = jax.jit(
        lambda variables, x: jax.nn.sigmoid(model.apply(variables, algorithm.normalise(x), train=False))
    )(inference.variables, slices.astype(np.float32))
    found = infer(inference.variables, slices)
    np.testing.assert_allclose(found, np.asarray(wanted)[..., 0], rtol=1e-5)
    in_float = infer(inference.variables, slices.astype(np.float32))
    np.testing.assert_array_equal(found, in_float)


def test_inference_takes_any_batch_height_and_width(tiny, tiny_state):
    inference = evaluate.make_inference(tiny, tiny_state)
    for shape in ((1, 31, 50), (3, 48, 47)):
        slices = jax.ShapeDtypeStruct(shape, np.int16)
        assert jax.eval_shape(inference.function, inference.variables, slices).shape == shape


@pytest.mark.parametrize(("data", "space"), [(3, 1), (2, 4)])
def test_scores_do_not_depend_on_the_devices(data, space, tiny, tiny_data, tiny_state):
    """Volumes of 2 slices, in batches of 8 or 9, leave most devices with padding alone."""
    state = jax.device_put(tiny_state, mesh.replicated(mesh.make_mesh(data, space)))
    assert evaluate.evaluate(tiny, state, tiny_data) == evaluate.evaluate(tiny, tiny_state, tiny_data)
