"""Files with one result each: CSV for OpenELIS, SENAITE, GNU Health, with all columns, and JSON."""
