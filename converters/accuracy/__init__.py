"""How good a graph is: statistics, comparison with the float model, and the gate."""
