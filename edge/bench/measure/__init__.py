"""The modes: how requests are made, and the nanoseconds that each of them took."""
