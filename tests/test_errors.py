"""The errors, as other processes get them."""

import pickle

import pytest

from ssd300.data.notes import Fault
from ssd300.errors import DownloadError, MissingExtraError


@pytest.mark.parametrize(
    "error",
    [
        DownloadError("no answer"),
        MissingExtraError("the torch runtime", "train"),
        MissingExtraError("to_pandas", package="pandas", broken="libx.so"),
        Fault("box", "a box without sides"),
    ],
)
def test_an_error_from_another_process_says_the_same(error):
    error.__notes__ = ["in picture 7"]
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again), again.__dict__) == (type(error), str(error), error.__dict__)
