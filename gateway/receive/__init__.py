"""The reference receiver for bureaus."""
