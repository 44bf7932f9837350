"""The loss of each learned method, a file each; a user's own go here."""
