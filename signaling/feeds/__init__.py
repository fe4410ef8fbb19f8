"""In and out: cameras and recording boxes into lessons, lessons to other platforms."""
