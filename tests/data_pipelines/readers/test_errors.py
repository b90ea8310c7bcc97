import pickle

from data_pipelines.readers.errors import ReadError


def test_message_is_one_line_and_survives_pickling():
    error = ReadError("a.nii", "two\nlines", "one")
    assert str(error) == "a.nii: found two lines; wanted one"
    # Errors cross process borders when tests or loaders run in workers.
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.file, again.found, again.wanted) == (str(error), error.file, error.found, "one")
    assert isinstance(error, ValueError)
