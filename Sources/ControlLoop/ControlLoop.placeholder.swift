// ControlLoop: its first file replaces this one.
