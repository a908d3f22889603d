"""Writes readings as FHIR R4 (4.0.1), one Bundle per slide.

Nothing in a Bundle may be taken for a finding: there is no patient, nothing is final, every resource says what it is
for, and labels of an unproven model are left out.
"""
