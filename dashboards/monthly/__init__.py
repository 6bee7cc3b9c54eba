"""What the provider did for one hospital in a month: as values, as text of one language, as Markdown."""
