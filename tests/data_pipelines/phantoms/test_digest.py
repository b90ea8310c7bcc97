import re

from data_pipelines.phantoms.digest import phantom_code


def test_the_digest_is_the_same_every_time():
    assert phantom_code() == phantom_code()
    assert re.fullmatch("[0-9a-f]{10}", phantom_code())
