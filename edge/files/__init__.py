"""Files read with bounds and written durably; JSON and YAML read strictly."""
