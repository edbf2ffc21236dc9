"""From cells to slides: their ids, whether they are complete, and their next result."""
