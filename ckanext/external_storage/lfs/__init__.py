"""Git LFS server as one WSGI application. Knows ``storage`` and ``transfer``, not CKAN."""
