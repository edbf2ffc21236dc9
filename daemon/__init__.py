"""The service at the analyzer: finds exported images, labels each once, writes its sidecars."""
