"""What a person runs beside the service: status, retry and check-config."""
