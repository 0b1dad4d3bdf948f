"""Who may do what, proved by a signed token."""
