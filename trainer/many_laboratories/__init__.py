"""Measures a cells bundle in laboratories that it was never trained on: judging, figures, and the page's tables."""
