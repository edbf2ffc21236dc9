"""From sidecars to slides, differentials, and the files and messages that a LIS reads."""
