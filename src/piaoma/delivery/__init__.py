"""The outbox worker (交付) and its carriers."""
