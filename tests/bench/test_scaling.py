"""Formulas against cases worked out by hand."""

import pytest

from jaxmed.bench import scaling
from jaxmed.bench.collectives import Collective

SLOW = scaling.Link("slow", 1e6, 0.5, "made up")
FAST = scaling.Link("fast", 1e7, 0.1, "made up")
MACHINE = scaling.Machine("toy", 1e9, 1e8, "made up", 4, FAST, SLOW)


@pytest.mark.parametrize(
    ("kind", "num_devices", "sent"),
    [
        ("all-reduce", 2, 1000),  # 2 * 1/2
        ("all-reduce", 8, 1750),  # 2 * 7/8
        ("all-gather", 4, 750),
        ("reduce-scatter", 4, 3000),  # the result is a quarter of the 4000 bytes that are summed
        ("all-to-all", 4, 750),
        ("collective-permute", 4, 1000),
        ("all-reduce", 1, 0),
        ("collective-permute", 1, 0),
    ],
)
def test_bytes_that_each_device_sends(kind, num_devices, sent):
    assert scaling.sent_bytes(kind, 1000, num_devices) == sent


def test_all_reduce_is_reduce_scatter_then_all_gather():
    for devices in (2, 3, 8, 64):
        parts = scaling.sent_bytes("reduce-scatter", 4800 / devices, devices)
        parts += scaling.sent_bytes("all-gather", 4800, devices)
        assert scaling.sent_bytes("all-reduce", 4800, devices) == pytest.approx(parts)


def test_unknown_collective_is_refused():
    with pytest.raises(ValueError, match="unknown collective 'gossip'"):
        scaling.sent_bytes("gossip", 1, 2)


def test_time_is_latencies_plus_bytes_over_rate():
    # 8 devices: 2 * 3 messages of half a second, 1.75 MB at 1 MB/s.
    assert scaling.collective_seconds("all-reduce", 1e6, 8, SLOW) == pytest.approx(3 + 1.75)
    assert scaling.collective_seconds("collective-permute", 1e6, 8, SLOW) == pytest.approx(0.5 + 1)
    assert scaling.collective_seconds("all-gather", 1e6, 5, SLOW) == pytest.approx(3 * 0.5 + 0.8)


def test_all_reduce_over_nodes_by_hand():
    """8 MB on 8 devices in 2 nodes of 4: 6 MB in shares within, 2 MB over nodes, 6 MB gathered within."""
    inside = 2 * (2 * 0.1 + 0.6)
    between = 2 * 0.5 + 2 * 0.5 * 2
    assert scaling.all_reduce_seconds(8e6, 8, MACHINE) == pytest.approx(inside + between)
    assert scaling.all_reduce_seconds(8e6, 4, MACHINE) == pytest.approx(4 * 0.1 + 2 * 0.75 * 0.8)
    assert scaling.all_reduce_seconds(8e6, 1, MACHINE) == 0
    with pytest.raises(ValueError, match="6 devices make no whole nodes of 4"):
        scaling.all_reduce_seconds(8e6, 6, MACHINE)


def test_step_at_the_roofline():
    assert scaling.ideal_step_seconds(3e9, 1e8, MACHINE) == 3
    assert scaling.ideal_step_seconds(1e9, 5e8, MACHINE) == 5


def test_traffic_is_split_by_what_waits_for_it():
    found = [
        Collective("all-reduce", ((3, 3, 8, 16), (16,)), 4672),
        Collective("all-reduce", ((8, 16),), 512),
        Collective("all-reduce", ((16,), (16,)), 128),
        Collective("all-reduce", ((),), 4),
        Collective("all-gather", ((8, 16),), 512),
    ]
    assert scaling.split_traffic(found) == scaling.Traffic(5184, 2, 132, 2)


def test_efficiency_by_hand():
    """Kernels take 1.6 s, the rest 0.4 s and a little; 3 s of computation hide 2 s."""
    traffic = scaling.Traffic(kernel_bytes=8_000_000, num_kernels=1, other_bytes=0, num_others=1)
    found = scaling.predict(3.0, traffic, 4, MACHINE)
    assert found.kernel_seconds == pytest.approx(1.6)
    assert found.other_seconds == pytest.approx(0.4)
    assert found.efficiency == pytest.approx(3 / 5)
    assert found.overlapped_efficiency == pytest.approx(3 / 3.4)
    short = scaling.predict(0.9, traffic, 4, MACHINE)
    assert short.overlapped_efficiency == pytest.approx(0.9 / (0.9 + 1.0 + 0.4))
    alone = scaling.predict(3.0, traffic, 1, MACHINE)
    assert (alone.efficiency, alone.overlapped_efficiency) == (1, 1)


def test_no_collectives_is_perfect():
    assert scaling.predict(1.0, scaling.Traffic(0, 0, 0, 0), 512, MACHINE).efficiency == 1


@pytest.mark.parametrize("machine", scaling.MACHINES.values(), ids=scaling.MACHINES)
def test_more_devices_are_never_more_efficient(machine):
    traffic = scaling.Traffic(30_000_000, 4, 40_000, 60)
    found = [scaling.predict(0.02, traffic, devices, machine) for devices in (1, 8, 64, 512)]
    assert [one.efficiency for one in found] == sorted((one.efficiency for one in found), reverse=True)
    assert all(one.overlapped_efficiency >= one.efficiency for one in found)
