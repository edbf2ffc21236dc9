"""Writing sidecars: their destination, names that are taken, and outages."""
