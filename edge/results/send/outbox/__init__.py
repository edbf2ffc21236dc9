"""What is sent, was sent and is held, in a database that survives a power cut."""
