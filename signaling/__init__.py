"""Rooms and the wire: lessons, tokens, WHIP and WHEP, the node."""
