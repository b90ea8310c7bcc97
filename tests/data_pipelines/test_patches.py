"""Patches against their volumes: where they lie, what they hold, how they spread, that they repeat."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from data_pipelines import cache, foreground, patches, pipeline, voxel_encoding
from data_pipelines.index_plan import IndexPlan, example_generator

PADDING = {"image": -1000, "label": 0}


def make_case(shape, number=0):
    """Voxels that tell where they are: their number in the volume, and beside it a label in one corner."""
    image = np.arange(np.prod(shape), dtype=np.int16).reshape(shape) + 1000 * number
    label = np.zeros(shape, np.uint8)
    label[-2:, -2:, -2:] = 1
    return {"image": image, "label": label, **foreground.list_voxels(label, 2)}


CASES = {f"case-{n}": make_case(s, n) for n, s in enumerate([(9, 10, 11), (4, 10, 6), (12, 5, 7)])}
SIZES = st.tuples(*[st.integers(1, 13)] * 3)


def draw(index, seed, **options):
    random = patches.RandomPatches(CASES, list(CASES), padding=PADDING, **options)
    return random, random.place(index, example_generator(seed, index))


@given(SIZES, st.integers(0, 6), st.sampled_from([0.0, 0.5, 1.0]), st.integers(0, 99), st.integers(0, 99))
def test_every_patch_lies_inside_the_padded_volume_and_holds_its_voxels(size, margin, part, index, seed):
    random, place = draw(
        index, seed, size=size, margin=margin, foreground_probability=part, patches_per_case=40
    )
    case = CASES[place.case]
    assert place.case == f"case-{index // 40}"
    for start, extent, length in zip(place.start, size, case["image"].shape, strict=True):
        if extent <= length + 2 * margin:
            assert -margin <= start and start + extent <= length + margin
        else:
            assert 0 <= (start + extent - length) - (-start) <= 1
    patch = random.load(index, example_generator(seed, index))
    for name, fill in PADDING.items():
        padded = np.pad(case[name], 20, constant_values=fill)
        expected = padded[tuple(slice(s + 20, s + 20 + n) for s, n in zip(place.start, size, strict=True))]
        assert patch[name].dtype == case[name].dtype
        assert np.array_equal(patch[name], expected)


@given(SIZES, st.integers(0, 6), st.integers(0, 99))
def test_a_patch_drawn_for_foreground_holds_some(size, margin, seed):
    random, place = draw(0, seed, size=size, margin=margin, foreground_probability=1.0)
    assert random.load(0, example_generator(seed, 0))["label"].any(), place


def test_every_start_of_the_range_is_as_likely():
    random = patches.RandomPatches({"a": make_case((5, 4, 6))}, ["a"], (4, 4, 4), PADDING, margin=1)
    places = [random.place(0, example_generator(7, number)).start for number in range(6000)]
    starts, counts = np.unique(places, axis=0, return_counts=True)
    assert len(starts) == 4 * 3 * 5
    assert starts.min(0).tolist() == [-1, -1, -1]
    assert starts.max(0).tolist() == [2, 1, 3]
    assert stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize("probability", [0.0, 0.3, 1.0])
def test_the_stated_part_of_the_patches_is_drawn_for_foreground(probability):
    """One labelled voxel in a corner: a uniform patch of one voxel meets it once in 1000."""
    label = np.zeros((10, 10, 10), np.uint8)
    label[9, 9, 9] = 1
    case = {"label": label, **foreground.list_voxels(label, 2)}
    random = patches.RandomPatches(
        {"a": case}, ["a"], (1, 1, 1), {"label": 0}, foreground_probability=probability
    )
    hits = sum(bool(random.load(0, example_generator(3, n))["label"].item()) for n in range(3000))
    expected = probability + (1 - probability) / 1000
    assert stats.binomtest(hits, 3000, expected).pvalue > 1e-3 if probability < 1 else hits == 3000


def test_volumes_without_foreground_are_drawn_uniformly():
    label = np.zeros((6, 6), np.uint8)
    case = {"label": label, **foreground.list_voxels(label, 2)}
    random = patches.RandomPatches({"a": case}, ["a"], (3, 3), {"label": 0}, foreground_probability=1.0)
    starts = {random.place(0, example_generator(0, number)).start for number in range(300)}
    assert starts == {(row, column) for row in range(4) for column in range(4)}


def batches(executor, *, hosts=1, first_step=0, num_steps=6, num_threads=3, seed=5):
    random = patches.RandomPatches(
        CASES, list(CASES), (6, 6, 6), PADDING, margin=2, foreground_probability=0.5, patches_per_case=3
    )
    plan = IndexPlan(len(random), 4, seed)
    options = {"first_step": first_step, "num_steps": num_steps, "num_threads": num_threads}
    parts = [
        list(
            pipeline.make_batches(
                random.load, plan, executor=executor, process_index=host, process_count=hosts, **options
            )
        )
        for host in range(hosts)
    ]
    return [np.concatenate([part["image"] for part in step]) for step in zip(*parts, strict=True)]


@pytest.mark.parametrize("executor", ["threads", "tf"])
@pytest.mark.parametrize(
    "options", [{}, {"hosts": 2}, {"hosts": 4, "num_threads": 1}, {"first_step": 2, "num_steps": 4}]
)
def test_executors_hosts_and_resumed_runs_give_the_same_patches(executor, options):
    straight = batches("threads")
    for ours, expected in zip(
        batches(executor, **options), straight[options.get("first_step", 0) :], strict=True
    ):
        assert np.array_equal(ours, expected)


@settings(max_examples=20)
@given(st.integers(1, 4).map(lambda n: 2**n // 2), st.integers(0, 5), st.integers(0, 2**64 - 1))
def test_any_number_of_hosts_and_any_step_give_the_same_patches(hosts, first_step, seed):
    if hosts > 4:
        hosts = 4
    straight = batches("threads", seed=seed)
    resumed = batches("threads", hosts=hosts, first_step=first_step, num_steps=6 - first_step, seed=seed)
    assert np.array_equal(resumed, straight[first_step:])


def test_each_case_comes_as_often_as_asked_in_an_epoch():
    random = patches.RandomPatches(CASES, list(CASES), (2, 2, 2), PADDING, patches_per_case=5)
    cases = [random.place(index, example_generator(0, index)).case for index in range(len(random))]
    assert {name: cases.count(name) for name in CASES} == dict.fromkeys(CASES, 5)


@given(SIZES, SIZES)
def test_a_grid_covers_every_voxel(size, step):
    step = tuple(min(one, other) for one, other in zip(step, size, strict=True))
    grid = patches.GridPatches(CASES, list(CASES), size, PADDING, step)
    seen = {name: np.zeros(case["image"].shape, bool) for name, case in CASES.items()}
    for index, place in enumerate(grid.places):
        image = grid.load(index, example_generator(0, 0))["image"]
        assert image.shape == size
        corner = tuple(max(start, 0) for start in place.start)
        shift = tuple(-min(start, 0) for start in place.start)
        assert image[shift] == CASES[place.case]["image"][corner]
        seen[place.case][tuple(slice(max(s, 0), s + n) for s, n in zip(place.start, size, strict=True))] = (
            True
        )
    assert all(array.all() for array in seen.values())


def test_cases_that_int16_cannot_hold_make_all_float32():
    rng = np.random.default_rng(0)
    volumes = {"a": rng.integers(0, 9, (4, 4)), "b": np.array([[0, 1e-4], [5e4, 1]])}
    cases = {name: voxel_encoding.encode("image", v, tolerance=1e-5) for name, v in volumes.items()}
    assert {case["image"].dtype.name for case in cases.values()} == {"int16", "float32"}
    random = patches.RandomPatches(cases, ["a", "b"], (2, 2), {"image": 0}, whole=["image_scaling"])
    loaded = list(pipeline.make_batches(random.load, IndexPlan(2, 2, 0), num_steps=1, executor="threads"))
    assert loaded[0]["image"].dtype == np.float32
    assert loaded[0]["image_scaling"].shape == (2, 3)


def test_patches_of_a_cache_are_cut_from_the_mapped_file(tmp_path):
    arrays = cache.open_cache(tmp_path, {"version": 1}, list(CASES), CASES.__getitem__)
    random = patches.RandomPatches(arrays, list(arrays), (3, 3, 3), PADDING)
    patch = random.load(1, example_generator(0, 1))["image"]
    assert np.shares_memory(patch, arrays["case-1"]["image"])
    start = random.place(1, example_generator(0, 1)).start
    expected = CASES["case-1"]["image"][tuple(slice(s, s + 3) for s in start)]
    assert np.array_equal(patch, expected)


NO_LISTS = {"a": {"image": np.zeros((3, 3)), "label": np.zeros((3, 4))}}


@pytest.mark.parametrize(
    ("cases", "options", "message"),
    [
        (CASES, {"names": []}, "names has 0 cases"),
        (CASES, {"names": ["case-0", "case-0"]}, "none twice"),
        (CASES, {"size": (0, 2, 2)}, r"size is \(0, 2, 2\)"),
        (CASES, {"size": (2, 2, 2, 2)}, "wanted 4 equal spatial axes"),
        (CASES, {"padding": {"scan": 0}}, "case 'case-0' has no 'scan'; it has image"),
        (CASES, {"padding": {"label": -1}}, "padding of 'label' is -1; wanted 'edge' or a value of uint8"),
        (CASES, {"padding": {"image": 0.5}}, "padding of 'image' is 0.5"),
        (CASES, {"padding": {"image": "reflect"}}, "padding of 'image' is 'reflect'"),
        (CASES, {"margin": -1}, "margin is -1"),
        (CASES, {"foreground_probability": 1.5}, "foreground_probability 1.5"),
        (CASES, {"patches_per_case": 0}, "patches_per_case 0"),
        (NO_LISTS, {"names": ["a"], "size": (2, 2)}, r"image \(3, 3\), label \(3, 4\)"),
        (
            NO_LISTS,
            {"names": ["a"], "size": (2, 2), "padding": {"image": 0}, "foreground_probability": 0.5},
            "case 'a' has no 'foreground_counts'",
        ),
    ],
)
def test_what_does_not_fit_is_named_at_the_start(cases, options, message):
    options = {"names": list(CASES), "size": (2, 2, 2), "padding": PADDING, **options}
    with pytest.raises(ValueError, match=message):
        patches.RandomPatches(cases, **options)


@pytest.mark.parametrize("step", [(1, 1), (1, 0, 1)])
def test_steps_of_a_grid_are_checked(step):
    with pytest.raises(ValueError, match="wanted 3 numbers from 1"):
        patches.GridPatches(CASES, list(CASES), (2, 2, 2), PADDING, step)


def test_patches_of_several_sets_are_drawn_together():
    """The plan runs over the first set; all patches of the second come up."""
    names = list(CASES)
    options = {"size": (2, 2, 2), "padding": PADDING}
    first = patches.RandomPatches(CASES, names[:1], **options, patches_per_case=2)
    second = patches.RandomPatches(CASES, names[1:], **options)
    load = patches.draw_together({"a": first, "b": second})
    found = [load(0, example_generator(0, number)) for number in range(30)]
    assert set(found[0]) == {"image_a", "label_a", "image_b", "label_b"}
    cases = [{int(patch[f"image_{name}"].max()) // 1000 for patch in found} for name in "ab"]
    assert cases[0] == {0}
    assert cases[1] == {1, 2}
    again = load(0, example_generator(0, 7))
    np.testing.assert_array_equal(found[7]["image_b"], again["image_b"])
