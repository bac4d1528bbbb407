// Reconcilers: its first file replaces this one.
