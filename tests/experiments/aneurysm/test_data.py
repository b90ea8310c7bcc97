from collections import Counter
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from data_pipelines import splits
from experiments.aneurysm import application, config, data


def make(tiny, cache_dir, **changes):
    return data.make_data(replace(tiny, **changes), seed=0, data_dir=None, cache_dir=cache_dir)


def epoch(made, steps):
    """How many patches of each kind a number of steps shows: told by how far they may be distorted."""
    batches = made.batches(0)
    return Counter(float(amount) for _ in range(steps) for amount in next(batches)["distortion"])


def num_positives(tiny, made):
    train = made.evaluation.arrays.keys() - {*made.evaluation.test, *made.evaluation.validation}
    return sum(len(made.evaluation.arrays[case]["spheres"]) for case in train), len(train)


@pytest.mark.parametrize(
    ("method", "copies", "negatives"),
    [("proposed", 3, 4), ("focal", 3, 4), ("few_duplicates", 1, 4), ("few_negatives", 3, 2)],
)
def test_an_epoch_has_each_copy_of_each_patch(tiny, cache_dir, method, copies, negatives):
    made = make(tiny, cache_dir, method=method, batch_size=1)
    lesions, cases = num_positives(tiny, made)
    total = lesions * copies + cases * negatives
    amount = np.float32(tiny.max_distortion_mm / tiny.voxel_mm)
    assert epoch(made, total) == {amount: lesions * copies, 0.0: cases * negatives}
    assert len({made.describe(step)[0] for step in range(total)}) == lesions + cases * negatives


def test_undistorted_copies(tiny, cache_dir):
    assert set(epoch(make(tiny, cache_dir, method="undistorted"), 4)) == {0.0}


def test_the_paper_splits_78_22_11():
    paper = config.PRESETS["paper"]
    names = data.find_angiograms(paper, None).cases
    split = splits.k_fold(names, paper.num_folds, paper.fold, num_validation=paper.num_validation, seed=22)
    assert (len(split.train), len(split.validation), len(split.test)) == (78, 22, 11)


def test_context_of_the_paper_holds_its_augmentation():
    """Half a diagonal of 48 voxels, 10 voxels of distortion, 25 of shift."""
    (depth, height, width) = data.context_shape(config.PRESETS["paper"])
    assert depth == height == width == 168


def write_case(folder, name, *, points, spacing=(0.7, 0.7, 0.9)):
    (folder / "images").mkdir(parents=True, exist_ok=True)
    (folder / "points").mkdir(exist_ok=True)
    voxels = np.random.default_rng(0).normal(100, 5, (60, 60, 40)).astype(np.float32)
    affine = np.diag([-spacing[0], -spacing[1], spacing[2], 1.0])
    image = nib.Nifti1Image(voxels, affine)
    image.set_qform(affine, code="scanner")
    nib.save(image, folder / "images" / f"{name}.nii.gz")
    lines = [f"p,{x},{y},{z}\n" for x, y, z in points]
    head = "# CoordinateSystem = RAS\n# columns = id,x,y,z\n"
    (folder / "points" / f"{name}.fcsv").write_text(head + "".join(lines))


def test_real_volumes_come_on_cubes_with_their_spheres(tiny, tmp_path):
    write_case(tmp_path, "one", points=[(-12, -15, 18), (-12, -15, 22)])
    write_case(tmp_path, "two", points=[])
    small = replace(tiny, num_validation=0)
    made = data.make_data(small, seed=0, data_dir=tmp_path, cache_dir=tmp_path / "cache")
    arrays = made.evaluation.arrays["one"]
    assert arrays["image"].shape == tuple(
        round(n * mm / tiny.voxel_mm) for n, mm in ((40, 0.9), (60, 0.7), (60, 0.7))
    )
    # Columns run left, rows back; the centre of the file's grid and that of the cubes are one.
    places = ((20 / 0.9, 40, 0.9), (15 / 0.7, 60, 0.7), (12 / 0.7, 60, 0.7))
    centre = [(voxel - (n - 1) / 2) * mm for voxel, n, mm in places]
    wanted = np.array(centre) / tiny.voxel_mm + (np.array(arrays["image"].shape) - 1) / 2
    np.testing.assert_allclose(arrays["spheres"], [[*wanted, 2 / tiny.voxel_mm]], atol=1e-4)
    assert made.evaluation.arrays["two"]["spheres"].shape == (0, 4)
    report, problems = application.check_data(tiny, tmp_path)
    assert problems == 0
    assert "cases: 2" in report


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ([(-12, -15, 18), (-12, -15, 18)], "two equal points"),
        ([(-12, -15, 18), (-12, -15, 90)], "outside one"),
        ([(-12, -15, 18)], "1 points"),
    ],
)
def test_bad_annotations_are_problems_in_one_line(tiny, tmp_path, points, message):
    write_case(tmp_path, "one", points=points)
    report, problems = application.check_data(tiny, tmp_path)
    assert problems == 1
    assert message in next(line for line in report.splitlines() if line.startswith("problem:"))
