import numpy as np
import pytest

from data_pipelines import annotated_patches


def sparse_volume(seed, shape, num_known):
    rng = np.random.default_rng(seed)
    label = np.full(shape, -1, np.int8)
    label.flat[rng.choice(label.size, num_known, replace=False)] = rng.integers(0, 2, num_known)
    return rng.normal(size=shape).astype(np.float32), label


@pytest.mark.parametrize("size", [4, 9])
def test_every_patch_holds_an_annotated_voxel_and_its_image(size):
    images, labels = zip(sparse_volume(0, (8, 12, 10), 3), sparse_volume(1, (6, 7, 8), 2), strict=True)
    known = annotated_patches.list_annotated(labels, -1)
    generator = np.random.default_rng(2)
    numbers = []
    for _ in range(50):
        number, image, label = annotated_patches.draw_patch(images, labels, known, size, -1, generator)
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
    image += 100
    known = annotated_patches.list_annotated([label], -1)
    for seed in range(20):
        _, patch, _ = annotated_patches.draw_patch(
            [image], [label], known, 5, -1, np.random.default_rng(seed)
        )
        assert patch.min() > 50


def test_volume_without_annotation_is_never_drawn():
    image, label = sparse_volume(4, (6, 6, 6), 4)
    labels = [np.full((6, 6, 6), -1, np.int8), label, np.full((6, 6, 6), -1, np.int8)]
    known = annotated_patches.list_annotated(labels, -1)
    for seed in range(20):
        generator = np.random.default_rng(seed)
        assert annotated_patches.draw_patch([image] * 3, labels, known, 3, -1, generator)[0] == 1
