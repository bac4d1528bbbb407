// Simulation: its first file replaces this one.
