"""Model files from elsewhere: opened in a child with limits, inspected, exported, compared with themselves."""
