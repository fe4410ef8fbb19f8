"""Journals for people and other tools: read whole, looked into, exported."""
