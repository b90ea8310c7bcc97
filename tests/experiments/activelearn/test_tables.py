import numpy as np

from experiments.activelearn import figures
from experiments.activelearn.config import PRESETS
from experiments.activelearn.tables import TABLES
from experiments.contract import FinishedRow


def test_printed_rows_are_those_of_the_paper():
    for name, random, best in (("table1", 73.53, 82.02), ("table2", 86.99, 90.87)):
        rows = TABLES[name].rows(PRESETS["paper"])
        printed = {row.label: row.published for row in rows if row.published}
        assert len(printed) == 13
        assert printed["Random"]["accuracy"].mean == random
        assert max(row["accuracy"].mean for row in printed.values()) == best


def test_figures_show_counts_and_accuracies_by_round(tmp_path):
    rows = TABLES["table2"].rows(PRESETS["tiny"])
    scores = {
        **{
            f"{metric}, round {k}": {"all": 50.0 + k}
            for metric in ("accuracy", "balanced accuracy")
            for k in (0, 1)
        },
        **{f"queried {name}, round {k}": {"all": 3.0} for name in ("NC", "NCP", "CP") for k in (0, 1)},
    }
    finished = [FinishedRow(row, (scores, scores), lambda k: None) for row in rows]
    files = figures.draw_figures(finished, tmp_path)
    assert [file.stem for file in files] == [
        "fig1-top-n",
        "fig2-core-set",
        "queried-others",
        "accuracy-by-round",
    ]
    assert all(file.exists() for file in files)
    np.testing.assert_array_equal(figures._counts(finished[0], ["NC", "NCP"]), [[3, 3]])
