"""Libraries for the comparison's runner: one that hangs, one that loses things, one that dies, one that is right."""
