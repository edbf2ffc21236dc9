"""Checks what an untrusted file would run, before its framework opens it."""
