"""Weak links on this machine: an emulator between two network namespaces, and a real lesson in it.

`link.py` is the model of one direction (pure), `emulator.py` the process around two of them,
`lab.py` the namespaces, `lesson.py` the lesson, `metrics.py` what its figures mean (pure).
"""
