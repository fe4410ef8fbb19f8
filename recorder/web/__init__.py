"""What players and pages load: the archive, and the lessons that are live."""
