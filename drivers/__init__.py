"""One file per driver; the file's name is the driver's name. Importing this package reads nothing."""
