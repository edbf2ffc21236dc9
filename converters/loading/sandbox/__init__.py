"""The sandbox of the child process: restrictions by the kernel, set before a file is opened."""
