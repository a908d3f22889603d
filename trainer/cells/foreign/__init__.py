"""Things that are no nucleated cells: windows to fit familiarity with, and pictures to measure it on."""
