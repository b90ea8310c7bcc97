import sys

from data_pipelines.progress import make_progress


def test_without_a_terminal_lines_come_now_and_then_and_at_the_end(capsys):
    progress = make_progress("drawing", seconds_between_lines=1000.0)
    for done in range(1, 4):
        progress(done, 3)
    assert capsys.readouterr().err == "drawing: 3/3\n"
    progress = make_progress("drawing", seconds_between_lines=0.0)
    progress(1, 2)
    assert capsys.readouterr().err.endswith("s left\n")


def test_on_a_terminal_one_line_is_written_over(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    progress = make_progress("drawing")
    progress(1, 2)
    progress(2, 2)
    written = capsys.readouterr().err
    assert written.count("\r") == 2
    assert written.endswith("\n")
