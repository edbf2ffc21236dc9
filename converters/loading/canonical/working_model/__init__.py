"""The model that is being canonicalized: its state, how it is run, and refusals."""
