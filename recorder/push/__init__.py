"""Sends a live lesson to other platforms, from its journal."""
