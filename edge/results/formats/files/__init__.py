"""Files with one result each: CSV for OpenELIS, for SENAITE and with all columns, and JSON."""
