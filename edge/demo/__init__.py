"""The demonstration: cells are drawn, exported by a simulated analyzer, labelled, and counted."""
