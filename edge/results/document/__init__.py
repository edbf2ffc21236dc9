"""A slide's result, from which every file and message is made."""
