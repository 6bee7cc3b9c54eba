"""The offline bundle: everything that a machine without internet needs, in one archive with checksums."""
