"""Clients without a browser: publish a file, watch and measure."""
