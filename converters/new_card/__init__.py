"""`edge-convert --new-card`: writes a card to fill in, with values found in the model's files."""
