"""The microscope page: the latest field and its reading, for the person at the microscope.

Nothing is imported here: the configuration needs the settings even if the extra ``web`` is not installed.
"""
