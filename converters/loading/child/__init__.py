"""The child process that opens a stranger's file and hands back a graph."""
