"""The alarm system played under virtual time: scripts that a process engineer writes, and recorded scans."""
