"""Searches for ranges and float layers with which an INT8 graph passes the accuracy gate."""
