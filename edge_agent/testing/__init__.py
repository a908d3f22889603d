"""Fakes and checks that tests and users share."""
