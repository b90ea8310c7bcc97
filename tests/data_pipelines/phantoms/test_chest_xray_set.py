import numpy as np

from data_pipelines.phantoms import chest_xray, chest_xray_set


def test_set_has_the_databases_proportions(tmp_path):
    assert chest_xray_set.class_counts(15153) == (10192, 3616, 1345)
    found = chest_xray_set.draw_set(30, 8, tmp_path)
    assert np.bincount(found.labels).tolist() == [20, 7, 3]
    np.testing.assert_array_equal(found.images[29, ..., 0], chest_xray.draw_radiograph(29, "focal", 8))
