import numpy as np
import pytest
from scipy import ndimage

from data_pipelines.phantoms import chest_ct, ct_kernels, ct_scanner, tissue_hu

GRID = {"image_size": 96, "pixel_mm": 4.0, "num_slices": 3, "slice_mm": 50.0}


@pytest.fixture(scope="module")
def chests():
    return [chest_ct.draw_chest(seed, **GRID) for seed in range(12)]


@pytest.fixture(scope="module")
def pair():
    kernels = (ct_kernels.SMOOTH, ct_kernels.SHARP)
    (smooth, sharp), chest = chest_ct.draw_scans(3, kernels, num_angles=120, **GRID)
    return smooth, sharp, chest


def test_arrays_have_the_stated_shapes_and_types(chests):
    for chest in chests:
        assert chest.hu.shape == chest.lesion.shape == chest.lungs.shape == (3, 96, 96)
        assert (chest.hu.dtype, chest.lesion.dtype, chest.lungs.dtype) == (np.float32, np.uint8, np.uint8)


def test_a_seed_gives_one_subject_and_another_seed_another(chests):
    again = chest_ct.draw_chest(0, **GRID)
    np.testing.assert_array_equal(again.hu, chests[0].hu)
    np.testing.assert_array_equal(again.lesion, chests[0].lesion)
    assert np.abs(chests[1].hu - chests[0].hu).mean() > 20


@pytest.mark.parametrize("seeds", [range(5), pytest.param(range(5, 20), marks=pytest.mark.exhaustive)])
def test_every_subject_lies_in_the_field_of_view(seeds):
    outside = ~ct_scanner.field_of_view(95)
    for seed in seeds:
        chest = chest_ct.draw_chest(seed, image_size=95, pixel_mm=4.0, num_slices=4, slice_mm=60.0)
        assert (chest.hu[:, outside] == tissue_hu.AIR_HU).all()


def test_tissues_have_their_hounsfield_units(chests):
    for chest in chests:
        assert chest.hu.min() >= -1010
        assert 250 < chest.hu.max() < 800
        healthy = (ndimage.binary_erosion(chest.lungs, np.ones((1, 3, 3))) == 1) & (chest.lesion == 0)
        assert -900 < np.median(chest.hu[healthy]) < -740
        soft = chest.hu[(chest.hu > 0) & (chest.lungs == 0)]
        assert 35 < np.median(soft) < 65


def test_lungs_have_the_volume_of_an_adult(chests):
    litres = [chest.lungs.sum() * 16 * 50 / 1e6 for chest in chests]
    assert min(litres) > 2
    assert max(litres) < 6.5


def test_lesions_lie_in_the_lungs_and_are_denser_than_them(chests):
    assert sum(chest.lesion.any() for chest in chests) > 8
    assert any(not slice_.any() for chest in chests for slice_ in chest.lesion)
    for chest in chests:
        assert (chest.lungs[chest.lesion == 1] == 1).all()
    diseased = np.concatenate([chest.hu[chest.lesion == 1] for chest in chests])
    assert -700 < np.median(diseased) < -350


def test_without_lesions_the_same_subject_is_healthy(chests):
    for seed in range(6):
        healthy = chest_ct.draw_chest(seed, lesions=False, **GRID)
        assert not healthy.lesion.any()
        np.testing.assert_array_equal(healthy.lungs, chests[seed].lungs)
        change = chests[seed].hu - healthy.hu
        assert change.min() > -1e-2
        assert (change[chests[seed].lungs == 0] == 0).mean() > 0.98


def test_mask_is_where_the_lesions_have_half_their_amplitude():
    seed = 3
    diseased = chest_ct.draw_chest(seed, **GRID)
    change = diseased.hu - chest_ct.draw_chest(seed, lesions=False, **GRID).hu
    inside = ndimage.binary_erosion(diseased.lesion, np.ones((1, 3, 3)))
    assert inside.any()
    assert change[diseased.lesion == 1].mean() > 100
    near = ndimage.binary_dilation(diseased.lesion, np.ones((1, 7, 7)))
    assert change[~near].mean() < 0.02 * change[inside].mean()


