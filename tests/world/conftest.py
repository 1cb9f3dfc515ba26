"""What several rows start: the PostgreSQL of those that are about its clients."""

import pytest
from postgres import Postgres


@pytest.fixture(scope="session")
def cluster():
    with Postgres() as running:
        yield running


@pytest.fixture
def server(cluster):
    """It serves, even if the test before has killed it. Rows about other servers have a `server` of their own."""
    cluster.start()
    return cluster
