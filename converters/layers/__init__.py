"""The layers of a graph that multiply: which they are, what they cost, which are quantized."""
