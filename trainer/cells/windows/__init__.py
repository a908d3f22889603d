"""From a cell's picture to the window that the network sees."""
