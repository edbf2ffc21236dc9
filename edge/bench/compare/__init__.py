"""Compares two measurements and says what became faster or slower."""
