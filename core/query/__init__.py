"""Understanding of a request's text by the catalogue's own values and types."""
