"""Readings as FHIR R4 (4.0.1), one Bundle per slide.

Nothing in it may be taken for a finding: there is no patient, nothing is final, every resource says what it is for, and
a label of a model that proved nothing is not in it.
"""
