"""The steps of the check: each takes the `Setting` and returns what it `Found`."""
