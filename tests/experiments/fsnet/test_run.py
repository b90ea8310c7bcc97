"""Pre-training, and both readings of the tables."""

from dataclasses import replace

import jax
import pytest

from experiments.fsnet import algorithm, data, evaluate, tables


@pytest.mark.parametrize("scenario", ["heart", "brain"])
def test_pretrained_body_fits_the_target_s_network(tiny, scenario):
    """Sets of several sequences too: pre-training and the target's training see equally many channels."""
    config = replace(tiny, method="pretraining", scenario=scenario)

    def shapes(names):
        batch = data.example_batch(config, names)
        state = jax.eval_shape(algorithm.make_training(config, names).init, jax.random.key(0), batch)
        named = {
            jax.tree_util.keystr(path): leaf.shape
            for path, leaf in jax.tree_util.tree_leaves_with_path(state.net.params)
        }
        return {name: shape for name, shape in named.items() if "head" not in name}

    names = config.chosen.sets
    assert shapes(names[1:]) == shapes(names[:1])


def printed(table):
    return {row.label: row.published for row in tables.TABLES[table].rows(tables.Config())}


def test_printed_gains_and_the_swapped_reading():
    heart, swapped, brain = printed("table2"), printed("table2-swapped"), printed("table2-brain")
    assert heart["FS-Net"]["BP"].mean - heart["U-Net"]["BP"].mean == pytest.approx(7.12)
    assert brain["FS-Net"]["WM"].mean - brain["U-Net"]["WM"].mean == pytest.approx(0.77)
    assert (heart["U-Net"]["BP"].mean, heart["U-Net"]["VM"].mean) == (74.90, 85.59)
    assert (swapped["U-Net"]["BP"].mean, swapped["U-Net"]["VM"].mean) == (85.59, 74.90)
    ablations = printed("table3")
    assert ablations["FS-Net"] == heart["FS-Net"]
    assert [ablations["FS-Net w/o weighted loss"][name].mean for name in ("BP", "VM")] == [77.65, 88.17]
    assert printed("table3-swapped")["Joint training"]["VM"] == printed("table3")["Joint training"]["BP"]


def test_gains_of_both_scenarios_stand_in_one_table():
    gains = {label: cells[evaluate.MEAN].mean for label, cells in printed("table2-gains").items()}
    # (7.12 + 3.44) / 2 against 0.77.
    assert gains["heart: FS-Net"] - gains["heart: U-Net"] == pytest.approx(5.28)
    assert gains["brain: FS-Net"] - gains["brain: U-Net"] == pytest.approx(0.77)
    rows = {row.label: row for row in tables.TABLES["table2-gains"].rows(tables.Config())}
    for name, scenario in (("table2", "heart"), ("table2-brain", "brain")):
        for row in tables.TABLES[name].rows(tables.Config()):
            assert rows[f"{scenario}: {row.label}"].configs == row.configs


def test_captions_say_which_reading_of_the_columns_they_show():
    for name in ("table2", "table3"):
        assert "as printed" in tables.TABLES[name].caption
        assert "probably swapped" in tables.TABLES[name].caption
        assert "The printed columns swapped" in tables.TABLES[f"{name}-swapped"].caption
