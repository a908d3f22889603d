"""From a training to a bundle that the agent loads, and its cards."""
