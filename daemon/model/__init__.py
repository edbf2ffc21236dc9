"""The model that labels now, the loss and return of a GPU, and the labelling of claimed images."""
