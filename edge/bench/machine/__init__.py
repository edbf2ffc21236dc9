"""What a measurement ran on, and what happened on that machine meanwhile."""
