// Node: its first file replaces this one.
