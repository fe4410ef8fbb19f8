"""From journal to archive: everything a lesson leaves behind."""
