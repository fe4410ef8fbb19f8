"""Headless clients of a Tongbu node: teach from a file, watch, demonstrate, test an installation.

They speak to a node over the wire only (WHIP, WHEP, HTTP), so each of them is also a test that
the node can be used by others.
"""
