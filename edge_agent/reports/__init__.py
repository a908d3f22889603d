"""The report of a slide as a document."""
