"""The console: pages and JSON API over the stores."""
