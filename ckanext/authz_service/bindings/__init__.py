"""CKAN's permissions behind our own types of scopes, one module per type."""
