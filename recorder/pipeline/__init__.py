"""From a journal to an archive on disk: records in, segments and playlists out."""
