"""The subcommands of the review page and of its record."""
