"""What is no nucleated cell: windows to fit familiarity with, and pictures to measure it on."""
