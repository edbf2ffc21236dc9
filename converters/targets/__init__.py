"""Makes the graphs for all targets; if one cannot be made, the others still are."""
