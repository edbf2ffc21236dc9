"""What is known of one image: its watch folder, its ids, its outcome, why it is passed over."""
