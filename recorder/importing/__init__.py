"""Makes archives of video files that were not recorded here."""
