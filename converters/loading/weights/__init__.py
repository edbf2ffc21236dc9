"""Which of a file's tensors are the network's weights, and the network filled with them."""
