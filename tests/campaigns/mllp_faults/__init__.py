"""Faults of a receiver, of the network and of the sender, and what must hold all the same."""
