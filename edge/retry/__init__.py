"""How long to wait before a failed step is tried again, and how a configuration says it."""
