// Store: its first file replaces this one.
