"""Software that is not ours, and does not know CKAN, reads what we sign."""
