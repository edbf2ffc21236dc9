"""Files by strangers, opened in a child process that hands back a graph, logits and facts only."""
