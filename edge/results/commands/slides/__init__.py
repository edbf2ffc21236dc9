"""The subcommands about slides: show and complete."""
