// Journal: its first file replaces this one.
