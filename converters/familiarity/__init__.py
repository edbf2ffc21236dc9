"""The reference of a laboratory: fitted on its images, and tried on simulated faults."""
