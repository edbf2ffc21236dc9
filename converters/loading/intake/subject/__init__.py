"""The graph that is taken in: how it is run, and how it is refused."""
