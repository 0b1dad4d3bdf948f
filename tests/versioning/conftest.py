from __future__ import annotations

import pytest

from tests.portal import Portal


@pytest.fixture
def portal(app, with_plugins) -> Portal:
    return Portal(app)
