"""The object store behind one interface. Imports neither CKAN nor Flask."""
