"""HTTP: consumer pages, merchant console, health."""
