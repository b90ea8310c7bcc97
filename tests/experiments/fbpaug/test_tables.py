from experiments.fbpaug import tables


def test_printed_numbers_are_those_of_table_1(tiny):
    rows = tables.TABLES["table1"].rows(tiny)
    printed = {
        row.label: [(row.published[m].mean, row.published[m].std) for m in ("dice", "agreement")]
        for row in rows
    }
    assert printed == {
        "Baseline": [(0.56, 0.23), (0.54, 0.27)],
        "FBPAug": [(0.59, 0.22), (0.92, 0.05)],
        "Gamma": [(0.61, 0.19), (0.68, 0.21)],
        "Noise": [(0.56, 0.21), (0.79, 0.13)],
        "Windowing": [(0.59, 0.18), (0.63, 0.23)],
    }


def test_each_row_pools_the_three_folds(tiny):
    for row in tables.TABLES["table1"].rows(tiny):
        assert [config.fold for config in row.configs] == [0, 1, 2]
        assert len({config.method for config in row.configs}) == 1


def test_the_papers_own_numbers_fulfil_its_claims(tiny):
    """A claim that the printed table contradicts would be ours, not the paper's."""
    table = tables.TABLES["table1"]
    rows = {row.label: row.published for row in table.rows(tiny)}
    for claim in table.claims:
        if claim.metric in table.metrics:
            left, right = (
                getattr(rows[row][claim.metric], claim.statistic) for row in (claim.left, claim.right)
            )
            assert left - right > claim.margin, claim.text
