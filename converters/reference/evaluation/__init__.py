"""How right each graph of a bundle is on labelled images."""
