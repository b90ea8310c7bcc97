import dataclasses
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.__main__ import main
from experiments.verbs import command_line, papers
from experiments.verbs.errors import UserError


@pytest.fixture(autouse=True)
def leave_the_host_alone(monkeypatch):
    """The compilation cache is a setting of the whole process."""
    monkeypatch.setattr("experiments.__main__._prepare", lambda options=None: None)


def error_of(capsys, *arguments):
    assert main(arguments) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return said


@pytest.mark.faults
@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("trian", "fbpaug", "demo"), "unknown verb 'trian', did you mean 'train'?"),
        (("train", "fbpag", "demo"), "unknown paper 'fbpag', did you mean 'fbpaug'?"),
        (("train", "fbpaug", "dmo"), "unknown preset 'dmo', did you mean 'demo'?"),
        (("table", "fbpaug", "tabel1"), "unknown table 'tabel1', did you mean 'table1'?"),
        (("table", "fbpaug", "table1", "--preset", "tyni"), "unknown preset 'tyni', did you mean 'tiny'?"),
        (("train", "fbpaug", "demo", "--learnin-rate", "1"), "did you mean --learning-rate?"),
        (("train", "fbpaug", "demo", "--learning-rate", "fast"), "could not convert string to float: 'fast'"),
        (("train", "fbpaug", "demo", "--method", "gan"), "Expected one of ('none', 'fbpaug'"),
        (("train", "fbpaug", "demo", "--num-steps"), "Missing value for argument '--num-steps'"),
        (("train", "fbpaug"), "a preset is missing; known: paper, demo, tiny"),
        (("train",), f"train needs a paper: {', '.join(papers.paper_names())}"),
        (("predict", "fbpaug", "--run", "nowhere"), "--input"),
        (("predict", "fbpaug", "--run", "r", "--input", "none.nii", "--output", "o"), "does not exist"),
        (("check-data", "fbpaug", "--data-dir", "nowhere"), "nowhere is not a folder"),
        (("train", "fbpaug", "tiny", "--data-dir", "nowhere"), "nowhere is not a folder"),
        (("prepare", "fbpaug", "tiny", "--data-dir", "nowhere"), "nowhere is not a folder"),
        (("train", "fbpaug", "tiny", "--mesh.data", "99"), "data=99 by space=1 does not fit"),
        (("train", "fbpaug", "tiny", "--mesh.data", "3"), "--batch-size 8 does not divide over 3 parts"),
        (("train", "fbpaug", "tiny", "--fold", "7"), "fold is 7; wanted 0 to 2"),
        (("train", "fbpaug", "tiny", "--batch-size", "-8"), "batch_size is -8; wanted at least 1"),
        (("train", "fbpaug", "tiny", "--num-steps", "-1"), "num_steps is -1; wanted at least 0"),
        (("train", "fbpaug", "tiny", "--image-size", "0"), "image_size is 0; wanted at least 1"),
        (("train", "fbpaug", "tiny", "--phantom.num-cases", "0"), "num_cases is 0; wanted at least 1"),
        (
            ("train", "fbpaug", "tiny", "--mesh.space", "2", "--compile", "pmap"),
            "needs --mesh.space 1, not 2",
        ),
    ],
)
def test_mistakes_get_one_line_with_a_hint_and_exit_code_2(
    arguments, hint, capsys, monkeypatch, tmp_path, record_fault
):
    monkeypatch.chdir(tmp_path)
    said = error_of(capsys, *arguments)
    assert hint in said
    record_fault(f"command line: {' '.join(arguments)}", said.strip())


def test_usage_without_arguments(capsys):
    assert main([]) == 2
    assert main(["--help"]) == 0
    assert "predict" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [
        ("train", "fbpaug", "demo", "--help"),
        ("prepare", "fbpaug", "demo", "--help"),
        ("table", "fbpaug", "table1", "--help"),
        ("bench", "fbpaug", "tiny", "--help"),
        ("sample", "fbpaug", "--help"),
        ("predict", "fbpaug", "--help"),
        ("check-data", "fbpaug", "--help"),
    ],
)
def test_help_lists_the_options(arguments, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 0
    assert "--" in capsys.readouterr().out


def test_list_shows_papers_with_their_methods(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["list"]) == 0
    shown = capsys.readouterr().out
    assert "fbpaug" in shown
    assert "windowing" in shown


@pytest.mark.faults
def test_damaged_files_get_one_line_and_exit_code_1(capsys, tmp_path, record_fault):
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
        for number in range(3):
            (tmp_path / name / f"scan{number}.nii.gz").write_bytes(b"no volume")
    arguments = ["train", "fbpaug", "tiny", "--data-dir", str(tmp_path), "--workdir", str(tmp_path / "runs")]
    assert main(arguments) == 1
    said = capsys.readouterr().err
    assert said.splitlines()[-1].startswith("error: ")
    assert "nii.gz: found bytes that are not gzip; wanted gzip data" in said.splitlines()[-1]
    record_fault("train on damaged files", said.splitlines()[-1].replace(str(tmp_path), "..."))


def test_too_few_volumes_for_the_folds_get_one_line(capsys, tmp_path):
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "scan.nii.gz").write_bytes(b"never read")
    arguments = ["train", "fbpaug", "tiny", "--data-dir", str(tmp_path), "--workdir", str(tmp_path / "runs")]
    assert main(arguments) == 1
    assert "found 1 volumes with masks; wanted 3, one a fold" in capsys.readouterr().err


