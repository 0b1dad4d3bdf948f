"""What the templates ask."""

from __future__ import annotations

from ckanext.external_storage import plain_upload

__all__ = ["external_storage_form_limit"]


def external_storage_form_limit() -> int | None:
    """Bytes that a file sent with a form may have; None for any size."""
    return plain_upload.limit()
