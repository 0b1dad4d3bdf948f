"""Where plugins written for ckanext-authz-service find the registry and the scopes. Nothing lives here."""

from __future__ import annotations

from ckanext.authz_service.authorizer import Authzzie
from ckanext.authz_service.errors import UnknownEntityType
from ckanext.authz_service.scope import Scope

__all__ = ["Authzzie", "Scope", "UnknownEntityType"]
