"""The pytest plugin that an installed Segue brings: no test asks a real model by accident."""
