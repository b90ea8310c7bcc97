"""Phantoms are drawn once for all papers' tests, and for all processes that run them."""

import os

import pytest


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory):
    """A folder for prepared phantoms; several processes may fill it."""
    folder = tmp_path_factory.getbasetemp()
    return (folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder) / "phantoms"
