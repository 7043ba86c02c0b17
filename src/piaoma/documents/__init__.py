"""Views of an original (版式文件): pure functions from the original's bytes to bytes that people look at."""
