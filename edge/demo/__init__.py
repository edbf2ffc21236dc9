"""Drawn cells, a simulated analyzer that exports them, and the demonstration that uses both."""
