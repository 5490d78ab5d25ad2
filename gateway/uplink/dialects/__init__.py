"""How a recipient wants to be spoken to: one pure file per dialect."""
