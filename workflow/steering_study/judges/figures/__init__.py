"""The table of judge errors, and its numbers in words."""
