// Admission: its first file replaces this one.
