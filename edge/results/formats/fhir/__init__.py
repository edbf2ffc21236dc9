"""FHIR R4: a transaction Bundle, for OpenELIS and for general servers."""
