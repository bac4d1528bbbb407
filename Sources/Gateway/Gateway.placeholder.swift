// Gateway: its first file replaces this one.
