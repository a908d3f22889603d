"""All that is fitted: head, last layers, temperature, thresholds and familiarity; and the run folder."""
