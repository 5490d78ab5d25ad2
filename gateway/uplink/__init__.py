"""From the spool to each recipient, at its own pace."""
