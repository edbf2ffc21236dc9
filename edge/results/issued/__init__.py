"""What was issued: every revision of every result, durable and never changed."""
