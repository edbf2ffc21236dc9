"""What the commands share: parser, manual, completion, exit codes, progress."""
