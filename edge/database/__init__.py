"""SQLite files that this program keeps: private, durable, of one version, their errors as ours."""
