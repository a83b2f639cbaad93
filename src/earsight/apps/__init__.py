"""What people start: the command line. Thin, and imported by nobody."""
