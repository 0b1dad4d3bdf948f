"""Actions, their auth functions and their input."""
