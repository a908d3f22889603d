"""Cards, tables and plots for people."""
