"""What is made of a lesson after it can be played: thumbnails for the seek bar, and chapters."""