def test_finer_grids_sample_the_same_subject():
    coarse = chest_ct.draw_chest(5, **GRID)
    fine = chest_ct.draw_chest(5, **{**GRID, "image_size": 192, "pixel_mm": 2.0})
    pooled = fine.hu.reshape(3, 96, 2, 96, 2).mean(axis=(2, 4))
    share = fine.lesion.reshape(3, 96, 2, 96, 2).mean(axis=(2, 4))
    assert np.abs(pooled - coarse.hu).mean() < 12
    certain = (share == 0) | (share == 1)
    assert (share == coarse.lesion)[certain].mean() > 0.999


def test_too_small_a_field_of_view_is_refused():
    with pytest.raises(ValueError, match="field of view is 300 mm"):
        chest_ct.draw_chest(0, image_size=100, pixel_mm=3.0, num_slices=1, slice_mm=1.0)


def test_scan_is_stored_as_scanners_do_and_equals_one_half_of_the_pair(pair):
    (scan,), chest = chest_ct.draw_scans(3, (ct_kernels.SMOOTH,), num_angles=120, **GRID)
    assert scan.dtype == np.int16
    np.testing.assert_array_equal(scan, pair[0])
    np.testing.assert_array_equal(chest.lesion, pair[2].lesion)


def test_healthy_scans_have_no_lesions():
    _, chest = chest_ct.draw_scans(3, (ct_kernels.SHARP,), num_angles=30, lesions=False, **GRID)
    assert not chest.lesion.any()


def test_pair_shares_anatomy_and_differs_in_sharpness(pair):
    smooth, sharp, chest = pair
    body = ndimage.binary_erosion(chest.hu > -950, np.ones((1, 9, 9)))
    low = [ndimage.gaussian_filter(image.astype(float), (0, 3, 3))[body] for image in (smooth, sharp)]
    assert np.corrcoef(*low)[0, 1] > 0.999
    assert abs(low[0].mean() - low[1].mean()) < 4
    edges = [np.abs(np.diff(image.astype(float), axis=2)).mean() for image in (smooth, sharp)]
    assert edges[1] > 1.5 * edges[0]


def test_pair_is_one_noisy_sinogram_reconstructed_twice(pair):
    scanner = ct_scanner.calibrated_scanner(120, 4.0)
    sinogram = ct_scanner.acquire(pair[2].hu, 4.0, scanner, 3)
    for image, kernel in zip(pair, (ct_kernels.SMOOTH, ct_kernels.SHARP), strict=False):
        np.testing.assert_array_equal(image, ct_scanner.stored(ct_scanner.reconstruct(sinogram, 4.0, kernel)))


def test_noise_of_a_pair_agrees_at_low_frequencies_and_that_of_two_scans_does_not(pair):
    hu = pair[2].hu
    scanner = ct_scanner.calibrated_scanner(120, 4.0)
    scans = [ct_scanner.acquire(hu, 4.0, scanner, seed) for seed in (3, 4, 5, 6)]

    def low_noise(difference, kernel):
        image = ct_scanner.reconstruct(difference, 4.0, kernel)
        return ndimage.gaussian_filter(image, (0, 2, 2))[hu > -200]

    # The difference of two scans holds noise and no anatomy.
    smooth = low_noise(scans[0] - scans[1], ct_kernels.SMOOTH)
    sharp = low_noise(scans[0] - scans[1], ct_kernels.SHARP)
    unrelated = low_noise(scans[2] - scans[3], ct_kernels.SHARP)
    assert np.corrcoef(smooth, sharp)[0, 1] > 0.95
    assert abs(np.corrcoef(smooth, unrelated)[0, 1]) < 0.15
