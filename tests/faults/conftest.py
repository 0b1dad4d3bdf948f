from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from ckan import model

from tests.faults.victims import Nursery

pytest.register_assert_rewrite("tests.faults.dataset_history")


@pytest.fixture(scope="session")
def engine() -> sa.Engine:
    assert model.meta.engine
    return model.meta.engine


@pytest.fixture(scope="session")
def nursery(request: pytest.FixtureRequest, engine: sa.Engine) -> Iterator[Nursery]:
    """On the same CKAN configuration, so the same database, as this test process."""
    nursery = Nursery(Path(request.config.option.ckan_ini), engine)
    yield nursery
    nursery.close()
