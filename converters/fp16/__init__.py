"""Converts graphs to FP16 for GPUs, and emulates on the CPU what GPUs compute in FP16."""
