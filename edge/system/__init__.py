"""Child processes, Linux system calls, and how this package is installed."""
