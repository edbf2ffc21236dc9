"""The parts of results.yaml that several rooms read."""
