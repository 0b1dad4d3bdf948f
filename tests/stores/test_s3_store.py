from __future__ import annotations

import pytest

from ckanext.external_storage.storage.s3 import S3Store
from tests.conformance.object_store import ObjectStoreSuite


class TestS3Store(ObjectStoreSuite):
    @pytest.fixture
    def store(self, s3_store: S3Store) -> S3Store:
        return s3_store
