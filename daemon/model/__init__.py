"""The current model, the failure and return of a GPU, and the labelling of claimed images."""
