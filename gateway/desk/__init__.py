"""What people may ask for over the control socket: one file per subject, each gives its deeds by name."""
