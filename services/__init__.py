"""PostgreSQL, Redis, Solr and an S3 server for this checkout alone: own ports, own data under ``.run/``.

One supervisor runs them.

``python -m services start`` and ``stop`` are what ``make services`` and ``make stop`` call.
"""
