"""The network that a file's weights belong to, named in the card."""
