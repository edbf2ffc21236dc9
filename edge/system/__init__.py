"""This machine and this installation: child processes, the kernel, installed commands."""
