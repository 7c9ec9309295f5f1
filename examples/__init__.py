"""Programs that use dwserver through the official SDK."""
