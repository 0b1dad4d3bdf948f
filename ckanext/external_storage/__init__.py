"""Bytes: where they are, proof of what they are, how they move."""
