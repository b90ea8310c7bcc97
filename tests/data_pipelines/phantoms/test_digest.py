import re

from data_pipelines.phantoms.digest import phantom_code, source_digest


def test_the_digest_is_the_same_every_time():
    assert phantom_code() == phantom_code()
    assert re.fullmatch("[0-9a-f]{10}", phantom_code())


def test_digests_depend_on_what_the_files_hold(tmp_path):
    for name, text in (("a.py", "x = 1"), ("b.py", "x = 1"), ("c.py", "x = 2")):
        (tmp_path / name).write_text(text)
    first, same, other = (source_digest(str(tmp_path / name)) for name in ("a.py", "b.py", "c.py"))
    assert first == same != other
    assert phantom_code(str(tmp_path / "a.py")) not in (phantom_code(), first)
