"""Carry out a plan; keep and report the outcome."""
