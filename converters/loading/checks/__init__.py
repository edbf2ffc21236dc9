"""What a stranger's file would do, read from it before its framework opens it."""
