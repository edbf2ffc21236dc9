"""The demonstration: drawn cells, exported by a simulated analyzer and labelled by the service."""
