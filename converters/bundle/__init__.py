"""The bundle written as a whole, with its evidence."""
