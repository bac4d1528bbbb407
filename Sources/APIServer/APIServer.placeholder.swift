// APIServer: its first file replaces this one.
