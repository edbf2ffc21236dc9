"""Opens untrusted model files in a child process, which returns only a graph, logits and facts."""
