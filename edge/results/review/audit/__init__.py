"""What the record shows: who signed how much, agreement of model and people, corrected cells."""
