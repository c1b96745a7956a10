"""The machine: pure, without I/O, clock, chance or names of its own making."""
