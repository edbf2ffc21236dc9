"""Commands that people run beside the service: status, retry and check-config."""
