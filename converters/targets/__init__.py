"""The graphs of one conversion, each for its target: one that cannot be made costs no other."""
