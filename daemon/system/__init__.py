"""Linux for the service: locks, mounts, calls that may hang, signals, the clock."""
