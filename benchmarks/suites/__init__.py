"""What is measured: a module for each suite, whose `rows()` declares its rows."""
