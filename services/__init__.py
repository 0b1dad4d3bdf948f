"""PostgreSQL, Redis and Solr for this checkout alone: own ports, own data under ``.run/``, one supervisor.

``python -m services start`` and ``stop`` are what ``make services`` and ``make stop`` call.
"""
