"""Uploads and their state machine, links, and what must be deleted. Imports neither CKAN nor Flask."""
