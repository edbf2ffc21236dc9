"""The search for an INT8 graph that passes the gate: which layers, which ranges."""
