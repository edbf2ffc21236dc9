"""What the kernel forbids the child that opens a stranger's file, set before the file is opened."""
