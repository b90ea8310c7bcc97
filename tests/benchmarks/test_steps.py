import json

import jax
import jax.numpy as jnp

from benchmarks import steps

LEAF = jax.ShapeDtypeStruct((2, 32, 32, 1), jnp.float32)
BATCH = {"image": LEAF, "label": LEAF}
WIDTHS = (8, 16, 32)


def test_bfloat16_and_remat_keep_less():
    """Not half in bfloat16: normalisation keeps its input in float32, for its statistics."""
    kept = steps.count_kept(BATCH, widths=WIDTHS)
    # At least the images before the first convolution's outputs, at full size.
    assert kept > 2 * 32 * 32 * 8 * 4
    assert steps.count_kept(BATCH, widths=WIDTHS, dtype=jnp.bfloat16) < 0.8 * kept
    assert steps.count_kept(BATCH, widths=WIDTHS, remat=True) < 0.5 * kept


def test_parts_of_one_commit_join_and_those_of_another_do_not(tmp_path):
    file = tmp_path / "times.json"
    first, second = {"what": "a", "ratio": 1}, {"what": "b", "ratio": 2}
    assert steps.join(file, "c1", [first]) == [first]
    file.write_text(json.dumps({"commit": "c1", "rows": [first]}))
    assert steps.join(file, "c1", [second]) == [first, second]
    assert steps.join(file, "c1", [{**first, "ratio": 3}]) == [{**first, "ratio": 3}]
    assert steps.join(file, "c2", [second]) == [second]
