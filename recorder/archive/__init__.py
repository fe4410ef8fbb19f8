"""Lessons on disk and in storage: their layout, what is made of them and how long they stay."""
