"""Shared by all commands: option parser, manual page, completion, exit codes, progress."""
