"""What a file says of its model by itself, for a new card."""
