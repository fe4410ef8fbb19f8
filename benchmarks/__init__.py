"""Questions about speed, one file each; one JSON line an answer."""
