import numpy as np
import pytest

from data_pipelines.annotated_patches import AnnotatedPatches


def sparse_volume(seed, shape, num_known):
    rng = np.random.default_rng(seed)
    label = np.full(shape, -1, np.int8)
    label.flat[rng.choice(label.size, num_known, replace=False)] = rng.integers(0, 2, num_known)
    return rng.normal(size=shape).astype(np.float32), label


def patches_of(images, labels, size):
    """The spacing of a volume is its number."""
    return AnnotatedPatches(images, labels, [np.full(3, k, np.float32) for k in range(len(images))], size, -1)


@pytest.mark.parametrize("size", [4, 9])
def test_every_patch_holds_an_annotated_voxel_and_its_image(size):
    images, labels = zip(sparse_volume(0, (8, 12, 10), 3), sparse_volume(1, (6, 7, 8), 2), strict=True)
    patches, generator = patches_of(images, labels, size), np.random.default_rng(2)
    numbers = []
    for _ in range(50):
        patch = patches.load(0, generator)
        image, label, number = patch["image"], patch["label"], int(patch["spacing"][0])
        numbers.append(number)
        assert image.shape == label.shape == (size,) * 3
        assert (label != -1).any()
        # Values of the image are unique, so that each says where it comes from.
        places = np.argwhere(label != -1)
        for place in places:
            where = np.argwhere(images[number] == image[tuple(place)])
            assert labels[number][tuple(where[0])] == label[tuple(place)]
    assert set(numbers) == {0, 1}


def test_patch_lies_within_a_volume_that_is_large_enough():
    image, label = sparse_volume(3, (9, 9, 9), 1)
    patches = patches_of([image + 100], [label], 5)
    for seed in range(20):
        assert patches.load(0, np.random.default_rng(seed))["image"].min() > 50


def test_volume_without_annotation_is_never_drawn():
    image, label = sparse_volume(4, (6, 6, 6), 4)
    labels = [np.full((6, 6, 6), -1, np.int8), label, np.full((6, 6, 6), -1, np.int8)]
    patches = patches_of([image] * 3, labels, 3)
    for seed in range(20):
        assert patches.load(0, np.random.default_rng(seed))["spacing"][0] == 1
