"""Measures latency and throughput of a bundle on this machine (`edge-bench`)."""
