"""Metadata is in pyproject.toml; CKAN's translation workflow still reads this keyword from setup.py."""

from setuptools import setup

setup(
    message_extractors={
        "ckanext": [
            ("**.py", "python", None),
            ("**.js", "javascript", None),
            ("**/templates/**.html", "ckan", None),
        ],
    }
)
