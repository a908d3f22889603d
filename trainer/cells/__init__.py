"""Cells of many laboratories: from their pictures to the windows that a cells bundle is trained with."""
