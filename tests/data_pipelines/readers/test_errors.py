import errno
import pickle

import pytest

from data_pipelines.readers.errors import ReadError, is_unreadable_file


def test_message_is_one_line_and_survives_pickling():
    error = ReadError("a.nii", "two\nlines", "one")
    assert str(error) == "a.nii: found two lines; wanted one"
    # Errors cross process borders when tests or loaders run in workers.
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.file, again.found, again.wanted) == (str(error), error.file, error.found, "one")
    assert isinstance(error, ValueError)


@pytest.mark.parametrize(
    ("error", "of_the_file"),
    [
        (ReadError("a.nii", "nothing", "something"), True),
        (FileNotFoundError(errno.ENOENT, "No such file"), True),
        (PermissionError(errno.EACCES, "Permission denied"), True),
        (OSError("cannot identify image file"), True),
        (OSError(errno.EIO, "Input/output error"), True),
        (OSError(errno.EMFILE, "Too many open files"), False),
        (OSError(errno.ENOSPC, "No space left on device"), False),
        (TimeoutError(errno.ETIMEDOUT, "Connection timed out"), False),
        (ValueError("a bug"), False),
        (MemoryError(), False),
    ],
    ids=lambda value: repr(value)[:60],
)
def test_which_errors_lie_in_one_file(error, of_the_file):
    assert is_unreadable_file(error) == of_the_file
