"""The subcommands of `edge-results`, one file each."""
