"""The child process that opens an untrusted file and returns its graph."""
