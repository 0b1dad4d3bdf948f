"""`make demo`: a site with users and sample data, made over HTTP, and the story played on it."""
