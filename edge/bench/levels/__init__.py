"""The levels: what one request is, from the engine alone to the daemon's sidecar."""
