"""The levels: what one request is, from the engine alone to the daemon's durable sidecar."""
