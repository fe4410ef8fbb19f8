"""What speaks to a node over the wire, and only so."""
