"""Sphinx: ``python -m sphinx -W docs <output>``. tests/test_docs.py builds the docs and checks them."""

project = "ckanext-publish"
author = "the ckanext-publish developers"
extensions = ["sphinx.ext.autodoc"]
exclude_patterns = ["decisions"]
html_theme = "alabaster"
autodoc_typehints = "none"
autodoc_preserve_defaults = True
nitpicky = True
# Types and errors in the docstrings of actions are those of the API: JSON, and CKAN's error types.
nitpick_ignore_regex = [
    ("py:class", r"Authzzie|bool(ean)?|dict(ionary)?|dicts|int|list|strings?|one string .*"),
    ("py:exc", r"NotAuthorized|ObjectNotFound|ValidationError"),
]
