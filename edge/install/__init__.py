"""Installing under systemd: the steps of a plan, what a unit can see, and the files of systemd/."""
