"""What the review page asks and does: decisions, signatures, the live differential."""
