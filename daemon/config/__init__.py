"""The configuration file of the service: read strictly, checked as a whole."""