def test_scan_that_cannot_be_read_is_named(capsys, tmp_path):
    (tmp_path / "scan.nii.gz").write_bytes(b"no volume")
    arguments = [
        "sample",
        "fbpaug",
        "tiny",
        "--input",
        str(tmp_path / "scan.nii.gz"),
        "--output-dir",
        str(tmp_path),
    ]
    assert main(arguments) == 1
    assert "scan.nii.gz: found" in capsys.readouterr().err


PLAIN = """
 Unrecognized options
 --------------------------------
  Unrecognized options: --rat, 3
  --------------------------------
  Perhaps you meant:
      --rate FLOAT
"""
BOXED = """
╭─ Unrecognized options ─────────╮
│ Unrecognized options: --rat, 3 │
│ ────────────────────────────── │
│ Perhaps you meant:             │
│     --rate FLOAT               │
╰────────────────────────────────╯
"""
SHORT = """
╭─ Value error ──────────────────────────────────────────────────────────────╮
│ Error parsing --rate: could not convert string to float: 'fast'            │
╰────────────────────────────────────────────────────────────────────────────╯
"""


@pytest.mark.parametrize("message", [PLAIN, BOXED])
def test_parser_messages_become_one_line(message):
    assert command_line._one_line(message) == "Unrecognized options: --rat, 3, did you mean --rate?"


def test_parser_messages_without_proposal_become_one_line():
    expected = "Error parsing --rate: could not convert string to float: 'fast'"
    assert command_line._one_line(SHORT) == expected


@dataclasses.dataclass(frozen=True)
class Inner:
    size: int = 3
    spacing_mm: tuple[float, ...] = (1.0, 2.0)


@dataclasses.dataclass(frozen=True)
class Options:
    """Of every type that a config may have."""

    method: Literal["a", "b"] = "a"
    rate: float = 0.1
    flag: bool = False
    limit: int | None = None
    name: str = "x"
    widths: tuple[int, ...] = (1, 2)
    inner: Inner = Inner()


few = settings(derandomize=True, deadline=None, max_examples=30)
finite = st.floats(allow_nan=False)
options = st.builds(
    Options,
    method=st.sampled_from(["a", "b"]),
    rate=finite,
    flag=st.booleans(),
    limit=st.none() | st.integers(),
    name=st.text("abc .=/äß", min_size=1, max_size=4),
    widths=st.lists(st.integers(), min_size=1, max_size=3).map(tuple),
    inner=st.builds(Inner, st.integers(), st.lists(finite, min_size=1, max_size=3).map(tuple)),
)


def as_arguments(values, prefix=""):
    for field in dataclasses.fields(values):
        value, name = getattr(values, field.name), prefix + field.name.replace("_", "-")
        if dataclasses.is_dataclass(value):
            yield from as_arguments(value, f"{name}.")
        elif isinstance(value, bool):
            yield f"--{name}" if value else f"--{prefix}no-{field.name}"
        else:
            yield from (f"--{name}", *map(str, value if isinstance(value, tuple) else (value,)))


@few
@given(options)
def test_any_config_can_be_typed(values):
    parsed = command_line.parse("test", {"options": Options()}, list(as_arguments(values)))
    assert parsed["options"] == values


WORDS = [
    "--method",
    "--rate",
    "--flag",
    "--limit",
    "--widths",
    "--inner.size",
    "--inner",
    "--no-flag",
    "--",
    "-",
]


@settings(few, max_examples=60)
@given(st.lists(st.sampled_from(WORDS) | st.text(max_size=4), max_size=4))
def test_any_other_words_end_in_options_or_one_line(arguments):
    try:
        parsed = command_line.parse("test", {"options": Options()}, arguments)
    except UserError as error:
        assert str(error)
        assert len(str(error).splitlines()) == 1
    else:
        assert isinstance(parsed["options"], Options)
