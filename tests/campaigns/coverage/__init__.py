"""How often the intervals of a differential hold the true share, in simulated slides."""
