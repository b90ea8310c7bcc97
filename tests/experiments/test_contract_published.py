import pytest

from experiments.contract import Published, read_published


def test_cells_have_a_mean_perhaps_a_deviation_or_nothing(tmp_path):
    file = tmp_path / "published.csv"
    file.write_text("one,0.5+-0.1,,2\ntwo,-3\nthree\n")
    assert read_published(file, ("a", "b", "c")) == {
        "one": {"a": Published(0.5, 0.1), "c": Published(2.0)},
        "two": {"a": Published(-3.0)},
        "three": {},
    }


@pytest.mark.parametrize(("line", "message"), [("x,1,2,3,4", "row x: 4 cells"), ("x,much", "much")])
def test_what_cannot_be_read_is_named(tmp_path, line, message):
    file = tmp_path / "published.csv"
    file.write_text(line)
    with pytest.raises(ValueError, match=message):
        read_published(file, ("a", "b", "c"))
