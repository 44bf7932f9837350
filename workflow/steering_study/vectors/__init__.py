"""Steering vectors by difference in means and by learning, with controls."""
