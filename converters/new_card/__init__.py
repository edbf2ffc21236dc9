"""`edge-convert --new-card`: a card to fill in, with what the model's file tells."""
